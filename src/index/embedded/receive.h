/* The embedded index as a mirror of another one. One thread, that of the connection. */
#ifndef CM_INDEX_EMBEDDED_RECEIVE_H
#define CM_INDEX_EMBEDDED_RECEIVE_H

#include "index/index.h"
#include "store/embedded/database.h"

/* cm_index_apply() of the embedded index: reads all rows of the source and writes those that
 * differ, in one transaction a window. They are answers of another store's events (embedded.h). */
int cm_index_embedded_receive(const cm_database_t *database, cm_index_t *source,
                              const cm_index_apply_t *options, cm_index_checkpoint_t *checkpoint,
                              cm_index_applied_t *applied, cm_err_t *err);

#endif
