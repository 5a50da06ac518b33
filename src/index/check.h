/* Checking an index: every answer computed anew, and held against what the index has. */
#ifndef CM_INDEX_CHECK_H
#define CM_INDEX_CHECK_H

#include "index/index.h"
#include "mill/mill.h"

/* A number on one of the two sides. */
typedef struct cm_check_value {
    bool there; /* false: that side has no such row, or the average is absent */
    bool real;  /* `average` counts, not `number` */
    int64_t number;
    double average;
} cm_check_value_t;

typedef struct cm_check_difference {
    const cm_answer_t *answer; /* what it is about; its numbers are of one of the sides */
    const char *field;         /* "clicks", ...; "row" where one side lacks all of it */
    cm_check_value_t events, index;
} cm_check_difference_t;

/* Gets a difference; non-zero ends the check and is returned. */
typedef int (*cm_check_fn)(void *context, const cm_check_difference_t *difference);

typedef struct cm_check_options {
    unsigned windows;               /* 1 << cm_window_t each */
    int64_t until[CM_WINDOW_COUNT]; /* ordinal to stop before; 0: all events */
    int64_t session_timeout;        /* ms */
    int64_t memory;                 /* bytes, see mill.h */
    int threads;                    /* 0: one per processor */
    const atomic_bool *stop;
    int (*reader)(void *context, cm_reader_t **reader, cm_err_t *err);
    void *reader_context;
    cm_check_fn take;
    void *context;
} cm_check_options_t;

typedef struct cm_checked {
    int64_t compared;    /* rows: those of the events, and what the index has besides */
    int64_t differ;      /* rows */
    int64_t differences; /* fields */
} cm_checked_t;

/* Compares all rows of the windows, of cells and totals. */
int cm_check_index(cm_index_t *index, const cm_check_options_t *options, cm_checked_t *checked,
                   cm_err_t *err);

#endif
