#include "event/timestamp_options.h"

static const char unit_help[] =
    "unit of timestamps that are numbers; auto: milliseconds, and numbers that look like seconds "
    "are rejected";
static const char tz_help[] =
    "time zone of timestamps that have none, such as Europe/Berlin or UTC; without it they are "
    "rejected";

const cm_option_t cm_timestamp_import_options[] = {
    {.name = "time-unit",
     .type = CM_OPT_CHOICE,
     .offset = offsetof(cm_timestamp_options_t, unit),
     .arg = "UNIT",
     .def = "auto",
     .choices = "auto|s|ms|us|ns",
     .key = "import.time_unit",
     .help = unit_help},
    {.name = "tz",
     .type = CM_OPT_TEXT,
     .offset = offsetof(cm_timestamp_options_t, tz),
     .arg = "ZONE",
     .key = "import.tz",
     .help = tz_help},
    {.name = NULL},
};

const cm_option_t cm_timestamp_ingest_options[] = {
    {.name = "time-unit",
     .type = CM_OPT_CHOICE,
     .offset = offsetof(cm_timestamp_options_t, unit),
     .arg = "UNIT",
     .def = "auto",
     .choices = "auto|s|ms|us|ns",
     .key = "ingest.time_unit",
     .help = unit_help},
    {.name = "tz",
     .type = CM_OPT_TEXT,
     .offset = offsetof(cm_timestamp_options_t, tz),
     .arg = "ZONE",
     .key = "ingest.tz",
     .help = tz_help},
    {.name = NULL},
};

int cm_timestamp_format_open(const cm_timestamp_options_t *given, cm_timestamp_format_t *times,
                             cm_err_t *err)
{
    cm_zone_t *zone = NULL;
    int rc = given->tz != NULL ? cm_zone_open(given->tz, &zone, err) : 0;

    *times = (cm_timestamp_format_t){.unit = (cm_timestamp_unit_t)given->unit, .zone = zone};
    return rc;
}

void cm_timestamp_format_close(cm_timestamp_format_t *times)
{
    cm_zone_free(times->zone);
    times->zone = NULL;
}
