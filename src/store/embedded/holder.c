#include "store/embedded/holder.h"

#include "base/clock.h"
#include "base/process.h"
#include "store/embedded/frame.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    SENDERS = 32,            /* connections at the same time; others wait in the kernel's queue */
    WAITING_MAX = 16 << 20,  /* bytes of one sender that wait to be put */
    PIECE = 256 << 10,       /* bytes of one read */
    TURN_NS = 200 * 1000000, /* time limit of one take: clients that send over HTTP wait for it */
};

typedef struct sender {
    int fd; /* -1: the place is free */
    pid_t pid;
    cm_buf_t in;   /* received bytes that are not all done: whole frames, or the beginning of one */
    size_t put;    /* how many bytes of `in` are done */
    bool ended;    /* the sender has closed its side */
    bool over;     /* no more is taken from it, and the thread that reads frees its place */
    bool greeted;  /* both sides have the same version of the frames */
    bool dirty;    /* some of its events were put after the last commit */
    int requested; /* kind of the request that is answered after the next commit; 0: none */
    char *source;  /* the source whose position it has requested */
} sender_t;

struct cm_holder {
    cm_holder_store_t store;
    bool answers;
    char *path;
    int listen_fd, wake_fd;
    pthread_t thread;
    cm_batch_t batch;
    pthread_mutex_t lock; /* guards: */
    bool closing;
    sender_t senders[SENDERS];
};

/* ---- the thread that reads ---- */

static void free_sender(sender_t *sender)
{
    close(sender->fd);
    cm_buf_free(&sender->in);
    free(sender->source);
    *sender = (sender_t){.fd = -1};
}

static void reply(sender_t *sender, const cm_buf_t *frame)
{
    /* The frame is short and the sender waits for it. If it does not fit into the socket, the
     * sender is gone. */
    if (send(sender->fd, frame->data, frame->len, MSG_NOSIGNAL | MSG_DONTWAIT) !=
        (ssize_t)frame->len)
        sender->over = true;
}

/* Tells the sender the reason, and takes no more from it. */
static void dismiss(sender_t *sender, int code, const char *text)
{
    cm_buf_t frame = CM_BUF_INIT;

    cm_frame_add_fail(&frame, code, text);
    reply(sender, &frame);
    cm_buf_free(&frame);
    shutdown(sender->fd, SHUT_WR);
    sender->over = true;
    sender->dirty = false;
}

/* The mode of the socket keeps other users out, except root, who may connect. */
static bool same_user(int fd, pid_t *pid)
{
    struct ucred peer;
    socklen_t len = sizeof peer;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        return false;
    *pid = peer.pid;
    return peer.uid == geteuid() || peer.uid == 0;
}

