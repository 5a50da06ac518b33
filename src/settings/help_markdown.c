/* The reference in Markdown: docs/reference.md is this output. */
#include "settings/help.h"

/* Text in a table's cell, where a bar would end it. */
static void add_cell(cm_buf_t *buf, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|')
            cm_buf_add_char(buf, '\\');
        cm_buf_add_char(buf, *text);
    }
}

static void add_code(cm_buf_t *buf, const char *text)
{
    if (text == NULL || text[0] == '\0')
        return;
    cm_buf_add_char(buf, '`');
    add_cell(buf, text);
    cm_buf_add_char(buf, '`');
}

static void add_option(cm_buf_t *buf, const cm_option_t *option)
{
    cm_buf_add_text(buf, "| ");
    if (option->letter != 0)
        cm_buf_printf(buf, "`-%c`, ", option->letter);
    cm_buf_printf(buf, "`--%s", option->name);
    if (option->arg != NULL) {
        cm_buf_add_char(buf, ' ');
        add_cell(buf, option->arg);
    }
    cm_buf_add_text(buf, "` | ");
    add_cell(buf, option->help);
    if (option->type == CM_OPT_CHOICE) {
        cm_buf_add_text(buf, ": ");
        cm_options_add_choices(buf, option);
    }
    cm_buf_add_text(buf, " | ");
    add_code(buf, option->def);
    cm_buf_add_text(buf, " | ");
    add_code(buf, option->key);
    cm_buf_add_text(buf, " | ");
    add_code(buf, option->env);
    cm_buf_add_text(buf, " |\n");
}

static void add_options(cm_buf_t *buf, const cm_option_t *table)
{
    if (table == NULL || table->name == NULL)
        return;
    cm_buf_add_text(buf, "\n| option | meaning | default | key | environment |\n"
                         "|---|---|---|---|---|\n");
    for (const cm_option_t *o = table; o->name != NULL; o++)
        add_option(buf, o);
}

/* The details: examples become code blocks, all other lines paragraphs. */
static void add_details(cm_buf_t *buf, const char *details)
{
    bool example = false;
    cm_help_line_t line;

    while (cm_help_next_line(&details, &line)) {
        const size_t skip = line.example ? strspn(line.text.data, " ") : 0;
        if (line.example != example)
            cm_buf_add_text(buf, line.example ? "\n```sh\n" : "```\n");
        if (!line.example && line.text.len > 0)
            cm_buf_add_char(buf, '\n');
        if (line.text.len > 0) {
            cm_buf_add(buf, line.text.data + skip, line.text.len - skip);
            cm_buf_add_char(buf, '\n');
        }
        example = line.example;
    }
    if (example)
        cm_buf_add_text(buf, "```\n");
}

static void add_command(cm_buf_t *buf, const cm_program_t *program, const cm_command_t *command)
{
    cm_buf_printf(buf, "\n### clickmill %s\n\n    clickmill %s [OPTIONS]%s%s\n\n", command->name,
                  command->name, command->arguments[0] != '\0' ? " " : "", command->arguments);
    cm_buf_printf(buf, "%s\n", command->summary);
    if (command->details != NULL)
        add_details(buf, command->details);
    add_options(buf, cm_program_options(program, command));
}

/* The other keys that mean the same. */
static void add_aliases(cm_buf_t *buf, const cm_option_t *option)
{
    const char *rest = option->aliases != NULL ? option->aliases : "";

    while (*rest != '\0') {
        size_t len = strcspn(rest, "|");
        cm_buf_printf(buf, "%s`%.*s`", rest == option->aliases ? "; also " : ", ", (int)len, rest);
        rest += len + (rest[len] == '|');
    }
}

/* Adds one line for each key; a key that several commands read is listed once. */
static void add_keys(cm_buf_t *buf, const cm_option_t *table, const char *command, cm_buf_t *seen)
{
    for (const cm_option_t *o = table; o != NULL && o->name != NULL; o++) {
        cm_buf_t mark = CM_BUF_INIT;
        if (o->key == NULL)
            continue;
        cm_buf_printf(&mark, "\n%s\n", o->key);
        if (seen->data == NULL || strstr(seen->data, mark.data) == NULL) {
            cm_buf_add_str(seen, (cm_str_t){mark.data, mark.len});
            cm_buf_printf(buf, "| `%s%s` | %s `--%s` | ", o->key,
                          o->type == CM_OPT_MAP ? ".NAME" : "", command, o->name);
            add_cell(buf, o->help);
            add_aliases(buf, o);
            cm_buf_add_text(buf, " | ");
            add_code(buf, o->def);
            cm_buf_add_text(buf, " |\n");
        }
        cm_buf_free(&mark);
    }
}

static void add_configuration(cm_buf_t *buf, const cm_program_t *program)
{
    cm_buf_t seen = CM_BUF_INIT;

    cm_buf_add_text(
        buf, "\n## Configuration\n\n"
             "`clickmill.yaml` in the working directory, or the file that `--config` names: YAML, "
             "or JSON. A dot\nin a key is a level: `http.listen` is `listen:` below `http:`, or "
             "`http.listen:` in one line. A list\nof values is the same as one text with commas. "
             "Empty and `null` leave the default. The environment\noverrides the file, the command "
             "line overrides both. One file serves all commands: each takes the\nkeys it knows, "
             "and a key that none knows is an error.\n\n"
             "| key | option | meaning | default |\n|---|---|---|---|\n");
    add_keys(buf, cm_global_option_table, "every command:", &seen);
    for (const cm_command_t *const *c = program->commands; *c != NULL; c++)
        add_keys(buf, cm_program_options(program, *c), (*c)->name, &seen);
    cm_buf_free(&seen);
}

void cm_help_add_markdown(cm_buf_t *buf, const cm_program_t *program)
{
    cm_buf_add_text(buf, "# Reference\n\n"
                         "Made by `clickmill help --markdown` from the tables that the program "
                         "itself reads.\n\n"
                         "    clickmill [OPTIONS] COMMAND [OPTIONS] [ARGUMENTS]\n\n"
                         "Options stand before or after the arguments; `--` ends them. "
                         "`--name value` and `--name=value`\nare the same, a flag is turned off by "
                         "`--no-name`, and of several the last one counts. Durations\nare written "
                         "`500ms`, `5s`, `30m`, `2h`, `1d` (a bare number is seconds), sizes "
                         "`64k`, `512m`, `2g`\n(powers of 1024; a bare number is bytes).\n\n"
                         "## Commands\n\n| command | |\n|---|---|\n");
    for (const cm_command_t *const *c = program->commands; *c != NULL; c++) {
        cm_buf_printf(buf, "| [`%s`](#clickmill-%s) | ", (*c)->name, (*c)->name);
        add_cell(buf, (*c)->summary);
        cm_buf_add_text(buf, " |\n");
    }
    cm_buf_add_text(buf, "\n### Options of every command\n");
    add_options(buf, cm_global_option_table);
    for (const cm_command_t *const *c = program->commands; *c != NULL; c++)
        add_command(buf, program, *c);
    add_configuration(buf, program);
    cm_buf_add_text(buf, "\n## Exit codes\n\n| code | meaning |\n|---|---|\n");
    for (int i = 0; i < CM_EXIT_COUNT; i++) {
        if (cm_help_exits[i] != NULL)
            cm_buf_printf(buf, "| %d | %s |\n", i, cm_help_exits[i]);
    }
}
