#include "cql_rig.h"

static int64_t rig_now(void *self)
{
    return *(int64_t *)self;
}

void rig_open(rig_t *rig, int nodes)
{
    memset(rig, 0, sizeof *rig);
    cql_fake_open(&rig->fake, nodes);
    rig->now = 1000000;
    rig->clock = (cm_clock_t){rig_now, &rig->now};
    snprintf(rig->contact, sizeof rig->contact, "127.0.0.1:%d", rig->fake.nodes[0].port);
    rig->options = (cm_cql_options_t){.contact_points = rig->contact,
                                      .port = rig->fake.nodes[0].port,
                                      .clock = &rig->clock,
                                      .seed = 1,
                                      .connections = 1};
}

void rig_settle(rig_t *rig)
{
    cm_err_t err;

    for (int idle = 0; idle < 4;) {
        int moved = cql_fake_pump(&rig->fake);
        cm_cql_stats_t before, after;
        cm_cql_stats(rig->session, &before);
        int rc = cm_cql_run(rig->session, 0, &err);
        assert_true(rc >= 0);
        cm_cql_stats(rig->session, &after);
        bool quiet = moved == 0 && rc == 0 && before.bytes_sent == after.bytes_sent &&
                     before.bytes_received == after.bytes_received;
        idle = quiet ? idle + 1 : 0;
    }
}

void rig_pass(rig_t *rig, int64_t ms, int64_t step)
{
    for (int64_t end = rig->now + ms; rig->now < end;) {
        rig->now += step < end - rig->now ? step : end - rig->now;
        rig_settle(rig);
    }
}

void rig_begin(rig_t *rig)
{
    cm_err_t err = {0};
    assert_ok(cm_cql_open(&rig->options, &rig->session, &err), err);
    rig_settle(rig);
}

void rig_connect(rig_t *rig)
{
    rig_begin(rig);
    if (cm_cql_state(rig->session) != CM_CQL_READY)
        fail_msg("not ready: %s", cm_cql_last_error(rig->session)
                                      ? cm_cql_last_error(rig->session)->text
                                      : "no error");
}

void rig_close(rig_t *rig)
{
    cm_cql_close(rig->session);
    cql_fake_shut(&rig->fake);
}

void on_outcome(void *context, const cm_cql_error_t *error, const cm_cql_result_t *result)
{
    outcome_t *outcome = context;

    outcome->calls++;
    assert_true((error == NULL) != (result == NULL));
    if (error != NULL) {
        outcome->error = *error;
        return;
    }
    outcome->schema_changed = result->schema_changed;
    outcome->more = result->rows != NULL && result->rows->more;
    while (result->rows != NULL && cm_cql_next(result->rows)) {
        outcome->rows++;
        outcome->sum += cm_cql_get_i64(result->rows->cells[1]);
    }
}

cm_cql_prepared_t *rig_prepare(rig_t *rig, const char *text)
{
    cm_cql_prepared_t *prepared = NULL;
    outcome_t outcome = {0};
    cm_err_t err = {0};

    assert_ok(cm_cql_prepare(rig->session, cm_str(text), &prepared, on_outcome, &outcome, &err),
              err);
    rig_settle(rig);
    assert_int_equal(1, outcome.calls);
    assert_string_equal("", outcome.error.text);
    return prepared;
}

void rig_insert(rig_t *rig, cm_cql_prepared_t *prepared, int number, bool idempotent,
                outcome_t *outcome)
{
    cm_cql_request_t request = {.idempotent = idempotent};
    char key[32];
    cm_err_t err = {0};

    snprintf(key, sizeof key, "r%d", number);
    cm_cql_value_t values[] = {cm_cql_text(cm_str(key)), cm_cql_i64(number)};
    assert_ok(
        cm_cql_execute(rig->session, prepared, values, 2, &request, on_outcome, outcome, &err),
        err);
}
