/* Host names in one form: lower case, without a dot at the end, and if they are not ASCII in the
 * form that browsers send (xn--, UTS 46). Pure functions, for any thread. */
#ifndef CM_BASE_HOST_H
#define CM_BASE_HOST_H

#include "base/str.h"

/* Appends the name in that form. Text that cannot be a host name is appended in lower case. */
void cm_host_add(cm_buf_t *buf, cm_str_t name);

#endif
