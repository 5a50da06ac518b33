#include "mill/timelines_inside.h"

#include <assert.h>
#include <stdlib.h>

/* How the column is read: a field with a dictionary in the store, or an optional one, whose strings
 * each block has itself. */
typedef struct source {
    bool optional;
    unsigned field; /* cm_field_t or cm_extra_field_t */
} source_t;

static const source_t sources[CM_COLUMN_COUNT] = {
    [CM_COLUMN_URL] = {false, CM_URL},
    [CM_COLUMN_COUNTRY] = {false, CM_COUNTRY},
    [CM_COLUMN_CITY] = {false, CM_CITY},
    [CM_COLUMN_BROWSER] = {false, CM_BROWSER},
    [CM_COLUMN_OS] = {false, CM_OS},
    [CM_COLUMN_DEVICE] = {false, CM_DEVICE},
    [CM_COLUMN_NAME] = {true, CM_EXTRA_NAME},
    [CM_COLUMN_REFERRER] = {true, CM_EXTRA_REFERRER},
    [CM_COLUMN_UTM_SOURCE] = {true, CM_EXTRA_UTM_SOURCE},
    [CM_COLUMN_UTM_MEDIUM] = {true, CM_EXTRA_UTM_MEDIUM},
    [CM_COLUMN_UTM_CAMPAIGN] = {true, CM_EXTRA_UTM_CAMPAIGN},
    [CM_COLUMN_UTM_TERM] = {true, CM_EXTRA_UTM_TERM},
    [CM_COLUMN_UTM_CONTENT] = {true, CM_EXTRA_UTM_CONTENT},
    [CM_COLUMN_BROWSER_VERSION] = {true, CM_EXTRA_BROWSER_VERSION},
    [CM_COLUMN_OS_VERSION] = {true, CM_EXTRA_OS_VERSION},
    [CM_COLUMN_REGION] = {true, CM_EXTRA_REGION},
    [CM_COLUMN_LANGUAGE] = {true, CM_EXTRA_LANGUAGE},
    [CM_COLUMN_PROPS] = {true, CM_EXTRA_PROPS},
    [CM_COLUMN_ENGAGED] = {true, CM_EXTRA_ENGAGED},
};

/* A block of an optional field whose values wait until it is known how many there are in all. */
typedef struct held {
    void *numbers; /* by event, `width` bytes each; NULL: the block has no optional fields */
    uint8_t width;
    uint32_t *values; /* by number: the value in the column */
} held_t;

