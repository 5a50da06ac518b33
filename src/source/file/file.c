#include "source/file/file.h"

#include "base/clock.h"
#include "event/json.h"
#include "source/file/accesslog.h"
#include "source/file/accesslog_builder.h"
#include "source/file/csv.h"
#include "source/file/format.h"
#include "source/file/values.h"
#include "source/lines.h"

#include <stdlib.h>
#include <xxhash.h>

#define VALUE_TOO_LONG "the event is longer than 1 MiB; its first 4 KiB are kept"

enum {
    PROBE = 64 * 1024, /* bytes that tell one file from another */
    /* Of a pipe, a batch is handed out after this time even when it is not full. */
    PATIENCE_NS = 500 * 1000 * 1000,
};

typedef struct cm_file cm_file_t;

struct cm_file {
    cm_source_t source;
    cm_file_options_t options;
    cm_file_format_t format;
    cm_buf_t identity; /* empty: cannot be resumed */
    cm_input_t *input;
    cm_lines_t lines;
    cm_buf_t scratch;

    cm_event_json_t *json; /* JSON lines, other JSON */
    cm_values_t values;

    cm_csv_columns_t columns; /* CSV */
    cm_csv_record_t record;

    cm_accesslog_builder_t visits; /* access logs */
    bool hosts;                    /* some of the first lines name their virtual host */
};

static const char *const format_names[] = {"auto", "jsonl", "csv", "combined", "common", "json"};

static bool stopped(const cm_file_t *file)
{
    return file->options.stop != NULL && atomic_load(file->options.stop);
}

static bool is_access_log(const cm_file_t *file)
{
    return file->format == CM_FILE_COMBINED || file->format == CM_FILE_COMMON;
}

static const char *display_name(const cm_file_t *file)
{
    return strcmp(file->options.path, "-") == 0 ? "stdin" : file->options.path;
}

static void reject(cm_file_t *file, cm_batch_t *batch, cm_str_t payload, uint64_t number,
                   const char *reason)
{
    cm_buf_clear(&file->scratch);
    cm_buf_printf(&file->scratch, "%s:%llu", display_name(file), (unsigned long long)number);
    cm_batch_reject(batch, payload, reason, file->scratch.data);
    if (is_access_log(file))
        batch->dead[batch->dead_count - 1].personal = true;
}

static void take_json(cm_file_t *file, const cm_line_t *line, cm_batch_t *batch)
{
    cm_err_t why;
    uint64_t unknown = 0;
    cm_event_t *event = cm_batch_slot(batch);

    if (cm_event_json_parse(file->json, line->text, &batch->arena, event, &unknown, &why) < 0) {
        reject(file, batch, line->text, line->number, why.text);
        return;
    }
    cm_batch_accept(batch);
    batch->account.unknown_fields += unknown;
}

/* Asks the enrichment; false leaves the event out. */
static bool enrich(const cm_file_t *file, const cm_access_t *access, cm_arena_t *arena,
                   cm_event_t *event)
{
    const cm_enrich_visit_t visit = {access->address, access->agent, access->referrer};

    return file->options.enrich == NULL ||
           file->options.enrich(file->options.enrich_context, &visit, arena, event);
}

static void take_access(cm_file_t *file, const cm_line_t *line, cm_batch_t *batch)
{
    cm_access_t access;
    cm_accesslog_line_t visit;
    cm_err_t why;

    if (cm_accesslog_parse(line->text, file->format == CM_FILE_COMMON, &access, &why) < 0) {
        reject(file, batch, line->text, line->number, why.text);
        return;
    }
    cm_accesslog_builder_count(&file->visits, &access, &visit);
    if (!file->options.all && !cm_accesslog_is_page_view(&access)) {
        cm_batch_skip(batch);
        return;
    }
    cm_event_t *event = cm_batch_slot(batch);
    cm_accesslog_builder_event(&file->visits, &visit, &batch->arena, event);
    if (!enrich(file, &access, &batch->arena, event)) {
        cm_batch_skip(batch);
        batch->account.bots++;
        return;
    }
    cm_event_complete(event);
    if (cm_event_check(event, false, &why) < 0) {
        reject(file, batch, line->text, line->number, why.text);
        return;
    }
    event->row_key = cm_accesslog_builder_row_key(&file->visits, &visit, event, &batch->arena);
    cm_batch_accept(batch);
}

/* Takes a CSV record whose first line has just been taken. False, with that line given back, when
 * the record is not whole yet. */
