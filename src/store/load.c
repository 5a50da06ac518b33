#include "store/load.h"

#include "event/json.h"
#include "source/lines.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    THREADS_MAX = 64,
    PIECE = 256 * 1024, /* bytes of one read: they stay in the L2 cache until they are parsed */
};

/* The data that all threads share. The lock guards `resolved`, `appended`, `failed` and the error.
 * `lines` and `reached` belong to the thread whose region is being appended. `next` and `over` are
 * atomic. The rest is constant. */
typedef struct load {
    const cm_load_options_t *options;
    const cm_load_target_t *target;
    int fd;
    int64_t begin, size; /* bytes of the file to read */
    int64_t region;
    uint64_t regions;
    atomic_uint_fast64_t next; /* the next region to take */
    atomic_bool over;          /* a region has failed: those after it need no more work */
    pthread_mutex_t lock;
    pthread_cond_t turn;
    uint64_t resolved, appended; /* regions that are done, in order */
    uint64_t lines;              /* lines before the next region to append */
    int64_t reached;             /* start of the first line that is not appended yet */
    bool failed;                 /* no later region may be appended */
    int rc;
    cm_err_t *err;
} load_t;

typedef struct worker {
    load_t *load;
    cm_event_json_t *json;
    cm_enricher_t *enricher; /* NULL: none */
    /* The part of the file in memory: `length` bytes from offset `base`, in a buffer that stays in
     * the cache. */
    char *buffer;
    size_t buffer_size, length;
    int64_t base;
    cm_event_t group[CM_BUILDER_GROUP]; /* parsed; strings in the buffer and the arena */
    uint32_t group_count;
    cm_builder_t *builders; /* of the current region */
    size_t builder_count, builder_cap;
    cm_batch_t rest; /* dead letters and counts of the region */
    cm_arena_t arena;
    uint64_t *dead_lines; /* for each dead letter its line, counted from 0 in the region */
    size_t dead_cap;
    uint64_t lines;
    int64_t reached; /* start of the first line after the region; -1: there is none */
    int rc;          /* result of reading the region */
    cm_err_t err;
} worker_t;

/* ---- one region ---- */

static cm_builder_t *next_builder(worker_t *worker)
{
    if (worker->builder_count == worker->builder_cap) {
        size_t cap = worker->builder_cap + 1;
        worker->builders = cm_realloc(worker->builders, cap * sizeof *worker->builders);
        worker->builders[cap - 1] = CM_BUILDER_INIT;
        worker->builders[cap - 1].answers_only = worker->load->target->answers_only;
        worker->builders[cap - 1].frugal = worker->load->target->frugal;
        worker->builder_cap = cap;
    }
    cm_builder_t *builder = &worker->builders[worker->builder_count++];
    cm_builder_clear(builder);
    return builder;
}

static void reject(worker_t *worker, cm_str_t payload, const char *reason)
{
    size_t at = worker->rest.dead_count;

    if (at == worker->dead_cap) {
        worker->dead_cap = worker->dead_cap ? worker->dead_cap * 2 : 64;
        worker->dead_lines =
            cm_realloc(worker->dead_lines, worker->dead_cap * sizeof *worker->dead_lines);
    }
    worker->dead_lines[at] = worker->lines;
    cm_batch_reject(&worker->rest, payload, reason, "");
    if (cm_event_map_has(worker->load->options->map, CM_MAP_ADDRESS))
        worker->rest.dead[at].personal = true;
}

/* Hands the group's events to the builder. After that their strings may be freed. */
static void flush_group(worker_t *worker)
{
    cm_builder_t *builder = &worker->builders[worker->builder_count - 1];

    for (uint32_t i = 0, count; i < worker->group_count; i += count) {
        uint32_t room = cm_builder_room(builder);
        count = worker->group_count - i < room ? worker->group_count - i : room;
        if (count > 0)
            cm_builder_add(builder, worker->group + i, count);
        else
            builder = next_builder(worker);
    }
    worker->group_count = 0;
    cm_arena_reset(&worker->arena);
}

static void set_up_json(worker_t *worker)
{
    cm_enrichment_t *enrichment = worker->load->options->enrichment;

    cm_event_json_set_timestamps(worker->json, &worker->load->options->times);
    cm_event_json_set_map(worker->json, worker->load->options->map);
    if (enrichment == NULL)
        return;
    worker->enricher = cm_enricher_new(enrichment);
    cm_event_json_set_fill(worker->json, cm_enricher_fill, worker->enricher);
}

