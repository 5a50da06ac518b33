#include "settings/command.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/nearest.h"

#include <math.h>

#define FIELD(name) offsetof(cm_global_options_t, name)

const cm_option_t cm_global_option_table[] = {
    {.name = "config",
     .type = CM_OPT_TEXT,
     .offset = FIELD(config),
     .arg = "FILE",
     .help = "configuration in YAML or JSON; by default clickmill.yaml, if it exists"},
    {.name = "data",
     .type = CM_OPT_TEXT,
     .offset = FIELD(data_dir),
     .arg = "DIR",
     .def = "data",
     .key = "data",
     .env = "CLICKMILL_DATA",
     .help = "directory of the embedded store, created when it is missing"},
    {.name = "log-level",
     .type = CM_OPT_CHOICE,
     .offset = FIELD(log_level),
     .arg = "LEVEL",
     .def = "warn",
     .choices = "error|warn|info|debug",
     .key = "log_level",
     .help = "how much to log on stderr"},
    {.name = "debug",
     .type = CM_OPT_TEXT,
     .offset = FIELD(debug),
     .arg = "CONTEXT,...",
     .key = "debug",
     .help = "log on stderr what these parts decide, at any log level: " CM_DEBUG_LIST "or all"},
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

const cm_command_t *cm_program_find(const cm_program_t *program, const char *name)
{
    for (const cm_command_t *const *c = program->commands; *c != NULL; c++) {
        if (strcmp((*c)->name, name) == 0)
            return *c;
    }
    return NULL;
}

int cm_program_fail_unknown(const cm_program_t *program, const char *name, cm_err_t *err)
{
    enum { MOST = 64 };
    const char *names[MOST + 1];
    size_t count = 0;

    for (; program->commands[count] != NULL && count < MOST; count++)
        names[count] = program->commands[count]->name;
    names[count] = NULL;
    const char *near = cm_nearest(name, names);
    if (near != NULL)
        return cm_fail(err, CM_EUSAGE, "unknown command %.80s; did you mean %s?", name, near);
    return cm_fail(err, CM_EUSAGE, "unknown command %.80s; `clickmill help` lists them", name);
}

const cm_option_t *cm_program_options(const cm_program_t *program, const cm_command_t *command)
{
    size_t i = 0;

    if (command == NULL)
        return NULL;
    while (program->commands[i] != NULL && program->commands[i] != command)
        i++;
    if (program->commands[i] == NULL)
        return command->options;
    if (program->composed[i] == NULL)
        program->composed[i] = cm_options_compose(command->options);
    return program->composed[i];
}
