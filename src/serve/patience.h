/* How long a connection may take: one that completes no request within a time is closed, whether it
 * is silent or sends a byte now and then to stay. While an answer is being made, nobody is hurried.
 *
 * open() to close() are for the server's threads, one of them at a time for each connection. */
#ifndef CM_SERVE_PATIENCE_H
#define CM_SERVE_PATIENCE_H

#include "base/err.h"

#include <stdbool.h>

typedef struct cm_patience cm_patience_t;
typedef struct cm_guest cm_guest_t;

/* Starts the thread that looks. CM_EINTERNAL. */
int cm_patience_start(int seconds, cm_patience_t **patience, cm_err_t *err);

/* After the last close(). NULL is allowed. */
void cm_patience_stop(cm_patience_t *patience);

/* A connection has come. Never NULL. */
cm_guest_t *cm_patience_open(cm_patience_t *patience, int fd);

/* Its request is whole: it waits for us. */
void cm_patience_busy(cm_guest_t *guest);

/* It has its answer, and time for the next request. */
void cm_patience_idle(cm_guest_t *guest);

/* Before its socket is closed. */
void cm_patience_close(cm_patience_t *patience, cm_guest_t *guest);

#endif
