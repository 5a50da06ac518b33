/* The copy of Cassandra's table against a model of it: rows are put, overwritten and deleted, with
 * every kind of row key, and after each step the copy reads as the table is. */
#include "random_extra.h"
#include "store_support.h"

#include "store/cassandra/mirror.h"

enum { ROWS = 400, ROUNDS = 40 };

/* A row of the model. */
typedef struct row {
    char key[CM_UUID_TEXT + 1], user[16], url[16];
    int64_t time;
    bool present;
    cm_event_extra_t extra; /* some have none */
} row_t;

typedef struct model {
    row_t rows[ROWS];
    uint32_t random;
    uint64_t extra;    /* what random optional fields are taken from */
    cm_arena_t fields; /* their memory */
} model_t;

static uint32_t draw(model_t *model, uint32_t below)
{
    model->random = model->random * 1664525 + 1013904223;
    return (model->random >> 8) % below;
}

static void name_key(row_t *row, const char *user, int64_t time)
{
    uint8_t uuid[16];
    char text[CM_UUID_TEXT];

    cm_row_key_derive(cm_str(user), time, uuid);
    cm_uuid_format(uuid, text);
    memcpy(row->key, text, CM_UUID_TEXT);
    row->key[CM_UUID_TEXT] = '\0';
}

static cm_event_t event_of(const row_t *row)
{
    cm_event_t event = test_event(row->user, row->time, row->url, "Chile", row->key);

    if (!cm_event_extra_is_none(&row->extra))
        event.extra = &row->extra;
    return event;
}

static void set_extra(row_t *row, const cm_event_extra_t *extra)
{
    row->extra = extra != NULL ? *extra : CM_EVENT_EXTRA_NONE;
}

/* Engagement whose key follows from all that it says. */
static void name_engagement(row_t *row)
{
    char derived[CM_UUID_TEXT];

    row->extra.text[CM_EXTRA_NAME] = CM_STR("engagement");
    row->extra.engaged_ms = 1;
    cm_event_t event = event_of(row);
    event.row_key = (cm_str_t){NULL, 0};
    const cm_str_t key = cm_event_row_key(&event, derived);
    memcpy(row->key, key.data, CM_UUID_TEXT);
}

/* Keys that follow from user and time, UUIDs of something else, and other texts. */
static void begin(model_t *model)
{
    memset(model, 0, sizeof *model);
    model->random = 7;
    model->extra = 11;
    for (int i = 0; i < ROWS; i++) {
        row_t *row = &model->rows[i];
        snprintf(row->user, sizeof row->user, "user-%d", i % 20);
        row->time = 1700000000000 + i;
        row->extra = CM_EVENT_EXTRA_NONE;
        if (i % 3 == 0)
            name_key(row, row->user, row->time);
        else if (i % 3 == 1)
            name_key(row, "another", i);
        else
            snprintf(row->key, sizeof row->key, "key %d", i);
        if (i % 9 == 0)
            name_engagement(row);
        else
            set_extra(row, random_extra(&model->extra, &model->fields));
    }
}

static void fill(cm_mirror_t *mirror, const model_t *model)
{
    const cm_mirror_state_t state = {.table = "t", .changes = "c", .read_ms = 5};
    const cm_store_changes_t changes = {.writers = NULL};
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err;

    for (int i = 0; i < ROWS; i++) {
        if (model->rows[i].present)
            test_add(&batch, event_of(&model->rows[i]));
    }
    assert_ok(cm_mirror_begin(mirror, &err), err);
    assert_ok(cm_mirror_fill(mirror, &batch, &err), err);
    assert_ok(cm_mirror_end(mirror, &state, &changes, &err), err);
    cm_batch_free(&batch);
}

