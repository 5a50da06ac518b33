/* The third door: raw events at rest.
 *
 * A store is a sink (sink/sink.h) that can be read again. It keeps every accepted event in the
 * order of arrival; an event's ordinal is its place in that order, from 0. Texts are kept once, in
 * a dictionary per field; an event is a row of small numbers.
 *
 * Reading goes through cm_reader_t, one per thread, block by block; a reader sees what was
 * committed when it was opened. Implementation: embedded.h. */
#ifndef CM_STORE_STORE_H
#define CM_STORE_STORE_H

#include "event/batch.h"
#include "sink/sink.h"

/* The texts of an event that have a dictionary. */
typedef enum cm_field {
    CM_USER,
    CM_URL,
    CM_COUNTRY,
    CM_CITY,
    CM_BROWSER,
    CM_OS,
    CM_DEVICE,
    CM_FIELD_COUNT,
} cm_field_t;

/* Some thousands of consecutive events. */
typedef struct cm_block_ref {
    int64_t first;         /* ordinal of its first event */
    uint32_t count;        /* events */
    bool all_keys_derived; /* no event has a row key of its own */
    int64_t time_min, time_max;
} cm_block_ref_t;

/* The ordinal behind the block's last event. */
static inline int64_t cm_block_end(const cm_block_ref_t *block)
{
    return block->first + block->count;
}

/* The ordinal behind the last event of `count` blocks in order; 0 when there are none. */
static inline int64_t cm_blocks_end(const cm_block_ref_t *blocks, size_t count)
{
    return count > 0 ? cm_block_end(&blocks[count - 1]) : 0;
}

/* The place, among blocks in order, of the one that holds the ordinal. There is at least one. */
static inline size_t cm_block_place(const cm_block_ref_t *blocks, size_t count, int64_t ordinal)
{
    size_t low = 0, high = count;

    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (blocks[middle].first <= ordinal)
            low = middle;
        else
            high = middle;
    }
    return low;
}

typedef enum cm_key_kind {
    CM_KEY_DERIVED, /* UUIDv5 of user and time: nothing is stored */
    CM_KEY_UUID,    /* canonical UUID: 16 bytes */
    CM_KEY_TEXT,    /* anything else */
} cm_key_kind_t;

/* A row key as it is stored. */
typedef struct cm_key {
    uint8_t kind; /* cm_key_kind_t */
    union {
        uint8_t uuid[16];
        cm_str_t text;
    };
} cm_key_t;

/* Which parts of a block to read. */
enum {
    CM_READ_HOT = 1,  /* user, time, url, country: all that the mill looks at */
    CM_READ_COLD = 2, /* city, browser, os, device */
    CM_READ_KEYS = 4, /* row keys */
};

/* A block's columns, decoded. Owned by the caller, reused from block to block, freed by
 * cm_columns_free(); the texts of keys live as long. */
typedef struct cm_columns {
    int64_t first;
    uint32_t count, cap;
    int64_t *time;                 /* ms */
    uint32_t *ids[CM_FIELD_COUNT]; /* dictionary ids */
    cm_key_t *keys;
    cm_arena_t key_strings;
    uint8_t *scratch;
    size_t scratch_size;
} cm_columns_t;

void cm_columns_free(cm_columns_t *columns);

typedef struct cm_reader cm_reader_t;
typedef struct cm_store cm_store_t;

typedef struct cm_store_ops {
    /* A reader of what is committed now. The caller closes it before the store. */
    int (*reader)(cm_store_t *store, cm_reader_t **reader, cm_err_t *err);
} cm_store_ops_t;

struct cm_store {
    cm_sink_t sink; /* first, so that a store is a sink */
    const cm_store_ops_t *ops;
};

typedef struct cm_reader_ops {
    /* All blocks in order; the array belongs to the reader. */
    int (*blocks)(cm_reader_t *reader, const cm_block_ref_t **blocks, size_t *count, cm_err_t *err);
    int (*read)(cm_reader_t *reader, const cm_block_ref_t *block, unsigned parts,
                cm_columns_t *columns, cm_err_t *err);
    /* How many texts the field's dictionary has: ids are below it. */
    int (*names)(cm_reader_t *reader, cm_field_t field, uint32_t *count, cm_err_t *err);
    /* The text of an id; lives as long as the reader. */
    int (*name)(cm_reader_t *reader, cm_field_t field, uint32_t id, cm_str_t *text, cm_err_t *err);
    void (*close)(cm_reader_t *reader);
} cm_reader_ops_t;

struct cm_reader {
    const cm_reader_ops_t *ops;
};

static inline int cm_store_reader(cm_store_t *store, cm_reader_t **reader, cm_err_t *err)
{
    return store->ops->reader(store, reader, err);
}

/* The same with the store as a callback's context. */
static inline int cm_store_reader_of(void *store, cm_reader_t **reader, cm_err_t *err)
{
    return cm_store_reader(store, reader, err);
}

static inline int cm_reader_blocks(cm_reader_t *reader, const cm_block_ref_t **blocks,
                                   size_t *count, cm_err_t *err)
{
    return reader->ops->blocks(reader, blocks, count, err);
}

static inline int cm_reader_read(cm_reader_t *reader, const cm_block_ref_t *block, unsigned parts,
                                 cm_columns_t *columns, cm_err_t *err)
{
    return reader->ops->read(reader, block, parts, columns, err);
}

static inline int cm_reader_string_count(cm_reader_t *reader, cm_field_t field, uint32_t *count,
                                         cm_err_t *err)
{
    return reader->ops->names(reader, field, count, err);
}

static inline int cm_reader_string(cm_reader_t *reader, cm_field_t field, uint32_t id,
                                   cm_str_t *text, cm_err_t *err)
{
    return reader->ops->name(reader, field, id, text, err);
}

static inline void cm_reader_close(cm_reader_t *reader)
{
    if (reader != NULL)
        reader->ops->close(reader);
}

#endif
