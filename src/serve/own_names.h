/* The names that this server is called by: those of loopback, this machine's addresses and host
 * name, the hosts of the sites, and what `http.hosts` adds.
 *
 * A page that is loaded by another name is a stranger's, who made his own name lead here (DNS
 * rebinding). Constant once it is made, for any thread. */
#ifndef CM_SERVE_OWN_NAMES_H
#define CM_SERVE_OWN_NAMES_H

#include "base/err.h"
#include "serve/sites.h"

typedef struct cm_own_names cm_own_names_t;

/* `hosts`: names between commas, NULL and "": none. `sites` is borrowed. CM_EUSAGE. */
int cm_own_names_new(const char *hosts, const cm_sites_t *sites, cm_own_names_t **ours,
                     cm_err_t *err);
void cm_own_names_free(cm_own_names_t *ours);

/* Whether a Host header's name, without its port, is one of them. */
bool cm_own_names_has(const cm_own_names_t *ours, cm_str_t name);

#endif
