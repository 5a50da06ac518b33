#include "load_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void load_add_event(cm_buf_t *text, uint64_t *random)
{
    static const char *const forms[] = {
        "{\"row_key\": \"key-%d\", \"user_id\": \"u%d\", \"timestamp\": %lld, \"url\": \"/a\"}",
        "{\"row_key\":\"%d\",\"user_id\":\"u%d\",\"timestamp\":%lld,\"url\":\"/\",\"os\":\"X\"}",
        "{\"x\":[%d],\"user_id\":\"u%d\",\"timestamp\":\"%lld\",\"url\":\"\\u00e4\"}",
        "{\"city\":\"\xC3\xA4%d\",\"url\":\"/"
        "\xE2\x82\xAC\",\"user_id\":\"u%d\",\"timestamp\":%lld}",
        "{\"props\": {\"n\": %d, \"b\": null, \"a\": \"\\u00e4\"}, \"user_id\": \"u%d\", "
        "\"timestamp\": %lld, \"name\": \"signup\", \"url\": \"/\"}",
        "{\"language\":\"%d\",\"user_id\":\"u%d\",\"timestamp\":%lld,\"url\":\"/\",\"utm_term\":"
        "\"x\",\"name\":\"engagement\",\"engaged_ms\":86400000}",
        "  "
        "{\"device\":\"%d\"\r,\"user_id\":\"\xF0\x9F\x98\x80%d\",\"timestamp\":%lld,\"url\":\"b\"}"
        "\t",
    };
    cm_buf_printf(text, forms[test_random(random) % 7], (int)(test_random(random) % 1000),
                  (int)(test_random(random) % 9),
                  1700000000000LL + (long long)(test_random(random) % 100000));
}

/* What is no event: malformed, against a rule, blank. */
static void load_add_other(cm_buf_t *text, uint64_t *random)
{
    static const cm_str_t others[] = {
        {"", 0},
        {" \t ", 3},
        {"\r", 1},
        {"{\"user_id\":\"u\"", 14},
        {"[]", 2},
        {"\0", 1},
        {"\xFF\xFE", 2},
        {LOAD_MARK, 3}, /* not at the start of the file: no mark */
        {"{\"user_id\":\"u\",\"timestamp\":1}", 29},
        {"{\"user_id\":\"u\",\"timestamp\":0,\"url\":\"/\"}", 39},
        CM_STR("{\"user_id\":\"u\",\"timestamp\":1,\"url\":\"/\",\"engaged_ms\":1}"),
    };
    cm_buf_add_str(text, others[test_random(random) % (sizeof others / sizeof others[0])]);
}

static void load_add_line_end(cm_buf_t *text, uint64_t *random)
{
    cm_buf_add_text(text, test_random(random) % 4 == 0 ? "\r\n" : "\n");
}

void load_add_lines(cm_buf_t *text, int lines, int form, uint64_t *random)
{
    if (form & 1)
        cm_buf_add_text(text, LOAD_MARK);
    for (int i = 0; i < lines; i++) {
        if (test_random(random) % 5 < 3 || (i + 1 == lines && form & 2))
            load_add_event(text, random);
        else
            load_add_other(text, random);
        if (i + 1 < lines || !(form & 2))
            load_add_line_end(text, random);
    }
}

char *load_write(const char *directory, const char *data, size_t len)
{
    cm_buf_t path = CM_BUF_INIT;
    cm_buf_printf(&path, "%s/events.jsonl", directory);
    FILE *out = fopen(path.data, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(data, 1, len, out), len);
    assert_int_equal(fclose(out), 0);
    return path.data;
}

load_tape_t load_tape_new(void)
{
    load_tape_t tape = {0};
    cm_buf_add(&tape.events, "", 0);
    cm_buf_add(&tape.dead, "", 0);
    return tape;
}

void load_tape_free(load_tape_t *tape)
{
    cm_buf_free(&tape->events);
    cm_buf_free(&tape->dead);
    free(tape->steps);
}

void load_tape_rest(load_tape_t *tape, const cm_batch_t *batch)
{
    for (size_t i = 0; i < batch->dead_count; i++) {
        const cm_dead_t *dead = &batch->dead[i];
        cm_buf_add_str(&tape->dead, dead->origin);
        cm_buf_add_char(&tape->dead, '|');
        cm_buf_add_str(&tape->dead, dead->reason);
        cm_buf_add_char(&tape->dead, '|');
        cm_buf_add_str(&tape->dead, dead->payload);
        cm_buf_add_char(&tape->dead, '\n');
    }
    cm_account_add(&tape->account, &batch->account);
    if (batch->position_count == 0)
        return;
    tape->steps = realloc(tape->steps, (tape->step_count + 1) * sizeof *tape->steps);
    tape->steps[tape->step_count++] =
        (load_step_t){batch->positions[0].position, tape->events.len, tape->dead.len};
}

void load_assert_bytes(const cm_buf_t *got, const char *expected, size_t len, const char *what)
{
    if (got->len != len || memcmp(got->data, expected, len) != 0)
        fail_msg("%s\n--- expected\n%.*s\n--- got\n%.*s", what, (int)len, expected, (int)got->len,
                 got->data);
}

