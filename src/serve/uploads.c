#include "serve/uploads.h"

#include "base/clock.h"
#include "base/process.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <xxhash.h>

enum {
    LOOK_MS = 250,
    SPARED_MS = 1000, /* that a body may take at least */
    PLACES = 1024,
};

#define MS INT64_C(1000000)

/* An address that has bodies. */
typedef struct cm_upload_owner {
    uint64_t hash;
    size_t listed;                /* bodies, with those that have no bytes yet */
    size_t count, bytes;          /* of those below */
    cm_upload_t *oldest, *newest; /* that have bytes and are not whole */
    struct cm_upload_owner *next; /* at the same place */
} cm_upload_owner_t;

typedef struct answer {
    char text[400];
    size_t len;
} answer_t;

struct cm_uploads {
    cm_uploads_options_t options;
    uint64_t seed;
    answer_t too_slow, too_many;
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below; no socket of a listed body is closed meanwhile */
    pthread_cond_t stopping;
    bool stop;
    size_t bytes; /* of all that are listed */
    cm_upload_t *oldest, *newest;
    cm_upload_owner_t *owners[PLACES];
};

/* ---- owners ---- */

static cm_upload_owner_t *owner_of(cm_uploads_t *bodies, cm_str_t address)
{
    const uint64_t hash = XXH3_64bits_withSeed(address.data, address.len, bodies->seed);
    cm_upload_owner_t **place = &bodies->owners[hash % PLACES], *owner = *place;

    while (owner != NULL && owner->hash != hash)
        owner = owner->next;
    if (owner == NULL) {
        owner = cm_alloc_zero(1, sizeof *owner);
        owner->hash = hash;
        owner->next = *place;
        *place = owner;
    }
    return owner;
}

static void release_owner(cm_uploads_t *bodies, cm_upload_owner_t *owner)
{
    cm_upload_owner_t **at = &bodies->owners[owner->hash % PLACES];

    if (--owner->listed > 0)
        return;
    while (*at != owner)
        at = &(*at)->next;
    *at = owner->next;
    free(owner);
}

static void add_to_owner(cm_upload_t *coming)
{
    cm_upload_owner_t *owner = coming->owner;

    coming->owner_before = owner->newest;
    coming->owner_after = NULL;
    if (owner->newest != NULL)
        owner->newest->owner_after = coming;
    else
        owner->oldest = coming;
    owner->newest = coming;
    owner->count++;
}

/* Of one that has bytes and is not whole. */
static void remove_from_owner(cm_upload_t *coming)
{
    cm_upload_owner_t *owner = coming->owner;

    if (coming->owner_before != NULL)
        coming->owner_before->owner_after = coming->owner_after;
    else
        owner->oldest = coming->owner_after;
    if (coming->owner_after != NULL)
        coming->owner_after->owner_before = coming->owner_before;
    else
        owner->newest = coming->owner_before;
    owner->count--;
}

/* ---- the list ---- */

static void enlist(cm_uploads_t *bodies, cm_upload_t *coming)
{
    coming->before = bodies->newest;
    coming->after = NULL;
    if (bodies->newest != NULL)
        bodies->newest->after = coming;
    else
        bodies->oldest = coming;
    bodies->newest = coming;
}

static void unlist(cm_uploads_t *bodies, cm_upload_t *coming)
{
    if (coming->before != NULL)
        coming->before->after = coming->after;
    else
        bodies->oldest = coming->after;
    if (coming->after != NULL)
        coming->after->before = coming->before;
    else
        bodies->newest = coming->before;
}

/* It comes no more: whole, given up or ended. Its bytes may go on to count. */
static void stop_coming(cm_uploads_t *bodies, cm_upload_t *coming)
{
    unlist(bodies, coming);
    if (coming->bytes > 0)
        remove_from_owner(coming);
}

