#include "store/embedded/held.h"

#include "base/clock.h"
#include "store/embedded/frame.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CHECK_MS = 100,     /* time between checks of `stop` */
    LONG_MS = 3000,     /* a wait that takes longer is reported */
    GIVE_UP_MS = 10000, /* how long a wait goes on after `stop` was set */
    PIECE = 4096,       /* bytes of a read; answers are small */
};

typedef struct held {
    cm_store_t store; /* first */
    char *data_dir;
    const atomic_bool *stop;
    FILE *messages;
    int fd;
    long pid;
    cm_frame_welcome_t welcome;
    cm_buf_t out, in;
    size_t sent;  /* bytes of `out` */
    size_t taken; /* bytes of `in` */
} held_t;

/* ---- waiting ---- */

typedef struct wait {
    int64_t began_ns, stop_ns;
    bool told;
} held_wait_t;

static int fail_ended(const held_t *self, cm_err_t *err)
{
    return cm_fail(err, CM_EAWAY,
                   "process %ld, which holds %s, has ended before all was stored; run it again to "
                   "go on from there",
                   self->pid, self->data_dir);
}

/* Waits for a short time for one of the events. Returns 0, or CM_EBUSY when waiting makes no more
 * sense. */
static int wait_for(held_t *self, short events, held_wait_t *wait, cm_err_t *err)
{
    struct pollfd poll_fd = {.fd = self->fd, .events = events};

    if (poll(&poll_fd, 1, CHECK_MS) > 0)
        return 0;
    int64_t now = cm_clock_ticks_ns();
    if (wait->began_ns == 0)
        wait->began_ns = now;
    if (wait->stop_ns == 0 && atomic_load(self->stop))
        wait->stop_ns = now;
    if (wait->stop_ns > 0 && now - wait->stop_ns > GIVE_UP_MS * INT64_C(1000000))
        return cm_fail(err, CM_EBUSY,
                       "process %ld, which holds %s, does not answer; what it has not stored is "
                       "read again by the next import",
                       self->pid, self->data_dir);
    if (!wait->told && now - wait->began_ns > LONG_MS * INT64_C(1000000)) {
        fprintf(self->messages, "waiting for process %ld, which holds %s\n", self->pid,
                self->data_dir);
        wait->told = true;
    }
    return 0;
}

/* ---- answers ---- */

static int fail_as_reported(const held_t *self, cm_str_t body, cm_err_t *err)
{
    uint32_t code = 0;

    if (body.len < sizeof code)
        return fail_ended(self, err);
    memcpy(&code, body.data, sizeof code);
    if (code == (uint32_t)-CM_EAWAY)
        return fail_ended(self, err);
    if (code == 0 || code > (uint32_t)-CM_EAWAY)
        code = (uint32_t)-CM_EINTERNAL;
    return cm_fail(err, -(int)code, "%.*s", (int)(body.len - sizeof code), body.data + sizeof code);
}

