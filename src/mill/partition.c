#include "mill/partition.h"

#include "base/str.h"

#include <assert.h>
#include <stdlib.h>

enum {
    PARTITIONS_MAX = 4096,
    PARTITION_EVENTS = 32 * 1024, /* 512 KiB: what a core's L2 cache holds */
};

cm_spread_t cm_spread_choose(uint32_t users, uint32_t most, int64_t events, int64_t passes)
{
    cm_spread_t spread = {.users = users};

    passes = passes > users ? users : passes;
    spread.passes = (uint32_t)(passes < 1 ? 1 : passes);
    while ((1u << spread.shift) < PARTITIONS_MAX &&
           (events / spread.passes >> spread.shift > PARTITION_EVENTS ||
            users / spread.passes >> spread.shift >= most))
        spread.shift++;
    spread.count = 1u << spread.shift;
    return spread;
}

/* Counts each user's events in a chunk; the count of user u goes to starts[u + 1]. */
static void count_users(const cm_chunk_t *chunk, const cm_compact_layout_t *compact,
                        uint32_t *starts)
{
    if (compact->on) {
        const uint64_t *packed = (const uint64_t *)(const void *)chunk->bytes;
        for (size_t k = 0; k < chunk->used / sizeof *packed; k++)
            starts[cm_compact_event_user(compact, packed[k]) + 1]++;
    } else {
        const cm_packed_event_t *events = (const cm_packed_event_t *)(const void *)chunk->bytes;
        for (size_t k = 0; k < chunk->used / sizeof *events; k++)
            starts[cm_packed_user(&events[k]) + 1]++;
    }
}

static void place_events(const cm_chunk_t *chunk, const cm_compact_layout_t *compact,
                         const cm_packed_layout_t *layout, uint32_t *starts, cm_packed_event_t *to)
{
    if (compact->on) {
        const uint64_t *packed = (const uint64_t *)(const void *)chunk->bytes;
        for (size_t k = 0; k < chunk->used / sizeof *packed; k++)
            to[starts[cm_compact_event_user(compact, packed[k])]++] =
                cm_compact_event_expand(compact, packed[k], layout);
    } else {
        const cm_packed_event_t *events = (const cm_packed_event_t *)(const void *)chunk->bytes;
        for (size_t k = 0; k < chunk->used / sizeof *events; k++)
            to[starts[cm_packed_user(&events[k])]++] = events[k];
    }
}

/* A counting sort by user; stable. */
static void scatter(cm_partition_t *partition, cm_chunk_list_t *const *lists, int list_count,
                    cm_slabs_t *slabs, const cm_compact_layout_t *compact,
                    const cm_packed_layout_t *layout, size_t users)
{
    uint32_t *starts = partition->starts;

    memset(starts, 0, (users + 1) * sizeof *starts);
    for (int i = 0; i < list_count; i++) {
        for (const cm_chunk_t *chunk = lists[i]->first; chunk != NULL; chunk = chunk->next)
            count_users(chunk, compact, starts);
    }
    for (size_t user = 0; user < users; user++)
        starts[user + 1] += starts[user];
    for (int i = 0; i < list_count; i++) {
        for (const cm_chunk_t *chunk = lists[i]->first; chunk != NULL; chunk = chunk->next)
            place_events(chunk, compact, layout, starts, partition->events);
        cm_chunk_list_release(lists[i], slabs);
    }
}

static int by_key(const void *a, const void *b)
{
    const cm_packed_event_t *x = a, *y = b;
    return (x->key > y->key) - (x->key < y->key);
}

/* Most timelines are nearly sorted, so late events are moved back one by one as long as that is
 * cheap. False when it gave up; then the events are partly sorted. Stable. */
static bool insertion_sort(cm_packed_event_t *events, size_t count)
{
    size_t budget = 64 + 8 * count;

    for (size_t i = 1; i < count; i++) {
        cm_packed_event_t event = events[i];
        size_t to = i;
        while (to > 0 && events[to - 1].key > event.key) {
            events[to] = events[to - 1];
            to--;
        }
        events[to] = event;
        if (i - to > budget)
            return false;
        budget -= i - to;
    }
    return true;
}

