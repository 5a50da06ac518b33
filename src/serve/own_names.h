/* The server's own names: those of loopback, this machine's addresses and host name, the hosts of
 * the sites, and those that `http.hosts` adds.
 *
 * A page that was loaded under another name belongs to another site, whose name resolves to this
 * machine (DNS rebinding). Constant once it is made, for any thread. */
#ifndef CM_SERVE_OWN_NAMES_H
#define CM_SERVE_OWN_NAMES_H

#include "base/err.h"
#include "serve/sites.h"

typedef struct cm_own_names cm_own_names_t;

/* `hosts`: names separated by commas, NULL and "": none. `sites` is borrowed. CM_EUSAGE. */
int cm_own_names_new(const char *hosts, const cm_sites_t *sites, cm_own_names_t **names,
                     cm_err_t *err);
void cm_own_names_free(cm_own_names_t *names);

/* Whether a Host header's name, without its port, is one of them. */
bool cm_own_names_has(const cm_own_names_t *names, cm_str_t name);

#endif
