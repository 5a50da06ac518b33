/* The sinks that write text: JSON lines that are read back unchanged, access logs as a server
 * writes them, and outputs that refuse the data. */
#include "event/json.h"
#include "random_extra.h"
#include "sink/combined.h"
#include "sink/jsonl.h"
#include "source/synthetic/synthetic.h"
#include "support.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>

/* The file's bytes with padding after them; the caller frees them. */
static char *read_file(const char *path, size_t *size)
{
    struct stat stat;
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &stat), 0);
    *size = (size_t)stat.st_size;
    char *text = calloc(1, *size + CM_EVENT_JSON_PADDING);
    assert_int_equal(read(fd, text, *size), *size);
    close(fd);
    return text;
}

static void lines_read_back(void **state)
{
    static const char *const odd[] = {"plain", "a\"b\\c", "\n\r\t", "\x01\x7F", "\xF0\x9F\x98\x80"};
    char *directory = test_directory();
    char path[300];
    cm_batch_t batch = CM_BATCH_INIT;
    cm_event_json_t *json = cm_event_json_new();
    cm_arena_t arena = CM_ARENA_INIT;
    cm_sink_t *sink;
    cm_err_t err;
    size_t size, count = 0;
    uint64_t random = 9;

    (void)state;
    snprintf(path, sizeof path, "%s/out.jsonl", directory);
    close(open(path, O_WRONLY | O_CREAT, 0666));
    assert_int_equal(truncate(path, 5000), 0); /* the old content is replaced */
    for (size_t i = 0; i < 9000; i++) {        /* more than one buffer */
        cm_event_t event = test_event(odd[i % 5], 1 + (int64_t)i, odd[i % 3], odd[i % 4],
                                      i % 2 ? odd[(i + 1) % 5] : NULL);
        event.device = cm_str(odd[(i + 2) % 5]);
        event.extra = random_extra(&random, &batch.arena);
        test_add(&batch, event);
    }
    cm_batch_reject(&batch, CM_STR("bad"), "because", "x:1"); /* this sink ignores dead letters */
    assert_ok(cm_jsonl_open(path, &sink, &err), err);
    assert_ok(cm_sink_put(sink, &batch, &err), err);
    assert_ok(cm_sink_commit(sink, &err), err);
    char *text = read_file(path, &size);
    for (char *line = text, *end; line < text + size; line = end + 1, count++) {
        const cm_event_t *was = &batch.events[count];
        char scratch[CM_UUID_TEXT];
        uint64_t unknown = 0;
        cm_event_t event;
        end = strchr(line, '\n');
        assert_non_null(end);
        assert_ok(cm_event_json_parse(json, (cm_str_t){line, (size_t)(end - line)}, &arena, &event,
                                      &unknown, &err),
                  err);
        assert_int_equal(unknown, 0);
        assert_int_equal(event.timestamp, was->timestamp);
        assert_true(cm_str_equal(event.user_id, was->user_id));
        assert_true(cm_str_equal(event.url, was->url));
        assert_true(cm_str_equal(event.country, was->country));
        assert_true(cm_str_equal(event.city, CM_STR("Unknown")));
        assert_true(cm_str_equal(event.device, was->device));
        assert_true(cm_event_extra_equal(event.extra, was->extra));
        assert_true(cm_str_equal(event.row_key, cm_event_row_key(was, scratch)));
    }
    assert_int_equal(count, 9000);
    free(text);
    cm_sink_close(sink);
    cm_sink_close(NULL);
    cm_event_json_free(json);
    cm_arena_free(&arena);
    cm_batch_free(&batch);
    test_remove(directory);
}

/* The text before `end`, which must be present; `*at` moves after it. */
static cm_str_t part(const char **at, const char *end)
{
    const char *from = *at, *found = strstr(from, end);
    assert_non_null(found);
    *at = found + strlen(end);
    return (cm_str_t){from, (size_t)(found - from)};
}

/* Parses `address - - [time] "GET path HTTP/1.1" 200 bytes "-" "agent"`. */
static void assert_log_line(const char *line, const cm_event_t *event, cm_str_t agent)
{
    struct tm tm = {0};
    int64_t bytes;

    cm_str_t address = part(&line, " - - [");
    assert_true(memchr(address.data, '.', address.len) != NULL ||
                memchr(address.data, ':', address.len) != NULL);
    cm_str_t when = part(&line, "] \"GET ");
    assert_ptr_equal(strptime(when.data, "%d/%b/%Y:%H:%M:%S +0000", &tm), when.data + when.len);
    assert_int_equal(timegm(&tm), event->timestamp / 1000);
    /* The URL is https://host/path. */
    cm_str_t path = part(&line, " HTTP/1.1\" 200 ");
    assert_memory_equal(event->url.data, "https://", 8);
    const char *slash = memchr(event->url.data + 8, '/', event->url.len - 8);
    assert_non_null(slash);
    assert_true(
        cm_str_equal(path, (cm_str_t){slash, event->url.len - (size_t)(slash - event->url.data)}));
    assert_true(cm_str_to_i64(part(&line, " \"-\" \""), &bytes));
    assert_true(bytes > 0);
    assert_true(cm_str_equal(part(&line, "\""), agent));
    assert_string_equal(line, "");
}

