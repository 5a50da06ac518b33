#include "source/kafka/parts.h"

#include "kafka/ranges.h"
#include "kafka/request.h"
#include "source/kafka/source.h"

#include <assert.h>
#include <stdlib.h>

enum {
    COMMIT_MS = 1000, /* longest wait for the answer to a commit */
    SEEK_MS = 500,
};

char *cm_source_kafka_position_name(const cm_kafka_settings_t *settings, int32_t partition,
                                    const char *what)
{
    cm_buf_t name = CM_BUF_INIT;

    cm_buf_printf(&name, "kafka:%s/%s[%d]%s", settings->group, settings->topic, (int)partition,
                  what);
    return name.data;
}

cm_source_kafka_part_t *cm_source_kafka_parts_add(cm_source_kafka_parts_t *parts,
                                                  const cm_kafka_settings_t *settings,
                                                  int32_t partition)
{
    size_t index = (size_t)partition;

    if (index >= parts->count) {
        parts->parts = cm_realloc(parts->parts, (index + 1) * sizeof *parts->parts);
        memset(parts->parts + parts->count, 0, (index + 1 - parts->count) * sizeof *parts->parts);
        parts->count = index + 1;
    }
    cm_source_kafka_part_t *part = &parts->parts[index];
    if (part->name == NULL) {
        part->name = cm_source_kafka_position_name(settings, partition, "");
        part->last_name = cm_source_kafka_position_name(settings, partition, "#last");
        part->hash_name = cm_source_kafka_position_name(settings, partition, "#hash");
    }
    *part = (cm_source_kafka_part_t){.name = part->name,
                                     .last_name = part->last_name,
                                     .hash_name = part->hash_name,
                                     .partition = partition,
                                     .ours = true,
                                     .next = -1,
                                     .end = -1,
                                     .proof = CM_SOURCE_KAFKA_PROOF_NONE,
                                     .durable = -1,
                                     .witness = CM_SOURCE_KAFKA_PROOF_NONE,
                                     .durable_witness = CM_SOURCE_KAFKA_PROOF_NONE,
                                     .told = -1,
                                     .committed = -1};
    return part;
}

void cm_source_kafka_parts_remove(cm_source_kafka_parts_t *parts, int32_t partition)
{
    cm_source_kafka_part_t *part = cm_source_kafka_parts_find(parts, partition);

    if (part == NULL)
        return;
    part->ours = false;
    for (size_t i = parts->marks_done; i < parts->mark_count; i++) {
        if (parts->marks[i].partition == partition)
            parts->marks[i].next = -1;
    }
}

void cm_source_kafka_parts_touch(cm_source_kafka_parts_t *parts, cm_source_kafka_part_t *part)
{
    if (part->touched)
        return;
    part->touched = true;
    if (parts->touched_count == parts->touched_cap) {
        parts->touched_cap = parts->touched_cap ? parts->touched_cap * 2 : 8;
        parts->touched = cm_realloc(parts->touched, parts->touched_cap * sizeof *parts->touched);
    }
    parts->touched[parts->touched_count++] = part->partition;
}

static void add_mark(cm_source_kafka_parts_t *parts, cm_source_kafka_part_mark_t mark)
{
    if (parts->marks_done == parts->mark_count)
        parts->marks_done = parts->mark_count = 0;
    if (parts->mark_count == parts->mark_cap && parts->marks_done > parts->mark_cap / 2) {
        parts->mark_count -= parts->marks_done;
        memmove(parts->marks, parts->marks + parts->marks_done,
                parts->mark_count * sizeof *parts->marks);
        parts->marks_done = 0;
    }
    if (parts->mark_count == parts->mark_cap) {
        parts->mark_cap = parts->mark_cap ? parts->mark_cap * 2 : 64;
        parts->marks = cm_realloc(parts->marks, parts->mark_cap * sizeof *parts->marks);
    }
    assert(parts->mark_count == parts->marks_done ||
           parts->marks[parts->mark_count - 1].batch <= mark.batch);
    parts->marks[parts->mark_count++] = mark;
}

