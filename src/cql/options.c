/* Options: defaults, checks, copies. */
#include "cql/loop.h"

#include <stdio.h>
#include <stdlib.h>

static void fill(int *value, int otherwise)
{
    if (*value == 0)
        *value = otherwise;
}

static void fill_defaults(cm_cql_options_t *o)
{
    fill(&o->port, 9042);
    fill(&o->connections, 2);
    fill(&o->max_requests, 2048);
    fill(&o->max_in_flight, 16384);
    fill(&o->connect_timeout_ms, 5000);
    fill(&o->request_timeout_ms, 12000);
    fill(&o->heartbeat_ms, 15000);
    fill(&o->heartbeat_timeout_ms, 5000);
    fill(&o->max_retries, 5);
    fill(&o->retry_min_ms, 50);
    fill(&o->retry_max_ms, 5000);
    fill(&o->reconnect_min_ms, 200);
    fill(&o->reconnect_max_ms, 10000);
    fill(&o->refresh_ms, 60000);
    if (o->consistency == CM_CQL_DEFAULT)
        o->consistency = CM_CQL_LOCAL_QUORUM;
    if (o->max_frame == 0)
        o->max_frame = (size_t)256 << 20;
    if (o->contact_points == NULL)
        o->contact_points = "127.0.0.1";
    if (o->application == NULL)
        o->application = "cm_cql";
    if (o->application_version == NULL)
        o->application_version = CM_VERSION;
    if (o->max_retries < 0)
        o->max_retries = 0;
}

static int check_range(const char *name, int value, int low, int high, cm_err_t *err)
{
    if (value < low || value > high)
        return cm_fail(err, CM_EUSAGE, "cql: %s is %d; it must be from %d to %d", name, value, low,
                       high);
    return 0;
}

static int check(const cm_cql_options_t *o, cm_err_t *err)
{
    const struct {
        const char *name;
        int value, low, high;
    } ranges[] = {
        {"port", o->port, 1, 65535},
        {"connections", o->connections, 1, CM_CQL_MAX_CONNECTIONS},
        {"max_requests", o->max_requests, 1, 32000},
        {"max_in_flight", o->max_in_flight, 1, 1 << 24},
        {"connect_timeout_ms", o->connect_timeout_ms, 1, INT32_MAX},
        {"request_timeout_ms", o->request_timeout_ms, 1, INT32_MAX},
        {"heartbeat_ms", o->heartbeat_ms, 1, INT32_MAX},
        {"heartbeat_timeout_ms", o->heartbeat_timeout_ms, 1, INT32_MAX},
        {"retry_min_ms", o->retry_min_ms, 1, o->retry_max_ms},
        {"reconnect_min_ms", o->reconnect_min_ms, 1, o->reconnect_max_ms},
        {"refresh_ms", o->refresh_ms, 100, INT32_MAX},
    };

    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        int rc = check_range(ranges[i].name, ranges[i].value, ranges[i].low, ranges[i].high, err);
        if (rc < 0)
            return rc;
    }
    if (o->version != 0 && o->version != 4 && o->version != 5)
        return cm_fail(err, CM_EUSAGE, "cql: protocol version %d; only 4 and 5 are known",
                       o->version);
    if ((o->username == NULL) != (o->password == NULL))
        return cm_fail(err, CM_EUSAGE,
                       "cql: a user name needs a password, and a password needs a user name");
    return 0;
}

/* Text number `i` of the options; NULL after the last one. */
static const char **texts(cm_cql_options_t *o, int i)
{
    const char **all[] = {
        &o->contact_points, &o->local_dc,
        &o->username,       &o->password,
        &o->tls.ca_file,    &o->tls.cert_file,
        &o->tls.key_file,   &o->tls.host_name,
        &o->application,    &o->application_version,
    };
    return i < (int)(sizeof all / sizeof *all) ? all[i] : NULL;
}

/* Replaces all texts by copies, or by NULL when there is no memory, so that none of them still
 * belongs to the caller. */
static bool copy_texts(cm_cql_options_t *o)
{
    bool all = true;

    for (int i = 0; texts(o, i) != NULL; i++) {
        const char **text = texts(o, i);
        if (*text == NULL)
            continue;
        *text = cm_cql_copy(cm_str(*text));
        all &= *text != NULL;
    }
    return all;
}

int cm_cql_options_fill(cm_cql_options_t *o, const cm_cql_options_t *given, cm_err_t *err)
{
    if (given != NULL)
        *o = *given;
    fill_defaults(o);
    if (!copy_texts(o))
        return cm_cql_fail_memory(err);
    return check(o, err);
}

void cm_cql_options_free(cm_cql_options_t *o)
{
    for (int i = 0; texts(o, i) != NULL; i++)
        free((char *)*texts(o, i));
}
