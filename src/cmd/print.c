#include "cmd/print.h"

enum { FLUSH_BYTES = 1 << 16 };

void cm_printer_start(cm_printer_t *printer, cm_app_t *app, cm_print_format_t format,
                      const cm_index_query_t *query, bool daily)
{
    *printer = (cm_printer_t){.app = app, .format = format, .daily = daily};
    cm_query_table_start(&printer->table, query, daily, cm_text_table_terminal(app->out));
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

int cm_printer_end(cm_printer_t *printer, int rc)
{
    const cm_text_table_t *table = &printer->table.table;
    size_t shown = table->column_count;

    if (printer->format == CM_PRINT_TABLE)
        shown = cm_text_table_print(table, &printer->buf);
    else if (printer->format == CM_PRINT_JSON)
        cm_buf_add_text(&printer->buf, printer->rows > 0 ? "\n]\n" : "]\n");
    if (rc == 0)
        rc = cm_app_write(printer->app, &printer->buf);
    if (rc == 0) /* after the table, so that the user reads it last */
        cm_text_table_note_left_out(table, shown, printer->app->messages);
    cm_query_table_free(&printer->table);
    cm_buf_free(&printer->buf);
    return rc;
}