/* Reads what has arrived, without waiting. 1: something, 0: nothing yet. */
static int receive(held_t *self, cm_err_t *err)
{
    cm_buf_reserve(&self->in, PIECE);
    ssize_t got = recv(self->fd, self->in.data + self->in.len, PIECE, MSG_DONTWAIT);
    if (got > 0) {
        self->in.len += (size_t)got;
        return 1;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    return fail_ended(self, err);
}

/* Takes the next answer if it is complete: 1, with `*frame` valid until the next call; 0: not yet.
 */
static int next_answer(held_t *self, cm_frame_t *frame, cm_err_t *err)
{
    cm_str_t rest = {self->in.data, self->in.len};

    if (self->taken > 0) {
        memmove(self->in.data, self->in.data + self->taken, self->in.len - self->taken);
        self->in.len -= self->taken;
        self->taken = 0;
        rest.len = self->in.len;
    }
    int64_t len = cm_frame_length(rest);
    if (len < 0)
        return cm_fail(err, CM_EINTERNAL, "what holds %s is no Clickmill", self->data_dir);
    if (len == 0 || (size_t)len > rest.len)
        return 0;
    self->taken = (size_t)len;
    *frame = cm_frame_of((cm_str_t){rest.data, (size_t)len});
    return frame->kind == CM_FRAME_FAIL ? fail_as_reported(self, frame->body, err) : 1;
}

/* Waits for the answer of this kind. */
static int await(held_t *self, cm_frame_kind_t kind, size_t len, cm_frame_t *frame, cm_err_t *err)
{
    held_wait_t wait = {0};
    int rc;

    while ((rc = next_answer(self, frame, err)) == 0) {
        rc = receive(self, err);
        if (rc == 0)
            rc = wait_for(self, POLLIN, &wait, err);
        if (rc < 0)
            return rc;
    }
    if (rc < 0)
        return rc;
    if (frame->kind != kind || frame->body.len != len)
        return cm_fail(err, CM_EINTERNAL, "what holds %s gives an unknown answer", self->data_dir);
    return 0;
}

/* ---- requests ---- */

/* Whether the holder has reported a failure and takes no more events. Returns that failure. */
static int reported_failure(held_t *self, cm_err_t *err)
{
    cm_frame_t frame;
    cm_err_t ended;
    int rc = 0;

    while (rc == 0 && receive(self, &ended) > 0)
        rc = next_answer(self, &frame, err);
    return rc < 0 ? rc : fail_ended(self, err);
}

/* Sends the contents of `out`. */
static int send_out(held_t *self, cm_err_t *err)
{
    held_wait_t wait = {0};
    int rc = 0;

    while (rc == 0 && self->sent < self->out.len) {
        ssize_t done = send(self->fd, self->out.data + self->sent, self->out.len - self->sent,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (done > 0) {
            self->sent += (size_t)done;
            wait = (held_wait_t){0};
        } else if (done < 0 && errno != EAGAIN && errno != EINTR) {
            rc = reported_failure(self, err);
        } else {
            rc = wait_for(self, POLLOUT, &wait, err);
        }
    }
    cm_buf_clear(&self->out);
    self->sent = 0;
    return rc;
}

static int held_put(cm_sink_t *sink, const cm_batch_t *batch, cm_err_t *err)
{
    held_t *self = (held_t *)sink;

    if (batch->count == 0 && batch->dead_count == 0 && batch->position_count == 0)
        return 0;
    cm_frame_add_batch(&self->out, batch);
    return send_out(self, err);
}

static int held_commit(cm_sink_t *sink, cm_err_t *err)
{
    held_t *self = (held_t *)sink;
    cm_frame_t frame;

    cm_frame_add(&self->out, CM_FRAME_COMMIT, NULL, 0);
    int rc = send_out(self, err);
    return rc == 0 ? await(self, CM_FRAME_DONE, 0, &frame, err) : rc;
}

static int held_position(cm_store_t *store, const char *source, int64_t *position, cm_err_t *err)
{
    held_t *self = (held_t *)store;
    cm_frame_t frame;

    cm_frame_add(&self->out, CM_FRAME_POSITION, source, strlen(source));
    int rc = send_out(self, err);
    if (rc == 0)
        rc = await(self, CM_FRAME_AT, sizeof *position, &frame, err);
    if (rc == 0)
        memcpy(position, frame.body.data, sizeof *position);
    return rc;
}

static int held_tell_older_keys(cm_store_t *store, cm_err_t *err)
{
    held_t *self = (held_t *)store;

    cm_frame_add(&self->out, CM_FRAME_OLDER, NULL, 0);
    self->welcome.older_told = 1;
    return send_out(self, err);
}

static int held_add_site(cm_store_t *store, const char *host, cm_err_t *err)
{
    held_t *self = (held_t *)store;

    cm_frame_add(&self->out, CM_FRAME_SITE, host, strlen(host));
    return send_out(self, err);
}

static void held_close(cm_sink_t *sink)
{
    held_t *self = (held_t *)sink;

    close(self->fd);
    cm_buf_free(&self->out);
    cm_buf_free(&self->in);
    free(self->data_dir);
    explicit_bzero(&self->welcome, sizeof self->welcome);
    free(self);
}

static int held_reader(cm_store_t *store, cm_reader_t **reader, cm_err_t *err)
{
    (void)reader;
    return cm_fail(err, CM_EINTERNAL, "process %ld, which holds %s, cannot be read from",
                   ((held_t *)store)->pid, ((held_t *)store)->data_dir);
}

static int held_secret(cm_store_t *store, uint8_t secret[CM_STORE_SECRET], cm_err_t *err)
{
    (void)err;
    memcpy(secret, ((held_t *)store)->welcome.secret, CM_STORE_SECRET);
    return 0;
}

static int held_older_keys(cm_store_t *store, bool *older, cm_err_t *err)
{
    (void)err;
    *older = ((held_t *)store)->welcome.older_keys != 0;
    return 0;
}

static int held_older_keys_told(cm_store_t *store, bool *told, cm_err_t *err)
{
    (void)err;
    *told = ((held_t *)store)->welcome.older_told != 0;
    return 0;
}

static const cm_store_directory_ops_t held_directory = {.position = held_position,
                                                        .secret = held_secret,
                                                        .older_keys = held_older_keys,
                                                        .older_keys_told = held_older_keys_told,
                                                        .tell_older_keys = held_tell_older_keys,
                                                        .add_site = held_add_site};
static const cm_store_ops_t held_ops = {.reader = held_reader, .directory = &held_directory};

/* ---- opening ---- */

static int greet(held_t *self, cm_err_t *err)
{
    const uint32_t version = CM_FRAME_VERSION;
    cm_frame_t frame;

    cm_frame_add(&self->out, CM_FRAME_HELLO, &version, sizeof version);
    int rc = send_out(self, err);
    if (rc == 0)
        rc = await(self, CM_FRAME_WELCOME, sizeof self->welcome, &frame, err);
    if (rc == 0)
        memcpy(&self->welcome, frame.body.data, sizeof self->welcome);
    return rc;
}

int cm_held_open(const char *data_dir, const atomic_bool *stop, FILE *messages, cm_store_t **store,
                 cm_err_t *err)
{
    static const cm_sink_ops_t ops = {held_put, held_commit, held_close, NULL};
    struct ucred peer = {.pid = 0};
    socklen_t len = sizeof peer;

    *store = NULL;
    int fd = cm_frame_socket(data_dir, false);
    if (fd < 0 && (errno == EACCES || errno == EPERM))
        return cm_fail(err, CM_EBUSY,
                       "the data directory %s is held by a process of another user; only that "
                       "user, or root, may import while it runs",
                       data_dir);
    if (fd < 0)
        return 0;
    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len);
    held_t *self = cm_alloc_zero(1, sizeof *self);
    self->store = (cm_store_t){.sink = {&ops}, .ops = &held_ops};
    self->data_dir = cm_strdup(data_dir);
    self->stop = stop;
    self->messages = messages;
    self->fd = fd;
    self->pid = (long)peer.pid;
    int rc = greet(self, err);
    if (rc < 0) {
        held_close(&self->store.sink);
        return rc == CM_EAWAY ? 0 : rc; /* the holder has just ended: the directory is free */
    }
    *store = &self->store;
    return 0;
}

bool cm_held_answers(const cm_store_t *store)
{
    return ((const held_t *)store)->welcome.answers != 0;
}

long cm_held_process(const cm_store_t *store)
{
    return store->ops == &held_ops ? ((const held_t *)store)->pid : 0;
}
