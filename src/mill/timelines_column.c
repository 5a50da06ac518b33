#include "mill/timelines_inside.h"

#include <assert.h>
#include <stdlib.h>

enum { HELD_BYTES = 4 }; /* of an event and column, about: what is held, and then the value */

/* Where a column comes from: the part of a block (CM_READ_*), and a cm_field_t, or for the optional
 * fields a cm_extra_field_t. Fields have a dictionary in the store; of optional fields each block
 * has the strings itself. */
typedef struct source {
    unsigned part, field;
} source_t;

static const source_t sources[CM_COLUMN_COUNT] = {
    [CM_COLUMN_URL] = {CM_READ_HOT, CM_URL},
    [CM_COLUMN_COUNTRY] = {CM_READ_HOT, CM_COUNTRY},
    [CM_COLUMN_CITY] = {CM_READ_COLD, CM_CITY},
    [CM_COLUMN_BROWSER] = {CM_READ_COLD, CM_BROWSER},
    [CM_COLUMN_OS] = {CM_READ_COLD, CM_OS},
    [CM_COLUMN_DEVICE] = {CM_READ_COLD, CM_DEVICE},
    [CM_COLUMN_NAME] = {CM_READ_EXTRA, CM_EXTRA_NAME},
    [CM_COLUMN_REFERRER] = {CM_READ_EXTRA, CM_EXTRA_REFERRER},
    [CM_COLUMN_UTM_SOURCE] = {CM_READ_EXTRA, CM_EXTRA_UTM_SOURCE},
    [CM_COLUMN_UTM_MEDIUM] = {CM_READ_EXTRA, CM_EXTRA_UTM_MEDIUM},
    [CM_COLUMN_UTM_CAMPAIGN] = {CM_READ_EXTRA, CM_EXTRA_UTM_CAMPAIGN},
    [CM_COLUMN_UTM_TERM] = {CM_READ_EXTRA, CM_EXTRA_UTM_TERM},
    [CM_COLUMN_UTM_CONTENT] = {CM_READ_EXTRA, CM_EXTRA_UTM_CONTENT},
    [CM_COLUMN_BROWSER_VERSION] = {CM_READ_EXTRA, CM_EXTRA_BROWSER_VERSION},
    [CM_COLUMN_OS_VERSION] = {CM_READ_EXTRA, CM_EXTRA_OS_VERSION},
    [CM_COLUMN_REGION] = {CM_READ_EXTRA, CM_EXTRA_REGION},
    [CM_COLUMN_LANGUAGE] = {CM_READ_EXTRA, CM_EXTRA_LANGUAGE},
    [CM_COLUMN_PROPS] = {CM_READ_EXTRA, CM_EXTRA_PROPS},
    [CM_COLUMN_ENGAGED] = {CM_READ_EXTRA, CM_EXTRA_ENGAGED},
};

/* A block of an optional field. While all values of a column fit into a byte, each block is put at
 * once. Later blocks wait until it is known how many values there are in all. */
typedef struct held {
    void *numbers; /* by event, `width` bytes each; NULL: the block does not wait */
    uint8_t width;
    uint32_t *values; /* by number: the value in the column */
} held_t;

/* Columns being read, all from one part of the blocks. */
typedef struct reading {
    cm_timelines_t *timelines;
    unsigned part;
    uint32_t columns;              /* a mask */
    held_t *held[CM_COLUMN_COUNT]; /* by block; of optional fields with strings */
    cm_timelines_column_t putting; /* the one whose held values are put */
    atomic_size_t next;            /* the block that a thread takes next */
    pthread_mutex_t lock;          /* of the strings of optional fields, and of what follows */
    int rc;
    cm_err_t err;
} reading_t;

/* Whether the column's strings are collected from the blocks. */
static bool is_collected(int column)
{
    return sources[column].part == CM_READ_EXTRA && column != CM_COLUMN_ENGAGED;
}

static uint8_t width_for(uint32_t count)
{
    return count <= UINT8_MAX + 1u ? 1 : count <= UINT16_MAX + 1u ? 2 : 4;
}

