/* Loading with several threads is loading from front to back: the same events, dead letters and
 * account, whatever the regions and the threads; it can be taken up again where it was left, and
 * what fails leaves whole regions behind. */
#include "load_support.h"

#include "store/embedded/dead.h"
#include "store/memory.h"

#include <unistd.h>

enum { THREADS = 4 };

static int make_directory(void **state)
{
    *state = test_directory();
    return 0;
}

static int remove_directory(void **state)
{
    test_remove(*state);
    return 0;
}

/* ---- the same as the general way ---- */

/* What the tape must have when the text before `position` has been read; NULL: not a line's start.
 */
static const load_step_t *step_at(const load_step_t *starts, size_t count, int64_t position)
{
    for (size_t i = 0; i < count; i++) {
        if (starts[i].position == position)
            return &starts[i];
    }
    return NULL;
}

/* Every start of a line and the end of the text, with what comes before it. */
static load_step_t *find_starts(const char *directory, const cm_buf_t *text, size_t *count)
{
    load_step_t *starts = malloc((text->len + 2) * sizeof *starts);

    *count = 0;
    for (size_t at = 0; at <= text->len; at++) {
        bool mark = at == 3 && memcmp(text->data, LOAD_MARK, 3) == 0;
        if (at > 0 && at < text->len && text->data[at - 1] != '\n' && !mark)
            continue;
        char *path = load_write(directory, text->data, at);
        load_tape_t before = load_generally(path, 0, NULL);
        starts[(*count)++] = (load_step_t){(int64_t)at, before.events.len, before.dead.len};
        load_tape_free(&before);
        free(path);
    }
    return starts;
}

/* Positions are starts of lines, never go back, and say exactly what was appended before. */
static void assert_steps(const load_tape_t *tape, size_t regions, const load_step_t *starts,
                         size_t start_count)
{
    assert_int_equal(tape->step_count, regions);
    for (size_t i = 0; i < regions; i++) {
        const load_step_t *step = &tape->steps[i];
        if (i + 1 == regions) {
            assert_int_equal(step->position, -1);
            continue;
        }
        const load_step_t *start = step_at(starts, start_count, step->position);
        if (start == NULL)
            fail_msg("%lld is not the start of a line", (long long)step->position);
        assert_int_equal(step->events, start->events);
        assert_int_equal(step->dead, start->dead);
        assert_true(i == 0 || step->position >= tape->steps[i - 1].position);
    }
}

static void every_region_size(const char *directory, const cm_buf_t *text)
{
    size_t start_count;
    load_step_t *starts = find_starts(directory, text, &start_count);
    char *path = load_write(directory, text->data, text->len);
    load_tape_t expected = load_generally(path, 0, NULL);
    size_t mark = text->len >= 3 && memcmp(text->data, LOAD_MARK, 3) == 0 ? 3 : 0;

    for (size_t region = 1; region <= text->len + 2; region++) {
        size_t regions = (text->len - mark + region - 1) / region;
        for (int threads = 1; threads <= THREADS; threads++) {
            const cm_load_options_t options = {
                .path = path, .source = "s", .region = region, .threads = threads};
            load_recorder_t got = load_recorder_new();
            char what[60];
            cm_err_t err;
            snprintf(what, sizeof what, "regions of %zu bytes, %d threads", region, threads);
            assert_ok(load_run(&got, &options, &err), err);
            load_assert_same(&got.tape, &expected, what);
            assert_steps(&got.tape, regions > 0 ? regions : 1, starts, start_count);
            load_recorder_free(&got);
        }
    }
    load_tape_free(&expected);
    free(starts);
    free(path);
}

static void lines_of_every_kind(void **state)
{
    uint64_t random = 11;

    for (int form = 0; form < 4; form++) {
        cm_buf_t text = CM_BUF_INIT;
        load_add_lines(&text, 8, form, &random);
        every_region_size(*state, &text);
        cm_buf_free(&text);
    }
}

