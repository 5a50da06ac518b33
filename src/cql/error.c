/* Names of codes and of consistency levels, and what a failure means for the caller. */
#include "cql/cql.h"

const char *cm_cql_code_name(cm_cql_code_t code)
{
    static const char *const names[] = {
        [CM_CQL_OK] = "ok",
        [CM_CQL_SERVER] = "server",
        [CM_CQL_TIMEOUT] = "timeout",
        [CM_CQL_LOST] = "lost",
        [CM_CQL_NO_NODE] = "no_node",
        [CM_CQL_PROTOCOL] = "protocol",
        [CM_CQL_AUTH] = "auth",
        [CM_CQL_TLS] = "tls",
        [CM_CQL_CANCELLED] = "cancelled",
        [CM_CQL_INVALID] = "invalid",
        [CM_CQL_MEMORY] = "memory",
    };
    return (size_t)code < sizeof names / sizeof *names ? names[code] : "unknown";
}

const char *cm_cql_server_code_name(int32_t server_code)
{
    static const struct {
        int32_t code;
        const char *name;
    } names[] = {
        {CM_CQL_SERVER_ERROR, "server_error"},
        {CM_CQL_PROTOCOL_ERROR, "protocol_error"},
        {CM_CQL_BAD_CREDENTIALS, "bad_credentials"},
        {CM_CQL_UNAVAILABLE, "unavailable"},
        {CM_CQL_OVERLOADED, "overloaded"},
        {CM_CQL_IS_BOOTSTRAPPING, "is_bootstrapping"},
        {CM_CQL_TRUNCATE_ERROR, "truncate_error"},
        {CM_CQL_WRITE_TIMEOUT, "write_timeout"},
        {CM_CQL_READ_TIMEOUT, "read_timeout"},
        {CM_CQL_READ_FAILURE, "read_failure"},
        {CM_CQL_FUNCTION_FAILURE, "function_failure"},
        {CM_CQL_WRITE_FAILURE, "write_failure"},
        {CM_CQL_CDC_WRITE_FAILURE, "cdc_write_failure"},
        {CM_CQL_CAS_WRITE_UNKNOWN, "cas_write_unknown"},
        {CM_CQL_SYNTAX_ERROR, "syntax_error"},
        {CM_CQL_UNAUTHORIZED, "unauthorized"},
        {CM_CQL_INVALID_QUERY, "invalid"},
        {CM_CQL_CONFIG_ERROR, "config_error"},
        {CM_CQL_ALREADY_EXISTS, "already_exists"},
        {CM_CQL_UNPREPARED, "unprepared"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i].code == server_code)
            return names[i].name;
    }
    return "unknown";
}

static bool server_code_is_passing(int32_t code)
{
    switch (code) {
    case CM_CQL_SERVER_ERROR:
    case CM_CQL_UNAVAILABLE:
    case CM_CQL_OVERLOADED:
    case CM_CQL_IS_BOOTSTRAPPING:
    case CM_CQL_TRUNCATE_ERROR:
    case CM_CQL_WRITE_TIMEOUT:
    case CM_CQL_READ_TIMEOUT:
    case CM_CQL_READ_FAILURE:
    case CM_CQL_WRITE_FAILURE:
    case CM_CQL_CDC_WRITE_FAILURE:
    case CM_CQL_CAS_WRITE_UNKNOWN:
    case CM_CQL_UNPREPARED:
        return true;
    default:
        return false;
    }
}

bool cm_cql_error_is_passing(const cm_cql_error_t *error)
{
    switch (error->code) {
    case CM_CQL_SERVER:
        return server_code_is_passing(error->server_code);
    case CM_CQL_TIMEOUT:
    case CM_CQL_LOST:
    case CM_CQL_NO_NODE:
    case CM_CQL_PROTOCOL:
    case CM_CQL_MEMORY:
        return true;
    default:
        return false;
    }
}

static int house_code(const cm_cql_error_t *error)
{
    switch (error->code) {
    case CM_CQL_AUTH:
    case CM_CQL_TLS:
    case CM_CQL_INVALID:
        return CM_EUSAGE;
    case CM_CQL_PROTOCOL:
        return CM_ECORRUPT;
    case CM_CQL_CANCELLED:
        return CM_ESTOP;
    case CM_CQL_MEMORY:
        return CM_ENOMEM;
    case CM_CQL_SERVER:
        return cm_cql_error_is_passing(error) ? CM_EIO : CM_EUSAGE;
    default:
        return CM_EIO;
    }
}

int cm_cql_error_to_err(const cm_cql_error_t *error, cm_err_t *err)
{
    if (error == NULL || error->code == CM_CQL_OK)
        return 0;
    return cm_fail(err, house_code(error), "%s%s%s", error->node, error->node[0] ? ": " : "",
                   error->text);
}

static const char *const consistencies[] = {
    "ANY",          "ONE",         "TWO",    "THREE",        "QUORUM",    "ALL",
    "LOCAL_QUORUM", "EACH_QUORUM", "SERIAL", "LOCAL_SERIAL", "LOCAL_ONE",
};
enum { CONSISTENCIES = sizeof consistencies / sizeof *consistencies };

bool cm_cql_consistency_parse(cm_str_t text, cm_cql_consistency_t *consistency)
{
    for (int i = 0; i < CONSISTENCIES; i++) {
        if (cm_str_equal_nocase(text, cm_str(consistencies[i]))) {
            *consistency = (cm_cql_consistency_t)(CM_CQL_ANY + i);
            return true;
        }
    }
    return false;
}

const char *cm_cql_consistency_name(cm_cql_consistency_t consistency)
{
    int i = (int)consistency - CM_CQL_ANY;
    return i >= 0 && i < CONSISTENCIES ? consistencies[i] : "default";
}
