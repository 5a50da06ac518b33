#include "file_support.h"

/* Everything that a source returned: events as JSON lines, dead letters as "origin|reason| payload"
 * lines, the account, and the positions. */
typedef struct result {
    cm_buf_t events, dead;
    cm_account_t account;
    int64_t position, before_last; /* of the last two batches */
    int batches, rc;
    cm_err_t err;
} result_t;

static void free_result(result_t *result)
{
    cm_buf_free(&result->events);
    cm_buf_free(&result->dead);
}

static void add_batch(result_t *result, const cm_batch_t *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        cm_event_add_json(&result->events, &batch->events[i]);
        cm_buf_add_char(&result->events, '\n');
    }
    for (size_t i = 0; i < batch->dead_count; i++) {
        cm_buf_add_str(&result->dead, batch->dead[i].origin);
        cm_buf_add_char(&result->dead, '|');
        cm_buf_add_str(&result->dead, batch->dead[i].reason);
        cm_buf_add_char(&result->dead, '|');
        cm_buf_add_str(&result->dead, batch->dead[i].payload);
        cm_buf_add_char(&result->dead, '\n');
    }
    assert_int_equal(batch->account.read,
                     batch->account.accepted + batch->account.rejected + batch->account.skipped);
    assert_int_equal(batch->count, batch->account.accepted);
    cm_account_add(&result->account, &batch->account);
    result->before_last = result->position;
    result->position = batch->position_count > 0 ? batch->positions[0].position : 0;
    result->batches++;
}

/* Reads at most this number of batches. */
static void drain(cm_source_t *source, int batches, result_t *result)
{
    cm_batch_t batch = CM_BATCH_INIT;

    *result = (result_t){.events = CM_BUF_INIT, .dead = CM_BUF_INIT, .rc = 1};
    cm_buf_reserve(&result->events, 1);
    cm_buf_reserve(&result->dead, 1);
    while (result->rc > 0 && result->batches < batches) {
        cm_batch_clear(&batch);
        result->rc = cm_source_next(source, &batch, &result->err);
        if (result->rc >= 0)
            add_batch(result, &batch);
    }
    cm_batch_free(&batch);
}

static void read_file(cm_file_options_t options, result_t *result)
{
    cm_source_t *source = test_file_open(options);
    drain(source, INT32_MAX, result);
    cm_source_close(source);
}

static void expect_account(const result_t *result, uint64_t read, uint64_t accepted,
                           uint64_t rejected, uint64_t skipped, uint64_t unknown)
{
    assert_int_equal(read, result->account.read);
    assert_int_equal(accepted, result->account.accepted);
    assert_int_equal(rejected, result->account.rejected);
    assert_int_equal(skipped, result->account.skipped);
    assert_int_equal(unknown, result->account.unknown_fields);
}

#define REST                                                                                       \
    "\"country\": \"Unknown\", \"city\": \"Unknown\", \"browser\": \"Unknown\", "                  \
    "\"os\": \"Unknown\", \"device\": \"Unknown\"}\n"

static void reads_json_lines(void **state)
{
    result_t got;

    (void)state;
    read_file(
        (cm_file_options_t){
            .path = temp_write_text(
                "a.jsonl",
                "\n  \n{\"row_key\":\"k1\",\"user_id\":\"u\",\"timestamp\":1,\"url\":\"/\","
                "\"x\":1}\r\nnonsense\n"
                "{\"row_key\":\"k2\",\"user_id\":\"u\",\"timestamp\":2,\"url\":\"/b\"}")},
        &got);
    assert_int_equal(0, got.rc);
    assert_int_equal(-1, got.position);
    expect_account(&got, 3, 2, 1, 0, 1);
    temp_assert_text(
        "{\"row_key\": \"k1\", \"user_id\": \"u\", \"timestamp\": 1, \"url\": \"/\", " REST
        "{\"row_key\": \"k2\", \"user_id\": \"u\", \"timestamp\": 2, \"url\": \"/b\", " REST,
        got.events.data);
    assert_non_null(strstr(got.dead.data, "/a.jsonl:4|"));
    assert_non_null(strstr(got.dead.data, "|nonsense\n"));
    free_result(&got);
}

