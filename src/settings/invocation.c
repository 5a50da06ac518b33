#include "settings/invocation.h"

#include "base/config.h"

#include <stdlib.h>
#include <unistd.h>

const char cm_invocation_config[] = "clickmill.yaml";

/* Sets the options of both tables from argv, which is without the names of program and command. */
static int parse_words(cm_invocation_t *call, int argc, char **argv, cm_err_t *err)
{
    const cm_option_t *command_table = cm_program_options(call->program, call->command);
    const cm_option_t *tables[] = {command_table, cm_global_option_table};
    cm_option_values_t *values[] = {&call->values, &call->global_values};

    int rc = cm_options_defaults(cm_global_option_table, &call->global, &call->global_values, err);
    if (rc == 0 && call->command != NULL)
        call->options = cm_alloc_zero(1, call->command->options_size);
    if (rc == 0)
        rc = cm_options_defaults(command_table, call->options, &call->values, err);
    if (rc == 0)
        rc = cm_options_parse(tables, values, 2, argc, argv, &call->argument_count, call->arguments,
                              err);
    return rc;
}

int cm_invocation_parse(cm_invocation_t *call, const cm_program_t *program, int argc, char **argv,
                        cm_err_t *err)
{
    int count = 0;
    int at = cm_options_find_argument(cm_global_option_table, argc, argv, err);

    *call = (cm_invocation_t){.program = program};
    if (at < 0)
        return at;
    /* Many programs take `version` as well as --version. */
    bool version = at < argc && strcmp(argv[at], "version") == 0;
    if (at < argc && !version) {
        call->command = cm_program_find(program, argv[at]);
        if (call->command == NULL)
            return cm_program_fail_unknown(program, argv[at], err);
    }
    call->arguments = cm_alloc((size_t)argc * sizeof *call->arguments);
    char **words = cm_alloc((size_t)argc * sizeof *words);
    for (int i = 1; i < argc; i++) {
        if (i != at)
            words[count++] = argv[i];
    }
    int rc = parse_words(call, count, words, err);
    free(words);
    call->global.version |= version;
    return rc;
}

/* The file may hold the keys of every command; only those of this one are applied. */
static int apply_config(cm_invocation_t *call, cm_err_t *err)
{
    const cm_command_t *const *commands = call->program->commands;
    cm_config_t config = CM_CONFIG_INIT;
    cm_config_table_t *tables;
    size_t count = 0;
    int rc;

    call->config = call->global.config;
    if (call->config == NULL) {
        if (access(cm_invocation_config, F_OK) != 0)
            return 0;
        call->config = cm_invocation_config;
    }
    while (commands[count] != NULL)
        count++;
    tables = cm_alloc((count + 1) * sizeof *tables);
    for (size_t i = 0; i < count; i++) {
        bool running = commands[i] == call->command;
        tables[i] = (cm_config_table_t){cm_program_options(call->program, commands[i]),
                                        running ? &call->values : NULL};
    }
    tables[count] = (cm_config_table_t){cm_global_option_table, &call->global_values};
    rc = cm_config_read(&config, call->config, err);
    if (rc == 0)
        rc = cm_config_apply(&config, tables, count + 1, err);
    cm_config_free(&config);
    free(tables);
    return rc;
}

int cm_invocation_complete(cm_invocation_t *call, cm_err_t *err)
{
    int rc = apply_config(call, err);

    if (rc == 0)
        rc = cm_options_environment(cm_global_option_table, &call->global_values, err);
    if (rc == 0)
        rc = cm_options_environment(cm_program_options(call->program, call->command), &call->values,
                                    err);
    return rc;
}

static void log_values(const cm_option_values_t *values, const cm_log_t *log)
{
    static const char *const origins[] = {
        [CM_FROM_DEFAULT] = "default",
        [CM_FROM_FILE] = "file",
        [CM_FROM_ENVIRONMENT] = "environment",
        [CM_FROM_COMMAND_LINE] = "command-line",
    };

    /* Without the values: some are secrets. */
    for (size_t i = 0; values->table != NULL && values->table[i].name != NULL; i++) {
        if (values->origins[i] > CM_FROM_DEFAULT)
            cm_debug(log, CM_DEBUG_CONFIG, "option is set", "option=%s from=%s",
                     values->table[i].name, origins[values->origins[i]]);
    }
}

void cm_invocation_log(const cm_invocation_t *call, const cm_log_t *log)
{
    if (!cm_debugs(log, CM_DEBUG_CONFIG))
        return;
    cm_debug(log, CM_DEBUG_CONFIG, "configuration", "file=%s",
             call->config != NULL ? call->config : "none");
    log_values(&call->global_values, log);
    log_values(&call->values, log);
}

void cm_invocation_free(cm_invocation_t *call)
{
    free(call->options);
    free(call->arguments);
    cm_options_free(&call->values);
    cm_options_free(&call->global_values);
}
