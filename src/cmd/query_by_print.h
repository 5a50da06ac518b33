/* Printing the answer to a question: rows to stdout, notes to the messages. One thread. */
#ifndef CM_CMD_QUERY_BY_PRINT_H
#define CM_CMD_QUERY_BY_PRINT_H

#include "cmd/print.h"
#include "mill/report.h"

int cm_query_by_print(cm_app_t *app, cm_report_t *report, cm_print_format_t format);

#endif
