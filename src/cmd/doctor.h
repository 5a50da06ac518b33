/* The checks of `doctor`: each says what is right, or what to do.
 *
 * A finding is a line on stdout or, with --json, an object. Used by one thread. */
#ifndef CM_CMD_DOCTOR_H
#define CM_CMD_DOCTOR_H

#include "cmd/app.h"
#include "serve/options.h"
#include "sink/options.h"
#include "store/options.h"

typedef struct doctor_options {
    bool fix;
    cm_sink_options_t sink;
    cm_store_options_t store;
    cm_index_options_t index;
    cm_collect_given_t collect;
} cm_doctor_options_t;

/* What a check has found. */
typedef enum cm_doctor_finding {
    CM_DOCTOR_RIGHT,
    CM_DOCTOR_FIXED, /* it was missing, and was made */
    CM_DOCTOR_NOTE,  /* nothing is wrong, but the user may want to know */
    CM_DOCTOR_WRONG,
} cm_doctor_finding_t;

typedef struct cm_doctor {
    cm_app_t *app;
    const cm_doctor_options_t *asked;
    cm_buf_t json;
    int checks, wrong;
    int code; /* of the first finding that is wrong */
} cm_doctor_t;

/* Reports a finding about the subject. */
void cm_doctor_report(cm_doctor_t *doctor, cm_doctor_finding_t finding, const char *subject,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Reports what is wrong with the sentence of an error. */
void cm_doctor_report_error(cm_doctor_t *doctor, const char *subject, int code, const char *text);

/* Of this machine: the configuration file, the data directory, the GeoIP database, and the settings
 * of the collector. */
void cm_doctor_check_configuration(cm_doctor_t *doctor);
void cm_doctor_check_data(cm_doctor_t *doctor);
void cm_doctor_check_geoip(cm_doctor_t *doctor);
void cm_doctor_check_collect(cm_doctor_t *doctor);

/* Of the servers; with --fix what is missing there is made. */
void cm_doctor_check_topics(cm_doctor_t *doctor);
void cm_doctor_check_store(cm_doctor_t *doctor);
void cm_doctor_check_index(cm_doctor_t *doctor);

#endif
