/* How long a connection may take: one that completes no request within a time is closed, whether it
 * is silent or sends a byte now and then to stay. While an answer is being made, nobody is hurried.
 *
 * open() to close() are for the server's threads, one of them at a time for each connection. */
#ifndef CM_SERVE_IDLE_H
#define CM_SERVE_IDLE_H

#include "base/err.h"

#include <stdbool.h>

typedef struct cm_idle cm_idle_t;
typedef struct cm_idle_connection cm_idle_connection_t;

/* Starts the thread that looks. CM_EINTERNAL. */
int cm_idle_start(int seconds, cm_idle_t **patience, cm_err_t *err);

/* After the last close(). NULL is allowed. */
void cm_idle_stop(cm_idle_t *patience);

/* A connection has come. Never NULL. */
cm_idle_connection_t *cm_idle_open(cm_idle_t *patience, int fd);

/* Its request is whole: it waits for us. */
void cm_idle_pause(cm_idle_connection_t *guest);

/* It has its answer, and time for the next request. */
void cm_idle_restart(cm_idle_connection_t *guest);

/* Before its socket is closed. */
void cm_idle_close(cm_idle_t *patience, cm_idle_connection_t *guest);

#endif
