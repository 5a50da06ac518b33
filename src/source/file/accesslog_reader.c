#include "source/file/accesslog.h"
#include "source/file/internal.h"

/* Calls the enrichment. The kind of a bot whose visit is left out, or CM_BOT_NONE. */
static cm_bot_kind_t enrich(const cm_file_t *file, const cm_access_t *access, cm_arena_t *arena,
                            cm_event_t *event, cm_enrich_cut_t *cut)
{
    const cm_enrich_visit_t visit = {
        .address = access->address, .agent = access->agent, .referrer = access->referrer};

    if (file->options.enrich == NULL)
        return CM_BOT_NONE;
    return file->options.enrich(file->options.enrich_context, &visit, arena, event, cut);
}

static int parse(const cm_file_t *file, cm_str_t line, cm_access_t *access, cm_err_t *err)
{
    return cm_accesslog_parse(line, file->format == CM_FILE_COMMON, access, err);
}

static void take_event(cm_file_t *file, const cm_line_t *line, cm_batch_t *batch)
{
    cm_access_t access;
    cm_accesslog_line_t counted;
    cm_enrich_cut_t cut = {0};
    cm_err_t why;

    if (parse(file, line->text, &access, &why) < 0) {
        cm_file_reject(file, batch, line->text, line->number, why.text);
        return;
    }
    cm_accesslog_builder_count(&file->builder, &access, &counted);
    if (!file->options.all && !cm_accesslog_is_page_view(&access)) {
        cm_batch_skip(batch);
        return;
    }
    cm_event_t *event = cm_batch_slot(batch);
    cm_accesslog_builder_event(&file->builder, &counted, &batch->arena, event);
    const cm_bot_kind_t bot = enrich(file, &access, &batch->arena, event, &cut);
    if (bot != CM_BOT_NONE) {
        cm_batch_skip_bot(batch, bot);
        return;
    }
    cm_event_complete(event);
    if (cm_event_check(event, false, &why) < 0) {
        cm_file_reject(file, batch, line->text, line->number, why.text);
        return;
    }
    event->row_key = cm_accesslog_builder_row_key(&file->builder, &counted, event, &batch->arena);
    batch->account.cut_referrers += cut.referrers;
    batch->account.cut_campaigns += cut.campaigns;
    cm_batch_accept(batch);
}

static bool take(cm_file_t *file, cm_batch_t *batch)
{
    cm_line_t line;

    cm_lines_skip_hole(&file->lines);
    const cm_file_step_t step = cm_file_next_line(file, batch, &line);
    if (step == CM_FILE_LINE)
        take_event(file, &line, batch);
    return step != CM_FILE_NO_LINE;
}

/* Counts the line as take_event() did when it returned the event: row keys depend on this count. */
static bool pass(cm_file_t *file, uint64_t position)
{
    cm_access_t access;
    cm_accesslog_line_t counted;
    cm_line_t line;

    cm_lines_skip_hole(&file->lines);
    if (file->lines.offset >= position) /* the hole ends there */
        return true;
    if (!cm_lines_next(&file->lines, &line))
        return false;
    if (!line.too_long && !cm_line_blank(line.text) && parse(file, line.text, &access, NULL) == 0)
        cm_accesslog_builder_count(&file->builder, &access, &counted);
    return true;
}

const cm_file_reader_t cm_file_accesslog = {
    .take = take, .pass = pass, .reached = cm_file_lines_reached};
