/* All events of a store in the order of timelines: by user, then by timestamp;
 * within one millisecond page views before other events; then by row key, byte by byte. Of several
 * copies only the one that counts is there (event/choice.h).
 *
 * Questions walk over the timelines in lanes. A lane is a range of users that one thread walks; it
 * gives some users at a time with all their events (cm_crowd_t), as plain arrays of numbers. A
 * column is read from the store when it is asked for first, and is kept then.
 *
 * Timelines are of one moment of the store and never change. They may be used by several threads;
 * a lane belongs to one. When the store has grown, new timelines share with older ones what has not
 * changed (cm_timelines_grow()). */
#ifndef CM_MILL_TIMELINES_H
#define CM_MILL_TIMELINES_H

#include "store/store.h"

typedef struct cm_timelines cm_timelines_t;
typedef struct cm_lane cm_lane_t;

/* The columns of events. */
typedef enum cm_timelines_column {
    CM_COLUMN_URL,
    CM_COLUMN_COUNTRY,
    CM_COLUMN_CITY,
    CM_COLUMN_BROWSER,
    CM_COLUMN_OS,
    CM_COLUMN_DEVICE,
    CM_COLUMN_NAME,     /* a page view has the value "pageview" */
    CM_COLUMN_REFERRER, /* as it was sent, internal ones too */
    CM_COLUMN_UTM_SOURCE,
    CM_COLUMN_UTM_MEDIUM,
    CM_COLUMN_UTM_CAMPAIGN,
    CM_COLUMN_UTM_TERM,
    CM_COLUMN_UTM_CONTENT,
    CM_COLUMN_BROWSER_VERSION,
    CM_COLUMN_OS_VERSION,
    CM_COLUMN_REGION,
    CM_COLUMN_LANGUAGE,
    CM_COLUMN_PROPS,   /* canonical forms (event/props.h) */
    CM_COLUMN_ENGAGED, /* no strings: the value is engaged_ms + 1 */
    CM_COLUMN_COUNT,
} cm_timelines_column_t;

/* The kind of an event. */
enum { CM_KIND_VIEW, CM_KIND_ENGAGEMENT, CM_KIND_OTHER };

typedef struct cm_timelines_options {
    int64_t until;           /* ordinal to stop before; 0: the end of the store */
    int64_t memory;          /* bytes that sorting and columns may take, about; 0: no limit */
    int64_t period_rows;     /* a period that grows and has more rows is divided; 0: 65536 */
    int threads;             /* 0: one per processor */
    const atomic_bool *stop; /* when it becomes true, CM_ESTOP; may be NULL */
    const cm_log_t *log;     /* gets debug entries (CM_DEBUG_MILL); may be NULL */
    /* Opens a reader of the store; called from the calling thread of cm_timelines_open() only. All
     * readers must see the same blocks. */
    int (*reader)(void *context, cm_reader_t **reader, cm_err_t *err);
    void *context;
} cm_timelines_options_t;

/* Puts the events in order. Readers stay open until the timelines are closed; what the options
 * point to must stay as long. CM_ESTOP, CM_ECORRUPT, CM_ENOMEM (also where `memory` is not enough),
 * CM_EINTERNAL when the store has 2^32 events or more, and what readers return. */
int cm_timelines_open(const cm_timelines_options_t *options, cm_timelines_t **timelines,
                      cm_err_t *err);

/* The same as cm_timelines_open(), from older timelines of this store: only the periods in which
 * something is new are put in order, and only their columns are read. Where that is not possible or
 * costs as much, they are opened in full. Both are closed by their owners, in any order, and may be
 * used at the same time. `old`: NULL is fine. */
int cm_timelines_grow(const cm_timelines_t *old, const cm_timelines_options_t *options,
                      cm_timelines_t **timelines, cm_err_t *err);

/* NULL is fine. */
void cm_timelines_close(cm_timelines_t *timelines);

/* Events that count, without copies. */
int64_t cm_timelines_events(const cm_timelines_t *timelines);

/* The ordinal of the store behind the last event. */
int64_t cm_timelines_end(const cm_timelines_t *timelines);

/* Timestamps of the first and the last event, ms; false without events. */
bool cm_timelines_times(const cm_timelines_t *timelines, int64_t *first, int64_t *last);

/* Bytes that the timelines hold now. */
int64_t cm_timelines_size(const cm_timelines_t *timelines);

/* Reads a column if it is not there yet, so that lanes can give it. Any thread; one column is read
 * at a time. CM_ESTOP, CM_ECORRUPT, CM_ENOMEM (also where `memory` is not enough), and what readers
 * return; the column may be asked for again then. */
int cm_timelines_need(cm_timelines_t *timelines, cm_timelines_column_t column, cm_err_t *err);

/* The same for all columns of a mask (1 << column). Together they take half the time, because
 * several columns are one part of a block. */
int cm_timelines_need_all(cm_timelines_t *timelines, uint32_t columns, cm_err_t *err);

/* How many values the column has: they are below it. Value 0 is absent. Needs the column. */
uint32_t cm_timelines_value_count(const cm_timelines_t *timelines, cm_timelines_column_t column);

/* The string of a value above 0; valid as long as the timelines. */
cm_str_t cm_timelines_string(const cm_timelines_t *timelines, cm_timelines_column_t column,
                             uint32_t value);

/* The string of a user id of a crowd; valid as long as the timelines. Any thread. */
int cm_timelines_user(cm_timelines_t *timelines, uint32_t user, cm_str_t *string, cm_err_t *err);

/* ---- walking ---- */

#define CM_CROWD_NONE UINT32_MAX

/* Some users, one after the other, with all their events. Valid until the next cm_lane_next(). */
typedef struct cm_crowd {
    uint32_t users;
    const uint32_t *user; /* id of each user */
    const uint32_t *end;  /* the row behind the last one of each user */
    /* By user, with cm_lane_view_t.context: seconds of the latest page view before the rows, and of
     * the next one behind them; or CM_CROWD_NONE. Without context NULL. */
    const uint32_t *before, *after;
    uint32_t rows;
    const uint32_t *second;                  /* timestamp / 1000, by row; with `times`, else NULL */
    const uint16_t *ms;                      /* timestamp % 1000; the same */
    const uint8_t *kind;                     /* CM_KIND_* */
    const uint32_t *values[CM_COLUMN_COUNT]; /* of the columns that the lane was opened for */
} cm_crowd_t;

/* What a lane gives. */
typedef struct cm_lane_view {
    uint32_t columns; /* a mask, 1 << column, of columns that cm_timelines_need() has read */
    int64_t from, to; /* ms; the lane gives the users that have events in the periods (weeks or
                       * parts of them, UTC) that overlap this span, with all their events of these;
                       * INT64_MIN, INT64_MAX: all */
    bool times;       /* `second` and `ms` are wanted */
    /* `before` and `after` are wanted, and if a session reaches into these periods or out of them,
     * its page views elsewhere. */
    bool context;
    bool first;       /* with it: also the first page view of all */
    bool later;       /* with it: all events behind these periods */
    uint32_t timeout; /* seconds; a longer gap ends a session */
} cm_lane_view_t;

/* Opens the part `number` of `count` of the users. Parts have about the same number of events.
 * Never NULL. */
cm_lane_t *cm_lane_open(cm_timelines_t *timelines, const cm_lane_view_t *view, unsigned number,
                        unsigned count);

/* The next users: 1, 0 at the end, or an error. */
int cm_lane_next(cm_lane_t *lane, cm_crowd_t *crowd, cm_err_t *err);

void cm_lane_close(cm_lane_t *lane);

#endif
