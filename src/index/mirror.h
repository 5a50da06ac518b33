/* Following an index: a thread that keeps another index equal to it, so that a target that is slow
 * or not reachable delays nothing else.
 *
 * The thread reads the source through handles of its own. Two results have to be written to the
 * source's store: how far the mirror is, and which rows the target refused. They wait for
 * collect(), because only the thread that owns the store writes it. When the program dies before
 * that, more rows than necessary are sent the next time. All functions are called by the owner's
 * thread. */
#ifndef CM_INDEX_MIRROR_H
#define CM_INDEX_MIRROR_H

#include "index/open.h"

#include <stdio.h>

enum { CM_INDEX_REFUSED_MAX = 1000 }; /* rows of one push; more mean that all will be refused */

typedef struct cm_index_mirror_options {
    cm_index_settings_t source, target;
    cm_store_t *store; /* that the source was made from; open for writing */
    bool rebuild;      /* the first push fills an empty target */
    /* A push that fails because the target vanished or moved, or its server did not answer, is
     * repeated after growing waits: without end, or else a few times. */
    bool endless;
    const atomic_bool *stop; /* set when the program is to end */
    FILE *messages;          /* for finish(): sentences and progress */
    bool terminal;           /* `messages` is a terminal */
} cm_index_mirror_options_t;

typedef struct cm_index_mirror cm_index_mirror_t;

/* Starts the thread. The texts of the settings, the store and the streams must outlive it.
 * CM_EUSAGE when the settings of the target are wrong. */
int cm_index_mirror_start(const cm_index_mirror_options_t *options, cm_index_mirror_t **mirror,
                          cm_err_t *err);

/* The source may have changed: a push begins, or follows the one at work. */
void cm_index_mirror_wake(cm_index_mirror_t *mirror);

/* Writes what waits into the store, which has nothing uncommitted; after a failure it still waits,
 * for the next call. Returns the error that ended the thread, once there is one. */
int cm_index_mirror_collect(cm_index_mirror_t *mirror, cm_err_t *err);

/* Waits until all is pushed, and collects. `bar`: shows progress, and a sentence while the target
 * does not answer. After the program was told to stop, such a target gets 5 seconds more; then
 * CM_ESTOP, and a sentence says so. */
int cm_index_mirror_finish(cm_index_mirror_t *mirror, bool bar, cm_err_t *err);

/* All that was pushed so far. */
cm_index_applied_t cm_index_mirror_applied(const cm_index_mirror_t *mirror);

/* What sentences call the target's engine: "Elasticsearch". */
const char *cm_index_mirror_engine(const cm_index_mirror_t *mirror);

/* Where the target is, as users call it. */
const char *cm_index_mirror_place(const cm_index_mirror_t *mirror);

/* Appends ", 17 documents sent", and refused ones and trouble where there are any, to a line of
 * status. */
void cm_index_mirror_add_status(const cm_index_mirror_t *mirror, cm_buf_t *line);

/* Ends the thread; a push at work is abandoned. NULL is fine. */
void cm_index_mirror_stop(cm_index_mirror_t *mirror);

#endif
