/* Completion scripts. They contain every command and option, so that a key press starts no process.
 */
#include "settings/help.h"

/* How a value is completed. */
typedef enum value_kind {
    VALUE_NONE, /* a flag */
    VALUE_ANY,  /* nothing to offer */
    VALUE_CHOICE,
    VALUE_FILE,
    VALUE_DIR,
} value_kind_t;

static value_kind_t value_kind(const cm_option_t *option)
{
    if (option->type == CM_OPT_FLAG)
        return VALUE_NONE;
    if (option->type == CM_OPT_CHOICE)
        return VALUE_CHOICE;
    if (strncmp(option->arg, "FILE", 4) == 0)
        return VALUE_FILE;
    return strcmp(option->arg, "DIR") == 0 ? VALUE_DIR : VALUE_ANY;
}

static bool takes_files(const cm_command_t *command)
{
    return strstr(command->arguments, "FILE") != NULL;
}

/* Adds the choices with spaces between them. A choice of several words would have to be quoted; it
 * is left out, because it is another name of a choice that is there. */
static void add_words(cm_buf_t *buf, const char *choices)
{
    size_t len;

    for (bool first = true; *choices != '\0'; choices += len + (choices[len] == '|')) {
        len = strcspn(choices, "|");
        if (memchr(choices, ' ', len) != NULL)
            continue;
        cm_buf_printf(buf, "%s%.*s", first ? "" : " ", (int)len, choices);
        first = false;
    }
}

/* The words that may be arguments of a command: the commands for `help`, and the fixed
 * words of an argument such as "list|show|replay". NULL when there are none; else free `scratch`.
 */
static const char *argument_words(const cm_program_t *program, const cm_command_t *command,
                                  cm_buf_t *scratch)
{
    if (strcmp(command->arguments, "[COMMAND]") == 0) {
        for (const cm_command_t *const *c = program->commands; *c != NULL; c++)
            cm_buf_printf(scratch, "%s%s", scratch->len > 0 ? " " : "", (*c)->name);
        return scratch->data;
    }
    const char *words = command->arguments + (command->arguments[0] == '[');
    size_t len = strspn(words, "abcdefghijklmnopqrstuvwxyz-|");
    if (len == 0 || memchr(words, '|', len) == NULL)
        return NULL;
    for (size_t i = 0; i < len; i++)
        cm_buf_add_char(scratch, words[i] == '|' ? ' ' : words[i]);
    return scratch->data;
}

/* ---- bash ---- */

static void add_bash_names(cm_buf_t *buf, const cm_option_t *table)
{
    for (const cm_option_t *o = table; o != NULL && o->name != NULL; o++)
        cm_buf_printf(buf, " --%s", o->name);
}

/* The branches "command:--option) ..." for the options that take a value. */
static void add_bash_values(cm_buf_t *buf, const char *command, const cm_option_t *table)
{
    for (const cm_option_t *o = table; o != NULL && o->name != NULL; o++) {
        value_kind_t kind = value_kind(o);
        if (kind == VALUE_NONE)
            continue;
        cm_buf_printf(buf, "    %s:--%s", command, o->name);
        if (o->letter != 0)
            cm_buf_printf(buf, " | %s:-%c", command, o->letter);
        cm_buf_add_text(buf, ") ");
        if (kind == VALUE_CHOICE) {
            cm_buf_add_text(buf, "mapfile -t COMPREPLY < <(compgen -W '");
            add_words(buf, o->choices);
            cm_buf_add_text(buf, "' -- \"$word\"); ");
        } else if (kind != VALUE_ANY) {
            cm_buf_printf(buf,
                          "compopt -o filenames; "
                          "mapfile -t COMPREPLY < <(compgen -%c -- \"$word\"); ",
                          kind == VALUE_FILE ? 'f' : 'd');
        }
        cm_buf_add_text(buf, "return ;;\n");
    }
}

/* The alternatives "--config|--data" of the options before the command that take a value. */
static void add_bash_takers(cm_buf_t *buf, const cm_option_t *table)
{
    const char *sep = "";

    for (const cm_option_t *o = table; o->name != NULL; o++) {
        if (value_kind(o) != VALUE_NONE) {
            cm_buf_printf(buf, "%s--%s", sep, o->name);
            sep = " | ";
        }
    }
}

static void add_bash_command(cm_buf_t *buf, const cm_program_t *program,
                             const cm_command_t *command)
{
    cm_buf_t scratch = CM_BUF_INIT;
    const char *words = argument_words(program, command, &scratch);

    cm_buf_printf(buf, "    %s) options+='", command->name);
    add_bash_names(buf, cm_program_options(program, command));
    cm_buf_printf(buf, "' words='%s' files=%d ;;\n", words != NULL ? words : "",
                  takes_files(command));
    cm_buf_free(&scratch);
}