void cm_source_kafka_parts_mark(cm_source_kafka_parts_t *parts, uint64_t number, cm_batch_t *batch)
{
    for (size_t i = 0; i < parts->touched_count; i++) {
        cm_source_kafka_part_t *part = &parts->parts[parts->touched[i]];
        part->touched = false;
        cm_batch_mark(batch, cm_str(part->name), part->next);
        cm_batch_mark(batch, cm_str(part->last_name), part->witness.last + 1);
        cm_batch_mark(batch, cm_str(part->hash_name), (int64_t)part->witness.hash);
        add_mark(parts,
                 (cm_source_kafka_part_mark_t){number, part->partition, part->next, part->witness});
    }
    parts->touched_count = 0;
}

void cm_source_kafka_parts_acknowledge(cm_source_kafka_parts_t *parts, uint64_t batches)
{
    while (parts->marks_done < parts->mark_count &&
           parts->marks[parts->marks_done].batch <= batches) {
        const cm_source_kafka_part_mark_t *mark = &parts->marks[parts->marks_done++];
        if (mark->next < 0) /* the partition was given back */
            continue;
        cm_source_kafka_part_t *part = &parts->parts[mark->partition];
        part->durable = mark->next;
        if (part->durable_witness.last != mark->witness.last)
            part->told = part->committed = -1; /* the witness is committed with the offset */
        part->durable_witness = mark->witness;
    }
}

void cm_source_kafka_parts_committed(cm_source_kafka_parts_t *parts,
                                     const cm_kafka_client_t *client, rd_kafka_resp_err_t code,
                                     const rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_resp_err_t first = code;

    for (int i = 0; list != NULL && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *one = &list->elems[i];
        cm_source_kafka_part_t *part = cm_source_kafka_parts_find(parts, one->partition);
        if (first == 0)
            first = one->err;
        if (part == NULL)
            continue;
        if (code == 0 && one->err == 0) {
            part->committed = one->offset;
            cm_debug(client->settings->log, CM_DEBUG_KAFKA, "offset is committed",
                     "partition=%d offset=%lld", one->partition, (long long)one->offset);
        } else if (part->told == one->offset)
            part->told = -1;
    }
    if (first != 0)
        cm_log(client->settings->log, CM_LOG_INFO,
               "offsets are not committed; messages may come again", "topic=%s reason=\"%s\"",
               client->settings->topic, rd_kafka_err2str(first));
}

/* Waits for the answer, for a limited time. rd_kafka_commit() would wait as long as the broker is
 * silent. */
static bool commit_now(cm_source_kafka_parts_t *parts, cm_kafka_client_t *client,
                       const rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client->rk);
    rd_kafka_resp_err_t code = rd_kafka_commit_queue(client->rk, list, queue, NULL, NULL);
    rd_kafka_event_t *event = code == 0 ? rd_kafka_queue_poll(queue, COMMIT_MS) : NULL;

    if (event == NULL)
        cm_source_kafka_parts_committed(parts, client,
                                        code != 0 ? code : RD_KAFKA_RESP_ERR__TIMED_OUT, list);
    else
        cm_source_kafka_parts_committed(parts, client, rd_kafka_event_error(event),
                                        rd_kafka_event_topic_partition_list(event));
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    return event != NULL;
}

/* Adds the proof as metadata, which librdkafka frees with the list. */
static void add_proof(rd_kafka_topic_partition_t *one, const cm_source_kafka_proof_t *proof)
{
    char text[CM_SOURCE_KAFKA_PROOF_TEXT];

    cm_source_kafka_proof_format(proof, text);
    if (text[0] == '\0')
        return;
    one->metadata = strdup(text);
    one->metadata_size = one->metadata != NULL ? strlen(text) : 0;
}