static void reads_csv(void **state)
{
    result_t got;

    (void)state;
    read_file(
        (cm_file_options_t){.path = temp_write_text("a.csv", "\xef\xbb\xbf\n"
                                                             "url,x,row_key,timestamp,user_id\r\n"
                                                             "\"/a\nb\",1,k1,1,u\r\n"
                                                             "\n"
                                                             "/c,1,k2,bad,u\n"
                                                             "\"/d\n\",1,k3\n"
                                                             "/e,2,k4,1970-01-01T00:00:02Z,u\n")},
        &got);
    assert_int_equal(0, got.rc);
    expect_account(&got, 4, 2, 2, 0, 2);
    temp_assert_text(
        "{\"row_key\": \"k1\", \"user_id\": \"u\", \"timestamp\": 1, \"url\": \"/a\\nb\", " REST
        "{\"row_key\": \"k4\", \"user_id\": \"u\", \"timestamp\": 2000, \"url\": \"/e\", " REST,
        got.events.data);
    temp_assert_text(
        "@/a.csv:6|timestamp \"bad\" is neither an integer of milliseconds nor RFC 3339|"
        "/c,1,k2,bad,u\n"
        "@/a.csv:7|the record has 3 fields, the header names 5|\"/d\n\",1,k3\n",
        got.dead.data);
    free_result(&got);
}

/* A quote that is not closed rejects its own line, but not the valid lines after it. */
static void csv_recovers(void **state)
{
    result_t got;

    (void)state;
    read_file((cm_file_options_t){.path = temp_write_text("a.csv", "user_id,timestamp,url,row_key\n"
                                                                   "u,1,\"/a,k1\n"
                                                                   "u,2,\"/b\",k2\n"
                                                                   "u,3,\"/c,k3\n")},
              &got);
    expect_account(&got, 3, 1, 2, 0, 0);
    temp_assert_text(
        "{\"row_key\": \"k2\", \"user_id\": \"u\", \"timestamp\": 2, \"url\": \"/b\", " REST,
        got.events.data);
    temp_assert_text("@/a.csv:2|field 3 opens a quote and does not close it|u,1,\"/a,k1\n"
                     "@/a.csv:4|field 3 opens a quote and does not close it|u,3,\"/c,k3\n",
                     got.dead.data);
    free_result(&got);
}

static void csv_gives_up_a_quote_after_one_mebibyte(void **state)
{
    cm_buf_t text = CM_BUF_INIT;
    result_t got;

    (void)state;
    cm_buf_add_text(&text, "user_id,timestamp,url\nu,1,\"/a\n");
    for (int i = 0; i < 200000; i++)
        cm_buf_add_text(&text, "u,2,/page\n");
    read_file((cm_file_options_t){.path = temp_write("a.csv", text.data, text.len)}, &got);
    expect_account(&got, 200001, 200000, 1, 0, 0);
    temp_assert_text("@/a.csv:2|a quote is opened and not closed within 1 MiB|u,1,\"/a\n",
                     got.dead.data);
    free_result(&got);
    cm_buf_free(&text);
}

/* Records of 700 KB, each of many lines: they cross the ends of reads and of the buffer. */
static void reads_csv_records_as_long_as_may_be(void **state)
{
    cm_buf_t text = CM_BUF_INIT, want = CM_BUF_INIT;
    result_t got;

    (void)state;
    cm_buf_add_text(&text, "user_id,timestamp,note,url,row_key\n");
    for (int i = 1; i <= 12; i++) {
        cm_buf_printf(&text, "u,%d,\"", i);
        for (int j = 0; j < 10000; j++)
            cm_buf_printf(&text,
                          "note of seventy bytes, in lines, with \"\"quotes\"\" in it: %8d\n", j);
        cm_buf_printf(&text, "\",/%d,k%d\n", i, i);
        cm_buf_printf(&want,
                      "{\"row_key\": \"k%d\", \"user_id\": \"u\", \"timestamp\": %d, "
                      "\"url\": \"/%d\", " REST,
                      i, i, i);
    }
    read_file((cm_file_options_t){.path = temp_write("a.csv", text.data, text.len)}, &got);
    expect_account(&got, 12, 12, 0, 0, 12);
    assert_string_equal(want.data, got.events.data);
    free_result(&got);
    cm_buf_free(&text);
    cm_buf_free(&want);
}

