/* The driver: the one loop that brings events from a source to a sink.
 *
 * One turn of the loop takes a batch (pipeline.h), does what else the command has to do (tick),
 * commits and refreshes the answers when that is due, and shows a status line when that is due. A
 * failure that may pass is waited out. `run`, `process --follow`, `collect` and `ingest` differ
 * only in the functions and values that they set here.
 *
 * The driver borrows the pipeline and everything that the pipeline borrows. It is used by one
 * thread. */
#ifndef CM_PIPELINE_DRIVER_H
#define CM_PIPELINE_DRIVER_H

#include "pipeline/pipeline.h"

/* How fast events come, for a status line. */
typedef struct cm_driver_pace {
    uint64_t count;  /* events so far */
    uint64_t lately; /* of them, since the last status line */
    double seconds;  /* since the last status line */
} cm_driver_pace_t;

/* What a command adds to the loop. Each function may be NULL. `context` is the driver's. */
typedef struct cm_driver_ops {
    /* Takes a batch: 1 there may be more, 0 the source has ended, negative CM_E*. NULL:
     * cm_pipeline_step(). */
    int (*take)(void *context, cm_err_t *err);
    /* What else there is to do in every turn. It commits the pipeline first where it writes into
     * the same sink. */
    int (*tick)(void *context, cm_err_t *err);
    /* Whether the answers are to be refreshed. */
    bool (*due)(void *context, int64_t now_ns);
    /* Refreshes the answers. Everything that was put is committed. */
    int (*refresh)(void *context, cm_err_t *err);
    /* Whether the loop goes on after this failure. */
    bool (*passes)(const void *context, int code);
    /* Looks at servers and files. Called in every turn, also after a failure that passes. */
    void (*look)(void *context);
    /* The events that the status line counts. */
    uint64_t (*count)(const void *context);
    /* Appends a status line; false when there is nothing new to say. */
    bool (*status)(void *context, const cm_driver_pace_t *pace, cm_buf_t *line);
} cm_driver_ops_t;

typedef struct cm_driver {
    cm_pipeline_env_t env;
    cm_pipeline_t *pipeline;
    const cm_driver_ops_t *ops;
    void *context;
    bool stays;       /* go on when the source has ended: it is committed and closed */
    int64_t rest_ms;  /* the wait after a failure that passes */
    const char *trip; /* what the log says of such a failure; NULL: it is logged elsewhere */
    /* the driver's own */
    char trouble[CM_ERR_TEXT]; /* why the loop cannot go on; "": it can */
    int64_t shown_ns;
    uint64_t shown_count;
} cm_driver_t;

/* Sets the fields above the driver's own; the others may be set afterwards. */
void cm_driver_start(cm_driver_t *driver, cm_pipeline_t *pipeline, const cm_driver_ops_t *ops,
                     void *context);

/* Runs the loop until the pipeline is told to stop or, unless the driver `stays`, the source has
 * ended. Returns 0, or the failure that ended the loop. In both cases what was put last is not
 * committed yet: cm_pipeline_commit(). */
int cm_driver_run(cm_driver_t *driver, cm_err_t *err);

/* Takes one batch, as a turn of the loop does, but does nothing else. */
int cm_driver_take(cm_driver_t *driver, cm_err_t *err);

/* Shows a status line when it is time for one. For functions that wait inside a turn. */
void cm_driver_show(cm_driver_t *driver);

#endif
