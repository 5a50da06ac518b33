/* Logs in formats that are not read, recognised so that a file of them is refused by name and
 * does not become dead letters line by line. Pure. */
#ifndef CM_SOURCE_FILE_FORMAT_UNSUPPORTED_H
#define CM_SOURCE_FILE_FORMAT_UNSUPPORTED_H

#include "base/str.h"

/* What kind of log the line is from, as a noun with its article ("an access log of IIS"): a
 * constant; NULL when it is of none that is known here. Lines that are events (with a user_id) or
 * access log lines that can be read are none. */
const char *cm_format_unsupported_name(cm_str_t line);

#endif