/* 10,000 URLs of 2,000 bytes: a full batch would be larger than the buffer that its slices are in.
 */
static void events_outlive_the_buffer(void **state)
{
    enum { COUNT = 10000, LENGTH = 2000 };
    cm_buf_t text = CM_BUF_INIT;
    cm_batch_t batch = CM_BATCH_INIT;
    char url[LENGTH + 1];
    cm_err_t err;
    int rc, i = 0;

    (void)state;
    memset(url, 'x', sizeof url);
    for (int j = 0; j < COUNT; j++) {
        snprintf(url, 16, "/%d/", j);
        url[strlen(url)] = 'x';
        cm_buf_add_text(&text, "h - u [17/May/2015:10:05:03 +0000] \"GET ");
        cm_buf_add(&text, url, LENGTH);
        cm_buf_add_text(&text, " HTTP/1.1\" 200 1\n");
    }
    memset(url, 'x', sizeof url);
    cm_source_t *source =
        test_file_open((cm_file_options_t){.path = temp_write("a.log", text.data, text.len)});
    do {
        cm_batch_clear(&batch);
        rc = cm_source_next(source, &batch, &err);
        assert_true(rc >= 0);
        for (size_t j = 0; j < batch.count; j++, i++) {
            snprintf(url, 16, "/%d/", i);
            url[strlen(url)] = 'x';
            assert_int_equal(LENGTH, batch.events[j].url.len);
            assert_memory_equal(url, batch.events[j].url.data, LENGTH);
        }
    } while (rc > 0);
    assert_int_equal(COUNT, i);
    cm_batch_free(&batch);
    cm_source_close(source);
    cm_buf_free(&text);
}

static void rejects_a_line_that_is_too_long(void **state)
{
    cm_buf_t text = CM_BUF_INIT;
    result_t got;
    static const cm_file_format_t formats[] = {CM_FILE_JSONL, CM_FILE_CSV, CM_FILE_COMBINED};

    (void)state;
    cm_buf_add_text(&text, "user_id,timestamp,url\n");
    for (int i = 0; i < 4 * 1024 * 1024; i++)
        cm_buf_add_char(&text, 'x');
    cm_buf_add_text(&text, "\nu,1,/\n");
    const char *path = temp_write("long", text.data, text.len);
    for (size_t i = 0; i < 3; i++) {
        read_file((cm_file_options_t){.path = path, .format = formats[i]}, &got);
        uint64_t bad = formats[i] == CM_FILE_CSV ? 1 : 3;
        expect_account(&got, formats[i] == CM_FILE_CSV ? 2 : 3, formats[i] == CM_FILE_CSV, bad, 0,
                       0);
        static const char mark[] = ":2|the line is longer than 1 MiB; its first 4 KiB are kept|";
        const char *letter = strstr(got.dead.data, mark);
        assert_non_null(letter);
        assert_int_equal(4096, strspn(letter + sizeof mark - 1, "x"));
        free_result(&got);
    }
    cm_buf_free(&text);
}

#define LINE(user, request, status)                                                                \
    "192.0.2.1 - " user " [17/May/2015:10:05:03 +0000] \"" request "\" " status                    \
    " 1 \"-\" \"Mozilla/5.0\"\n"
#define HASH "fc80d6a07ad15c8e1d16d150177ff9e9"
#define EVENT(row_key, user, url)                                                                  \
    "{\"row_key\": \"" row_key "\", \"user_id\": \"" user                                          \
    "\", \"timestamp\": 1431857103000, \"url\": \"" url "\", " REST

static const char access_log[] = LINE("-", "GET /a HTTP/1.1", "200")
    LINE("-", "GET /a HTTP/1.1", "404") LINE("frank", "GET /a HTTP/1.1", "304")
        LINE("-", "GET /a HTTP/1.1", "200") LINE("-", "GET /a.png HTTP/1.1", "200") "torn line\n";

