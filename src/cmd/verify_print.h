/* What verify has found, as a table for people or as one JSON object a row. One thread. */
#ifndef CM_CMD_VERIFY_PRINT_H
#define CM_CMD_VERIFY_PRINT_H

#include "base/arena.h"
#include "cmd/app.h"
#include "index/verify.h"

enum { CM_VERIFY_COLUMNS = 6, CM_VERIFY_LINES = 1000 /* that are aligned together */ };

typedef struct cm_verify_printer {
    cm_app_t *app;
    bool json;
    int64_t limit; /* rows; 0: all */
    int64_t rows;  /* so far, shown or not */
    cm_buf_t out;
    cm_str_t (*lines)[CM_VERIFY_COLUMNS]; /* that are not printed yet */
    int line_count;
    bool headed;
    size_t widths[CM_VERIFY_COLUMNS];
    cm_arena_t texts;
} cm_verify_printer_t;

void cm_verify_printer_start(cm_verify_printer_t *printer, cm_app_t *app, int64_t limit);

/* Adds a row that differs. CM_EIO, CM_ESTOP. */
int cm_verify_printer_add(cm_verify_printer_t *printer, const cm_index_discrepancy_t *discrepancy);

/* Prints what waits and frees the printer. `rc` is what happened meanwhile; returns it, or the
 * failure to write. */
int cm_verify_printer_end(cm_verify_printer_t *printer, int rc);

/* Prints the account: a sentence, or one JSON object. `foreign_rows`: rows of Cassandra's table
 * that other programs wrote; negative: not compared. CM_EIO, CM_ESTOP. */
int cm_verify_print_account(cm_app_t *app, const cm_index_verified_t *done, int64_t newer,
                            int64_t foreign_rows, double seconds);

#endif
