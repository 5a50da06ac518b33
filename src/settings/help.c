#include "settings/help.h"

const char cm_help_about[] =
    "Clickmill turns clicks into answers: clicks, unique users and average time spent, exact per "
    "URL and country, from the click events of web sites.";

const char *const cm_help_exits[CM_EXIT_COUNT] = {
    [0] = "success, also when asked to stop by SIGINT or SIGTERM",
    [1] = "a bug, or an unexpected answer of a library",
    [-CM_EUSAGE] = "the command line or the configuration is wrong",
    [-CM_EINPUT] = "an input cannot be read: missing, truncated, or not of that format",
    [-CM_EIO] = "an output or the store cannot be written: disk full or bad, no permission",
    [-CM_EBUSY] = "the data directory or the port is in use by another process",
    [-CM_ECORRUPT] = "stored bytes fail their checksum",
    [-CM_EVERSION] = "the store was written by a newer Clickmill",
    [-CM_ENOMEM] = "out of memory",
    [-CM_EDIFFER] = "two results that must agree do not",
    [-CM_EAWAY] = "a server does not answer",
    [-CM_EMISSING] = "events are missing or left: gone from Kafka unread, or still in the spool",
};

static void add_exits(cm_buf_t *buf)
{
    cm_buf_add_text(buf, "\nExit codes:\n");
    for (int i = 0; i < CM_EXIT_COUNT; i++) {
        if (cm_help_exits[i] != NULL)
            cm_buf_printf(buf, "  %2d  %s\n", i, cm_help_exits[i]);
    }
}

void cm_help_add_overview(cm_buf_t *buf, const cm_program_t *program)
{
    cm_options_add_wrapped(buf, cm_help_about, 0, 0);
    cm_buf_add_text(buf, "\nUsage: clickmill [OPTIONS] COMMAND [OPTIONS] [ARGUMENTS]\n\n"
                         "Commands:\n");
    for (const cm_command_t *const *c = program->commands; *c != NULL; c++) {
        cm_buf_printf(buf, "  %-10s ", (*c)->name);
        cm_options_add_wrapped(buf, (*c)->summary, 13, 13);
    }
    cm_buf_add_text(buf, "\nOptions of every command:\n");
    cm_options_add_help(buf, cm_global_option_table);
    add_exits(buf);
    cm_buf_add_text(buf, "\n`clickmill help COMMAND` explains a command. `clickmill run` starts "
                         "everything.\n");
}

bool cm_help_next_line(const char **details, cm_help_line_t *line)
{
    const char *text = *details;
    const size_t len = strcspn(text, "\n");

    if (*text == '\0')
        return false;
    *line = (cm_help_line_t){.text = {text, len}, .example = text[0] == ' '};
    *details = text + len + (text[len] == '\n');
    return true;
}

/* Paragraphs are broken at 80 columns. */
static void add_details(cm_buf_t *buf, const char *details)
{
    cm_help_line_t line;

    while (cm_help_next_line(&details, &line)) {
        if (line.example || line.text.len == 0) {
            cm_buf_add_str(buf, line.text);
            cm_buf_add_char(buf, '\n');
        } else {
            cm_buf_t paragraph = CM_BUF_INIT;
            cm_buf_add_str(&paragraph, line.text);
            cm_options_add_wrapped(buf, paragraph.data, 0, 0);
            cm_buf_free(&paragraph);
        }
    }
}

void cm_help_add_command(cm_buf_t *buf, const cm_program_t *program, const cm_command_t *command)
{
    const cm_option_t *table = cm_program_options(program, command);

    cm_buf_printf(buf, "Usage: clickmill %s [OPTIONS]%s%s\n\n", command->name,
                  command->arguments[0] != '\0' ? " " : "", command->arguments);
    cm_options_add_wrapped(buf, command->summary, 0, 0);
    if (command->details != NULL) {
        cm_buf_add_char(buf, '\n');
        add_details(buf, command->details);
    }
    if (table != NULL && table[0].name != NULL) {
        cm_buf_add_text(buf, "\nOptions:\n");
        cm_options_add_help(buf, table);
    }
    cm_buf_add_text(buf, "\nOptions of every command:\n");
    cm_options_add_help(buf, cm_global_option_table);
    add_exits(buf);
}
