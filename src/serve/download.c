#include "serve/download.h"

#include "base/clock.h"
#include "base/process.h"
#include "serve/api.h"
#include "serve/reply.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PIECE = 64 * 1024, AGAIN_SECONDS = 10 };

typedef enum phase {
    READING,  /* the index is read, so far into memory */
    WHOLE,    /* all is in memory */
    FILE_FED, /* there is a file, which grows or is complete */
    FAILED,   /* before anything was sent */
    CROWDED,  /* too many files are open */
} phase_t;

struct cm_download {
    cm_downloads_t *downloads;
    cm_params_t params;
    char *url, *country;
    struct MHD_Connection *connection;
    cm_loop_t *loop;
    cm_download_t *next, *prev;
    int64_t began_ns; /* when the client got its first bytes; 0: it has none */
    cm_buf_t body;    /* used by the thread alone until the phase is WHOLE */
    int fd;           /* of the file; -1: none */
    /* Guarded by the lock of downloads: */
    int references;    /* the thread, the request, the response */
    bool suspended;    /* the connection */
    bool abandoned;    /* no client waits for it */
    bool done, broken; /* the thread has ended; with an error after the file was opened */
    phase_t phase;
    uint64_t written; /* bytes of the file */
};

struct cm_downloads {
    cm_handle_pool_t *handles;
    const cm_log_t *log;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t idle;
    bool stopping;
    int threads, files;
    cm_download_t *first;
};

bool cm_download_too_slow(uint64_t bytes, int64_t ms)
{
    return ms > CM_DOWNLOAD_GRACE_MS && bytes < (uint64_t)ms / 1000 * CM_DOWNLOAD_RATE;
}

cm_downloads_t *cm_downloads_new(cm_handle_pool_t *handles, const cm_log_t *log)
{
    cm_downloads_t *downloads = cm_alloc_zero(1, sizeof *downloads);

    downloads->handles = handles;
    downloads->log = log;
    pthread_mutex_init(&downloads->lock, NULL);
    pthread_cond_init(&downloads->idle, NULL);
    return downloads;
}

/* The lock is held. */
static void resume(cm_download_t *download)
{
    if (download->suspended) {
        download->suspended = false;
        cm_loop_resume(download->loop, download->connection);
    }
}

void cm_downloads_stop(cm_downloads_t *downloads)
{
    pthread_mutex_lock(&downloads->lock);
    downloads->stopping = true;
    for (cm_download_t *at = downloads->first; at != NULL; at = at->next)
        resume(at);
    while (downloads->threads > 0)
        pthread_cond_wait(&downloads->idle, &downloads->lock);
    pthread_mutex_unlock(&downloads->lock);
}

void cm_downloads_free(cm_downloads_t *downloads)
{
    if (downloads == NULL)
        return;
    assert(downloads->first == NULL && downloads->threads == 0 && downloads->files == 0);
    pthread_cond_destroy(&downloads->idle);
    pthread_mutex_destroy(&downloads->lock);
    free(downloads);
}

/* The lock is held. The last reference frees the download. */
static void drop(cm_download_t *download)
{
    cm_downloads_t *downloads = download->downloads;

    assert(download->references > 0);
    if (--download->references > 0)
        return;
    *(download->prev ? &download->prev->next : &downloads->first) = download->next;
    if (download->next != NULL)
        download->next->prev = download->prev;
    if (download->fd >= 0) {
        close(download->fd);
        downloads->files--;
    }
    cm_buf_free(&download->body);
    free(download->url);
    free(download->country);
    free(download);
}

/* ---- the thread that reads ---- */

