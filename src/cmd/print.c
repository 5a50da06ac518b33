#include "cmd/print.h"

enum { FLUSH_BYTES = 1 << 16 };

void cm_printer_start(cm_printer_t *printer, cm_app_t *app, cm_print_format_t format,
                      cm_window_t window)
{
    *printer = (cm_printer_t){.app = app, .format = format, .table = {.window = window}};
    if (format == CM_PRINT_CSV)
        cm_answer_add_csv_header(&printer->buf, window);
    else if (format == CM_PRINT_JSON)
        cm_buf_add_text(&printer->buf, "[\n");
}

int cm_printer_row(void *context, const cm_answer_t *answer)
{
    cm_printer_t *printer = context;

    if (printer->format == CM_PRINT_TABLE) {
        cm_query_table_add(&printer->table, answer);
    } else if (printer->format == CM_PRINT_CSV) {
        cm_answer_add_csv(&printer->buf, answer);
    } else {
        cm_buf_add_text(&printer->buf, printer->rows > 0 ? ",\n " : " ");
        cm_answer_add_json(&printer->buf, answer);
    }
    printer->rows++;
    return printer->buf.len > FLUSH_BYTES ? cm_app_write(printer->app, &printer->buf) : 0;
}

int cm_printer_end(cm_printer_t *printer, int rc)
{
    if (printer->format == CM_PRINT_TABLE)
        cm_query_table_print(&printer->table, &printer->buf);
    else if (printer->format == CM_PRINT_JSON)
        cm_buf_add_text(&printer->buf, printer->rows > 0 ? "\n]\n" : "]\n");
    if (rc == 0)
        rc = cm_app_write(printer->app, &printer->buf);
    cm_query_table_free(&printer->table);
    cm_buf_free(&printer->buf);
    return rc;
}