static void hardly_anything(void **state)
{
    static const char *const texts[] = {
        "",       "\n",       "\r",          "\r\n",         "\n\n\n",          " ",
        "x",      "x\r",      "x\n",         "\xEF\xBB",     LOAD_MARK,         LOAD_MARK "\n",
        "\nx\ny", "\r\r\n\r", LOAD_MARK "x", "\n" LOAD_MARK, LOAD_MARK "\r\nx", "x\n\r\n \ny"};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        cm_buf_t text = CM_BUF_INIT;
        cm_buf_add_text(&text, texts[i]);
        cm_buf_reserve(&text, 3);
        every_region_size(*state, &text);
        cm_buf_free(&text);
    }
}

/* `len` bytes that begin and end as they are told to. */
static void add_long(cm_buf_t *text, size_t len, const char *begin, char fill, const char *end)
{
    size_t from = text->len;
    cm_buf_reserve(text, len + 1);
    cm_buf_add_text(text, begin);
    while (text->len - from < len - strlen(end))
        cm_buf_add_char(text, fill);
    cm_buf_add_text(text, end);
    assert_int_equal(text->len - from, len);
}

static const char *const long_begin = "{\"user_id\":\"u\",\"timestamp\":1,\"url\":\"/\",\"x\":\"";

/* Lines at the limit and over it, white space among them, with others between. */
static void add_long_lines(cm_buf_t *text, uint64_t *random)
{
    load_add_lines(text, 5, 0, random);
    add_long(text, CM_LINE_MAX, long_begin, 'l', "\"}"); /* still an event */
    cm_buf_add_text(text, "\r\n");
    add_long(text, CM_LINE_MAX + 1, long_begin, 'm', "\"}");
    cm_buf_add_text(text, "\n");
    load_add_lines(text, 3, 0, random);
    add_long(text, 2 * CM_LINE_MAX + 77, "", ' ', "{}"); /* not blank, though it begins so */
    cm_buf_add_text(text, "\n");
    add_long(text, CM_LINE_MAX + 1, "", ' ', "");
    cm_buf_add_text(text, "\n");
    load_add_lines(text, 4, 0, random);
    add_long(text, CM_LINE_MAX, "", '\t', "");
    cm_buf_add_text(text, "\n");
    load_add_lines(text, 2, 0, random);
}

/* From a position: the rest, once; the line that is too long may be rejected a second time. */
static void assert_rest(const char *path, const load_step_t *step, const load_tape_t *whole,
                        size_t region)
{
    const cm_load_options_t options = {
        .path = path, .source = "s", .position = step->position, .region = region, .threads = 2};
    load_recorder_t got = load_recorder_new();
    const char *dead = whole->dead.data + step->dead;
    size_t len = whole->dead.len - step->dead;
    cm_err_t err;

    assert_ok(load_run(&got, &options, &err), err);
    load_assert_bytes(&got.tape.events, whole->events.data + step->events,
                      whole->events.len - step->events, "the events behind a position");
    if (got.tape.dead.len > len) {
        const char *reason = strstr(got.tape.dead.data, "|" CM_LINE_TOO_LONG "|");
        assert_non_null(reason);
        assert_null(memchr(got.tape.dead.data, '\n', (size_t)(reason - got.tape.dead.data)));
        size_t twice = got.tape.dead.len - len;
        assert_true(twice <= step->dead);
        dead -= twice;
        len += twice;
        assert_null(memchr(dead, '\n', twice - 1));
    }
    load_assert_bytes(&got.tape.dead, dead, len, "the dead letters behind a position");
    load_recorder_free(&got);
}