static void accept_sender(cm_holder_t *holder)
{
    sender_t *place = NULL;
    pid_t pid = 0;

    for (int i = 0; i < SENDERS && place == NULL; i++) {
        if (holder->senders[i].fd < 0)
            place = &holder->senders[i];
    }
    int fd = accept4(holder->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    assert(place != NULL); /* the socket is only polled when a place is free */
    *place = (sender_t){.fd = fd};
    if (!same_user(fd, &pid)) {
        dismiss(place, CM_EBUSY,
                "the data directory is held by a process of another user; only that user, or "
                "root, may import while it runs");
        free_sender(place);
    }
    place->pid = pid;
}

/* Reads one piece. */
static void read_piece(sender_t *sender)
{
    cm_buf_reserve(&sender->in, PIECE);
    ssize_t got = recv(sender->fd, sender->in.data + sender->in.len, PIECE, MSG_DONTWAIT);
    if (got > 0)
        sender->in.len += (size_t)got;
    else if (got == 0 || (errno != EAGAIN && errno != EINTR))
        sender->ended = true;
}

static cm_str_t waiting_of(const sender_t *sender)
{
    assert(sender->put <= sender->in.len);
    if (sender->in.len == sender->put)
        return CM_STR("");
    return (cm_str_t){sender->in.data + sender->put, sender->in.len - sender->put};
}

/* A frame that is larger than WAITING_MAX is still read to its end. */
static bool has_room(const sender_t *sender)
{
    cm_str_t waiting = waiting_of(sender);
    int64_t next = cm_frame_length(waiting);

    return waiting.len < WAITING_MAX || (next > 0 && (size_t)next > waiting.len);
}

static int fill_polls(cm_holder_t *holder, struct pollfd *polls, sender_t **polled)
{
    bool place = false;
    int count = 0;

    polls[count] = (struct pollfd){.fd = holder->wake_fd, .events = POLLIN};
    polled[count++] = NULL;
    for (int i = 0; i < SENDERS; i++) {
        sender_t *sender = &holder->senders[i];
        if (sender->fd >= 0 && sender->over)
            free_sender(sender);
        place |= sender->fd < 0;
        if (sender->fd < 0 || sender->ended || !has_room(sender))
            continue;
        polls[count] = (struct pollfd){.fd = sender->fd, .events = POLLIN};
        polled[count++] = sender;
    }
    if (place) {
        polls[count] = (struct pollfd){.fd = holder->listen_fd, .events = POLLIN};
        polled[count++] = NULL;
    }
    return count;
}

static void *listen_on(void *context)
{
    cm_holder_t *holder = context;
    struct pollfd polls[SENDERS + 2];
    sender_t *polled[SENDERS + 2];
    uint64_t woken;

    pthread_mutex_lock(&holder->lock);
    while (!holder->closing) {
        int count = fill_polls(holder, polls, polled);
        pthread_mutex_unlock(&holder->lock);
        int ready = poll(polls, (nfds_t)count, -1);
        pthread_mutex_lock(&holder->lock);
        for (int i = 0; ready > 0 && i < count; i++) {
            if (polls[i].revents == 0)
                continue;
            if (polled[i] != NULL)
                read_piece(polled[i]);
            else if (polls[i].fd == holder->listen_fd)
                accept_sender(holder);
            else if (read(holder->wake_fd, &woken, sizeof woken) < 0)
                continue;
        }
    }
    pthread_mutex_unlock(&holder->lock);
    return NULL;
}

static void wake(cm_holder_t *holder)
{
    const uint64_t one = 1;

    if (write(holder->wake_fd, &one, sizeof one) < 0)
        return; /* the counter is full, so the thread is awake */
}

/* ---- opening and closing ---- */

static int start_thread(cm_holder_t *holder, cm_err_t *err)
{
    holder->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (holder->wake_fd < 0)
        return cm_fail(err, CM_EINTERNAL, "cannot start a thread: %s", strerror(errno));
    if (cm_process_start(&holder->thread, listen_on, holder))
        return 0;
    close(holder->wake_fd);
    return cm_fail_thread(err);
}

int cm_holder_open(const char *data_dir, const cm_holder_store_t *store, bool answers,
                   cm_holder_t **out, cm_err_t *err)
{
    cm_buf_t path = CM_BUF_INIT;
    int fd = cm_frame_socket(data_dir, true);

    if (fd < 0)
        return cm_fail(err, CM_EIO, "%s can have no socket: %s", data_dir, strerror(errno));
    fcntl(fd, F_SETFL, O_NONBLOCK);
    cm_holder_t *holder = cm_alloc_zero(1, sizeof *holder);
    holder->store = *store;
    holder->answers = answers;
    holder->listen_fd = fd;
    holder->batch = CM_BATCH_INIT;
    for (int i = 0; i < SENDERS; i++)
        holder->senders[i].fd = -1;
    pthread_mutex_init(&holder->lock, NULL);
    cm_buf_printf(&path, "%s/" CM_FRAME_SOCKET, data_dir);
    holder->path = path.data;
    int rc = start_thread(holder, err);
    if (rc < 0) {
        close(fd);
        pthread_mutex_destroy(&holder->lock);
        free(holder->path);
        free(holder);
        return rc;
    }
    *out = holder;
    return 0;
}

void cm_holder_close(cm_holder_t *holder)
{
    if (holder == NULL)
        return;
    pthread_mutex_lock(&holder->lock);
    holder->closing = true;
    pthread_mutex_unlock(&holder->lock);
    wake(holder);
    pthread_join(holder->thread, NULL);
    unlink(holder->path);
    for (int i = 0; i < SENDERS; i++) {
        if (holder->senders[i].fd < 0)
            continue;
        dismiss(&holder->senders[i], CM_EAWAY, "the process that holds the data directory ends");
        free_sender(&holder->senders[i]);
    }
    close(holder->listen_fd);
    close(holder->wake_fd);
    cm_batch_free(&holder->batch);
    pthread_mutex_destroy(&holder->lock);
    free(holder->path);
    free(holder);
}

/* ---- the store's thread ---- */

/* Copies the next frame of a sender, because the sender's buffer may move; false when there is
 * none. */
static bool next_frame(sender_t *sender, cm_buf_t *frame)
{
    cm_str_t waiting = waiting_of(sender);
    bool more = false;

    if (sender->fd < 0 || sender->over || sender->requested != 0)
        return false;
    int64_t len = cm_frame_length(waiting);
    if (len > 0 && (size_t)len <= waiting.len) {
        cm_buf_clear(frame);
        cm_buf_add(frame, waiting.data, (size_t)len);
        sender->put += (size_t)len;
        more = true;
    } else if (len < 0) {
        dismiss(sender, CM_EINTERNAL, "the holder of the data directory got no frame");
    } else if (sender->ended) {
        sender->over = true; /* an incomplete frame was never acknowledged */
    }
    if (sender->put > 0 && (sender->put == sender->in.len || sender->put > WAITING_MAX / 2)) {
        memmove(sender->in.data, sender->in.data + sender->put, sender->in.len - sender->put);
        sender->in.len -= sender->put;
        sender->put = 0;
    }
    return more;
}

static void take_hello(sender_t *sender, cm_str_t body)
{
    uint32_t version = 0;

    if (body.len == sizeof version)
        memcpy(&version, body.data, sizeof version);
    sender->greeted = version == CM_FRAME_VERSION;
    sender->requested = CM_FRAME_HELLO;
    if (!sender->greeted)
        dismiss(sender, CM_EBUSY,
                "the data directory is held by another version of Clickmill; use that one, or "
                "stop it");
}

/* A second sender of the same source is dismissed: each of the two would overwrite the other's
 * position. */
static void take_position_request(cm_holder_t *holder, sender_t *sender, cm_str_t name)
{
    char text[200];

    free(sender->source);
    sender->source = cm_alloc(name.len + 1);
    memcpy(sender->source, name.data, name.len);
    sender->source[name.len] = '\0';
    sender->requested = CM_FRAME_POSITION;
    for (int i = 0; i < SENDERS; i++) {
        const sender_t *other = &holder->senders[i];
        if (other == sender || other->fd < 0 || other->over || other->source == NULL ||
            strcmp(other->source, sender->source) != 0)
            continue;
        snprintf(text, sizeof text, "process %ld is importing the same file; wait for its end",
                 (long)other->pid);
        dismiss(sender, CM_EBUSY, text);
        return;
    }
}

static int put_batch(cm_holder_t *holder, cm_err_t *err)
{
    pthread_mutex_unlock(&holder->lock);
    int rc = holder->store.put(holder->store.context, &holder->batch, err);
    pthread_mutex_lock(&holder->lock);
    return rc;
}

static int add_site(cm_holder_t *holder, cm_str_t host, cm_err_t *err)
{
    cm_buf_t text = CM_BUF_INIT;

    cm_buf_printf(&text, "%.*s", (int)host.len, host.data);
    const int rc = holder->store.add_site(holder->store.context, text.data, err);
    cm_buf_free(&text);
    return rc;
}

static int take_frame(cm_holder_t *holder, sender_t *sender, cm_frame_t frame, cm_err_t *err)
{
    if (frame.kind == CM_FRAME_HELLO) {
        take_hello(sender, frame.body);
    } else if (!sender->greeted) {
        dismiss(sender, CM_EINTERNAL, "the holder of the data directory got no greeting");
    } else if (frame.kind == CM_FRAME_POSITION) {
        take_position_request(holder, sender, frame.body);
    } else if (frame.kind == CM_FRAME_COMMIT) {
        sender->requested = CM_FRAME_COMMIT;
    } else if (frame.kind == CM_FRAME_OLDER) {
        return holder->store.tell_older(holder->store.context, err);
    } else if (frame.kind == CM_FRAME_SITE) {
        return add_site(holder, frame.body, err);
    } else if (frame.kind == CM_FRAME_BATCH) {
        cm_batch_clear(&holder->batch);
        if (cm_frame_read_batch(frame.body, &holder->batch)) {
            sender->dirty = true;
            return put_batch(holder, err);
        }
        dismiss(sender, CM_EINTERNAL, "the holder of the data directory got no batch");
    }
    return 0;
}

int cm_holder_take(cm_holder_t *holder, cm_err_t *err)
{
    const int64_t until = cm_clock_ticks_ns() + TURN_NS;
    cm_buf_t frame = CM_BUF_INIT;
    bool more = true, some = false;
    int rc = 0;

    pthread_mutex_lock(&holder->lock);
    while (rc == 0 && more && cm_clock_ticks_ns() < until) {
        more = false;
        for (int i = 0; rc == 0 && i < SENDERS; i++) {
            sender_t *sender = &holder->senders[i];
            if (!next_frame(sender, &frame))
                continue;
            more = some = true;
            rc = take_frame(holder, sender, cm_frame_of((cm_str_t){frame.data, frame.len}), err);
        }
    }
    for (int i = 0; i < SENDERS && !some; i++)
        some = holder->senders[i].fd >= 0 && holder->senders[i].over;
    pthread_mutex_unlock(&holder->lock);
    cm_buf_free(&frame);
    if (some)
        wake(holder); /* a buffer has room again, or a place can be freed */
    return rc;
}

/* Appends the answer to the sender's request. */
static int answer(cm_holder_t *holder, const sender_t *sender, cm_buf_t *frame, cm_err_t *err)
{
    cm_frame_welcome_t welcome = {.version = CM_FRAME_VERSION, .answers = holder->answers};
    cm_holder_keys_t keys = {{0}, false, false};
    const cm_holder_store_t *store = &holder->store;
    int64_t position = 0;
    int rc = 0;

    switch (sender->requested) {
    case CM_FRAME_HELLO:
        rc = store->keys(store->context, &keys, err);
        memcpy(welcome.secret, keys.secret, sizeof welcome.secret);
        welcome.older_keys = keys.older;
        welcome.older_told = keys.older_told;
        cm_frame_add(frame, CM_FRAME_WELCOME, &welcome, sizeof welcome);
        explicit_bzero(&welcome, sizeof welcome);
        explicit_bzero(&keys, sizeof keys);
        break;
    case CM_FRAME_POSITION:
        if (sender->source[0] != '\0')
            rc = store->position(store->context, sender->source, &position, err);
        cm_frame_add(frame, CM_FRAME_AT, &position, sizeof position);
        break;
    default:
        cm_frame_add(frame, CM_FRAME_DONE, NULL, 0);
    }
    return rc;
}

void cm_holder_answer(cm_holder_t *holder)
{
    cm_buf_t frame = CM_BUF_INIT;
    cm_err_t err;

    pthread_mutex_lock(&holder->lock);
    for (int i = 0; i < SENDERS; i++) {
        sender_t *sender = &holder->senders[i];
        sender->dirty = false;
        if (sender->fd < 0 || sender->over || sender->requested == 0)
            continue;
        cm_buf_clear(&frame);
        pthread_mutex_unlock(&holder->lock); /* only this thread ends a sender */
        int rc = answer(holder, sender, &frame, &err);
        pthread_mutex_lock(&holder->lock);
        if (rc < 0)
            dismiss(sender, rc, err.text);
        else
            reply(sender, &frame);
        sender->requested = 0;
    }
    pthread_mutex_unlock(&holder->lock);
    if (frame.data != NULL)
        explicit_bzero(frame.data, frame.len);
    cm_buf_free(&frame);
}

void cm_holder_lose(cm_holder_t *holder, const cm_err_t *why)
{
    pthread_mutex_lock(&holder->lock);
    for (int i = 0; i < SENDERS; i++) {
        sender_t *sender = &holder->senders[i];
        if (sender->fd >= 0 && sender->dirty && !sender->over)
            dismiss(sender, why != NULL && why->code != CM_EDISK ? why->code : CM_EIO,
                    why != NULL ? why->text
                                : "the process that holds the data directory cannot write");
        /* A sender without events in the lost transaction is answered after the next commit. */
        sender->dirty = false;
    }
    pthread_mutex_unlock(&holder->lock);
}
