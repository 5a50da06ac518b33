/* Which format a file has, found out from the lines that it begins with. Pure. */
#ifndef CM_SOURCE_FILE_FORMAT_H
#define CM_SOURCE_FILE_FORMAT_H

#include "source/file/file.h"

typedef struct cm_format_found {
    /* Of most of the lines that are of any known format; CM_FILE_AUTO when none is. */
    cm_file_format_t format;
    const char *foreign;   /* most lines are of this format, which is not read; else NULL */
    unsigned lines;        /* that were looked at and are not blank */
    unsigned json, access; /* of these: objects, and lines of an access log */
    bool hosts;            /* one of these names its virtual host */
    cm_err_t why;          /* why the first one is no line of an access log */
} cm_format_found_t;

/* Looks at the whole lines of the text; at its last one, which may be cut, when `ended` or when
 * there is no other. A text without any line is as good as one of JSON lines without events. A CSV
 * file is one whose first line is a header. */
void cm_format_find(cm_str_t text, bool ended, cm_format_found_t *found);

#endif
