#include "cmd/cassandra.h"

void cm_cassandra_say_left_out(cm_app_t *app, const cm_account_t *account)
{
    if (account->rejected > 0)
        fprintf(app->messages,
                "%llu rows are no events of the contract and were left out; `clickmill export "
                "--store cassandra` names the first\n",
                (unsigned long long)account->rejected);
}

int cm_cassandra_to_memory(cm_app_t *app, const cm_cassandra_options_t *given, cm_store_t *into,
                           cm_account_t *account)
{
    const cm_cassandra_settings_t settings = cm_cassandra_settings_of(given, &app->log, app->stop);

    int rc = cm_store_cassandra_load_all(&settings, into, account, &app->err);
    if (rc == 0)
        cm_cassandra_say_left_out(app, account);
    return rc;
}
