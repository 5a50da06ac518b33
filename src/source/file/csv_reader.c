#include "source/file/internal.h"

/* Takes a record whose first line has just been taken. False when the record is not complete yet;
 * then the line is returned to the buffer. */
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
    /* When a record is not CSV, only its first line is rejected: a quote that is never closed must
     * not reject the valid records after it. */
    if (rc != 1) {
        cm_file_reject(file, batch, line->text, line->number, why.text);
        return true;
    }
    cm_lines_take(lines, used - (lines->at - mark.at));
    cm_event_t *event = cm_batch_slot(batch);
    if (cm_csv_event(&file->columns, &file->record, &file->options.times, &batch->arena, event,
                     &why) < 0) {
        data.len = used;
        cm_file_reject(file, batch, cm_line_trim_end(data), line->number, why.text);
        return true;
    }
    cm_batch_accept(batch);
    batch->account.unknown_fields += file->columns.unknown;
    return true;
}

static bool take(cm_file_t *file, cm_batch_t *batch)
{
    const cm_lines_mark_t mark = cm_lines_mark(&file->lines);
    cm_line_t line;

    const cm_file_step_t step = cm_file_next_line(file, batch, &line);
    if (step == CM_FILE_LINE)
        return take_record(file, &line, mark, batch);
    return step != CM_FILE_NO_LINE;
}

/* Skipping needs no records, only lines: a position is always the end of a line. */
static bool pass(cm_file_t *file, uint64_t position)
{
    cm_line_t line;

    (void)position;
    return cm_lines_next(&file->lines, &line);
}

/* Takes the header. A file of blank lines has no header and needs none. */
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
            rc = cm_csv_header(&file->record, file->options.map, &file->columns, &why);
            if (rc == 0)
                return 0;
        }
        if (rc < 0 || data.len > CM_LINE_MAX)
            break;
        if (have)
            cm_lines_rewind(lines, mark);
        if (cm_file_stopped(file))
            return cm_file_fail_stopped(file, err);
        rc = cm_lines_fill(lines, err);
        if (rc < 0 || (rc == 0 && cm_lines_window(lines).len == 0))
            return rc;
    }
    return cm_fail(err, CM_EINPUT, "%s: %s", cm_file_display_name(file), why.text);
}

const cm_file_reader_t cm_file_csv = {
    .begin = read_header, .take = take, .pass = pass, .reached = cm_file_lines_reached};