static int by_load(const void *a, const void *b)
{
    const cm_packed_event_t *x = a, *y = b;
    return (x->load > y->load) - (x->load < y->load);
}

/* Rotates the loads to the right. By the bits of an ordinal, the ordinal comes to the high bits;
 * by the other bits, it comes back. */
static void turn_loads(cm_packed_event_t *run, size_t count, unsigned bits)
{
    for (size_t i = 0; i < count; i++)
        run[i].load = run[i].load >> bits | run[i].load << (64 - bits);
}

/* Puts a run of equal keys in order of ordinals again: qsort is not stable, and an update that is
 * trimmed adds the last events first. A run may be as long as the whole partition. */
static void order_ties(cm_packed_event_t *run, size_t count, const cm_packed_layout_t *layout)
{
    bool ordered = true;

    for (size_t i = 1; i < count; i++)
        ordered &= cm_packed_ordinal(&run[i - 1], layout) <= cm_packed_ordinal(&run[i], layout);
    if (ordered)
        return;
    turn_loads(run, count, layout->ordinal_bits);
    qsort(run, count, sizeof *run, by_load);
    turn_loads(run, count, 64 - layout->ordinal_bits);
}

/* Puts one user's events in order of time, and adds the ties to `ties`. */
static void order_user(cm_packed_event_t *events, size_t count, uint32_t user, cm_ties_t *ties)
{
    bool tied = false;
    size_t end;

    for (size_t i = 1; i < count; i++) {
        if (events[i - 1].key > events[i].key) {
            if (!insertion_sort(events, count))
                qsort(events, count, sizeof *events, by_key);
            break;
        }
    }
    for (size_t i = 1; i < count; i++)
        tied |= events[i - 1].key == events[i].key;
    if (!tied)
        return;
    for (size_t from = 0; from + 1 < count; from = end) {
        for (end = from + 1; end < count && events[end].key == events[from].key; end++)
            ;
        if (end - from > 1) {
            order_ties(events + from, end - from, ties->layout);
            cm_ties_add(ties, events + from, end - from, user);
        }
    }
}

/* The end of the events of the user at `from`. */
static size_t user_end(const cm_partition_t *partition, size_t from)
{
    uint64_t user = cm_packed_user(&partition->events[from]);
    size_t end = from + 1;

    while (end < partition->count && cm_packed_user(&partition->events[end]) == user)
        end++;
    return end;
}

static int make_room(cm_partition_t *partition, size_t users, cm_err_t *err)
{
    if (partition->cap < partition->count) {
        free(partition->events);
        partition->cap = partition->count + partition->count / 4;
        partition->events = malloc(partition->cap * sizeof *partition->events);
    }
    if (partition->starts_cap < users + 1) {
        free(partition->starts);
        partition->starts_cap = users + 1;
        partition->starts = malloc(partition->starts_cap * sizeof *partition->starts);
    }
    return partition->events == NULL || partition->starts == NULL ? cm_fail_memory(err) : 0;
}

int cm_partition_build(cm_partition_t *partition, cm_chunk_list_t *const *lists, int list_count,
                       cm_slabs_t *slabs, const cm_spread_t *spread, cm_ties_t *ties, cm_err_t *err)
{
    const size_t users = (spread->users / spread->passes >> spread->shift) + 1;
    const size_t size = spread->compact.on ? sizeof(uint64_t) : sizeof(cm_packed_event_t);

    assert(spread->count == 1u << spread->shift && partition->number < spread->count);
    partition->count = 0;
    for (int i = 0; i < list_count; i++)
        partition->count += cm_chunk_list_close(lists[i]) / size;
    if (partition->count == 0)
        return 0;
    int rc = make_room(partition, users, err);
    if (rc < 0)
        return rc;
    scatter(partition, lists, list_count, slabs, &spread->compact, ties->layout, users);
    for (size_t from = 0, end; from < partition->count; from = end) {
        end = user_end(partition, from);
        uint64_t local = cm_packed_user(&partition->events[from]);
        order_user(partition->events + from, end - from,
                   cm_spread_user(spread, partition->number, local), ties);
    }
    return 0;
}

/* Removes the copies; returns how many events are left. */
static size_t drop_copies(cm_packed_event_t *events, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (events[i].load != CM_PACKED_DROPPED)
            events[kept++] = events[i];
    }
    return kept;
}

