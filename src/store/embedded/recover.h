/* Saves the undamaged parts of a damaged store into a new one.
 *
 * Blocks of events and segments of dictionaries have checksums of their own: those that match are
 * whole, wherever they are in the file (raw.h). Events are put into the new store in the order in
 * which they have arrived. An event whose user or URL is lost is lost; one that has lost another
 * text keeps the rest. Dead letters, positions of sources, and settings have no checksums: they are
 * taken from pages that can still be read, and it is reported when not all pages can. Answers are
 * not saved: they follow from the events. The damaged store is only read. One thread. */
#ifndef CM_STORE_EMBEDDED_RECOVER_H
#define CM_STORE_EMBEDDED_RECOVER_H

#include "base/clock.h"
#include "base/err.h"

#include <stdatomic.h>

typedef struct cm_recover_options {
    const char *data_dir; /* of the damaged store, which no process may be writing */
    const char *to;       /* a directory without a store; made when it is missing */
    const cm_clock_t *clock;
    const atomic_bool *stop; /* may be NULL; CM_ESTOP */
    /* Called for each range of lost events: ordinals [from, to), and why. */
    void (*lost)(void *context, int64_t from, int64_t to, const char *why);
    void (*progress)(void *context, double fraction); /* may be NULL */
    void *context;
} cm_recover_options_t;

typedef struct cm_recovered {
    int64_t events, blocks;        /* saved */
    int64_t lost_events;           /* in blocks that are damaged or gone */
    int64_t lost_blocks;           /* of which a part was found */
    int64_t nameless;              /* events whose user or URL is lost */
    int64_t partial;               /* events that have lost another text */
    int64_t strings, lost_strings; /* of the dictionaries */
    int64_t dead, lost_dead;       /* dead letters */
    int64_t positions, settings;
    bool key;         /* of visitors and sealed dead letters */
    bool lost_key;    /* there is a file that should have it */
    bool broken_log;  /* it continues after a damaged place; from there only events are saved */
    unsigned unsound; /* bits of tables (sound.h) of which more may be lost than can be seen */
} cm_recovered_t;

/* CM_EUSAGE when there is a store in `to`, CM_EBUSY when a process is writing the damaged one,
 * CM_EINPUT when there is none, CM_EIO. */
int cm_recover(const cm_recover_options_t *options, cm_recovered_t *out, cm_err_t *err);

#endif