static void lines_that_are_too_long(void **state)
{
    static const size_t regions[] = {300000,          524288,          CM_LINE_MAX - 1, CM_LINE_MAX,
                                     CM_LINE_MAX + 1, CM_LINE_MAX + 3, CM_LINE_MAX * 2, 0};
    cm_buf_t text = CM_BUF_INIT;
    uint64_t random = 3;

    add_long_lines(&text, &random);
    for (int cut = 0; cut < 2; cut++) { /* the second time without a newline at the end */
        if (cut)
            add_long(&text, CM_LINE_MAX + 2, long_begin, 'n', "\r");
        char *path = load_write(*state, text.data, text.len);
        load_tape_t expected = load_generally(path, 0, NULL);
        assert_non_null(strstr(expected.dead.data, CM_LINE_TOO_LONG));
        for (size_t i = 0; i < sizeof regions / sizeof regions[0]; i++) {
            const cm_load_options_t options = {.path = path,
                                               .source = "s",
                                               .region = regions[i],
                                               .threads = 1 + (int)(i + (size_t)cut) % THREADS};
            load_recorder_t got = load_recorder_new();
            cm_err_t err;
            assert_ok(load_run(&got, &options, &err), err);
            load_assert_same(&got.tape, &expected, "lines over 1 MiB");
            for (size_t s = 0; s + 1 < got.tape.step_count; s++) {
                int64_t position = got.tape.steps[s].position;
                assert_true(position == 0 || position == (int64_t)text.len ||
                            text.data[position - 1] == '\n');
                assert_rest(path, &got.tape.steps[s], &expected, 700000);
            }
            load_recorder_free(&got);
        }
        load_tape_free(&expected);
        free(path);
    }
    cm_buf_free(&text);
}

/* ---- going on ---- */

/* From any position, also one that never was the start of a line of this file, the rest is that of
 * the general way, line numbers included. */
static void from_every_position(void **state)
{
    uint64_t random = 21;

    for (int form = 0; form < 4; form++) {
        cm_buf_t text = CM_BUF_INIT;
        load_add_lines(&text, 6, form, &random);
        char *path = load_write(*state, text.data, text.len);
        for (size_t position = 0; position <= text.len + 3; position++) {
            load_tape_t expected = load_generally(path, (int64_t)position, NULL);
            for (size_t region = 7; region < 5000; region *= 8) {
                const cm_load_options_t options = {.path = path,
                                                   .source = "s",
                                                   .position = (int64_t)position,
                                                   .region = region,
                                                   .threads = 1 + (int)(position % THREADS)};
                load_recorder_t got = load_recorder_new();
                char what[60];
                cm_err_t err;
                snprintf(what, sizeof what, "from %zu on, regions of %zu bytes", position, region);
                assert_ok(load_run(&got, &options, &err), err);
                load_assert_same(&got.tape, &expected, what);
                assert_true(got.tape.step_count > 0);
                assert_int_equal(got.tape.steps[got.tape.step_count - 1].position, -1);
                load_recorder_free(&got);
            }
            load_tape_free(&expected);
        }
        free(path);
        cm_buf_free(&text);
    }
}

static void set_stop(void *context)
{
    atomic_store((atomic_bool *)context, true);
}

/* Stopped at any region: whole regions are there, and the rest follows from the last position. */
static void stopped_and_resumed(void **state)
{
    cm_buf_t text = CM_BUF_INIT;
    uint64_t random = 31;

    load_add_lines(&text, 40, 0, &random);
    char *path = load_write(*state, text.data, text.len);
    load_tape_t expected = load_generally(path, 0, NULL);
    size_t region = 97, regions = (text.len + region - 1) / region;
    for (int threads = 1; threads <= THREADS; threads++) {
        for (unsigned at = 1; at < regions; at++) {
            atomic_bool stop = false;
            load_recorder_t got = load_recorder_new();
            cm_load_options_t options = {
                .path = path, .source = "s", .region = region, .threads = threads, .stop = &stop};
            cm_err_t err;
            got.act_at = at;
            got.act = set_stop;
            got.context = &stop;
            assert_ok(load_run(&got, &options, &err), err);
            /* A region that a thread has begun is finished. */
            assert_in_range(got.appended, at, at + (unsigned)threads - 1);
            options.position = got.tape.steps[got.appended - 1].position;
            if (options.position >= 0) {
                atomic_store(&stop, false);
                assert_ok(load_run(&got, &options, &err), err);
            }
            load_assert_same(&got.tape, &expected, "stopped and resumed");
            load_recorder_free(&got);
        }
    }
    load_tape_free(&expected);
    free(path);
    cm_buf_free(&text);
}

