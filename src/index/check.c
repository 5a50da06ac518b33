#include "index/check.h"

#include "store/dict.h"

#include <stdlib.h>

/* What the events give for a window, to be looked up by text. */
typedef struct checking {
    const cm_check_options_t *options;
    cm_checked_t *checked;
    cm_mill_result_t result;
    cm_reader_t *names;
    cm_dict_t texts[2]; /* the urls and the countries of the result */
    uint32_t *slots;    /* hash over key + place in result + 1, 0 is free */
    size_t mask;
    bool *seen; /* by place in result */
    cm_window_t window;
    cm_dimension_t dimension;
} checking_t;

enum { FIELDS = 8 };
static const char *const field_names[FIELDS] = {
    "clicks",           "unique_user_count",  "time_spent_sum", "time_spent_count",
    "time_on_page_sum", "time_on_page_count", "entrances",      "exits"};

/* ---- looking up ---- */

static size_t hash_of(const cm_cell_key_t *key)
{
    uint64_t hash = ((uint64_t)key->url << 32 | key->country) * UINT64_C(0x9E3779B97F4A7C15);
    hash ^= (hash >> 29) + key->window;
    return (size_t)((hash * UINT64_C(0xBF58476D1CE4E5B9)) >> 20);
}

static uint32_t *find_slot(const checking_t *self, const cm_cell_key_t *key)
{
    for (size_t at = hash_of(key);; at++) {
        uint32_t *slot = &self->slots[at & self->mask];
        if (*slot == 0)
            return slot;
        const cm_cell_key_t *other = &self->result.cells[*slot - 1]->key;
        if (other->url == key->url && other->country == key->country &&
            other->window == key->window)
            return slot;
    }
}

static int load_texts(checking_t *self, cm_dict_t *texts, cm_field_t field, cm_err_t *err)
{
    uint32_t count;
    cm_str_t text;

    int rc = cm_reader_names(self->names, field, &count, err);
    for (uint32_t id = 0; rc == 0 && id < count; id++) {
        if ((rc = cm_reader_name(self->names, field, id, &text, err)) == 0)
            cm_dict_put(texts, text);
    }
    return rc;
}

static int build(checking_t *self, cm_err_t *err)
{
    size_t slots = 64;

    while (slots < self->result.count * 2)
        slots *= 2;
    self->mask = slots - 1;
    self->slots = calloc(slots, sizeof *self->slots);
    self->seen = calloc(self->result.count + 1, sizeof *self->seen);
    if (self->slots == NULL || self->seen == NULL)
        return cm_fail_memory(err);
    for (size_t i = 0; i < self->result.count; i++)
        *find_slot(self, &self->result.cells[i]->key) = (uint32_t)i + 1;
    int rc = load_texts(self, &self->texts[0], CM_URL, err);
    return rc == 0 ? load_texts(self, &self->texts[1], CM_COUNTRY, err) : rc;
}

/* Place in the result + 1; 0: the events give no such row. */
static uint32_t look_up(const checking_t *self, const cm_answer_t *answer)
{
    cm_cell_key_t key = {CM_CELL_ALL, CM_CELL_ALL,
                         cm_cell_window(answer->window, answer->window_start)};

    if ((answer->dimension == CM_PER_CELL || answer->dimension == CM_PER_URL) &&
        !cm_dict_find(&self->texts[0], answer->url, &key.url))
        return 0;
    if ((answer->dimension == CM_PER_CELL || answer->dimension == CM_PER_COUNTRY) &&
        !cm_dict_find(&self->texts[1], answer->country, &key.country))
        return 0;
    return *find_slot(self, &key);
}

/* ---- comparing ---- */

static void list_numbers(const cm_numbers_t *n, int64_t list[FIELDS])
{
    const int64_t all[FIELDS] = {n->clicks,           n->users,         n->time_spent_sum,
                                 n->time_spent_count, n->page_time_sum, n->page_time_count,
                                 n->entrances,        n->exits};
    memcpy(list, all, sizeof all);
}

static int tell(checking_t *self, const cm_answer_t *answer, const char *field,
                cm_check_value_t events, cm_check_value_t index)
{
    const cm_check_difference_t difference = {answer, field, events, index};

    self->checked->differences++;
    return self->options->take(self->options->context, &difference);
}

/* What one side has and the other lacks is told by its clicks. */
static int tell_row(checking_t *self, const cm_answer_t *answer, bool events)
{
    const cm_check_value_t here = {.there = true, .number = answer->numbers.clicks};
    const cm_check_value_t nothing = {.there = false};

    self->checked->differ++;
    return tell(self, answer, "clicks", events ? here : nothing, events ? nothing : here);
}

static cm_check_value_t average_of(int64_t sum, int64_t count)
{
    return (cm_check_value_t){
        .there = count != 0, .real = true, .average = count != 0 ? (double)sum / (double)count : 0};
}

