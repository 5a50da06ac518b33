#include "store/memory.h"

#include <assert.h>
#include <stdlib.h>

/* Up to this many events, row keys (200 MB) are kept as they come. */
enum { KEYS_KEPT = 12 * 1000 * 1000 };

typedef struct memory_block {
    cm_str_t hot, keys, extra; /* encoded; owned by the block */
    uint8_t *stated;           /* how many cold strings each event states; NULL: all the same */
    uint8_t all_stated;        /* if all events state the same number */
} memory_block_t;

/* The values of the cold strings in memory, by id. */
static const char *const cold_strings[] = {"Unknown", "stated"};

typedef struct memory_store {
    cm_store_t store; /* first */
    cm_dict_t dicts[CM_FIELD_COUNT];
    cm_block_ref_t *refs;
    memory_block_t *blocks;
    size_t count, cap;
    int64_t events;
    atomic_bool frugal;
    cm_builder_t pending;
} memory_store_t;

typedef struct memory_reader {
    cm_reader_t reader; /* first */
    const memory_store_t *store;
    uint32_t string_counts[CM_FIELD_COUNT];
} memory_reader_t;

/* ---- writing ---- */

static int memory_resolve(cm_store_t *store, cm_builder_t *builder, cm_err_t *err)
{
    (void)err;
    cm_builder_resolve(builder, ((memory_store_t *)store)->dicts);
    return 0;
}

static int keep(const cm_buf_t *part, cm_str_t *kept, cm_err_t *err)
{
    char *copy = malloc(part->len);
    if (copy == NULL)
        return cm_fail_memory(err);
    *kept = (cm_str_t){memcpy(copy, part->data, part->len), part->len};
    return 0;
}

/* Usually all events of a source state the same fields, and one number is enough. */
static int keep_stated(const cm_builder_t *builder, memory_block_t *block, cm_err_t *err)
{
    const uint32_t count = builder->columns.count;
    uint8_t differ = 0;

    block->all_stated = builder->stated[0];
    for (uint32_t i = 0; i < count; i++)
        differ |= builder->stated[i] ^ block->all_stated;
    if (differ == 0)
        return 0;
    block->stated = malloc(count);
    if (block->stated == NULL)
        return cm_fail_memory(err);
    memcpy(block->stated, builder->stated, count);
    return 0;
}

static void free_block(memory_block_t *block)
{
    free((char *)block->hot.data);
    free((char *)block->keys.data);
    free((char *)block->extra.data);
    free(block->stated);
}

static int memory_append(cm_store_t *store, cm_builder_t *builder, const cm_batch_t *rest,
                         cm_err_t *err)
{
    memory_store_t *self = (memory_store_t *)store;
    memory_block_t block = {0};

    (void)rest; /* the caller counts dead letters; positions are not kept */
    if (builder->columns.count == 0)
        return 0;
    if (self->count == self->cap) {
        self->cap = self->cap ? self->cap * 2 : 64;
        self->refs = cm_realloc(self->refs, self->cap * sizeof *self->refs);
        self->blocks = cm_realloc(self->blocks, self->cap * sizeof *self->blocks);
    }
    int rc = keep(&builder->parts[0], &block.hot, err);
    if (rc == 0)
        rc = keep(&builder->parts[2], &block.keys, err);
    if (rc == 0 && builder->parts[3].len > 0)
        rc = keep(&builder->parts[3], &block.extra, err);
    if (rc == 0)
        rc = keep_stated(builder, &block, err);
    if (rc < 0) {
        free_block(&block);
        return rc;
    }
    assert(builder->columns.count <= CM_BLOCK_EVENTS);
    assert(self->count == 0 || cm_block_end(&self->refs[self->count - 1]) == self->events);
    self->refs[self->count] = (cm_block_ref_t){.first = self->events,
                                               .count = builder->columns.count,
                                               .all_keys_derived = builder->all_keys_derived,
                                               .has_extra = block.extra.len > 0,
                                               .has_others = builder->has_others,
                                               .time_min = builder->time_min,
                                               .time_max = builder->time_max};
    self->blocks[self->count++] = block;
    self->events += builder->columns.count;
    if (self->events >= KEYS_KEPT)
        atomic_store(&self->frugal, true);
    return 0;
}

static int flush(memory_store_t *self, cm_err_t *err)
{
    /* Nothing is resolved then: another thread may be resolving blocks. */
    if (self->pending.columns.count == 0)
        return 0;
    memory_resolve(&self->store, &self->pending, err);
    cm_builder_encode(&self->pending);
    int rc = memory_append(&self->store, &self->pending, NULL, err);
    cm_builder_clear(&self->pending);
    return rc;
}

