/* Dead letters in their topic: read from its beginning to its end, without those that were
 * replayed.
 *
 * A letter is known by partition and offset. When one is replayed, a message without a value and
 * with the header `replayed` ("0@17") is added to the topic, in the transaction that puts the
 * mended event onto its own: so each is replayed once, whoever does it. One thread. */
#ifndef CM_KAFKA_DEAD_H
#define CM_KAFKA_DEAD_H

#include "kafka/client.h"

#define CM_KAFKA_REPLAYED "replayed"

enum { CM_KAFKA_DEAD_LETTER_ID = 40 };

/* Its texts live until the callback returns. */
typedef struct cm_kafka_dead_letter {
    char id[CM_KAFKA_DEAD_LETTER_ID]; /* "0@17" */
    cm_str_t reason, origin, time;    /* empty where the header is missing */
    cm_str_t key, payload;
} cm_kafka_dead_letter_t;

/* Called once a letter; non-zero ends the walk and is returned by it. */
typedef int (*cm_kafka_dead_letter_fn)(void *context, const cm_kafka_dead_letter_t *letter);

/* Walks the letters that were not replayed, each partition in order: all (`id` NULL) or one; at
 * most `limit` (0: all). CM_EUSAGE when the one is not there
 * or the topic may not be read; CM_EAWAY. */
int cm_kafka_dead_each(const cm_kafka_settings_t *settings, const char *id, int64_t limit,
                       cm_kafka_dead_letter_fn take, void *context, cm_err_t *err);

#endif
