/* Downloads: all rows of a question, however many, in bounded memory and of one moment.
 *
 * A thread of its own reads the answers and writes them as fast as the disk takes them: up to
 * CM_DOWNLOAD_MEMORY bytes are kept in memory and replied as any answer, more go to a temporary
 * file without a name, from which the client is served while it grows. So a client that reads
 * slowly holds a file, and no snapshot of the index: what writes the index can go on, and its
 * write-ahead log does not grow. Files are in TMPDIR, else /var/tmp, else /tmp.
 *
 * At most CM_DOWNLOAD_FILES files are open and CM_DOWNLOAD_THREADS questions are read at a time. A
 * client that takes less than CM_DOWNLOAD_RATE bytes a second after a while is cut off. Used by all
 * threads of the server. */
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

/* `handles` and `log` must outlive it. */
cm_downloads_t *cm_downloads_new(cm_handle_pool_t *handles, const cm_log_t *log);

/* Ends all downloads, and waits for their threads. Their connections are let on. */
void cm_downloads_stop(cm_downloads_t *downloads);

/* After cm_downloads_stop() and the last cm_download_release(). NULL is allowed. */
void cm_downloads_free(cm_downloads_t *downloads);

/* Begins a download of the question, whose texts are copied, and suspends the connection; the loop
 * lets it on when it is known how to reply. NULL, with nothing suspended: too many are under way.
 */
cm_download_t *cm_download_start(cm_downloads_t *downloads, const cm_params_t *params,
                                 struct MHD_Connection *connection, cm_loop_t *loop);

/* Replies, when the connection was let on. `head`: to HEAD, without the body. */
enum MHD_Result cm_download_reply(cm_download_t *download, struct MHD_Connection *connection,
                                  bool head);

/* The request has ended. NULL is allowed. */
void cm_download_release(cm_download_t *download);

/* Whether a client that has taken so many bytes in so many ms since its first is cut off. */
bool cm_download_too_slow(uint64_t bytes, int64_t ms);

#endif