static void forget(cm_uploads_t *bodies, cm_upload_t *coming)
{
    coming->owner->bytes -= coming->bytes;
    bodies->bytes -= coming->bytes;
    coming->bytes = 0;
    release_owner(bodies, coming->owner);
    coming->owner = NULL;
}

static void write_answer(answer_t *answer, const char *status, const char *sentence)
{
    static const int around = sizeof "{\"error\":\"\"}\n" - 1;

    answer->len = (size_t)snprintf(
        answer->text, sizeof answer->text,
        "HTTP/1.1 %s\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"
        "X-Content-Type-Options: nosniff\r\nConnection: close\r\nRetry-After: 1\r\n"
        "Content-Length: %d\r\n\r\n{\"error\":\"%s\"}\n",
        status, around + (int)strlen(sentence), sentence);
}

static void give_up(cm_uploads_t *bodies, cm_upload_t *coming, const answer_t *answer)
{
    stop_coming(bodies, coming);
    forget(bodies, coming);
    coming->given_up = true;
    if (!bodies->options.tls)
        (void)!send(coming->fd, answer->text, answer->len, MSG_DONTWAIT | MSG_NOSIGNAL);
    shutdown(coming->fd, SHUT_RDWR); /* the server finds it at its end and closes it */
}

/* ---- room ---- */

/* Gives up the longest-coming body of an owner. False: it has none that has had its second. */
static bool make_room(cm_uploads_t *bodies, cm_upload_owner_t *owner, const cm_upload_t *asking)
{
    cm_upload_t *oldest = owner->oldest;

    if (oldest == asking && oldest != NULL)
        oldest = oldest->owner_after;
    if (oldest == NULL || cm_clock_ticks_ns() - oldest->since_ns < SPARED_MS * MS)
        return false;
    give_up(bodies, oldest, &bodies->too_many);
    return true;
}

/* The address that has most bytes of bodies which may be given up. */
static cm_upload_owner_t *largest_owner(cm_uploads_t *bodies, const cm_upload_t *asking)
{
    cm_upload_owner_t *largest = NULL;

    for (int i = 0; i < PLACES; i++) {
        for (cm_upload_owner_t *owner = bodies->owners[i]; owner != NULL; owner = owner->next) {
            if (owner->count > (owner == asking->owner) &&
                (largest == NULL || owner->bytes > largest->bytes))
                largest = owner;
        }
    }
    return largest;
}

static bool is_too_much(const cm_uploads_t *bodies, const cm_upload_t *coming, bool last)
{
    const cm_upload_owner_t *owner = coming->owner;

    return !coming->free && !last &&
           (owner->count > (size_t)bodies->options.most || owner->bytes > bodies->options.max_each);
}

static cm_upload_room_t find_room(cm_uploads_t *bodies, cm_upload_t *coming, bool last)
{
    while (is_too_much(bodies, coming, last)) {
        if (!make_room(bodies, coming->owner, coming))
            return CM_UPLOAD_ADDRESS_LIMIT;
    }
    while (bodies->bytes > bodies->options.max_bytes) {
        cm_upload_owner_t *largest = largest_owner(bodies, coming);
        if (largest == NULL || !make_room(bodies, largest, coming))
            return CM_UPLOAD_TOTAL_LIMIT;
    }
    return CM_UPLOAD_FITS;
}

/* ---- from begin to end ---- */

void cm_uploads_begin(cm_uploads_t *bodies, cm_upload_t *coming, cm_str_t address, int fd,
                      bool free)
{
    *coming = (cm_upload_t){.fd = fd, .free = free};
    pthread_mutex_lock(&bodies->lock);
    coming->since_ns = cm_clock_ticks_ns();
    coming->owner = owner_of(bodies, address);
    coming->owner->listed++;
    enlist(bodies, coming);
    pthread_mutex_unlock(&bodies->lock);
}

static void count(cm_uploads_t *bodies, cm_upload_t *coming, size_t len)
{
    if (coming->bytes == 0)
        add_to_owner(coming);
    coming->bytes += len;
    coming->owner->bytes += len;
    bodies->bytes += len;
}