void cm_help_add_bash(cm_buf_t *buf, const cm_program_t *program)
{
    cm_buf_add_text(buf,
                    "# Completion of clickmill for bash: source this file.\n"
                    "_clickmill() {\n"
                    "    local word=${COMP_WORDS[COMP_CWORD]} last=${COMP_WORDS[COMP_CWORD-1]}\n"
                    "    local command='' options='' words='' files=0 i\n"
                    "    COMPREPLY=()\n"
                    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
                    "        case ${COMP_WORDS[i]} in\n"
                    "        ");
    add_bash_takers(buf, cm_global_option_table);
    cm_buf_add_text(buf, ") ((i++)) ;;\n"
                         "        -*) ;;\n"
                         "        *) command=${COMP_WORDS[i]}; break ;;\n"
                         "        esac\n"
                         "    done\n"
                         "    case $command:$last in\n");
    for (const cm_command_t *const *c = program->commands; *c != NULL; c++)
        add_bash_values(buf, (*c)->name, cm_program_options(program, *c));
    add_bash_values(buf, "*", cm_global_option_table);
    cm_buf_add_text(buf, "    esac\n    options='");
    add_bash_names(buf, cm_global_option_table);
    cm_buf_add_text(buf, "'\n    case $command in\n    '') words='");
    for (const cm_command_t *const *c = program->commands; *c != NULL; c++)
        cm_buf_printf(buf, "%s%s", c == program->commands ? "" : " ", (*c)->name);
    cm_buf_add_text(buf, "' ;;\n");
    for (const cm_command_t *const *c = program->commands; *c != NULL; c++)
        add_bash_command(buf, program, *c);
    cm_buf_add_text(buf, "    esac\n"
                         "    if [[ $word == -* ]]; then\n"
                         "        mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$word\")\n"
                         "    elif ((files)); then\n"
                         "        compopt -o filenames\n"
                         "        mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
                         "    else\n"
                         "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
                         "    fi\n"
                         "}\n"
                         "complete -F _clickmill clickmill\n");
}

/* ---- zsh ---- */

/* Text inside the single quotes of an _arguments specification. */
static void add_zsh_text(cm_buf_t *buf, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            cm_buf_add_text(buf, "'\\''");
        else if (strchr("[]:\\", *text) != NULL)
            cm_buf_printf(buf, "\\%c", *text);
        else
            cm_buf_add_char(buf, *text);
    }
}

static void add_zsh_option(cm_buf_t *buf, const cm_option_t *option)
{
    value_kind_t kind = value_kind(option);

    cm_buf_printf(buf, " \\\n            '--%s%s[", option->name, kind == VALUE_NONE ? "" : "=");
    add_zsh_text(buf, option->help);
    cm_buf_add_char(buf, ']');
    if (kind != VALUE_NONE) {
        cm_buf_add_char(buf, ':');
        add_zsh_text(buf, option->arg);
        cm_buf_add_char(buf, ':');
    }
    if (kind == VALUE_CHOICE) {
        cm_buf_add_char(buf, '(');
        add_words(buf, option->choices);
        cm_buf_add_char(buf, ')');
    } else if (kind == VALUE_FILE) {
        cm_buf_add_text(buf, "_files");
    } else if (kind == VALUE_DIR) {
        cm_buf_add_text(buf, "_files -/");
    }
    cm_buf_add_char(buf, '\'');
}

static void add_zsh_options(cm_buf_t *buf, const cm_option_t *table)
{
    for (const cm_option_t *o = table; o != NULL && o->name != NULL; o++)
        add_zsh_option(buf, o);
}

static void add_zsh_command(cm_buf_t *buf, const cm_program_t *program, const cm_command_t *command)
{
    cm_buf_t scratch = CM_BUF_INIT;
    const char *words = argument_words(program, command, &scratch);

    cm_buf_printf(buf, "    %s)\n        _arguments", command->name);
    add_zsh_options(buf, cm_program_options(program, command));
    add_zsh_options(buf, cm_global_option_table);
    if (words != NULL)
        cm_buf_printf(buf, " \\\n            '1:argument:(%s)'", words);
    else if (takes_files(command))
        cm_buf_add_text(buf, " \\\n            '*:file:_files'");
    cm_buf_add_text(buf, " ;;\n");
    cm_buf_free(&scratch);
}

