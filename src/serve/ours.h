/* The names that this server is called by: those of loopback, this machine's addresses and host
 * name, the hosts of the sites, and what `http.hosts` adds.
 *
 * A page that is loaded by another name is a stranger's, who made his own name lead here (DNS
 * rebinding). Constant once it is made, for any thread. */
#ifndef CM_SERVE_OURS_H
#define CM_SERVE_OURS_H

#include "base/err.h"
#include "serve/sites.h"

typedef struct cm_ours cm_ours_t;

/* `hosts`: names between commas, NULL and "": none. `sites` is borrowed. CM_EUSAGE. */
int cm_ours_new(const char *hosts, const cm_sites_t *sites, cm_ours_t **ours, cm_err_t *err);
void cm_ours_free(cm_ours_t *ours);

/* Whether a Host header's name, without its port, is one of them. */
bool cm_ours_has(const cm_ours_t *ours, cm_str_t name);

#endif
