/* A session against the scripted cluster, with a clock that the test moves, and a loop that runs
 * the client and the cluster until nothing happens any more. */
#ifndef CM_TESTS_UNIT_CQL_RIG_H
#define CM_TESTS_UNIT_CQL_RIG_H

#include "cql/cql.h"
#include "cql_fake.h"

typedef struct rig {
    cql_fake_t fake;
    int64_t now;
    cm_clock_t clock;
    char contact[64];
    cm_cql_options_t options; /* to be changed before rig_connect() */
    cm_cql_t *session;
} rig_t;

void rig_open(rig_t *rig, int nodes);

/* Runs both sides until nothing happens any more; the clock does not move. */
void rig_settle(rig_t *rig);

/* Moves the clock by `ms` in steps of `step`, settling after each. */
void rig_pass(rig_t *rig, int64_t ms, int64_t step);

void rig_begin(rig_t *rig);

void rig_connect(rig_t *rig);

void rig_close(rig_t *rig);

/* The result of a request. */
typedef struct outcome {
    int calls;
    cm_cql_error_t error; /* of the last call */
    int64_t rows, sum;
    bool schema_changed, more;
} outcome_t;

void on_outcome(void *context, const cm_cql_error_t *error, const cm_cql_result_t *result);

cm_cql_prepared_t *rig_prepare(rig_t *rig, const char *text);

#define INSERT "INSERT INTO ks.tab (key, value) VALUES (?, ?)"

/* Executes INSERT for the row "r<number>". */
void rig_insert(rig_t *rig, cm_cql_prepared_t *prepared, int number, bool idempotent,
                outcome_t *outcome);

#endif
