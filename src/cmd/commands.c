#include "cmd/commands.h"

#include <math.h>

/* In the order in which help shows them: the way of an event. */
const cm_command_t *const cm_commands[] = {
    &cm_command_run,    &cm_command_produce, &cm_command_collect, &cm_command_import,
    &cm_command_ingest, &cm_command_process, &cm_command_query,   &cm_command_verify,
    &cm_command_export, &cm_command_dead,    &cm_command_recover, &cm_command_serve,
    &cm_command_enrich, &cm_command_doctor,  &cm_command_help,    NULL,
};

const cm_option_t *cm_command_options(const cm_command_t *command)
{
    static const cm_option_t *composed[sizeof cm_commands / sizeof cm_commands[0]];
    size_t i = 0;

    if (command == NULL)
        return NULL;
    while (cm_commands[i] != NULL && cm_commands[i] != command)
        i++;
    if (cm_commands[i] == NULL) /* a test's */
        return command->options;
    if (composed[i] == NULL)
        composed[i] = cm_options_compose(command->options);
    return composed[i];
}

#define FIELD(name) offsetof(cm_global_options_t, name)

const cm_option_t cm_global_option_table[] = {
    {.name = "config",
     .type = CM_OPT_TEXT,
     .offset = FIELD(config),
     .arg = "FILE",
     .help = "configuration in YAML or JSON; clickmill.yaml is read if it is there"},
    {.name = "data",
     .type = CM_OPT_TEXT,
     .offset = FIELD(data_dir),
     .arg = "DIR",
     .def = "data",
     .key = "data",
     .env = "CLICKMILL_DATA",
     .help = "directory of the embedded store, made when it is missing"},
    {.name = "log-level",
     .type = CM_OPT_CHOICE,
     .offset = FIELD(log_level),
     .arg = "LEVEL",
     .def = "warn",
     .choices = "error|warn|info|debug",
     .key = "log_level",
     .help = "how much to log on stderr"},
    {.name = "json",
     .type = CM_OPT_FLAG,
     .offset = FIELD(json),
     .help = "print the account of the run as one JSON object on stdout"},
    {.name = "memory",
     .type = CM_OPT_SIZE,
     .offset = FIELD(memory),
     .arg = "SIZE",
     .def = "1g",
     .min = 64 << 10,
     .max = INFINITY,
     .key = "memory",
     .help = "memory that the mill may use"},
    {.name = "session-timeout",
     .type = CM_OPT_DURATION,
     .offset = FIELD(session_timeout),
     .arg = "TIME",
     .def = "30m",
     .min = 1000,
     .max = CM_DAY_MS,
     .key = "session_timeout",
     .help = "a longer gap between two events of a user ends the session"},
    {.name = "visitors",
     .type = CM_OPT_CHOICE,
     .offset = FIELD(visitors),
     .arg = "KIND",
     .def = "auto",
     .choices = "auto|daily",
     .key = "visitors",
     .help = "daily: user ids live for one UTC day, so that counts over more days are of daily "
             "visitors; auto: as the store has recorded it"},
    {.name = "help",
     .letter = 'h',
     .type = CM_OPT_FLAG,
     .offset = FIELD(help),
     .help = "show help and exit"},
    {.name = "version",
     .letter = 'V',
     .type = CM_OPT_FLAG,
     .offset = FIELD(version),
     .help = "show the version and exit"},
    {.name = NULL},
};
