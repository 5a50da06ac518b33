#include "index/verify.h"

#include "base/bitmap.h"
#include "base/clock.h"
#include "store/dict.h"

#include <stdlib.h>

enum { PROGRESS_ROWS = 4096 };

typedef struct verifying {
    const cm_index_verify_options_t *options;
    cm_index_verified_t *out;
    cm_dict_t urls, countries; /* by the reader's ids */
    uint8_t *seen;             /* a bit a cell of the result */
    size_t last;               /* place of the cell that was found last */
    int64_t rows;
    cm_window_t window; /* being looked at */
    cm_dimension_t dimension;
} verifying_t;

/* ---- what was computed ---- */

static int learn_texts(cm_reader_t *reader, cm_field_t field, cm_dict_t *dict, cm_err_t *err)
{
    uint32_t count;
    cm_str_t text;

    int rc = cm_reader_string_count(reader, field, &count, err);
    for (uint32_t id = 0; rc == 0 && id < count; id++) {
        if ((rc = cm_reader_string(reader, field, id, &text, err)) == 0)
            cm_dict_put(dict, text);
    }
    return rc;
}

static cm_dimension_t dimension_of(const cm_cell_t *cell)
{
    if (cell->key.url == CM_CELL_ALL)
        return cell->key.country == CM_CELL_ALL ? CM_PER_NOTHING : CM_PER_COUNTRY;
    return cell->key.country == CM_CELL_ALL ? CM_PER_URL : CM_PER_CELL;
}

static cm_answer_t answer_of(const verifying_t *self, const cm_cell_t *cell)
{
    cm_answer_t answer = {.dimension = dimension_of(cell),
                          .window = cm_cell_window_kind(cell->key.window),
                          .window_start = cm_cell_window_start(cell->key.window),
                          .measures = cell->measures};

    if (cell->key.url != CM_CELL_ALL)
        answer.url = cm_dict_text(&self->urls, cell->key.url);
    if (cell->key.country != CM_CELL_ALL)
        answer.country = cm_dict_text(&self->countries, cell->key.country);
    return answer;
}

static int compare_keys(const cm_cell_key_t *a, const cm_cell_key_t *b)
{
    if (a->window != b->window)
        return a->window < b->window ? -1 : 1;
    if (a->url != b->url)
        return a->url < b->url ? -1 : 1;
    return (a->country > b->country) - (a->country < b->country);
}

static bool is_at(const cm_mill_result_t *result, size_t at, const cm_cell_key_t *key)
{
    return at < result->count && compare_keys(&result->cells[at]->key, key) == 0 &&
           !cm_measures_are_zero(&result->cells[at]->measures);
}

/* The place of the cell in the result; its count when it is not there. Most rows of the embedded
 * index come in the result's order, in which cells of other dimensions may be between them. */
