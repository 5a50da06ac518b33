#include "cmd/print.h"

#include <sys/ioctl.h>
#include <unistd.h>

enum { FLUSH_BYTES = 1 << 16 };

/* The width of the terminal that stdout is, in columns; 0: it is no terminal, or has no width. */
static size_t terminal_width(const cm_app_t *app)
{
    struct winsize size;
    int fd = fileno(app->out);

    return fd >= 0 && isatty(fd) && ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

void cm_printer_start(cm_printer_t *printer, cm_app_t *app, cm_print_format_t format,
                      const cm_index_query_t *query, bool daily)
{
    *printer = (cm_printer_t){.app = app,
                              .format = format,
                              .daily = daily,
                              .table = {.window = query->window,
                                        .dimension = query->dimension,
                                        .daily = daily,
                                        .width = terminal_width(app)}};
    if (format == CM_PRINT_CSV || format == CM_PRINT_SAFE_CSV)
        cm_answer_add_csv_header(&printer->buf, query->window);
    else if (format == CM_PRINT_JSON)
        cm_buf_add_text(&printer->buf, "[\n");
}

static void add_json(cm_printer_t *printer, const cm_answer_t *answer)
{
    cm_buf_t *buf = &printer->buf;

    cm_buf_add_text(buf, printer->rows > 0 ? ",\n " : " ");
    cm_answer_add_json(buf, answer);
    if (printer->daily) {
        buf->data[buf->len - 1] = ','; /* into the object */
        cm_buf_add_text(buf, "\"visitors\":\"daily\"}");
    }
}

int cm_printer_row(void *context, const cm_answer_t *answer)
{
    cm_printer_t *printer = context;

    if (printer->format == CM_PRINT_TABLE) {
        cm_query_table_add(&printer->table, answer);
    } else if (printer->format == CM_PRINT_CSV) {
        cm_answer_add_csv(&printer->buf, answer);
    } else if (printer->format == CM_PRINT_SAFE_CSV) {
        cm_answer_add_safe_csv(&printer->buf, answer);
    } else {
        add_json(printer, answer);
    }
    printer->rows++;
    return printer->buf.len > FLUSH_BYTES ? cm_app_write(printer->app, &printer->buf) : 0;
}

/* Printed after the table, so that the user reads it last. */
static void note_left_out(const cm_printer_t *printer, const char *const *names)
{
    FILE *messages = printer->app->messages;

    fprintf(messages, "too wide for this terminal, left out: ");
    for (const char *const *name = names; *name != NULL; name++)
        fprintf(messages, "%s%s", name == names ? "" : ", ", *name);
    fprintf(messages, "; --format csv prints all\n");
}

int cm_printer_end(cm_printer_t *printer, int rc)
{
    const char *const *left_out = NULL;

    if (printer->format == CM_PRINT_TABLE)
        left_out = cm_query_table_print(&printer->table, &printer->buf);
    else if (printer->format == CM_PRINT_JSON)
        cm_buf_add_text(&printer->buf, printer->rows > 0 ? "\n]\n" : "]\n");
    if (rc == 0)
        rc = cm_app_write(printer->app, &printer->buf);
    if (rc == 0 && left_out != NULL)
        note_left_out(printer, left_out);
    cm_query_table_free(&printer->table);
    cm_buf_free(&printer->buf);
    return rc;
}
