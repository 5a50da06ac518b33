#include "settings/help.h"

#include "base/nearest.h"

#include "cmd/commands.h"

const char cm_help_about[] =
    "Clickmill turns clicks into answers: clicks, unique users and average time spent, exact per "
    "URL and country, from the click events of web sites.";

const char *const cm_help_exits[CM_EXIT_COUNT] = {
    [0] = "success, also when asked to stop by SIGINT or SIGTERM",
    [1] = "a bug, or an unexpected answer of a library",
    [-CM_EUSAGE] = "the command line or the configuration is wrong",
    [-CM_EINPUT] = "an input cannot be read: missing, truncated, or not of that format",
    [-CM_EIO] = "an output or the store cannot be written: disk full or bad, no permission",
    [-CM_EBUSY] = "the data directory or the port is held by somebody else",
    [-CM_ECORRUPT] = "stored bytes fail their checksum",
    [-CM_EVERSION] = "the store was written by a newer Clickmill",
    [-CM_ENOMEM] = "out of memory",
    [-CM_EDIFFER] = "two results that must agree do not",
    [-CM_EAWAY] = "a server does not answer",
    [-CM_EMISSING] = "events are missing or left: gone from Kafka unread, or still in the spool",
};

const cm_command_t *cm_help_find(const char *name)
{
    for (const cm_command_t *const *c = cm_commands; *c != NULL; c++) {
        if (strcmp((*c)->name, name) == 0)
            return *c;
    }
    return NULL;
}

int cm_help_fail_unknown(const char *name, cm_err_t *err)
{
    enum { MOST = 64 };
    const char *names[MOST + 1];
    size_t count = 0;

    for (; cm_commands[count] != NULL && count < MOST; count++)
        names[count] = cm_commands[count]->name;
    names[count] = NULL;
    const char *near = cm_nearest(name, names);
    if (near != NULL)
        return cm_fail(err, CM_EUSAGE, "unknown command %.80s; did you mean %s?", name, near);
    return cm_fail(err, CM_EUSAGE, "unknown command %.80s; `clickmill help` lists them", name);
}

static void add_exits(cm_buf_t *buf)
{
    cm_buf_add_text(buf, "\nExit codes:\n");
    for (int i = 0; i < CM_EXIT_COUNT; i++) {
        if (cm_help_exits[i] != NULL)
            cm_buf_printf(buf, "  %2d  %s\n", i, cm_help_exits[i]);
    }
}

void cm_help_add_overview(cm_buf_t *buf)
{
    cm_options_add_wrapped(buf, cm_help_about, 0, 0);
    cm_buf_add_text(buf, "\nUsage: clickmill [OPTIONS] COMMAND [OPTIONS] [ARGUMENTS]\n\n"
                         "Commands:\n");
    for (const cm_command_t *const *c = cm_commands; *c != NULL; c++) {
        cm_buf_printf(buf, "  %-10s ", (*c)->name);
        cm_options_add_wrapped(buf, (*c)->summary, 13, 13);
    }
    cm_buf_add_text(buf, "\nOptions of every command:\n");
    cm_options_add_help(buf, cm_global_option_table);
    add_exits(buf);
    cm_buf_add_text(buf, "\n`clickmill help COMMAND` explains a command. `clickmill run` starts "
                         "everything.\n");
}

/* Paragraphs, separated by newlines, each broken at 80 columns. A line that begins with a space is
 * an example and stays as it is. */
static void add_paragraphs(cm_buf_t *buf, const char *text)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        if (text[0] == ' ' || len == 0) {
            cm_buf_add(buf, text, len);
            cm_buf_add_char(buf, '\n');
        } else {
            cm_buf_t line = CM_BUF_INIT;
            cm_buf_add(&line, text, len);
            cm_options_add_wrapped(buf, line.data, 0, 0);
            cm_buf_free(&line);
        }
        text += len;
        text += *text == '\n';
    }
}

void cm_help_add_command(cm_buf_t *buf, const cm_command_t *command)
{
    const cm_option_t *table = cm_command_options(command);

    cm_buf_printf(buf, "Usage: clickmill %s [OPTIONS]%s%s\n\n", command->name,
                  command->arguments[0] != '\0' ? " " : "", command->arguments);
    cm_options_add_wrapped(buf, command->summary, 0, 0);
    if (command->details != NULL) {
        cm_buf_add_char(buf, '\n');
        add_paragraphs(buf, command->details);
    }
    if (table != NULL && table[0].name != NULL) {
        cm_buf_add_text(buf, "\nOptions:\n");
        cm_options_add_help(buf, table);
    }
    cm_buf_add_text(buf, "\nOptions of every command:\n");
    cm_options_add_help(buf, cm_global_option_table);
    add_exits(buf);
}

typedef struct help_options {
    bool man, markdown;
    int completion;
} help_options_t;

enum { SHELL_NONE, SHELL_BASH, SHELL_ZSH, SHELL_FISH };

static const cm_option_t table[] = {
    {.name = "man",
     .type = CM_OPT_FLAG,
     .offset = offsetof(help_options_t, man),
     .help = "print the manual page, as for `man -l -`"},
    {.name = "markdown",
     .type = CM_OPT_FLAG,
     .offset = offsetof(help_options_t, markdown),
     .help = "print the reference of all commands and configuration keys"},
    {.name = "completion",
     .type = CM_OPT_CHOICE,
     .offset = offsetof(help_options_t, completion),
     .arg = "SHELL",
     .def = "none",
     .choices = "none|bash|zsh|fish",
     .help = "print the completion script of a shell"},
    {.name = NULL},
};

static int run(cm_app_t *app, const void *options, int argc, char **argv)
{
    const help_options_t *o = options;
    const cm_command_t *command = NULL;
    cm_buf_t buf = CM_BUF_INIT;

    if (argc > 1)
        return cm_fail(&app->err, CM_EUSAGE, "help takes one command, but was given also \"%.80s\"",
                       argv[1]);
    if (o->man + o->markdown + (o->completion != SHELL_NONE) > 1)
        return cm_fail(&app->err, CM_EUSAGE,
                       "--man, --markdown and --completion exclude each other; choose one");
    if (argc == 1) {
        command = cm_help_find(argv[0]);
        if (command == NULL)
            return cm_help_fail_unknown(argv[0], &app->err);
        if (o->markdown || o->completion != SHELL_NONE)
            return cm_fail(&app->err, CM_EUSAGE,
                           "--markdown and --completion are about all commands; leave out %s",
                           command->name);
    }
    if (o->man)
        cm_help_add_man(&buf, command);
    else if (o->markdown)
        cm_help_add_markdown(&buf);
    else if (o->completion == SHELL_BASH)
        cm_help_add_bash(&buf);
    else if (o->completion == SHELL_ZSH)
        cm_help_add_zsh(&buf);
    else if (o->completion == SHELL_FISH)
        cm_help_add_fish(&buf);
    else if (command != NULL)
        cm_help_add_command(&buf, command);
    else
        cm_help_add_overview(&buf);
    fwrite(buf.data, 1, buf.len, app->out);
    cm_buf_free(&buf);
    return 0;
}

const cm_command_t cm_command_help = {
    .name = "help",
    .arguments = "[COMMAND]",
    .summary = "explains Clickmill or one of its commands",
    .details = "All help comes from the tables that the parser reads.\n"
               "\n"
               "  clickmill help --man | man -l -\n"
               "  source <(clickmill help --completion bash)\n"
               "  clickmill help --completion fish > ~/.config/fish/completions/clickmill.fish\n",
    .options = table,
    .options_size = sizeof(help_options_t),
    .run = run,
};
