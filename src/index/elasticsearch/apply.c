/* Makes the index a copy of another one: sends the rows that changed since the last time, removes
 * those that vanished, and sends nothing when nothing changed.
 *
 * The index carries the epoch of its last writer. When that is not the epoch of the checkpoint (the
 * Spark job has written, or another data directory, or the index was deleted), all rows of the
 * index are read and what differs is sent. A rebuild fills new indices and then moves the aliases,
 * so that readers never see a part of it. */
#include "index/elasticsearch/elasticsearch.h"
#include "index/elasticsearch/inside.h"
#include "index/mirror.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { PROGRESS_ROWS = 1024 };

/* One call of apply(). */
typedef struct push {
    cm_index_elasticsearch_t *self;
    cm_index_t *source;
    const cm_index_apply_t *options;
    cm_elastic_bulk_t *bulk;
    cm_buf_t document;
    cm_index_elasticsearch_indices_t target;
    cm_copy_t *copy; /* what the target had, while all rows are compared; else NULL */
    int64_t rows, done;
    uint64_t refused;
    cm_err_t *err;
} push_t;

static const cm_elastic_settings_t *settings_of(const push_t *push)
{
    return &push->self->settings;
}

/* ---- what is refused ---- */

static int refuse(void *context, cm_str_t index, cm_str_t id, cm_str_t document, cm_str_t reason,
                  cm_err_t *err)
{
    push_t *push = context;
    char origin[CM_INDEX_NAME + 100], why[500];

    snprintf(origin, sizeof origin, CM_INDEX_ELASTICSEARCH_ORIGIN "%.*s/%.*s", (int)index.len,
             index.data, (int)id.len, id.data);
    snprintf(why, sizeof why, "%.*s", cm_utf8_head(reason, sizeof why - 1), reason.data);
    cm_batch_reject(push->options->refused, document, why, origin);
    if (++push->refused < CM_INDEX_REFUSED_MAX)
        return 0;
    return cm_fail(
        err, CM_EIO,
        "%s refuses one document after the other, the last because of: %s; compare its "
        "mapping with `clickmill doctor`, or make the index again with `clickmill process "
        "--rebuild`",
        cm_elastic_host(push->self->client), why);
}

/* ---- rows ---- */

static cm_str_t index_of(const push_t *push, const cm_answer_t *answer)
{
    return cm_str(answer->dimension == CM_PER_CELL ? push->target.cells : push->target.totals);
}

static void show(push_t *push)
{
    if (push->options->progress == NULL)
        return;
    double share = push->rows > 0 ? (double)push->done / (double)push->rows : 1;
    push->options->progress(push->options->context, share < 1 ? share : 1, (uint64_t)push->done);
}

static int send_row(void *context, const cm_answer_t *answer)
{
    push_t *push = context;
    char id[CM_DOCUMENT_ID];

    if (push->done++ % PROGRESS_ROWS == 0)
        show(push);
    cm_document_id(answer, id);
    if (push->copy != NULL && cm_copy_has(push->copy, answer, id))
        return 0;
    cm_buf_clear(&push->document);
    cm_document_add(&push->document, answer);
    return cm_elastic_bulk_put(push->bulk, index_of(push, answer), (cm_str_t){id, sizeof id},
                               (cm_str_t){push->document.data, push->document.len}, push->err);
}

static int remove_row(void *context, const cm_answer_t *answer)
{
    push_t *push = context;
    char id[CM_DOCUMENT_ID];

    cm_document_id(answer, id);
    return cm_elastic_bulk_remove(push->bulk, index_of(push, answer), (cm_str_t){id, sizeof id},
                                  push->err);
}

/* ---- freshness ---- */

static int read_freshness(cm_index_t *index, cm_freshness_t fresh[CM_WINDOW_COUNT], cm_err_t *err)
{
    int rc = 0;
    for (int w = 0; rc == 0 && w < CM_WINDOW_COUNT; w++)
        rc = cm_index_freshness(index, (cm_window_t)w, &fresh[w], err);
    return rc;
}

/* Reads the freshness that the index has, once. This does not wait for a server that does not
 * answer: without an answer the freshness is sent, and sending waits. */
static void learn_freshness(push_t *push)
{
    cm_index_elasticsearch_t *self = push->self;
    cm_err_t ignored;

    if (!self->fresh_known)
        self->fresh_known = read_freshness(&self->index, self->fresh, &ignored) == 0;
}

/* Comes last, when the rows that it describes are visible. */
static int send_freshness(push_t *push, const cm_freshness_t fresh[CM_WINDOW_COUNT], cm_err_t *err)
{
    char id[40];
    int rc = 0;

    for (int w = 0; rc == 0 && w < CM_WINDOW_COUNT; w++) {
        if (!fresh[w].present ||
            (push->self->fresh_known && cm_freshness_equal(&fresh[w], &push->self->fresh[w])))
            continue;
        snprintf(id, sizeof id, "freshness:%s", cm_index_window_names[w]);
        cm_buf_clear(&push->document);
        cm_document_add_freshness(&push->document, (cm_window_t)w, &fresh[w]);
        rc = cm_elastic_bulk_put(push->bulk, cm_str(push->target.totals), cm_str(id),
                                 (cm_str_t){push->document.data, push->document.len}, err);
    }
    if (rc == 0)
        rc = cm_elastic_bulk_flush(push->bulk, err);
    if (rc == 0) {
        memcpy(push->self->fresh, fresh, sizeof push->self->fresh);
        push->self->fresh_known = true;
    }
    return rc;
}

