/* How help shows the options of a table. */
#include "base/options.h"

enum { HELP_COLUMN = 26, HELP_WIDTH = 80 };

void cm_options_add_wrapped(cm_buf_t *buf, const char *text, int column, int indent)
{
    bool first = true;

    while (*text != '\0') {
        int len = (int)strcspn(text, " ");
        if (!first && column + 1 + len > HELP_WIDTH) {
            cm_buf_printf(buf, "\n%*s", indent, "");
            column = indent;
        } else if (!first) {
            cm_buf_add_char(buf, ' ');
            column++;
        }
        cm_buf_add(buf, text, (size_t)len);
        column += len;
        text += len;
        text += strspn(text, " ");
        first = false;
    }
    cm_buf_add_char(buf, '\n');
}

void cm_options_add_facts(cm_buf_t *buf, const cm_option_t *option)
{
    const char *const names[] = {"default", "key", "environment"};
    const char *const values[] = {option->def, option->key, option->env};
    bool any = false;

    cm_buf_add_text(buf, option->help);
    if (option->type == CM_OPT_CHOICE) {
        cm_buf_add_text(buf, ": ");
        cm_options_add_choices(buf, option);
    }
    for (int i = 0; i < 3; i++) {
        if (values[i] == NULL)
            continue;
        cm_buf_printf(buf, "%s%s %s", any ? "; " : " [", names[i], values[i]);
        any = true;
    }
    if (any)
        cm_buf_add_char(buf, ']');
}

static void add_help_row(cm_buf_t *buf, const cm_option_t *option)
{
    cm_buf_t text = CM_BUF_INIT;
    size_t start = buf->len;

    cm_buf_add_text(buf, "  ");
    if (option->letter != 0)
        cm_buf_printf(buf, "-%c, ", option->letter);
    cm_buf_printf(buf, "--%s", option->name);
    if (option->arg != NULL)
        cm_buf_printf(buf, " %s", option->arg);
    int column = (int)(buf->len - start);
    if (column + 2 > HELP_COLUMN) {
        cm_buf_add_char(buf, '\n');
        column = 0;
    }
    cm_buf_printf(buf, "%*s", HELP_COLUMN - column, "");

    cm_options_add_facts(&text, option);
    cm_options_add_wrapped(buf, text.data, HELP_COLUMN, HELP_COLUMN);
    cm_buf_free(&text);
}

void cm_options_add_help(cm_buf_t *buf, const cm_option_t *table)
{
    for (const cm_option_t *o = table; o != NULL && o->name != NULL; o++)
        add_help_row(buf, o);
}
