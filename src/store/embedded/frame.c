#include "store/embedded/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { LISTEN_MAX = 64 };

/* ---- writing ---- */

static void add_u32(cm_buf_t *buf, size_t value)
{
    uint32_t small = (uint32_t)value;
    cm_buf_add(buf, &small, sizeof small);
}

static void add_i64(cm_buf_t *buf, int64_t value)
{
    cm_buf_add(buf, &value, sizeof value);
}

static void add_text(cm_buf_t *buf, cm_str_t text)
{
    add_u32(buf, text.len);
    cm_buf_add_str(buf, text);
}

static size_t begin(cm_buf_t *buf, cm_frame_kind_t kind)
{
    size_t start = buf->len;

    add_u32(buf, 0);
    cm_buf_add_char(buf, (char)kind);
    return start;
}

static void end(cm_buf_t *buf, size_t start)
{
    uint32_t len = (uint32_t)(buf->len - start - CM_FRAME_HEAD);
    memcpy(buf->data + start, &len, sizeof len);
}

void cm_frame_add(cm_buf_t *buf, cm_frame_kind_t kind, const void *body, size_t len)
{
    size_t start = begin(buf, kind);

    cm_buf_add(buf, body, len);
    end(buf, start);
}

void cm_frame_add_fail(cm_buf_t *buf, int code, const char *text)
{
    size_t start = begin(buf, CM_FRAME_FAIL);

    add_u32(buf, (size_t)-code);
    cm_buf_add_text(buf, text);
    end(buf, start);
}

static void add_event(cm_buf_t *buf, const cm_event_t *event)
{
    const cm_str_t texts[] = {event->user_id, event->url, event->country, event->city,
                              event->browser, event->os,  event->device,  event->row_key};

    add_i64(buf, event->timestamp);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        add_text(buf, texts[i]);
    cm_buf_add_char(buf, event->extra != NULL);
    if (event->extra == NULL)
        return;
    for (int field = 0; field < CM_EXTRA_TEXTS; field++)
        add_text(buf, event->extra->text[field]);
    add_i64(buf, event->extra->engaged_ms);
}

void cm_frame_add_batch(cm_buf_t *buf, const cm_batch_t *batch)
{
    size_t start = begin(buf, CM_FRAME_BATCH);

    add_u32(buf, batch->count);
    for (size_t i = 0; i < batch->count; i++)
        add_event(buf, &batch->events[i]);
    add_u32(buf, batch->dead_count);
    for (size_t i = 0; i < batch->dead_count; i++) {
        add_text(buf, batch->dead[i].payload);
        add_text(buf, batch->dead[i].reason);
        add_text(buf, batch->dead[i].origin);
        cm_buf_add_char(buf, batch->dead[i].personal);
    }
    add_u32(buf, batch->position_count);
    for (size_t i = 0; i < batch->position_count; i++) {
        add_text(buf, batch->positions[i].source);
        add_i64(buf, batch->positions[i].position);
    }
    end(buf, start);
}

/* ---- reading ---- */

int64_t cm_frame_length(cm_str_t bytes)
{
    uint32_t len;

    if (bytes.len < CM_FRAME_HEAD)
        return 0;
    memcpy(&len, bytes.data, sizeof len);
    return len <= CM_FRAME_MAX ? (int64_t)len + CM_FRAME_HEAD : -1;
}

cm_frame_t cm_frame_of(cm_str_t bytes)
{
    return (cm_frame_t){(cm_frame_kind_t)bytes.data[4],
                        {bytes.data + CM_FRAME_HEAD, bytes.len - CM_FRAME_HEAD}};
}

/* Copies the first `len` bytes and removes them; false when there are fewer. */
static bool take(cm_str_t *rest, void *to, size_t len)
{
    if (rest->len < len)
        return false;
    memcpy(to, rest->data, len);
    rest->data += len;
    rest->len -= len;
    return true;
}

static bool take_text(cm_str_t *rest, cm_str_t *text)
{
    uint32_t len;

    if (!take(rest, &len, sizeof len) || rest->len < len)
        return false;
    *text = (cm_str_t){rest->data, len};
    rest->data += len;
    rest->len -= len;
    return true;
}

