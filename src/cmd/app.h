/* The surroundings of a command: streams, clock, log, flags of signals, and the global options.
 * They are passed in, so that tests can replace them. Used by the
 * main thread; what it borrows outlives it. */
#ifndef CM_CMD_APP_H
#define CM_CMD_APP_H

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/options.h"
#include "index/open.h"
#include "pipeline/accounts.h"
#include "pipeline/env.h"
#include "serve/questions.h"
#include "settings/command.h"
#include "store/open.h"

#include <stdatomic.h>
#include <stdio.h>

typedef struct cm_app {
    cm_log_t log;
    const cm_clock_t *clock;   /* NULL: the real one */
    FILE *out;                 /* data */
    FILE *messages;            /* for the user: status, accounts */
    bool terminal;             /* messages go to a terminal: live line, progress bar */
    const atomic_bool *stop;   /* becomes true at SIGINT or SIGTERM */
    const atomic_bool *hurry;  /* becomes true at the next one, where the command has set: */
    atomic_bool *hurries;      /* it waits, and reads `hurry`; else that signal ends the process */
    const atomic_int *hangups; /* SIGHUPs so far, of a command that `renews` */
    cm_global_options_t global;
    const cm_command_t *command;      /* the one being run */
    const cm_option_values_t *values; /* its parsed options, for cm_options_given() */
    cm_err_t err;
} cm_app_t;

/* The settings of the index that the options mean; they borrow from both. */
cm_index_settings_t cm_app_index_settings(const cm_app_t *app, const cm_index_options_t *options);

/* Writes the buffer to app->out at once, and empties it. CM_EIO; CM_ESTOP, which is no failure,
 * when the reader of a pipe has closed it. */
int cm_app_write(cm_app_t *app, cm_buf_t *buf);

/* The surroundings that a pipeline needs; they borrow from the app. */
cm_pipeline_env_t cm_app_env(const cm_app_t *app);

/* The settings of the store that the options mean; they borrow from both. */
cm_store_settings_t cm_app_store_settings(const cm_app_t *app, const cm_store_options_t *options);

/* The settings of questions to the API; they borrow from both. */
cm_questions_settings_t cm_app_questions(const cm_app_t *app, const cm_questions_given_t *given);

/* Prints how many rows of the store broke a rule and were left out, where there are any. */
void cm_app_print_left_out(const cm_app_t *app, uint64_t rejected);

/* How answers are refreshed, by the app's global options. */
cm_index_refresh_options_t cm_app_refresh_options(const cm_app_t *app, unsigned windows);

/* Prints the account of a run: sentences, or where --json asks one object to `json`. `dead_list` is
 * the command that lists the dead letters; without it that of the store. */
void cm_app_print_account(cm_app_t *app, const cm_account_t *account, FILE *json);
void cm_app_print_account_as(cm_app_t *app, const cm_account_t *account, FILE *json,
                             const char *dead_list);

/* Prints the account of the answers, in one of the same two forms. */
void cm_app_print_answers(cm_app_t *app, const cm_index_refreshed_t *done, double seconds);

#endif
