/* clickmill help: help in all its forms. */
#include "settings/help.h"
#include "cmd/commands.h"

typedef struct help_options {
    bool man, markdown;
    int completion;
} help_options_t;

enum { SHELL_NONE, SHELL_BASH, SHELL_ZSH, SHELL_FISH };

static const cm_option_t options[] = {
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

static int run(cm_app_t *app, const void *given, int argc, char **argv)
{
    const help_options_t *o = given;
    const cm_program_t *program = &cm_cmd_program;
    const cm_command_t *command = NULL;
    cm_buf_t buf = CM_BUF_INIT;

    if (argc > 1)
        return cm_fail(&app->err, CM_EUSAGE, "help takes one command, but was given also \"%.80s\"",
                       argv[1]);
    if (o->man + o->markdown + (o->completion != SHELL_NONE) > 1)
        return cm_fail(&app->err, CM_EUSAGE,
                       "--man, --markdown and --completion exclude each other; choose one");
    if (argc == 1) {
        command = cm_program_find(program, argv[0]);
        if (command == NULL)
            return cm_program_fail_unknown(program, argv[0], &app->err);
        if (o->markdown || o->completion != SHELL_NONE)
            return cm_fail(&app->err, CM_EUSAGE,
                           "--markdown and --completion are about all commands; leave out %s",
                           command->name);
    }
    if (o->man)
        cm_help_add_man(&buf, program, command);
    else if (o->markdown)
        cm_help_add_markdown(&buf, program);
    else if (o->completion == SHELL_BASH)
        cm_help_add_bash(&buf, program);
    else if (o->completion == SHELL_ZSH)
        cm_help_add_zsh(&buf, program);
    else if (o->completion == SHELL_FISH)
        cm_help_add_fish(&buf, program);
    else if (command != NULL)
        cm_help_add_command(&buf, program, command);
    else
        cm_help_add_overview(&buf, program);
    fwrite(buf.data, 1, buf.len, app->out);
    cm_buf_free(&buf);
    return 0;
}

const cm_command_t cm_cmd_help = {
    .name = "help",
    .arguments = "[COMMAND]",
    .summary = "explain Clickmill or one of its commands",
    .details = "Also prints the manual page, the reference in Markdown, and completion scripts.\n"
               "\n"
               "  clickmill help --man | man -l -\n"
               "  source <(clickmill help --completion bash)\n"
               "  clickmill help --completion fish > ~/.config/fish/completions/clickmill.fish\n"
               "",
    .options = options,
    .options_size = sizeof(help_options_t),
    .run = run,
};
