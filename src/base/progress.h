/* Progress of long work: a bar with rate and time left on a terminal, a line now and then
 * elsewhere.
 *
 * Writes to the stream it was given, a few times a second at most. One thread. */
#ifndef CM_BASE_PROGRESS_H
#define CM_BASE_PROGRESS_H

#include "base/str.h"

#include <stdio.h>

typedef struct cm_progress {
    FILE *stream; /* NULL: silent */
    bool terminal;
    const char *label; /* what is being done, at the line's head */
    const char *unit;  /* what the rate counts: "events", "lines" */
    int64_t started_ns, shown_ns;
    bool drawn;
} cm_progress_t;

/* Starts the clock. Not on a terminal a line appears only every `CM_PROGRESS_LINE_S` seconds. */
enum { CM_PROGRESS_LINE_S = 5 };
void cm_progress_start(cm_progress_t *progress, FILE *stream, bool terminal, const char *label,
                       const char *unit);

/* Shows `share` (0..1, negative: not known) and the rate of `count` units done so far, when it is
 * time to. */
void cm_progress_show(cm_progress_t *progress, double share, uint64_t count);

/* Clears the bar. */
void cm_progress_end(cm_progress_t *progress);

/* Appends 1,234,567. */
void cm_buf_add_grouped(cm_buf_t *buf, int64_t value);

/* Replaces the terminal's current line by the text. */
void cm_progress_line(FILE *stream, cm_str_t text);

/* A line of status: on a terminal it replaces the one before, elsewhere it follows it. */
void cm_progress_tell(FILE *stream, bool terminal, const cm_buf_t *line);

#endif