static void fail(reading_t *reading, int rc, const cm_err_t *err)
{
    pthread_mutex_lock(&reading->lock);
    if (reading->rc == 0) {
        reading->rc = rc;
        reading->err = *err;
    }
    pthread_mutex_unlock(&reading->lock);
}

/* Takes the next block; false when there is none, or one has failed. */
static bool take(reading_t *reading, size_t *block)
{
    pthread_mutex_lock(&reading->lock);
    const bool failed = reading->rc < 0;
    pthread_mutex_unlock(&reading->lock);
    *block = atomic_fetch_add(&reading->next, 1);
    return !failed && *block < reading->timelines->block_count;
}

static int run(reading_t *reading, void (*work)(void *context, int number), cm_err_t *err)
{
    atomic_store(&reading->next, 0);
    cm_team_run(reading->timelines->threads, work, reading);
    if (reading->rc < 0)
        *err = reading->err;
    return reading->rc;
}

/* ---- putting values to their rows ---- */

/* `values` maps a block's numbers to values; NULL: `add` is added to them. */
#define PUT(name, to_t, from_t)                                                                    \
    static void name(to_t *to, const uint32_t *row_of, uint32_t count, const from_t *numbers,      \
                     const uint32_t *values, uint32_t add)                                         \
    {                                                                                              \
        for (uint32_t i = 0; i < count; i++) {                                                     \
            if (row_of[i] != CM_TIMELINES_NO_ROW)                                                  \
                to[row_of[i]] = (to_t)(values != NULL ? values[numbers[i]] : numbers[i] + add);    \
        }                                                                                          \
    }

PUT(put_1_1, uint8_t, uint8_t)
PUT(put_1_2, uint8_t, uint16_t)
PUT(put_1_4, uint8_t, uint32_t)
PUT(put_2_1, uint16_t, uint8_t)
PUT(put_2_2, uint16_t, uint16_t)
PUT(put_2_4, uint16_t, uint32_t)
PUT(put_4_1, uint32_t, uint8_t)
PUT(put_4_2, uint32_t, uint16_t)
PUT(put_4_4, uint32_t, uint32_t)

/* Puts the values of a block; its numbers have `width` bytes. */
static void put(const reading_t *reading, int column, const cm_block_ref_t *block,
                const void *numbers, uint8_t width, const uint32_t *values, uint32_t add)
{
    const cm_timelines_values_t *target = &reading->timelines->columns[column];
    const uint32_t *rows = reading->timelines->row_of + block->first;
    const uint32_t count = cm_timelines_count_in(reading->timelines, block);
    void *to = target->values;

    switch (target->width * 8 + width) {
    case 9:
        put_1_1(to, rows, count, numbers, values, add);
        break;
    case 10:
        put_1_2(to, rows, count, numbers, values, add);
        break;
    case 12:
        put_1_4(to, rows, count, numbers, values, add);
        break;
    case 17:
        put_2_1(to, rows, count, numbers, values, add);
        break;
    case 18:
        put_2_2(to, rows, count, numbers, values, add);
        break;
    case 20:
        put_2_4(to, rows, count, numbers, values, add);
        break;
    case 33:
        put_4_1(to, rows, count, numbers, values, add);
        break;
    case 34:
        put_4_2(to, rows, count, numbers, values, add);
        break;
    default:
        put_4_4(to, rows, count, numbers, values, add);
    }
}

/* Makes the array of a column with `count` values; all are absent. */
static int make_values(cm_timelines_t *timelines, int column, uint32_t count, cm_err_t *err)
{
    cm_timelines_values_t *to = &timelines->columns[column];
    const size_t rows = (size_t)timelines->end; /* some are not used */
    const uint8_t width = width_for(count);

    int rc = cm_timelines_check_memory(timelines, (int64_t)(rows * width), err);
    if (rc < 0)
        return rc;
    void *values = calloc(rows + 1, width);
    if (values == NULL)
        return cm_fail_memory(err);
    to->values = values;
    to->width = width;
    to->count = count;
    atomic_fetch_add(&timelines->size, (int64_t)(rows * width));
    return 0;
}

