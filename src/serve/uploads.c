#include "serve/uploads.h"

#include "base/clock.h"
#include "base/process.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <xxhash.h>

enum {
    CHECK_MS = 250,
    SPARED_MS = 1000, /* an upload that is not older is never given up */
    PLACES = 1024,
};

#define MS INT64_C(1000000)

/* An address that has uploads. */
typedef struct cm_upload_owner {
    uint64_t hash;
    size_t listed;                /* uploads, with those that have no bytes yet */
    size_t count;                 /* of the list below */
    size_t bytes;                 /* of all its uploads, complete ones too */
    cm_upload_t *oldest, *newest; /* that have bytes and are not complete */
    struct cm_upload_owner *next; /* in the same place of `owners` */
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
    pthread_mutex_t
        lock; /* guards all below; while it is held, no socket of a listed upload is closed */
    pthread_cond_t stopping;
    bool stop;
    size_t bytes; /* of all listed uploads */
    cm_upload_t *oldest, *newest;
    cm_upload_owner_t *owners[PLACES];
};

/* ---- owners ---- */

static cm_upload_owner_t *owner_of(cm_uploads_t *uploads, cm_str_t address)
{
    const uint64_t hash = XXH3_64bits_withSeed(address.data, address.len, uploads->seed);
    cm_upload_owner_t **place = &uploads->owners[hash % PLACES], *owner = *place;

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

static void release_owner(cm_uploads_t *uploads, cm_upload_owner_t *owner)
{
    cm_upload_owner_t **at = &uploads->owners[owner->hash % PLACES];

    if (--owner->listed > 0)
        return;
    while (*at != owner)
        at = &(*at)->next;
    *at = owner->next;
    free(owner);
}

static void add_to_owner(cm_upload_t *upload)
{
    cm_upload_owner_t *owner = upload->owner;

    upload->owner_before = owner->newest;
    upload->owner_after = NULL;
    if (owner->newest != NULL)
        owner->newest->owner_after = upload;
    else
        owner->oldest = upload;
    owner->newest = upload;
    owner->count++;
}

/* Of an upload that has bytes and is not complete. */
static void remove_from_owner(cm_upload_t *upload)
{
    cm_upload_owner_t *owner = upload->owner;

    if (upload->owner_before != NULL)
        upload->owner_before->owner_after = upload->owner_after;
    else
        owner->oldest = upload->owner_after;
    if (upload->owner_after != NULL)
        upload->owner_after->owner_before = upload->owner_before;
    else
        owner->newest = upload->owner_before;
    owner->count--;
}

/* ---- the list ---- */

static void enlist(cm_uploads_t *uploads, cm_upload_t *upload)
{
    upload->before = uploads->newest;
    upload->after = NULL;
    if (uploads->newest != NULL)
        uploads->newest->after = upload;
    else
        uploads->oldest = upload;
    uploads->newest = upload;
}

static void unlist(cm_uploads_t *uploads, cm_upload_t *upload)
{
    if (upload->before != NULL)
        upload->before->after = upload->after;
    else
        uploads->oldest = upload->after;
    if (upload->after != NULL)
        upload->after->before = upload->before;
    else
        uploads->newest = upload->before;
}

/* The upload is complete, given up or ended. Its bytes may still count. */
static void stop_upload(cm_uploads_t *uploads, cm_upload_t *upload)
{
    unlist(uploads, upload);
    if (upload->bytes > 0)
        remove_from_owner(upload);
}

static void forget(cm_uploads_t *uploads, cm_upload_t *upload)
{
    assert(upload->owner->bytes >= upload->bytes && uploads->bytes >= upload->bytes);
    upload->owner->bytes -= upload->bytes;
    uploads->bytes -= upload->bytes;
    upload->bytes = 0;
    release_owner(uploads, upload->owner);
    upload->owner = NULL;
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

static void give_up(cm_uploads_t *uploads, cm_upload_t *upload, const answer_t *answer)
{
    stop_upload(uploads, upload);
    forget(uploads, upload);
    upload->given_up = true;
    if (!uploads->options.tls)
        (void)!send(upload->fd, answer->text, answer->len, MSG_DONTWAIT | MSG_NOSIGNAL);
    shutdown(upload->fd, SHUT_RDWR); /* libmicrohttpd then sees its end and closes it */
}

/* ---- room ---- */

/* Gives up the oldest upload of an owner. False: none is old enough. */
static bool make_room(cm_uploads_t *uploads, cm_upload_owner_t *owner, const cm_upload_t *asking)
{
    cm_upload_t *oldest = owner->oldest;

    if (oldest == asking && oldest != NULL)
        oldest = oldest->owner_after;
    if (oldest == NULL || cm_clock_ticks_ns() - oldest->since_ns < SPARED_MS * MS)
        return false;
    give_up(uploads, oldest, &uploads->too_many);
    return true;
}

/* The address with the most bytes among those that have an upload to give up. */
static cm_upload_owner_t *largest_owner(cm_uploads_t *uploads, const cm_upload_t *asking)
{
    cm_upload_owner_t *largest = NULL;

    for (int i = 0; i < PLACES; i++) {
        for (cm_upload_owner_t *owner = uploads->owners[i]; owner != NULL; owner = owner->next) {
            if (owner->count > (owner == asking->owner) &&
                (largest == NULL || owner->bytes > largest->bytes))
                largest = owner;
        }
    }
    return largest;
}

static bool is_too_much(const cm_uploads_t *uploads, const cm_upload_t *upload, bool last)
{
    const cm_upload_owner_t *owner = upload->owner;

    return !upload->free && !last &&
           (owner->count > (size_t)uploads->options.most ||
            owner->bytes > uploads->options.max_each);
}

static cm_upload_room_t find_room(cm_uploads_t *uploads, cm_upload_t *upload, bool last)
{
    while (is_too_much(uploads, upload, last)) {
        if (!make_room(uploads, upload->owner, upload))
            return CM_UPLOAD_ADDRESS_LIMIT;
    }
    while (uploads->bytes > uploads->options.max_bytes) {
        cm_upload_owner_t *largest = largest_owner(uploads, upload);
        if (largest == NULL || !make_room(uploads, largest, upload))
            return CM_UPLOAD_TOTAL_LIMIT;
    }
    return CM_UPLOAD_FITS;
}

/* ---- one upload, from begin to end ---- */

void cm_uploads_begin(cm_uploads_t *uploads, cm_upload_t *upload, cm_str_t address, int fd,
                      bool free)
{
    *upload = (cm_upload_t){.fd = fd, .free = free};
    pthread_mutex_lock(&uploads->lock);
    upload->since_ns = cm_clock_ticks_ns();
    upload->owner = owner_of(uploads, address);
    upload->owner->listed++;
    enlist(uploads, upload);
    pthread_mutex_unlock(&uploads->lock);
}

static void count(cm_uploads_t *uploads, cm_upload_t *upload, size_t len)
{
    if (upload->bytes == 0)
        add_to_owner(upload);
    upload->bytes += len;
    upload->owner->bytes += len;
    uploads->bytes += len;
}

/* An upload without room is not kept and needs none: it waits for its answer as if it had not
 * begun.
 */
static void uncount(cm_uploads_t *uploads, cm_upload_t *upload)
{
    remove_from_owner(upload);
    upload->owner->bytes -= upload->bytes;
    uploads->bytes -= upload->bytes;
    upload->bytes = 0;
}

cm_upload_room_t cm_uploads_add(cm_uploads_t *uploads, cm_upload_t *upload, size_t len, bool last)
{
    cm_upload_room_t room = CM_UPLOAD_FITS;

    pthread_mutex_lock(&uploads->lock);
    if (!upload->given_up && len > 0) {
        count(uploads, upload, len);
        room = find_room(uploads, upload, last);
        if (room != CM_UPLOAD_FITS)
            uncount(uploads, upload);
    }
    pthread_mutex_unlock(&uploads->lock);
    return room;
}

bool cm_uploads_complete(cm_uploads_t *uploads, cm_upload_t *upload)
{
    pthread_mutex_lock(&uploads->lock);
    const bool there = !upload->given_up;
    if (there && upload->owner != NULL && !upload->complete)
        stop_upload(uploads, upload);
    upload->complete = true;
    pthread_mutex_unlock(&uploads->lock);
    return there;
}

void cm_uploads_end(cm_uploads_t *uploads, cm_upload_t *upload)
{
    pthread_mutex_lock(&uploads->lock);
    if (upload->owner != NULL) {
        if (!upload->complete)
            stop_upload(uploads, upload);
        forget(uploads, upload);
    }
    pthread_mutex_unlock(&uploads->lock);
}

/* ---- time ---- */

static void *watch(void *context)
{
    cm_uploads_t *uploads = context;
    const int64_t limit_ns = uploads->options.timeout_ms * MS;

    pthread_mutex_lock(&uploads->lock);
    while (!uploads->stop) {
        const int64_t now_ns = cm_clock_ticks_ns();
        while (uploads->oldest != NULL && now_ns - uploads->oldest->since_ns > limit_ns)
            give_up(uploads, uploads->oldest, &uploads->too_slow);
        const struct timespec until = cm_clock_until(CHECK_MS);
        pthread_cond_timedwait(&uploads->stopping, &uploads->lock, &until);
    }
    pthread_mutex_unlock(&uploads->lock);
    return NULL;
}

int cm_uploads_start(const cm_uploads_options_t *options, cm_uploads_t **out, cm_err_t *err)
{
    cm_uploads_t *uploads = cm_alloc_zero(1, sizeof *uploads);

    uploads->options = *options;
    write_answer(&uploads->too_slow, "408 Request Timeout",
                 "the body took longer to arrive than collect.body_timeout allows");
    write_answer(&uploads->too_many, "429 Too Many Requests",
                 "too many unfinished bodies from this address; send fewer at once");
    if (getrandom(&uploads->seed, sizeof uploads->seed, 0) != sizeof uploads->seed)
        uploads->seed = (uint64_t)(uintptr_t)uploads;
    pthread_mutex_init(&uploads->lock, NULL);
    cm_clock_cond_init(&uploads->stopping);
    if (cm_process_start(&uploads->thread, watch, uploads)) {
        *out = uploads;
        return 0;
    }
    pthread_cond_destroy(&uploads->stopping);
    pthread_mutex_destroy(&uploads->lock);
    free(uploads);
    return cm_fail_thread(err);
}

void cm_uploads_stop(cm_uploads_t *uploads)
{
    if (uploads == NULL)
        return;
    pthread_mutex_lock(&uploads->lock);
    uploads->stop = true;
    pthread_cond_signal(&uploads->stopping);
    pthread_mutex_unlock(&uploads->lock);
    pthread_join(uploads->thread, NULL);
    assert(uploads->oldest == NULL && uploads->bytes == 0);
    pthread_cond_destroy(&uploads->stopping);
    pthread_mutex_destroy(&uploads->lock);
    free(uploads);
}
