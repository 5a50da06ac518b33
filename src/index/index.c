/* What the door does where an engine lacks an operation; comparing what it says. */
#include "index/index.h"

bool cm_freshness_equal(const cm_freshness_t *a, const cm_freshness_t *b)
{
    return a->present == b->present && a->accepted == b->accepted && a->processed == b->processed &&
           a->events == b->events && a->cells == b->cells && a->updated_at == b->updated_at &&
           a->dead == b->dead && a->session_timeout == b->session_timeout &&
           a->daily_ids == b->daily_ids && a->daily_visitors == b->daily_visitors;
}

int cm_index_kept(cm_index_t *index, unsigned *own, unsigned *others, cm_err_t *err)
{
    int rc = 0;

    *own = *others = 0;
    if (index->ops->kept != NULL)
        return index->ops->kept(index, own, others, err);
    for (int w = 0; rc == 0 && w < CM_WINDOW_COUNT; w++) {
        cm_freshness_t freshness;
        rc = cm_index_freshness(index, (cm_window_t)w, &freshness, err);
        if (rc == 0 && freshness.present)
            *(freshness.session_timeout < 0 ? others : own) |= cm_window_mask(w);
    }
    return rc;
}

int cm_index_watermark(cm_index_t *index, int64_t *watermark, cm_err_t *err)
{
    int rc = 0;

    *watermark = 0;
    if (index->ops->watermark != NULL)
        return index->ops->watermark(index, watermark, err);
    for (int w = 0; rc == 0 && w < CM_WINDOW_COUNT; w++) {
        cm_freshness_t freshness;
        rc = cm_index_freshness(index, (cm_window_t)w, &freshness, err);
        if (rc == 0 && freshness.present && freshness.updated_at > *watermark)
            *watermark = freshness.updated_at;
    }
    return rc;
}

int cm_index_count_changes(cm_index_t *index, int64_t since, int64_t until, int64_t *count,
                           cm_err_t *err)
{
    *count = 0;
    return index->ops->count_changes != NULL
               ? index->ops->count_changes(index, since, until, count, err)
               : 0;
}

int cm_index_changes(cm_index_t *index, const cm_index_changes_t *changes, cm_err_t *err)
{
    int rc = 0;

    if (index->ops->changes != NULL)
        return index->ops->changes(index, changes, err);
    for (int w = 0; rc == 0 && w < CM_WINDOW_COUNT; w++) {
        for (int d = 0; rc == 0 && d < CM_DIMENSION_COUNT; d++) {
            const cm_index_query_t all = {
                .window = (cm_window_t)w, .dimension = (cm_dimension_t)d, .unsorted = true};
            rc = cm_index_query(index, &all, changes->changed, changes->context, err);
        }
    }
    return rc;
}

static int fail_no_checkpoints(cm_err_t *err)
{
    return cm_fail(err, CM_EUSAGE, "this index does not keep how far its mirrors are");
}

int cm_index_checkpoint(cm_index_t *index, const char *mirror, cm_index_checkpoint_t *checkpoint,
                        cm_err_t *err)
{
    return index->ops->checkpoint != NULL ? index->ops->checkpoint(index, mirror, checkpoint, err)
                                          : fail_no_checkpoints(err);
}

int cm_index_set_checkpoint(cm_index_t *index, const char *mirror,
                            const cm_index_checkpoint_t *checkpoint, cm_err_t *err)
{
    return index->ops->set_checkpoint != NULL
               ? index->ops->set_checkpoint(index, mirror, checkpoint, err)
               : fail_no_checkpoints(err);
}
