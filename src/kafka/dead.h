/* Reads the dead letters in their topic, from its beginning to its end, without those that were
 * replayed.
 *
 * A letter is identified by partition and offset. When it is replayed, a message without a value
 * and with the header `replayed` ("0@17") is added to the topic, in the transaction that puts the
 * corrected event into the topic of events: so each letter is replayed once, also when two
 * processes try it. One thread. */
#ifndef CM_KAFKA_DEAD_H
#define CM_KAFKA_DEAD_H

#include "kafka/client.h"

#define CM_KAFKA_REPLAYED "replayed"

enum { CM_KAFKA_DEAD_LETTER_ID = 40 };

/* Its strings live until the callback returns. */
typedef struct cm_kafka_dead_letter {
    char id[CM_KAFKA_DEAD_LETTER_ID]; /* "0@17" */
    cm_str_t reason, origin, time;    /* empty where the header is missing */
    cm_str_t key, payload;
} cm_kafka_dead_letter_t;

/* Called once for each letter; a result other than 0 ends the walk, which returns it. */
typedef int (*cm_kafka_dead_letter_fn)(void *context, const cm_kafka_dead_letter_t *letter);

/* Walks the letters that were not replayed, each partition in order: all (`id` is NULL) or one; at
 * most `limit` of them (0: all). CM_EUSAGE when the one letter is not there or this user may not
 * read the topic; CM_EINPUT when the topic is not there; CM_EAWAY; CM_ESTOP. */
int cm_kafka_dead_each(const cm_kafka_settings_t *settings, const char *id, int64_t limit,
                       cm_kafka_dead_letter_fn take, void *context, cm_err_t *err);

#endif
