/* What the parts of the embedded store share: events (store.c), and all else that a data directory
 * has (directory.c). One thread, except for the dictionaries, which a lock guards. */
#ifndef CM_STORE_EMBEDDED_INTERNAL_H
#define CM_STORE_EMBEDDED_INTERNAL_H

#include "store/embedded/holder.h"
#include "store/embedded/key.h"
#include "store/embedded/merge.h"
#include "store/embedded/store.h"

#include <pthread.h>

typedef struct cm_store_embedded {
    cm_store_t store; /* first */
    cm_database_t database;
    const cm_clock_t *clock;
    char *data_dir;
    pthread_mutex_t dict_lock; /* resolve() adds strings while another thread writes */
    cm_dict_t dicts[CM_FIELD_COUNT];
    uint32_t dict_committed[CM_FIELD_COUNT]; /* strings that are in the file */
    bool dicts_loaded;                       /* they are read when the first string is looked up */
    cm_builder_t pending;                    /* events not yet in a block */
    cm_merge_t merge;
    cm_holder_t *holder;    /* NULL: events of other processes are not taken */
    uint8_t secret[CM_KEY]; /* the directory's key, once it was asked for */
    bool has_secret;
    int64_t committed, written; /* events in committed blocks, and with the open transaction's */
    bool in_transaction;
    bool without_extra; /* see CM_SETTING_WITHOUT_EXTRA */
    bool second_writer; /* has written here: that ends this one */
    sqlite3_stmt *begin, *commit, *select_ends, *insert_block, *insert_strings, *insert_dead,
        *set_source, *drop_source;
} cm_store_embedded_t;

extern const cm_store_directory_ops_t cm_store_embedded_directory;

/* Begins a transaction where none is open. CM_EBUSY when a second writer was here; CM_EDISK. */
int cm_store_embedded_begin(cm_store_embedded_t *self, cm_err_t *err);

/* After a failure within a transaction, which is rolled back. Returns `rc`, or CM_EDISK. */
int cm_store_embedded_give_up(cm_store_embedded_t *self, int rc, cm_err_t *err);

/* The sink's put(), also for events of other processes. */
int cm_store_embedded_put(cm_sink_t *sink, const cm_batch_t *batch, cm_err_t *err);

#endif
