/* Socket addresses, and the contact points: the hosts to which a session connects first.
 *
 * One thread. The lists belong to the session. */
#ifndef CM_CQL_CONTACT_H
#define CM_CQL_CONTACT_H

#include "cql/memory.h"

#include <sys/socket.h>

enum {
    CM_CQL_NAME = 64,  /* bytes of "address:port" */
    CM_CQL_HOST = 256, /* bytes of a host name: at most 253 characters (RFC 1035) */
};

typedef struct cm_cql_address {
    struct sockaddr_storage sock;
    socklen_t len;
} cm_cql_address_t;

/* Writes "address:port"; `name` has CM_CQL_NAME bytes. */
void cm_cql_address_name(const cm_cql_address_t *address, char *name);

/* Writes the address without the port; `host` has CM_CQL_NAME bytes. */
void cm_cql_address_host(const cm_cql_address_t *address, char *host);

bool cm_cql_address_equal(const cm_cql_address_t *a, const cm_cql_address_t *b);

/* An address from 4 or 16 bytes; false for another length. */
bool cm_cql_address_from(cm_str_t bytes, int port, cm_cql_address_t *address);

typedef struct cm_cql_contact {
    char *name; /* host as given */
    int port;
    cm_cql_address_t *addresses;
    int count;
} cm_cql_contact_t;

typedef struct cm_cql_contacts {
    cm_cql_contact_t *list;
    int count;
} cm_cql_contacts_t;

/* Reads "host[:port],[v6]:port,..."; `port` is for those without one. CM_EUSAGE names the contact
 * point that is wrong; CM_ENOMEM. */
int cm_cql_contacts_parse(cm_cql_contacts_t *contacts, const char *text, int port, cm_err_t *err);

/* Resolves every name again, which may block as long as the system's resolver does. One name that
 * resolves is enough; old addresses are kept where a name does not. CM_EUSAGE or CM_ENOMEM: no
 * address is known; the sentence is about the last name. */
int cm_cql_contacts_resolve(cm_cql_contacts_t *contacts, cm_err_t *err);

void cm_cql_contacts_free(cm_cql_contacts_t *contacts);

#endif
