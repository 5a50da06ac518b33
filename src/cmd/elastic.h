/* Options that say where the answers are kept and where Elasticsearch is, shared by all commands
 * that use it. */
#ifndef CM_CMD_ELASTIC_H
#define CM_CMD_ELASTIC_H

#include "cmd/app.h"
#include "elastic/options.h"
#include "index/elasticsearch/elasticsearch.h"

/* Which index: also the position in its row's choices. */
typedef enum cm_index_choice {
    CM_INDEX_EMBEDDED,
    CM_INDEX_ELASTICSEARCH,
} cm_index_choice_t;

/* The row of an option table for an int that is the member `m` of struct `s`. */
#define CM_INDEX_ROW(s, m)                                                                         \
    {                                                                                              \
        .name = "index", .type = CM_OPT_CHOICE, .offset = offsetof(s, m), .arg = "INDEX",          \
        .def = "embedded", .choices = "embedded|elasticsearch", .key = "index",                    \
        .help = "where the answers are kept"                                                       \
    }

/* Opens the index that `choice` (cm_index_choice_t) means for reading. */
int cm_index_open_chosen(const cm_app_t *app, int choice, const cm_elastic_settings_t *settings,
                         cm_index_t **index, cm_err_t *err);

#endif