/* Each row of the model is there once, and no other one; ordinals have no gaps. */
static void check(cm_mirror_t *mirror, const model_t *model)
{
    const cm_block_ref_t *blocks;
    cm_columns_t columns = {0}, names = {0};
    bool seen[ROWS] = {false};
    cm_reader_t *reader;
    size_t count;
    int64_t events = 0, wanted = 0;
    cm_err_t err;

    assert_ok(cm_store_reader(cm_mirror_store(mirror), &reader, &err), err);
    assert_ok(cm_reader_blocks(reader, &blocks, &count, &err), err);
    for (size_t b = 0; b < count; b++) {
        assert_int_equal(events, blocks[b].first);
        assert_ok(cm_reader_read(reader, &blocks[b], CM_READ_ALL, &columns, &err), err);
        assert_ok(cm_reader_read(reader, &blocks[b], CM_READ_HOT | CM_READ_VIEWS, &names, &err),
                  err);
        assert_int_equal(blocks[b].count, columns.count);
        assert_int_equal(events, columns.first);
        for (uint32_t i = 0; i < columns.count; i++) {
            cm_store_room_t room;
            char derived[CM_UUID_TEXT];
            cm_event_t event;
            int at = 0;
            assert_ok(cm_store_event_at(reader, &columns, i, &event, &room, &err), err);
            cm_str_t row_key = cm_event_row_key(&event, derived);
            while (at < ROWS && !cm_str_equal(row_key, cm_str(model->rows[at].key)))
                at++;
            assert_true(at < ROWS);
            const row_t *row = &model->rows[at];
            assert_true(row->present);
            assert_false(seen[at]);
            seen[at] = true;
            assert_true(cm_str_equal(event.user_id, cm_str(row->user)));
            assert_true(cm_str_equal(event.url, cm_str(row->url)));
            assert_int_equal(row->time, event.timestamp);
            assert_true(cm_event_extra_equal(event.extra, event_of(row).extra));
            assert_int_equal(cm_event_is_view(&event), cm_wide_is_view(&names.wide, i));
        }
        events += columns.count;
    }
    for (int i = 0; i < ROWS; i++)
        wanted += model->rows[i].present;
    assert_int_equal(wanted, events);
    assert_int_equal(wanted, cm_mirror_events(mirror));
    cm_columns_free(&columns);
    cm_columns_free(&names);
    cm_reader_close(reader);
}

/* Changes a row: its text, its time (then its key may follow no more, or follow again), its
 * optional fields, or whether it is there. */
static bool change(model_t *model, row_t *row)
{
    const row_t before = *row;

    switch (draw(model, 8)) {
    case 0:
        row->present = false;
        break;
    case 1:
        row->present = true;
        row->time = 1700000000000 + (row - model->rows) + (int64_t)draw(model, 2);
        break;
    case 2: /* as it is: it was written again */
        break;
    case 3:
        row->present = true;
        row->extra.text[CM_EXTRA_NAME] = draw(model, 2) ? CM_STR("engagement") : CM_STR("");
        row->extra.engaged_ms =
            row->extra.text[CM_EXTRA_NAME].len > 0 ? (int32_t)draw(model, 3) : -1;
        break;
    case 4:
    case 5:
        row->present = true;
        set_extra(row, random_extra(&model->extra, &model->fields));
        break;
    default:
        row->present = true;
        snprintf(row->url, sizeof row->url, "/%u", draw(model, 4));
    }
    return row->present &&
           (!before.present || before.time != row->time || strcmp(before.url, row->url) != 0 ||
            !cm_event_extra_equal(&before.extra, &row->extra));
}

static void round_of_changes(cm_mirror_t *mirror, model_t *model, uint32_t share)
{
    const cm_mirror_state_t state = {.table = "t", .changes = "c", .read_ms = 6};
    const cm_store_changes_t changes = {.writers = NULL};
    static cm_mirror_row_t rows[ROWS];
    int64_t changed, wanted = 0;
    size_t count = 0;
    cm_err_t err;

    for (int i = 0; i < ROWS; i++) {
        row_t *row = &model->rows[i];
        if (draw(model, share) != 0)
            continue;
        wanted += change(model, row);
        rows[count++] = (cm_mirror_row_t){
            .key = cm_str(row->key), .present = row->present, .event = event_of(row)};
    }
    assert_ok(cm_mirror_put(mirror, rows, count, &changed, &err), err);
    assert_int_equal(wanted, changed);
    assert_ok(cm_mirror_end(mirror, &state, &changes, &err), err);
}

static void it_is_as_the_table(void **state)
{
    char *directory = test_directory();
    static model_t model;
    cm_mirror_t *mirror;
    cm_mirror_state_t of;
    cm_err_t err;

    (void)state;
    begin(&model);
    assert_ok(cm_mirror_open(directory, NULL, &mirror, &err), err);
    assert_ok(cm_mirror_state(mirror, &of, &err), err);
    assert_string_equal("", of.table);
    for (int i = 0; i < ROWS; i += 2)
        change(&model, &model.rows[i]);
    fill(mirror, &model);
    check(mirror, &model);
    for (int i = 0; i < ROUNDS; i++) {
        round_of_changes(mirror, &model, i % 2 == 0 ? 20 : 2);
        if (i % 5 == 0) {
            cm_mirror_close(mirror);
            assert_ok(cm_mirror_open(directory, NULL, &mirror, &err), err);
            assert_ok(cm_mirror_state(mirror, &of, &err), err);
        }
        check(mirror, &model);
    }
    assert_true(cm_mirror_replaced(mirror) > 100);
    assert_string_equal("t", of.table);
    assert_string_equal("c", of.changes);
    assert_int_equal(6, of.read_ms);
    fill(mirror, &model); /* once more */
    check(mirror, &model);
    assert_int_equal(0, cm_mirror_replaced(mirror));
    cm_mirror_close(mirror);
    cm_arena_free(&model.fields);
    test_remove(directory);
}

