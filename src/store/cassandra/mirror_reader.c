/* Reads the mirror without its replaced events. */
#include "store/cassandra/mirror_internal.h"

#include <assert.h>
#include <stdlib.h>

typedef struct reader {
    cm_reader_t reader; /* first */
    const cm_mirror_t *mirror;
    cm_reader_t *inner;
    cm_block_ref_t *refs;          /* without the replaced events, without empty blocks */
    const cm_block_ref_t **inside; /* for each of them the inner reader's block */
    size_t count;
} reader_t;

static int blocks(cm_reader_t *reader, const cm_block_ref_t **refs, size_t *count, cm_err_t *err)
{
    const reader_t *self = (const reader_t *)reader;

    (void)err;
    *refs = self->refs;
    *count = self->count;
    return 0;
}

/* Moves the event at `from` to `to`. */
static void move(cm_columns_t *columns, unsigned parts, uint32_t from, uint32_t to)
{
    int low = parts & CM_READ_HOT ? CM_USER : CM_CITY;
    int high = parts & CM_READ_COLD ? CM_FIELD_COUNT : CM_CITY;

    if (parts & CM_READ_HOT)
        columns->time[to] = columns->time[from];
    for (int field = low; field < high; field++)
        columns->ids[field][to] = columns->ids[field][from];
    if (parts & CM_READ_KEYS)
        columns->keys[to] = columns->keys[from];
    if (parts & (CM_READ_EXTRA | CM_READ_VIEWS))
        cm_wide_move(&columns->wide, from, to);
}

static int read(cm_reader_t *reader, const cm_block_ref_t *block, unsigned parts,
                cm_columns_t *columns, cm_err_t *err)
{
    const reader_t *self = (const reader_t *)reader;
    const cm_mirror_t *mirror = self->mirror;
    /* The block may come from another reader with the same blocks. */
    size_t place = cm_block_place(self->refs, self->count, block->first);
    assert(place < self->count && self->refs[place].first == block->first);
    const cm_block_ref_t *inside = self->inside[place];
    size_t next = cm_mirror_replaced_before(mirror, inside->first);
    uint32_t kept = 0;

    int rc = cm_reader_read(self->inner, inside, parts, columns, err);
    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < inside->count; i++) {
        if (next < mirror->replaced_count && mirror->replaced[next] == inside->first + i) {
            next++;
            continue;
        }
        if (kept != i)
            move(columns, parts, i, kept);
        kept++;
    }
    assert(kept == self->refs[place].count);
    columns->first = self->refs[place].first;
    columns->count = columns->wide.count = kept;
    return 0;
}

static int string_count(cm_reader_t *reader, cm_field_t field, uint32_t *count, cm_err_t *err)
{
    return cm_reader_string_count(((reader_t *)reader)->inner, field, count, err);
}

static int string_of(cm_reader_t *reader, cm_field_t field, uint32_t id, cm_str_t *string,
                     cm_err_t *err)
{
    return cm_reader_string(((reader_t *)reader)->inner, field, id, string, err);
}

static void reader_close(cm_reader_t *reader)
{
    reader_t *self = (reader_t *)reader;

    cm_reader_close(self->inner);
    free(self->refs);
    free(self->inside);
    free(self);
}

static void take_blocks(reader_t *self, const cm_block_ref_t *inside, size_t count)
{
    int64_t first = 0;

    self->refs = cm_alloc((count + 1) * sizeof *self->refs);
    self->inside = cm_alloc((count + 1) * sizeof(cm_block_ref_t *));
    for (size_t b = 0; b < count; b++) {
        size_t gone = cm_mirror_replaced_before(self->mirror, cm_block_end(&inside[b])) -
                      cm_mirror_replaced_before(self->mirror, inside[b].first);
        if (gone == inside[b].count)
            continue;
        self->inside[self->count] = &inside[b];
        self->refs[self->count] = inside[b];
        self->refs[self->count].first = first;
        self->refs[self->count].count = inside[b].count - (uint32_t)gone;
        first += self->refs[self->count++].count;
    }
}

int cm_mirror_reader(cm_store_t *store, cm_reader_t **reader, cm_err_t *err)
{
    static const cm_reader_ops_t ops = {blocks, read, string_count, string_of, reader_close};
    const cm_mirror_t *mirror = (const cm_mirror_t *)store;
    const cm_block_ref_t *inside;
    cm_reader_t *inner;
    size_t count;

    int rc = cm_mirror_inner_reader(mirror, &inner, err);
    if (rc < 0)
        return rc;
    rc = cm_reader_blocks(inner, &inside, &count, err);
    if (rc < 0) {
        cm_reader_close(inner);
        return rc;
    }
    reader_t *self = cm_alloc_zero(1, sizeof *self);
    self->reader.ops = &ops;
    self->mirror = mirror;
    self->inner = inner;
    take_blocks(self, inside, count);
    *reader = &self->reader;
    return 0;
}
