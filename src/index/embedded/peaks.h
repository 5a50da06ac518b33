/* The rows of each day that have most clicks in one hour, so that a page of the hours with most
 * clicks need not visit millions of rows.
 *
 * Where there are many rows, table `peak` has a list per day (UTC) of the hours: up to
 * CM_PEAKS_MOST rows of `cell`, and how many clicks the other rows of the day have at most. A list
 * names the checksums of its day: where these have changed since, also by an earlier edition, the
 * list counts as missing, and readers visit the day's rows. Its own hash finds damage, and each
 * entry has the contribution (index/embedded/checks.h) of its row.
 *
 * One thread, that of the connection. */
#ifndef CM_INDEX_EMBEDDED_PEAKS_H
#define CM_INDEX_EMBEDDED_PEAKS_H

#include "index/embedded/checks.h"

enum {
    CM_PEAKS_HOURS = 24,
    CM_PEAKS_MOST = 200,
    CM_PEAKS_ROWS = 100000, /* with fewer there are no lists: all are visited, and so checked */
};

typedef struct cm_peak {
    uint64_t sum;
    uint32_t clicks, url, country, start;
} cm_peak_t;

typedef struct cm_peaks_list {
    int64_t day;
    int64_t others; /* clicks of a row that is not in the list, at most; -1: all are */
} cm_peaks_list_t;

typedef struct cm_peaks {
    cm_peaks_list_t *lists; /* by day */
    size_t list_count;
    cm_peak_t *all;
    size_t count;
} cm_peaks_t;

/* The day of an hour. */
static inline int64_t cm_peaks_day(int64_t start)
{
    return start >= 0 ? start / CM_PEAKS_HOURS : -1 - (-1 - start) / CM_PEAKS_HOURS;
}

/* ---- reading ---- */

/* Reads the lists of days that have these checksums, by start, and no others. `peaks` is all zero
 * before; the caller frees, also after an error. */
int cm_peaks_read(cm_peaks_t *peaks, const cm_database_t *database, const cm_check_group_t *groups,
                  size_t count, cm_err_t *err);

/* How many clicks each of the first `wanted` rows has at least; false: there are fewer peaks. */
bool cm_peaks_floor(const cm_peaks_t *peaks, size_t wanted, int64_t *floor);

/* Whether the list of a day has all its rows with that many clicks. */
bool cm_peaks_stand_for(const cm_peaks_t *peaks, int64_t day, int64_t floor);

void cm_peaks_free(cm_peaks_t *peaks);

/* ---- writing ---- */

/* After the checksums of the hours are written: makes the lists of all days from the result, which
 * is all that they have (`whole`), or some of those that are missing, from their rows. */
int cm_peaks_write(const cm_writing_t *writing, bool whole, cm_err_t *err);

#endif
