/* The third door: raw events at rest.
 *
 * A store is a sink (sink/sink.h) that can be read again. It keeps every accepted event in the
 * order of arrival; an event's ordinal is its position in that order, from 0. Each string is kept
 * once, in a dictionary for its field; an event is a row of small numbers.
 *
 * Reading goes through cm_reader_t, one for each thread, block by block; a reader sees what was
 * committed when it was opened. open.h opens a store; its engines are in embedded/ and cassandra/,
 * memory.h has one that is not kept.
 *
 * The caller owns a store and closes it with cm_store_close(), after its readers. Except where a
 * function says otherwise, a store is used by one thread. */
#ifndef CM_STORE_STORE_H
#define CM_STORE_STORE_H

#include "base/clock.h"
#include "base/log.h"
#include "event/batch.h"
#include "sink/sink.h"
#include "store/wide.h"

#include <stdatomic.h>

/* The fields of an event whose strings have a dictionary. */
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

/* A block: up to CM_BLOCK_EVENTS (block.h) consecutive events. */
typedef struct cm_block_ref {
    int64_t first;         /* ordinal of its first event */
    uint32_t count;        /* events */
    bool all_keys_derived; /* no event has a row key of its own */
    bool has_extra;        /* some event has an optional field */
    bool has_others;       /* some event is no page view */
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

/* The index of the block that holds the ordinal; the blocks are in order, and at least one. */
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
    CM_KEY_DERIVED, /* it follows from the event (cm_event_derive_key()): nothing is stored */
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
    CM_READ_HOT = 1,   /* user, time, url, country: all that the mill needs */
    CM_READ_COLD = 2,  /* city, browser, os, device */
    CM_READ_KEYS = 4,  /* row keys */
    CM_READ_EXTRA = 8, /* the optional fields */
    CM_READ_ALL = 15,
    /* Of the optional fields only which events are page views (cm_wide_is_view()): that takes one
     * column, not all of them. Not together with CM_READ_EXTRA. */
    CM_READ_VIEWS = 16,
};

/* Which columns of the parts to decode (cm_columns_t.only). */
enum {
    CM_ONLY_FIELDS = 1, /* << cm_field_t */
    CM_ONLY_TIME = 1 << CM_FIELD_COUNT,
    CM_ONLY_EXTRAS = 1 << (CM_FIELD_COUNT + 1), /* << cm_extra_field_t */
};

/* A block's columns, decoded. The caller owns them, reuses them from block to block, and frees them
 * with cm_columns_free(); row keys stay valid until the next block is read into the columns. */
typedef struct cm_columns {
    /* A mask of CM_ONLY_*, set by the caller; 0: all. The other columns of the parts that are read
     * may have any values, which are no ids, and cm_wide_at() must not be called then. */
    uint32_t only;
    int64_t first;
    uint32_t count, cap;
    int64_t *time;                 /* ms */
    uint32_t *ids[CM_FIELD_COUNT]; /* dictionary ids */
    cm_key_t *keys;
    cm_arena_t key_strings;
    cm_wide_t wide; /* the optional fields; `any` is false also where they were not read */
    cm_stream_scratch_t scratch;
} cm_columns_t;

void cm_columns_free(cm_columns_t *columns);

typedef struct cm_reader cm_reader_t;
typedef struct cm_store cm_store_t;
typedef struct cm_builder cm_builder_t; /* builder.h */

/* Receives some of the events of a scan, in no order; rows that break a rule of the contract are
 * dead letters of the batch. The batch is valid until it returns; a negative result ends the scan
 * and is returned by it. */
typedef int (*cm_store_page_fn)(void *context, const cm_batch_t *batch, cm_err_t *err);

/* A dead letter at rest; its strings are valid until the callback returns. */
typedef struct cm_store_letter {
    int64_t id;
    int64_t time; /* ms; when it was rejected */
    cm_str_t origin, reason, payload;
} cm_store_letter_t;