/* ---- a push ---- */

/* Gives the indices a new epoch, by which their earlier writer notices that another one has
 * written. */
static int take_over(push_t *push, cm_index_checkpoint_t *checkpoint, cm_err_t *err)
{
    int rc = cm_index_elasticsearch_new_epoch(checkpoint->epoch, err);
    checkpoint->watermark = 0;
    push->self->fresh_known = false;
    return rc < 0 ? rc
                  : cm_index_elasticsearch_set_epoch(push->self->client, settings_of(push),
                                                     push->options->waiter, &push->target,
                                                     checkpoint->epoch, err);
}

static int remember(void *context, cm_str_t id, const cm_answer_t *answer)
{
    push_t *push = context;
    return cm_copy_add(push->copy, id, answer) < 0 ? cm_fail_memory(push->err) : 0;
}

/* Reads what the index has of the windows that the source has. */
static int read_copy(push_t *push, const cm_freshness_t fresh[CM_WINDOW_COUNT], cm_err_t *err)
{
    const char *const names[] = {push->target.cells, push->target.totals};
    unsigned windows = 0;
    int rc = 0;

    for (int w = 0; w < CM_WINDOW_COUNT; w++)
        windows |= fresh[w].present ? 1u << w : 0;
    push->copy = cm_copy_new(windows);
    rc = cm_index_elasticsearch_refresh(push->self->client, push->options->waiter, &push->target,
                                        err);
    for (int i = 0; rc == 0 && i < 2; i++) {
        cm_copy_begin(push->copy, i);
        rc = cm_index_elasticsearch_each(push->self->client, settings_of(push),
                                         push->options->waiter, names[i], remember, push, err);
    }
    return rc;
}

static int remove_foreign(void *context, int part, cm_str_t id)
{
    push_t *push = context;
    return cm_elastic_bulk_remove(
        push->bulk, cm_str(part == 0 ? push->target.cells : push->target.totals), id, push->err);
}

/* Sends the rows that the index lacks, and removes those that it should not have. */
static int send_rows(push_t *push, int64_t since, int64_t watermark, cm_err_t *err)
{
    const cm_index_changes_t changes = {.since = since,
                                        .until = watermark,
                                        .changed = send_row,
                                        .removed = since > 0 ? remove_row : NULL,
                                        .context = push};

    push->done = 0;
    int rc = cm_index_count_changes(push->source, since, watermark, &push->rows, err);
    if (rc == 0)
        rc = cm_index_changes(push->source, &changes, err);
    if (rc == 0 && push->copy != NULL)
        rc = cm_copy_rest(push->copy, remove_foreign, push);
    if (rc == 0)
        rc = cm_elastic_bulk_flush(push->bulk, err);
    show(push);
    return rc;
}

/* Whether the index has changes that the source lacks, although their epoch is that of the
 * checkpoint: the source was restored from a backup. */
static bool ran_ahead(push_t *push, const cm_index_checkpoint_t *checkpoint)
{
    if (push->self->fresh_known) /* it was compared before */
        return false;
    learn_freshness(push);
    for (int w = 0; push->self->fresh_known && w < CM_WINDOW_COUNT; w++) {
        if (push->self->fresh[w].present && push->self->fresh[w].updated_at > checkpoint->watermark)
            return true;
    }
    return false;
}

/* Whether another program has taken the indices over, or moved an alias, during this push. It does
 * not know of all that was written here, and its changes are unknown here: the indices get an epoch
 * that no writer has, so that every writer compares all rows. */
static int check_overtaken(push_t *push, const cm_index_checkpoint_t *checkpoint, bool *overtaken,
                           cm_err_t *err)
{
    cm_index_elasticsearch_indices_t now;
    char unowned[CM_INDEX_EPOCH + 1];

    int rc = cm_index_elasticsearch_find(push->self->client, settings_of(push),
                                         push->options->waiter, &now, err);
    if (rc < 0)
        return rc;
    *overtaken = strcmp(now.cells, push->target.cells) != 0 ||
                 strcmp(now.totals, push->target.totals) != 0 ||
                 strcmp(now.epoch, checkpoint->epoch) != 0;
    if (!*overtaken || now.cells[0] == '\0' || now.totals[0] == '\0')
        return 0;
    rc = cm_index_elasticsearch_new_epoch(unowned, err);
    return rc < 0 ? rc
                  : cm_index_elasticsearch_set_epoch(push->self->client, settings_of(push),
                                                     push->options->waiter, &now, unowned, err);
}

