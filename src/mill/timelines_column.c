#include "mill/timelines_inside.h"

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

/* A block of an optional field. Values that fit into the column as it is are put at once. Other
 * blocks wait until it is known how many values there are in all. */
typedef struct held {
    void *numbers; /* by event, `width` bytes each; NULL: the block does not wait */
    uint8_t width;
    uint32_t *values; /* by number: the value in the column */
} held_t;

/* Columns being read, all from one part of the blocks. */
typedef struct reading {
    cm_timelines_t *timelines;
    cm_part_t *part;
    const cm_block_ref_t **blocks; /* those with events of the part */
    size_t block_count;
    unsigned from;                 /* CM_READ_* */
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
    return !failed && *block < reading->block_count;
}

static int run(reading_t *reading, void (*work)(void *context, int number), cm_err_t *err)
{
    atomic_store(&reading->next, 0);
    cm_team_run(reading->timelines->threads, work, reading);
    if (reading->rc < 0)
        *err = reading->err;
    return reading->rc;
}

/* ---- arrays ---- */

/* Makes the array of a column with `count` values; all are absent. */
static int make_values(const reading_t *reading, int column, uint32_t count, cm_err_t *err)
{
    cm_timelines_values_t *to = &reading->part->columns[column];
    const size_t rows = reading->part->room;
    const uint8_t width = width_for(count);

    int rc = cm_timelines_check_memory(reading->timelines, (int64_t)(rows * width), err);
    if (rc < 0)
        return rc;
    void *values = calloc(rows + 1, width);
    if (values == NULL)
        return cm_fail_memory(err);
    to->values = values;
    to->width = width;
    atomic_fetch_add(&reading->part->size, (int64_t)(rows * width));
    return 0;
}

/* Puts the values of a block that need no strings of their own. */
static void put_numbers(const reading_t *reading, int column, const cm_block_ref_t *block,
                        const cm_columns_t *columns)
{
    if (column != CM_COLUMN_ENGAGED)
        cm_part_put(reading->part, column, block, columns->ids[sources[column].field],
                    sizeof(uint32_t), NULL, 1);
    else if (columns->wide.any)
        cm_part_put(reading->part, column, block, columns->wide.engaged, sizeof(uint32_t), NULL, 0);
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
    cm_dict_t *all = &reading->timelines->shared->dicts[column];
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

/* Whether all values of a block fit into the column as it is. */
static bool are_narrow(const held_t *held, uint32_t strings, uint8_t width)
{
    uint32_t all = 0;

    for (uint32_t number = 0; number <= strings; number++)
        all |= held->values[number];
    return width == 4 || all >> 8 * width == 0;
}

static int put_or_hold(reading_t *reading, int column, size_t b, const cm_wide_t *wide,
                       cm_err_t *err)
{
    const cm_block_ref_t *block = reading->blocks[b];
    const unsigned field = sources[column].field;
    const cm_dict_t *strings = &wide->strings[field];
    held_t *held = &reading->held[column][b];

    int rc = hold_values(reading, column, held, strings, err);
    if (rc == 0 && !are_narrow(held, strings->count, reading->part->columns[column].width))
        return hold_numbers(held, wide->ids[field], block->count, strings->count, err);
    if (rc == 0)
        cm_part_put(reading->part, column, block, wide->ids[field], sizeof(uint32_t), held->values,
                    0);
    free(held->values);
    held->values = NULL;
    return rc;
}

/* Names of a block in which all events are page views. */
static void put_views(const reading_t *reading, const cm_block_ref_t *block)
{
    static const uint32_t view = 1;
    uint8_t *views = cm_alloc_zero(block->count, 1);

    cm_part_put(reading->part, CM_COLUMN_NAME, block, views, 1, &view, 0);
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
            cm_part_put(reading->part, column, reading->blocks[b], held->numbers, held->width,
                        held->values, 0);
        free(held->numbers);
        held->numbers = NULL;
    }
}

