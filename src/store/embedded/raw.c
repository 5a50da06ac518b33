#include "store/embedded/raw.h"

#include "base/bitmap.h"
#include "store/embedded/wal_format.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HEADER = 100,      /* bytes of the database's header, on its first page */
    PAGE_SIZE = 16384, /* of our databases; used when the header does not have it */
    INDEX_NODE = 2,
    INDEX_LEAF = 10,
    TABLE_LEAF = 13,
    OFTEN = 64, /* how often a walk may read a byte of the files, on average */
};

typedef struct file {
    const uint8_t *bytes; /* NULL: the file does not exist */
    size_t size;
} file_t;

struct cm_raw {
    file_t database, log;
    uint32_t page_size, usable;
    uint32_t pages; /* number of pages, in all views */
    /* By page number: the offset of the page in the log; 0: it is in the database. */
    size_t *places[CM_RAW_VIEWS];
    bool beyond;
    uint8_t *free; /* one bit for each page of the first view */
    bool too_much;
};

static uint32_t get_u16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

/* ---- files ---- */

static int open_bytes(const char *path, bool must, file_t *out, cm_err_t *err)
{
    struct stat info;
    int rc = 0;

    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && !must)
        return 0;
    if (fd < 0)
        return cm_fail(err, errno == ENOENT ? CM_EINPUT : CM_EIO, "cannot read %s (%s)", path,
                       strerror(errno));
    if (fstat(fd, &info) == 0 && info.st_size > 0) {
        void *bytes = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (bytes == MAP_FAILED)
            rc = errno == ENOMEM
                     ? cm_fail_memory(err)
                     : cm_fail(err, CM_EIO, "cannot read %s (%s)", path, strerror(errno));
        else
            *out = (file_t){bytes, (size_t)info.st_size};
    }
    close(fd);
    return rc;
}

static void close_bytes(const file_t *file)
{
    if (file->bytes != NULL)
        munmap((void *)file->bytes, file->size);
}

static bool is_page_size(uint32_t size)
{
    return size >= 512 && size <= 65536 && (size & (size - 1)) == 0;
}

static void read_header(cm_raw_t *raw)
{
    const uint8_t *at = raw->database.bytes;

    raw->page_size = PAGE_SIZE;
    raw->usable = PAGE_SIZE;
    if (raw->database.size < HEADER || memcmp(at, "SQLite format 3", 16) != 0)
        return;
    uint32_t size = get_u16(at + 16);
    size = size == 1 ? 65536 : size;
    if (!is_page_size(size) || at[20] > 64)
        return;
    raw->page_size = size;
    raw->usable = size - at[20];
}

/* ---- the log ---- */

/* SQLite's checksum of a log: it adds up pairs of numbers in the byte order that the header names.
 */
static void sum_up(const uint8_t *at, size_t size, bool big, uint32_t sums[2])
{
    for (const uint8_t *end = at + size; at < end; at += 8) {
        uint32_t a = cm_wal_u32(at), b = cm_wal_u32(at + 4);
        if (!big) {
            a = __builtin_bswap32(a);
            b = __builtin_bswap32(b);
        }
        sums[0] += a + sums[1];
        sums[1] += b + sums[0];
    }
}

static bool sums_are(const uint8_t *at, const uint32_t sums[2])
{
    return cm_wal_u32(at) == sums[0] && cm_wal_u32(at + 4) == sums[1];
}

/* Records the frames [from, to) in a view; `from` and `to` are offsets in the log. */
static void take_frames(cm_raw_t *raw, cm_raw_view_t view, size_t from, size_t to)
{
    for (size_t at = from; at < to; at += CM_WAL_FRAME_HEADER + raw->page_size) {
        const uint32_t page = cm_wal_u32(raw->log.bytes + at + CM_WAL_FRAME_PAGE_AT);
        if (page > 0 && page <= raw->pages)
            raw->places[view][page] = at + CM_WAL_FRAME_HEADER;
    }
}