/* One column being read. */
typedef struct reading {
    cm_timelines_t *timelines;
    source_t source;
    cm_timelines_values_t *to;
    held_t *held;         /* by block; of an optional field with strings */
    atomic_size_t next;   /* the block that a thread takes next */
    pthread_mutex_t lock; /* of the strings of an optional field, and of what follows */
    int rc;
    cm_err_t err;
} reading_t;

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
static void put(const reading_t *reading, const cm_block_ref_t *block, const void *numbers,
                uint8_t width, const uint32_t *values, uint32_t add)
{
    const uint32_t *rows = reading->timelines->row_of + block->first;
    const uint32_t count = cm_timelines_count_in(reading->timelines, block);
    void *to = reading->to->values;

    switch (reading->to->width * 8 + width) {
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
static int make_values(reading_t *reading, uint32_t count, cm_err_t *err)
{
    const size_t rows = reading->timelines->rows;
    cm_timelines_values_t *to = reading->to;
    const uint8_t width = width_for(count);

    int rc = cm_timelines_check_memory(reading->timelines, (int64_t)(rows * width), err);
    if (rc < 0)
        return rc;
    to->values = calloc(rows + 1, width);
    if (to->values == NULL)
        return cm_fail_memory(err);
    to->width = width;
    to->count = count;
    atomic_fetch_add(&reading->timelines->size, (int64_t)(rows * width));
    return 0;
}

/* ---- values that need no dictionary of their own ---- */

static void read_numbers(void *context, int number)
{
    reading_t *reading = context;
    const source_t source = reading->source;
    cm_timelines_t *timelines = reading->timelines;
    cm_columns_t columns = {.only = source.optional ? (uint32_t)CM_ONLY_EXTRAS << source.field
                                                    : (uint32_t)CM_ONLY_FIELDS << source.field};
    const unsigned part = source.optional          ? CM_READ_EXTRA
                          : source.field < CM_CITY ? CM_READ_HOT
                                                   : CM_READ_COLD;
    cm_err_t err;
    size_t b;

    while (take(reading, &b)) {
        const cm_block_ref_t *block = &timelines->blocks[b];
        int rc = cm_timelines_check_stop(timelines, &err);
        if (rc == 0)
            rc = cm_reader_read(timelines->readers[number], block, part, &columns, &err);
        if (rc < 0)
            fail(reading, rc, &err);
        else if (!source.optional)
            put(reading, block, columns.ids[source.field], sizeof(uint32_t), NULL, 1);
        else if (columns.wide.any)
            put(reading, block, columns.wide.engaged, sizeof(uint32_t), NULL, 0);
    }
    cm_columns_free(&columns);
}

/* The strings of a dictionary of the store. */
static int read_strings(reading_t *reading, uint32_t count, cm_err_t *err)
{
    cm_reader_t *reader = reading->timelines->readers[0];
    cm_timelines_values_t *to = reading->to;
    const int64_t bytes = (int64_t)count * (int64_t)sizeof *to->strings;

    int rc = cm_timelines_check_memory(reading->timelines, bytes, err);
    if (rc < 0)
        return rc;
    to->strings = malloc(((size_t)count + 1) * sizeof *to->strings);
    if (to->strings == NULL)
        return cm_fail_memory(err);
    for (uint32_t id = 0; rc == 0 && id < count; id++)
        rc = cm_reader_string(reader, (cm_field_t)reading->source.field, id, &to->strings[id + 1],
                              err);
    if (rc == 0)
        atomic_fetch_add(&reading->timelines->size, bytes);
    return rc;
}

static int read_field(reading_t *reading, cm_err_t *err)
{
    uint32_t count = CM_ENGAGED_MAX + 1;
    int rc = 0;

    if (!reading->source.optional) {
        rc = cm_reader_string_count(reading->timelines->readers[0],
                                    (cm_field_t)reading->source.field, &count, err);
        if (rc == 0)
            rc = read_strings(reading, count, err);
    }
    if (rc == 0)
        rc = make_values(reading, count + 1, err);
    return rc < 0 ? rc : run(reading, read_numbers, err);
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
static int hold_values(reading_t *reading, held_t *held, const cm_dict_t *strings, cm_err_t *err)
{
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
        for (uint32_t from = 0, some; from < count; from += some) {
            some = count - from < 16 ? count - from : 16;
            cm_dict_put_many(&reading->to->dict, texts + from, hashes + from, some,
                             held->values + 1 + from);
        }
        pthread_mutex_unlock(&reading->lock);
        for (uint32_t id = 1; id <= count; id++)
            held->values[id]++;
        /* The first string of the column of names is that of page views. */
        held->values[0] = reading->source.field == CM_EXTRA_NAME ? 1 : 0;
    }
    free(texts);
    free(hashes);
    return rc;
}

static void hold_blocks(void *context, int number)
{
    reading_t *reading = context;
    cm_timelines_t *timelines = reading->timelines;
    const unsigned field = reading->source.field;
    cm_columns_t columns = {.only = (uint32_t)CM_ONLY_EXTRAS << field};
    cm_err_t err;
    size_t b;

    while (take(reading, &b)) {
        const cm_block_ref_t *block = &timelines->blocks[b];
        int rc = cm_timelines_check_stop(timelines, &err);
        if (rc == 0)
            rc = cm_reader_read(timelines->readers[number], block, CM_READ_EXTRA, &columns, &err);
        if (rc == 0 && columns.wide.any) {
            rc = hold_numbers(&reading->held[b], columns.wide.ids[field],
                              cm_timelines_count_in(timelines, block),
                              columns.wide.strings[field].count, &err);
            if (rc == 0)
                rc = hold_values(reading, &reading->held[b], &columns.wide.strings[field], &err);
        }
        if (rc < 0)
            fail(reading, rc, &err);
    }
    cm_columns_free(&columns);
}

static void put_blocks(void *context, int number)
{
    static const uint32_t view = 1;
    reading_t *reading = context;
    size_t b;

    (void)number;
    while (take(reading, &b)) {
        const cm_block_ref_t *block = &reading->timelines->blocks[b];
        held_t *held = &reading->held[b];
        if (held->numbers != NULL) {
            put(reading, block, held->numbers, held->width, held->values, 0);
        } else if (reading->source.field == CM_EXTRA_NAME) {
            uint8_t *views = cm_alloc_zero(block->count, 1);
            put(reading, block, views, 1, &view, 0);
            free(views);
        }
        free(held->numbers);
        held->numbers = NULL;
    }
}

static int read_optional(reading_t *reading, cm_err_t *err)
{
    const size_t blocks = reading->timelines->block_count;
    cm_dict_t *dict = &reading->to->dict;
    size_t bytes = 0;

    reading->held = cm_alloc_zero(blocks + 1, sizeof *reading->held);
    if (reading->source.field == CM_EXTRA_NAME)
        cm_dict_put(dict, CM_STR("pageview"));
    int rc = run(reading, hold_blocks, err);
    if (rc == 0)
        rc = make_values(reading, dict->count + 1, err);
    if (rc == 0)
        rc = run(reading, put_blocks, err);
    for (size_t b = 0; b < blocks; b++) {
        free(reading->held[b].numbers);
        free(reading->held[b].values);
    }
    free(reading->held);
    for (uint32_t id = 0; rc == 0 && id < dict->count; id++)
        bytes += dict->entries[id].len + sizeof *dict->entries + 4 * sizeof *dict->slots;
    atomic_fetch_add(&reading->timelines->size, (int64_t)bytes);
    return rc;
}

int cm_timelines_read(cm_timelines_t *timelines, cm_timelines_column_t column, cm_err_t *err)
{
    reading_t reading = {
        .timelines = timelines, .source = sources[column], .to = &timelines->columns[column]};
    const int64_t size = atomic_load(&timelines->size);

    pthread_mutex_init(&reading.lock, NULL);
    int rc = reading.source.optional && column != CM_COLUMN_ENGAGED ? read_optional(&reading, err)
                                                                    : read_field(&reading, err);
    if (rc < 0) {
        cm_timelines_values_free(reading.to);
        atomic_store(&timelines->size, size);
    }
    pthread_mutex_destroy(&reading.lock);
    return rc;
}

void cm_timelines_values_free(cm_timelines_values_t *values)
{
    free(values->values);
    free(values->strings);
    cm_dict_free(&values->dict);
    *values = (cm_timelines_values_t){0};
}
