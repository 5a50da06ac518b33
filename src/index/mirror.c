#include "index/mirror.h"

#include "elastic/bulk.h"
#include "index/elasticsearch/copy.h"
#include "index/elasticsearch/elasticsearch.h"

#include <stdio.h>
#include <stdlib.h>

enum { PROGRESS_ROWS = 1024 };

struct cm_index_mirror {
    cm_index_mirror_options_t options;
    cm_elastic_t *client;
    cm_elastic_bulk_t *bulk;
    cm_batch_t letters;
    cm_buf_t document;
    /* The freshness that the copy has, where it is known. */
    cm_freshness_t fresh[CM_WINDOW_COUNT];
    bool fresh_known;
    /* of a push */
    cm_database_t database;
    cm_index_elasticsearch_indices_t target;
    cm_copy_t *copy; /* what the copy had, while everything is compared; or NULL */
    int64_t rows, done;
    uint64_t refused;
    cm_err_t *err;
};

static const cm_elastic_settings_t *settings_of(const cm_index_mirror_t *self)
{
    return self->options.settings;
}

void cm_index_mirror_name(const cm_elastic_settings_t *settings, cm_buf_t *name)
{
    cm_buf_printf(name, "elasticsearch:%s/%s",
                  settings->cloud_id != NULL ? settings->cloud_id : settings->hosts,
                  settings->index);
}

/* ---- what is refused ---- */

static int refuse(void *context, cm_str_t index, cm_str_t id, cm_str_t document, cm_str_t reason,
                  cm_err_t *err)
{
    cm_index_mirror_t *self = context;
    char origin[CM_INDEX_NAME + 100], why[500];

    snprintf(origin, sizeof origin, CM_INDEX_MIRROR_ORIGIN "%.*s/%.*s", (int)index.len, index.data,
             (int)id.len, id.data);
    snprintf(why, sizeof why, "%.*s", cm_utf8_head(reason, sizeof why - 1), reason.data);
    cm_batch_reject(&self->letters, document, why, origin);
    if (++self->refused < CM_INDEX_REFUSED_MAX)
        return 0;
    return cm_fail(
        err, CM_EIO,
        "%s refuses one document after the other, the last because of: %s; compare its "
        "mapping with `clickmill doctor`, or make the index anew with `clickmill process "
        "--rebuild`",
        cm_elastic_host(self->client), why);
}

void cm_index_mirror_letters(cm_index_mirror_t *self, cm_batch_t *letters)
{
    cm_batch_copy(letters, &self->letters);
    cm_batch_clear(&self->letters);
}

/* ---- rows ---- */

static cm_str_t index_of(const cm_index_mirror_t *self, const cm_answer_t *answer)
{
    return cm_str(answer->dimension == CM_PER_CELL ? self->target.cells : self->target.totals);
}

static void show(cm_index_mirror_t *self)
{
    if (self->options.progress == NULL)
        return;
    double share = self->rows > 0 ? (double)self->done / (double)self->rows : 1;
    self->options.progress(self->options.context, share < 1 ? share : 1, (uint64_t)self->done);
}

static int send_row(void *context, const cm_answer_t *answer)
{
    cm_index_mirror_t *self = context;
    char id[CM_DOCUMENT_ID];

    if (self->done++ % PROGRESS_ROWS == 0)
        show(self);
    cm_document_id(answer, id);
    if (self->copy != NULL && cm_copy_has(self->copy, answer, id))
        return 0;
    cm_buf_clear(&self->document);
    cm_document_add(&self->document, answer);
    return cm_elastic_bulk_put(self->bulk, index_of(self, answer), (cm_str_t){id, sizeof id},
                               (cm_str_t){self->document.data, self->document.len}, self->err);
}

static int remove_row(void *context, const cm_answer_t *answer)
{
    cm_index_mirror_t *self = context;
    char id[CM_DOCUMENT_ID];

    cm_document_id(answer, id);
    return cm_elastic_bulk_remove(self->bulk, index_of(self, answer), (cm_str_t){id, sizeof id},
                                  self->err);
}

/* ---- freshness ---- */

