#include "index/embedded/receive.h"

#include "index/embedded/embedded.h"
#include "store/dict.h"

#include <stdlib.h>

/* The rows of one window, as the mill would give them. */
typedef struct receiving {
    cm_reader_t reader; /* first: gives the strings, and no events */
    cm_dict_t urls, countries;
    cm_cells_t cells;
    const cm_index_apply_t *options;
    uint64_t rows;
} receiving_t;

static int count_strings(cm_reader_t *reader, cm_field_t field, uint32_t *count, cm_err_t *err)
{
    const receiving_t *self = (const receiving_t *)reader;

    (void)err;
    *count = (uint32_t)(field == CM_URL ? self->urls.count : self->countries.count);
    return 0;
}

static int give_string(cm_reader_t *reader, cm_field_t field, uint32_t id, cm_str_t *text,
                       cm_err_t *err)
{
    const receiving_t *self = (const receiving_t *)reader;

    (void)err;
    *text = cm_dict_string(field == CM_URL ? &self->urls : &self->countries, id);
    return 0;
}

static int take_row(void *context, const cm_answer_t *answer)
{
    enum { PROGRESS_ROWS = 1024 };
    receiving_t *self = context;
    const bool url = answer->dimension == CM_PER_CELL || answer->dimension == CM_PER_URL;
    const bool country = answer->dimension == CM_PER_CELL || answer->dimension == CM_PER_COUNTRY;
    const cm_cell_key_t key = {.url = url ? cm_dict_put(&self->urls, answer->url) : CM_CELL_ALL,
                               .country = country ? cm_dict_put(&self->countries, answer->country)
                                                  : CM_CELL_ALL,
                               .window = cm_cell_window(answer->window, answer->window_start)};

    cm_cells_get(&self->cells, key)->measures = answer->measures;
    if (self->rows++ % PROGRESS_ROWS == 0 && self->options->progress != NULL)
        self->options->progress(self->options->context, 0, self->rows);
    return 0;
}

static int read_window(receiving_t *self, cm_index_t *source, cm_window_t window, cm_err_t *err)
{
    int rc = 0;

    for (int d = 0; rc == 0 && d < CM_DIMENSION_COUNT; d++) {
        const cm_index_query_t all = {
            .window = window, .dimension = (cm_dimension_t)d, .unsorted = true};
        rc = cm_index_query(source, &all, take_row, self, err);
    }
    return rc;
}

static int write_window(const cm_database_t *database, receiving_t *self,
                        const cm_freshness_t *fresh, cm_window_t window, cm_err_t *err)
{
    cm_mill_result_t result = {.end_ordinal = fresh->processed, .events = fresh->events};
    const int64_t timeout = fresh->session_timeout;
    bool changed;

    cm_cells_sort(&self->cells);
    result.cells = self->cells.sorted;
    result.count = self->cells.count;
    return cm_index_embedded_apply(
        database, &self->reader, &result,
        &(cm_index_embedded_apply_t){.windows = 1u << window,
                                     /* Negative: of another store's events. */
                                     .session_timeout = timeout > 0   ? -timeout
                                                        : timeout < 0 ? timeout
                                                                      : -1,
                                     .daily = fresh->daily_ids,
                                     .several = fresh->daily_visitors,
                                     .now = fresh->updated_at},
        &changed, err);
}

static int receive_window(const cm_database_t *database, cm_index_t *source, cm_window_t window,
                          const cm_index_apply_t *options, uint64_t *rows, cm_err_t *err)
{
    static const cm_reader_ops_t ops = {.string_count = count_strings, .string = give_string};
    receiving_t self = {.reader = {.ops = &ops}, .options = options};
    cm_freshness_t fresh;

    int rc = cm_index_freshness(source, window, &fresh, err);
    if (rc < 0 || !fresh.present)
        return rc;
    rc = read_window(&self, source, window, err);
    if (rc == 0)
        rc = write_window(database, &self, &fresh, window, err);
    *rows += self.rows;
    cm_cells_free(&self.cells);
    cm_dict_free(&self.urls);
    cm_dict_free(&self.countries);
    return rc;
}

int cm_index_embedded_receive(const cm_database_t *database, cm_index_t *source,
                              const cm_index_apply_t *options, cm_index_checkpoint_t *checkpoint,
                              cm_index_applied_t *applied, cm_err_t *err)
{
    int64_t watermark;

    int rc = cm_index_embedded_prepare(database, err);
    if (rc == CM_ECORRUPT && options->rebuild)
        rc = cm_index_embedded_forget(database, err);
    if (rc == 0)
        rc = cm_index_watermark(source, &watermark, err);
    for (int w = 0; rc == 0 && w < CM_WINDOW_COUNT; w++)
        rc = receive_window(database, source, (cm_window_t)w, options, &applied->sent, err);
    if (rc == 0)
        checkpoint->watermark = watermark;
    return rc;
}
