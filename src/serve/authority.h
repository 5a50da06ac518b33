/* The authority of a URL or a Host header: a host and perhaps a port (RFC 3986, section 3.2). Pure
 * functions, for any thread; the result points into the argument. */
#ifndef CM_SERVE_AUTHORITY_H
#define CM_SERVE_AUTHORITY_H

#include "base/str.h"

/* The host of an authority, without its port; IPv6 keeps its brackets. */
cm_str_t cm_authority_host(cm_str_t authority);

/* Whether a host can only be this machine: no name service can let it mean another one. */
bool cm_authority_is_local(cm_str_t host);

#endif