static int memory_put(cm_sink_t *sink, const cm_batch_t *batch, cm_err_t *err)
{
    memory_store_t *self = (memory_store_t *)sink;
    int rc = 0;

    for (size_t i = 0; i < batch->count && rc == 0;) {
        i += cm_builder_fill(&self->pending, batch, i);
        if (cm_builder_room(&self->pending) == 0)
            rc = flush(self, err);
    }
    return rc;
}

static int memory_commit(cm_sink_t *sink, cm_err_t *err)
{
    return flush((memory_store_t *)sink, err);
}

static void memory_close(cm_sink_t *sink)
{
    memory_store_t *self = (memory_store_t *)sink;

    for (size_t i = 0; i < self->count; i++)
        free_block(&self->blocks[i]);
    free(self->refs);
    free(self->blocks);
    for (int field = 0; field < CM_FIELD_COUNT; field++)
        cm_dict_free(&self->dicts[field]);
    cm_builder_free(&self->pending);
    free(self);
}

/* ---- reading ---- */

static int reader_blocks(cm_reader_t *reader, const cm_block_ref_t **blocks, size_t *count,
                         cm_err_t *err)
{
    const memory_store_t *store = ((memory_reader_t *)reader)->store;
    (void)err;
    *blocks = store->refs;
    *count = store->count;
    return 0;
}

static void read_cold(const memory_block_t *block, uint32_t count, cm_columns_t *columns)
{
    cm_columns_reserve(columns, count);
    columns->count = count;
    for (int field = CM_CITY; field < CM_FIELD_COUNT; field++) {
        for (uint32_t i = 0; i < count; i++) {
            int stated = block->stated != NULL ? block->stated[i] : block->all_stated;
            columns->ids[field][i] = field - CM_CITY < stated;
        }
    }
}

static int reader_read(cm_reader_t *reader, const cm_block_ref_t *block, unsigned parts,
                       cm_columns_t *columns, cm_err_t *err)
{
    const memory_reader_t *self = (memory_reader_t *)reader;
    const memory_block_t *found = &self->store->blocks[block - self->store->refs];
    int rc = 0;

    assert(block >= self->store->refs && block < self->store->refs + self->store->count);
    columns->first = block->first;
    if (parts & CM_READ_HOT)
        rc = cm_block_decode(found->hot, CM_READ_HOT, block->count, self->string_counts, columns,
                             err);
    if (rc == 0 && parts & CM_READ_COLD)
        read_cold(found, block->count, columns);
    if (rc == 0 && parts & CM_READ_KEYS)
        rc = cm_block_decode(found->keys, CM_READ_KEYS, block->count, self->string_counts, columns,
                             err);
    const unsigned extra = parts & (CM_READ_EXTRA | CM_READ_VIEWS);
    if (rc == 0 && extra != 0 && block->has_extra)
        rc = cm_block_decode(found->extra, extra, block->count, self->string_counts, columns, err);
    return rc;
}

static int reader_string_count(cm_reader_t *reader, cm_field_t field, uint32_t *count,
                               cm_err_t *err)
{
    (void)err;
    *count = field < CM_CITY ? ((memory_reader_t *)reader)->string_counts[field]
                             : (uint32_t)(sizeof cold_strings / sizeof cold_strings[0]);
    return 0;
}

static int reader_string(cm_reader_t *reader, cm_field_t field, uint32_t id, cm_str_t *string,
                         cm_err_t *err)
{
    (void)err;
    assert(field >= CM_CITY || id < ((memory_reader_t *)reader)->string_counts[field]);
    *string = field < CM_CITY
                  ? cm_dict_string(&((memory_reader_t *)reader)->store->dicts[field], id)
                  : cm_str(cold_strings[id]);
    return 0;
}

static void reader_close(cm_reader_t *reader)
{
    free(reader);
}

static int memory_reader(cm_store_t *store, cm_reader_t **reader, cm_err_t *err)
{
    static const cm_reader_ops_t ops = {reader_blocks, reader_read, reader_string_count,
                                        reader_string, reader_close};
    memory_reader_t *self = cm_alloc_zero(1, sizeof *self);

    (void)err;
    self->reader.ops = &ops;
    self->store = (const memory_store_t *)store;
    for (int field = 0; field < CM_FIELD_COUNT; field++)
        self->string_counts[field] = self->store->dicts[field].count;
    *reader = &self->reader;
    return 0;
}

cm_store_t *cm_memory_new(void)
{
    static const cm_sink_ops_t sink_ops = {memory_put, memory_commit, memory_close, NULL};
    static const cm_store_ops_t store_ops = {
        .reader = memory_reader, .resolve = memory_resolve, .append = memory_append};
    memory_store_t *self = cm_alloc_zero(1, sizeof *self);

    self->store = (cm_store_t){
        .sink = {&sink_ops}, .ops = &store_ops, .answers_only = true, .frugal = &self->frugal};
    self->pending.answers_only = true;
    self->pending.frugal = &self->frugal;
    return &self->store;
}