bool cm_source_kafka_parts_commit(cm_source_kafka_parts_t *parts, cm_kafka_client_t *client,
                                  bool in_background)
{
    rd_kafka_topic_partition_list_t *list = NULL;

    for (size_t i = 0; i < parts->count; i++) {
        cm_source_kafka_part_t *part = &parts->parts[i];
        /* At the end, an offset that was sent in the background and not confirmed is sent once
         * more. */
        if (!part->ours || part->durable < 0 ||
            part->durable == (in_background ? part->told : part->committed))
            continue;
        if (list == NULL)
            list = rd_kafka_topic_partition_list_new(8);
        rd_kafka_topic_partition_t *one =
            rd_kafka_topic_partition_list_add(list, client->settings->topic, part->partition);
        one->offset = part->durable;
        add_proof(one, &part->durable_witness);
        part->told = part->durable;
    }
    if (list == NULL)
        return true;
    bool answered = true;
    if (!in_background) {
        answered = commit_now(parts, client, list);
    } else {
        rd_kafka_resp_err_t code = rd_kafka_commit(client->rk, list, true);
        if (code != 0)
            cm_source_kafka_parts_committed(parts, client, code, list);
    }
    rd_kafka_topic_partition_list_destroy(list);
    return answered;
}

void cm_source_kafka_parts_seek(const cm_source_kafka_parts_t *parts,
                                const cm_kafka_client_t *client)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)parts->count + 1);

    for (size_t i = 0; i < parts->count; i++) {
        const cm_source_kafka_part_t *part = &parts->parts[i];
        if (part->ours && part->next >= 0 && !part->stale)
            rd_kafka_topic_partition_list_add(list, client->settings->topic, part->partition)
                ->offset = cm_source_kafka_part_from(part);
    }
    /* A partition that is not fetched yet will be fetched from where it was assigned. Messages of
     * the others from before the seek are not handed out, also when the seek takes longer than
     * this. */
    rd_kafka_error_t *error =
        list->cnt > 0 ? rd_kafka_seek_partitions(client->rk, list, SEEK_MS) : NULL;
    if (error != NULL) {
        cm_log(client->settings->log, CM_LOG_INFO, "seeking", "topic=%s reason=\"%s\"",
               client->settings->topic, rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
    }
    rd_kafka_topic_partition_list_destroy(list);
}

bool cm_source_kafka_parts_any(const cm_source_kafka_parts_t *parts)
{
    for (size_t i = 0; i < parts->count; i++) {
        if (parts->parts[i].ours)
            return true;
    }
    return false;
}

bool cm_source_kafka_parts_ended(const cm_source_kafka_parts_t *parts)
{
    for (size_t i = 0; i < parts->count; i++) {
        const cm_source_kafka_part_t *part = &parts->parts[i];
        if (part->ours && (!part->ended || part->proving || part->stale))
            return false;
    }
    return true;
}

/* How many partitions the topic has; 0 when no broker answers. */
static size_t count_partitions(const cm_kafka_client_t *client, int timeout_ms)
{
    const rd_kafka_metadata_t *metadata;
    size_t count = 0;

    if (cm_kafka_topic_metadata(client, client->settings->topic, &metadata, timeout_ms) != 0)
        return 0;
    if (metadata->topic_cnt == 1 && metadata->topics[0].err == 0)
        count = (size_t)metadata->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(metadata);
    return count;
}

/* Finds where the list's partitions end, once. An empty partition counts as ended. */
static bool ask_ends(cm_source_kafka_parts_t *parts, const cm_kafka_client_t *client,
                     const rd_kafka_topic_partition_list_t *list, int timeout_ms)
{
    cm_kafka_range_t *ranges = cm_alloc_zero((size_t)list->cnt + 1, sizeof *ranges);
    size_t count = 0;
    bool known = true;

    for (int i = 0; i < list->cnt; i++) {
        if (parts->others[list->elems[i].partition] < 0)
            ranges[count++].partition = list->elems[i].partition;
    }
    if (count > 0)
        cm_kafka_ranges(client, client->settings->topic, ranges, count, timeout_ms);
    for (size_t i = 0; i < count; i++) {
        known &= ranges[i].code == 0;
        if (ranges[i].code == 0)
            parts->others[ranges[i].partition] =
                ranges[i].low < ranges[i].high ? ranges[i].high : 0;
    }
    free(ranges);
    return known;
}