static bool same_freshness(const cm_freshness_t *a, const cm_freshness_t *b)
{
    return a->present == b->present && a->accepted == b->accepted && a->processed == b->processed &&
           a->events == b->events && a->cells == b->cells && a->updated_at == b->updated_at &&
           a->dead == b->dead && a->session_timeout == b->session_timeout;
}

static int read_freshness(cm_index_t *index, cm_freshness_t fresh[CM_WINDOW_COUNT], cm_err_t *err)
{
    int rc = 0;
    for (int w = 0; rc == 0 && w < CM_WINDOW_COUNT; w++)
        rc = cm_index_freshness(index, (cm_window_t)w, &fresh[w], err);
    return rc;
}

static int local_freshness(const cm_index_mirror_t *self, cm_freshness_t fresh[CM_WINDOW_COUNT],
                           cm_err_t *err)
{
    cm_index_t *index;

    int rc = cm_index_embedded_open(self->options.data_dir, &index, err);
    if (rc < 0)
        return rc;
    rc = read_freshness(index, fresh, err);
    cm_index_close(index);
    return rc;
}

/* What the copy says of itself, asked once. Who reads does not wait for a server; without an answer
 * the freshness is sent, which does. */
static void learn_freshness(cm_index_mirror_t *self)
{
    cm_index_t *index;
    cm_err_t why;

    if (self->fresh_known || cm_index_elasticsearch_open(settings_of(self), &index, &why) < 0)
        return;
    self->fresh_known = read_freshness(index, self->fresh, &why) == 0;
    cm_index_close(index);
}

/* Comes last, when the rows that it is about can be seen. */
static int send_freshness(cm_index_mirror_t *self, const cm_freshness_t fresh[CM_WINDOW_COUNT],
                          cm_err_t *err)
{
    char id[40];
    int rc = 0;

    for (int w = 0; rc == 0 && w < CM_WINDOW_COUNT; w++) {
        if (!fresh[w].present || (self->fresh_known && same_freshness(&fresh[w], &self->fresh[w])))
            continue;
        snprintf(id, sizeof id, "freshness:%s", cm_index_window_names[w]);
        cm_buf_clear(&self->document);
        cm_document_add_freshness(&self->document, (cm_window_t)w, &fresh[w]);
        rc = cm_elastic_bulk_put(self->bulk, cm_str(self->target.totals), cm_str(id),
                                 (cm_str_t){self->document.data, self->document.len}, err);
    }
    if (rc == 0)
        rc = cm_elastic_bulk_flush(self->bulk, err);
    if (rc == 0) {
        memcpy(self->fresh, fresh, sizeof self->fresh);
        self->fresh_known = true;
    }
    return rc;
}

/* ---- a push ---- */

/* From now on the indices are ours: whoever wrote them before will notice. */
static int take(cm_index_mirror_t *self, cm_index_checkpoint_t *published, cm_err_t *err)
{
    int rc = cm_index_elasticsearch_new_epoch(published->epoch, err);
    published->watermark = 0;
    self->fresh_known = false;
    return rc < 0 ? rc
                  : cm_index_elasticsearch_set_epoch(self->client, settings_of(self),
                                                     self->options.waiter, &self->target,
                                                     published->epoch, err);
}

static int remember(void *context, cm_str_t id, const cm_answer_t *answer)
{
    cm_index_mirror_t *self = context;
    return cm_copy_add(self->copy, id, answer) < 0 ? cm_fail_memory(self->err) : 0;
}

/* Reads what the copy has of the windows that we have. */
static int read_copy(cm_index_mirror_t *self, const cm_freshness_t fresh[CM_WINDOW_COUNT],
                     cm_err_t *err)
{
    const char *const names[] = {self->target.cells, self->target.totals};
    unsigned windows = 0;
    int rc = 0;

    for (int w = 0; w < CM_WINDOW_COUNT; w++)
        windows |= fresh[w].present ? cm_window_mask(w) : 0;
    self->copy = cm_copy_new(windows);
    rc = cm_index_elasticsearch_refresh(self->client, self->options.waiter, &self->target, err);
    for (int i = 0; rc == 0 && i < 2; i++) {
        cm_copy_begin(self->copy, i);
        rc = cm_index_elasticsearch_each(self->client, settings_of(self), self->options.waiter,
                                         names[i], remember, self, err);
    }
    return rc;
}

