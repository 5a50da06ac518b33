/* Makes sure that a topic is there and can be used. One thread for each client. */
#ifndef CM_KAFKA_TOPICS_H
#define CM_KAFKA_TOPICS_H

#include "kafka/client.h"

/* How long a broker may know of no topic, in milliseconds: it may have just come back. */
enum { CM_KAFKA_BLANK_MS = 5000 };

/* Makes sure that the topic is there, and makes it where the settings allow that. `large`: without
 * a limit to the size of messages, for messages that could not be read. CM_EINPUT when it is not
 * there, at once where the broker knows of other topics, after CM_KAFKA_BLANK_MS where it knows of
 * none; CM_EAWAY when it is there and a partition has had no leader for settings->timeout_ms;
 * other errors as cm_kafka_reach(). */
int cm_kafka_ensure_topic(cm_kafka_client_t *client, const char *topic, int partitions, bool large,
                          cm_err_t *err);

#endif