/* A file without a name, which is deleted when it is closed, also when the process dies. */
static int open_file(cm_err_t *err)
{
    const char *const given = getenv("TMPDIR");
    const char *const places[] = {given != NULL && *given != '\0' ? given : "/var/tmp", "/var/tmp",
                                  "/tmp"};
    char path[4096];
    int error = ENOENT;

    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        int fd = open(places[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (fd >= 0)
            return fd;
        snprintf(path, sizeof path, "%s/clickmill-XXXXXX", places[i]);
        fd = mkostemp(path, O_CLOEXEC);
        if (fd >= 0) {
            unlink(path);
            return fd;
        }
        error = errno;
    }
    return cm_fail(err, CM_EIO, "a temporary file for a download cannot be made in %s: %s",
                   places[0], strerror(error));
}

static int write_all(int fd, const char *data, size_t len, uint64_t at, cm_err_t *err)
{
    while (len > 0) {
        ssize_t written = pwrite(fd, data, len, (off_t)at);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return cm_fail(err, CM_EIO, "the temporary file of a download cannot be written: %s",
                           strerror(errno));
        data += written;
        len -= (size_t)written;
        at += (uint64_t)written;
    }
    return 0;
}

/* Opens the file, if not too many are open. */
static int take_file(cm_download_t *download, cm_err_t *err)
{
    cm_downloads_t *downloads = download->downloads;

    pthread_mutex_lock(&downloads->lock);
    bool free_place = downloads->files < CM_DOWNLOAD_FILES;
    downloads->files += free_place;
    pthread_mutex_unlock(&downloads->lock);
    if (!free_place)
        return CM_EBUSY;
    int fd = open_file(err);
    pthread_mutex_lock(&downloads->lock);
    if (fd >= 0)
        download->fd = fd;
    else
        downloads->files--;
    pthread_mutex_unlock(&downloads->lock);
    return fd < 0 ? fd : 0;
}

/* Writes the buffer to the file, from which the client can then read it. */
static int feed(cm_download_t *download, cm_err_t *err)
{
    cm_downloads_t *downloads = download->downloads;
    size_t len = download->body.len;

    if (download->fd < 0) {
        int rc = take_file(download, err);
        if (rc < 0)
            return rc;
    }
    int rc = write_all(download->fd, download->body.data, len, download->written, err);
    if (rc < 0)
        return rc;
    cm_buf_clear(&download->body);
    pthread_mutex_lock(&downloads->lock);
    download->phase = FILE_FED;
    download->written += len;
    resume(download);
    pthread_mutex_unlock(&downloads->lock);
    return 0;
}

/* Whether no client waits for the download. */
static bool gives_up(void *context)
{
    const cm_download_t *download = context;

    pthread_mutex_lock(&download->downloads->lock);
    bool ends = download->downloads->stopping || download->abandoned;
    pthread_mutex_unlock(&download->downloads->lock);
    return ends;
}

/* Called after each row. */
static int after_row(void *context, cm_err_t *err)
{
    cm_download_t *download = context;
    size_t most = download->fd < 0 ? CM_DOWNLOAD_MEMORY : PIECE;

    if (download->body.len < most)
        return 0;
    return gives_up(download) ? CM_ESTOP : feed(download, err);
}

static int read_rows(cm_download_t *download, cm_err_t *err)
{
    cm_handle_pool_t *handles = download->downloads->handles;
    cm_index_t *index = NULL;
    bool held;

    /* A handle of its own, because a snapshot that is held lasts until the handle is closed. */
    int rc = handles->open(handles->context, &index, err);
    if (rc == CM_EINPUT) /* there is no index yet */
        return cm_api_add_rows(NULL, &download->params, &download->body, NULL, NULL, err);
    if (rc == 0)
        rc = cm_index_hold(index, &held, err);
    if (rc == 0)
        rc = cm_api_add_rows(index, &download->params, &download->body, after_row, download, err);
    cm_index_close(index);
    if (rc == CM_EINPUT && download->fd < 0) { /* it was deleted after it was opened */
        cm_buf_clear(&download->body);
        rc = cm_api_add_rows(NULL, &download->params, &download->body, NULL, NULL, err);
    }
    if (rc == 0 && download->fd >= 0 && download->body.len > 0)
        rc = feed(download, err);
    return rc;
}

static void *work(void *context)
{
    cm_download_t *download = context;
    cm_downloads_t *downloads = download->downloads;
    cm_err_t err = {.text = ""};

    cm_process_lower_priority(CM_LOWER_PRIORITY);
    int rc = read_rows(download, &err);
    /* Only to the log: the sentence may name paths of this machine. */
    if (rc < 0 && rc != CM_ESTOP && rc != CM_EBUSY)
        cm_log(downloads->log, CM_LOG_ERROR, "answers cannot be read", "reason=\"%s\"", err.text);
    pthread_mutex_lock(&downloads->lock);
    download->done = true;
    download->broken = rc < 0;
    if (download->phase == READING)
        download->phase = rc == 0 ? WHOLE : rc == CM_EBUSY ? CROWDED : FAILED;
    resume(download);
    drop(download);
    if (--downloads->threads == 0)
        pthread_cond_broadcast(&downloads->idle);
    pthread_mutex_unlock(&downloads->lock);
    return NULL;
}

/* ---- the request ---- */

static cm_download_t *create(cm_downloads_t *downloads, const cm_params_t *params)
{
    cm_download_t *download = cm_alloc_zero(1, sizeof *download);
    cm_index_query_t *query = &download->params.query;

    download->downloads = downloads;
    download->fd = -1;
    download->params = *params;
    if (query->url != NULL)
        query->url = download->url = cm_strdup(query->url);
    if (query->country != NULL)
        query->country = download->country = cm_strdup(query->country);
    query->gives_up = gives_up;
    query->gives_up_context = download;
    download->references = 1;
    return download;
}

/* The lock is held. */
static bool start_thread(cm_download_t *download)
{
    pthread_attr_t detached;
    pthread_t thread;

    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    int error = pthread_create(&thread, &detached, work, download);
    pthread_attr_destroy(&detached);
    if (error != 0)
        return false;
    download->references++;
    download->downloads->threads++;
    return true;
}

cm_download_t *cm_download_start(cm_downloads_t *downloads, const cm_params_t *params,
                                 struct MHD_Connection *connection, cm_loop_t *loop)
{
    cm_download_t *download = create(downloads, params);

    download->connection = connection;
    download->loop = loop;
    pthread_mutex_lock(&downloads->lock);
    download->next = downloads->first;
    if (download->next != NULL)
        download->next->prev = download;
    downloads->first = download;
    if (downloads->stopping || downloads->threads >= CM_DOWNLOAD_THREADS ||
        !start_thread(download)) {
        drop(download);
        download = NULL;
    } else {
        download->suspended = true;
        MHD_suspend_connection(connection);
    }
    pthread_mutex_unlock(&downloads->lock);
    return download;
}

void cm_download_release(cm_download_t *download)
{
    if (download == NULL)
        return;
    cm_downloads_t *downloads = download->downloads;
    pthread_mutex_lock(&downloads->lock);
    download->abandoned = true;
    drop(download);
    pthread_mutex_unlock(&downloads->lock);
}

/* Called by libmicrohttpd when the connection can send more. `suspended` is set and the connection
 * suspended under the lock, so that the thread that resumes it sees both or neither. */
static ssize_t read_file(void *context, uint64_t position, char *out, size_t max)
{
    cm_download_t *download = context;
    cm_downloads_t *downloads = download->downloads;
    int64_t now = cm_clock_ticks_ns();
    ssize_t len = 0;

    if (download->began_ns == 0)
        download->began_ns = now;
    pthread_mutex_lock(&downloads->lock);
    uint64_t there = download->written - position;
    bool waits = there == 0 && !download->done && !downloads->stopping;
    if (waits) {
        download->suspended = true;
        MHD_suspend_connection(download->connection);
    } else if (there == 0) {
        len = download->broken || !download->done ? MHD_CONTENT_READER_END_WITH_ERROR
                                                  : MHD_CONTENT_READER_END_OF_STREAM;
    } else if (downloads->stopping ||
               cm_download_too_slow(position, (now - download->began_ns) / 1000000)) {
        len = MHD_CONTENT_READER_END_WITH_ERROR;
    }
    pthread_mutex_unlock(&downloads->lock);
    if (waits || len < 0)
        return len;
    do {
        len = pread(download->fd, out, max < there ? max : (size_t)there, (off_t)position);
    } while (len < 0 && errno == EINTR);
    return len > 0 ? len : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void close_response(void *context)
{
    cm_download_release(context);
}

static enum MHD_Result reply_stream(cm_download_t *download, struct MHD_Connection *connection,
                                    bool head)
{
    struct MHD_Response *response;

    if (head) {
        /* A stream of unknown length would send its last chunk even here. */
        response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    } else {
        response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE, read_file, download,
                                                     close_response);
    }
    if (response == NULL)
        return MHD_NO;
    if (!head) {
        pthread_mutex_lock(&download->downloads->lock);
        download->references++;
        pthread_mutex_unlock(&download->downloads->lock);
    }
    MHD_add_response_header(response, "Content-Type", cm_params_type(&download->params));
    MHD_add_response_header(response, "Cache-Control", "no-store");
    cm_reply_secure(response);
    enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

enum MHD_Result cm_download_reply(cm_download_t *download, struct MHD_Connection *connection,
                                  bool head)
{
    pthread_mutex_lock(&download->downloads->lock);
    phase_t phase = download->phase;
    pthread_mutex_unlock(&download->downloads->lock);
    switch (phase) {
    case WHOLE:
        return cm_reply_data(connection, cm_params_type(&download->params), &download->body);
    case FILE_FED:
        return reply_stream(download, connection, head);
    case CROWDED:
        return cm_reply_later(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
                              "too many downloads are in progress; try again later", AGAIN_SECONDS);
    case READING:
        return cm_reply_later(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "the server stops",
                              AGAIN_SECONDS);
    case FAILED:
        break;
    }
    return cm_reply_error(connection, MHD_HTTP_INTERNAL_SERVER_ERROR,
                          "the answers cannot be read; the server's log says why");
}
