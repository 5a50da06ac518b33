#include "cassandra_world.h"

#include "random_extra.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

world_has_t world_has;

static void answer_row_texts(cql_fake_conn_t *c, int stream, const char *columns, int rows,
                             const char *const *cells, int count)
{
    cm_buf_t *buf = cql_fake_begin(c, stream, CM_CQL_OP_RESULT);

    cm_cql_add_i32(buf, 2);
    cql_put_metadata(buf, columns, NULL);
    cm_cql_add_i32(buf, rows);
    for (int i = 0; i < count; i++)
        cql_put_cell_text(buf, cells[i]);
    cql_fake_end(c);
}

static void answer_contract(cql_fake_conn_t *c, int stream)
{
    const char *const cells[] = {
        "row_key",   "partition_key", world_has.column_type,
        "user_id",   "regular",       "text",
        "timestamp", "regular",       "timestamp",
        "url",       "regular",       "text",
        "country",   "regular",       "text",
        "city",      "regular",       "text",
        "browser",   "regular",       "text",
        "os",        "regular",       "text",
        "device",    "regular",       "text",
        "more",      "regular",       "int",
    };
    const char *all[sizeof cells / sizeof *cells + 3 * CM_EXTRA_COUNT];
    int count = sizeof cells / sizeof *cells;

    memcpy(all, cells, sizeof cells);
    for (int i = 0; i < world_has.extra; i++) {
        all[count++] = cm_extra_names[i];
        all[count++] = "regular";
        all[count++] = i == CM_EXTRA_NAME      ? world_has.name_type
                       : i == CM_EXTRA_PROPS   ? "map<text, text>"
                       : i == CM_EXTRA_ENGAGED ? "int"
                                               : "text";
    }
    answer_row_texts(c, stream, "column_name:d kind:d type:d", world_has.table ? count / 3 : 0, all,
                     world_has.table ? count : 0);
}

#define NINE "row_key:d user_id:d timestamp:b url:d country:d city:d browser:d os:d device:d"
#define EXTRA                                                                                      \
    " name:d referrer:d utm_source:d utm_medium:d utm_campaign:d utm_term:d utm_content:d "        \
    "browser_version:d os_version:d region:d language:d props:21 engaged_ms:9"

/* The rows that were written, in the first of the ranges. */
static void answer_rows(cql_fake_conn_t *c, int stream, bool first)
{
    cm_buf_t *buf = cql_fake_begin(c, stream, CM_CQL_OP_RESULT);
    const int count = first ? world_has.row_count : 0;

    world_has.scans += first;
    cm_cql_add_i32(buf, 2);
    cql_put_metadata(buf, NINE EXTRA, NULL);
    cm_cql_add_i32(buf, count);
    for (int i = 0; i < count; i++) {
        for (int column = 0; column < CM_CASSANDRA_COLUMNS; column++) {
            const cm_str_t cell = world_has.rows[i][column];
            if (cell.data == NULL)
                cm_cql_add_i32(buf, -1);
            else
                cql_put_cell(buf, cell.data, cell.len);
        }
    }
    cql_fake_end(c);
}

/* Five rows in the first of the ranges; the last one has no user. */
static void answer_scan(cql_fake_conn_t *c, int stream, bool first)
{
    cm_buf_t *buf = cql_fake_begin(c, stream, CM_CQL_OP_RESULT);

    world_has.scans += first;
    cm_cql_add_i32(buf, 2);
    cql_put_metadata(buf, NINE, NULL);
    cm_cql_add_i32(buf, first ? 5 : 0);
    for (int i = 0; first && i < 5; i++) {
        char key[16], user[16];
        uint64_t time = __builtin_bswap64((uint64_t)(1000 + i));
        snprintf(key, sizeof key, "key-%d", i);
        snprintf(user, sizeof user, "u%d", i % 2);
        cql_put_cell_text(buf, key);
        if (i < 4)
            cql_put_cell_text(buf, user);
        else
            cm_cql_add_i32(buf, -1);
        cql_put_cell(buf, &time, 8);
        cql_put_cell_text(buf, "/page");
        for (int text = 0; text < 5; text++)
            cql_put_cell_text(buf, text == 0 ? "Chile" : "x");
    }
    cql_fake_end(c);
}

