/* Progress of long work: on a terminal a bar with rate and time left, elsewhere a line from time to
 * time.
 *
 * It writes to a stream of the caller, at most a few times per second. Used by one thread. */
#ifndef CM_BASE_PROGRESS_H
#define CM_BASE_PROGRESS_H

#include "base/str.h"

#include <stdio.h>

typedef struct cm_progress {
    FILE *stream; /* NULL: silent */
    bool terminal;
    const char *label; /* what is being done, at the start of the line */
    const char *unit;  /* of the rate: "events", "lines" */
    int64_t started_ns, shown_ns;
    bool drawn;
} cm_progress_t;

/* Starts the clock. Without a terminal a line appears only every CM_PROGRESS_LINE_S seconds. */
enum { CM_PROGRESS_LINE_S = 5 };
void cm_progress_start(cm_progress_t *progress, FILE *stream, bool terminal, const char *label,
                       const char *unit);

/* Shows the fraction done (0 to 1; negative: not known) and the rate, from the `count` of units
 * done so far, if it is time to. */
void cm_progress_show(cm_progress_t *progress, double fraction, uint64_t count);

/* Clears the bar. */
void cm_progress_end(cm_progress_t *progress);

/* Appends 1,234,567. */
void cm_buf_add_grouped(cm_buf_t *buf, int64_t value);

/* Replaces the current line of the terminal by the text. */
void cm_progress_line(FILE *stream, cm_str_t text);

/* Writes a line of status: on a terminal it replaces the line before, elsewhere it follows it. */
void cm_progress_status(FILE *stream, bool terminal, const cm_buf_t *line);

#endif