/* Makes the array of a column as wide as `count` values need. */
static int widen(const reading_t *reading, int column, uint32_t count, cm_err_t *err)
{
    cm_part_t *part = reading->part;
    cm_timelines_values_t *to = &part->columns[column];
    const cm_timelines_values_t from = *to;
    const uint8_t *bytes = from.values;
    const uint16_t *pairs = from.values;

    int rc = make_values(reading, column, count, err);
    if (rc < 0)
        return rc;
    for (uint32_t row = 0; row < part->room; row++) {
        const uint32_t value = from.width == 1 ? bytes[row] : pairs[row];
        if (to->width == 2)
            ((uint16_t *)to->values)[row] = (uint16_t)value;
        else
            ((uint32_t *)to->values)[row] = value;
    }
    free(from.values);
    atomic_fetch_sub(&part->size, (int64_t)part->room * from.width);
    return 0;
}

/* Puts the values of a column that have been held, when all blocks have been read. */
static int finish_column(reading_t *reading, int column, cm_err_t *err)
{
    bool any = false;

    for (size_t b = 0; b < reading->block_count; b++)
        any |= reading->held[column][b].numbers != NULL;
    if (!any)
        return 0;
    int rc = widen(reading, column, reading->timelines->shared->dicts[column].count + 1, err);
    reading->putting = (cm_timelines_column_t)column;
    return rc < 0 ? rc : run(reading, put_held, err);
}

/* ---- the columns of a part ---- */

static int take_block(reading_t *reading, int number, size_t b, cm_columns_t *columns,
                      cm_err_t *err)
{
    const cm_timelines_t *timelines = reading->timelines;
    const cm_block_ref_t *block = reading->blocks[b];

    int rc = cm_timelines_check_stop(timelines, err);
    if (rc == 0)
        rc = cm_reader_read(timelines->readers[number], block, reading->from, columns, err);
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
            columns.only |= (reading->from == CM_READ_EXTRA ? (uint32_t)CM_ONLY_EXTRAS
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
    const cm_timelines_t *timelines = reading->timelines;
    const cm_dict_t *dict = &timelines->shared->dicts[column];

    if (column == CM_COLUMN_ENGAGED)
        return make_values(reading, column, CM_ENGAGED_MAX + 2, err);
    if (!is_collected(column))
        return make_values(reading, column, timelines->strings[sources[column].field] + 1, err);
    reading->held[column] = cm_alloc_zero(reading->block_count + 1, sizeof *reading->held[column]);
    return make_values(reading, column, dict->count + 1, err);
}

static void free_held(reading_t *reading, int column)
{
    for (size_t b = 0; reading->held[column] != NULL && b < reading->block_count; b++) {
        free(reading->held[column][b].numbers);
        free(reading->held[column][b].values);
    }
    free(reading->held[column]);
    reading->held[column] = NULL;
}

/* Finds the blocks that have events of the part. */
static void find_blocks(reading_t *reading)
{
    const cm_timelines_t *timelines = reading->timelines;
    const cm_part_t *part = reading->part;
    size_t range = 0;

    reading->blocks = cm_alloc((timelines->block_count + 1) * sizeof *reading->blocks);
    for (size_t b = 0; b < timelines->block_count; b++) {
        const cm_block_ref_t *block = &timelines->blocks[b];
        while (range < part->range_count &&
               part->ranges[range].first + part->ranges[range].count <= block->first)
            range++;
        if (range < part->range_count && part->ranges[range].first < cm_block_end(block))
            reading->blocks[reading->block_count++] = block;
    }
}

/* Forgets columns that could not be read. */
static void take_back(const reading_t *reading)
{
    for (int column = 0; column < CM_COLUMN_COUNT; column++) {
        cm_timelines_values_t *values = &reading->part->columns[column];
        if (!(reading->columns >> column & 1) || values->width == 0)
            continue;
        atomic_fetch_sub(&reading->part->size, (int64_t)reading->part->room * values->width);
        free(values->values);
        *values = (cm_timelines_values_t){0};
    }
}

/* Reads some columns that are together in the blocks. After a failure there are none of them. */
static int read_together(cm_timelines_t *timelines, cm_part_t *part, unsigned from,
                         uint32_t columns, cm_err_t *err)
{
    reading_t reading = {.timelines = timelines, .part = part, .from = from, .columns = columns};
    int rc = 0;

    pthread_mutex_init(&reading.lock, NULL);
    find_blocks(&reading);
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
    if (rc < 0)
        take_back(&reading);
    free(reading.blocks);
    pthread_mutex_destroy(&reading.lock);
    return rc;
}

/* Whether there is memory for what is held of so many columns at once. */
static bool fit_together(const cm_timelines_t *timelines, const cm_part_t *part, uint32_t columns)
{
    cm_err_t err;

    return cm_timelines_check_memory(
               timelines, (int64_t)part->events * HELD_BYTES * __builtin_popcount(columns), &err) ==
           0;
}

/* Reads those columns of the mask that the part does not have. */
static int read_part(cm_timelines_t *timelines, cm_part_t *part, uint32_t columns, cm_err_t *err)
{
    static const unsigned places[] = {CM_READ_HOT, CM_READ_COLD, CM_READ_EXTRA};
    int rc = 0;

    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        uint32_t left = 0;
        for (int column = 0; column < CM_COLUMN_COUNT; column++) {
            if (sources[column].part == places[i] && part->columns[column].width == 0)
                left |= columns & 1u << column;
        }
        while (rc == 0 && left != 0) {
            const uint32_t some = fit_together(timelines, part, left) ? left : left & -left;
            rc = read_together(timelines, part, places[i], some, err);
            left &= ~some;
        }
    }
    return rc;
}

