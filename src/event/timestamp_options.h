/* The options that say how timestamps are read, for the commands that read events. The tables are
 * constants, for any thread; strings of the options belong to the command line. */
#ifndef CM_EVENT_TIMESTAMP_OPTIONS_H
#define CM_EVENT_TIMESTAMP_OPTIONS_H

#include "base/options.h"
#include "event/timestamp.h"

typedef struct cm_timestamp_options {
    int unit; /* cm_timestamp_unit_t */
    const char *tz;
} cm_timestamp_options_t;

/* The options of a cm_timestamp_options_t: with the configuration keys of `import`, and with those
 * of `ingest`. */
extern const cm_option_t cm_timestamp_import_options[];
extern const cm_option_t cm_timestamp_ingest_options[];

/* Makes `times` from the options; the caller closes it. CM_EUSAGE when there is no such zone. */
int cm_timestamp_format_open(const cm_timestamp_options_t *given, cm_timestamp_format_t *times,
                             cm_err_t *err);
void cm_timestamp_format_close(cm_timestamp_format_t *times);

#endif