static int remove_foreign(void *context, int part, cm_str_t id)
{
    cm_index_mirror_t *self = context;
    return cm_elastic_bulk_remove(
        self->bulk, cm_str(part == 0 ? self->target.cells : self->target.totals), id, self->err);
}

/* Rows up to `watermark` that the copy lacks, and what it has too much. */
static int send_rows(cm_index_mirror_t *self, int64_t since, int64_t watermark, cm_err_t *err)
{
    self->done = 0;
    int rc = cm_index_changes_count(&self->database, since, watermark, &self->rows, err);
    if (rc == 0 && since > 0)
        rc = cm_index_changes_tombstones(&self->database, since, watermark, remove_row, self, err);
    if (rc == 0)
        rc = cm_index_changes_each(&self->database, since, watermark, send_row, self, err);
    if (rc == 0 && self->copy != NULL)
        rc = cm_copy_rest(self->copy, remove_foreign, self);
    if (rc == 0)
        rc = cm_elastic_bulk_flush(self->bulk, err);
    show(self);
    return rc;
}

/* Whether the copy has changes that we know nothing of, although they are of our epoch: the data
 * directory is an older copy of itself, from a backup. */
static bool ran_ahead(cm_index_mirror_t *self, const cm_index_checkpoint_t *published)
{
    if (self->fresh_known) /* it was looked at before */
        return false;
    learn_freshness(self);
    for (int w = 0; self->fresh_known && w < CM_WINDOW_COUNT; w++) {
        if (self->fresh[w].present && self->fresh[w].updated_at > published->watermark)
            return true;
    }
    return false;
}

/* Whether the indices are still the aliases' and ours. Who has taken them over, or moved an alias,
 * while we were writing does not know of all that we wrote, nor we of what he did: they get an
 * epoch that is nobody's, so that everybody compares. */
static int check_overtaken(cm_index_mirror_t *self, const cm_index_checkpoint_t *published,
                           bool *overtaken, cm_err_t *err)
{
    cm_index_elasticsearch_indices_t now;
    char nobody[CM_EPOCH + 1];

    int rc = cm_index_elasticsearch_find(self->client, settings_of(self), self->options.waiter,
                                         &now, err);
    if (rc < 0)
        return rc;
    *overtaken = strcmp(now.cells, self->target.cells) != 0 ||
                 strcmp(now.totals, self->target.totals) != 0 ||
                 strcmp(now.epoch, published->epoch) != 0;
    if (!*overtaken || now.cells[0] == '\0' || now.totals[0] == '\0')
        return 0;
    rc = cm_index_elasticsearch_new_epoch(nobody, err);
    return rc < 0 ? rc
                  : cm_index_elasticsearch_set_epoch(self->client, settings_of(self),
                                                     self->options.waiter, &now, nobody, err);
}

/* Where to write, and whether what is there must be compared first. */
static int find_target(cm_index_mirror_t *self, bool rebuild, cm_index_checkpoint_t *published,
                       bool *compare, cm_err_t *err)
{
    const cm_elastic_settings_t *settings = settings_of(self);
    const cm_waiter_t *waiter = self->options.waiter;
    int rc = 0;

    *compare = false;
    if (rebuild) {
        rc = cm_index_elasticsearch_make_next(self->client, settings, waiter, &self->target, err);
        return rc < 0 ? rc : take(self, published, err);
    }
    rc = cm_index_elasticsearch_find(self->client, settings, waiter, &self->target, err);
    const bool none = self->target.cells[0] == '\0' && self->target.totals[0] == '\0';
    if (rc == 0 && (self->target.cells[0] == '\0' || self->target.totals[0] == '\0'))
        rc = cm_index_elasticsearch_prepare(self->client, settings, waiter, &self->target, err);
    if (rc < 0)
        return rc;
    if (published->epoch[0] != '\0' && strcmp(published->epoch, self->target.epoch) == 0 &&
        !ran_ahead(self, published))
        return 0;
    *compare = !none;
    return take(self, published, err);
}

