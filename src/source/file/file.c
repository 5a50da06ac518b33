#include "base/clock.h"
#include "source/file/internal.h"

#include <stdlib.h>

/* A batch from a pipe is returned after this time even when it is not full. */
enum { LIVE_NS = 500 * 1000 * 1000 };

/* ---- functions for readers ---- */

bool cm_file_stopped(const cm_file_t *file)
{
    return file->options.stop != NULL && atomic_load(file->options.stop);
}

const char *cm_file_display_name(const cm_file_t *file)
{
    return strcmp(file->options.path, "-") == 0 ? "stdin" : file->options.path;
}

int cm_file_fail_stopped(const cm_file_t *file, cm_err_t *err)
{
    return cm_fail(err, CM_ESTOP, "stopped while the start of %s was read",
                   cm_file_display_name(file));
}

static bool is_access_log(const cm_file_t *file)
{
    return file->reader == &cm_file_accesslog;
}

void cm_file_reject(cm_file_t *file, cm_batch_t *batch, cm_str_t payload, uint64_t number,
                    const char *reason)
{
    cm_buf_clear(&file->scratch);
    cm_buf_printf(&file->scratch, "%s:%llu", cm_file_display_name(file),
                  (unsigned long long)number);
    cm_batch_reject(batch, payload, reason, file->scratch.data);
    if (is_access_log(file) || cm_event_map_has(file->options.map, CM_MAP_ADDRESS))
        batch->dead[batch->dead_count - 1].personal = true;
}

cm_file_step_t cm_file_next_line(cm_file_t *file, cm_batch_t *batch, cm_line_t *line)
{
    if (!cm_lines_next(&file->lines, line))
        return CM_FILE_NO_LINE;
    if (line->too_long)
        cm_file_reject(file, batch, line->text, line->number, CM_LINE_TOO_LONG);
    return line->too_long || cm_line_blank(line->text) ? CM_FILE_DONE : CM_FILE_LINE;
}

uint64_t cm_file_lines_reached(const cm_file_t *file)
{
    return file->lines.offset;
}

/* ---- the source ---- */

static int file_next(cm_source_t *source, cm_batch_t *batch, cm_err_t *err)
{
    cm_file_t *file = (cm_file_t *)source;
    int64_t start = cm_clock_ticks_ns();
    bool live = !cm_input_is_regular(file->input), ended = false;

    while (batch->count < CM_BATCH_EVENTS) {
        if (file->reader->take(file, batch))
            continue;
        ended = file->lines.ended;
        /* Filling may move the lines that the batch's events point to. */
        if (ended || cm_file_stopped(file) ||
            (cm_lines_must_move(&file->lines) && batch->account.read > 0) ||
            (live && cm_clock_ticks_ns() - start > LIVE_NS))
            break;
        int rc = cm_lines_fill(&file->lines, err);
        /* The batch is returned first; the next call gets the same error again. */
        if (rc < 0 && batch->account.read == 0)
            return rc;
        if (rc < 0)
            break;
    }
    cm_batch_mark(batch, (cm_str_t){file->identity.data, file->identity.len},
                  ended ? -1 : (int64_t)file->reader->reached(file));
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
    cm_accesslog_builder_restart(&file->builder);
    file->input = NULL;
}

static void file_close(cm_source_t *source)
{
    cm_file_t *file = (cm_file_t *)source;

    close_input(file);
    cm_event_json_free(file->json);
    cm_accesslog_builder_free(&file->builder);
    cm_buf_free(&file->scratch);
    cm_buf_free(&file->identity);
    free(file);
}

int cm_file_open(const cm_file_options_t *options, cm_source_t **source, cm_err_t *err)
{
    static const cm_source_ops_t ops = {file_next, file_progress, file_close, NULL};
    cm_file_t *file = cm_alloc_zero(1, sizeof *file);

    file->source.ops = &ops;
    file->options = *options;
    int rc = cm_accesslog_builder_init(&file->builder, options->site, options->older_keys,
                                       options->visitor_key, err);
    if (rc < 0) {
        free(file);
        return rc;
    }
    rc = cm_file_start(file, err);
    if (rc < 0) {
        file_close(&file->source);
        return rc;
    }
    if (file->format == CM_FILE_JSONL || file->format == CM_FILE_JSON) {
        file->json = cm_event_json_new();
        cm_event_json_set_fill(file->json, options->fill, options->fill_context);
        cm_event_json_set_timestamps(file->json, &options->times);
        cm_event_json_set_map(file->json, options->map);
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
    return is_access_log(file) && (file->hosts || file->builder.given.url.len > 0);
}

bool cm_file_seekable(const cm_source_t *source)
{
    const cm_file_t *file = (const cm_file_t *)source;
    return cm_input_is_regular(file->input) && cm_input_is_plain(file->input);
}

/* Skips the file up to `position`. 1: the position is the end of a line or event; 0: it is not;
 * CM_ESTOP. */
static int pass(cm_file_t *file, uint64_t position, cm_err_t *err)
{
    while (file->reader->reached(file) < position) {
        if (file->reader->pass(file, position))
            continue;
        if (file->lines.ended)
            return 0;
        if (cm_file_stopped(file))
            return cm_file_fail_stopped(file, err);
        /* Reading from the beginning gets the same error at the same place. */
        if (cm_lines_fill(&file->lines, err) < 0)
            return 0;
    }
    return file->reader->reached(file) == position;
}

int cm_file_resume(cm_source_t *source, int64_t position, cm_err_t *err)
{
    cm_file_t *file = (cm_file_t *)source;

    if (position <= 0 || file->identity.len == 0)
        return 0;
    int rc = pass(file, (uint64_t)position, err);
    cm_debug(file->options.log, CM_DEBUG_SOURCE,
             rc > 0 ? "file is resumed" : "file is read from its beginning", "position=%lld",
             (long long)position);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    close_input(file);
    return cm_file_start(file, err);
}