static void take_line(worker_t *worker, cm_str_t line)
{
    cm_account_t *account = &worker->rest.account;
    cm_err_t why;

    /* The length is checked before blank lines are skipped, because the buffer may not hold the
     * whole line. */
    if (line.len > CM_LINE_MAX) {
        reject(worker, (cm_str_t){line.data, CM_LINE_HEAD}, CM_LINE_TOO_LONG);
        return;
    }
    if (cm_line_blank(line))
        return;
    const int rc =
        cm_event_json_parse(worker->json, line, &worker->arena, &worker->group[worker->group_count],
                            &account->unknown_fields, &why);
    if (rc < 0) {
        reject(worker, line, why.text);
        return;
    }
    if (rc > 0) {
        cm_batch_skip_bot(&worker->rest, (cm_bot_kind_t)rc);
        return;
    }
    cm_account_accept(account, &worker->group[worker->group_count]);
    if (++worker->group_count == CM_BUILDER_GROUP)
        flush_group(worker);
}

/* Reads more bytes of the file, at most up to `last`. Bytes before `keep` are dropped; the rest
 * moves to the front of the buffer, and a piece is read after it, with padding. */
static int read_more(worker_t *worker, const char *keep, int64_t last)
{
    size_t kept = (size_t)(worker->buffer + worker->length - keep);
    size_t want = PIECE;

    flush_group(worker);
    if (kept > 0)
        memmove(worker->buffer, keep, kept);
    worker->base += (int64_t)(worker->length - kept);
    worker->length = kept;
    if ((int64_t)want > last - worker->base - (int64_t)kept)
        want = (size_t)(last - worker->base) - kept;
    if (worker->buffer_size < kept + PIECE + CM_EVENT_JSON_PADDING) {
        size_t size = 2 * kept + PIECE + CM_EVENT_JSON_PADDING;
        char *more = realloc(worker->buffer, size);
        if (more == NULL)
            return cm_fail_memory(&worker->err);
        worker->buffer = more;
        worker->buffer_size = size;
    }
    while (want > 0) {
        int64_t at = worker->base + (int64_t)worker->length;
        ssize_t got = pread(worker->load->fd, worker->buffer + worker->length, want, at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return cm_fail(&worker->err, CM_EINPUT, "%s cannot be read at byte %lld (%s)",
                           worker->load->options->path, (long long)at, strerror(errno));
        if (got == 0)
            return cm_fail(&worker->err, CM_EINPUT,
                           "%s became shorter while it was read, at byte %lld; import it again "
                           "when it is whole",
                           worker->load->options->path, (long long)at);
        worker->length += (size_t)got;
        want -= (size_t)got;
    }
    memset(worker->buffer + worker->length, 0, CM_EVENT_JSON_PADDING);
    return 0;
}

/* Finds the newline that ends the line at *line, which may move in the buffer; *newline is NULL
 * when there is none before `last`. */
static int find_newline(worker_t *worker, const char **line, int64_t last, const char **newline)
{
    size_t searched = 0;

    while (true) {
        const char *end = worker->buffer + worker->length;
        *newline = memchr(*line + searched, '\n', (size_t)(end - *line) - searched);
        if (*newline != NULL || worker->base + (int64_t)worker->length >= last)
            return 0;
        searched = (size_t)(end - *line);
        int rc = read_more(worker, *line, last);
        if (rc < 0)
            return rc;
        *line = worker->buffer;
    }
}

/* Reads the lines that begin in the region [from, to), including the parts of them that are after
 * it. */
static int read_region(worker_t *worker, int64_t from, int64_t to)
{
    const load_t *load = worker->load;
    /* The byte before the region tells whether the region begins with a line. A line that does not
     * end within CM_LINE_MAX after the region is too long anyway. */
    int64_t first = from > load->begin ? from - 1 : from;
    int64_t last = to + CM_LINE_MAX + 2 < load->size ? to + CM_LINE_MAX + 2 : load->size;
    const char *newline;

    worker->base = first;
    worker->length = 0;
    int rc = read_more(worker, worker->buffer, last);
    const char *at = worker->buffer;
    if (rc == 0 && first < from) {
        if ((rc = find_newline(worker, &at, last, &newline)) == 0)
            at = newline != NULL ? newline + 1 : worker->buffer + worker->length;
    }
    while (rc == 0 && worker->base + (at - worker->buffer) < to) {
        if ((rc = find_newline(worker, &at, last, &newline)) < 0)
            break;
        const char *line_end = newline != NULL ? newline : worker->buffer + worker->length;
        take_line(worker, cm_line_trim_end((cm_str_t){at, (size_t)(line_end - at)}));
        worker->lines++;
        const char *next = newline != NULL ? newline + 1 : line_end;
        /* A line without an end in the buffer is too long, and the reader has not passed it yet. */
        bool whole = newline != NULL || last == load->size;
        worker->reached = worker->base + ((whole ? next : at) - worker->buffer);
        at = next;
    }
    flush_group(worker);
    return rc;
}

/* ---- steps that are done in the order of the regions ---- */

/* Waits until the regions before this one have done a step; false when one of them has failed. The
 * thread whose turn it is does its step without the lock: while one region waits for the disk, the
 * next ones are resolved. */
static bool wait_turn(load_t *load, const uint64_t *step, uint64_t region)
{
    pthread_mutex_lock(&load->lock);
    while (*step < region && !load->failed)
        pthread_cond_wait(&load->turn, &load->lock);
    bool ours = !load->failed;
    assert(!ours || *step == region);
    pthread_mutex_unlock(&load->lock);
    return ours;
}

static void end_turn(load_t *load, uint64_t *step)
{
    pthread_mutex_lock(&load->lock);
    (*step)++;
    pthread_cond_broadcast(&load->turn);
    pthread_mutex_unlock(&load->lock);
}

static void fail(load_t *load, int rc, const cm_err_t *err)
{
    pthread_mutex_lock(&load->lock);
    load->rc = rc;
    *load->err = *err;
    load->failed = true;
    load->over = true;
    pthread_mutex_unlock(&load->lock);
}

/* True when the region's blocks can be encoded. A region that cannot be read or resolved fails
 * later, when it is its turn to be appended, after the regions before it. */
static bool resolve_in_turn(worker_t *worker, uint64_t region)
{
    load_t *load = worker->load;

    bool ours = wait_turn(load, &load->resolved, region) && !load->over;
    for (size_t i = 0; ours && worker->rc == 0 && i < worker->builder_count; i++)
        worker->rc =
            load->target->resolve(load->target->context, &worker->builders[i], &worker->err);
    ours = ours && worker->rc == 0;
    if (!ours)
        load->over = true;
    end_turn(load, &load->resolved);
    return ours;
}

/* The lines before the region are counted now, so its dead letters get their line numbers. */
static void name_origins(worker_t *worker)
{
    cm_buf_t origin = CM_BUF_INIT;

    for (size_t i = 0; i < worker->rest.dead_count; i++) {
        cm_buf_clear(&origin);
        cm_buf_printf(&origin, "%s:%llu", worker->load->options->path,
                      (unsigned long long)(worker->load->lines + worker->dead_lines[i] + 1));
        worker->rest.dead[i].origin =
            cm_arena_copy(&worker->rest.arena, (cm_str_t){origin.data, origin.len});
    }
    cm_buf_free(&origin);
}

static int append_region(worker_t *worker, uint64_t region, cm_err_t *err)
{
    load_t *load = worker->load;
    const cm_load_target_t *target = load->target;
    static const cm_batch_t nothing = {0};
    int64_t end = load->begin + (int64_t)(region + 1) * load->region;
    int rc = 0;

    name_origins(worker);
    assert(worker->reached < 0 || worker->reached >= load->reached);
    load->reached = worker->reached >= 0 ? worker->reached : load->reached;
    cm_batch_mark(&worker->rest, cm_str(load->options->source),
                  region + 1 == load->regions ? -1 : load->reached);
    for (size_t i = 0; rc == 0 && i < worker->builder_count; i++) {
        bool last = i + 1 == worker->builder_count;
        rc = target->append(target->context, &worker->builders[i], last ? &worker->rest : &nothing,
                            err);
    }
    load->lines += worker->lines;
    if (rc == 0 && load->size > 0 && load->options->progress != NULL)
        load->options->progress(load->options->progress_context,
                                (uint64_t)(end < load->size ? end : load->size),
                                (uint64_t)load->size);
    return rc;
}

static void append_in_turn(worker_t *worker, uint64_t region)
{
    load_t *load = worker->load;
    cm_err_t err;

    if (wait_turn(load, &load->appended, region)) {
        int rc = worker->rc;
        if (rc < 0)
            err = worker->err;
        else
            rc = append_region(worker, region, &err);
        if (rc < 0)
            fail(load, rc, &err);
    }
    end_turn(load, &load->appended);
}

/* ---- the threads ---- */

static bool stopped(const load_t *load)
{
    return load->over || (load->options->stop != NULL && atomic_load(load->options->stop));
}

static void *run_worker(void *argument)
{
    worker_t *worker = argument;
    load_t *load = worker->load;
    uint64_t region;

    while (!stopped(load) && (region = atomic_fetch_add(&load->next, 1)) < load->regions) {
        int64_t from = load->begin + (int64_t)region * load->region;
        int64_t to = from + load->region < load->size ? from + load->region : load->size;

        cm_batch_clear(&worker->rest);
        worker->builder_count = 0;
        worker->lines = 0;
        worker->reached = -1;
        next_builder(worker);
        worker->rc = read_region(worker, from, to);
        if (resolve_in_turn(worker, region)) {
            for (size_t i = 0; i < worker->builder_count; i++)
                cm_builder_encode(&worker->builders[i]);
        }
        append_in_turn(worker, region);
    }
    return NULL;
}

static void free_worker(worker_t *worker)
{
    for (size_t i = 0; i < worker->builder_cap; i++)
        cm_builder_free(&worker->builders[i]);
    free(worker->builders);
    free(worker->buffer);
    free(worker->dead_lines);
    cm_batch_free(&worker->rest);
    cm_arena_free(&worker->arena);
    cm_event_json_free(worker->json);
    cm_enricher_free(worker->enricher);
}

static void run_workers(load_t *load)
{
    int threads = load->options->threads;
    worker_t workers[THREADS_MAX];
    pthread_t ids[THREADS_MAX];

    /* One thread more than processors: one of them waits for its turn or for the disk most of the
     * time. */
    if (threads <= 0)
        threads = (int)sysconf(_SC_NPROCESSORS_ONLN) + 1;
    threads = threads < 1 ? 1 : threads > THREADS_MAX ? THREADS_MAX : threads;
    if ((uint64_t)threads > load->regions)
        threads = (int)load->regions;
    int started = 0;
    for (int i = 0; i < threads; i++) {
        workers[i] = (worker_t){.load = load, .json = cm_event_json_new(), .rest = CM_BATCH_INIT};
        set_up_json(&workers[i]);
        if (i > 0 && pthread_create(&ids[i], NULL, run_worker, &workers[i]) != 0) {
            free_worker(&workers[i]); /* no more threads are available: the others do the work */
            break;
        }
        started++;
    }
    if (started > 0)
        run_worker(&workers[0]);
    for (int i = 0; i < started; i++) {
        if (i > 0)
            pthread_join(ids[i], NULL);
        free_worker(&workers[i]);
    }
}

/* Counts the lines before the position, so that dead letters name the right line. If the position
 * is not the start of a line, it belongs to another file, and this file is read from its beginning.
 */
static int count_lines(load_t *load, cm_err_t *err)
{
    char *buffer = cm_alloc(PIECE);
    int64_t at = 0;
    char last = '\n';
    int rc = 0;

    while (rc == 0 && at < load->begin) {
        size_t want = load->begin - at < PIECE ? (size_t)(load->begin - at) : PIECE;
        ssize_t got = pread(load->fd, buffer, want, at);
        if (got == 0)
            break; /* the file is shorter than before: reading the first region reports it */
        if (got < 0 && errno != EINTR)
            rc = cm_fail(err, CM_EINPUT, "%s cannot be read at byte %lld (%s)", load->options->path,
                         (long long)at, strerror(errno));
        for (const char *p = buffer; got > 0 && (p = memchr(p, '\n', (size_t)(buffer + got - p)));
             p++)
            load->lines++;
        if (got > 0)
            last = buffer[got - 1];
        at += got > 0 ? got : 0;
    }
    free(buffer);
    if (last != '\n' && load->begin < load->size) {
        load->begin = 0;
        load->lines = 0;
    }
    return rc;
}

/* Skips a byte order mark. */
static void skip_mark(load_t *load)
{
    char mark[3];

    if (load->begin == 0 && load->size >= (int64_t)sizeof mark &&
        pread(load->fd, mark, sizeof mark, 0) == sizeof mark &&
        memcmp(mark, "\xEF\xBB\xBF", sizeof mark) == 0)
        load->begin = sizeof mark;
}

int cm_load_jsonl(const cm_load_options_t *options, const cm_load_target_t *target, cm_err_t *err)
{
    load_t load = {.options = options, .target = target, .err = err};
    struct stat info;
    int rc = 0;

    load.fd = open(options->path, O_RDONLY | O_CLOEXEC);
    if (load.fd < 0 || fstat(load.fd, &info) < 0) {
        rc = cm_fail(err, CM_EINPUT, "%s cannot be opened (%s); check its name and permissions",
                     options->path, strerror(errno));
        goto done;
    }
    load.begin = options->position <= info.st_size ? options->position : 0;
    load.size = info.st_size;
    load.region = options->region > 0 ? (int64_t)options->region : CM_LOAD_REGION;
    if ((rc = count_lines(&load, err)) < 0)
        goto done;
    skip_mark(&load);
    load.reached = load.begin;
    load.regions = (uint64_t)((load.size - load.begin + load.region - 1) / load.region);
    /* When there is nothing left to read, one empty region still tells the source that the file is
     * complete. */
    if (load.regions == 0)
        load.regions = 1;
    pthread_mutex_init(&load.lock, NULL);
    pthread_cond_init(&load.turn, NULL);
    run_workers(&load);
    pthread_cond_destroy(&load.turn);
    pthread_mutex_destroy(&load.lock);
    rc = load.rc;
done:
    if (load.fd >= 0)
        close(load.fd);
    return rc;
}
