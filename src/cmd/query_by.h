/* `clickmill query --by`: a question to the raw events (mill/question.h). One thread. */
#ifndef CM_CMD_QUERY_BY_H
#define CM_CMD_QUERY_BY_H

#include "cmd/app.h"
#include "cmd/print.h"
#include "enrich/options.h"

typedef struct cm_query_by_options {
    const char *by, *values, *measures, *step, *zone, *compare;
    cm_option_texts_t where, where_visit, where_user;
    int64_t offset;
    cm_store_options_t store;
    cm_attribution_settings_t attribution;
} cm_query_by_options_t;

/* For a cm_query_by_options_t. */
extern const cm_option_t cm_query_by_option_rows[];

/* What `query` has with and without a question. */
typedef struct cm_query_common {
    const char *listing; /* "pages", as the argument was given; NULL: none */
    const char *from, *to, *sort;
    bool reverse;
    int64_t limit;
    cm_print_format_t format;
} cm_query_common_t;

/* The first option that makes a question of the command and was given, without its dashes; NULL:
 * none. `offset`: of the options in the command's struct. */
const char *cm_query_by_given(const cm_app_t *app, size_t offset);

/* Asks and prints. `given`: that option. */
int cm_query_by(cm_app_t *app, const cm_query_by_options_t *options,
                const cm_query_common_t *common, const char *given);

#endif
