/* The source door over one file: events as JSON lines, other JSON or CSV, or an access log; plain,
 * gzip or zstd.
 *
 * Account: every line that is not blank is one read (of CSV: every record but the header), and
 * accepted, rejected or skipped. A rejected line becomes a dead letter with its bytes unchanged
 * (the line end left aside; of a line over 1 MiB the first 4 KiB); one that may hold an address is
 * marked as personal.
 * Its origin is "path:line"; of a CSV record or an event that spans lines, the first one. Of JSON
 * that is no line each, what stands in an event's place is read and rejected (source/values.h).
 *
 * Access logs. Without `all` an event is a page view (cm_accesslog_is_page_view), everything else
 * is skipped; with `all` every well-formed line is one. User, URL and row key: accesslog_builder.h.
 * The row key counts every well-formed line, also those that are skipped: so an event has the same
 * one with `all` and without, and after a resume.
 *
 * Resume. A batch of a regular file carries the file's identity and, as its position, the unpacked
 * bytes up to its end, always a line's or an event's end; -1 with the batch that ends the file. To
 * go on, what lies before the position is read again without being handed out: line numbers and k
 * need it.
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
    CM_FILE_AUTO, /* by the first lines, see format.h; an access log is read as combined */
    CM_FILE_JSONL,
    CM_FILE_CSV,
    CM_FILE_COMBINED, /* takes common lines as well */
    CM_FILE_COMMON,   /* leaves referrer and agent aside: a visitor is an address */
    CM_FILE_JSON,     /* arrays of events, and events laid out over many lines */
} cm_file_format_t;

/* Everything is borrowed until the source is closed. */
typedef struct cm_file_options {
    const char *path; /* "-": standard input */
    cm_file_format_t format;
    bool all;
    cm_timestamp_format_t times; /* how timestamps of JSON and CSV are read */
    const char *site;            /* "https://host" or "host"; NULL: none */
    bool older_keys;             /* row keys without the site, see accesslog_builder.h */
    const uint8_t *visitor_key;  /* CM_VISITOR_KEY bytes of a secret */
    cm_enrich_fn enrich;         /* NULL: none; called for events of access logs */
    void *enrich_context;
    cm_event_json_fill_fn fill; /* NULL: none; called for events of JSON lines */
    void *fill_context;
    /* How the enrichment is set: a part of an access log's identity. NULL: none. */
    const char *variant;
    const atomic_bool *stop; /* NULL: never */
    const cm_log_t *log;     /* gets debug entries (CM_DEBUG_SOURCE); NULL: none */
} cm_file_options_t;

/* Opens the file and looks at its start; of a pipe, waits for the first line that tells its format.
 * CM_EINPUT when it cannot be read or its format is not known or not read, CM_EUSAGE when the site
 * has no host, CM_ESTOP when stopped meanwhile. */
int cm_file_open(const cm_file_options_t *options, cm_source_t **source, cm_err_t *err);

/* What a position belongs to: path, first 64 KiB, format and options; empty for a pipe, which
 * cannot be resumed. Lives as long as the source. */
const char *cm_file_identity(const cm_source_t *source);

/* The format that was found or given, never CM_FILE_AUTO. */
cm_file_format_t cm_file_format(const cm_source_t *source);

bool cm_file_is_access_log(const cm_source_t *source);

/* True for an access log of which a site is known, that was given or that its first lines name. */
bool cm_file_has_site(const cm_source_t *source);

/* True when the file is regular and not compressed: any part of it can be read by itself. */
bool cm_file_seekable(const cm_source_t *source);

/* Before the first next(): goes on behind `position` (unpacked bytes). Starts at the beginning when
 * that is not the end of a line of this file, because the file is another one or shorter now.
 * CM_ESTOP when stopped meanwhile; CM_EINPUT when the file cannot be opened again. */
int cm_file_resume(cm_source_t *source, int64_t position, cm_err_t *err);

#endif