static void add_counts(cm_index_mirror_t *self, cm_index_mirrored_t *pushed)
{
    const cm_elastic_bulk_counts_t counts = cm_elastic_bulk_counts(self->bulk);

    pushed->sent += counts.sent;
    pushed->removed += counts.removed;
    pushed->refused += counts.refused;
    pushed->retries += counts.retries;
    pushed->bytes += counts.bytes;
    pushed->wire_bytes += counts.wire_bytes;
}

/* With the bulk open. The freshness is read before the rows, so that it promises nothing that they
 * do not keep. */
static int push_with(cm_index_mirror_t *self, bool rebuild, cm_index_checkpoint_t *published,
                     cm_index_mirrored_t *pushed, cm_err_t *err)
{
    cm_freshness_t fresh[CM_WINDOW_COUNT];
    bool compare = false, overtaken = false;
    int64_t watermark;

    int rc = local_freshness(self, fresh, err);
    if (rc == 0)
        rc = cm_index_changes_latest(&self->database, &watermark, err);
    if (rc == 0)
        rc = find_target(self, rebuild, published, &compare, err);
    if (rc == 0 && compare) {
        pushed->compared = true;
        rc = read_copy(self, fresh, err);
    }
    if (rc < 0)
        return rc;
    bool changed = watermark > published->watermark || compare;
    if (changed)
        rc = send_rows(self, published->watermark, watermark, err);
    if (rc == 0 && changed && !rebuild)
        rc = cm_index_elasticsearch_refresh(self->client, self->options.waiter, &self->target, err);
    if (rc == 0 && !rebuild)
        learn_freshness(self);
    if (rc == 0)
        rc = send_freshness(self, fresh, err);
    if (rc == 0 && rebuild)
        rc = cm_index_elasticsearch_swap(self->client, settings_of(self), self->options.waiter,
                                         &self->target, err);
    const bool wrote = changed || cm_elastic_bulk_counts(self->bulk).bodies > 0;
    if (rc == 0 && wrote)
        rc = check_overtaken(self, published, &overtaken, err);
    if (rc == 0 && overtaken)
        rc = cm_fail(err, CM_EBUSY,
                     "somebody else writes to %s at the same time; the next push compares "
                     "everything",
                     settings_of(self)->index);
    if (rc == 0)
        published->watermark = watermark;
    return rc;
}

int cm_index_mirror_push(cm_index_mirror_t *self, bool rebuild, cm_index_checkpoint_t *published,
                         cm_index_mirrored_t *pushed, cm_err_t *err)
{
    const cm_elastic_bulk_options_t bulk = {.settings = settings_of(self),
                                            .waiter = self->options.waiter,
                                            .refused = refuse,
                                            .context = self};
    cm_index_checkpoint_t now = *published;

    int rc = cm_database_open_read(self->options.data_dir, &self->database, err);
    if (rc < 0)
        return rc;
    self->err = err;
    self->refused = 0;
    rc = cm_elastic_bulk_open(&bulk, &self->bulk, err);
    if (rc == 0) {
        rc = push_with(self, rebuild, &now, pushed, err);
        add_counts(self, pushed);
        cm_elastic_bulk_close(self->bulk);
        self->bulk = NULL;
    }
    cm_copy_free(self->copy);
    self->copy = NULL;
    cm_database_close(&self->database);
    if (rc == 0)
        *published = now;
    else
        self->fresh_known = false;
    return rc;
}

int cm_index_mirror_open(const cm_index_mirror_options_t *options, cm_index_mirror_t **publisher,
                         cm_err_t *err)
{
    cm_index_mirror_t *self = cm_alloc_zero(1, sizeof *self);

    self->options = *options;
    int rc = cm_elastic_open(options->settings, &self->client, err);
    if (rc < 0)
        free(self);
    else
        *publisher = self;
    return rc;
}

void cm_index_mirror_close(cm_index_mirror_t *self)
{
    if (self == NULL)
        return;
    cm_elastic_close(self->client);
    cm_batch_free(&self->letters);
    cm_buf_free(&self->document);
    free(self);
}
