/* Names in Host headers. Pure functions. */
#ifndef CM_SERVE_AUTHORITY_H
#define CM_SERVE_AUTHORITY_H

#include "base/str.h"

/* The host name of a Host header, without its port; IPv6 keeps its brackets. */
cm_str_t cm_authority_host(cm_str_t host);

/* Whether a name means this machine and nothing else: no name service can make it another's. */
bool cm_authority_is_local(cm_str_t name);

#endif
