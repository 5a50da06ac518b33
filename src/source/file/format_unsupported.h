/* Recognises logs in unsupported formats, so that such a file is refused with the name of its
 * format and its lines do not all become dead letters. A pure function, for any thread. */
#ifndef CM_SOURCE_FILE_FORMAT_UNSUPPORTED_H
#define CM_SOURCE_FILE_FORMAT_UNSUPPORTED_H

#include "base/str.h"

/* The kind of log of the line, as a noun with its article ("an access log of IIS"); a constant.
 * NULL when it is none of the kinds known here, for example an event (with a user_id) or a readable
 * line of an access log. */
const char *cm_format_unsupported_name(cm_str_t line);

#endif
