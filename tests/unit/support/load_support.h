/* JSON lines of every kind in a file, and what the general way (source/file.h) makes of them: what
 * store/load.h must make of them too. */
#ifndef CM_TESTS_UNIT_LOAD_SUPPORT_H
#define CM_TESTS_UNIT_LOAD_SUPPORT_H

#include "store_support.h"

#include "source/file/file.h"
#include "source/lines.h"
#include "source/visitor.h"
#include "store/load.h"

#include <pthread.h>

#define LOAD_MARK "\xEF\xBB\xBF"

/* ---- texts ---- */

/* Lines of every kind; bit 0 of `form`: a mark before them, bit 1: no newline behind them, the
 * last of which is an event then. */
void load_add_lines(cm_buf_t *text, int lines, int form, uint64_t *random);

/* Writes a file into the directory, over what was there; the caller frees the path. */
char *load_write(const char *directory, const char *data, size_t len);

/* ---- what was read ---- */

/* How far a target was when a region had been appended. */
typedef struct load_step {
    int64_t position;
    size_t events, dead; /* bytes of the tape */
} load_step_t;

/* Everything that was read, as text; terminated by NUL. */
typedef struct load_tape {
    cm_buf_t events; /* one CSV record each */
    cm_buf_t dead;   /* "origin|reason|payload\n" each */
    cm_account_t account;
    load_step_t *steps;
    size_t step_count;
} load_tape_t;

load_tape_t load_tape_new(void);

void load_tape_free(load_tape_t *tape);

void load_tape_rest(load_tape_t *tape, const cm_batch_t *batch);

void load_assert_bytes(const cm_buf_t *got, const char *expected, size_t len, const char *what);

/* The same events, dead letters and account. */
void load_assert_same(const load_tape_t *got, const load_tape_t *expected, const char *what);

/* ---- the general way ---- */

/* Reads the file from `position` on. What is read goes to `sink` too, if there is one. */
load_tape_t load_generally(const char *path, int64_t position, cm_sink_t *sink);

/* ---- a target that records ---- */

typedef struct load_recorder {
    load_tape_t tape;
    pthread_mutex_t lock; /* of the dictionaries: a region is resolved while another is appended */
    cm_dict_t dicts[CM_FIELD_COUNT];
    unsigned resolved, appended;        /* calls */
    unsigned fail_resolve, fail_append; /* which call fails, from 1; 0: none */
    unsigned act_at;                    /* after which call of append act() is called */
    void (*act)(void *context);
    void *context;
} load_recorder_t;

enum { LOAD_INJECTED = CM_EIO };

load_recorder_t load_recorder_new(void);

void load_recorder_free(load_recorder_t *self);

/* Loads into the recorder; returns what cm_load_jsonl() does. */
int load_run(load_recorder_t *self, const cm_load_options_t *options, cm_err_t *err);

#endif
