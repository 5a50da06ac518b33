/* The options that make a question of `query`. */
#include "cmd/query_by.h"

#define FIELD(name) offsetof(cm_query_by_options_t, name)

const cm_option_t cm_query_by_option_rows[] = {
    {.name = "by",
     .type = CM_OPT_TEXT,
     .offset = FIELD(by),
     .arg = "DIM,...",
     .help = "ask the raw events: a row for each value of these dimensions; '' is the total"},
    {.name = "measures",
     .type = CM_OPT_TEXT,
     .offset = FIELD(measures),
     .arg = "NAME,...",
     .help = "with --by: the columns, or all; default: unique_user_count,visits,clicks,events"},
    {.name = "where",
     .type = CM_OPT_TEXTS,
     .offset = FIELD(where),
     .arg = "CONDITION",
     .help = "with --by: only events for which it holds, such as 'country = Peru'; may be given "
             "many times, all must hold"},
    {.name = "where-visit",
     .type = CM_OPT_TEXTS,
     .offset = FIELD(where_visit),
     .arg = "CONDITION",
     .help = "with --by: only visits that have an event for which it holds"},
    {.name = "where-user",
     .type = CM_OPT_TEXTS,
     .offset = FIELD(where_user),
     .arg = "CONDITION",
     .help = "with --by: only users who have an event for which it holds"},
    {.name = "step",
     .type = CM_OPT_TEXT,
     .offset = FIELD(step),
     .arg = "STEP",
     .help = "with --by: a row for each hour, day, week or month of the span, also without events"},
    {.name = "tz",
     .type = CM_OPT_TEXT,
     .offset = FIELD(zone),
     .arg = "ZONE",
     .help = "with --by: the time zone of days and hours, such as Europe/Berlin; default: UTC"},
    {.name = "compare",
     .type = CM_OPT_TEXT,
     .offset = FIELD(compare),
     .arg = "WHAT",
     .help = "with --by and --from: compare with the span before: previous, or year"},
    {.name = "offset",
     .type = CM_OPT_INT,
     .offset = FIELD(offset),
     .arg = "N",
     .min = 0,
     .max = 1e15,
     .help = "with --by: leave out so many groups before the first"},
    {.name = "values",
     .type = CM_OPT_TEXT,
     .offset = FIELD(values),
     .arg = "DIM",
     .help = "list the values of a dimension with their events"},
    {.name = "store", .type = CM_OPT_ROWS, .offset = FIELD(store), .rows = cm_store_option},
    {.name = "servers",
     .type = CM_OPT_ROWS,
     .offset = FIELD(store),
     .rows = cm_store_server_option_rows},
    {.name = "attribution",
     .type = CM_OPT_ROWS,
     .offset = FIELD(attribution),
     .rows = cm_attribution_option_rows},
    {.name = NULL},
};

const char *cm_query_by_given(const cm_app_t *app, size_t offset)
{
    static const struct {
        const char *name;
        size_t offset;
    } fields[] = {{"by", FIELD(by)},
                  {"values", FIELD(values)},
                  {"measures", FIELD(measures)},
                  {"where", FIELD(where)},
                  {"where-visit", FIELD(where_visit)},
                  {"where-user", FIELD(where_user)},
                  {"step", FIELD(step)},
                  {"tz", FIELD(zone)},
                  {"compare", FIELD(compare)},
                  {"offset", FIELD(offset)}};

    for (size_t f = 0; f < sizeof fields / sizeof fields[0]; f++) {
        if (cm_options_given(app->values, offset + fields[f].offset))
            return fields[f].name;
    }
    return NULL;
}
