#include "store/embedded/found.h"

#include "base/clock.h"
#include "store/block.h"
#include "store/embedded/merge.h"

#include <stdlib.h>

/* ---- how a record is recognized ---- */

/* Letters for the types of columns: n null, i integer, b blob, t text. A lost value counts as a
 * blob and as a text. */
static bool has_shape(const cm_raw_record_t *record, bool table, const char *types)
{
    if (record->table != table || record->count != (int)strlen(types))
        return false;
    for (int i = 0; i < record->count; i++) {
        const cm_raw_type_t type = record->values[i].type;
        const bool ok = types[i] == 'n'   ? type == CM_RAW_NULL
                        : types[i] == 'i' ? type == CM_RAW_INT
                        : types[i] == 'b' ? type == CM_RAW_BLOB || type == CM_RAW_LOST
                                          : type == CM_RAW_TEXT || type == CM_RAW_LOST;
        if (!ok)
            return false;
    }
    return true;
}

static bool whole(const cm_raw_value_t *value)
{
    return value->type == CM_RAW_BLOB && cm_stream_is_whole(value->bytes);
}

/* A row that was written before format 2, or whose events have no optional field, has none. */
static bool has_extra(const cm_raw_record_t *record)
{
    return record->count > 8 && record->values[8].type != CM_RAW_NULL;
}

static void take_block(cm_found_t *found, cm_raw_view_t view, const cm_raw_record_t *record)
{
    const cm_raw_value_t *values = record->values;
    const int64_t count = values[1].number;

    if (record->rowid < 0 || count < 1 || count > CM_BLOCK_EVENTS || values[2].number < 0 ||
        values[3].number >= CM_TIME_END || values[2].number > values[3].number ||
        (uint64_t)values[4].number >> CM_MERGE_BYTES > UINT32_MAX)
        return;
    if (found->count == found->cap) {
        found->cap = found->cap ? found->cap * 2 : 256;
        found->blocks = cm_realloc(found->blocks, found->cap * sizeof *found->blocks);
    }
    found->blocks[found->count++] =
        (cm_found_block_t){.first = record->rowid,
                           .count = (uint32_t)count,
                           .hot = whole(&values[5]),
                           .cold = whole(&values[6]),
                           .keys = whole(&values[7]),
                           .extra = !has_extra(record) || whole(&values[8]),
                           .keys_derived = values[4].number & CM_MERGE_KEYS_DERIVED,
                           .view = view,
                           .page = record->page,
                           .cell = record->cell};
}

typedef struct filling {
    cm_found_segment_t *segment;
    uint32_t at;
} filling_t;

static void take_string(void *context, cm_str_t string)
{
    filling_t *filling = context;
    filling->segment->strings[filling->at++] = cm_arena_copy(&filling->segment->arena, string);
}

static void forget_strings(cm_found_segment_t *segment)
{
    free(segment->strings);
    segment->strings = NULL;
    cm_arena_free(&segment->arena);
}

static void take_segment(cm_found_t *found, const cm_raw_record_t *record)
{
    const cm_raw_value_t *values = record->values;
    const int64_t field = values[0].number, first = values[1].number, count = values[2].number;

    if (field < 0 || field >= CM_FIELD_COUNT || first < 0 || first > UINT32_MAX || count < 1 ||
        count > UINT32_MAX - first)
        return;
    cm_found_segments_t *of = &found->segments[field];
    if (of->count == of->cap) {
        of->cap = of->cap ? of->cap * 2 : 16;
        of->items = cm_realloc(of->items, of->cap * sizeof *of->items);
    }
    cm_found_segment_t *segment = &of->items[of->count++];
    *segment = (cm_found_segment_t){.first = first, .count = (uint32_t)count};
    /* Each string takes at least two bytes of a stream whose length is checked. */
    if (!whole(&values[3]) || count > (int64_t)CM_BLOCK_EVENTS * 16)
        return;
    segment->strings = cm_alloc_zero(segment->count, sizeof *segment->strings);
    filling_t filling = {.segment = segment};
    if (cm_segment_decode(values[3].bytes, segment->count, take_string, &filling, NULL) < 0)
        forget_strings(segment);
}

/* Windows have different ages. The smallest number of events is covered by all of them. */
static void take_coverage(cm_found_t *found, const cm_raw_record_t *record)
{
    const cm_raw_value_t *values = record->values;
    const cm_str_t window = values[0].bytes;

    /* A negative session timeout marks answers about the events of another store. */
    if ((cm_str_equal(window, CM_STR("all")) || cm_str_equal(window, CM_STR("day")) ||
         cm_str_equal(window, CM_STR("hour"))) &&
        values[4].number > 0 && values[1].number > 0 &&
        (found->end_ordinal == 0 || values[1].number < found->end_ordinal))
        found->end_ordinal = values[1].number;
}

void cm_found_take(cm_found_t *found, cm_raw_view_t view, const cm_raw_record_t *record)
{
    if (has_shape(record, true, "niiiibbb") || has_shape(record, true, "niiiibbbn") ||
        has_shape(record, true, "niiiibbbb"))
        take_block(found, view, record);
    else if (has_shape(record, false, "iiib"))
        take_segment(found, record);
    else if (has_shape(record, false, "tiiiii") && view == CM_RAW_COMMITTED)
        take_coverage(found, record);
}

/* ---- sorting ---- */