static size_t find_cell(const cm_mill_result_t *result, const cm_cell_key_t *key, size_t last)
{
    size_t low = 0, high = result->count;

    for (size_t at = last + 1; at <= last + 2; at++) {
        if (is_at(result, at, key))
            return at;
    }
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_keys(&result->cells[middle]->key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return is_at(result, low, key) ? low : result->count;
}

/* The key of a row of the index; false when no event has its texts or its window. */
static bool key_of(const verifying_t *self, const cm_answer_t *answer, cm_cell_key_t *key)
{
    const bool url = self->dimension == CM_PER_CELL || self->dimension == CM_PER_URL;
    const bool country = self->dimension == CM_PER_CELL || self->dimension == CM_PER_COUNTRY;

    *key = (cm_cell_key_t){CM_CELL_ALL, CM_CELL_ALL,
                           cm_cell_window(self->window, answer->window_start)};
    return answer->window_start >= 0 && answer->window_start < CM_TIME_END &&
           answer->window_start % CM_HOUR_MS == 0 &&
           (!url || cm_dict_find(&self->urls, answer->url, &key->url)) &&
           (!country || cm_dict_find(&self->countries, answer->country, &key->country));
}

/* ---- rows of the index ---- */

static bool same_answer(const cm_answer_t *answer, const cm_measures_t *n)
{
    return memcmp(&answer->measures, n, sizeof *n) == 0 && cm_answer_exact(answer);
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
    const cm_mill_result_t *result = options->result;
    cm_index_discrepancy_t discrepancy = {.index = answer};
    size_t found = result->count;
    cm_answer_t wanted;
    cm_cell_key_t key;
    int rc;

    if (self->rows++ % PROGRESS_ROWS == 0 && options->progress != NULL &&
        (rc = options->progress(options->context, self->rows)) != 0)
        return rc;
    count_row(self);
    if (key_of(self, answer, &key))
        found = find_cell(result, &key, self->last);
    if (found < result->count) {
        self->last = found;
        wanted = answer_of(self, result->cells[found]);
        discrepancy.events = &wanted;
        discrepancy.twice = cm_bitmap_get(self->seen, found);
        cm_bitmap_set(self->seen, found);
        if (!discrepancy.twice && same_answer(answer, &wanted.measures))
            return 0;
    }
    if (discrepancy.events == NULL || discrepancy.twice)
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
    return cm_index_foreign(options->index, take_foreign, &self, err);
}

/* ---- rows that it lacks ---- */

static int by_texts(const void *a, const void *b)
{
    const cm_answer_t *x = a, *y = b;
    int order = cm_str_compare(x->url, y->url);
    if (order == 0)
        order = cm_str_compare(x->country, y->country);
    return order != 0 ? order
                      : (x->window_start > y->window_start) - (x->window_start < y->window_start);
}

static bool is_missing(const verifying_t *self, size_t at)
{
    const cm_cell_t *cell = self->options->result->cells[at];
    return !cm_bitmap_get(self->seen, at) &&
           cm_cell_window_kind(cell->key.window) == self->window &&
           dimension_of(cell) == self->dimension && !cm_measures_are_zero(&cell->measures);
}

static int report_missing(verifying_t *self, cm_err_t *err)
{
    const cm_mill_result_t *result = self->options->result;
    size_t count = 0, kept = 0;
    int rc = 0;

    for (size_t i = 0; i < result->count; i++)
        count += is_missing(self, i);
    if (count == 0)
        return 0;
    cm_answer_t *missing = malloc(count * sizeof *missing);
    if (missing == NULL)
        return cm_fail_memory(err);
    for (size_t i = 0; i < result->count; i++) {
        if (is_missing(self, i))
            missing[kept++] = answer_of(self, result->cells[i]);
    }
    qsort(missing, count, sizeof *missing, by_texts);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        count_row(self);
        self->out->missing++;
        rc = self->options->found(self->options->context,
                                  &(cm_index_discrepancy_t){.events = &missing[i]});
    }
    free(missing);
    return rc;
}

/* ---- all of it ---- */

static int verify_part(verifying_t *self, cm_err_t *err)
{
    const cm_index_query_t query = {.dimension = self->dimension,
                                    .window = self->window,
                                    .unsorted = true,
                                    .foreign = take_foreign};

    int rc = cm_index_query(self->options->index, &query, take_row, self, err);
    return rc != 0 ? rc : report_missing(self, err);
}

int cm_index_verify(const cm_index_verify_options_t *options, cm_index_verified_t *verified,
                    cm_err_t *err)
{
    verifying_t self = {.options = options, .out = verified};

    int rc = learn_texts(options->reader, CM_URL, &self.urls, err);
    if (rc == 0)
        rc = learn_texts(options->reader, CM_COUNTRY, &self.countries, err);
    if (rc == 0 && (self.seen = calloc(cm_bitmap_bytes(options->result->count), 1)) == NULL)
        rc = cm_fail_memory(err);
    for (int w = 0; rc == 0 && w < CM_WINDOW_COUNT; w++) {
        self.window = (cm_window_t)w;
        for (int d = 0; rc == 0 && d < CM_DIMENSION_COUNT && cm_window_in(options->windows, w);
             d++) {
            self.dimension = (cm_dimension_t)d;
            rc = verify_part(&self, err);
        }
    }
    cm_dict_free(&self.urls);
    cm_dict_free(&self.countries);
    free(self.seen);
    return rc;
}
