#include "source/file/format.h"
#include "source/file/internal.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

enum { PROBE = 64 * 1024 }; /* bytes at the start that distinguish one file from another */

static const char *const format_names[] = {"auto", "jsonl", "csv", "combined", "common", "json"};

static const cm_file_reader_t *const readers[] = {
    [CM_FILE_JSONL] = &cm_file_json_lines,   [CM_FILE_CSV] = &cm_file_csv,
    [CM_FILE_COMBINED] = &cm_file_accesslog, [CM_FILE_COMMON] = &cm_file_accesslog,
    [CM_FILE_JSON] = &cm_file_json_values,
};

/* Reads the bytes that identity and format depend on; from a pipe no more than the format needs. */
static int prime(cm_file_t *file, cm_err_t *err)
{
    cm_lines_t *lines = &file->lines;
    cm_format_found_t found;

    for (;;) {
        cm_str_t window = cm_lines_window(lines);
        /* A hole may be larger than the part that is examined. */
        if (window.len >= PROBE && window.data[0] == '\0' &&
            memcmp(window.data, window.data + 1, PROBE - 1) == 0) {
            cm_lines_skip_hole(lines);
            continue;
        }
        if (lines->ended || window.len >= PROBE)
            return 0;
        if (!cm_input_is_regular(file->input) && memchr(window.data, '\n', window.len) != NULL) {
            cm_format_find(window, false, file->options.map, &found);
            if (file->options.format != CM_FILE_AUTO || found.format != CM_FILE_AUTO ||
                found.foreign != NULL)
                return 0;
        }
        if (cm_file_stopped(file))
            return cm_file_fail_stopped(file, err);
        int rc = cm_lines_fill(lines, err);
        /* The part of a broken file that can be read is read first. */
        if (rc < 0)
            return cm_lines_window(lines).len > 0 ? 0 : rc;
    }
}

static int fail_foreign(const cm_file_t *file, const char *name, cm_err_t *err)
{
    return cm_fail(err, CM_EINPUT,
                   "%s: this is %s, a format that is not read; nothing of it was taken; have the "
                   "server write the combined format, or convert it to JSON lines with user_id, "
                   "timestamp and url",
                   cm_file_display_name(file), name);
}

static int fail_unknown(const cm_file_t *file, const cm_format_found_t *found, cm_err_t *err)
{
    /* A line with a time in brackets was meant as a line of an access log. */
    const char *why = strstr(found->why.text, "does not begin") == NULL ? found->why.text : "";

    return cm_fail(
        err, CM_EINPUT,
        "%s: none of its first lines is a JSON object or a line of an access log (combined "
        "or common), and the first is no CSV header with user_id, timestamp and url%s%s; "
        "name the format with --format jsonl, json, csv, combined or common",
        cm_file_display_name(file), why[0] != '\0' ? "; the first is " : "", why);
}

/* Whether no line at all is of the format that was named. */
static bool has_none_of(cm_file_format_t format, const cm_format_found_t *found)
{
    if (format == CM_FILE_JSONL || format == CM_FILE_JSON)
        return found->json == 0;
    return format != CM_FILE_CSV && found->access == 0;
}

static int find_format(cm_file_t *file, cm_err_t *err)
{
    cm_lines_t *lines = &file->lines;
    cm_str_t window = cm_lines_window(lines);
    cm_format_found_t found;

    cm_format_find(window, lines->ended, file->options.map, &found);
    file->format = file->options.format != CM_FILE_AUTO ? file->options.format : found.format;
    file->hosts = found.hosts;
    if (found.foreign != NULL && has_none_of(file->format, &found))
        return fail_foreign(file, found.foreign, err);
    if (file->format != CM_FILE_AUTO)
        return 0;
    /* A broken file is a better explanation than an unknown format. */
    bool whole = window.len > 0 && memchr(window.data, '\n', window.len) != NULL;
    int rc = whole ? 0 : cm_lines_fill(lines, err);
    return rc < 0 ? rc : fail_unknown(file, &found, err);
}

static uint64_t fingerprint(cm_str_t window)
{
    return XXH3_64bits(window.data, window.len < PROBE ? window.len : PROBE);
}

static void make_identity(cm_file_t *file, uint64_t print)
{
    const cm_buf_t *site = &file->builder.given.url;
    char *path = realpath(file->options.path, NULL);

    cm_buf_printf(&file->identity, "file:%s:%016llx:%s:%s:%.*s", path ? path : file->options.path,
                  (unsigned long long)print, format_names[file->format],
                  file->options.all ? "all" : "pages", (int)site->len,
                  site->len > 0 ? site->data : "");
    const char *variant =
        file->reader == &cm_file_accesslog ? file->options.variant : file->options.message_variant;
    if (variant != NULL)
        cm_buf_printf(&file->identity, ":%s", variant);
    free(path);
}

int cm_file_start(cm_file_t *file, cm_err_t *err)
{
    int rc = cm_input_open(file->options.path, &file->input, err);
    if (rc < 0)
        return rc;
    cm_lines_init(&file->lines, file->input);
    rc = prime(file, err);
    if (rc < 0)
        return rc;
    uint64_t print = fingerprint(cm_lines_window(&file->lines));
    rc = find_format(file, err);
    cm_lines_skip_mark(&file->lines);
    if (rc < 0)
        return rc;
    file->reader = readers[file->format];
    assert(file->reader != NULL); /* the format is never CM_FILE_AUTO here */
    if (file->identity.len == 0 && cm_input_is_regular(file->input))
        make_identity(file, print);
    cm_debug(file->options.log, CM_DEBUG_SOURCE, "file is open", "format=%s given=%s resumable=%s",
             format_names[file->format], file->options.format != CM_FILE_AUTO ? "yes" : "no",
             file->identity.len > 0 ? "yes" : "no");
    return file->reader->begin != NULL ? file->reader->begin(file, err) : 0;
}
