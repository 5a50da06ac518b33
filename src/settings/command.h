/* What a command is, and what all commands have in common.
 *
 * A command is a constant: its name, its texts for help, its options and the function that runs it.
 * The program is the list of its commands; parsing, help, the manual page, completion and the
 * reference are made from that list. Used by the main thread only. */
#ifndef CM_SETTINGS_COMMAND_H
#define CM_SETTINGS_COMMAND_H

#include "base/options.h"

/* Whether user ids live for one UTC day: as the store has recorded it, or by the configuration. */
typedef enum cm_visitors_choice {
    CM_VISITORS_AUTO,
    CM_VISITORS_DAILY,
} cm_visitors_choice_t;

/* Options that every command takes. */
typedef struct cm_global_options {
    const char *config;      /* --config FILE, default clickmill.yaml when it is there */
    const char *data_dir;    /* --data DIR, default "data" */
    int log_level;           /* --log-level error|warn|info|debug */
    const char *debug;       /* --debug kafka,mill; NULL: no contexts are chosen */
    bool json;               /* --json: the run's account as one JSON object on stdout */
    bool help;               /* --help */
    bool version;            /* --version */
    int64_t memory;          /* memory: bytes the mill may use */
    int64_t session_timeout; /* session_timeout: ms, default 30m */
    int visitors;            /* visitors: cm_visitors_choice_t */
} cm_global_options_t;

struct cm_app;

typedef struct cm_command {
    const char *name;
    const char *arguments;      /* "FILE...|-"; "" for none, and then none are accepted */
    const char *summary;        /* one line for the table of commands */
    const char *details;        /* paragraphs for help and manual; NULL: none */
    const cm_option_t *options; /* arrays composed by CM_OPT_ROWS; NULL: only the global ones */
    size_t options_size;        /* of the struct that the table fills */
    bool renews;                /* SIGHUP sent by a process makes it read its files again, and does
                                   not stop it */
    /* Returns 0 or a CM_E* with the sentence in app->err (cmd/app.h). */
    int (*run)(struct cm_app *app, const void *options, int argc, char **argv);
} cm_command_t;

typedef struct cm_program {
    const cm_command_t *const *commands; /* in the order of help; ends with NULL */
    const cm_option_t **composed;        /* one entry per command: its composed table, once made */
} cm_program_t;

/* The options of every command: for a cm_global_options_t. */
extern const cm_option_t cm_global_option_table[];

/* The command of this name, NULL when there is none. */
const cm_command_t *cm_program_find(const cm_program_t *program, const char *name);

/* "unknown command imprt; did you mean import?" Returns CM_EUSAGE. */
int cm_program_fail_unknown(const cm_program_t *program, const char *name, cm_err_t *err);

/* The composed table of the command's options; NULL when it has none, or for NULL. It is made when
 * it is first asked for and lives as long as the process. A command that is not in the list must
 * have plain rows. */
const cm_option_t *cm_program_options(const cm_program_t *program, const cm_command_t *command);

#endif