/* The row keys are those of Python's uuid.uuid5. The skipped line counts as the second one. */
static void reads_access_logs(void **state)
{
    result_t got;

    (void)state;
    /* The row keys of the first edition, which do not contain the site. */
    read_file((cm_file_options_t){.path = temp_write_text("a.log", access_log),
                                  .site = "https://example.com/",
                                  .older_keys = true},
              &got);
    expect_account(&got, 6, 3, 1, 2, 0);
    temp_assert_text(
        EVENT("3397cfb6-199d-5bb2-9391-4cc0cc917eb3", HASH, "https://example.com/a")
            EVENT("65c2fe09-f219-560e-bcb3-c4d16cf000c5", "frank", "https://example.com/a")
                EVENT("f5bae455-ee54-55a2-a69d-2345d771dd96", HASH, "https://example.com/a"),
        got.events.data);
    temp_assert_text(
        "@/a.log:6|not an access log line: it does not begin with address, identity, user "
        "and [time]|torn line\n",
        got.dead.data);
    free_result(&got);

    read_file(
        (cm_file_options_t){.path = temp_write_text("a.log", access_log), .site = "Example.com"},
        &got);
    expect_account(&got, 6, 3, 1, 2, 0);
    temp_assert_text(
        EVENT("30de15c4-39f3-59e9-b3d9-815d41dfab4c", HASH, "https://example.com/a")
            EVENT("553a7efc-744d-56e1-b3d3-8119389ccf24", "frank", "https://example.com/a")
                EVENT("f3dcd6f0-07e0-540b-bcaa-8842b0bd8d04", HASH, "https://example.com/a"),
        got.events.data);
    free_result(&got);
}

#define HOST_LINE(host, user) host " " LINE(user, "GET /a HTTP/1.1", "200")

/* The URLs and the row keys' numbers of the events, one a line. */
static void expect_urls(cm_file_options_t options, const char *urls)
{
    static const char mark[] = "\"url\": \"";
    cm_buf_t got = CM_BUF_INIT;
    result_t result;

    read_file(options, &result);
    assert_int_equal(result.account.read, result.account.accepted);
    for (const char *at = result.events.data; (at = strstr(at, mark)) != NULL;) {
        at += sizeof mark - 1;
        cm_buf_add(&got, at, strcspn(at, "\""));
        cm_buf_add_char(&got, '\n');
    }
    assert_string_equal(urls, got.data);
    cm_buf_free(&got);
    free_result(&result);
}

static void a_virtual_host_is_the_site(void **state)
{
    const char *path = temp_write_text(
        "a.log", HOST_LINE("www.example.com:443", "-") HOST_LINE("www.example.com:80", "-")
                     HOST_LINE("WWW.Example.com:8080", "u") HOST_LINE("shop.example:8443", "u")
                         HOST_LINE("shop.example", "u") LINE("u", "GET /a HTTP/1.1", "200"));

    (void)state;
    expect_urls((cm_file_options_t){.path = path},
                "https://www.example.com/a\nhttp://www.example.com/a\n"
                "http://www.example.com:8080/a\nhttps://shop.example:8443/a\n"
                "https://shop.example/a\n/a\n");
    /* The given host is the same site, with any port of the server. */
    expect_urls((cm_file_options_t){.path = path, .site = "https://www.example.com"},
                "https://www.example.com/a\nhttps://www.example.com/a\n"
                "https://www.example.com/a\nhttps://shop.example:8443/a\n"
                "https://shop.example/a\nhttps://www.example.com/a\n");
}

