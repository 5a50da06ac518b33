/* The manual page, in the macros of man(7). */
#include "settings/help.h"

#include <ctype.h>

/* Adds text for roff: backslashes and hyphens are escaped, and no line begins like a request. */
static void add_roff(cm_buf_t *buf, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool line_start = i == 0 || text[i - 1] == '\n';
        if (line_start && (text[i] == '.' || text[i] == '\''))
            cm_buf_add_text(buf, "\\&");
        if (text[i] == '\\')
            cm_buf_add_text(buf, "\\e");
        else if (text[i] == '-')
            cm_buf_add_text(buf, "\\-");
        else if (text[i] == '~')
            cm_buf_add_text(buf, "\\(ti");
        else if (text[i] == '`')
            cm_buf_add_text(buf, "\\(ga");
        else if (text[i] == '^')
            cm_buf_add_text(buf, "\\(ha");
        else
            cm_buf_add_char(buf, text[i]);
    }
}

static void add_line(cm_buf_t *buf, const char *text)
{
    add_roff(buf, text, strlen(text));
    cm_buf_add_char(buf, '\n');
}

static void add_option(cm_buf_t *buf, const cm_option_t *option)
{
    cm_buf_add_text(buf, ".TP\n");
    if (option->letter != 0)
        cm_buf_printf(buf, "\\fB\\-%c\\fR, ", option->letter);
    cm_buf_add_text(buf, "\\fB\\-\\-");
    add_roff(buf, option->name, strlen(option->name));
    cm_buf_add_text(buf, "\\fR");
    if (option->arg != NULL) {
        cm_buf_add_text(buf, " \\fI");
        add_roff(buf, option->arg, strlen(option->arg));
        cm_buf_add_text(buf, "\\fR");
    }
    cm_buf_add_char(buf, '\n');
    cm_buf_t facts = CM_BUF_INIT;
    cm_options_add_facts(&facts, option);
    add_line(buf, facts.data);
    cm_buf_free(&facts);
}

static void add_options(cm_buf_t *buf, const cm_option_t *table)
{
    for (const cm_option_t *o = table; o != NULL && o->name != NULL; o++)
        add_option(buf, o);
}

/* Adds the lines of the details: examples unchanged, all others as paragraphs. */
static void add_details(cm_buf_t *buf, const char *details)
{
    bool example = false;
    cm_help_line_t line;

    while (cm_help_next_line(&details, &line)) {
        if (line.example && !example)
            cm_buf_add_text(buf, ".PP\n.nf\n");
        if (!line.example && example)
            cm_buf_add_text(buf, ".fi\n");
        if (!line.example && line.text.len > 0)
            cm_buf_add_text(buf, ".PP\n");
        if (line.text.len > 0) {
            add_roff(buf, line.text.data, line.text.len);
            cm_buf_add_char(buf, '\n');
        }
        example = line.example;
    }
    if (example)
        cm_buf_add_text(buf, ".fi\n");
}

static void add_synopsis(cm_buf_t *buf, const cm_command_t *command)
{
    cm_buf_printf(buf, ".B clickmill %s\n[\\fIOPTIONS\\fR]", command->name);
    if (command->arguments[0] != '\0') {
        cm_buf_add_char(buf, ' ');
        add_roff(buf, command->arguments, strlen(command->arguments));
    }
    cm_buf_add_char(buf, '\n');
}

static void add_exits(cm_buf_t *buf)
{
    cm_buf_add_text(buf, ".SH EXIT STATUS\n");
    for (int i = 0; i < CM_EXIT_COUNT; i++) {
        if (cm_help_exits[i] == NULL)
            continue;
        cm_buf_printf(buf, ".TP\n.B %d\n", i);
        add_line(buf, cm_help_exits[i]);
    }
}

/* ".TH" needs the title in capitals. It has the version instead of the date, because a date would
 * differ from build to build. */
static void add_title(cm_buf_t *buf, const char *command)
{
    cm_buf_add_text(buf, ".TH CLICKMILL");
    if (command != NULL) {
        cm_buf_add_char(buf, '-');
        for (const char *c = command; *c != '\0'; c++)
            cm_buf_add_char(buf, (char)toupper((unsigned char)*c));
    }
    cm_buf_printf(buf, " 1 \"\" \"clickmill %s\" \"Clickmill\"\n.SH NAME\n", CM_VERSION);
}

static void add_one(cm_buf_t *buf, const cm_program_t *program, const cm_command_t *command)
{
    const cm_option_t *table = cm_program_options(program, command);

    add_title(buf, command->name);
    cm_buf_printf(buf, "clickmill\\-%s \\- ", command->name);
    add_line(buf, command->summary);
    cm_buf_add_text(buf, ".SH SYNOPSIS\n");
    add_synopsis(buf, command);
    if (command->details != NULL) {
        cm_buf_add_text(buf, ".SH DESCRIPTION\n");
        add_details(buf, command->details);
    }
    if (table != NULL && table[0].name != NULL) {
        cm_buf_add_text(buf, ".SH OPTIONS\n");
        add_options(buf, table);
    }
    cm_buf_add_text(buf, ".SH OPTIONS OF EVERY COMMAND\n");
    add_options(buf, cm_global_option_table);
    add_exits(buf);
    cm_buf_add_text(buf, ".SH SEE ALSO\n.BR clickmill (1)\n");
}

static void add_all(cm_buf_t *buf, const cm_program_t *program)
{
    add_title(buf, NULL);
    cm_buf_add_text(buf, "clickmill \\- turns clicks into answers\n.SH SYNOPSIS\n"
                         ".B clickmill\n"
                         "[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIOPTIONS\\fR] [\\fIARGUMENTS\\fR]\n"
                         ".SH DESCRIPTION\n");
    add_line(buf, cm_help_about);
    cm_buf_add_text(buf, ".SH OPTIONS OF EVERY COMMAND\n");
    add_options(buf, cm_global_option_table);
    cm_buf_add_text(buf, ".SH COMMANDS\n");
    for (const cm_command_t *const *c = program->commands; *c != NULL; c++) {
        cm_buf_printf(buf, ".SS %s\n", (*c)->name);
        add_line(buf, (*c)->summary);
        cm_buf_add_text(buf, ".PP\n");
        add_synopsis(buf, *c);
        if ((*c)->details != NULL)
            add_details(buf, (*c)->details);
        add_options(buf, cm_program_options(program, *c));
    }
    cm_buf_add_text(buf, ".SH FILES\n.TP\n.I clickmill.yaml\n"
                         "the configuration, where \\-\\-config names no other\n");
    add_exits(buf);
}

void cm_help_add_man(cm_buf_t *buf, const cm_program_t *program, const cm_command_t *command)
{
    if (command != NULL)
        add_one(buf, program, command);
    else
        add_all(buf, program);
}