/* Puts the values of a block that need no strings of their own. */
static void put_numbers(const reading_t *reading, int column, const cm_block_ref_t *block,
                        const cm_columns_t *columns)
{
    if (column != CM_COLUMN_ENGAGED)
        put(reading, column, block, columns->ids[sources[column].field], sizeof(uint32_t), NULL, 1);
    else if (columns->wide.any)
        put(reading, column, block, columns->wide.engaged, sizeof(uint32_t), NULL, 0);
}

/* The strings of a dictionary of the store. */
static int read_strings(cm_timelines_t *timelines, int column, uint32_t count, cm_err_t *err)
{
    const cm_field_t field = (cm_field_t)sources[column].field;
    cm_timelines_values_t *to = &timelines->columns[column];
    const int64_t bytes = (int64_t)count * (int64_t)sizeof *to->strings;

    int rc = cm_timelines_check_memory(timelines, bytes, err);
    if (rc < 0)
        return rc;
    to->strings = malloc(((size_t)count + 1) * sizeof *to->strings);
    if (to->strings == NULL)
        return cm_fail_memory(err);
    for (uint32_t id = 0; rc == 0 && id < count; id++)
        rc = cm_reader_string(timelines->readers[0], field, id, &to->strings[id + 1], err);
    if (rc == 0)
        atomic_fetch_add(&timelines->size, bytes);
    return rc;
}

/* ---- optional fields with strings ---- */

/* Keeps a block's numbers in as few bytes as they need. */
static int hold_numbers(held_t *held, const uint32_t *numbers, uint32_t count, uint32_t strings,
                        cm_err_t *err)
{
    held->width = width_for(strings + 1);
    held->numbers = malloc((size_t)count * held->width);
    if (held->numbers == NULL)
        return cm_fail_memory(err);
    if (held->width == 4) {
        memcpy(held->numbers, numbers, count * sizeof *numbers);
    } else if (held->width == 2) {
        for (uint32_t i = 0; i < count; i++)
            ((uint16_t *)held->numbers)[i] = (uint16_t)numbers[i];
    } else {
        for (uint32_t i = 0; i < count; i++)
            ((uint8_t *)held->numbers)[i] = (uint8_t)numbers[i];
    }
    return 0;
}

/* Adds a block's strings to those of the column, and notes their values. */
static int hold_values(reading_t *reading, int column, held_t *held, const cm_dict_t *strings,
                       cm_err_t *err)
{
    cm_dict_t *all = &reading->timelines->columns[column].dict;
    const uint32_t count = strings->count;
    cm_str_t *texts = malloc(((size_t)count + 1) * sizeof *texts);
    uint32_t *hashes = malloc(((size_t)count + 1) * sizeof *hashes);

    held->values = malloc(((size_t)count + 1) * sizeof *held->values);
    int rc = texts == NULL || hashes == NULL || held->values == NULL ? cm_fail_memory(err) : 0;
    for (uint32_t id = 0; rc == 0 && id < count; id++) {
        texts[id] = cm_dict_string(strings, id);
        hashes[id] = cm_dict_hash(texts[id]);
    }
    if (rc == 0) {
        pthread_mutex_lock(&reading->lock);
        cm_dict_put_many(all, texts, hashes, count, held->values + 1);
        pthread_mutex_unlock(&reading->lock);
        for (uint32_t id = 1; id <= count; id++)
            held->values[id]++;
        /* The first string of the column of names is that of page views. */
        held->values[0] = column == CM_COLUMN_NAME ? 1 : 0;
    }
    free(texts);
    free(hashes);
    return rc;
}

/* Whether all values of a block fit into a byte. */
static bool are_bytes(const held_t *held, uint32_t strings)
{
    uint32_t all = 0;

    for (uint32_t number = 0; number <= strings; number++)
        all |= held->values[number];
    return all <= UINT8_MAX;
}