static bool take_record(cm_file_t *file, const cm_line_t *line, cm_lines_mark_t mark,
                        cm_batch_t *batch)
{
    cm_lines_t *lines = &file->lines;
    cm_err_t why = {.text = "a quote is opened and not closed within 1 MiB"};
    size_t used;

    cm_str_t data = {lines->buffer + mark.at, lines->end - mark.at};
    int rc = cm_csv_split(data, lines->ended, &file->record, &used, &why);
    if (rc == 0 && data.len <= CM_LINE_MAX) {
        cm_lines_rewind(lines, mark);
        return false;
    }
    /* Of what is not CSV only the first line is given up: a quote that is never closed shall not
     * take the good records behind it along. */
    if (rc != 1) {
        reject(file, batch, line->text, line->number, why.text);
        return true;
    }
    cm_lines_take(lines, used - (lines->at - mark.at));
    cm_event_t *event = cm_batch_slot(batch);
    if (cm_csv_event(&file->columns, &file->record, &file->options.times, &batch->arena, event,
                     &why) < 0) {
        data.len = used;
        reject(file, batch, cm_line_trim_end(data), line->number, why.text);
        return true;
    }
    cm_batch_accept(batch);
    batch->account.unknown_fields += file->columns.unknown;
    return true;
}

static bool take_value(cm_file_t *file, cm_batch_t *batch)
{
    cm_value_t value;

    if (!cm_values_take(&file->values, &file->lines, &value))
        return false;
    if (value.line.too_long && value.reason == NULL)
        value.reason = VALUE_TOO_LONG;
    if (value.reason != NULL)
        reject(file, batch, value.line.text, value.line.number, value.reason);
    else
        take_json(file, &value.line, batch);
    return true;
}

/* Takes a line, or a CSV record, into the batch; false when there is no whole one at hand. */
static bool take(cm_file_t *file, cm_batch_t *batch)
{
    cm_line_t line;

    if (file->format == CM_FILE_JSON)
        return take_value(file, batch);
    if (is_access_log(file))
        cm_lines_skip_hole(&file->lines);
    cm_lines_mark_t mark = cm_lines_mark(&file->lines);
    if (!cm_lines_next(&file->lines, &line))
        return false;
    if (line.too_long)
        reject(file, batch, line.text, line.number, CM_LINE_TOO_LONG);
    else if (cm_line_blank(line.text))
        return true;
    else if (file->format == CM_FILE_CSV)
        return take_record(file, &line, mark, batch);
    else if (file->format == CM_FILE_JSONL)
        take_json(file, &line, batch);
    else
        take_access(file, &line, batch);
    return true;
}

/* Unpacked bytes up to the end of the last line or event. */
static uint64_t reached(const cm_file_t *file)
{
    return file->format == CM_FILE_JSON ? file->values.end : file->lines.offset;
}

static int file_next(cm_source_t *source, cm_batch_t *batch, cm_err_t *err)
{
    cm_file_t *file = (cm_file_t *)source;
    int64_t start = cm_clock_ticks_ns();
    bool live = !cm_input_is_regular(file->input), ended = false;

    while (batch->count < CM_BATCH_EVENTS) {
        if (take(file, batch))
            continue;
        ended = file->lines.ended;
        /* Filling may move the lines that the batch's events are slices of. */
        if (ended || stopped(file) ||
            (cm_lines_must_move(&file->lines) && batch->account.read > 0) ||
            (live && cm_clock_ticks_ns() - start > PATIENCE_NS))
            break;
        int rc = cm_lines_fill(&file->lines, err);
        /* The batch comes first; the next call meets the same failure. */
        if (rc < 0 && batch->account.read == 0)
            return rc;
        if (rc < 0)
            break;
    }
    cm_batch_mark(batch, (cm_str_t){file->identity.data, file->identity.len},
                  ended ? -1 : (int64_t)reached(file));
    return !ended;
}

static void file_progress(const cm_source_t *source, uint64_t *done, uint64_t *total)
{
    cm_input_progress(((const cm_file_t *)source)->input, done, total);
}

static void close_input(cm_file_t *file)
{
    cm_input_close(file->input);
    cm_lines_free(&file->lines);
    file->values = (cm_values_t){0};
    cm_accesslog_builder_restart(&file->visits);
    file->input = NULL;
}

