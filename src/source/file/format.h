/* Finds the format of a file from its first lines. A pure function, for any thread. */
#ifndef CM_SOURCE_FILE_FORMAT_H
#define CM_SOURCE_FILE_FORMAT_H

#include "source/file/file.h"

typedef struct cm_format_found {
    /* The format of most lines among those of a known format; CM_FILE_AUTO when there are none. */
    cm_file_format_t format;
    const char *foreign;   /* most lines have this unsupported format; otherwise NULL */
    unsigned lines;        /* lines that were examined and are not blank */
    unsigned json, access; /* of these: JSON objects, and lines of an access log */
    bool hosts;            /* an access log line names its virtual host */
    cm_err_t why;          /* why the first line is not a line of an access log */
} cm_format_found_t;

/* Examines the whole lines of the text. The last line may be cut; it is examined with `ended`, or
 * when it is the only one. A text without any line counts as JSON lines without events. The first
 * line of a CSV file is a header, whose columns give fields as the map says (NULL: none). */
void cm_format_find(cm_str_t text, bool ended, const cm_event_map_t *map, cm_format_found_t *found);

#endif
