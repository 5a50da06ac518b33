#include "index/verify.h"

#include "index/row_table.h"

#include <assert.h>
#include <stdlib.h>

enum { PROGRESS_ROWS = 4096 };

typedef struct verifying {
    const cm_index_verify_options_t *options;
    cm_index_verified_t *out;
    cm_index_row_table_t expected; /* of this window and dimension */
    cm_window_t window;
    cm_dimension_t dimension;
    int64_t rows; /* of the index so far */
} verifying_t;

static int take_expected(void *context, const cm_answer_t *answer)
{
    verifying_t *self = context;

    cm_index_row_table_put(&self->expected, answer);
    return 0;
}

/* ---- rows of the index ---- */

static bool same_answer(const cm_answer_t *answer, const cm_measures_t *measures)
{
    return memcmp(&answer->measures, measures, sizeof *measures) == 0 && cm_answer_exact(answer);
}

static void count_row(verifying_t *self)
{
    if (self->dimension == CM_PER_CELL)
        self->out->cells++;
    else
        self->out->totals++;
}

static int take_row(void *context, const cm_answer_t *answer)
{
    verifying_t *self = context;
    const cm_index_verify_options_t *options = self->options;
    cm_index_discrepancy_t discrepancy = {.actual = answer};
    cm_answer_t wanted;
    int rc;

    if (self->rows++ % PROGRESS_ROWS == 0 && options->progress != NULL &&
        (rc = options->progress(options->context, self->rows)) != 0)
        return rc;
    count_row(self);
    cm_answer_t key = *answer;
    if (self->dimension == CM_PER_COUNTRY || self->dimension == CM_PER_NOTHING)
        key.url = CM_STR("");
    if (self->dimension == CM_PER_URL || self->dimension == CM_PER_NOTHING)
        key.country = CM_STR("");
    cm_index_row_t *row = cm_index_row_table_find(&self->expected, &key);
    if (row != NULL) {
        wanted = cm_index_row_table_answer(&self->expected, row, self->window, self->dimension);
        discrepancy.expected = &wanted;
        discrepancy.twice = row->seen;
        row->seen = true;
        if (!discrepancy.twice && same_answer(answer, &row->measures))
            return 0;
    }
    if (discrepancy.expected == NULL || discrepancy.twice)
        self->out->unexpected++;
    else
        self->out->differ++;
    return options->found(options->context, &discrepancy);
}

/* ---- documents that are no rows ---- */

static int take_foreign(void *context, const char *alias, cm_str_t id)
{
    verifying_t *self = context;

    self->out->foreign++;
    return self->options->found(self->options->context,
                                &(cm_index_discrepancy_t){.alias = alias, .document = id});
}

int cm_index_verify_foreign(const cm_index_verify_options_t *options, cm_index_verified_t *verified,
                            cm_err_t *err)
{
    verifying_t self = {.options = options, .out = verified};
    return cm_index_foreign(options->actual, take_foreign, &self, err);
}

/* ---- rows that it lacks ---- */

static int by_strings(const void *a, const void *b)
{
    const cm_answer_t *x = a, *y = b;
    int order = cm_str_compare(x->url, y->url);
    if (order == 0)
        order = cm_str_compare(x->country, y->country);
    return order != 0 ? order
                      : (x->window_start > y->window_start) - (x->window_start < y->window_start);
}

static int report_missing(verifying_t *self, cm_err_t *err)
{
    const cm_index_row_table_t *expected = &self->expected;
    size_t count = 0, kept = 0;
    int rc = 0;

    for (size_t i = 0; i < expected->count; i++)
        count += !expected->rows[i].seen;
    if (count == 0)
        return 0;
    cm_answer_t *missing = malloc(count * sizeof *missing);
    if (missing == NULL)
        return cm_fail_memory(err);
    for (size_t i = 0; i < expected->count; i++) {
        if (!expected->rows[i].seen)
            missing[kept++] = cm_index_row_table_answer(expected, &expected->rows[i], self->window,
                                                        self->dimension);
    }
    assert(kept == count);
    qsort(missing, count, sizeof *missing, by_strings);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        count_row(self);
        self->out->missing++;
        rc = self->options->found(self->options->context,
                                  &(cm_index_discrepancy_t){.expected = &missing[i]});
    }
    free(missing);
    return rc;
}

/* ---- all of it ---- */

static int verify_part(verifying_t *self, cm_err_t *err)
{
    cm_index_query_t query = {
        .dimension = self->dimension, .window = self->window, .unsorted = true};

    int rc = cm_index_query(self->options->expected, &query, take_expected, self, err);
    query.foreign = take_foreign;
    if (rc == 0)
        rc = cm_index_query(self->options->actual, &query, take_row, self, err);
    if (rc == 0)
        rc = report_missing(self, err);
    cm_index_row_table_free(&self->expected);
    return rc;
}

/* An index without a freshness says nothing. */
static int verify_visitors(verifying_t *self, cm_err_t *err)
{
    cm_freshness_t expected, actual;

    int rc = cm_index_freshness(self->options->expected, CM_WINDOW_ALL, &expected, err);
    if (rc < 0 || !expected.daily_ids)
        return rc;
    rc = cm_index_freshness(self->options->actual, CM_WINDOW_ALL, &actual, err);
    self->out->miscalled =
        rc == 0 && actual.present && actual.daily_visitors != expected.daily_visitors;
    self->out->daily = expected.daily_visitors;
    return rc;
}

int cm_index_verify(const cm_index_verify_options_t *options, cm_index_verified_t *verified,
                    cm_err_t *err)
{
    verifying_t self = {.options = options, .out = verified};
    int rc = 0;

    for (int w = 0; rc == 0 && w < CM_WINDOW_COUNT; w++) {
        self.window = (cm_window_t)w;
        for (int d = 0; rc == 0 && d < CM_DIMENSION_COUNT && options->windows & 1u << w; d++) {
            self.dimension = (cm_dimension_t)d;
            rc = verify_part(&self, err);
        }
    }
    if (rc == 0 && cm_window_in(options->windows, CM_WINDOW_ALL))
        rc = verify_visitors(&self, err);
    return rc;
}