/* Moves the events before `since` to the front and keeps their order. The other events are lost, so
 * the timeline must have been added already. */
static size_t keep_before(cm_packed_event_t *events, size_t count, int64_t since,
                          const cm_packed_layout_t *layout)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (cm_packed_ordinal(&events[i], layout) < since)
            events[kept++] = events[i];
    }
    return kept;
}

/* Moves the page views to the front and keeps their order. Counts the other events in the timeline,
 * `sign` times. */
static size_t keep_views(cm_packed_event_t *events, size_t count, int sign, cm_timeline_t *timeline)
{
    size_t kept = 0;

    if (timeline->others == CM_TIMELINE_NO_PLACE)
        return count;
    for (size_t i = 0; i < count; i++) {
        if (cm_packed_place(&events[i], timeline->layout) != timeline->others)
            events[kept++] = events[i];
    }
    timeline->events += sign * (int64_t)(count - kept);
    return kept;
}

/* How many of the events that are no page views are before `since`. */
static int64_t count_others_before(const cm_packed_event_t *events, size_t count, int64_t since,
                                   const cm_timeline_t *timeline)
{
    int64_t others = 0;

    for (size_t i = 0; timeline->others != CM_TIMELINE_NO_PLACE && i < count; i++)
        others += cm_packed_place(&events[i], timeline->layout) == timeline->others &&
                  cm_packed_ordinal(&events[i], timeline->layout) < since;
    return others;
}

/* Adds or takes away one user's events. */
static int add_user(cm_packed_event_t *events, size_t count, int sign, cm_timeline_t *timeline)
{
    count = keep_views(events, count, sign, timeline);
    return count > 0 ? cm_timeline_add(timeline, events, count, sign) : 0;
}

static bool is_replaced(const cm_packed_event_t *event)
{
    return (event->key & CM_PACKED_TIME_MASK) == CM_PACKED_REPLACED;
}

/* An update in which new copies replace older ones. Here the events of before are not a subset of
 * the events of now, so both are kept apart. */
static int mill_replaced(cm_packed_event_t *events, size_t count, int64_t since,
                         cm_timeline_t *timeline)
{
    cm_packed_event_t *before = malloc(count * sizeof *before);
    size_t now_count = 0, before_count = 0;

    if (before == NULL)
        return CM_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        cm_packed_event_t event = events[i];
        bool replaced = is_replaced(&event);
        if (replaced) /* it follows the copy that replaces it */
            event.key = events[now_count - 1].key;
        else
            events[now_count++] = event;
        if (cm_packed_ordinal(&event, timeline->layout) < since)
            before[before_count++] = event;
    }
    int rc = add_user(events, now_count, 1, timeline);
    if (rc == 0)
        rc = add_user(before, before_count, -1, timeline);
    free(before);
    return rc;
}

/* One user's update: adds the events of now, takes away the events of before. */
static int mill_update(cm_packed_event_t *events, size_t count, int64_t since,
                       cm_timeline_t *timeline)
{
    bool replaced = false;

    for (size_t i = 0; i < count; i++)
        replaced |= is_replaced(&events[i]);
    if (replaced)
        return mill_replaced(events, count, since, timeline);
    timeline->events -= count_others_before(events, count, since, timeline);
    const size_t views = keep_views(events, count, 1, timeline);
    int rc = views > 0 ? cm_timeline_add(timeline, events, views, 1) : 0;
    if (rc == 0 && (count = keep_before(events, views, since, timeline->layout)) > 0)
        rc = cm_timeline_add(timeline, events, count, -1);
    return rc;
}

int cm_partition_mill(cm_partition_t *partition, int64_t since, cm_timeline_t *timeline)
{
    int rc = 0;

    for (size_t from = 0, end; rc == 0 && from < partition->count; from = end) {
        cm_packed_event_t *events = partition->events + from;
        end = user_end(partition, from);
        size_t count = drop_copies(events, end - from);
        rc = since > 0 ? mill_update(events, count, since, timeline)
                       : add_user(events, count, 1, timeline);
    }
    return rc;
}

void cm_partition_free(cm_partition_t *partition)
{
    free(partition->events);
    free(partition->starts);
    *partition = (cm_partition_t){0};
}