bool cm_source_kafka_parts_others_ended(cm_source_kafka_parts_t *parts,
                                        const cm_kafka_client_t *client, int timeout_ms)
{
    size_t count = count_partitions(client, timeout_ms);
    bool ended = count > 0;

    if (count > parts->other_count) {
        parts->others = cm_realloc(parts->others, count * sizeof *parts->others);
        while (parts->other_count < count)
            parts->others[parts->other_count++] = -1;
    }
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; i < count; i++) {
        if (cm_source_kafka_parts_find(parts, (int32_t)i) == NULL)
            rd_kafka_topic_partition_list_add(list, client->settings->topic, (int32_t)i);
    }
    if (ended && list->cnt > 0)
        ended = ask_ends(parts, client, list, timeout_ms) && !cm_kafka_stopped(client) &&
                rd_kafka_committed(client->rk, list, timeout_ms) == 0;
    for (int i = 0; ended && i < list->cnt; i++) {
        const int64_t end = parts->others[list->elems[i].partition];
        ended = end == 0 || list->elems[i].offset >= end;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return ended;
}

bool cm_source_kafka_part_is_bare(const cm_source_kafka_part_t *part)
{
    const int64_t begin = cm_source_kafka_proof_begin(&part->witness);

    return part->taken == 0 && begin >= 0 && part->next > begin;
}

void cm_source_kafka_part_rewind(cm_source_kafka_part_t *part)
{
    part->passed = part->next;
    part->next = cm_source_kafka_proof_begin(&part->witness);
    part->stale = true;
}

void cm_source_kafka_part_set_recreated(cm_source_kafka_part_t *part)
{
    part->recreated = part->stale = true;
}

void cm_source_kafka_part_doubt(cm_source_kafka_part_t *part)
{
    if (cm_source_kafka_part_is_bare(part) && !part->recreated)
        cm_source_kafka_part_rewind(part);
    part->unsure = part->witness.last >= 0;
    if (part->recreated || part->next < 0 || (part->proof.last < 0 && part->taken == 0))
        return;
    part->proving = part->stale = true;
    part->from = part->proof.last;
}

void cm_source_kafka_part_prove(cm_source_kafka_part_t *part, const cm_source_kafka_proof_t *first,
                                const cm_source_kafka_proof_t *last)
{
    if (part->witness.last < 0)
        part->witness = *first;
    part->proof = *last;
    part->taken = 0;
    if (part->proving) /* it became doubtful after the messages of this batch */
        part->from = last->last;
}

int64_t cm_source_kafka_part_end(const cm_source_kafka_part_t *part,
                                 const cm_kafka_client_t *client)
{
    int64_t low, high;

    if (rd_kafka_get_watermark_offsets(client->rk, client->settings->topic, part->partition, &low,
                                       &high) != 0)
        return part->end;
    return high > part->end ? high : part->end;
}

bool cm_source_kafka_parts_behind(const cm_source_kafka_parts_t *parts,
                                  const cm_kafka_client_t *client, size_t ahead)
{
    int64_t lag = 0;

    for (size_t i = 0; i < parts->count && lag <= (int64_t)ahead; i++) {
        const cm_source_kafka_part_t *part = &parts->parts[i];
        int64_t end = part->ours ? cm_source_kafka_part_end(part, client) : -1;
        lag += end > part->next && part->next >= 0 ? end - part->next : 0;
    }
    return lag > (int64_t)ahead;
}

rd_kafka_topic_partition_list_t *cm_source_kafka_parts_list(const cm_source_kafka_parts_t *parts,
                                                            const cm_kafka_settings_t *settings)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)parts->count);

    for (size_t i = 0; i < parts->count; i++) {
        if (parts->parts[i].ours)
            rd_kafka_topic_partition_list_add(list, settings->topic, parts->parts[i].partition);
    }
    return list;
}

void cm_source_kafka_parts_free(cm_source_kafka_parts_t *parts)
{
    for (size_t i = 0; i < parts->count; i++) {
        free(parts->parts[i].name);
        free(parts->parts[i].last_name);
        free(parts->parts[i].hash_name);
    }
    free(parts->parts);
    free(parts->touched);
    free(parts->marks);
    free(parts->others);
    *parts = (cm_source_kafka_parts_t){0};
}