/* Whether the log has a header as SQLite writes it. */
static bool has_header(const cm_raw_t *raw)
{
    const uint8_t *log = raw->log.bytes;
    uint32_t sums[2] = {0, 0};

    if ((cm_wal_u32(log) & ~1u) != 0x377F0682 ||
        cm_wal_u32(log + CM_WAL_PAGE_SIZE_AT) != raw->page_size)
        return false;
    sum_up(log, CM_WAL_SUMS_AT, log[3] & 1, sums);
    return sums_are(log + CM_WAL_SUMS_AT, sums);
}

/* The two salts of the frames of this run of the log: those of the header, or else the first that
 * two successive frames have in common. */
static const uint8_t *salt_of(const cm_raw_t *raw, bool header)
{
    static const uint8_t none[CM_WAL_SALTS];
    const uint8_t *log = raw->log.bytes;
    const size_t frame = CM_WAL_FRAME_HEADER + raw->page_size;

    if (header)
        return log + CM_WAL_SALTS_AT;
    for (size_t at = CM_WAL_HEADER; at + 2 * frame <= raw->log.size; at += frame) {
        const uint8_t *salt = log + at + CM_WAL_FRAME_SALTS_AT;
        if (memcmp(salt, none, CM_WAL_SALTS) != 0 && memcmp(salt, salt + frame, CM_WAL_SALTS) == 0)
            return salt;
    }
    return log + CM_WAL_HEADER + CM_WAL_FRAME_SALTS_AT;
}

/* The end of the last frame of this run. Frames of another run come after them; such a frame
 * between them is damaged. `*empty`: they are followed by frames of no run, which a loss of power
 * can also leave. */
static size_t end_of_frames(const cm_raw_t *raw, bool header, bool *empty)
{
    static const uint8_t none[CM_WAL_SALTS];
    const uint8_t *log = raw->log.bytes, *salt = salt_of(raw, header);
    const size_t frame = CM_WAL_FRAME_HEADER + raw->page_size;
    size_t end = CM_WAL_HEADER;

    *empty = false;
    for (size_t at = CM_WAL_HEADER; at + frame <= raw->log.size; at += frame) {
        *empty |= memcmp(log + at + CM_WAL_FRAME_SALTS_AT, none, CM_WAL_SALTS) == 0;
        if (memcmp(log + at + CM_WAL_FRAME_SALTS_AT, salt, CM_WAL_SALTS) == 0)
            end = at + frame;
    }
    return end;
}

/* The end of the last complete transaction, found in the same way as SQLite does it. */
static size_t end_of_commits(const cm_raw_t *raw, size_t end)
{
    const uint8_t *log = raw->log.bytes;
    const bool big = log[3] & 1;
    uint32_t sums[2] = {0, 0};
    size_t committed = CM_WAL_HEADER;

    sum_up(log, CM_WAL_SUMS_AT, big, sums);
    for (size_t at = CM_WAL_HEADER; at < end; at += CM_WAL_FRAME_HEADER + raw->page_size) {
        sum_up(log + at, 8, big, sums);
        sum_up(log + at + CM_WAL_FRAME_HEADER, raw->page_size, big, sums);
        if (!sums_are(log + at + CM_WAL_FRAME_SUMS_AT, sums))
            break;
        if (cm_wal_u32(log + at + CM_WAL_FRAME_COMMIT_AT) != 0)
            committed = at + CM_WAL_FRAME_HEADER + raw->page_size;
    }
    return committed;
}

/* Whether there is a commit after the end of what SQLite would read. If so, the end there is caused
 * by damage. */
static bool commits_in(const cm_raw_t *raw, size_t from, size_t to)
{
    for (size_t at = from; at < to; at += CM_WAL_FRAME_HEADER + raw->page_size) {
        if (cm_wal_u32(raw->log.bytes + at + CM_WAL_FRAME_COMMIT_AT) != 0)
            return true;
    }
    return false;
}

