/* A reference for the mill: the same answers by the shortest way from the contract
 * (docs/contract.md, docs/answers.md), however slow. It sorts the events of all users, walks over
 * them and adds up in plain arrays. It shares no code with the mill.
 *
 * It also makes the events: few users, urls and countries, many ties, row keys of all kinds. Two
 * events with one row key are equal unless ref_vary() has changed one of them. */
#ifndef CM_TESTS_MILL_REFERENCE_H
#define CM_TESTS_MILL_REFERENCE_H

#include "store_support.h"

#include "event/event.h"
#include "index/embedded/embedded.h"

enum { REF_USERS = 60, REF_URLS = 5, REF_COUNTRIES = 3, REF_CITIES = 4, REF_DAYS = 4 };

static const int64_t ref_day = 19676; /* the first day, 2023-11-15, in days since the epoch */

enum { REF_VIEW, REF_BUY, REF_ENGAGEMENT, REF_KINDS };

typedef struct ref_event {
    int user, url, country;
    int cold;     /* how many of city, browser, os and device are stated, in this order */
    int city;     /* which city, if it is stated */
    int kind;     /* what its name says: REF_VIEW and so on */
    int referrer; /* 1: it has one */
    int64_t time;
    char key[CM_ROW_KEY_MAX + 1];
    bool derived; /* it goes to the store without its row key */
} ref_event_t;

/* An event of one of `users` users, with a row key of any kind. */
ref_event_t ref_make(int users, uint64_t serial, uint64_t *random);

/* Gives the event the derived row key. Events with this key must be equal, so all other fields
 * follow from user, time and whether it is a page view. */
void ref_derive(ref_event_t *event);

/* Gives the event a row key of its own. The kinds 0 to 7 sort before, among and after UUIDs. */
void ref_own_key(ref_event_t *event, uint64_t serial, uint64_t kind);

/* Changes the event; row key, user and time stay, and its kind, and what a derived row key follows
 * from. */
void ref_vary(ref_event_t *event, uint64_t *random);

void ref_shuffle(ref_event_t *events, size_t count, uint64_t *random);

/* Adds the event to the batch; its strings are in the batch's arena. */
void ref_add(cm_batch_t *batch, const ref_event_t *from);

/* Whether `a` counts and not `b`, which has the same row key: more fields are stated, or the JSON
 * is greater. */
bool ref_better(const ref_event_t *a, const ref_event_t *b);

typedef struct ref_cell {
    uint64_t users; /* one bit per user */
    int64_t clicks, spent, spent_count, page, page_count, entrances, exits;
} ref_cell_t;

/* The last url and the last country mean all of them. Slot 0: all time; then days; then hours. */
typedef ref_cell_t ref_cells_t[1 + REF_DAYS + REF_DAYS * 24][REF_URLS + 1][REF_COUNTRIES + 1];

typedef struct ref_answers {
    ref_cells_t *cells;
    int64_t events;
} ref_answers_t;

/* The answers of the events, in any order. The caller frees .cells. */
ref_answers_t ref_compute(const ref_event_t *events, size_t count, int64_t timeout_ms);

/* Appends all rows of a window and dimension as CSV, in order of url, country and start; adds their
 * number to `cells`. */
void ref_csv(const ref_answers_t *answers, cm_window_t window, cm_dimension_t dimension,
             cm_buf_t *out, int64_t *cells);

/* A callback of cm_index_query(): appends the answer as CSV to the cm_buf_t that is the context. */
int ref_take_csv(void *context, const cm_answer_t *answer);

/* Compares the index of a directory with the reference, byte by byte: all dimensions of the windows
 * of the mask. Returns the number of cells of dimension CM_PER_CELL. */
int64_t ref_assert_index(const char *directory, const ref_answers_t *answers, unsigned windows);

#endif
