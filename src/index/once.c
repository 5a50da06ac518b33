#include "index/once.h"

#include "mill/mill.h"

#include <stdlib.h>

static int by_clicks(const void *a, const void *b)
{
    const cm_answer_t *x = a, *y = b;

    if (x->numbers.clicks != y->numbers.clicks)
        return x->numbers.clicks > y->numbers.clicks ? -1 : 1;
    int order = cm_str_compare(x->url, y->url);
    return order ? order : cm_str_compare(x->country, y->country);
}

/* The contract's cells with their names; the caller frees the array. */
static int collect(const cm_mill_result_t *result, cm_reader_t *reader, cm_answer_t **answers,
                   size_t *count, cm_err_t *err)
{
    int rc = 0;

    *count = 0;
    *answers = malloc((result->count + 1) * sizeof **answers);
    if (*answers == NULL)
        return cm_fail_memory(err);
    for (size_t i = 0; rc == 0 && i < result->count; i++) {
        const cm_cell_t *cell = result->cells[i];
        if (cell->key.url == CM_CELL_ALL || cell->key.country == CM_CELL_ALL)
            continue;
        cm_answer_t *answer = &(*answers)[(*count)++];
        *answer = (cm_answer_t){.numbers = cell->numbers};
        rc = cm_reader_name(reader, CM_URL, cell->key.url, &answer->url, err);
        if (rc == 0)
            rc = cm_reader_name(reader, CM_COUNTRY, cell->key.country, &answer->country, err);
    }
    return rc;
}

int cm_answers_once(cm_store_t *store, const cm_once_options_t *options, cm_answer_fn row,
                    void *context, cm_err_t *err)
{
    const cm_mill_options_t mill = {.session_timeout = options->session_timeout,
                                    .windows = 1u << CM_WINDOW_ALL,
                                    .memory = options->memory,
                                    .threads = options->threads,
                                    .reader = cm_store_reader_of,
                                    .context = store};
    cm_mill_result_t result;
    cm_answer_t *answers = NULL;
    cm_reader_t *reader = NULL;
    size_t count = 0;

    int rc = cm_mill(&mill, &result, err);
    if (rc == 0)
        rc = cm_store_reader(store, &reader, err);
    if (rc == 0)
        rc = collect(&result, reader, &answers, &count, err);
    if (rc == 0 && count > 1)
        qsort(answers, count, sizeof *answers, by_clicks);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = row(context, &answers[i]);
    free(answers);
    cm_reader_close(reader);
    cm_mill_result_free(&result);
    return rc;
}