/* ---- failures ---- */

static void assert_prefix(const load_tape_t *got, const load_tape_t *whole, size_t steps)
{
    size_t events = steps > 0 ? whole->steps[steps - 1].events : 0;
    size_t dead = steps > 0 ? whole->steps[steps - 1].dead : 0;

    assert_int_equal(got->step_count, steps);
    load_assert_bytes(&got->events, whole->events.data, events, "events before a failure");
    load_assert_bytes(&got->dead, whole->dead.data, dead, "dead letters before a failure");
    if (steps > 0)
        assert_memory_equal(got->steps, whole->steps, steps * sizeof *got->steps);
}

/* resolve or append fails at any region: all before it are appended, none behind it. */
static void the_target_fails(void **state)
{
    cm_buf_t text = CM_BUF_INIT;
    uint64_t random = 41;
    cm_err_t err;

    load_add_lines(&text, 60, 0, &random);
    char *path = load_write(*state, text.data, text.len);
    cm_load_options_t options = {.path = path, .source = "s", .region = 111, .threads = 1};
    load_recorder_t whole = load_recorder_new();
    assert_ok(load_run(&whole, &options, &err), err);
    assert_int_equal(whole.resolved, whole.appended); /* a region is one builder */
    assert_in_range(whole.appended, 20, 60);
    for (options.threads = 1; options.threads <= THREADS; options.threads++) {
        for (unsigned at = 1; at <= 2 * whole.appended; at++) {
            load_recorder_t got = load_recorder_new();
            unsigned region = (at + 1) / 2;
            char sentence[40];
            if (at % 2)
                got.fail_resolve = region;
            else
                got.fail_append = region;
            snprintf(sentence, sizeof sentence, "%s %u fails", at % 2 ? "resolve" : "append",
                     region);
            assert_int_equal(load_run(&got, &options, &err), LOAD_INJECTED);
            assert_int_equal(err.code, LOAD_INJECTED);
            assert_string_equal(err.text, sentence);
            assert_prefix(&got.tape, &whole.tape, region - 1);
            assert_int_equal(got.appended, at % 2 ? region - 1 : region);
            if (at % 2)
                assert_int_equal(got.resolved, region);
            else
                assert_in_range(got.resolved, region, region + (unsigned)options.threads - 1);
            load_recorder_free(&got);
        }
    }
    load_recorder_free(&whole);
    free(path);
    cm_buf_free(&text);
}

typedef struct cutting {
    const char *path;
    off_t len;
} cutting_t;

static void cut_file(void *context)
{
    const cutting_t *cutting = context;
    assert_int_equal(truncate(cutting->path, cutting->len), 0);
}

