/* Opening an index: the one place that chooses the engine.
 *
 * The texts that the settings point to must outlive the index. For any thread; an index itself is
 * used by one. */
#ifndef CM_INDEX_OPEN_H
#define CM_INDEX_OPEN_H

#include "elastic/client.h"
#include "index/index.h"
#include "index/options.h"
#include "store/store.h"

typedef struct cm_index_settings {
    int engine;                          /* cm_index_choice_t */
    const char *data_dir;                /* of the embedded index */
    cm_elastic_settings_t elasticsearch; /* unused by the embedded index */
    const atomic_bool *stop; /* ends every wait for a server; NULL: that of `elasticsearch` */
    bool daily; /* ids of visitors live for one UTC day, says the configuration; for reading */
} cm_index_settings_t;

/* The settings of the index in a data directory; they borrow its name. `daily`: user ids live for
 * one UTC day. */
cm_index_settings_t cm_index_settings_of_data_dir(const char *data_dir, bool daily);

/* Opens the index for reading, beside another thread or process that writes it. CM_EINPUT when
 * there is none yet, CM_EAWAY when its server does not answer, CM_EUSAGE. */
int cm_index_open(const cm_index_settings_t *settings, cm_index_t **index, cm_err_t *err);

/* Opens the index for writing and probing. It need not exist, and no server is asked yet. The
 * embedded index is written through the connection of `store`, which is open for writing; it may
 * be NULL for any other. Its freshness says what is written, not what the configuration says of
 * visitors: a mirror sends what differs. CM_EUSAGE. */
int cm_index_open_writer(const cm_index_settings_t *settings, cm_store_t *store, cm_index_t **index,
                         cm_err_t *err);

/* Opens the index on the server that the settings describe, as cm_index_open_writer() does, also
 * where they choose the one in the data directory. CM_EUSAGE. */
int cm_index_open_server(const cm_index_settings_t *settings, cm_index_t **index, cm_err_t *err);

/* Whether the index stands in the data directory, beside the events. */
bool cm_index_in_data_dir(const cm_index_settings_t *settings);

/* The server that holds the index, for another program that writes it (borrowed from `settings`);
 * NULL when the index stands in the data directory. */
const cm_elastic_settings_t *cm_index_server(const cm_index_settings_t *settings);

/* What a user calls the place where the answers are: a directory or an alias. */
const char *cm_index_place(const cm_index_settings_t *settings);

/* What sentences call the engine: "Elasticsearch". */
const char *cm_index_engine(const cm_index_settings_t *settings);

/* Whether a dead letter of this origin is a row that an index refused; if so, `*index` gets which
 * engine, for cm_index_engine() and cm_index_argument(). */
bool cm_index_refused(cm_str_t origin, cm_index_settings_t *index);

/* What `process` needs beside its other options to write this index: "" or
 * " --index elasticsearch". */
const char *cm_index_argument(const cm_index_settings_t *settings);

#endif