/* What is put and not ended is not there the next time. */
static void nothing_by_halves(void **state)
{
    char *directory = test_directory();
    static model_t model;
    cm_mirror_t *mirror;
    int64_t changed;
    cm_err_t err;

    (void)state;
    begin(&model);
    for (int i = 0; i < ROWS; i++)
        model.rows[i].present = true;
    assert_ok(cm_mirror_open(directory, NULL, &mirror, &err), err);
    fill(mirror, &model);
    const cm_mirror_row_t gone = {.key = cm_str(model.rows[5].key)};
    assert_ok(cm_mirror_put(mirror, &gone, 1, &changed, &err), err);
    cm_mirror_close(mirror);
    assert_ok(cm_mirror_open(directory, NULL, &mirror, &err), err);
    check(mirror, &model);
    cm_mirror_close(mirror);
    cm_arena_free(&model.fields);
    test_remove(directory);
}

/* What is known of the writers, and entries that are not settled, come back as they were. */
static void writers_and_entries(void **state)
{
    const cm_mirror_state_t of = {.table = "t", .changes = "c"};
    char *directory = test_directory();
    cm_store_changes_t changes = {.writers = NULL}, back = {.writers = NULL};
    cm_buf_t keys = CM_BUF_INIT;
    cm_mirror_t *mirror;
    cm_str_t rest, key;
    cm_err_t err;

    (void)state;
    cm_cassandra_changes_add_key(&keys, CM_STR("one"));
    cm_cassandra_changes_add_key(&keys, CM_STR(""));
    cm_cassandra_changes_add_key(&keys, CM_STR("three"));
    *cm_store_changes_add_writer(&changes, 77) =
        (cm_store_change_writer_t){.number = 77, .next = 5, .settled = 3, .there = true};
    *cm_store_changes_add_writer(&changes, 78) =
        (cm_store_change_writer_t){.number = 78, .next = 9};
    for (int i = 3; i < 5; i++) {
        const cm_store_change_entry_t entry = {.writer = 77,
                                               .seq = i,
                                               .first_us = 100 * i,
                                               .last_us = 100 * i + 2,
                                               .keys = {keys.data, keys.len},
                                               .settled = i == 3};
        cm_store_changes_add_entry(&changes, &entry);
    }
    assert_ok(cm_mirror_open(directory, NULL, &mirror, &err), err);
    assert_ok(cm_mirror_begin(mirror, &err), err);
    assert_ok(cm_mirror_end(mirror, &of, &changes, &err), err);
    cm_mirror_close(mirror);
    assert_ok(cm_mirror_open_read(directory, &mirror, &err), err);
    assert_ok(cm_mirror_changes(mirror, &back, &err), err);
    assert_int_equal(1, back.writer_count); /* the other one has ended long ago */
    assert_int_equal(77, back.writers[0].number);
    assert_int_equal(5, back.writers[0].next);
    assert_int_equal(3, back.writers[0].settled);
    assert_int_equal(1, back.entry_count);
    assert_int_equal(4, back.entries[0].seq);
    assert_int_equal(400, back.entries[0].first_us);
    assert_int_equal(402, back.entries[0].last_us);
    rest = back.entries[0].keys;
    assert_true(cm_cassandra_changes_next_key(&rest, &key) && cm_str_equal(key, CM_STR("one")));
    assert_true(cm_cassandra_changes_next_key(&rest, &key) && key.len == 0);
    assert_true(cm_cassandra_changes_next_key(&rest, &key) && cm_str_equal(key, CM_STR("three")));
    assert_false(cm_cassandra_changes_next_key(&rest, &key));
    rest = (cm_str_t){"\5\0ab", 4}; /* damaged */
    assert_false(cm_cassandra_changes_next_key(&rest, &key));
    cm_mirror_close(mirror);
    cm_store_changes_free(&changes);
    cm_store_changes_free(&back);
    cm_buf_free(&keys);
    test_remove(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_as_the_table),
        cmocka_unit_test(nothing_by_halves),
        cmocka_unit_test(writers_and_entries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