/* The file becomes shorter while it is read: what came before is whole, the sentence says where. */
static void the_file_becomes_shorter(void **state)
{
    cm_buf_t text = CM_BUF_INIT;
    uint64_t random = 51;
    cm_err_t err;

    load_add_lines(&text, 60, 0, &random);
    char *path = load_write(*state, text.data, text.len);
    cm_load_options_t options = {.path = path, .source = "s", .region = 123, .threads = 1};
    load_recorder_t whole = load_recorder_new();
    assert_ok(load_run(&whole, &options, &err), err);
    for (options.threads = 1; options.threads <= THREADS; options.threads++) {
        for (unsigned at = 1; at < whole.appended; at++) {
            /* Behind or before the byte that is read next; that is the one before the region. */
            cutting_t cutting = {path, (off_t)(at % 2 ? text.len - 1 : at * 60)};
            long long expected = at % 2 ? (long long)text.len - 1 : at * 123 - 1;
            load_recorder_t got = load_recorder_new();
            char sentence[400];
            free(load_write(*state, text.data, text.len));
            got.act_at = at;
            got.act = cut_file;
            got.context = &cutting;
            int rc = load_run(&got, &options, &err);
            if (options.threads == 1) {
                snprintf(sentence, sizeof sentence,
                         "%s became shorter while it was read, at byte %lld; import it again when "
                         "it is whole",
                         path, expected);
                assert_int_equal(rc, CM_EINPUT);
                assert_string_equal(err.text, sentence);
                assert_int_equal(got.appended, at);
            } else { /* the other threads may have read on before */
                assert_true(rc == 0 ? got.appended == whole.appended : rc == CM_EINPUT);
                assert_in_range(got.appended, at, at + (unsigned)options.threads - 1);
            }
            assert_prefix(&got.tape, &whole.tape, got.appended);
            load_recorder_free(&got);
        }
    }
    load_recorder_free(&whole);
    free(path);
    cm_buf_free(&text);
}

static void no_such_file(void **state)
{
    const cm_load_options_t options = {.path = "/nowhere/events.jsonl", .source = "s"};
    load_recorder_t got = load_recorder_new();
    cm_err_t err;

    (void)state;
    assert_int_equal(load_run(&got, &options, &err), CM_EINPUT);
    assert_string_equal(err.text, "/nowhere/events.jsonl cannot be opened (No such file or "
                                  "directory); check its name and permissions");
    assert_int_equal(got.resolved + got.appended, 0);
    load_recorder_free(&got);
}

/* ---- into the stores ---- */

static int embedded_resolve(void *context, cm_builder_t *builder, cm_err_t *err)
{
    return cm_store_resolve(context, builder, err);
}

static int embedded_append(void *context, cm_builder_t *builder, const cm_batch_t *rest,
                           cm_err_t *err)
{
    return cm_store_append(context, builder, rest, err);
}

static int add_letter(void *context, const cm_store_letter_t *letter)
{
    cm_buf_t *out = context;
    cm_buf_add_str(out, letter->origin);
    cm_buf_add_char(out, '|');
    cm_buf_add_str(out, letter->reason);
    cm_buf_add_char(out, '|');
    cm_buf_add_str(out, letter->payload);
    cm_buf_add_char(out, '\n');
    return 0;
}

/* Closes the store; `contents` is its events, `dead` its dead letters. */
static void take_contents(cm_store_t *store, const char *directory, cm_buf_t *contents,
                          cm_buf_t *dead)
{
    cm_err_t err;

    *dead = CM_BUF_INIT;
    assert_ok(cm_store_embedded_each_letter(cm_store_embedded_database(store), 0, 0, add_letter,
                                            dead, &err),
              err);
    cm_sink_close(&store->sink);
    *contents = test_contents(directory);
}

static void into_the_embedded_store(void **state)
{
    static const size_t regions[] = {1, 2, 3, 10, 77, 1000, 100000};
    cm_buf_t text = CM_BUF_INIT, events, dead, got_events, got_dead;
    uint64_t random = 61;
    int64_t position;
    cm_err_t err;

    load_add_lines(&text, 50, 3, &random);
    char *path = load_write(*state, text.data, text.len);
    char *directory = test_directory();
    cm_store_t *store = test_open(directory);
    load_tape_t tape = load_generally(path, 0, &store->sink);
    take_contents(store, directory, &events, &dead);
    load_assert_bytes(&dead, tape.dead.data, tape.dead.len, "the general way's dead letters");
    test_remove(directory);
    for (size_t i = 0; i < sizeof regions / sizeof regions[0]; i++) {
        directory = test_directory();
        store = test_open(directory);
        const cm_load_target_t target = {
            .context = store, .resolve = embedded_resolve, .append = embedded_append};
        const cm_load_options_t options = {
            .path = path, .source = "s", .region = regions[i], .threads = 1 + (int)i % THREADS};
        assert_ok(cm_load_jsonl(&options, &target, &err), err);
        test_commit(store);
        assert_ok(cm_store_position(store, "s", &position, &err), err);
        assert_int_equal(position, 0); /* complete: forgotten */
        take_contents(store, directory, &got_events, &got_dead);
        load_assert_bytes(&got_events, events.data, events.len, "events of the embedded store");
        load_assert_bytes(&got_dead, dead.data, dead.len, "dead letters of the embedded store");
        cm_buf_free(&got_events);
        cm_buf_free(&got_dead);
        test_remove(directory);
    }
    cm_buf_free(&events);
    cm_buf_free(&dead);
    cm_buf_free(&text);
    load_tape_free(&tape);
    free(path);
}

