/* The idle timeout: a connection that completes no request within it is closed, whether it is
 * silent or sends a byte from time to time to stay open. The time in which an answer is made does
 * not count.
 *
 * open() to close() are for the server's threads, one thread at a time for each connection. */
#ifndef CM_SERVE_IDLE_H
#define CM_SERVE_IDLE_H

#include "base/err.h"

#include <stdbool.h>

typedef struct cm_idle cm_idle_t;
typedef struct cm_idle_connection cm_idle_connection_t;

/* Starts the thread that checks all connections once a second. CM_EINTERNAL. */
int cm_idle_start(int seconds, cm_idle_t **idle, cm_err_t *err);

/* After the last close(). NULL is allowed. */
void cm_idle_stop(cm_idle_t *idle);

/* Begins to count the time of a connection. Never NULL. */
cm_idle_connection_t *cm_idle_open(cm_idle_t *idle, int fd);

/* Its request is complete and is being answered: stops counting. */
void cm_idle_pause(cm_idle_connection_t *connection);

/* It has its answer: counts again from 0. */
void cm_idle_restart(cm_idle_connection_t *connection);

/* Called before its socket is closed. */
void cm_idle_close(cm_idle_t *idle, cm_idle_connection_t *connection);

#endif
