/* Runs of events through the embedded store and the mill, compared with the reference. Functions
 * assert that they succeed. */
#ifndef CM_TESTS_MILL_RUNS_H
#define CM_TESTS_MILL_RUNS_H

#include "mill_reference.h"

#include "index/embedded/refresh.h"
#include "mill/mill.h"

/* `distinct` events, fewer where derived row keys are equal, and copies of some of them, shuffled.
 * The caller frees them. */
ref_event_t *run_make_events(int users, size_t distinct, size_t copies, uint64_t *random);

/* Lets the store commit without waiting for the disk. */
void run_quick_commits(cm_store_t *store);

/* Options with memory and threads chosen at random. */
cm_index_refresh_options_t run_any_options(int64_t timeout, unsigned windows, uint64_t *random);

/* Puts the events in batches of any size into a new store, refreshes the index from time to time
 * when `often`, and compares it with the reference at the end. */
void run_through(const ref_event_t *events, size_t count, int64_t timeout, bool often,
                 uint64_t *random);

/* Asserts that exactly those events are marked as copies that `export` leaves out: of each row key
 * all but the event that counts, and of equal ones the first. */
void run_assert_copies(cm_store_t *store, const ref_event_t *events, size_t count, int threads,
                       int64_t memory);

#endif
