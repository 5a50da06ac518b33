#include "source/file/internal.h"

#define VALUE_TOO_LONG "the event is longer than 1 MiB; its first 4 KiB are kept"

static void take_event(cm_file_t *file, const cm_line_t *line, cm_batch_t *batch)
{
    cm_err_t why;
    uint64_t unknown = 0;
    cm_event_t *event = cm_batch_slot(batch);

    const int rc =
        cm_event_json_parse(file->json, line->text, &batch->arena, event, &unknown, &why);
    if (rc < 0) {
        cm_file_reject(file, batch, line->text, line->number, why.text);
        return;
    }
    if (rc > 0) {
        cm_batch_skip_bot(batch, (cm_bot_kind_t)rc);
        return;
    }
    cm_batch_accept(batch);
    batch->account.unknown_fields += unknown;
}

/* ---- one event a line ---- */

static bool take_line(cm_file_t *file, cm_batch_t *batch)
{
    cm_line_t line;

    const cm_file_step_t step = cm_file_next_line(file, batch, &line);
    if (step == CM_FILE_LINE)
        take_event(file, &line, batch);
    return step != CM_FILE_NO_LINE;
}

static bool pass_line(cm_file_t *file, uint64_t position)
{
    cm_line_t line;

    (void)position;
    return cm_lines_next(&file->lines, &line);
}

const cm_file_reader_t cm_file_json_lines = {
    .take = take_line, .pass = pass_line, .reached = cm_file_lines_reached};

/* ---- arrays, and events that span several lines ---- */

static bool take_value(cm_file_t *file, cm_batch_t *batch)
{
    cm_value_t value;

    if (!cm_values_take(&file->values, &file->lines, &value))
        return false;
    if (value.line.too_long && value.reason == NULL)
        value.reason = VALUE_TOO_LONG;
    if (value.reason != NULL)
        cm_file_reject(file, batch, value.line.text, value.line.number, value.reason);
    else
        take_event(file, &value.line, batch);
    return true;
}

static bool pass_value(cm_file_t *file, uint64_t position)
{
    cm_value_t value;

    (void)position;
    return cm_values_take(&file->values, &file->lines, &value);
}

static uint64_t values_reached(const cm_file_t *file)
{
    return file->values.end;
}

const cm_file_reader_t cm_file_json_values = {
    .take = take_value, .pass = pass_value, .reached = values_reached};
