#include "store/open.h"

#include "store/cassandra/events.h"
#include "store/cassandra/store.h"
#include "store/embedded/held.h"
#include "store/embedded/key.h"
#include "store/embedded/seal.h"
#include "store/embedded/store.h"

void cm_store_describe(const cm_store_settings_t *settings, cm_buf_t *text)
{
    const cm_cassandra_settings_t *cassandra = &settings->cassandra;

    if (settings->engine == CM_STORE_CASSANDRA)
        cm_buf_printf(text, "Cassandra at %s, table %s.%s", cassandra->hosts, cassandra->keyspace,
                      cassandra->table);
    else
        cm_buf_add_text(text, settings->data_dir);
}

const char *cm_store_engine(const cm_store_settings_t *settings)
{
    return settings->engine == CM_STORE_CASSANDRA ? "Cassandra" : "the embedded store";
}

bool cm_store_in_data_dir(const cm_store_settings_t *settings)
{
    return settings->engine == CM_STORE_EMBEDDED;
}

const cm_cassandra_settings_t *cm_store_table(const cm_store_settings_t *settings)
{
    return settings->engine == CM_STORE_CASSANDRA ? &settings->cassandra : NULL;
}

int cm_store_open(const cm_store_settings_t *settings, cm_store_t **store, cm_err_t *err)
{
    const cm_store_cassandra_options_t cassandra = {
        .settings = &settings->cassandra, .waiter = settings->waiter, .clock = settings->clock};

    if (settings->engine == CM_STORE_CASSANDRA)
        return cm_store_cassandra_open(&cassandra, store, err);
    int rc = cm_store_embedded_open(settings->data_dir, settings->clock, store, err);
    if (rc == 0)
        (*store)->log = settings->log;
    return rc;
}

int cm_store_open_read(const cm_store_settings_t *settings, cm_store_t **store, cm_err_t *err)
{
    const cm_store_cassandra_options_t cassandra = {.settings = &settings->cassandra,
                                                    .only_read = true};

    if (settings->engine == CM_STORE_CASSANDRA)
        return cm_store_cassandra_open(&cassandra, store, err);
    return cm_store_embedded_open_read(settings->data_dir, store, err);
}

static cm_store_cassandra_source_t source_of(const cm_store_settings_t *settings)
{
    return (cm_store_cassandra_source_t){.settings = &settings->cassandra,
                                         .data_dir = settings->data_dir,
                                         .clock = settings->clock,
                                         .memory = settings->memory};
}

bool cm_store_keeps_copy(const cm_store_settings_t *settings)
{
    return settings->engine == CM_STORE_CASSANDRA && settings->cassandra.only_writer;
}

int cm_store_open_events(const cm_store_settings_t *settings, bool rebuild, cm_store_t **events,
                         cm_store_reading_t *reading, cm_err_t *err)
{
    const cm_store_cassandra_source_t source = source_of(settings);

    *events = NULL;
    if (settings->engine != CM_STORE_CASSANDRA)
        return 0;
    int rc = cm_store_cassandra_events(&source, rebuild, events, reading, err);
    reading->engine = cm_store_engine(settings);
    reading->choice = "cassandra";
    return rc;
}

int cm_store_open_verified(const cm_store_settings_t *settings, cm_store_t **events,
                           cm_store_foreign_t *foreign, cm_err_t *err)
{
    const cm_store_cassandra_source_t source = source_of(settings);

    if (settings->engine == CM_STORE_CASSANDRA)
        return cm_store_cassandra_verified(&source, events, foreign, err);
    *foreign = (cm_store_foreign_t){.wanted = settings->cassandra.only_writer};
    return cm_store_embedded_open_read(settings->data_dir, events, err);
}

int cm_store_open_directory(const char *data_dir, const cm_clock_t *clock, cm_store_t **store,
                            cm_err_t *err)
{
    return cm_store_embedded_open(data_dir, clock, store, err);
}

int cm_store_open_directory_read(const char *data_dir, cm_store_t **store, cm_err_t *err)
{
    return cm_store_embedded_open_read(data_dir, store, err);
}

int cm_store_open_shared(const char *data_dir, const cm_clock_t *clock, const atomic_bool *stop,
                         FILE *messages, cm_store_t **store, cm_err_t *err)
{
    int rc = CM_EBUSY;

    /* The holder may be about to end or about to listen: one more attempt is enough. */
    for (int i = 0; i < 2 && rc == CM_EBUSY; i++) {
        rc = cm_held_open(data_dir, stop, messages, store, err);
        if (rc < 0 || *store != NULL)
            return rc;
        rc = cm_store_embedded_open(data_dir, clock, store, err);
    }
    return rc;
}

long cm_store_holder(const cm_store_t *store)
{
    return cm_held_process(store);
}

bool cm_store_holder_answers(const cm_store_t *store)
{
    return cm_held_answers(store);
}

int cm_store_secret_of(const char *data_dir, uint8_t secret[CM_STORE_SECRET], cm_err_t *err)
{
    return cm_store_embedded_secret_of(data_dir, secret, err);
}

int cm_store_older_keys_of(const char *data_dir, bool *older, cm_err_t *err)
{
    return cm_store_embedded_older_keys_of(data_dir, older, err);
}

int cm_store_find_secret(const char *data_dir, uint8_t secret[CM_STORE_SECRET], bool *found,
                         cm_err_t *err)
{
    return cm_key_of(data_dir, secret, found, err);
}

int cm_store_seal(void *secret, cm_str_t payload, cm_buf_t *out, cm_err_t *err)
{
    return cm_seal_text(secret, payload, out, err);
}

bool cm_store_unseal(const uint8_t secret[CM_STORE_SECRET], cm_str_t sealed, cm_buf_t *out)
{
    return cm_seal_open(secret, sealed, out);
}
