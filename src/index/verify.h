/* Verifying: compares two indices row by row.
 *
 * The rows of one window and dimension of the expected index are held in memory, those of the index
 * that is verified stream by. One thread. */
#ifndef CM_INDEX_VERIFY_H
#define CM_INDEX_VERIFY_H

#include "index/index.h"

/* A row that is not as it should be, or a document that is no row. */
typedef struct cm_index_discrepancy {
    const cm_answer_t *actual;   /* what the index has; NULL: nothing, where it should */
    const cm_answer_t *expected; /* NULL: nothing */
    bool twice;                  /* the index has the row more than once */
    /* A document that another program wrote and that is no answer; then both rows are NULL. */
    const char *alias; /* of the index that has it; NULL: it is a row */
    cm_str_t document; /* its id */
} cm_index_discrepancy_t;

typedef struct cm_index_verify_options {
    cm_index_t *expected; /* for example of what was computed (index/computed.h) */
    cm_index_t *actual;   /* the index that is verified */
    unsigned windows;     /* bit 1 << cm_window_t each */
    /* Called for each row that differs; its strings live until it returns. Non-zero ends it. */
    int (*found)(void *context, const cm_index_discrepancy_t *discrepancy);
    /* Called from time to time with the rows of `actual` so far; may be NULL. Non-zero ends it. */
    int (*progress)(void *context, int64_t rows);
    void *context;
} cm_index_verify_options_t;

/* Rows that were compared: those of the index and those that it lacks. */
typedef struct cm_index_verified {
    int64_t cells, totals;               /* the contract's; per url, country and site */
    int64_t differ, missing, unexpected; /* differ: with other measures */
    int64_t foreign;                     /* documents that are no rows */
    bool miscalled; /* the index is wrong about whether the users of all time are daily visitors: */
    bool daily;     /* by the events they are */
} cm_index_verified_t;

/* All that is not as it should be. */
static inline int64_t cm_index_verified_wrong(const cm_index_verified_t *verified)
{
    return verified->differ + verified->missing + verified->unexpected + verified->foreign +
           verified->miscalled;
}

/* Adds to `verified`. The order is that of windows and dimensions, in each of them first the rows
 * of the index as it gives them, then those that it lacks, by url, country and window. What the
 * users of all time are called is compared where the expected index knows that ids of visitors live
 * for one day. A document without a window or a dimension is left to cm_index_verify_foreign(). */
int cm_index_verify(const cm_index_verify_options_t *options, cm_index_verified_t *verified,
                    cm_err_t *err);

/* The documents without a window or a dimension, of all windows. Uses of the options only `actual`,
 * `found` and `context`. */
int cm_index_verify_foreign(const cm_index_verify_options_t *options, cm_index_verified_t *verified,
                            cm_err_t *err);

#endif