static void file_close(cm_source_t *source)
{
    cm_file_t *file = (cm_file_t *)source;

    close_input(file);
    cm_event_json_free(file->json);
    cm_accesslog_builder_free(&file->visits);
    cm_buf_free(&file->scratch);
    cm_buf_free(&file->identity);
    free(file);
}

static int fail_stopped(const cm_file_t *file, cm_err_t *err)
{
    return cm_fail(err, CM_ESTOP, "stopped while the start of %s was read", display_name(file));
}

/* Reads what the identity and the format are found out from; of a pipe not more than that takes. */
static int prime(cm_file_t *file, cm_err_t *err)
{
    cm_lines_t *lines = &file->lines;
    cm_format_found_t found;

    for (;;) {
        cm_str_t window = cm_lines_window(lines);
        /* A hole may be larger than what is looked at. */
        if (window.len >= PROBE && window.data[0] == '\0' &&
            memcmp(window.data, window.data + 1, PROBE - 1) == 0) {
            cm_lines_skip_hole(lines);
            continue;
        }
        if (lines->ended || window.len >= PROBE)
            return 0;
        if (!cm_input_is_regular(file->input) && memchr(window.data, '\n', window.len) != NULL) {
            cm_format_find(window, false, &found);
            if (file->options.format != CM_FILE_AUTO || found.format != CM_FILE_AUTO ||
                found.foreign != NULL)
                return 0;
        }
        if (stopped(file))
            return fail_stopped(file, err);
        int rc = cm_lines_fill(lines, err);
        /* What can be read of a broken file is read first. */
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
                   display_name(file), name);
}

static int fail_unknown(const cm_file_t *file, const cm_format_found_t *found, cm_err_t *err)
{
    /* A line with a time in brackets is meant to be one of an access log. */
    const char *why = strstr(found->why.text, "does not begin") == NULL ? found->why.text : "";

    return cm_fail(
        err, CM_EINPUT,
        "%s: none of its first lines is a JSON object or a line of an access log (combined "
        "or common), and the first is no CSV header with user_id, timestamp and url%s%s; "
        "name the format with --format jsonl, json, csv, combined or common",
        display_name(file), why[0] != '\0' ? "; the first is " : "", why);
}

/* Whether not a single line is of the format that was named. */
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

    cm_format_find(window, lines->ended, &found);
    file->format = file->options.format != CM_FILE_AUTO ? file->options.format : found.format;
    file->hosts = found.hosts;
    if (found.foreign != NULL && has_none_of(file->format, &found))
        return fail_foreign(file, found.foreign, err);
    if (file->format != CM_FILE_AUTO)
        return 0;
    /* That the file is broken explains more than that its start is not understood. */
    bool whole = window.len > 0 && memchr(window.data, '\n', window.len) != NULL;
    int rc = whole ? 0 : cm_lines_fill(lines, err);
    return rc < 0 ? rc : fail_unknown(file, &found, err);
}

/* Takes the header of a CSV file; a file of blank lines has none and needs none. */
static int read_header(cm_file_t *file, cm_err_t *err)
{
    cm_lines_t *lines = &file->lines;
    cm_err_t why = {.code = CM_EINPUT, .text = "the header is longer than 1 MiB"};
    size_t used;

    for (;;) {
        cm_lines_mark_t mark = cm_lines_mark(lines);
        cm_line_t line;
        bool have = cm_lines_next(lines, &line);
        if (have && cm_line_blank(line.text))
            continue;
        if (have && line.too_long)
            break;
        cm_str_t data = {lines->buffer + mark.at, lines->end - mark.at};
        int rc = have ? cm_csv_split(data, lines->ended, &file->record, &used, &why) : 0;
        if (rc == 1) {
            cm_lines_take(lines, used - (lines->at - mark.at));
            rc = cm_csv_header(&file->record, &file->columns, &why);
            if (rc == 0)
                return 0;
        }
        if (rc < 0 || data.len > CM_LINE_MAX)
            break;
        if (have)
            cm_lines_rewind(lines, mark);
        if (stopped(file))
            return fail_stopped(file, err);
        rc = cm_lines_fill(lines, err);
        if (rc < 0 || (rc == 0 && cm_lines_window(lines).len == 0))
            return rc;
    }
    return cm_fail(err, CM_EINPUT, "%s: %s", display_name(file), why.text);
}

static uint64_t fingerprint(cm_str_t window)
{
    return XXH3_64bits(window.data, window.len < PROBE ? window.len : PROBE);
}

