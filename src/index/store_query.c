#include "index/store_query.h"

#include "index/order.h"

#include <stdlib.h>

static int give_row(const cm_cell_t *cell, cm_reader_t *reader, cm_answer_fn row, void *context,
                    cm_err_t *err)
{
    cm_answer_t answer = {.measures = cell->measures};

    int rc = cm_reader_string(reader, CM_URL, cell->key.url, &answer.url, err);
    if (rc == 0)
        rc = cm_reader_string(reader, CM_COUNTRY, cell->key.country, &answer.country, err);
    return rc < 0 ? rc : row(context, &answer);
}

int cm_index_query_store(cm_store_t *store, const cm_index_store_query_t *options, cm_answer_fn row,
                         void *context, cm_err_t *err)
{
    const cm_mill_options_t mill = {.session_timeout = options->session_timeout,
                                    .windows = cm_window_mask(CM_WINDOW_ALL),
                                    .memory = options->memory,
                                    .threads = options->threads,
                                    .reader = cm_store_reader_of,
                                    .context = store};
    cm_mill_result_t result;
    const cm_cell_t **cells = NULL;
    cm_reader_t *reader = NULL;
    size_t count = 0;

    int rc = cm_mill(&mill, &result, err);
    if (rc == 0)
        rc = cm_store_reader(store, &reader, err);
    if (rc == 0)
        rc = cm_order_cells(&result, reader, &cells, &count, err);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = give_row(cells[i], reader, row, context, err);
    free(cells);
    cm_reader_close(reader);
    cm_mill_result_free(&result);
    return rc;
}
