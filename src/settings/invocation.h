/* One command line, parsed: the command, its options and its arguments.
 *
 * cm_invocation_parse() reads the command line, cm_invocation_complete() adds what the
 * configuration file and the environment say. Owns the options and their strings until
 * cm_invocation_free(). Used by the main thread only. */
#ifndef CM_SETTINGS_INVOCATION_H
#define CM_SETTINGS_INVOCATION_H

#include "base/log.h"
#include "settings/command.h"

typedef struct cm_invocation {
    const cm_program_t *program;
    const cm_command_t *command; /* NULL: the command line names none */
    const char *config;          /* the configuration file that applies; NULL: none */
    cm_global_options_t global;
    cm_option_values_t global_values, values;
    void *options; /* the command's struct */
    char **arguments;
    int argument_count;
} cm_invocation_t;

/* The configuration file that is read where --config names no other, if it exists. */
extern const char cm_invocation_config[];

/* Finds the command's name in argv and parses everything else. CM_EUSAGE. To be freed also after a
 * failure. */
int cm_invocation_parse(cm_invocation_t *call, const cm_program_t *program, int argc, char **argv,
                        cm_err_t *err);

/* Sets what the command line has not set from the configuration file, then from the environment. A
 * command must be named. CM_EUSAGE; CM_EINPUT when the file cannot be read. */
int cm_invocation_complete(cm_invocation_t *call, cm_err_t *err);

/* Writes debug entries (CM_DEBUG_CONFIG): which configuration was read, and which options were set
 * where, without their values. */
void cm_invocation_log(const cm_invocation_t *call, const cm_log_t *log);

void cm_invocation_free(cm_invocation_t *call);

#endif