/* Equal lines of two hosts are two events; equal lines of one host are counted. */
static void counts_each_host_by_itself(void **state)
{
    static const char *const keys[2][4] = {
        {"_one.example_GET /a HTTP/1.1_0", "_two.example_GET /a HTTP/1.1_0",
         "_one.example_GET /a HTTP/1.1_1", "_GET /a HTTP/1.1_0"},
        {"_GET /a HTTP/1.1_0", "_GET /a HTTP/1.1_1", "_GET /a HTTP/1.1_2", "_GET /a HTTP/1.1_3"},
    };
    const char *path = temp_write_text(
        "a.log", HOST_LINE("one.example:443", "u") HOST_LINE("two.example:443", "u")
                     HOST_LINE("one.example", "u") LINE("u", "GET /a HTTP/1.1", "200"));
    char name[100], uuid[CM_UUID_TEXT + 1] = "";
    result_t got;

    (void)state;
    for (int older = 0; older < 2; older++) {
        read_file((cm_file_options_t){.path = path, .older_keys = older == 1}, &got);
        const char *at = got.events.data;
        for (int i = 0; i < 4; i++) {
            snprintf(name, sizeof name, "u_1431857103000%s", keys[older][i]);
            cm_uuid5(cm_str(name), uuid);
            at = strstr(at, "\"row_key\": \"") + sizeof "\"row_key\": \"" - 1;
            assert_memory_equal(uuid, at, CM_UUID_TEXT);
        }
        free_result(&got);
    }
}

/* The result of logrotate's copytruncate: NULs up to the offset where the server continued to
 * write. */
static void skips_holes(void **state)
{
    static const char last[] = LINE("-", "GET /b HTTP/1.1", "200");
    enum { HOLE = 5 * 1024 * 1024 };
    cm_buf_t text = CM_BUF_INIT;

    (void)state;
    cm_buf_add_text(&text, last);
    for (int round = 0; round < 2; round++) {
        size_t from = text.len;
        cm_buf_reserve(&text, HOLE);
        memset(text.data + from, 0, HOLE);
        text.len += HOLE;
        cm_buf_add_text(&text, last);
    }
    const char *path = temp_write("a.log", text.data + sizeof last - 1, text.len - sizeof last + 1);
    expect_urls((cm_file_options_t){.path = path}, "/b\n/b\n");
    path = temp_write("a.log", text.data, text.len);
    expect_urls((cm_file_options_t){.path = path}, "/b\n/b\n/b\n");
    cm_buf_free(&text);
}

static void takes_every_line_with_all(void **state)
{
    result_t got;

    (void)state;
    read_file((cm_file_options_t){.path = temp_write_text("a.log", access_log), .all = true}, &got);
    expect_account(&got, 6, 5, 1, 0, 0);
    temp_assert_text(EVENT("3397cfb6-199d-5bb2-9391-4cc0cc917eb3", HASH, "/a")
                         EVENT("f35b5584-003c-5529-89e3-d063b1ff433c", HASH, "/a")
                             EVENT("65c2fe09-f219-560e-bcb3-c4d16cf000c5", "frank", "/a")
                                 EVENT("f5bae455-ee54-55a2-a69d-2345d771dd96", HASH, "/a")
                                     EVENT("91304885-9d96-5a13-97c2-00a3f996cff0", HASH, "/a.png"),
                     got.events.data);
    free_result(&got);

    /* Malformed requests stay as logged; the site is added only before a path. */
    read_file((cm_file_options_t){.path = temp_write_text(
                                      "b.log", LINE("-", "-", "408") LINE("-", "\\x16\\x03", "400")
                                                   LINE("-", "GET http://x/ HTTP/1.1", "400")),
                                  .all = true,
                                  .site = "https://h"},
              &got);
    expect_account(&got, 3, 3, 0, 0, 0);
    assert_non_null(strstr(got.events.data, "\"url\": \"-\""));
    assert_non_null(strstr(got.events.data, "\"url\": \"\\\\x16\\\\x03\""));
    assert_non_null(strstr(got.events.data, "\"url\": \"http://x/\""));
    free_result(&got);
}

static cm_bot_kind_t enrich(void *context, const cm_enrich_visit_t *visit, cm_arena_t *arena,
                            cm_event_t *event, cm_enrich_cut_t *cut)
{
    int *calls = context;
    (void)arena;
    (void)cut;
    assert_true(cm_str_equal(visit->address, CM_STR("192.0.2.1")));
    assert_true(cm_str_equal(visit->agent, CM_STR("Mozilla/5.0")));
    event->country = CM_STR("France");
    return ++*calls == 2 ? CM_BOT_SEO : CM_BOT_NONE;
}

