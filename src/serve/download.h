/* Downloads: all rows of a query, however many, in bounded memory and from one snapshot.
 *
 * Each download has a thread that reads the answers and writes them as fast as the disk accepts
 * them. Up to CM_DOWNLOAD_MEMORY bytes stay in memory and are sent as one reply; more go to a
 * temporary file without a name, which is sent to the client while it grows. So a slow client holds
 * a file, and no snapshot of the index: the writer of the index can continue, and its write-ahead
 * log does not grow. The files are in TMPDIR, else /var/tmp, else /tmp.
 *
 * At most CM_DOWNLOAD_FILES files are open and CM_DOWNLOAD_THREADS queries are read at a time.
 * After CM_DOWNLOAD_GRACE_MS the connection of a client that reads less than CM_DOWNLOAD_RATE bytes
 * a second is closed. Used by all threads of the server. */
#ifndef CM_SERVE_DOWNLOAD_H
#define CM_SERVE_DOWNLOAD_H

#include "base/log.h"
#include "serve/handle_pool.h"
#include "serve/loop.h"
#include "serve/params.h"

#include <microhttpd.h>

enum {
    CM_DOWNLOAD_MEMORY = 256 * 1024,
    CM_DOWNLOAD_FILES = 16,
    CM_DOWNLOAD_THREADS = 32,
    CM_DOWNLOAD_RATE = 1024,      /* bytes a second */
    CM_DOWNLOAD_GRACE_MS = 60000, /* before the rate counts */
};

typedef struct cm_downloads cm_downloads_t;
typedef struct cm_download cm_download_t;

/* `handles` and `log` must outlive the downloads. */
cm_downloads_t *cm_downloads_new(cm_handle_pool_t *handles, const cm_log_t *log);

/* Ends all downloads, waits for their threads and resumes their connections. */
void cm_downloads_stop(cm_downloads_t *downloads);

/* After cm_downloads_stop() and the last cm_download_release(). NULL is allowed. */
void cm_downloads_free(cm_downloads_t *downloads);

/* Begins a download and suspends the connection; the loop resumes it when the reply is known. The
 * texts of `params` are copied. NULL, with the connection not suspended: too many downloads are in
 * progress. */
cm_download_t *cm_download_start(cm_downloads_t *downloads, const cm_params_t *params,
                                 struct MHD_Connection *connection, cm_loop_t *loop);

/* Replies, after the connection was resumed. `head`: to HEAD, without the body. */
enum MHD_Result cm_download_reply(cm_download_t *download, struct MHD_Connection *connection,
                                  bool head);

/* The request has ended. NULL is allowed. */
void cm_download_release(cm_download_t *download);

/* Whether a client that has read so many bytes in so many ms since its first byte is too slow. */
bool cm_download_too_slow(uint64_t bytes, int64_t ms);

#endif