/* Called once for each letter; a result other than 0 ends the walk and is returned by it. */
typedef int (*cm_store_letter_fn)(void *context, const cm_store_letter_t *letter);

enum { CM_STORE_SECRET = 32 };

/* What only a data directory has: positions of sources, the secret, dead letters. Each is described
 * at the function of its name below. A way to a directory (open.h) may have NULL for some of them,
 * as open.h says; these must not be called. */
typedef struct cm_store_directory_ops {
    int (*position)(cm_store_t *store, const char *source, int64_t *position, cm_err_t *err);
    int (*secret)(cm_store_t *store, uint8_t secret[CM_STORE_SECRET], cm_err_t *err);
    int (*older_keys)(cm_store_t *store, bool *older, cm_err_t *err);
    int (*older_keys_told)(cm_store_t *store, bool *told, cm_err_t *err);
    int (*tell_older_keys)(cm_store_t *store, cm_err_t *err);
    int (*add_site)(cm_store_t *store, const char *host, cm_err_t *err);
    int (*sites)(cm_store_t *store, cm_buf_t *hosts, cm_err_t *err);
    int (*set_daily)(cm_store_t *store, cm_err_t *err);
    int (*daily)(cm_store_t *store, bool *daily, cm_err_t *err);
    void (*share)(cm_store_t *store, bool answers, const cm_log_t *log);
    int64_t (*size)(const cm_store_t *store);
    void (*identity)(const cm_store_t *store, cm_buf_t *text);
    int (*each_letter)(cm_store_t *store, int64_t id, int64_t limit, cm_store_letter_fn take,
                       void *context, cm_err_t *err);
    int (*forget_letter)(cm_store_t *store, int64_t id, cm_err_t *err);
} cm_store_directory_ops_t;

/* All but the first may be NULL. */
typedef struct cm_store_ops {
    /* A reader of what is committed now. The caller closes it before the store. */
    int (*reader)(cm_store_t *store, cm_reader_t **reader, cm_err_t *err);
    /* See cm_store_takes_blocks(). */
    int (*resolve)(cm_store_t *store, cm_builder_t *builder, cm_err_t *err);
    int (*append)(cm_store_t *store, cm_builder_t *builder, const cm_batch_t *rest, cm_err_t *err);
    /* See cm_store_scan(). */
    int (*scan)(cm_store_t *store, cm_store_page_fn page, void *context, cm_account_t *account,
                cm_err_t *err);
    /* See cm_store_fit(). */
    void (*fit)(const cm_store_t *store, cm_batch_t *batch);
    /* See cm_store_trouble() and cm_store_retries(). */
    const char *(*trouble)(cm_store_t *store);
    uint64_t (*retries)(const cm_store_t *store);
    const cm_store_directory_ops_t *directory; /* NULL: it is not a data directory */
} cm_store_ops_t;

struct cm_store {
    cm_sink_t sink; /* first, so that a store is a sink */
    const cm_store_ops_t *ops;
    bool scans_extra;    /* scanned events may have optional fields */
    const cm_log_t *log; /* gets debug entries (CM_DEBUG_STORE); set by the caller; NULL: none */
    bool answers_only;   /* it needs no more of an event than the answers do (memory.h) */
    const atomic_bool *frugal; /* cm_builder_t.frugal of its blocks; or NULL */
};

