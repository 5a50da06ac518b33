/* The holder of a data directory takes the events of other processes of its user, so that `import`
 * works while `run` or `collect` holds the directory.
 *
 * A thread listens at DATA/clickmill.sock (mode 0600) and reads what is sent into memory, up to a
 * limit. The thread that owns the store puts it, in cm_holder_take(), and answers, in
 * cm_holder_answer(), before and after each of its own commits: events and the position of their
 * source are in one transaction, as if the other process had written them itself. */
#ifndef CM_STORE_EMBEDDED_HOLDER_H
#define CM_STORE_EMBEDDED_HOLDER_H

#include "event/batch.h"

#include <stdbool.h>

typedef struct cm_holder cm_holder_t;

/* What senders need to know about the directory. */
typedef struct cm_holder_keys {
    uint8_t secret[32];     /* the visitors' key */
    bool older, older_told; /* see cm_store_older_keys() */
} cm_holder_keys_t;

/* What the holder does with the store; all are called by the thread that owns it. */
typedef struct cm_holder_store {
    void *context;
    int (*put)(void *context, const cm_batch_t *batch, cm_err_t *err);
    int (*position)(void *context, const char *source, int64_t *position, cm_err_t *err);
    int (*keys)(void *context, cm_holder_keys_t *keys, cm_err_t *err);
    int (*tell_older)(void *context, cm_err_t *err);
    int (*add_site)(void *context, const char *host, cm_err_t *err);
} cm_holder_store_t;

/* Starts to listen. `answers`: this process keeps the answers up to date. CM_EIO when the
 * directory cannot have a socket. */
int cm_holder_open(const char *data_dir, const cm_holder_store_t *store, bool answers,
                   cm_holder_t **holder, cm_err_t *err);

/* Puts what has come, for a fraction of a second at most. Returns the error of a put. */
int cm_holder_take(cm_holder_t *holder, cm_err_t *err);

/* After a commit: answers the senders that wait for it, because what was put is durable. */
void cm_holder_answer(cm_holder_t *holder);

/* What was put since the last commit was rolled back: its senders get the reason. */
void cm_holder_lose(cm_holder_t *holder, const cm_err_t *why);

/* Tells connected senders, and ends the thread. NULL is allowed. */
void cm_holder_close(cm_holder_t *holder);

#endif