static void asks_the_enrichment(void **state)
{
    result_t got;
    int calls = 0;

    (void)state;
    read_file((cm_file_options_t){.path = temp_write_text("a.log", access_log),
                                  .enrich = enrich,
                                  .enrich_context = &calls},
              &got);
    assert_int_equal(3, calls);
    expect_account(&got, 6, 2, 1, 3, 0);
    assert_int_equal(1, got.account.bots[CM_BOT_SEO]);
    assert_non_null(strstr(got.events.data, "\"country\": \"France\", \"city\": \"Unknown\""));
    free_result(&got);
}

/* 30,000 events in a text that needs several batches and buffers. */
static cm_buf_t many_lines(void)
{
    cm_buf_t text = CM_BUF_INIT;
    for (int i = 0; i < 30000; i++)
        cm_buf_printf(&text,
                      "192.0.2.%d - - [17/May/2015:10:%02d:%02d +0000] \"GET /%d HTTP/1.1\" 200 1 "
                      "\"-\" \"Mozilla/5.0 (X11; Linux x86_64) of a length that one meets "
                      "on the way\"\n%s",
                      i % 3, i / 600 % 60, i / 10 % 60, i % 2, i % 1000 == 0 ? "bad\n\n" : "");
    return text;
}

static void a_truncated_gzip_gives_what_it_has(void **state)
{
    cm_buf_t text = many_lines(), packed = CM_BUF_INIT;
    result_t whole, cut;

    (void)state;
    add_gzip(&packed, (cm_str_t){text.data, text.len});
    read_file((cm_file_options_t){.path = temp_write("a.gz", packed.data, packed.len)}, &whole);
    expect_account(&whole, 30030, 30000, 30, 0, 0);
    assert_int_equal(-1, whole.position);
    read_file((cm_file_options_t){.path = temp_write("a.gz", packed.data, packed.len / 2)}, &cut);
    assert_int_equal(CM_EINPUT, cut.rc);
    assert_non_null(strstr(cut.err.text, "is truncated: it ends at byte"));
    assert_true(cut.account.accepted > 10000 && cut.account.accepted < 20000);
    assert_true(cut.position > 0);
    assert_int_equal('\n', text.data[cut.position - 1]);
    assert_memory_equal(whole.events.data, cut.events.data, cut.events.len);
    free_result(&whole);
    free_result(&cut);
    cm_buf_free(&text);
    cm_buf_free(&packed);
}

/* A run that is interrupted after each batch and resumed gives the same as an undisturbed run. */
static void check_resume(const char *path, cm_file_format_t format)
{
    const cm_file_options_t options = {.path = path, .format = format};
    result_t whole, head, tail;

    read_file(options, &whole);
    assert_int_equal(0, whole.rc);
    assert_true(whole.batches > 3);
    for (int batches = 1; batches < whole.batches; batches++) {
        cm_source_t *source = test_file_open(options);
        drain(source, batches, &head);
        cm_source_close(source);
        source = test_file_open(options);
        cm_err_t err = {0, ""};
        assert_int_equal(0, cm_file_resume(source, head.position, &err));
        drain(source, INT32_MAX, &tail);
        cm_source_close(source);
        cm_buf_add(&head.events, tail.events.data, tail.events.len);
        cm_buf_add(&head.dead, tail.dead.data, tail.dead.len);
        cm_account_add(&head.account, &tail.account);
        assert_string_equal(whole.events.data, head.events.data);
        assert_string_equal(whole.dead.data, head.dead.data);
        assert_memory_equal(&whole.account, &head.account, sizeof head.account);
        free_result(&head);
        free_result(&tail);
    }
    free_result(&whole);
}