typedef struct cm_reader_ops {
    /* All blocks in order; the array belongs to the reader. */
    int (*blocks)(cm_reader_t *reader, const cm_block_ref_t **blocks, size_t *count, cm_err_t *err);
    int (*read)(cm_reader_t *reader, const cm_block_ref_t *block, unsigned parts,
                cm_columns_t *columns, cm_err_t *err);
    /* How many strings the field's dictionary has: ids are below it. */
    int (*string_count)(cm_reader_t *reader, cm_field_t field, uint32_t *count, cm_err_t *err);
    /* The string of an id; valid as long as the reader. */
    int (*string)(cm_reader_t *reader, cm_field_t field, uint32_t id, cm_str_t *string,
                  cm_err_t *err);
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

/* Whether the events are of more than one UTC day. */
static inline int cm_reader_several_days(cm_reader_t *reader, bool *several, cm_err_t *err)
{
    const cm_block_ref_t *blocks;
    size_t count;

    *several = false;
    int rc = cm_reader_blocks(reader, &blocks, &count, err);
    for (size_t i = 0; rc == 0 && i < count; i++)
        *several |= blocks[i].time_max / CM_DAY_MS > blocks[0].time_min / CM_DAY_MS ||
                    blocks[i].time_min / CM_DAY_MS < blocks[0].time_max / CM_DAY_MS;
    return rc;
}

static inline int cm_reader_read(cm_reader_t *reader, const cm_block_ref_t *block, unsigned parts,
                                 cm_columns_t *columns, cm_err_t *err)
{
    cm_wide_clear(&columns->wide);
    return reader->ops->read(reader, block, parts, columns, err);
}

static inline int cm_reader_string_count(cm_reader_t *reader, cm_field_t field, uint32_t *count,
                                         cm_err_t *err)
{
    return reader->ops->string_count(reader, field, count, err);
}

static inline int cm_reader_string(cm_reader_t *reader, cm_field_t field, uint32_t id,
                                   cm_str_t *string, cm_err_t *err)
{
    return reader->ops->string(reader, field, id, string, err);
}

static inline void cm_reader_close(cm_reader_t *reader)
{
    if (reader != NULL)
        reader->ops->close(reader);
}

/* Frees the store; what was not committed is lost. NULL is allowed. */
static inline void cm_store_close(cm_store_t *store)
{
    if (store != NULL)
        cm_sink_close(&store->sink);
}

/* ---- blocks that were built elsewhere (load.h) ---- */

/* Whether cm_store_resolve() and cm_store_append() can be called. */
static inline bool cm_store_takes_blocks(const cm_store_t *store)
{
    return store->ops->append != NULL;
}

/* Replaces a builder's ids by the store's. Another thread may do this while this one appends or
 * commits. */
static inline int cm_store_resolve(cm_store_t *store, cm_builder_t *builder, cm_err_t *err)
{
    return store->ops->resolve(store, builder, err);
}

/* Appends an encoded builder's events, and the dead letters and the position of `rest` (which has
 * no events), to the next commit. */
static inline int cm_store_append(cm_store_t *store, cm_builder_t *builder, const cm_batch_t *rest,
                                  cm_err_t *err)
{
    return store->ops->append(store, builder, rest, err);
}

/* ---- servers ---- */

/* Whether each row key is in the store only once, so that cm_store_scan() can be called. */
static inline bool cm_store_can_scan(const cm_store_t *store)
{
    return store->ops->scan != NULL;
}

/* Reads every event once and adds what was read to `account`. CM_EAWAY when a part cannot be read
 * even after many attempts; CM_ESTOP. */
static inline int cm_store_scan(cm_store_t *store, cm_store_page_fn page, void *context,
                                cm_account_t *account, cm_err_t *err)
{
    return store->ops->scan(store, page, context, account, err);
}

/* Takes out of a batch what the store cannot keep, before the batch is put: such events become dead
 * letters, and optional fields of other events are removed and counted (`lost` in the account). */
static inline void cm_store_fit(const cm_store_t *store, cm_batch_t *batch)
{
    if (store->ops->fit != NULL)
        store->ops->fit(store, batch);
}

/* Why the server acknowledges nothing; NULL while it does, and where there is no server. Valid
 * until the next call. */
static inline const char *cm_store_trouble(cm_store_t *store)
{
    return store->ops->trouble != NULL ? store->ops->trouble(store) : NULL;
}

/* Attempts to write to the server that failed since the store was opened. */
static inline uint64_t cm_store_retries(const cm_store_t *store)
{
    return store->ops->retries != NULL ? store->ops->retries(store) : 0;
}

/* ---- data directories ---- */

/* Whether it is a data directory, or a way to one (open.h), and so keeps positions of sources. */
static inline bool cm_store_is_directory(const cm_store_t *store)
{
    return store->ops->directory != NULL;
}

/* The stored position of a source, 0 when there is none. */
static inline int cm_store_position(cm_store_t *store, const char *source, int64_t *position,
                                    cm_err_t *err)
{
    return store->ops->directory->position(store, source, position, err);
}

/* The data directory's own 32 random bytes, with which visitors are hashed; made on first use. */
static inline int cm_store_secret(cm_store_t *store, uint8_t secret[CM_STORE_SECRET], cm_err_t *err)
{
    return store->ops->directory->secret(store, secret, err);
}

/* Whether row keys of access logs are made as the first edition made them, without the site. This
 * holds for a directory whose secret was made by that edition, because otherwise logs that overlap
 * would count twice. Decided and recorded by the first call; call it before cm_store_secret(). */
static inline int cm_store_older_keys(cm_store_t *store, bool *older, cm_err_t *err)
{
    return store->ops->directory->older_keys(store, older, err);
}

/* Whether the user was told what the older row keys mean; and records that it was done. */
static inline int cm_store_older_keys_told(cm_store_t *store, bool *told, cm_err_t *err)
{
    return store->ops->directory->older_keys_told(store, told, err);
}

static inline int cm_store_tell_older_keys(cm_store_t *store, cm_err_t *err)
{
    return store->ops->directory->tell_older_keys(store, err);
}

/* Records a host of the site whose logs are imported: "shop.example", as cm_host_add() writes it,
 * without a port. Its pages are internal referrers. */
static inline int cm_store_add_site(cm_store_t *store, const char *host, cm_err_t *err)
{
    return store->ops->directory->add_site(store, host, err);
}

/* Appends the recorded hosts in the order of bytes, separated by commas, as
 * cm_attribution_rules_new() (enrich/attribution.h) reads them. */
static inline int cm_store_sites(cm_store_t *store, cm_buf_t *hosts, cm_err_t *err)
{
    return store->ops->directory->sites(store, hosts, err);
}

/* Appends what tells a directory that is open for reading from one that replaces it, also
 * where both have as many events. */
static inline void cm_store_identity(const cm_store_t *store, cm_buf_t *text)
{
    store->ops->directory->identity(store, text);
}

/* Records, with the next commit, that the store has user ids which are valid for one UTC day. */
static inline int cm_store_set_daily(cm_store_t *store, cm_err_t *err)
{
    return store->ops->directory->set_daily(store, err);
}

/* Whether that is recorded. */
static inline int cm_store_daily(cm_store_t *store, bool *daily, cm_err_t *err)
{
    return store->ops->directory->daily(store, daily, err);
}

/* From now on other processes of this user may write through this one: what they have sent is put
 * and committed with each commit, so commits must be frequent, even when there is nothing else to
 * commit. `answers`: this process keeps the answers up to date. Where the file system has no
 * sockets, this is logged and nothing comes. */
static inline void cm_store_share(cm_store_t *store, bool answers, const cm_log_t *log)
{
    store->ops->directory->share(store, answers, log);
}

/* Bytes that it takes on the disk. */
static inline int64_t cm_store_size(const cm_store_t *store)
{
    return store->ops->directory->size(store);
}

/* Walks the dead letters in the order of arrival: all (`id` 0) or one; at most `limit` (0: all).
 * CM_EUSAGE when the requested letter does not exist. */
static inline int cm_store_each_letter(cm_store_t *store, int64_t id, int64_t limit,
                                       cm_store_letter_fn take, void *context, cm_err_t *err)
{
    return store->ops->directory->each_letter(store, id, limit, take, context, err);
}

/* Removes a dead letter with the next commit: replay puts its event and removes it together. */
static inline int cm_store_forget_letter(cm_store_t *store, int64_t id, cm_err_t *err)
{
    return store->ops->directory->forget_letter(store, id, err);
}

#endif
