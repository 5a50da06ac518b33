#include "source/kafka/proof.h"

#include <inttypes.h>
#include <stdio.h>

static const char mark[] = "clickmill:1:";

/* FNV-1a is enough: the message is compared with itself, not with one that an attacker has chosen.
 */
static uint64_t add(uint64_t hash, const void *data, size_t len)
{
    const unsigned char *bytes = data;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    return hash;
}

cm_source_kafka_proof_t cm_source_kafka_proof_of(const rd_kafka_message_t *message)
{
    rd_kafka_timestamp_type_t type;
    const int64_t parts[3] = {rd_kafka_message_timestamp(message, &type),
                              message->key != NULL ? (int64_t)message->key_len : -1,
                              message->payload != NULL ? (int64_t)message->len : -1};
    uint64_t hash = add(UINT64_C(14695981039346656037), parts, sizeof parts);

    if (message->key != NULL)
        hash = add(hash, message->key, message->key_len);
    if (message->payload != NULL)
        hash = add(hash, message->payload, message->len);
    return (cm_source_kafka_proof_t){message->offset, hash & INT64_MAX};
}

void cm_source_kafka_proof_format(const cm_source_kafka_proof_t *proof,
                                  char text[CM_SOURCE_KAFKA_PROOF_TEXT])
{
    text[0] = '\0';
    if (proof->last >= 0 || proof->hash > 0)
        snprintf(text, CM_SOURCE_KAFKA_PROOF_TEXT, "%s%" PRId64 ":%016" PRIx64, mark, proof->last,
                 proof->hash);
}

cm_source_kafka_proof_t cm_source_kafka_proof_parse(cm_str_t text)
{
    char copy[CM_SOURCE_KAFKA_PROOF_TEXT];
    cm_source_kafka_proof_t proof;
    int end = 0;

    if (text.data == NULL || text.len >= sizeof copy)
        return CM_SOURCE_KAFKA_PROOF_NONE;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    if (strncmp(copy, mark, sizeof mark - 1) != 0 ||
        sscanf(copy + sizeof mark - 1, "%" SCNd64 ":%" SCNx64 "%n", &proof.last, &proof.hash,
               &end) != 2 ||
        copy[(sizeof mark - 1) + (size_t)end] != '\0' || proof.last < -1 || proof.hash > INT64_MAX)
        return CM_SOURCE_KAFKA_PROOF_NONE;
    return proof;
}

cm_source_kafka_proof_verdict_t cm_source_kafka_proof_judge(const cm_source_kafka_proof_t *proof,
                                                            int64_t from, int64_t next,
                                                            const rd_kafka_message_t *message)
{
    if (message->offset == proof->last)
        return cm_source_kafka_proof_of(message).hash == proof->hash
                   ? CM_SOURCE_KAFKA_PROOF_SAME
                   : CM_SOURCE_KAFKA_PROOF_RECREATED;
    /* There is a message where there was none; or there is none where there was one, and none was
     * deleted. */
    return message->offset < next || from <= proof->last ? CM_SOURCE_KAFKA_PROOF_RECREATED
                                                         : CM_SOURCE_KAFKA_PROOF_GO_ON;
}

cm_source_kafka_proof_verdict_t
cm_source_kafka_proof_judge_end(const cm_source_kafka_proof_t *proof, int64_t from, int64_t next,
                                int64_t end)
{
    if (from <= proof->last)
        return end > proof->last ? CM_SOURCE_KAFKA_PROOF_RECREATED : CM_SOURCE_KAFKA_PROOF_GO_ON;
    return end < next ? CM_SOURCE_KAFKA_PROOF_RECREATED : CM_SOURCE_KAFKA_PROOF_SAME;
}