static int compare_average(checking_t *self, const cm_answer_t *answer, const char *field,
                           int64_t sum, int64_t count, const cm_stored_average_t *stored)
{
    const cm_check_value_t wanted = average_of(sum, count);
    const cm_check_value_t found = {.there = stored->there, .real = true, .average = stored->value};

    if (wanted.there == found.there && (!wanted.there || wanted.average == found.average))
        return 0;
    return tell(self, answer, field, wanted, found);
}

static int compare_numbers(checking_t *self, const cm_answer_t *answer, const cm_numbers_t *wanted)
{
    int64_t mine[FIELDS], theirs[FIELDS];
    int64_t before = self->checked->differences;
    int rc = 0;

    list_numbers(wanted, mine);
    list_numbers(&answer->numbers, theirs);
    for (int i = 0; rc == 0 && i < FIELDS; i++) {
        if (mine[i] != theirs[i])
            rc = tell(self, answer, field_names[i],
                      (cm_check_value_t){.there = true, .number = mine[i]},
                      (cm_check_value_t){.there = true, .number = theirs[i]});
    }
    if (rc == 0 && answer->stored != NULL)
        rc = compare_average(self, answer, "average_time_spent", wanted->time_spent_sum,
                             wanted->time_spent_count, &answer->stored[0]);
    if (rc == 0 && answer->stored != NULL)
        rc = compare_average(self, answer, "average_time_on_page", wanted->page_time_sum,
                             wanted->page_time_count, &answer->stored[1]);
    self->checked->differ += self->checked->differences > before;
    return rc;
}

static int take_row(void *context, const cm_answer_t *answer)
{
    checking_t *self = context;
    const uint32_t place = look_up(self, answer);

    if (place == 0 || cm_numbers_zero(&self->result.cells[place - 1]->numbers)) {
        self->checked->compared++;
        return tell_row(self, answer, false);
    }
    self->seen[place - 1] = true;
    return compare_numbers(self, answer, &self->result.cells[place - 1]->numbers);
}

/* What the index lacks. */
static int tell_missing(checking_t *self, cm_err_t *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < self->result.count; i++) {
        const cm_cell_t *cell = self->result.cells[i];
        const bool url = cell->key.url != CM_CELL_ALL, country = cell->key.country != CM_CELL_ALL;
        if (cm_numbers_zero(&cell->numbers))
            continue;
        self->checked->compared++;
        if (self->seen[i])
            continue;
        cm_answer_t answer = {.dimension = url       ? (country ? CM_PER_CELL : CM_PER_URL)
                                           : country ? CM_PER_COUNTRY
                                                     : CM_PER_NOTHING,
                              .window = self->window,
                              .window_start = cm_cell_window_start(cell->key.window),
                              .numbers = cell->numbers};
        if (url)
            rc = cm_reader_name(self->names, CM_URL, cell->key.url, &answer.url, err);
        if (rc == 0 && country)
            rc = cm_reader_name(self->names, CM_COUNTRY, cell->key.country, &answer.country, err);
        if (rc == 0)
            rc = tell_row(self, &answer, true);
    }
    return rc;
}

static void free_all(checking_t *self)
{
    cm_mill_result_free(&self->result);
    cm_reader_close(self->names);
    for (int i = 0; i < 2; i++)
        cm_dict_free(&self->texts[i]);
    free(self->slots);
    free(self->seen);
}

static int check_window(cm_index_t *index, const cm_check_options_t *options, cm_window_t window,
                        cm_checked_t *checked, cm_err_t *err)
{
    checking_t self = {.options = options, .checked = checked, .window = window};
    const cm_mill_options_t mill = {.session_timeout = options->session_timeout,
                                    .windows = 1u << window,
                                    .until = options->until[window],
                                    .memory = options->memory,
                                    .threads = options->threads,
                                    .stop = options->stop,
                                    .reader = options->reader,
                                    .context = options->reader_context};

    int rc = cm_mill(&mill, &self.result, err);
    if (rc == 0)
        rc = options->reader(options->reader_context, &self.names, err);
    if (rc == 0)
        rc = build(&self, err);
    for (int d = 0; rc == 0 && d < CM_DIMENSION_COUNT; d++) {
        const cm_query_t query = {
            .dimension = (cm_dimension_t)d, .window = window, .sort = CM_SORT_URL, .limit = 0};
        rc = cm_index_query(index, &query, take_row, &self, err);
    }
    if (rc == 0)
        rc = tell_missing(&self, err);
    free_all(&self);
    return rc;
}

int cm_check_index(cm_index_t *index, const cm_check_options_t *options, cm_checked_t *checked,
                   cm_err_t *err)
{
    int rc = 0;

    *checked = (cm_checked_t){0};
    for (int w = 0; rc == 0 && w < CM_WINDOW_COUNT; w++) {
        if (options->windows & 1u << w)
            rc = check_window(index, options, (cm_window_t)w, checked, err);
    }
    return rc;
}