static int memory_resolve(void *context, cm_builder_t *builder, cm_err_t *err)
{
    return cm_store_resolve(context, builder, err);
}

static int memory_append(void *context, cm_builder_t *builder, const cm_batch_t *rest,
                         cm_err_t *err)
{
    (void)rest;
    return cm_store_append(context, builder, NULL, err);
}

/* One line an event: ordinal, time, the three ids and the key. */
static cm_buf_t memory_contents(cm_store_t *store)
{
    const cm_block_ref_t *blocks;
    cm_columns_t columns = {0};
    cm_buf_t out = CM_BUF_INIT;
    cm_reader_t *reader;
    size_t count;
    cm_err_t err;

    cm_buf_add(&out, "", 0);
    assert_ok(cm_store_reader(store, &reader, &err), err);
    assert_ok(cm_reader_blocks(reader, &blocks, &count, &err), err);
    for (size_t b = 0; b < count; b++) {
        assert_ok(cm_reader_read(reader, &blocks[b], CM_READ_HOT | CM_READ_KEYS, &columns, &err),
                  err);
        for (uint32_t row = 0; row < columns.count; row++) {
            const cm_key_t *key = &columns.keys[row];
            char uuid[CM_UUID_TEXT];
            cm_buf_printf(&out, "%lld %lld %d ", (long long)columns.first + row,
                          (long long)columns.time[row], key->kind);
            for (int field = CM_USER; field <= CM_COUNTRY; field++) {
                cm_str_t text;
                assert_ok(cm_reader_string(reader, (cm_field_t)field, columns.ids[field][row],
                                           &text, &err),
                          err);
                cm_buf_add_json(&out, text);
            }
            if (key->kind == CM_KEY_TEXT)
                cm_buf_add_json(&out, key->text);
            if (key->kind == CM_KEY_UUID) {
                cm_uuid_format(key->uuid, uuid);
                cm_buf_add(&out, uuid, sizeof uuid);
            }
            cm_buf_add_char(&out, '\n');
        }
    }
    cm_columns_free(&columns);
    cm_reader_close(reader);
    return out;
}

static void into_the_memory_store(void **state)
{
    cm_buf_t text = CM_BUF_INIT;
    uint64_t random = 71;
    cm_err_t err;

    load_add_lines(&text, 50, 1, &random);
    char *path = load_write(*state, text.data, text.len);
    cm_store_t *store = cm_memory_new();
    load_tape_t tape = load_generally(path, 0, &store->sink);
    cm_buf_t expected = memory_contents(store);
    cm_sink_close(&store->sink);
    assert_true(tape.account.accepted > 20);
    for (size_t region = 1; region < text.len + 40; region += 1 + region / 4) {
        store = cm_memory_new();
        const cm_load_target_t target = {.context = store,
                                         .resolve = memory_resolve,
                                         .append = memory_append,
                                         .answers_only = true};
        const cm_load_options_t options = {
            .path = path, .region = region, .threads = 1 + (int)region % THREADS};
        assert_ok(cm_load_jsonl(&options, &target, &err), err);
        cm_buf_t got = memory_contents(store);
        load_assert_bytes(&got, expected.data, expected.len, "events of the store in memory");
        cm_buf_free(&got);
        cm_sink_close(&store->sink);
    }
    cm_buf_free(&expected);
    cm_buf_free(&text);
    load_tape_free(&tape);
    free(path);
}

