/* The parameters of an API request: what stands behind the `?`, checked, as a query.
 *
 * Texts of the query are those given to cm_params_set() and must live as long as it. */
#ifndef CM_SERVE_PARAMS_H
#define CM_SERVE_PARAMS_H

#include "base/err.h"
#include "index/index.h"

enum {
    CM_PARAMS_LIMIT = 100,
    CM_PARAMS_LIMIT_MAX = 10000,
    CM_PARAMS_OFFSET_MAX = 100000, /* who wants rows further behind downloads them */
};

typedef struct cm_params {
    cm_index_query_t query; /* all but the dimension */
    bool csv;               /* format=csv */
    bool safe;              /* safe=1: no text of it is a formula */
    unsigned given;         /* one bit a parameter */
} cm_params_t;

/* The defaults: all time, clicks first, CM_PARAMS_LIMIT rows, JSON. */
void cm_params_init(cm_params_t *params);

/* Sets one parameter by its name. `value` may hold any bytes and is followed by a NUL; NULL stands
 * for a name without `=`. CM_EUSAGE with a sentence that names the parameter and what it takes. */
int cm_params_set(cm_params_t *params, cm_str_t name, cm_str_t value, cm_err_t *err);

/* Checks what only all parameters together can tell, and settles what follows from it: CSV without
 * a limit is a download of all rows. CM_EUSAGE. */
int cm_params_check(cm_params_t *params, cm_err_t *err);

/* The media type of the answer. */
const char *cm_params_type(const cm_params_t *params);

#endif
