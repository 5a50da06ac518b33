/* What `doctor` checks on this machine. */
#include "cmd/doctor.h"

#include "base/progress.h"
#include "enrich/geo.h"
#include "serve/collecting.h"
#include "settings/invocation.h"

#include <errno.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { FREE_BYTES = 1 << 30 }; /* less free space is worth a note */

void cm_doctor_check_configuration(cm_doctor_t *doctor)
{
    const char *file = doctor->app->global.config;

    if (file == NULL && access(cm_invocation_config, F_OK) == 0)
        file = cm_invocation_config;
    /* A wrong file has ended the program before. */
    if (file != NULL)
        cm_doctor_report(doctor, CM_DOCTOR_RIGHT, "configuration", "%s is understood", file);
    else
        cm_doctor_report(doctor, CM_DOCTOR_RIGHT, "configuration",
                         "there is none: all settings have their defaults");
}

static void check_space(cm_doctor_t *doctor, const char *directory)
{
    struct statvfs about;

    if (statvfs(directory, &about) != 0)
        return;
    uint64_t bytes = (uint64_t)about.f_bavail * about.f_frsize;
    if (bytes < FREE_BYTES)
        cm_doctor_report(doctor, CM_DOCTOR_NOTE, "data", "only %llu MB are free where %s is",
                         (unsigned long long)(bytes >> 20), directory);
}

/* The directory does not exist yet: can it be made? */
static void check_new_directory(cm_doctor_t *doctor, const char *directory)
{
    const char *slash = strrchr(directory, '/');
    char parent[512], text[CM_ERR_TEXT];

    snprintf(parent, sizeof parent, "%.*s", slash != NULL ? (int)(slash - directory) : 1,
             slash != NULL ? directory : ".");
    const char *where = access(directory, F_OK) == 0 ? directory : parent[0] ? parent : "/";
    if (access(where, W_OK) == 0) {
        cm_doctor_report(doctor, CM_DOCTOR_RIGHT, "data", "%s is made when it is first needed",
                         directory);
        return;
    }
    snprintf(text, sizeof text,
             "%s cannot be made: %s: %s; choose another --data, or change the owner", directory,
             where, strerror(errno));
    cm_doctor_report_error(doctor, "data", CM_EIO, text);
}

void cm_doctor_check_data(cm_doctor_t *doctor)
{
    const char *directory = doctor->app->global.data_dir;
    const cm_block_ref_t *blocks;
    cm_store_t *store = NULL;
    cm_reader_t *reader = NULL;
    cm_buf_t events = CM_BUF_INIT;
    size_t count;
    cm_err_t err;

    int rc = cm_store_open_directory_read(directory, &store, &err);
    if (rc == 0)
        rc = cm_store_reader(store, &reader, &err);
    if (rc == CM_EINPUT) {
        check_new_directory(doctor, directory);
        return;
    }
    if (rc == 0)
        rc = cm_reader_blocks(reader, &blocks, &count, &err);
    if (rc < 0) {
        cm_doctor_report_error(doctor, "data", rc, err.text);
    } else if (access(directory, W_OK) != 0) {
        snprintf(err.text, sizeof err.text, "%s cannot be written: %s", directory, strerror(errno));
        cm_doctor_report_error(doctor, "data", CM_EIO, err.text);
    } else {
        cm_buf_add_grouped(&events, cm_blocks_end(blocks, count));
        cm_doctor_report(doctor, CM_DOCTOR_RIGHT, "data", "%s has %s events", directory,
                         events.data);
        check_space(doctor, directory);
    }
    cm_reader_close(reader);
    cm_store_close(store);
    cm_buf_free(&events);
}

/* ---- collecting and enriching ---- */

void cm_doctor_check_geoip(cm_doctor_t *doctor)
{
    const char *file = doctor->asked->collect.enrich.geoip;
    cm_geo_t *geo = NULL;
    cm_err_t err;

    if (strcmp(file, "none") == 0) {
        cm_doctor_report(doctor, CM_DOCTOR_RIGHT, "enrich",
                         "countries and cities are not looked up");
        return;
    }
    int rc = cm_geo_open(file, &doctor->app->log, &geo, &err);
    if (rc < 0)
        cm_doctor_report_error(doctor, "enrich", rc, err.text);
    else
        cm_doctor_report(doctor, CM_DOCTOR_RIGHT, "enrich", "%s is a GeoIP database", file);
    cm_geo_close(geo);
}

void cm_doctor_check_collect(cm_doctor_t *doctor)
{
    const cm_collect_given_t *collect = &doctor->asked->collect;
    cm_err_t err;

    int rc = cm_collecting_check(collect, &err);
    if (rc < 0)
        cm_doctor_report_error(doctor, "collect", rc, err.text);
    else if (collect->sites == NULL)
        cm_doctor_report(doctor, CM_DOCTOR_NOTE, "collect",
                         "collect.sites names no site: pages of other servers may not send events");
    else
        cm_doctor_report(doctor, CM_DOCTOR_RIGHT, "collect",
                         "pages of %s may send events, and %zu servers by token", collect->sites,
                         collect->tokens.count);
}
