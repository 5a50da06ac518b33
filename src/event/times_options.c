#include "event/times_options.h"

int cm_times_open(const cm_times_given_t *given, cm_timestamp_format_t *times, cm_err_t *err)
{
    cm_zone_t *zone = NULL;
    int rc = given->tz != NULL ? cm_zone_open(given->tz, &zone, err) : 0;

    *times = (cm_timestamp_format_t){.unit = (cm_timestamp_unit_t)given->unit, .zone = zone};
    return rc;
}

void cm_times_close(cm_timestamp_format_t *times)
{
    cm_zone_free(times->zone);
    times->zone = NULL;
}