void cm_help_add_zsh(cm_buf_t *buf, const cm_program_t *program)
{
    cm_buf_add_text(buf, "#compdef clickmill\n"
                         "# Completion of clickmill for zsh: save as _clickmill in a directory of "
                         "$fpath.\n"
                         "_clickmill() {\n"
                         "    local context state state_descr line\n"
                         "    typeset -A opt_args\n"
                         "    local -a commands=(");
    for (const cm_command_t *const *c = program->commands; *c != NULL; c++) {
        cm_buf_printf(buf, "\n        '%s:", (*c)->name);
        add_zsh_text(buf, (*c)->summary);
        cm_buf_add_char(buf, '\'');
    }
    cm_buf_add_text(buf, "\n    )\n    _arguments -C");
    add_zsh_options(buf, cm_global_option_table);
    cm_buf_add_text(buf, " \\\n            '1:command:->command' '*::argument:->argument'\n"
                         "    case $state in\n"
                         "    command) _describe command commands; return ;;\n"
                         "    argument) ;;\n"
                         "    *) return ;;\n"
                         "    esac\n"
                         "    case $line[1] in\n");
    for (const cm_command_t *const *c = program->commands; *c != NULL; c++)
        add_zsh_command(buf, program, *c);
    cm_buf_add_text(buf, "    esac\n}\n"
                         "if [[ $funcstack[1] == _clickmill ]]; then\n"
                         "    _clickmill \"$@\"\n"
                         "else\n"
                         "    compdef _clickmill clickmill\n"
                         "fi\n");
}

/* ---- fish ---- */

static void add_fish_text(cm_buf_t *buf, const char *text)
{
    cm_buf_add_char(buf, '\'');
    for (; *text != '\0'; text++) {
        if (*text == '\'' || *text == '\\')
            cm_buf_add_char(buf, '\\');
        cm_buf_add_char(buf, *text);
    }
    cm_buf_add_char(buf, '\'');
}

/* `command` NULL: an option of every command. */
static void add_fish_options(cm_buf_t *buf, const cm_option_t *table, const char *command)
{
    for (const cm_option_t *o = table; o != NULL && o->name != NULL; o++) {
        value_kind_t kind = value_kind(o);
        cm_buf_add_text(buf, "complete -c clickmill");
        if (command != NULL)
            cm_buf_printf(buf, " -n '__fish_seen_subcommand_from %s'", command);
        cm_buf_printf(buf, " -l %s", o->name);
        if (o->letter != 0)
            cm_buf_printf(buf, " -s %c", o->letter);
        if (kind == VALUE_CHOICE) {
            cm_buf_add_text(buf, " -x -a '");
            add_words(buf, o->choices);
            cm_buf_add_char(buf, '\'');
        } else if (kind == VALUE_ANY) {
            cm_buf_add_text(buf, " -x");
        } else if (kind == VALUE_DIR) {
            cm_buf_add_text(buf, " -x -a '(__fish_complete_directories)'");
        } else if (kind == VALUE_FILE) {
            cm_buf_add_text(buf, " -r -F");
        }
        cm_buf_add_text(buf, " -d ");
        add_fish_text(buf, o->help);
        cm_buf_add_char(buf, '\n');
    }
}

static void add_fish_command(cm_buf_t *buf, const cm_program_t *program,
                             const cm_command_t *command)
{
    cm_buf_t scratch = CM_BUF_INIT;
    const char *words = argument_words(program, command, &scratch);

    cm_buf_printf(buf, "complete -c clickmill -n __fish_use_subcommand -a %s -d ", command->name);
    add_fish_text(buf, command->summary);
    cm_buf_add_char(buf, '\n');
    if (words != NULL)
        cm_buf_printf(buf, "complete -c clickmill -n '__fish_seen_subcommand_from %s' -a '%s'\n",
                      command->name, words);
    else if (takes_files(command))
        cm_buf_printf(buf, "complete -c clickmill -n '__fish_seen_subcommand_from %s' -F\n",
                      command->name);
    add_fish_options(buf, cm_program_options(program, command), command->name);
    cm_buf_free(&scratch);
}

void cm_help_add_fish(cm_buf_t *buf, const cm_program_t *program)
{
    cm_buf_add_text(buf, "# Completion of clickmill for fish: save as clickmill.fish in "
                         "~/.config/fish/completions.\n"
                         "complete -c clickmill -f\n");
    add_fish_options(buf, cm_global_option_table, NULL);
    for (const cm_command_t *const *c = program->commands; *c != NULL; c++)
        add_fish_command(buf, program, *c);
}
