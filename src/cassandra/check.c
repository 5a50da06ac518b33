#include "cassandra/check.h"

#include "cassandra/changes.h"

static int check_table(const cm_cassandra_settings_t *settings, cm_cql_t *session, bool fix,
                       cm_cassandra_report_t *report, cm_err_t *err)
{
    int rc = cm_cassandra_probe(settings, session, &report->facts, err);

    if (rc < 0)
        return rc;
    report->reached = true;
    const bool missing = report->facts.state != CM_CASSANDRA_READY;
    if (fix && missing)
        rc = cm_cassandra_create(settings, session, true, &report->facts, err);
    if (rc == 0)
        rc = cm_cassandra_explain_state(settings, &report->facts, err);
    if (rc == 0)
        report->table = missing ? CM_CASSANDRA_MADE : CM_CASSANDRA_FOUND;
    return rc;
}

static int check_companion(const cm_cassandra_settings_t *settings, cm_cql_t *session, bool fix,
                           cm_cassandra_report_t *report, cm_err_t *err)
{
    bool made;

    int rc = cm_cassandra_changes_ensure(settings, session, fix, &made, err);
    if (rc == 0)
        report->companion = made ? CM_CASSANDRA_MADE : CM_CASSANDRA_FOUND;
    return rc;
}

int cm_cassandra_check(const cm_cassandra_settings_t *settings, bool fix,
                       cm_cassandra_report_t *report, cm_err_t *err)
{
    cm_cql_t *session = NULL;

    *report = (cm_cassandra_report_t){.reached = false};
    int rc = cm_cassandra_connect(settings, &session, err);
    if (rc == 0)
        rc = check_table(settings, session, fix, report, err);
    if (rc == 0 && settings->only_writer)
        rc = check_companion(settings, session, fix, report, err);
    cm_cql_close(session);
    return rc;
}
