#include "mill/timelines.h"

#include "base/clock.h"
#include "mill/timelines_inside.h"

#include <assert.h>
#include <stdlib.h>

int cm_timelines_check_memory(const cm_timelines_t *timelines, int64_t more, cm_err_t *err)
{
    const int64_t allowed = timelines->options.memory, size = cm_timelines_size(timelines);

    if (allowed <= 0 || size + more <= allowed)
        return 0;
    return cm_fail(err, CM_ENOMEM,
                   "%lld events need %lld MB of memory for this question, and %lld MB are allowed; "
                   "allow more memory",
                   (long long)timelines->end, (long long)((size + more) / 1000000 + 1),
                   (long long)(allowed / 1000000));
}

/* ---- opening ---- */

static cm_timelines_shared_t *make_shared(int64_t end)
{
    cm_timelines_shared_t *shared = cm_alloc_zero(1, sizeof *shared);

    atomic_init(&shared->references, 1);
    pthread_mutex_init(&shared->lock, NULL);
    shared->end = end;
    return shared;
}

static void release_shared(cm_timelines_shared_t *shared)
{
    if (shared == NULL || atomic_fetch_sub(&shared->references, 1) > 1)
        return;
    for (int column = 0; column < CM_COLUMN_COUNT; column++) {
        cm_dict_free(&shared->dicts[column]);
        cm_texts_free(&shared->texts[column]);
    }
    pthread_mutex_destroy(&shared->lock);
    free(shared);
}

/* What the store has. */
static int survey(cm_timelines_t *timelines, cm_err_t *err)
{
    const int64_t until = timelines->options.until;
    cm_reader_t *reader = timelines->readers[0];

    int rc = cm_reader_blocks(reader, &timelines->blocks, &timelines->block_count, err);
    for (int field = 0; rc == 0 && field < CM_FIELD_COUNT; field++)
        rc = cm_reader_string_count(reader, (cm_field_t)field, &timelines->strings[field], err);
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

/* Fills them in, from older ones where that is possible. */
static int fill(cm_timelines_t *timelines, const cm_timelines_t *old, cm_err_t *err)
{
    const int64_t started_ns = cm_clock_ticks_ns();
    int rc = 0;

    for (int i = 0; rc == 0 && i < timelines->threads; i++)
        rc = timelines->options.reader(timelines->options.context, &timelines->readers[i], err);
    if (rc == 0)
        rc = survey(timelines, err);
    if (rc == 0 && old != NULL)
        rc = cm_timelines_grow_from(timelines, old, err);
    const bool grown = rc > 0;
    if (rc == 0) {
        timelines->shared = make_shared(timelines->end);
        rc = cm_timelines_build_all(timelines, err);
    }
    if (rc >= 0)
        rc = cm_timelines_link(timelines, err);
    if (rc == 0)
        cm_debug(timelines->options.log, CM_DEBUG_MILL, grown ? "timelines grown" : "timelines",
                 "to=%lld blocks=%zu periods=%u parts=%u rows=%u threads=%d ms=%lld",
                 (long long)timelines->end, timelines->block_count, timelines->period_count,
                 timelines->part_count, timelines->rows, timelines->threads,
                 (long long)((cm_clock_ticks_ns() - started_ns) / 1000000));
    return rc;
}

int cm_timelines_grow(const cm_timelines_t *old, const cm_timelines_options_t *options,
                      cm_timelines_t **timelines, cm_err_t *err)
{
    cm_timelines_t *self = cm_alloc_zero(1, sizeof *self);

    assert(options->until >= 0);
    self->options = *options;
    self->threads = cm_team_size(options->threads);
    pthread_mutex_init(&self->lock, NULL);
    int rc = fill(self, old, err);
    if (rc < 0) {
        cm_timelines_close(self);
        self = NULL;
    }
    *timelines = self;
    return rc;
}

int cm_timelines_open(const cm_timelines_options_t *options, cm_timelines_t **timelines,
                      cm_err_t *err)
{
    return cm_timelines_grow(NULL, options, timelines, err);
}

void cm_timelines_close(cm_timelines_t *timelines)
{
    if (timelines == NULL)
        return;
    for (int i = 0; i < timelines->threads; i++)
        cm_reader_close(timelines->readers[i]);
    for (uint32_t i = 0; i < timelines->part_count; i++)
        cm_part_release(timelines->parts[i]);
    release_shared(timelines->shared);
    pthread_mutex_destroy(&timelines->lock);
    free(timelines->parts);
    free(timelines->periods);
    free(timelines->links);
    free(timelines->first_view);
    free(timelines);
}

/* ---- what is asked of them ---- */

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
    int64_t size = atomic_load(&timelines->size);

    if (timelines->shared != NULL)
        size += atomic_load(&timelines->shared->size);
    for (uint32_t i = 0; i < timelines->part_count; i++)
        size += atomic_load(&timelines->parts[i]->size);
    return size;
}

int cm_timelines_need_all(cm_timelines_t *timelines, uint32_t columns, cm_err_t *err)
{
    int rc = 0;

    assert(columns >> CM_COLUMN_COUNT == 0);
    pthread_mutex_lock(&timelines->lock);
    if ((columns & ~timelines->read) != 0) {
        pthread_mutex_lock(&timelines->shared->lock);
        rc = cm_timelines_read(timelines, columns, err);
        pthread_mutex_unlock(&timelines->shared->lock);
    }
    pthread_mutex_unlock(&timelines->lock);
    return rc;
}

int cm_timelines_need(cm_timelines_t *timelines, cm_timelines_column_t column, cm_err_t *err)
{
    return cm_timelines_need_all(timelines, UINT32_C(1) << column, err);
}

uint32_t cm_timelines_value_count(const cm_timelines_t *timelines, cm_timelines_column_t column)
{
    assert(timelines->counts[column] > 0);
    return timelines->counts[column];
}

cm_str_t cm_timelines_string(const cm_timelines_t *timelines, cm_timelines_column_t column,
                             uint32_t value)
{
    assert(value > 0 && value < timelines->counts[column] && column != CM_COLUMN_ENGAGED);
    return cm_texts_at(&timelines->shared->texts[column], value);
}

int cm_timelines_user(cm_timelines_t *timelines, uint32_t user, cm_str_t *string, cm_err_t *err)
{
    pthread_mutex_lock(&timelines->lock);
    int rc = cm_reader_string(timelines->readers[0], CM_USER, user, string, err);
    pthread_mutex_unlock(&timelines->lock);
    return rc;
}
