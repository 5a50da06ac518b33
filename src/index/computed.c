#include "index/computed.h"

#include <stdlib.h>

typedef struct computed_index {
    cm_index_t index; /* first */
    const cm_mill_result_t *result;
    cm_reader_t *strings;
} computed_index_t;

static cm_dimension_t dimension_of(const cm_cell_t *cell)
{
    if (cell->key.url == CM_CELL_ALL)
        return cell->key.country == CM_CELL_ALL ? CM_PER_NOTHING : CM_PER_COUNTRY;
    return cell->key.country == CM_CELL_ALL ? CM_PER_URL : CM_PER_CELL;
}

static int give_row(const computed_index_t *self, const cm_cell_t *cell,
                    const cm_index_query_t *query, cm_answer_fn row, void *context, cm_err_t *err)
{
    cm_answer_t answer = {.dimension = query->dimension,
                          .window = query->window,
                          .window_start = cm_cell_window_start(cell->key.window),
                          .measures = cell->measures};
    int rc = 0;

    if (cell->key.url != CM_CELL_ALL)
        rc = cm_reader_string(self->strings, CM_URL, cell->key.url, &answer.url, err);
    if (rc == 0 && cell->key.country != CM_CELL_ALL)
        rc = cm_reader_string(self->strings, CM_COUNTRY, cell->key.country, &answer.country, err);
    return rc < 0 ? rc : row(context, &answer);
}

static int computed_query(cm_index_t *index, const cm_index_query_t *query, cm_answer_fn row,
                          void *context, cm_err_t *err)
{
    const computed_index_t *self = (const computed_index_t *)index;
    int rc = 0;

    if (!query->unsorted || query->url != NULL || query->country != NULL || query->limit > 0)
        return cm_fail(err, CM_EINTERNAL, "computed answers are only given as a whole");
    for (size_t i = 0; rc == 0 && i < self->result->count; i++) {
        const cm_cell_t *cell = self->result->cells[i];
        if (cm_cell_window_kind(cell->key.window) == query->window &&
            dimension_of(cell) == query->dimension && !cm_measures_are_zero(&cell->measures))
            rc = give_row(self, cell, query, row, context, err);
    }
    return rc;
}

static int computed_freshness(cm_index_t *index, cm_window_t window, cm_freshness_t *out,
                              cm_err_t *err)
{
    const computed_index_t *self = (const computed_index_t *)index;
    const cm_mill_result_t *result = self->result;
    bool several = false;

    int rc = index->daily ? cm_reader_several_days(self->strings, &several, err) : 0;
    *out = (cm_freshness_t){.present = true,
                            .accepted = result->end_ordinal,
                            .processed = result->end_ordinal,
                            .events = result->events,
                            .duplicates = result->end_ordinal - result->events,
                            .daily_ids = index->daily,
                            .daily_visitors = several && window == CM_WINDOW_ALL};
    return rc;
}

static void computed_close(cm_index_t *index)
{
    free(index);
}

cm_index_t *cm_index_computed_new(const cm_mill_result_t *result, cm_reader_t *strings, bool daily)
{
    static const cm_index_ops_t ops = {
        .query = computed_query, .freshness = computed_freshness, .close = computed_close};
    computed_index_t *self = cm_alloc_zero(1, sizeof *self);

    self->index.ops = &ops;
    self->index.daily = daily;
    self->result = result;
    self->strings = strings;
    return &self->index;
}