static int put_or_hold(reading_t *reading, int column, size_t b, const cm_wide_t *wide,
                       cm_err_t *err)
{
    const cm_timelines_t *timelines = reading->timelines;
    const cm_block_ref_t *block = &timelines->blocks[b];
    const unsigned field = sources[column].field;
    const cm_dict_t *strings = &wide->strings[field];
    held_t *held = &reading->held[column][b];

    int rc = hold_values(reading, column, held, strings, err);
    if (rc == 0 && !are_bytes(held, strings->count))
        return hold_numbers(held, wide->ids[field], cm_timelines_count_in(timelines, block),
                            strings->count, err);
    if (rc == 0)
        put(reading, column, block, wide->ids[field], sizeof(uint32_t), held->values, 0);
    free(held->values);
    held->values = NULL;
    return rc;
}

/* Names of a block in which all events are page views. */
static void put_views(const reading_t *reading, const cm_block_ref_t *block)
{
    static const uint32_t view = 1;
    uint8_t *views = cm_alloc_zero(block->count, 1);

    put(reading, CM_COLUMN_NAME, block, views, 1, &view, 0);
    free(views);
}

static void put_held(void *context, int number)
{
    reading_t *reading = context;
    const int column = (int)reading->putting;
    size_t b;

    (void)number;
    while (take(reading, &b)) {
        held_t *held = &reading->held[column][b];
        if (held->numbers != NULL)
            put(reading, column, &reading->timelines->blocks[b], held->numbers, held->width,
                held->values, 0);
        free(held->numbers);
        held->numbers = NULL;
    }
}

/* Makes the array of a column, whose values had a byte each, as wide as `count` values need. Rows
 * may have numbers above `rows`, because some between periods are not used. */
static int widen(cm_timelines_t *timelines, int column, uint32_t count, cm_err_t *err)
{
    cm_timelines_values_t *to = &timelines->columns[column];
    uint8_t *bytes = to->values;

    int rc = make_values(timelines, column, count, err);
    if (rc < 0)
        return rc;
    for (int64_t row = 0; to->width == 2 && row < timelines->end; row++)
        ((uint16_t *)to->values)[row] = bytes[row];
    for (int64_t row = 0; to->width == 4 && row < timelines->end; row++)
        ((uint32_t *)to->values)[row] = bytes[row];
    free(bytes);
    atomic_fetch_sub(&timelines->size, timelines->end);
    return 0;
}

/* Puts the values of a column that have been held, when all blocks have been read. */
static int finish_column(reading_t *reading, int column, cm_err_t *err)
{
    cm_timelines_t *timelines = reading->timelines;
    const cm_dict_t *dict = &timelines->columns[column].dict;
    size_t bytes = 0;

    for (uint32_t id = 0; id < dict->count; id++)
        bytes += dict->entries[id].len + sizeof *dict->entries + 4 * sizeof *dict->slots;
    atomic_fetch_add(&timelines->size, (int64_t)bytes);
    timelines->columns[column].count = dict->count + 1;
    if (width_for(dict->count + 1) == 1)
        return 0;
    int rc = widen(timelines, column, dict->count + 1, err);
    reading->putting = (cm_timelines_column_t)column;
    return rc < 0 ? rc : run(reading, put_held, err);
}

/* ---- the whole ---- */

static int take_block(reading_t *reading, int number, size_t b, cm_columns_t *columns,
                      cm_err_t *err)
{
    cm_timelines_t *timelines = reading->timelines;
    const cm_block_ref_t *block = &timelines->blocks[b];

    int rc = cm_timelines_check_stop(timelines, err);
    if (rc == 0)
        rc = cm_reader_read(timelines->readers[number], block, reading->part, columns, err);
    for (int column = 0; rc == 0 && column < CM_COLUMN_COUNT; column++) {
        if (!(reading->columns >> column & 1))
            continue;
        if (!is_collected(column))
            put_numbers(reading, column, block, columns);
        else if (columns->wide.any)
            rc = put_or_hold(reading, column, b, &columns->wide, err);
        else if (column == CM_COLUMN_NAME)
            put_views(reading, block);
    }
    return rc;
}

