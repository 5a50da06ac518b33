/* `import`: the parts behind its options. One thread. */
#ifndef CM_CMD_IMPORT_H
#define CM_CMD_IMPORT_H

#include "cmd/import_file.h"
#include "sink/options.h"

typedef struct cm_import_options {
    cm_file_given_t import;
    bool to_answers;
    bool process; /* compute the answers at the end */
    const char *windows;
    int64_t threads;
    cm_sink_options_t sink;
} cm_import_options_t;

/* What all files are read with, and where they go. */
typedef struct cm_import {
    cm_app_t *app;
    const cm_import_options_t *asked;
    int count; /* files */
    char **paths;
    cm_account_t account;
} cm_import_t;

/* Reads all files into `into` and adds them to the account; a file that cannot be read does not
 * keep the others out. Returns the first failure. */
int cm_import_files(cm_import_t *import, const cm_import_into_t *into);

/* Imports the files into the data directory's store, or by way of the process that holds it, and
 * computes the answers; into Kafka's topic; or only computes and prints the answers. `into` has how
 * files are read. Each prints the account. */
int cm_import_to_store(cm_import_t *import, cm_import_into_t into);
int cm_import_to_topic(cm_import_t *import, cm_import_into_t into);
int cm_import_to_answers(cm_import_t *import, cm_import_into_t into);

/* After all files, where another process holds the directory: prints the account, and which process
 * has stored the events. Where that one keeps the answers up to date, waits some time for them
 * (`process`). Returns `rc`, the result of reading. */
int cm_import_end_held(cm_app_t *app, const cm_import_into_t *into, const cm_account_t *account,
                       bool process, int rc);

#endif
