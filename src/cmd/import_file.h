/* How `import` reads a file into a store: by several threads, or by one. The caller is one
 * thread, and owns the store. */
#ifndef CM_CMD_IMPORT_FILE_H
#define CM_CMD_IMPORT_FILE_H

#include "cmd/app.h"
#include "event/batch.h"
#include "source/file/options.h"
#include "store/store.h"

/* Where a file goes. */
typedef struct cm_import_into {
    cm_store_t *store; /* or NULL, then: */
    cm_sink_t *sink;   /* keeps no positions, and needs a commit only at the end */
    uint8_t visitor_key[CM_VISITOR_KEY];
    cm_event_map_t *map;          /* NULL: members give the fields of their own names */
    cm_timestamp_format_t times;  /* how timestamps of events are read */
    bool older_keys;              /* of lines of access logs, see source/file/accesslog_builder.h */
    cm_enrich_thread_t enriching; /* of access logs; the first log starts it */
    int threads;                  /* 0: one per processor */
} cm_import_into_t;

/* Reads one file into the store or sink. Adds to `account` what was committed; for a sink, which
 * reports by itself what became of it, what was read. Plain JSONL files are read by several
 * threads, all others by one. */
int cm_import_file(cm_app_t *app, const cm_file_given_t *import, const cm_import_into_t *into,
                   const char *path, cm_account_t *account);

#endif