static void answer_ids(cql_fake_conn_t *c, int stream, bool there)
{
    cm_buf_t *buf = cql_fake_begin(c, stream, CM_CQL_OP_RESULT);

    cm_cql_add_i32(buf, 2);
    cql_put_metadata(buf, "id:c default_time_to_live:9", NULL);
    cm_cql_add_i32(buf, there ? 1 : 0);
    if (there) {
        cql_put_cell(buf, "0123456789abcdef", 16);
        cql_put_cell(buf, "\0\0\0\0", 4);
    }
    cql_fake_end(c);
}

static void answer_companion(cql_fake_conn_t *c, int stream)
{
    static const char *const cells[] = {
        "part",   "text",     "seq",    "bigint",  "done",   "bigint", "end_seq",
        "bigint", "first_us", "bigint", "last_us", "bigint", "keys",   "blob",
    };
    answer_row_texts(c, stream, "column_name:d type:d", world_has.companion ? 7 : 0, cells,
                     world_has.companion ? 14 : 0);
}

bool world_answer(cql_fake_conn_t *c, int stream, const char *text, cm_str_t first)
{
    static const char *const local[] = {"5.0-fake", "fakes", "dc1"};

    if (strstr(text, "release_version") != NULL) {
        answer_row_texts(c, stream, "release_version:d cluster_name:d data_center:d", 1, local, 3);
    } else if (strstr(text, "SELECT replication") != NULL) {
        cm_buf_t *buf = cql_fake_begin(c, stream, CM_CQL_OP_RESULT);
        cm_cql_add_i32(buf, 2);
        cql_put_metadata(buf, "replication:21", NULL);
        cm_cql_add_i32(buf, world_has.keyspace ? 1 : 0);
        if (world_has.keyspace)
            cql_put_cell(buf, "\0\0\0\0", 4);
        cql_fake_end(c);
    } else if (strstr(text, "default_time_to_live") != NULL) {
        answer_ids(c, stream,
                   strstr(text, "_changes'") != NULL ? world_has.companion : world_has.table);
    } else if (strstr(text, "SELECT column_name, type") != NULL) {
        answer_companion(c, stream);
    } else if (strstr(text, "column_name, kind, type") != NULL) {
        answer_contract(c, stream);
    } else if (strncmp(text, "CREATE", 6) == 0 || strncmp(text, "ALTER", 5) == 0) {
        snprintf(world_has.changes[world_has.change_count++ % TEXTS], sizeof world_has.changes[0],
                 "%s", text);
        world_has.keyspace |= strncmp(text, "CREATE KEYSPACE", 15) == 0;
        world_has.companion |= strstr(text, "_changes\"") != NULL;
        world_has.table |= strncmp(text, "CREATE TABLE", 12) == 0;
        if (strstr(text, "engaged_ms") != NULL)
            world_has.extra = CM_EXTRA_COUNT;
        return false;
    } else if (strstr(text, "token(") != NULL) {
        (world_has.extra == CM_EXTRA_COUNT ? answer_rows : answer_scan)(
            c, stream, cm_cql_load_i64(first.data) == INT64_MIN);
    } else {
        return false;
    }
    return true;
}

static void *pump(void *context)
{
    world_t *world = context;
    bool over = false;

    while (!over) {
        pthread_mutex_lock(&world->lock);
        int moved = cql_fake_pump(&world->fake);
        over = world->over;
        pthread_mutex_unlock(&world->lock);
        if (moved == 0)
            usleep(200);
    }
    return NULL;
}