/* Takes the optional fields, if the event has any. */
static bool take_extra(cm_str_t *rest, cm_batch_t *batch, cm_event_t *event)
{
    cm_event_extra_t extra;
    int64_t engaged_ms;
    char has_extra;

    event->extra = NULL;
    if (!take(rest, &has_extra, 1))
        return false;
    if (!has_extra)
        return true;
    for (int field = 0; field < CM_EXTRA_TEXTS; field++) {
        if (!take_text(rest, &extra.text[field]))
            return false;
    }
    if (!take(rest, &engaged_ms, sizeof engaged_ms) || engaged_ms < -1 ||
        engaged_ms > CM_ENGAGED_MAX)
        return false;
    extra.engaged_ms = (int32_t)engaged_ms;
    event->extra = cm_event_extra_keep(&extra, &batch->arena);
    return true;
}

static bool take_event(cm_str_t *rest, cm_batch_t *batch)
{
    cm_event_t *event = cm_batch_slot(batch);
    cm_str_t *texts[] = {&event->user_id, &event->url, &event->country, &event->city,
                         &event->browser, &event->os,  &event->device,  &event->row_key};

    if (!take(rest, &event->timestamp, sizeof event->timestamp))
        return false;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (!take_text(rest, texts[i]))
            return false;
    }
    if (!take_extra(rest, batch, event) || cm_event_check(event, false, NULL) < 0)
        return false;
    cm_batch_accept(batch);
    return true;
}

static bool take_dead(cm_str_t *rest, cm_batch_t *batch)
{
    cm_str_t payload, reason, origin;
    char texts[2][1024], personal;

    if (!take_text(rest, &payload) || !take_text(rest, &reason) || !take_text(rest, &origin) ||
        !take(rest, &personal, 1))
        return false;
    snprintf(texts[0], sizeof texts[0], "%.*s", (int)reason.len, reason.data);
    snprintf(texts[1], sizeof texts[1], "%.*s", (int)origin.len, origin.data);
    cm_batch_reject(batch, payload, texts[0], texts[1]);
    batch->dead[batch->dead_count - 1].personal |= personal != 0;
    return true;
}

static bool take_position(cm_str_t *rest, cm_batch_t *batch)
{
    cm_str_t source;
    int64_t position;

    if (!take_text(rest, &source) || !take(rest, &position, sizeof position))
        return false;
    cm_batch_mark(batch, source, position);
    return true;
}

bool cm_frame_read_batch(cm_str_t body, cm_batch_t *batch)
{
    bool (*const parts[])(cm_str_t *, cm_batch_t *) = {take_event, take_dead, take_position};
    uint32_t count;

    for (size_t part = 0; part < 3; part++) {
        if (!take(&body, &count, sizeof count))
            return false;
        for (uint32_t i = 0; i < count; i++) {
            if (!parts[part](&body, batch))
                return false;
        }
    }
    return body.len == 0;
}

/* ---- the socket ---- */

static int bind_or_connect(int fd, const struct sockaddr_un *address, bool listening)
{
    const struct sockaddr *name = (const struct sockaddr *)address;

    if (!listening)
        return connect(fd, name, sizeof *address);
    /* A killed process may have left its socket. This process holds the data directory's lock. */
    if (unlink(address->sun_path) < 0 && errno != ENOENT)
        return -1;
    /* Linux gives the file the mode of the socket, so that it is never open to other users. */
    if (fchmod(fd, 0600) < 0 || bind(fd, name, sizeof *address) < 0)
        return -1;
    return listen(fd, LISTEN_MAX);
}

int cm_frame_socket(const char *data_dir, bool listening)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int directory = -1, rc = -1, error;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    size_t len = (size_t)snprintf(address.sun_path, sizeof address.sun_path, "%s/" CM_FRAME_SOCKET,
                                  data_dir);
    if (len >= sizeof address.sun_path) { /* use a shorter path of the same directory */
        directory = open(data_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/" CM_FRAME_SOCKET,
                 directory);
    }
    if (len < sizeof address.sun_path || directory >= 0)
        rc = bind_or_connect(fd, &address, listening);
    error = errno;
    if (directory >= 0)
        close(directory);
    if (rc < 0)
        close(fd);
    errno = error;
    return rc < 0 ? -1 : fd;
}
