/* The parameters of an API request, which follow the `?`, checked and as a query.
 *
 * The query borrows the texts that were given to cm_params_set(). One thread at a time. */
#ifndef CM_SERVE_PARAMS_H
#define CM_SERVE_PARAMS_H

#include "base/err.h"
#include "index/index.h"

enum {
    CM_PARAMS_LIMIT = 100,
    CM_PARAMS_LIMIT_MAX = 10000,
    CM_PARAMS_OFFSET_MAX = 100000, /* rows after that have to be downloaded */
};

typedef struct cm_params {
    cm_index_query_t query; /* all but the dimension */
    bool csv;               /* format=csv */
    bool safe;              /* safe=1: no text in it is a formula of a spreadsheet */
    unsigned given;         /* one bit a parameter */
    cm_str_t
        question; /* to the raw events instead (questions.h); data NULL: a query of the index */
} cm_params_t;

/* The defaults: all time, clicks first, CM_PARAMS_LIMIT rows, JSON. */
void cm_params_init(cm_params_t *params);

/* Sets one parameter by its name. `value` may hold any bytes and is followed by a NUL; NULL means
 * a name without `=`. CM_EUSAGE with a sentence that names the parameter and its values. */
int cm_params_set(cm_params_t *params, cm_str_t name, cm_str_t value, cm_err_t *err);

/* Checks the parameters together, and sets what follows from them: CSV without a limit is a
 * download of all rows. CM_EUSAGE. */
int cm_params_check(cm_params_t *params, cm_err_t *err);

/* The media type of the answer. */
const char *cm_params_type(const cm_params_t *params);

#endif
