/* Reading blocks of the embedded store, on a connection of its own or on the writer's. One thread,
 * that of the connection. */
#ifndef CM_STORE_EMBEDDED_READER_H
#define CM_STORE_EMBEDDED_READER_H

#include "store/embedded/database.h"
#include "store/store.h"

/* A reader on the caller's connection, which must outlive it and is not closed by it. */
int cm_reader_open_on(const cm_database_t *database, cm_reader_t **reader, cm_err_t *err);

#endif
