/* Options that say where Cassandra is, shared by all commands that use it. */
#ifndef CM_CMD_CASSANDRA_H
#define CM_CMD_CASSANDRA_H

#include "cassandra/options.h"
#include "cmd/app.h"
#include "store/cassandra/store.h"

/* Which store: also the position in its row's choices. */
typedef enum cm_store_choice {
    CM_STORE_EMBEDDED,
    CM_STORE_CASSANDRA,
} cm_store_choice_t;

/* The row of an option table for an int that is the member `m` of struct `s`. */
#define CM_STORE_ROW(s, m)                                                                         \
    {                                                                                              \
        .name = "store", .type = CM_OPT_CHOICE, .offset = offsetof(s, m), .arg = "STORE",          \
        .def = "embedded", .choices = "embedded|cassandra", .key = "store",                        \
        .help = "where the raw events are kept"                                                    \
    }

/* All of the table into a store in memory (store/memory.h), in the form in which the mill reads it;
 * says how many rows are no events. */
int cm_cassandra_to_memory(cm_app_t *app, const cm_cassandra_options_t *given, cm_store_t *into,
                           cm_account_t *account);

/* Says how many rows are no events, where there are any. */
void cm_cassandra_say_left_out(cm_app_t *app, const cm_account_t *account);

#endif