static void make_identity(cm_file_t *file, uint64_t print)
{
    const cm_buf_t *site = &file->visits.given.url;
    char *path = realpath(file->options.path, NULL);

    cm_buf_printf(&file->identity, "file:%s:%016llx:%s:%s:%.*s", path ? path : file->options.path,
                  (unsigned long long)print, format_names[file->format],
                  file->options.all ? "all" : "pages", (int)site->len,
                  site->len > 0 ? site->data : "");
    if (file->options.variant != NULL && is_access_log(file))
        cm_buf_printf(&file->identity, ":%s", file->options.variant);
    free(path);
}

/* Opens the file and reads up to its first event. */
static int begin(cm_file_t *file, cm_err_t *err)
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
    if (file->identity.len == 0 && cm_input_is_regular(file->input))
        make_identity(file, print);
    return file->format == CM_FILE_CSV ? read_header(file, err) : 0;
}

int cm_file_open(const cm_file_options_t *options, cm_source_t **source, cm_err_t *err)
{
    static const cm_source_ops_t ops = {file_next, file_progress, file_close, NULL};
    cm_file_t *file = cm_alloc_zero(1, sizeof *file);

    file->source.ops = &ops;
    file->options = *options;
    int rc = cm_accesslog_builder_init(&file->visits, options->site, options->older_keys,
                                       options->visitor_key, err);
    if (rc < 0) {
        free(file);
        return rc;
    }
    rc = begin(file, err);
    if (rc < 0) {
        file_close(&file->source);
        return rc;
    }
    if (file->format == CM_FILE_JSONL || file->format == CM_FILE_JSON) {
        file->json = cm_event_json_new();
        cm_event_json_set_fill(file->json, options->fill, options->fill_context);
        cm_event_json_set_timestamps(file->json, &options->times);
    }
    *source = &file->source;
    return 0;
}

const char *cm_file_identity(const cm_source_t *source)
{
    const cm_file_t *file = (const cm_file_t *)source;
    return file->identity.len > 0 ? file->identity.data : "";
}

cm_file_format_t cm_file_format(const cm_source_t *source)
{
    return ((const cm_file_t *)source)->format;
}

bool cm_file_is_access_log(const cm_source_t *source)
{
    return is_access_log((const cm_file_t *)source);
}

bool cm_file_has_site(const cm_source_t *source)
{
    const cm_file_t *file = (const cm_file_t *)source;
    return is_access_log(file) && (file->hosts || file->visits.given.url.len > 0);
}

bool cm_file_seekable(const cm_source_t *source)
{
    const cm_file_t *file = (const cm_file_t *)source;
    return cm_input_is_regular(file->input) && cm_input_is_plain(file->input);
}

/* Counts a line that is passed over, as take_access() did when it was handed out. */
static void pass_line(cm_file_t *file, const cm_line_t *line)
{
    cm_access_t access;
    cm_accesslog_line_t visit;

    if (is_access_log(file) && !line->too_long && !cm_line_blank(line->text) &&
        cm_accesslog_parse(line->text, file->format == CM_FILE_COMMON, &access, NULL) == 0)
        cm_accesslog_builder_count(&file->visits, &access, &visit);
}

/* Passes over the lines before `position`. 1: it is the end of a line; 0: it is not; CM_ESTOP. */
static int pass(cm_file_t *file, uint64_t position, cm_err_t *err)
{
    cm_value_t value;
    cm_line_t line;

    while (reached(file) < position) {
        if (file->format == CM_FILE_JSON && cm_values_take(&file->values, &file->lines, &value))
            continue;
        if (is_access_log(file))
            cm_lines_skip_hole(&file->lines);
        if (reached(file) >= position)
            break;
        if (file->format != CM_FILE_JSON && cm_lines_next(&file->lines, &line)) {
            pass_line(file, &line);
            continue;
        }
        if (file->lines.ended)
            return 0;
        if (stopped(file))
            return fail_stopped(file, err);
        /* From the beginning the same failure is met again, in its place. */
        if (cm_lines_fill(&file->lines, err) < 0)
            return 0;
    }
    return reached(file) == position;
}

int cm_file_resume(cm_source_t *source, int64_t position, cm_err_t *err)
{
    cm_file_t *file = (cm_file_t *)source;

    if (position <= 0 || file->identity.len == 0)
        return 0;
    int rc = pass(file, (uint64_t)position, err);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    close_input(file);
    return begin(file, err);
}
