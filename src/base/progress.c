#include "base/progress.h"

#include "base/clock.h"

enum { BAR = 24, REDRAW_NS = 200 * 1000 * 1000 };

void cm_progress_start(cm_progress_t *progress, FILE *stream, bool terminal, const char *label,
                       const char *unit)
{
    int64_t now = cm_clock_ticks_ns();
    *progress = (cm_progress_t){.stream = stream,
                                .terminal = terminal,
                                .label = label,
                                .unit = unit,
                                .started_ns = now,
                                .shown_ns = now};
}

void cm_buf_add_grouped(cm_buf_t *buf, int64_t value)
{
    cm_buf_t digits = CM_BUF_INIT;

    cm_buf_add_i64(&digits, value);
    for (size_t i = 0; i < digits.len; i++) {
        size_t left = digits.len - i;
        if (i > 0 && left % 3 == 0 && digits.data[i - 1] != '-')
            cm_buf_add_char(buf, ',');
        cm_buf_add_char(buf, digits.data[i]);
    }
    cm_buf_free(&digits);
}

static void add_time_left(cm_buf_t *line, double fraction, double seconds)
{
    if (fraction <= 0.01)
        return;
    int64_t left = (int64_t)(seconds / fraction - seconds + 0.5);
    if (left >= 3600)
        cm_buf_printf(line, ", %lld h %02lld min left", (long long)(left / 3600),
                      (long long)(left / 60 % 60));
    else if (left >= 60)
        cm_buf_printf(line, ", %lld min %02lld s left", (long long)(left / 60),
                      (long long)(left % 60));
    else
        cm_buf_printf(line, ", %lld s left", (long long)left);
}

static void add_bar(cm_buf_t *line, double fraction)
{
    int full = (int)(fraction * BAR);
    cm_buf_add_text(line, " [");
    for (int i = 0; i < BAR; i++)
        cm_buf_add_char(line, i < full ? '#' : '.');
    cm_buf_add_char(line, ']');
}

void cm_progress_show(cm_progress_t *progress, double fraction, uint64_t count)
{
    int64_t now = cm_clock_ticks_ns();
    int64_t wait = progress->terminal ? REDRAW_NS : CM_PROGRESS_LINE_S * INT64_C(1000000000);
    double seconds = (double)(now - progress->started_ns) / 1e9;
    cm_buf_t line = CM_BUF_INIT;

    if (progress->stream == NULL || now - progress->shown_ns < wait)
        return;
    progress->shown_ns = now;
    cm_buf_add_text(&line, progress->label);
    if (fraction >= 0) {
        if (progress->terminal)
            add_bar(&line, fraction);
        cm_buf_printf(&line, " %3.0f %%", fraction * 100);
    }
    if (count > 0) {
        cm_buf_add_text(&line, "  ");
        cm_buf_add_grouped(&line, (int64_t)count);
        cm_buf_printf(&line, " %s, ", progress->unit);
        cm_buf_add_grouped(&line, (int64_t)((double)count / seconds));
        cm_buf_add_text(&line, "/s");
    }
    if (fraction >= 0)
        add_time_left(&line, fraction, seconds);
    cm_progress_status(progress->stream, progress->terminal, &line);
    progress->drawn = progress->terminal;
    cm_buf_free(&line);
}

void cm_progress_line(FILE *stream, cm_str_t text)
{
    /* Carriage return, the text, and "erase to the end of the line" (ECMA-48 EL). */
    fprintf(stream, "\r%.*s\033[K", (int)text.len, text.data);
    fflush(stream);
}

void cm_progress_status(FILE *stream, bool terminal, const cm_buf_t *line)
{
    if (terminal)
        cm_progress_line(stream, (cm_str_t){line->data, line->len});
    else
        fprintf(stream, "%s\n", line->data);
}

void cm_progress_end(cm_progress_t *progress)
{
    if (progress->drawn)
        cm_progress_line(progress->stream, (cm_str_t){"", 0});
    progress->drawn = false;
}
