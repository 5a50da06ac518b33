/* Names of hosts, as one form: lower case, without a dot at the end, and where they are not ASCII
 * as browsers send them (xn--, UTS 46). */
#ifndef CM_BASE_HOST_H
#define CM_BASE_HOST_H

#include "base/str.h"

/* Appends the name in that form. What cannot be one is appended in lower case. */
void cm_host_add(cm_buf_t *buf, cm_str_t name);

#endif
