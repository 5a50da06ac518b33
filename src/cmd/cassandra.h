/* Options that say where Cassandra is, shared by all commands that use it. */
#ifndef CM_CMD_CASSANDRA_H
#define CM_CMD_CASSANDRA_H

#include "cassandra/options.h"
#include "cmd/app.h"
#include "store/cassandra/store.h"
#include "store/options.h"

/* All of the table into a store in memory (store/memory.h), in the form in which the mill reads it;
 * says how many rows are no events. */
int cm_cassandra_to_memory(cm_app_t *app, const cm_cassandra_options_t *given, cm_store_t *into,
                           cm_account_t *account);

/* Says how many rows are no events, where there are any. */
void cm_cassandra_say_left_out(cm_app_t *app, const cm_account_t *account);

#endif