static void resumes(void **state)
{
    cm_buf_t text = many_lines(), packed = CM_BUF_INIT, csv = CM_BUF_INIT;
    cm_buf_t json = CM_BUF_INIT;

    (void)state;
    check_resume(temp_write("a.log", text.data, text.len), CM_FILE_AUTO);
    add_zstd(&packed, (cm_str_t){text.data, text.len});
    check_resume(temp_write("a.zst", packed.data, packed.len), CM_FILE_COMMON);
    cm_buf_add_text(&csv, "user_id,timestamp,url\n");
    for (int i = 1; i < 20000; i++)
        cm_buf_printf(&csv, "u%d,%d,\"/a\nb\"%s\n", i % 50, i, i % 100 ? "" : ",more");
    check_resume(temp_write("a.csv", csv.data, csv.len), CM_FILE_AUTO);
    cm_buf_add_text(&json, "[");
    for (int i = 1; i < 30000; i++)
        cm_buf_printf(&json, "%s\n{\"user_id\": \"u%d\",\n \"timestamp\": %d, \"url\": \"/%s\"}",
                      i == 1     ? ""
                      : i % 1000 ? ","
                                 : ",,",
                      i % 50, i, i % 100 ? "" : "],{");
    cm_buf_add_text(&json, "\n]\n");
    check_resume(temp_write("a.json", json.data, json.len), CM_FILE_AUTO);
    /* All in one line, with an element that is longer than a line may be. */
    for (size_t i = 0; i < json.len; i++)
        json.data[i] = json.data[i] == '\n' ? ' ' : json.data[i];
    char *middle = strstr(json.data + json.len / 2, "\"url\": \"") + 8;
    cm_buf_t wide = CM_BUF_INIT;
    cm_buf_add(&wide, json.data, (size_t)(middle - json.data));
    for (int i = 0; i < 300000; i++)
        cm_buf_add_text(&wide, "},{\\\"");
    cm_buf_add(&wide, middle, json.len - (size_t)(middle - json.data));
    check_resume(temp_write("b.json", wide.data, wide.len), CM_FILE_AUTO);
    cm_buf_free(&json);
    cm_buf_free(&wide);
    cm_buf_free(&text);
    cm_buf_free(&packed);
    cm_buf_free(&csv);
}

static void starts_over_when_the_position_is_not_in_the_file(void **state)
{
    const cm_file_options_t options = {.path = temp_write_text("a.log", access_log)};
    static const int64_t positions[] = {0, -1, 5, sizeof access_log, INT64_C(1) << 40};
    result_t got;

    (void)state;
    for (size_t i = 0; i < sizeof positions / sizeof positions[0]; i++) {
        cm_source_t *source = test_file_open(options);
        cm_err_t err = {0, ""};
        assert_int_equal(0, cm_file_resume(source, positions[i], &err));
        drain(source, INT32_MAX, &got);
        cm_source_close(source);
        expect_account(&got, 6, 3, 1, 2, 0);
        assert_non_null(strstr(got.events.data, "3397cfb6-199d-5bb2-9391-4cc0cc917eb3"));
        free_result(&got);
    }
}

static void copy_identity(cm_file_options_t options, char text[512])
{
    cm_source_t *source = test_file_open(options);
    snprintf(text, 512, "%s", cm_file_identity(source));
    cm_source_close(source);
}

static void has_an_identity(void **state)
{
    char first[512], other[512];
    const char *path = temp_write_text("a.log", access_log);

    (void)state;
    copy_identity((cm_file_options_t){.path = path}, first);
    assert_int_equal(0, strncmp(first, "file:/tmp/clickmill-test-", 25));
    assert_string_equal(":combined:pages:", strstr(first, ":combined"));
    copy_identity((cm_file_options_t){.path = path, .format = CM_FILE_COMBINED}, other);
    assert_string_equal(first, other);
    copy_identity((cm_file_options_t){.path = path, .all = true, .site = "https://h"}, other);
    assert_string_equal(":combined:all:https://h", strstr(other, ":combined"));
    temp_write_text("a.log", "h - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 1\n");
    copy_identity((cm_file_options_t){.path = path}, other);
    assert_string_not_equal(first, other);
    path = temp_write_text("a.jsonl", "{\"user_id\":\"u\",\"timestamp\":1,\"url\":\"/\"}\n");
    copy_identity((cm_file_options_t){.path = path, .variant = "bots"}, other);
    assert_string_equal(":jsonl:pages:", strstr(other, ":jsonl"));
    copy_identity((cm_file_options_t){.path = path, .message_variant = "bots"}, other);
    assert_string_equal(":jsonl:pages::bots", strstr(other, ":jsonl"));
}