/* Finds out where to write, and whether the rows that are there must be compared first. */
static int find_target(push_t *push, cm_index_checkpoint_t *checkpoint, bool *compare,
                       cm_err_t *err)
{
    const cm_elastic_settings_t *settings = settings_of(push);
    const cm_waiter_t *waiter = push->options->waiter;
    int rc = 0;

    *compare = false;
    if (push->options->rebuild) {
        rc = cm_index_elasticsearch_make_next(push->self->client, settings, waiter, &push->target,
                                              err);
        return rc < 0 ? rc : take_over(push, checkpoint, err);
    }
    rc = cm_index_elasticsearch_find(push->self->client, settings, waiter, &push->target, err);
    const bool none = push->target.cells[0] == '\0' && push->target.totals[0] == '\0';
    if (rc == 0 && (push->target.cells[0] == '\0' || push->target.totals[0] == '\0'))
        rc = cm_index_elasticsearch_prepare(push->self->client, settings, waiter, &push->target,
                                            err);
    if (rc < 0)
        return rc;
    if (checkpoint->epoch[0] != '\0' && strcmp(checkpoint->epoch, push->target.epoch) == 0 &&
        cm_index_tracks_changes(push->source) && !ran_ahead(push, checkpoint))
        return 0;
    *compare = !none;
    return take_over(push, checkpoint, err);
}

static void add_counts(const push_t *push, cm_index_applied_t *applied)
{
    const cm_elastic_bulk_counts_t counts = cm_elastic_bulk_counts(push->bulk);

    applied->sent += counts.sent;
    applied->removed += counts.removed;
    applied->refused += counts.refused;
    applied->retries += counts.retries;
    applied->bytes += counts.bytes;
    applied->wire_bytes += counts.wire_bytes;
}

/* After the rows: makes them visible, then the freshness, then moves the aliases of a rebuild. */
static int finish(push_t *push, bool changed, const cm_freshness_t fresh[CM_WINDOW_COUNT],
                  cm_err_t *err)
{
    const bool rebuild = push->options->rebuild;
    const cm_waiter_t *waiter = push->options->waiter;
    cm_elastic_t *client = push->self->client;
    int rc = 0;

    if (changed && !rebuild)
        rc = cm_index_elasticsearch_refresh(client, waiter, &push->target, err);
    if (rc == 0 && !rebuild)
        learn_freshness(push);
    if (rc == 0)
        rc = send_freshness(push, fresh, err);
    if (rc == 0 && rebuild)
        rc = cm_index_elasticsearch_swap(client, settings_of(push), waiter, &push->target, err);
    return rc;
}

/* With the bulk open. The freshness is read before the rows: so it never says more than they have.
 */
static int push_changes(push_t *push, cm_index_checkpoint_t *checkpoint, bool *compared,
                        cm_err_t *err)
{
    cm_freshness_t fresh[CM_WINDOW_COUNT];
    bool compare = false, overtaken = false;
    int64_t watermark;

    int rc = read_freshness(push->source, fresh, err);
    if (rc == 0)
        rc = cm_index_watermark(push->source, &watermark, err);
    if (rc == 0)
        rc = find_target(push, checkpoint, &compare, err);
    *compared |= compare;
    if (rc == 0 && compare)
        rc = read_copy(push, fresh, err);
    if (rc < 0)
        return rc;
    assert(!compare || checkpoint->watermark == 0);
    const bool changed = watermark > checkpoint->watermark || compare;
    if (changed)
        rc = send_rows(push, checkpoint->watermark, watermark, err);
    if (rc == 0)
        rc = finish(push, changed, fresh, err);
    if (rc == 0 && (changed || cm_elastic_bulk_counts(push->bulk).bodies > 0))
        rc = check_overtaken(push, checkpoint, &overtaken, err);
    if (rc == 0 && overtaken)
        rc = cm_fail(err, CM_EBUSY,
                     "another program writes to %s at the same time; the next push compares "
                     "everything",
                     settings_of(push)->index);
    if (rc == 0)
        checkpoint->watermark = watermark;
    return rc;
}

int cm_index_elasticsearch_apply(cm_index_t *index, cm_index_t *source,
                                 const cm_index_apply_t *options, cm_index_checkpoint_t *checkpoint,
                                 cm_index_applied_t *applied, cm_err_t *err)
{
    push_t push = {.self = (cm_index_elasticsearch_t *)index,
                   .source = source,
                   .options = options,
                   .err = err};
    const cm_elastic_bulk_options_t bulk = {.settings = settings_of(&push),
                                            .waiter = options->waiter,
                                            .refused = refuse,
                                            .context = &push};
    cm_index_checkpoint_t now = *checkpoint;

    int rc = cm_elastic_bulk_open(&bulk, &push.bulk, err);
    if (rc == 0) {
        rc = push_changes(&push, &now, &applied->compared, err);
        add_counts(&push, applied);
        cm_elastic_bulk_close(push.bulk);
    }
    cm_copy_free(push.copy);
    cm_buf_free(&push.document);
    if (rc == 0)
        *checkpoint = now;
    else
        push.self->fresh_known = false;
    return rc;
}
