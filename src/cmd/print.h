/* Printing answers to stdout, for `query` and `import --to-answers`. The printer belongs to the
 * caller. One thread. */
#ifndef CM_CMD_PRINT_H
#define CM_CMD_PRINT_H

#include "cmd/app.h"
#include "cmd/query_table.h"

typedef enum cm_print_format {
    CM_PRINT_TABLE,
    CM_PRINT_CSV,
    CM_PRINT_JSON,
    CM_PRINT_SAFE_CSV, /* no text in it can be a formula; not a choice of its own */
} cm_print_format_t;

typedef struct cm_printer {
    cm_app_t *app;
    cm_print_format_t format;
    bool daily;
    cm_buf_t buf;
    int64_t rows;
    cm_query_table_t table;
} cm_printer_t;

/* Begins the output; its header, where it has one. `query`: what is asked for; `daily`: its users
 * are daily visitors. On a terminal a table fits into its width. */
void cm_printer_start(cm_printer_t *printer, cm_app_t *app, cm_print_format_t format,
                      const cm_index_query_t *query, bool daily);

/* A cm_answer_fn whose context is the printer. */
int cm_printer_row(void *context, const cm_answer_t *answer);

/* Ends the output and frees the printer. `rc` is what happened meanwhile: after a failure nothing
 * more is printed. Returns it, or the failure to write. */
int cm_printer_end(cm_printer_t *printer, int rc);

#endif