/* Sorts by ordinal, largest first. Of records with the same ordinal, the best one comes first. */
static int by_first(const void *a, const void *b)
{
    const cm_found_block_t *x = a, *y = b;
    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return (y->hot + y->cold + y->keys + y->extra) - (x->hot + x->cold + x->keys + x->extra);
}

static int by_id(const void *a, const void *b)
{
    const cm_found_segment_t *x = a, *y = b;
    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    return (x->count < y->count) - (x->count > y->count);
}

static void doubt(cm_found_segments_t *of, int64_t from, int64_t to)
{
    if (of->doubts == of->doubt_cap) {
        of->doubt_cap = of->doubt_cap ? of->doubt_cap * 2 : 8;
        of->doubt = cm_realloc(of->doubt, of->doubt_cap * sizeof *of->doubt);
    }
    of->doubt[of->doubts][0] = from;
    of->doubt[of->doubts++][1] = to;
}

/* Compares two segments that have the same ids. If their strings differ, none of these strings can
 * be trusted: the place of a segment has no checksum, so it is not known which segment is in its
 * own place. */
static void compare_strings(cm_found_segments_t *of, const cm_found_segment_t *kept,
                            const cm_found_segment_t *other)
{
    const int64_t kept_end = kept->first + kept->count, other_end = other->first + other->count;
    const int64_t end = kept_end < other_end ? kept_end : other_end;

    for (int64_t id = other->first; id < end; id++) {
        if (!cm_str_equal(kept->strings[id - kept->first], other->strings[id - other->first])) {
            doubt(of, kept->first, kept_end > other_end ? kept_end : other_end);
            return;
        }
    }
}

/* Keeps whole segments that are not contained in another one. */
static void settle_segments(cm_found_segments_t *of)
{
    size_t kept = 0;
    int64_t whole_end = 0, sum = 0;

    if (of->count > 1)
        qsort(of->items, of->count, sizeof *of->items, by_id);
    for (size_t i = 0; i < of->count; i++) {
        cm_found_segment_t segment = of->items[i];
        if (segment.strings == NULL) { /* it existed once; a place far away is damage, too */
            sum += segment.count;
            of->end = segment.first <= whole_end + sum && segment.first + segment.count > of->end
                          ? segment.first + segment.count
                          : of->end;
            continue;
        }
        cm_found_segment_t *last = kept > 0 ? &of->items[kept - 1] : NULL;
        const int64_t last_end = last != NULL ? last->first + last->count : 0;
        if (last != NULL && segment.first < last_end)
            compare_strings(of, last, &segment);
        if (last != NULL && segment.first + segment.count <= last_end) {
            forget_strings(&segment);
            continue;
        }
        of->items[kept++] = segment;
        whole_end = segment.first + segment.count;
        of->end = whole_end > of->end ? whole_end : of->end;
    }
    of->count = kept;
}

void cm_found_settle(cm_found_t *found)
{
    if (found->count > 1)
        qsort(found->blocks, found->count, sizeof *found->blocks, by_first);
    for (int field = 0; field < CM_FIELD_COUNT; field++)
        settle_segments(&found->segments[field]);
}

bool cm_found_string(const cm_found_t *found, cm_field_t field, uint32_t id, cm_str_t *string)
{
    const cm_found_segments_t *of = &found->segments[field];
    size_t low = 0, high = of->count;

    for (size_t i = 0; i < of->doubts; i++) {
        if (id >= of->doubt[i][0] && id < of->doubt[i][1])
            return false;
    }
    while (low < high) { /* find the last segment that begins at the id or before it */
        const size_t middle = low + (high - low) / 2;
        if (of->items[middle].first <= (int64_t)id)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return false;
    const cm_found_segment_t *segment = &of->items[low - 1];
    if (id - segment->first >= segment->count)
        return false;
    *string = segment->strings[id - segment->first];
    return true;
}

void cm_found_count_strings(const cm_found_t *found, int64_t *strings, int64_t *lost)
{
    *strings = *lost = 0;
    for (int field = 0; field < CM_FIELD_COUNT; field++) {
        const cm_found_segments_t *of = &found->segments[field];
        int64_t there = 0, end = 0;
        for (size_t i = 0; i < of->count; i++) {
            const int64_t first = of->items[i].first > end ? of->items[i].first : end;
            end = of->items[i].first + of->items[i].count;
            there += end - first;
        }
        for (size_t i = 0; i < of->doubts; i++)
            there -= of->doubt[i][1] - of->doubt[i][0];
        there = there > 0 ? there : 0;
        *strings += there;
        *lost += of->end - there;
    }
}

int64_t cm_found_end(const cm_found_t *found)
{
    int64_t end = 0, sum = 0;

    /* Blocks are sorted. A damaged block far away from the others has a damaged place, too. */
    for (size_t i = 0; i < found->count; i++) {
        const cm_found_block_t *block = &found->blocks[i];
        sum += cm_found_is_whole(block) ? 0 : block->count;
        if (block->first + block->count > end &&
            (cm_found_is_whole(block) || block->first <= end + sum))
            end = block->first + block->count;
    }
    return found->end_ordinal > end ? found->end_ordinal : end;
}

void cm_found_free(cm_found_t *found)
{
    for (int field = 0; field < CM_FIELD_COUNT; field++) {
        cm_found_segments_t *of = &found->segments[field];
        for (size_t i = 0; i < of->count; i++)
            forget_strings(&of->items[i]);
        free(of->items);
        free(of->doubt);
    }
    free(found->blocks);
    *found = (cm_found_t){0};
}
