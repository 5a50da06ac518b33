/* Options that say how timestamps are read, shared by the commands that read events of others. */
#ifndef CM_EVENT_TIMES_OPTIONS_H
#define CM_EVENT_TIMES_OPTIONS_H

#include "base/options.h"
#include "event/timestamp.h"

typedef struct cm_times_given {
    int unit; /* cm_timestamp_unit_t */
    const char *tz;
} cm_times_given_t;

/* For a cm_times_given_t: with the keys of `import`, and with those of `ingest`. */
extern const cm_option_t cm_times_import_option_rows[];
extern const cm_option_t cm_times_ingest_option_rows[];

/* Makes ready what was given; to be closed. CM_EUSAGE when there is no such zone. */
int cm_times_open(const cm_times_given_t *given, cm_timestamp_format_t *times, cm_err_t *err);
void cm_times_close(cm_timestamp_format_t *times);

#endif