static void read_log(cm_raw_t *raw)
{
    if (raw->log.size < CM_WAL_HEADER + CM_WAL_FRAME_HEADER + raw->page_size)
        return;
    const bool header = has_header(raw);
    bool empty;
    const size_t end = end_of_frames(raw, header, &empty);
    const size_t committed = header ? end_of_commits(raw, end) : CM_WAL_HEADER;
    take_frames(raw, CM_RAW_COMMITTED, CM_WAL_HEADER, committed);
    take_frames(raw, CM_RAW_BEYOND, CM_WAL_HEADER, end);
    raw->beyond = !header || empty || commits_in(raw, committed, end);
}

/* ---- pages ---- */

/* The bytes of a page; NULL when they are missing. */
static const uint8_t *page_at(const cm_raw_t *raw, cm_raw_view_t view, uint32_t page)
{
    if (page == 0 || page > raw->pages)
        return NULL;
    if (raw->places[view][page] > 0)
        return raw->log.bytes + raw->places[view][page];
    const size_t at = (size_t)(page - 1) * raw->page_size;
    return at + raw->page_size <= raw->database.size ? raw->database.bytes + at : NULL;
}

static bool is_free(const cm_raw_t *raw, uint32_t page)
{
    return cm_bitmap_get(raw->free, page);
}

static void set_free(cm_raw_t *raw, uint32_t page)
{
    if (page <= raw->pages)
        cm_bitmap_set(raw->free, page);
}

/* Follows the list of free pages as far as possible. */
static void read_free(cm_raw_t *raw)
{
    const uint8_t *first = page_at(raw, CM_RAW_COMMITTED, 1);
    uint32_t trunk =
        first != NULL && memcmp(first, "SQLite format 3", 16) == 0 ? cm_wal_u32(first + 32) : 0;
    const uint8_t *at;

    while (trunk > 0 && trunk <= raw->pages && !is_free(raw, trunk) &&
           (at = page_at(raw, CM_RAW_COMMITTED, trunk)) != NULL) {
        const uint32_t count = cm_wal_u32(at + 4);
        set_free(raw, trunk);
        for (uint32_t i = 0; i < count && 8 + 4 * i + 4 <= raw->page_size; i++)
            set_free(raw, cm_wal_u32(at + 8 + 4 * (size_t)i));
        trunk = cm_wal_u32(at);
    }
}

int cm_raw_open(const char *path, cm_raw_t **out, cm_err_t *err)
{
    cm_raw_t *raw = cm_alloc_zero(1, sizeof *raw);
    cm_buf_t log = CM_BUF_INIT;

    cm_buf_printf(&log, "%s-wal", path);
    int rc = open_bytes(path, true, &raw->database, err);
    if (rc == 0)
        rc = open_bytes(log.data, false, &raw->log, err);
    cm_buf_free(&log);
    if (rc < 0) {
        cm_raw_close(raw);
        return rc;
    }
    read_header(raw);
    raw->pages = (uint32_t)((raw->database.size + raw->log.size) / raw->page_size);
    for (int view = 0; view < CM_RAW_VIEWS; view++)
        raw->places[view] = cm_alloc_zero((size_t)raw->pages + 1, sizeof *raw->places[view]);
    raw->free = cm_alloc_zero(cm_bitmap_bytes(raw->pages), 1);
    read_log(raw);
    read_free(raw);
    *out = raw;
    return 0;
}

void cm_raw_close(cm_raw_t *raw)
{
    close_bytes(&raw->database);
    close_bytes(&raw->log);
    for (int view = 0; view < CM_RAW_VIEWS; view++)
        free(raw->places[view]);
    free(raw->free);
    free(raw);
}

bool cm_raw_has_beyond(const cm_raw_t *raw)
{
    return raw->beyond;
}

bool cm_raw_was_too_much(const cm_raw_t *raw)
{
    return raw->too_much;
}

bool cm_raw_is_cut(const cm_raw_t *raw)
{
    return raw->database.size % raw->page_size != 0;
}