/* More events than a block takes: a region of several blocks. */
static void regions_of_several_blocks(void **state)
{
    enum { EVENTS = CM_BLOCK_EVENTS * 2 + 5 };
    cm_buf_t text = CM_BUF_INIT;
    cm_err_t err;

    for (int i = 0; i < EVENTS; i++)
        cm_buf_printf(&text, "{\"user_id\":\"u\",\"timestamp\":%d,\"url\":\"/\"}\n", i + 1);
    cm_buf_add_text(&text, "x\n");
    char *path = load_write(*state, text.data, text.len);
    load_tape_t expected = load_generally(path, 0, NULL);
    assert_int_equal(expected.account.accepted, EVENTS);
    for (int threads = 1; threads <= 2; threads++) {
        const cm_load_options_t options = {.path = path, .source = "s", .threads = threads};
        load_recorder_t got = load_recorder_new();
        assert_ok(load_run(&got, &options, &err), err);
        load_assert_same(&got.tape, &expected, "a region of three blocks");
        assert_int_equal(got.appended, 3);
        assert_int_equal(got.tape.step_count, 1);
        load_recorder_free(&got);
    }
    load_tape_free(&expected);
    cm_buf_free(&text);
    free(path);
}

/* ---- side by side ---- */

typedef struct slow_target {
    atomic_uint resolved;
    unsigned appended, seen; /* regions resolved by the end of the first append */
} slow_target_t;

static int count_resolve(void *context, cm_builder_t *builder, cm_err_t *err)
{
    (void)builder, (void)err;
    atomic_fetch_add(&((slow_target_t *)context)->resolved, 1);
    return 0;
}

/* The first region is appended so slowly that all threads come to wait for it. */
static int slow_append(void *context, cm_builder_t *builder, const cm_batch_t *rest, cm_err_t *err)
{
    slow_target_t *self = context;

    (void)builder, (void)rest, (void)err;
    for (int ms = 0; self->appended == 0 && self->resolved < 3 && ms < 5000; ms++)
        usleep(1000);
    if (self->appended++ == 0)
        self->seen = self->resolved;
    return 0;
}

/* A store that waits for its disk does not stop threads that can continue. */
static void resolved_while_another_is_appended(void **state)
{
    cm_buf_t text = CM_BUF_INIT;
    uint64_t random = 7;
    cm_err_t err;

    load_add_lines(&text, 60, 0, &random);
    char *path = load_write(*state, text.data, text.len);
    const cm_load_options_t options = {.path = path, .source = "s", .region = 111, .threads = 3};
    slow_target_t slow = {0};
    const cm_load_target_t target = {
        .context = &slow, .resolve = count_resolve, .append = slow_append};
    assert_ok(cm_load_jsonl(&options, &target, &err), err);
    assert_int_equal(slow.seen, 3);
    assert_int_equal(slow.appended, slow.resolved);
    free(path);
    cm_buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_every_kind),
        cmocka_unit_test(hardly_anything),
        cmocka_unit_test(lines_that_are_too_long),
        cmocka_unit_test(from_every_position),
        cmocka_unit_test(stopped_and_resumed),
        cmocka_unit_test(the_target_fails),
        cmocka_unit_test(the_file_becomes_shorter),
        cmocka_unit_test(no_such_file),
        cmocka_unit_test(into_the_embedded_store),
        cmocka_unit_test(into_the_memory_store),
        cmocka_unit_test(regions_of_several_blocks),
        cmocka_unit_test(resolved_while_another_is_appended),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
