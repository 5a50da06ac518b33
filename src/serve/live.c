#include "serve/live.h"

#include "base/clock.h"
#include "base/str.h"
#include "serve/api.h"
#include "serve/reply.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

enum { AGAIN_SECONDS = 10 }; /* after which a client may ask for a stream again */

typedef struct stream stream_t;

struct stream {
    cm_live_t *live;
    struct MHD_Connection *connection;
    cm_loop_t *loop; /* of the connection */
    stream_t *next, *prev;
    bool suspended;
    bool ending;   /* the stream ends after `text` */
    bool beat;     /* a comment is to be sent, to keep the stream alive */
    uint64_t seen; /* number of the last message that was taken into `text` */
    cm_buf_t text; /* what is being sent, */
    size_t sent;   /* and how much of it was sent */
};

struct cm_live {
    cm_handle_pool_t *handles;
    const cm_log_t *log;
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    bool stopping;
    stream_t *streams;
    int stream_count;
    cm_buf_t message; /* the newest */
    uint64_t number;  /* of the newest message; 0: there is none */
};

static void resume(stream_t *stream)
{
    if (stream->suspended) {
        stream->suspended = false;
        cm_loop_resume(stream->loop, stream->connection);
    }
}

static void resume_all(cm_live_t *live)
{
    for (stream_t *stream = live->streams; stream != NULL; stream = stream->next)
        resume(stream);
}

/* Puts what is to be sent next into `text`; false when there is nothing. */
static bool next_text(stream_t *stream)
{
    cm_live_t *live = stream->live;

    cm_buf_clear(&stream->text);
    stream->sent = 0;
    if (live->number > stream->seen) {
        cm_buf_add(&stream->text, live->message.data, live->message.len);
        stream->seen = live->number;
    } else if (stream->beat) {
        cm_buf_add_text(&stream->text, ":\n\n");
    }
    stream->beat = false;
    return stream->text.len > 0;
}

/* Called by libmicrohttpd when the connection can send more. `suspended` is set and the connection
 * suspended under the lock, so that the thread that resumes it sees both or neither. */
static ssize_t read_stream(void *context, uint64_t position, char *out, size_t max)
{
    stream_t *stream = context;
    cm_live_t *live = stream->live;
    ssize_t len = 0;
    (void)position;

    pthread_mutex_lock(&live->lock);
    bool more = stream->sent < stream->text.len;
    if (!more && (live->stopping || stream->ending)) {
        len = MHD_CONTENT_READER_END_OF_STREAM;
    } else if (more || next_text(stream)) {
        size_t rest = stream->text.len - stream->sent;
        len = (ssize_t)(rest < max ? rest : max);
        memcpy(out, stream->text.data + stream->sent, (size_t)len);
        stream->sent += (size_t)len;
    } else {
        stream->suspended = true;
        MHD_suspend_connection(stream->connection);
    }
    pthread_mutex_unlock(&live->lock);
    return len;
}

static void close_stream(void *context)
{
    stream_t *stream = context;
    cm_live_t *live = stream->live;

    pthread_mutex_lock(&live->lock);
    *(stream->prev ? &stream->prev->next : &live->streams) = stream->next;
    if (stream->next != NULL)
        stream->next->prev = stream->prev;
    live->stream_count--;
    pthread_mutex_unlock(&live->lock);
    cm_buf_free(&stream->text);
    free(stream);
}

/* A new stream begins with the time after which a browser connects again. NULL: too many. */
static stream_t *open_stream(cm_live_t *live, struct MHD_Connection *connection, cm_loop_t *loop)
{
    stream_t *stream = NULL;

    pthread_mutex_lock(&live->lock);
    if (live->stream_count < CM_LIVE_STREAMS) {
        stream = cm_alloc_zero(1, sizeof *stream);
        stream->live = live;
        stream->connection = connection;
        stream->loop = loop;
        cm_buf_add_text(&stream->text, "retry: 2000\n\n");
        stream->next = live->streams;
        if (stream->next != NULL)
            stream->next->prev = stream;
        live->streams = stream;
        live->stream_count++;
        pthread_cond_signal(&live->changed);
    }
    pthread_mutex_unlock(&live->lock);
    return stream;
}

static enum MHD_Result reply(struct MHD_Connection *connection, struct MHD_Response *response)
{
    MHD_add_response_header(response, "Content-Type", "text/event-stream");
    MHD_add_response_header(response, "Cache-Control", "no-store");
    /* Without this, nginx would keep events until its buffer is full. */
    MHD_add_response_header(response, "X-Accel-Buffering", "no");
    cm_reply_secure(response);
    enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

enum MHD_Result cm_live_reply(cm_live_t *live, struct MHD_Connection *connection, cm_loop_t *loop,
                              bool head)
{
    struct MHD_Response *response;

    if (head) {
        /* A stream of unknown length would send its last chunk even here. */
        response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
        return response == NULL ? MHD_NO : reply(connection, response);
    }
    stream_t *stream = open_stream(live, connection, loop);
    if (stream == NULL)
        return cm_reply_later(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
                              "too many live streams are open; ask /api/summary instead",
                              AGAIN_SECONDS);
    response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, read_stream, stream,
                                                 close_stream);
    if (response == NULL) {
        close_stream(stream);
        return MHD_NO;
    }
    return reply(connection, response);
}

