/* Publishing: makes the index on Elasticsearch a copy of the embedded one.
 *
 * A push sends the rows that changed since the last one, removes those that vanished, and sends
 * nothing when nothing changed. The copy carries the epoch of who wrote it last; when that is not
 * ours (the Spark job has written, another data directory, somebody has deleted the index), the
 * push reads the whole copy and sends what differs. A rebuild fills new indices and then moves the
 * aliases, so that readers never see half.
 *
 * Reads the embedded index through a connection of its own, beside whoever writes it. What was
 * pushed is remembered by the caller (index/embedded/changes.h): when that is lost, more is sent
 * than is needed, never less. One thread. */
#ifndef CM_INDEX_PUBLISH_H
#define CM_INDEX_PUBLISH_H

#include "elastic/client.h"
#include "event/batch.h"
#include "index/embedded/changes.h"

/* What the origin of a refused document's dead letter begins with. */
#define CM_INDEX_MIRROR_ORIGIN "elasticsearch:"

enum { CM_INDEX_REFUSED_MAX = 1000 }; /* documents; then something is wrong with all of them */

typedef struct cm_index_mirror_options {
    const char *data_dir;
    const cm_elastic_settings_t *settings;
    const cm_waiter_t *waiter; /* NULL: waits for ever */
    /* Called now and then with the share done, 0..1, and the documents sent; may be NULL. */
    void (*progress)(void *context, double share, uint64_t documents);
    void *context;
} cm_index_mirror_options_t;

/* What a push did. */
typedef struct cm_index_mirrored {
    bool compared; /* the whole copy was read, because somebody else had written it */
    uint64_t sent, removed, refused, retries;
    uint64_t bytes, wire_bytes; /* sent: before and after compression */
} cm_index_mirrored_t;

typedef struct cm_index_mirror cm_index_mirror_t;

/* Reads the settings; connects with the first push. CM_EUSAGE. */
int cm_index_mirror_open(const cm_index_mirror_options_t *options, cm_index_mirror_t **publisher,
                         cm_err_t *err);

/* Brings the copy up to date. `published` says how far it is and is brought up to date as well;
 * `pushed` is added to. A document that the server refuses for good is a dead letter, see below.
 * CM_EUSAGE for what the configuration is to blame for; the waiter's code; CM_EIO when the server
 * refuses too much; CM_ESTOP. CM_EBUSY when somebody else wrote at the same time, CM_EINPUT and
 * CM_EAWAY when the index vanished or the server was away meanwhile: a further push puts it right.
 */
int cm_index_mirror_push(cm_index_mirror_t *publisher, bool rebuild,
                         cm_index_checkpoint_t *published, cm_index_mirrored_t *pushed,
                         cm_err_t *err);

/* Adds the refused documents since this was last called, as dead letters to be put into a store, to
 * the batch, which has nothing else. */
void cm_index_mirror_letters(cm_index_mirror_t *publisher, cm_batch_t *letters);

/* What a copy is called: the alias and where it is. */
void cm_index_mirror_name(const cm_elastic_settings_t *settings, cm_buf_t *name);

void cm_index_mirror_close(cm_index_mirror_t *publisher);

#endif
