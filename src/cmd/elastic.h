/* Options that say where the answers are kept and where Elasticsearch is, shared by all commands
 * that use it. */
#ifndef CM_CMD_ELASTIC_H
#define CM_CMD_ELASTIC_H

#include "cmd/app.h"
#include "elastic/options.h"
#include "index/elasticsearch/elasticsearch.h"
#include "index/options.h"

/* Opens the index that `choice` (cm_index_choice_t) means for reading. */
int cm_index_open_chosen(const cm_app_t *app, int choice, const cm_elastic_settings_t *settings,
                         cm_index_t **index, cm_err_t *err);

#endif
