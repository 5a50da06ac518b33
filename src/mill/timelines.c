#include "mill/timelines.h"

#include "base/clock.h"
#include "mill/timelines_inside.h"

#include <assert.h>
#include <stdlib.h>

/* Bytes of an event: its row, and second, ms and kind of the row. */
enum { EVENT_BYTES = 4 + 4 + 2 + 1, USER_BYTES = 8 }; /* slices come on top */

int cm_timelines_check_memory(const cm_timelines_t *timelines, int64_t more, cm_err_t *err)
{
    const int64_t allowed = timelines->options.memory;

    if (allowed <= 0 || atomic_load(&timelines->size) + more <= allowed)
        return 0;
    return cm_fail(err, CM_ENOMEM,
                   "%lld events need %lld MB of memory for this question, and %lld MB are allowed; "
                   "allow more memory",
                   (long long)timelines->end,
                   (long long)((atomic_load(&timelines->size) + more) / 1000000 + 1),
                   (long long)(allowed / 1000000));
}

/* What the store has. */
static int survey(cm_timelines_t *timelines, uint32_t *users, cm_err_t *err)
{
    const int64_t until = timelines->options.until;
    cm_reader_t *reader = timelines->readers[0];

    int rc = cm_reader_blocks(reader, &timelines->blocks, &timelines->block_count, err);
    if (rc == 0)
        rc = cm_reader_string_count(reader, CM_USER, users, err);
    if (rc < 0)
        return rc;
    timelines->end = cm_blocks_end(timelines->blocks, timelines->block_count);
    if (until > 0 && until < timelines->end)
        timelines->end = until;
    while (timelines->block_count > 0 &&
           timelines->blocks[timelines->block_count - 1].first >= timelines->end)
        timelines->block_count--;
    if (timelines->end >= CM_TIMELINES_NO_ROW)
        return cm_fail(err, CM_EINTERNAL,
                       "%lld events are more than one question can hold; split the data into "
                       "several directories",
                       (long long)timelines->end);
    return 0;
}

/* Memory for as many rows and users as there may be. Pages that are not written take none. */
static int make_room(cm_timelines_t *timelines, uint32_t users, cm_err_t *err)
{
    const size_t events = (size_t)timelines->end + 1;

    atomic_store(&timelines->size, (int64_t)events * EVENT_BYTES + (int64_t)users * USER_BYTES);
    int rc = cm_timelines_check_memory(timelines, 0, err);
    if (rc < 0)
        return rc;
    timelines->row_of = malloc(events * sizeof *timelines->row_of);
    timelines->second = malloc(events * sizeof *timelines->second);
    timelines->ms = malloc(events * sizeof *timelines->ms);
    timelines->kind = malloc(events * sizeof *timelines->kind);
    timelines->user = malloc(((size_t)users + 1) * sizeof *timelines->user);
    timelines->first_view = malloc(((size_t)users + 1) * sizeof *timelines->first_view);
    return timelines->row_of == NULL || timelines->second == NULL || timelines->ms == NULL ||
                   timelines->kind == NULL || timelines->user == NULL ||
                   timelines->first_view == NULL
               ? cm_fail_memory(err)
               : 0;
}

static int fill(cm_timelines_t *timelines, cm_err_t *err)
{
    const int64_t memory = timelines->options.memory;
    const int64_t started_ns = cm_clock_ticks_ns();
    uint32_t users = 0;
    int rc = 0;

    for (int i = 0; rc == 0 && i < timelines->threads; i++)
        rc = timelines->options.reader(timelines->options.context, &timelines->readers[i], err);
    if (rc == 0)
        rc = survey(timelines, &users, err);
    if (rc == 0)
        rc = make_room(timelines, users, err);
    if (rc < 0)
        return rc;
    const int64_t left = memory - atomic_load(&timelines->size);
    rc = cm_timelines_order(timelines, left < memory / 4 ? memory / 4 : left, err);
    if (rc == 0)
        cm_debug(timelines->options.log, CM_DEBUG_MILL, "timelines",
                 "to=%lld blocks=%zu users=%u rows=%u threads=%d ms=%lld",
                 (long long)timelines->end, timelines->block_count, timelines->users,
                 timelines->rows, timelines->threads,
                 (long long)((cm_clock_ticks_ns() - started_ns) / 1000000));
    return rc;
}

int cm_timelines_open(const cm_timelines_options_t *options, cm_timelines_t **timelines,
                      cm_err_t *err)
{
    cm_timelines_t *self = cm_alloc_zero(1, sizeof *self);

    assert(options->until >= 0);
    self->options = *options;
    self->threads = cm_team_size(options->threads);
    pthread_mutex_init(&self->lock, NULL);
    int rc = fill(self, err);
    if (rc < 0) {
        cm_timelines_close(self);
        self = NULL;
    }
    *timelines = self;
    return rc;
}

void cm_timelines_close(cm_timelines_t *timelines)
{
    if (timelines == NULL)
        return;
    for (int column = 0; column < CM_COLUMN_COUNT; column++)
        cm_timelines_values_free(&timelines->columns[column]);
    for (int i = 0; i < timelines->threads; i++)
        cm_reader_close(timelines->readers[i]);
    pthread_mutex_destroy(&timelines->lock);
    free(timelines->row_of);
    free(timelines->second);
    free(timelines->ms);
    free(timelines->kind);
    free(timelines->user);
    free(timelines->first_view);
    free(timelines->periods);
    free(timelines->slices);
    free(timelines);
}

int64_t cm_timelines_events(const cm_timelines_t *timelines)
{
    return timelines->rows;
}

int64_t cm_timelines_end(const cm_timelines_t *timelines)
{
    return timelines->end;
}

bool cm_timelines_times(const cm_timelines_t *timelines, int64_t *first, int64_t *last)
{
    *first = timelines->time_first;
    *last = timelines->time_last;
    return timelines->rows > 0;
}

int64_t cm_timelines_size(const cm_timelines_t *timelines)
{
    return atomic_load(&timelines->size);
}

int cm_timelines_need_all(cm_timelines_t *timelines, uint32_t columns, cm_err_t *err)
{
    assert(columns >> CM_COLUMN_COUNT == 0);
    pthread_mutex_lock(&timelines->lock);
    int rc = cm_timelines_read(timelines, columns, err);
    pthread_mutex_unlock(&timelines->lock);
    return rc;
}

int cm_timelines_need(cm_timelines_t *timelines, cm_timelines_column_t column, cm_err_t *err)
{
    return cm_timelines_need_all(timelines, UINT32_C(1) << column, err);
}

uint32_t cm_timelines_value_count(const cm_timelines_t *timelines, cm_timelines_column_t column)
{
    assert(timelines->columns[column].width > 0);
    return timelines->columns[column].count;
}

cm_str_t cm_timelines_string(const cm_timelines_t *timelines, cm_timelines_column_t column,
                             uint32_t value)
{
    const cm_timelines_values_t *values = &timelines->columns[column];

    assert(value > 0 && value < values->count && column != CM_COLUMN_ENGAGED);
    return values->strings != NULL ? values->strings[value]
                                   : cm_dict_string(&values->dict, value - 1);
}

int cm_timelines_user(cm_timelines_t *timelines, uint32_t user, cm_str_t *string, cm_err_t *err)
{
    pthread_mutex_lock(&timelines->lock);
    int rc = cm_reader_string(timelines->readers[0], CM_USER, user, string, err);
    pthread_mutex_unlock(&timelines->lock);
    return rc;
}