void load_assert_same(const load_tape_t *got, const load_tape_t *expected, const char *what)
{
    load_assert_bytes(&got->events, expected->events.data, expected->events.len, what);
    load_assert_bytes(&got->dead, expected->dead.data, expected->dead.len, what);
    assert_memory_equal(&got->account, &expected->account, sizeof got->account);
}

load_tape_t load_generally(const char *path, int64_t position, cm_sink_t *sink)
{
    static const uint8_t key[CM_VISITOR_KEY] = {1};
    const cm_file_options_t options = {
        .path = path, .format = CM_FILE_JSONL, .site = "", .visitor_key = key};
    load_tape_t tape = load_tape_new();
    cm_batch_t batch = CM_BATCH_INIT;
    cm_source_t *source;
    cm_err_t err;
    int more;

    assert_ok(cm_file_open(&options, &source, &err), err);
    assert_ok(cm_file_resume(source, position, &err), err);
    do {
        cm_batch_clear(&batch);
        more = cm_source_next(source, &batch, &err);
        assert_in_range(more, 0, 1);
        for (size_t i = 0; i < batch.count; i++)
            cm_event_add_csv(&tape.events, &batch.events[i], (cm_event_csv_t){.extra = true});
        load_tape_rest(&tape, &batch);
        if (sink != NULL)
            assert_ok(cm_sink_put(sink, &batch, &err), err);
    } while (more == 1);
    if (sink != NULL)
        assert_ok(cm_sink_commit(sink, &err), err);
    cm_source_close(source);
    cm_batch_free(&batch);
    return tape;
}

static int load_record_resolve(void *context, cm_builder_t *builder, cm_err_t *err)
{
    load_recorder_t *self = context;
    if (++self->resolved == self->fail_resolve)
        return cm_fail(err, LOAD_INJECTED, "resolve %u fails", self->resolved);
    pthread_mutex_lock(&self->lock);
    cm_builder_resolve(builder, self->dicts);
    pthread_mutex_unlock(&self->lock);
    return 0;
}

/* Takes the events from the encoded parts, as a store would read them again. */
static void load_record_events(load_recorder_t *self, const cm_builder_t *builder)
{
    static const unsigned parts[CM_BUILDER_PARTS] = {CM_READ_HOT, CM_READ_COLD, CM_READ_KEYS,
                                                     CM_READ_EXTRA};
    uint32_t names[CM_FIELD_COUNT];
    cm_columns_t columns = {0};
    cm_err_t err;

    for (int field = 0; field < CM_FIELD_COUNT; field++)
        names[field] = self->dicts[field].count;
    for (int part = 0; part < CM_BUILDER_PARTS; part++) {
        const cm_str_t blob = {builder->parts[part].data, builder->parts[part].len};
        if (blob.len > 0)
            assert_ok(
                cm_block_decode(blob, parts[part], builder->columns.count, names, &columns, &err),
                err);
    }
    for (uint32_t row = 0; row < builder->columns.count; row++) {
        const cm_key_t *key = &columns.keys[row];
        cm_event_t event = {.timestamp = columns.time[row]};
        cm_str_t *const texts[] = {&event.user_id, &event.url, &event.country, &event.city,
                                   &event.browser, &event.os,  &event.device};
        char uuid[CM_UUID_TEXT];
        cm_event_extra_t extra;
        for (int field = 0; field < CM_FIELD_COUNT; field++)
            *texts[field] = cm_dict_string(&self->dicts[field], columns.ids[field][row]);
        if (key->kind == CM_KEY_TEXT)
            event.row_key = key->text;
        if (key->kind == CM_KEY_UUID) {
            cm_uuid_format(key->uuid, uuid);
            event.row_key = (cm_str_t){uuid, sizeof uuid};
        }
        if (cm_wide_at(&columns.wide, row, &extra))
            event.extra = &extra;
        cm_event_add_csv(&self->tape.events, &event, (cm_event_csv_t){.extra = true});
    }
    cm_columns_free(&columns);
}

static int load_record_append(void *context, cm_builder_t *builder, const cm_batch_t *rest,
                              cm_err_t *err)
{
    load_recorder_t *self = context;
    if (++self->appended == self->fail_append)
        return cm_fail(err, LOAD_INJECTED, "append %u fails", self->appended);
    pthread_mutex_lock(&self->lock);
    if (builder->columns.count > 0)
        load_record_events(self, builder);
    pthread_mutex_unlock(&self->lock);
    load_tape_rest(&self->tape, rest);
    if (self->appended == self->act_at)
        self->act(self->context);
    return 0;
}

load_recorder_t load_recorder_new(void)
{
    return (load_recorder_t){.tape = load_tape_new(), .lock = PTHREAD_MUTEX_INITIALIZER};
}

void load_recorder_free(load_recorder_t *self)
{
    for (int field = 0; field < CM_FIELD_COUNT; field++)
        cm_dict_free(&self->dicts[field]);
    load_tape_free(&self->tape);
}

int load_run(load_recorder_t *self, const cm_load_options_t *options, cm_err_t *err)
{
    const cm_load_target_t target = {
        .context = self, .resolve = load_record_resolve, .append = load_record_append};
    return cm_load_jsonl(options, &target, err);
}