/* Reads the summary as one event into `message`, which stays empty when the answers have not
 * changed since `*updated_at`. */
static int read_message(cm_live_t *live, int64_t *updated_at, cm_buf_t *message, cm_err_t *err)
{
    cm_freshness_t freshness;

    cm_buf_clear(message);
    int rc = cm_api_freshness(live->handles, CM_WINDOW_ALL, &freshness, err);
    const int64_t now = freshness.present ? freshness.updated_at : 0;
    if (rc < 0 || now == *updated_at)
        return rc;
    cm_buf_t summary = CM_BUF_INIT;
    rc = cm_api_add_summary(live->handles, &summary, err);
    if (rc == 0) {
        *updated_at = now;
        cm_buf_add_text(message, "event: summary\ndata: ");
        for (size_t i = 0; i < summary.len; i++) {
            if (summary.data[i] != '\n')
                cm_buf_add_char(message, summary.data[i]);
        }
        cm_buf_add_text(message, "\n\n");
    }
    cm_buf_free(&summary);
    return rc;
}

/* Sends a message to all streams, and swaps it with the previous one. */
static void publish(cm_live_t *live, cm_buf_t *message)
{
    cm_buf_t old = live->message;

    live->message = *message;
    *message = old;
    live->number++;
    resume_all(live);
}

/* Streams end when the index cannot be read: the page then shows that, and the browser connects
 * again. */
static void end_all(cm_live_t *live)
{
    for (stream_t *stream = live->streams; stream != NULL; stream = stream->next) {
        stream->ending = true;
        resume(stream);
    }
}

static void beat_all(cm_live_t *live)
{
    for (stream_t *stream = live->streams; stream != NULL; stream = stream->next) {
        stream->beat = true;
        resume(stream);
    }
}

static void pause_ms(cm_live_t *live, int ms)
{
    const struct timespec until = cm_clock_until(ms);

    /* Only a stop may shorten the interval, a new stream must not. */
    while (!live->stopping && pthread_cond_timedwait(&live->changed, &live->lock, &until) == 0)
        ;
}

static void *watch(void *context)
{
    cm_live_t *live = context;
    cm_buf_t message = CM_BUF_INIT;
    int64_t updated_at = -1, sent_at = 0;
    cm_err_t err;

    pthread_mutex_lock(&live->lock);
    while (!live->stopping) {
        if (live->streams == NULL) {
            /* There is no stream: sleep, and forget the message, which will be out of date. */
            live->number = 0;
            updated_at = -1;
            pthread_cond_wait(&live->changed, &live->lock);
            continue;
        }
        pthread_mutex_unlock(&live->lock);
        int rc = read_message(live, &updated_at, &message, &err);
        int64_t now = cm_clock_ticks_ns() / 1000000;
        if (rc < 0)
            cm_log(live->log, CM_LOG_ERROR, "answers cannot be read", "reason=\"%s\"", err.text);
        pthread_mutex_lock(&live->lock);
        if (rc < 0) {
            end_all(live);
        } else if (message.len > 0) {
            publish(live, &message);
            sent_at = now;
        } else if (now - sent_at >= CM_LIVE_BEAT_MS) {
            beat_all(live);
            sent_at = now;
        }
        pause_ms(live, CM_LIVE_INTERVAL_MS);
    }
    pthread_mutex_unlock(&live->lock);
    cm_buf_free(&message);
    return NULL;
}

int cm_live_start(cm_handle_pool_t *handles, const cm_log_t *log, cm_live_t **out, cm_err_t *err)
{
    cm_live_t *live = cm_alloc_zero(1, sizeof *live);

    live->handles = handles;
    live->log = log;
    pthread_mutex_init(&live->lock, NULL);
    cm_clock_cond_init(&live->changed);
    int error = pthread_create(&live->thread, NULL, watch, live);
    if (error != 0) {
        cm_live_free(live);
        return cm_fail_thread(err);
    }
    *out = live;
    return 0;
}

void cm_live_stop(cm_live_t *live)
{
    pthread_mutex_lock(&live->lock);
    live->stopping = true;
    pthread_cond_broadcast(&live->changed);
    resume_all(live);
    pthread_mutex_unlock(&live->lock);
    pthread_join(live->thread, NULL);
}

void cm_live_free(cm_live_t *live)
{
    if (live == NULL)
        return;
    assert(live->streams == NULL);
    pthread_cond_destroy(&live->changed);
    pthread_mutex_destroy(&live->lock);
    cm_buf_free(&live->message);
    free(live);
}