int world_setup(void **state)
{
    static world_t world;

    memset(&world, 0, sizeof world);
    memset(&world_has, 0, sizeof world_has);
    world_has.random = 5;
    world_has.keyspace = world_has.table = true;
    world_has.column_type = world_has.name_type = "text";
    cql_fake_open(&world.fake, 1);
    world.fake.answer = world_answer;
    snprintf(world.hosts, sizeof world.hosts, "127.0.0.1:%d", world.fake.nodes[0].port);
    world.settings = (cm_cassandra_settings_t){.hosts = world.hosts,
                                               .port = world.fake.nodes[0].port,
                                               .keyspace = "clicks",
                                               .table = "events",
                                               .consistency = CM_CQL_LOCAL_QUORUM,
                                               .connections = 1,
                                               .in_flight = 64,
                                               .batch_bytes = 2000,
                                               .timeout_ms = 10000};
    pthread_mutex_init(&world.lock, NULL);
    pthread_create(&world.thread, NULL, pump, &world);
    *state = &world;
    return 0;
}

int world_teardown(void **state)
{
    world_t *world = *state;

    pthread_mutex_lock(&world->lock);
    world->over = true;
    pthread_mutex_unlock(&world->lock);
    pthread_join(world->thread, NULL);
    cql_fake_shut(&world->fake);
    pthread_mutex_destroy(&world->lock);
    cm_arena_free(&world_has.cells);
    return 0;
}

cm_store_t *world_open_store(world_t *world, const cm_waiter_t *waiter)
{
    const cm_store_cassandra_options_t options = {.settings = &world->settings, .waiter = waiter};
    cm_store_t *store = NULL;
    cm_err_t err = {0};

    assert_ok(cm_store_cassandra_open(&options, &store, &err), err);
    return store;
}

void world_refuse(world_t *world, bool only_read, int code, const char *words)
{
    const cm_store_cassandra_options_t options = {.settings = &world->settings,
                                                  .only_read = only_read};
    cm_store_t *store = NULL;
    cm_err_t err = {0};

    assert_int_equal(code, cm_store_cassandra_open(&options, &store, &err));
    if (strstr(err.text, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.text, words);
}

static void keep_row(void *context, const cm_str_t *values, int count)
{
    (void)context;
    assert_int_equal(CM_CASSANDRA_COLUMNS + 1, count); /* and the time of the write */
    assert_in_range(world_has.row_count, 0, WORLD_ROWS - 1);
    cm_str_t *cells = world_has.rows[world_has.row_count++];
    for (int i = 0; i < CM_CASSANDRA_COLUMNS; i++) {
        if (values[i].data != NULL)
            cells[i] = cm_arena_copy(&world_has.cells, values[i]);
    }
}

void world_extend(world_t *world)
{
    world->settings.extended = true;
    world_has.extra = CM_EXTRA_COUNT;
    world->fake.wrote = keep_row;
}

const cm_str_t *world_row(world_t *world, const cm_event_t *event)
{
    const cm_str_t *found = NULL;

    pthread_mutex_lock(&world->lock);
    for (int i = 0; i < world_has.row_count && found == NULL; i++) {
        if (cm_str_equal(world_has.rows[i][0], event->row_key))
            found = world_has.rows[i];
    }
    pthread_mutex_unlock(&world->lock);
    assert_non_null(found);
    return found;
}

void world_fill(cm_batch_t *batch, int from, int count)
{
    cm_batch_clear(batch);
    for (int i = from; i < from + count; i++) {
        char text[16];
        cm_event_t *event = cm_batch_slot(batch);
        snprintf(text, sizeof text, "r%d", i);
        *event = (cm_event_t){.row_key = cm_arena_copy(&batch->arena, cm_str(text)),
                              .user_id = CM_STR("visitor"),
                              .timestamp = 1747476303000 + i,
                              .url = CM_STR("https://www.example.com/")};
        if (world_has.extra == CM_EXTRA_COUNT)
            event->extra = random_extra(&world_has.random, &batch->arena);
        cm_event_complete(event);
        cm_batch_accept(batch);
    }
}

void world_check_seen(world_t *world, int count, int least, int most)
{
    pthread_mutex_lock(&world->lock);
    for (int i = 0; i < count; i++)
        assert_in_range(world->fake.seen[i], least, most);
    pthread_mutex_unlock(&world->lock);
}