static void reads_a_pipe_as_it_comes(void **state)
{
    static const char line[] = "{\"user_id\":\"u\",\"timestamp\":1,\"url\":\"/\"}\n";
    int ends[2];
    char path[32];
    atomic_bool stop = false;
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err;
    uint64_t done, total;

    (void)state;
    assert_int_equal(0, pipe(ends));
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    assert_int_equal(sizeof line - 1, write(ends[1], line, sizeof line - 1));
    cm_source_t *source = test_file_open((cm_file_options_t){.path = path, .stop = &stop});
    assert_string_equal("", cm_file_identity(source));
    source->ops->progress(source, &done, &total);
    assert_int_equal(0, total);
    assert_int_equal(1, cm_source_next(source, &batch, &err));
    assert_int_equal(1, batch.count);
    assert_int_equal(1, batch.position_count);
    assert_int_equal(0, batch.positions[0].source.len);
    cm_batch_clear(&batch);
    assert_int_equal(1, cm_source_next(source, &batch, &err));
    assert_int_equal(0, batch.count);
    atomic_store(&stop, true);
    cm_batch_clear(&batch);
    assert_int_equal(1, cm_source_next(source, &batch, &err));
    atomic_store(&stop, false);
    assert_int_equal(sizeof line - 2, write(ends[1], line, sizeof line - 2));
    close(ends[1]);
    cm_batch_clear(&batch);
    assert_int_equal(0, cm_source_next(source, &batch, &err));
    assert_int_equal(1, batch.count);
    cm_batch_free(&batch);
    cm_source_close(source);
    close(ends[0]);
}

static void stops_while_a_pipe_is_silent(void **state)
{
    int ends[2];
    char path[32];
    atomic_bool stop = true;
    cm_source_t *source;
    cm_err_t err;

    (void)state;
    assert_int_equal(0, pipe(ends));
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    const cm_file_options_t options = {.path = path, .visitor_key = test_file_key, .stop = &stop};
    assert_int_equal(CM_ESTOP, cm_file_open(&options, &source, &err));
    close(ends[0]);
    close(ends[1]);
}

/* The log of a real server; the counts are those of an awk script over the file. */
static void reads_a_real_log(void **state)
{
    const char *shared = getenv("CM_SHARED"), *root = getenv("CM_SOURCE_ROOT");
    char path[1024];
    result_t got;

    (void)state;
    if (shared != NULL)
        snprintf(path, sizeof path, "%s/data/apache_logs", shared);
    else
        snprintf(path, sizeof path, "%s/../shared/data/apache_logs", root ? root : ".");
    if (access(path, R_OK) != 0) {
        fprintf(stderr, "SKIP: no real access log at %s; name its directory in CM_SHARED\n", path);
        skip();
    }
    read_file((cm_file_options_t){.path = path, .all = true}, &got);
    expect_account(&got, 10000, 10000, 0, 0, 0);
    free_result(&got);
    read_file((cm_file_options_t){.path = path}, &got);
    expect_account(&got, 10000, 3985, 0, 6015, 0);
    free_result(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_json_lines),
        cmocka_unit_test(reads_csv),
        cmocka_unit_test(csv_recovers),
        cmocka_unit_test(csv_gives_up_a_quote_after_one_mebibyte),
        cmocka_unit_test(reads_csv_records_as_long_as_may_be),
        cmocka_unit_test(events_outlive_the_buffer),
        cmocka_unit_test(rejects_a_line_that_is_too_long),
        cmocka_unit_test(reads_access_logs),
        cmocka_unit_test(a_virtual_host_is_the_site),
        cmocka_unit_test(counts_each_host_by_itself),
        cmocka_unit_test(skips_holes),
        cmocka_unit_test(takes_every_line_with_all),
        cmocka_unit_test(asks_the_enrichment),
        cmocka_unit_test(a_truncated_gzip_gives_what_it_has),
        cmocka_unit_test(resumes),
        cmocka_unit_test(starts_over_when_the_position_is_not_in_the_file),
        cmocka_unit_test(has_an_identity),
        cmocka_unit_test(reads_a_pipe_as_it_comes),
        cmocka_unit_test(stops_while_a_pipe_is_silent),
        cmocka_unit_test(reads_a_real_log),
    };
    return cmocka_run_group_tests(tests, temp_setup, temp_teardown);
}