static void read_blocks(void *context, int number)
{
    reading_t *reading = context;
    cm_columns_t columns = {0};
    cm_err_t err;
    size_t b;

    for (int column = 0; column < CM_COLUMN_COUNT; column++) {
        if (reading->columns >> column & 1)
            columns.only |= (reading->part == CM_READ_EXTRA ? (uint32_t)CM_ONLY_EXTRAS
                                                            : (uint32_t)CM_ONLY_FIELDS)
                            << sources[column].field;
    }
    while (take(reading, &b)) {
        int rc = take_block(reading, number, b, &columns, &err);
        if (rc < 0)
            fail(reading, rc, &err);
    }
    cm_columns_free(&columns);
}

/* What a column needs before blocks are read. */
static int prepare(reading_t *reading, int column, cm_err_t *err)
{
    cm_timelines_t *timelines = reading->timelines;
    uint32_t count = CM_ENGAGED_MAX + 1;
    int rc = 0;

    if (is_collected(column)) {
        reading->held[column] =
            cm_alloc_zero(timelines->block_count + 1, sizeof *reading->held[column]);
        if (column == CM_COLUMN_NAME)
            cm_dict_put(&timelines->columns[column].dict, CM_STR("pageview"));
        return make_values(timelines, column, 1, err);
    }
    if (column != CM_COLUMN_ENGAGED) {
        rc = cm_reader_string_count(timelines->readers[0], (cm_field_t)sources[column].field,
                                    &count, err);
        if (rc == 0)
            rc = read_strings(timelines, column, count, err);
    }
    return rc < 0 ? rc : make_values(timelines, column, count + 1, err);
}

static void free_held(reading_t *reading, int column)
{
    for (size_t b = 0; reading->held[column] != NULL && b < reading->timelines->block_count; b++) {
        free(reading->held[column][b].numbers);
        free(reading->held[column][b].values);
    }
    free(reading->held[column]);
    reading->held[column] = NULL;
}

/* Reads some columns of one part. After a failure there are none of them. */
static int read_together(cm_timelines_t *timelines, unsigned part, uint32_t columns, cm_err_t *err)
{
    reading_t reading = {.timelines = timelines, .part = part, .columns = columns};
    const int64_t size = atomic_load(&timelines->size);
    int rc = 0;

    pthread_mutex_init(&reading.lock, NULL);
    for (int column = 0; rc == 0 && column < CM_COLUMN_COUNT; column++) {
        if (columns >> column & 1)
            rc = prepare(&reading, column, err);
    }
    if (rc == 0)
        rc = run(&reading, read_blocks, err);
    for (int column = 0; column < CM_COLUMN_COUNT; column++) {
        if (rc == 0 && reading.held[column] != NULL)
            rc = finish_column(&reading, column, err);
        free_held(&reading, column);
    }
    for (int column = 0; rc < 0 && column < CM_COLUMN_COUNT; column++) {
        if (columns >> column & 1)
            cm_timelines_values_free(&timelines->columns[column]);
    }
    if (rc < 0)
        atomic_store(&timelines->size, size);
    pthread_mutex_destroy(&reading.lock);
    return rc;
}

/* Whether there is memory for what is held of so many columns at once. */
static bool fit_together(const cm_timelines_t *timelines, uint32_t columns)
{
    cm_err_t err;

    return cm_timelines_check_memory(
               timelines, timelines->end * HELD_BYTES * __builtin_popcount(columns), &err) == 0;
}

int cm_timelines_read(cm_timelines_t *timelines, uint32_t columns, cm_err_t *err)
{
    static const unsigned parts[] = {CM_READ_HOT, CM_READ_COLD, CM_READ_EXTRA};
    int rc = 0;

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        uint32_t left = 0;
        for (int column = 0; column < CM_COLUMN_COUNT; column++) {
            if (sources[column].part == parts[i] && timelines->columns[column].width == 0)
                left |= columns & 1u << column;
        }
        while (rc == 0 && left != 0) {
            const uint32_t some = fit_together(timelines, left) ? left : left & -left;
            rc = read_together(timelines, parts[i], some, err);
            left &= ~some;
        }
    }
    return rc;
}

void cm_timelines_values_free(cm_timelines_values_t *values)
{
    free(values->values);
    free(values->strings);
    cm_dict_free(&values->dict);
    *values = (cm_timelines_values_t){0};
}
