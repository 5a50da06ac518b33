/* Bodies that are not whole yet: how many an address may have, how many bytes of them are kept, and
 * how long one may take.
 *
 * Where an address has too many, or all together become too large, it is the one that has been
 * coming longest that is given up (of the address that has most, in the second case), once it has
 * had a second: a sender of many unfinished bodies takes the room from himself, and whoever sends
 * his at once always has some. libmicrohttpd cannot answer before a body is whole: such a
 * connection gets its answer from here (408 or 429; over TLS none) and is ended.
 *
 * Functions are for any thread, one at a time for each body. */
#ifndef CM_SERVE_BODIES_H
#define CM_SERVE_BODIES_H

#include "base/err.h"
#include "base/str.h"

typedef struct cm_bodies cm_bodies_t;

typedef struct cm_bodies_options {
    size_t max_bytes;   /* of all */
    size_t max_each;    /* of those of one address */
    int most;           /* unfinished bodies of one address */
    int64_t timeout_ms; /* from the end of the head to that of the body */
    bool tls;           /* nothing can be said without the library */
} cm_bodies_options_t;

/* A body that is coming; part of its request, which sets nothing of it. */
typedef struct cm_coming {
    struct cm_coming *before, *after;             /* of all, the longest-coming first */
    struct cm_coming *owner_before, *owner_after; /* of the address's, that have bytes */
    struct cm_owner *owner;                       /* NULL: it is not listed */
    int fd;
    int64_t since_ns;
    size_t bytes; /* that are counted */
    bool free;    /* of the limits of an address */
    bool whole;
    bool given_up;
} cm_coming_t;

typedef enum cm_room {
    CM_ROOM,
    CM_ROOM_NONE,          /* all bodies together are too much */
    CM_ROOM_OF_OTHER_ONES, /* the address has too many others */
} cm_room_t;

/* Starts the thread that looks at the time. CM_EINTERNAL. */
int cm_bodies_start(const cm_bodies_options_t *options, cm_bodies_t **bodies, cm_err_t *err);

/* After the last body. NULL is allowed. */
void cm_bodies_stop(cm_bodies_t *bodies);

/* A head has come, and its body is to come on that socket, which stays open until the end below.
 * `free`: only the limits of all count. */
void cm_bodies_begin(cm_bodies_t *bodies, cm_coming_t *coming, cm_str_t address, int fd, bool free);

/* A piece has come. `last`: it is known to be the last one. Without room nothing is counted. */
cm_room_t cm_bodies_add(cm_bodies_t *bodies, cm_coming_t *coming, size_t len, bool last);

/* It is whole; its bytes still count. False: it has been given up, and its connection with it. */
bool cm_bodies_whole(cm_bodies_t *bodies, cm_coming_t *coming);

/* It is over, whole or not. One that is whole may have moved. */
void cm_bodies_end(cm_bodies_t *bodies, cm_coming_t *coming);

#endif
