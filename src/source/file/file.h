/* The source of one file: events as JSON lines, other JSON or CSV, or an access log; plain, gzip or
 * zstd.
 *
 * Account: every line that is not blank counts as read (in CSV: every record except the header),
 * and as accepted, rejected or skipped. A rejected line becomes a dead letter with its bytes
 * unchanged (without the line end; the first 4 KiB of a line over 1 MiB). A dead letter that may
 * contain an address is marked as personal. Its origin is "path:line", with the first line when a
 * CSV record or an event has several lines. In JSON that is not one event a line, text where an
 * event should be is read and rejected (source/file/values.h).
 *
 * Access logs. Without `all`, only page views are events (cm_accesslog_is_page_view) and other
 * lines are skipped; with `all`, every well-formed line is an event. User, URL and row key:
 * accesslog_builder.h. The row key counts every well-formed line, also a skipped one, so an event
 * has the same row key with and without `all`, and after a resume.
 *
 * Resume. A batch of a regular file has the file's identity and, as its position, the unpacked
 * bytes up to the batch's end, which is always the end of a line or event; the last batch has -1.
 * To resume, the part before the position is read again and not returned: line numbers and k need
 * it.
 *
 * Events and dead letters of a batch live until the next call of next(). One thread at a time. */
#ifndef CM_SOURCE_FILE_FILE_H
#define CM_SOURCE_FILE_FILE_H

#include "base/log.h"
#include "enrich/enrich.h"
#include "event/json.h"
#include "source/source.h"

#include <stdatomic.h>

/* In the order of the choices of --format. */
typedef enum cm_file_format {
    CM_FILE_AUTO, /* found from the first lines, see format.h; access logs are read as combined */
    CM_FILE_JSONL,
    CM_FILE_CSV,
    CM_FILE_COMBINED, /* takes common lines as well */
    CM_FILE_COMMON,   /* ignores referrer and agent: a visitor is an address */
    CM_FILE_JSON,     /* arrays of events, and events that span several lines */
} cm_file_format_t;

/* Everything is borrowed until the source is closed. */
typedef struct cm_file_options {
    const char *path; /* "-": standard input */
    cm_file_format_t format;
    bool all;
    cm_timestamp_format_t times; /* how timestamps of JSON and CSV are read */
    const cm_event_map_t *map;   /* which of their members and columns give fields; NULL: none */
    const char *site;            /* "https://host" or "host"; NULL: none */
    bool older_keys;             /* row keys without the site, see accesslog_builder.h */
    const uint8_t *visitor_key;  /* CM_VISITOR_KEY bytes of a secret */
    cm_enrich_fn enrich;         /* NULL: none; called for events of access logs */
    void *enrich_context;
    cm_event_json_fill_fn fill; /* NULL: none; called for events of JSON lines */
    void *fill_context;
    /* The settings of the enrichment, a part of the file's identity: of an access log, and of any
     * other file. NULL: none. */
    const char *variant, *message_variant;
    const atomic_bool *stop; /* NULL: never */
    const cm_log_t *log;     /* gets debug entries (CM_DEBUG_SOURCE); NULL: none */
} cm_file_options_t;

/* Opens the file and reads its start. For a pipe, waits for the first line that shows its format.
 * CM_EINPUT when it cannot be read or its format is unknown or not supported, CM_EUSAGE when the
 * site has no host, CM_ESTOP when stopped during this. */
int cm_file_open(const cm_file_options_t *options, cm_source_t **source, cm_err_t *err);

/* The identity of the file that a position belongs to: path, first 64 KiB, format and options.
 * Empty for a pipe, which cannot be resumed. Lives as long as the source. */
const char *cm_file_identity(const cm_source_t *source);

/* The format that was found or given, never CM_FILE_AUTO. */
cm_file_format_t cm_file_format(const cm_source_t *source);

bool cm_file_is_access_log(const cm_source_t *source);

/* True for an access log with a known site, which was given or is in its first lines. */
bool cm_file_has_site(const cm_source_t *source);

/* True when the file is regular and not compressed, so that any part of it can be read separately.
 */
bool cm_file_seekable(const cm_source_t *source);

/* Before the first next(): continues after `position` (unpacked bytes). Starts at the beginning
 * when the position is not the end of a line of this file, because the file was replaced or is
 * shorter now. CM_ESTOP when stopped during this; CM_EINPUT when the file cannot be opened again.
 */
int cm_file_resume(cm_source_t *source, int64_t position, cm_err_t *err);

#endif