/* What had no room is not kept, and takes none: it waits for its answer as if it had not begun. */
static void uncount(cm_uploads_t *bodies, cm_upload_t *coming)
{
    remove_from_owner(coming);
    coming->owner->bytes -= coming->bytes;
    bodies->bytes -= coming->bytes;
    coming->bytes = 0;
}

cm_upload_room_t cm_uploads_add(cm_uploads_t *bodies, cm_upload_t *coming, size_t len, bool last)
{
    cm_upload_room_t room = CM_UPLOAD_FITS;

    pthread_mutex_lock(&bodies->lock);
    if (!coming->given_up && len > 0) {
        count(bodies, coming, len);
        room = find_room(bodies, coming, last);
        if (room != CM_UPLOAD_FITS)
            uncount(bodies, coming);
    }
    pthread_mutex_unlock(&bodies->lock);
    return room;
}

bool cm_uploads_complete(cm_uploads_t *bodies, cm_upload_t *coming)
{
    pthread_mutex_lock(&bodies->lock);
    const bool there = !coming->given_up;
    if (there && coming->owner != NULL && !coming->whole)
        stop_coming(bodies, coming);
    coming->whole = true;
    pthread_mutex_unlock(&bodies->lock);
    return there;
}

void cm_uploads_end(cm_uploads_t *bodies, cm_upload_t *coming)
{
    pthread_mutex_lock(&bodies->lock);
    if (coming->owner != NULL) {
        if (!coming->whole)
            stop_coming(bodies, coming);
        forget(bodies, coming);
    }
    pthread_mutex_unlock(&bodies->lock);
}

/* ---- time ---- */

static void *watch(void *context)
{
    cm_uploads_t *bodies = context;
    const int64_t limit_ns = bodies->options.timeout_ms * MS;

    pthread_mutex_lock(&bodies->lock);
    while (!bodies->stop) {
        const int64_t now_ns = cm_clock_ticks_ns();
        while (bodies->oldest != NULL && now_ns - bodies->oldest->since_ns > limit_ns)
            give_up(bodies, bodies->oldest, &bodies->too_slow);
        const struct timespec until = cm_clock_until(LOOK_MS);
        pthread_cond_timedwait(&bodies->stopping, &bodies->lock, &until);
    }
    pthread_mutex_unlock(&bodies->lock);
    return NULL;
}

int cm_uploads_start(const cm_uploads_options_t *options, cm_uploads_t **out, cm_err_t *err)
{
    cm_uploads_t *bodies = cm_alloc_zero(1, sizeof *bodies);

    bodies->options = *options;
    write_answer(&bodies->too_slow, "408 Request Timeout",
                 "the body took too long to come; collect.body_timeout says how long it may");
    write_answer(&bodies->too_many, "429 Too Many Requests",
                 "too many unfinished bodies came from this address; send fewer at once");
    if (getrandom(&bodies->seed, sizeof bodies->seed, 0) != sizeof bodies->seed)
        bodies->seed = (uint64_t)(uintptr_t)bodies;
    pthread_mutex_init(&bodies->lock, NULL);
    cm_clock_cond_init(&bodies->stopping);
    if (cm_process_start(&bodies->thread, watch, bodies)) {
        *out = bodies;
        return 0;
    }
    pthread_cond_destroy(&bodies->stopping);
    pthread_mutex_destroy(&bodies->lock);
    free(bodies);
    return cm_fail_thread(err);
}

void cm_uploads_stop(cm_uploads_t *bodies)
{
    if (bodies == NULL)
        return;
    pthread_mutex_lock(&bodies->lock);
    bodies->stop = true;
    pthread_cond_signal(&bodies->stopping);
    pthread_mutex_unlock(&bodies->lock);
    pthread_join(bodies->thread, NULL);
    pthread_cond_destroy(&bodies->stopping);
    pthread_mutex_destroy(&bodies->lock);
    free(bodies);
}