/* ---- strings ---- */

/* Adds the strings of the store's dictionary that are not there yet: `count` are wanted. Readers
 * that have closed may have given the others, so that all are copied. */
static int copy_texts(cm_timelines_t *timelines, int column, uint32_t count, cm_err_t *err)
{
    cm_timelines_shared_t *shared = timelines->shared;
    cm_texts_t *texts = &shared->texts[column];
    const int64_t bytes = (int64_t)count - texts->count;
    cm_str_t text;

    int rc =
        bytes > 0 ? cm_timelines_check_memory(timelines, bytes * (int64_t)sizeof text, err) : 0;
    while (rc == 0 && texts->count < count) {
        rc = cm_reader_string(timelines->readers[0], (cm_field_t)sources[column].field,
                              texts->count - 1, &text, err);
        if (rc < 0)
            break;
        cm_texts_add(texts, cm_arena_copy(&texts->arena, text));
        atomic_fetch_add(&shared->size, (int64_t)(sizeof text + text.len));
    }
    return rc;
}

/* Adds the strings of an optional field that are not there yet. */
static void list_texts(cm_timelines_shared_t *shared, int column)
{
    const cm_dict_t *dict = &shared->dicts[column];
    cm_texts_t *texts = &shared->texts[column];

    while (texts->count <= dict->count) {
        const cm_str_t text = cm_dict_string(dict, texts->count - 1);
        cm_texts_add(texts, text);
        atomic_fetch_add(&shared->size, (int64_t)(text.len + sizeof text + sizeof *dict->entries +
                                                  4 * sizeof *dict->slots));
    }
}

/* All parts have the column: its strings, and how many values there are. */
static int finish(cm_timelines_t *timelines, int column, cm_err_t *err)
{
    cm_timelines_shared_t *shared = timelines->shared;
    uint32_t count = CM_ENGAGED_MAX + 2;
    int rc = 0;

    if (column != CM_COLUMN_ENGAGED && shared->texts[column].count == 0)
        cm_texts_add(&shared->texts[column], CM_STR("")); /* of the value 0 */
    if (is_collected(column)) {
        list_texts(shared, column);
        count = shared->dicts[column].count + 1;
    } else if (column != CM_COLUMN_ENGAGED) {
        count = timelines->strings[sources[column].field] + 1;
        rc = copy_texts(timelines, column, count, err);
    }
    if (rc == 0) {
        timelines->counts[column] = count;
        timelines->read |= 1u << column;
    }
    return rc;
}

int cm_timelines_read(cm_timelines_t *timelines, uint32_t columns, cm_err_t *err)
{
    const uint32_t wanted = columns & ~timelines->read;
    cm_dict_t *names = &timelines->shared->dicts[CM_COLUMN_NAME];
    int rc = 0;

    if (names->count == 0)
        cm_dict_put(names, CM_STR("pageview"));
    for (uint32_t i = 0; rc == 0 && i < timelines->part_count; i++)
        rc = read_part(timelines, timelines->parts[i], wanted, err);
    for (int column = 0; rc == 0 && column < CM_COLUMN_COUNT; column++) {
        if (wanted >> column & 1)
            rc = finish(timelines, column, err);
    }
    return rc;
}