/* ---- records ---- */

/* Takes an integer in SQLite's varint encoding; false when it does not end before `end`. */
static bool take_varint(const uint8_t **at, const uint8_t *end, uint64_t *value)
{
    *value = 0;
    for (int i = 0; i < 9; i++) {
        if (*at >= end)
            return false;
        const uint8_t byte = *(*at)++;
        if (i == 8) {
            *value = *value << 8 | byte;
            return true;
        }
        *value = *value << 7 | (byte & 0x7F);
        if (byte < 0x80)
            return true;
    }
    return true;
}

/* How many bytes of a payload are in the cell itself. */
static size_t local_size(const cm_raw_t *raw, bool table, uint64_t size)
{
    const size_t u = raw->usable, least = (u - 12) * 32 / 255 - 23;
    const size_t most = table ? u - 35 : (u - 12) * 64 / 255 - 23;

    if (size <= most)
        return (size_t)size;
    const size_t local = least + (size_t)((size - least) % (u - 4));
    return local <= most ? local : least;
}

/* Joins a payload from its pages, as far as they can be followed. */
static void join_payload(const cm_raw_t *raw, cm_raw_view_t view, const uint8_t *local, size_t len,
                         uint64_t size, cm_buf_t *out)
{
    const uint8_t *page;

    cm_buf_clear(out);
    cm_buf_add(out, local, len);
    uint32_t next = cm_wal_u32(local + len);
    while (out->len < size && (page = page_at(raw, view, next)) != NULL) {
        const size_t most = raw->usable - 4, rest = (size_t)(size - out->len);
        cm_buf_add(out, page + 4, rest < most ? rest : most);
        next = cm_wal_u32(page);
    }
}

static int64_t read_int(const uint8_t *at, int bytes)
{
    int64_t value = (int8_t)at[0];

    for (int i = 1; i < bytes; i++)
        value = (int64_t)((uint64_t)value << 8 | at[i]);
    return value;
}

/* Reads one value after the header; false when its type or size is impossible. */
static bool read_value(uint64_t type, cm_str_t payload, size_t *at, cm_raw_value_t *value)
{
    static const uint8_t sizes[10] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0};
    uint64_t size;

    if (type == 10 || type == 11)
        return false;
    size = type < 12 ? sizes[type] : (type - 12) / 2;
    if (size > (UINT64_C(1) << 30))
        return false;
    const bool there = *at + size <= payload.len;
    const uint8_t *bytes = (const uint8_t *)payload.data + *at;
    *at += (size_t)size;
    if (type == 0)
        *value = (cm_raw_value_t){.type = CM_RAW_NULL};
    else if (!there)
        *value = (cm_raw_value_t){.type = CM_RAW_LOST};
    else if (type == 8 || type == 9)
        *value = (cm_raw_value_t){.type = CM_RAW_INT, .number = type == 9};
    else if (type == 7)
        *value = (cm_raw_value_t){.type = CM_RAW_OTHER};
    else if (type < 7)
        *value = (cm_raw_value_t){.type = CM_RAW_INT, .number = read_int(bytes, (int)size)};
    else
        *value = (cm_raw_value_t){.type = type & 1 ? CM_RAW_TEXT : CM_RAW_BLOB,
                                  .bytes = {(const char *)bytes, (size_t)size}};
    return true;
}

/* False when the bytes are not a record. */
static bool read_record(cm_str_t payload, uint64_t size, cm_raw_record_t *record)
{
    const uint8_t *at = (const uint8_t *)payload.data, *end = at + payload.len;
    uint64_t header, type;

    record->count = 0;
    if (!take_varint(&at, end, &header) || header > payload.len)
        return false;
    end = (const uint8_t *)payload.data + header;
    size_t body = (size_t)header;
    while (at < end) {
        if (record->count == CM_RAW_COLUMNS || !take_varint(&at, end, &type) ||
            !read_value(type, payload, &body, &record->values[record->count++]))
            return false;
    }
    return body == size;
}