static void access_log(void **state)
{
    cm_synthetic_options_t options = CM_SYNTHETIC_DEFAULTS;
    char *directory = test_directory();
    char path[300];
    cm_batch_t batch = CM_BATCH_INIT;
    cm_source_t *source;
    cm_sink_t *sink;
    cm_err_t err;
    size_t size, offset = 0, total = 0;
    int more = 1;

    (void)state;
    snprintf(path, sizeof path, "%s/access.log", directory);
    options.count = 6000;
    options.rate = 0.002; /* more than a month, so days, months and hours change */
    options.late_percent = 10;
    assert_ok(cm_synthetic_open(&options, NULL, &source, &err), err);
    assert_ok(cm_combined_open(path, source, &sink, &err), err);
    while (more > 0) {
        cm_batch_clear(&batch);
        more = cm_source_next(source, &batch, &err);
        assert_true(more >= 0);
        assert_ok(cm_sink_put(sink, &batch, &err), err);
        assert_ok(cm_sink_commit(sink, &err), err);
        char *text = read_file(path, &size);
        char *line = text + offset;
        for (size_t i = 0; i < batch.count; i++, total++) {
            char *end = strchr(line, '\n');
            assert_non_null(end);
            *end = '\0';
            assert_log_line(line, &batch.events[i], cm_synthetic_user_agent(source, i));
            line = end + 1;
        }
        assert_ptr_equal(line, text + size);
        offset = size;
        free(text);
    }
    assert_int_equal(total, 6000);
    cm_sink_close(sink);
    cm_source_close(source);
    cm_batch_free(&batch);
    test_remove(directory);
}

static void places_that_refuse(void **state)
{
    char *directory = test_directory();
    char path[300];
    cm_batch_t batch = CM_BATCH_INIT;
    cm_sink_t *sink;
    cm_err_t err;

    (void)state;
    snprintf(path, sizeof path, "%s/missing/out", directory);
    assert_int_equal(cm_jsonl_open(path, &sink, &err), CM_EIO);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(cm_jsonl_open(directory, &sink, &err), CM_EIO);
    assert_int_equal(cm_combined_open(path, NULL, &sink, &err), CM_EIO);

    for (int i = 0; i < 10; i++)
        test_add(&batch, test_event("u", 1, "/", "X", NULL));
    assert_ok(cm_jsonl_open("/dev/full", &sink, &err), err);
    assert_ok(cm_sink_put(sink, &batch, &err), err); /* still in its buffer */
    assert_int_equal(cm_sink_commit(sink, &err), CM_EIO);
    assert_string_equal(err.text, "cannot write /dev/full (No space left on device); free some "
                                  "space");
    cm_sink_close(sink);
    for (int i = 0; i < 9000; i++)
        test_add(&batch, test_event("u", 1, "/", "X", NULL));
    assert_ok(cm_jsonl_open("/dev/full", &sink, &err), err);
    assert_int_equal(cm_sink_put(sink, &batch, &err), CM_EIO); /* more than its buffer holds */
    cm_sink_close(sink);
    assert_ok(cm_jsonl_open("/dev/null", &sink, &err),
              err); /* it cannot be synced, and this is no error */
    assert_ok(cm_sink_put(sink, &batch, &err), err);
    assert_ok(cm_sink_commit(sink, &err), err);
    cm_sink_close(sink);
    cm_batch_free(&batch);
    test_remove(directory);
}

/* `clickmill produce | head`: the reader closes the pipe early, which is not an error. */
static void reader_leaves(void **state)
{
    cm_batch_t batch = CM_BATCH_INIT;
    char path[40];
    cm_sink_t *sink;
    cm_err_t err;
    int ends[2];

    (void)state;
    signal(SIGPIPE, SIG_IGN); /* as main() does */
    assert_int_equal(pipe(ends), 0);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[1]);
    assert_ok(cm_jsonl_open(path, &sink, &err), err);
    test_add(&batch, test_event("u", 1, "/", "X", NULL));
    assert_ok(cm_sink_put(sink, &batch, &err), err);
    assert_ok(cm_sink_commit(sink, &err), err);
    char text[16];
    assert_int_equal(read(ends[0], text, sizeof text), sizeof text);
    assert_memory_equal(text, "{\"row_key\": \"", 13);
    close(ends[0]);
    assert_ok(cm_sink_put(sink, &batch, &err), err);
    assert_int_equal(cm_sink_commit(sink, &err), CM_ESTOP);
    cm_sink_close(sink);
    close(ends[1]);
    cm_batch_free(&batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_read_back),
        cmocka_unit_test(access_log),
        cmocka_unit_test(places_that_refuse),
        cmocka_unit_test(reader_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