/* A walk over the records of one page. */
typedef struct walk {
    const cm_raw_t *raw;
    cm_raw_view_t view;
    cm_raw_fn take;
    void *context;
    cm_buf_t payload; /* of a record that continues on other pages */
    uint64_t left;    /* how many more bytes may be read */
    bool too_much;
} walk_t;

static int take_cell(walk_t *walk, const uint8_t *page, const uint8_t *at, cm_raw_record_t *record,
                     uint8_t kind)
{
    const cm_raw_t *raw = walk->raw;
    const uint8_t *end = page + raw->usable;
    uint64_t size, rowid = 0;

    record->table = kind == TABLE_LEAF;
    at += kind == INDEX_NODE ? 4 : 0;
    if (!take_varint(&at, end, &size) || size > raw->database.size + raw->log.size ||
        (record->table && !take_varint(&at, end, &rowid)))
        return 0;
    record->rowid = (int64_t)rowid;
    const size_t local = local_size(raw, record->table, size);
    const bool whole = local == size;
    if ((size_t)(end - at) < local + (whole ? 0 : 4))
        return 0;
    cm_str_t payload = {(const char *)at, local};
    walk->too_much |= size > walk->left;
    if (walk->too_much)
        return 0;
    walk->left -= size;
    if (!whole) {
        join_payload(raw, walk->view, at, local, size, &walk->payload);
        payload = (cm_str_t){walk->payload.data, walk->payload.len};
    }
    return read_record(payload, size, record) ? walk->take(walk->context, record) : 0;
}

/* Takes the cells [from, to) of a page. */
static int take_cells(walk_t *walk, uint32_t number, uint32_t from, uint32_t to)
{
    const uint8_t *page = page_at(walk->raw, walk->view, number);
    const size_t head = number == 1 ? HEADER : 0;
    int rc = 0;

    if (page == NULL)
        return 0;
    const uint8_t kind = page[head];
    if (kind != TABLE_LEAF && kind != INDEX_LEAF && kind != INDEX_NODE)
        return 0;
    const uint32_t cells = get_u16(page + head + 3);
    const size_t pointers = head + (kind == INDEX_NODE ? 12 : 8);
    for (uint32_t i = from; rc == 0 && i < cells && i < to; i++) {
        if (pointers + 2 * (size_t)i + 2 > walk->raw->usable)
            break;
        const uint32_t at = get_u16(page + pointers + 2 * (size_t)i);
        if (at >= pointers && at + 4 < walk->raw->usable)
            rc = take_cell(walk, page, page + at, &(cm_raw_record_t){.page = number, .cell = i},
                           kind);
    }
    return rc;
}

/* A limit that is enough for a walk over all records, of which free pages may contain some several
 * times. Without a limit, records that share their pages, which only an attack produces, could have
 * any total size. */
static uint64_t most_bytes(const cm_raw_t *raw)
{
    return OFTEN * ((uint64_t)raw->database.size + raw->log.size);
}

int cm_raw_each(cm_raw_t *raw, cm_raw_view_t view, bool used, cm_raw_fn take, void *context)
{
    walk_t walk = {
        .raw = raw, .view = view, .take = take, .context = context, .left = most_bytes(raw)};
    int rc = 0;

    for (uint32_t page = 1; rc == 0 && page <= raw->pages; page++) {
        if (!used || !is_free(raw, page))
            rc = take_cells(&walk, page, 0, UINT32_MAX);
    }
    raw->too_much |= walk.too_much;
    cm_buf_free(&walk.payload);
    return rc;
}

int cm_raw_again(const cm_raw_t *raw, cm_raw_view_t view, uint32_t page, uint32_t cell,
                 cm_raw_fn take, void *context)
{
    walk_t walk = {
        .raw = raw, .view = view, .take = take, .context = context, .left = most_bytes(raw)};

    int rc = take_cells(&walk, page, cell, cell + 1);
    cm_buf_free(&walk.payload);
    return rc;
}
