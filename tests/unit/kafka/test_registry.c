/* The client of a schema registry: exact requests to a scripted server, what is kept, what makes a
 * dead letter, and a registry that does not answer. */
#include "http_fake.h"

#include "kafka/registry.h"

/* In steps of the test, so that nothing waits for what expires. */
static int64_t ahead_ns;

int64_t __real_cm_clock_ticks_ns(void);
int64_t __wrap_cm_clock_ticks_ns(void);

int64_t __wrap_cm_clock_ticks_ns(void)
{
    return __real_cm_clock_ticks_ns() + ahead_ns;
}

#define USER                                                                                       \
    "{\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"C\\\",\\\"fields\\\":[{"          \
    "\\\"name\\\":\\\"u\\\",\\\"type\\\":\\\"string\\\"}]}\"}"
#define UNKNOWN         "{\"error_code\":40403,\"message\":\"Schema 9 not found\"}"
#define VALUE(id, rest) ((cm_str_t){"\0\0\0\0" id rest, sizeof("\0\0\0\0" id rest) - 1})

typedef struct rig {
    http_fake_t fake;
    cm_kafka_settings_t settings;
    cm_kafka_registry_t *registry;
    cm_buf_t scratch;
    atomic_bool stop;
    cm_err_t err;
} rig_t;

static void open_rig(rig_t *rig)
{
    static const cm_log_t quiet = {.level = CM_LOG_ERROR, .fd = 2};

    *rig = (rig_t){.settings = {.timeout_ms = 2000, .log = &quiet}};
    http_fake_open(&rig->fake, NULL);
    rig->settings.registry = rig->fake.url;
    rig->settings.stop = &rig->stop;
    assert_ok(cm_kafka_registry_open(&rig->settings, &rig->registry, &rig->err), rig->err);
}

static void close_rig(rig_t *rig)
{
    cm_kafka_registry_close(rig->registry);
    http_fake_close(&rig->fake);
    cm_buf_free(&rig->scratch);
}

static void answer(rig_t *rig, int status, const char *body)
{
    http_fake_script(&rig->fake, (http_fake_reply_t){.status = status, .body = body});
}

/* Waits for the schema and compares the text of the value, or the reason of its refusal. */
static void check(rig_t *rig, cm_str_t value, const char *wanted)
{
    cm_str_t text = {NULL, 0};

    assert_ok(cm_kafka_registry_wait(rig->registry, cm_kafka_registry_id(value), 5000, &rig->err),
              rig->err);
    int rc = cm_kafka_registry_text(rig->registry, value, &rig->scratch, &text, &rig->err);
    if (rc == CM_EREJECT)
        text = cm_str(rig->err.text);
    if (!cm_str_equal(text, cm_str(wanted)))
        fail_msg("it is %.*s, not %s", (int)text.len, text.data, wanted);
}

static void check_path(const rig_t *rig, int request, const char *path)
{
    char line[200];

    snprintf(line, sizeof line, "GET %s HTTP/1.1\r\n", path);
    if (strncmp(http_fake_head(&rig->fake, request), line, strlen(line)) != 0)
        fail_msg("request %d is not %s: %s", request, path, http_fake_head(&rig->fake, request));
}

/* ---- values and their schemas ---- */

static void ids(void **state)
{
    (void)state;
    assert_int_equal(cm_kafka_registry_id(VALUE("\x07", "x")), 7);
    assert_int_equal(cm_kafka_registry_id((cm_str_t){"\0\x7F\xFF\xFF\xFFx", 6}), INT32_MAX);
    assert_int_equal(cm_kafka_registry_id(VALUE("\x07", "")), 0);
    assert_int_equal(cm_kafka_registry_id((cm_str_t){"\0\x80\0\0\0x", 6}), 0);
    assert_int_equal(cm_kafka_registry_id(CM_STR("{\"user_id\":1}")), 0);
    assert_int_equal(cm_kafka_registry_id(CM_STR("")), 0);
}

/* A schema is asked for once. */
static void avro(void **state)
{
    rig_t rig;

    (void)state;
    open_rig(&rig);
    answer(&rig, 200, USER);
    check(&rig, VALUE("\x07", "\x04u1"), "{\"u\":\"u1\"}");
    check(&rig, VALUE("\x07", "\x04u2"), "{\"u\":\"u2\"}");
    check(&rig, VALUE("\x07", "\x04u"),
          "schema 7: not a value of the Avro schema: at u: it ends too early");
    assert_int_equal(rig.fake.count, 1);
    check_path(&rig, 0, "/schemas/ids/7");
    assert_contains(http_fake_head(&rig.fake, 0),
                    "Accept: application/vnd.schemaregistry.v1+json, application/json\r\n");
    assert_null(strstr(http_fake_head(&rig.fake, 0), "Authorization"));
    close_rig(&rig);
}

static void json(void **state)
{
    const cm_str_t value = VALUE("\x07", "{\"user_id\":\"u\"}");
    rig_t rig;
    cm_str_t text;

    (void)state;
    open_rig(&rig);
    answer(&rig, 200, "{\"schemaType\":\"JSON\",\"schema\":\"{}\"}");
    check(&rig, value, "{\"user_id\":\"u\"}");
    assert_ok(cm_kafka_registry_text(rig.registry, value, &rig.scratch, &text, &rig.err), rig.err);
    assert_ptr_equal(text.data, value.data + 5);
    close_rig(&rig);
}

static void other_kinds(void **state)
{
    rig_t rig;

    (void)state;
    open_rig(&rig);
    answer(&rig, 200, "{\"schemaType\":\"PROTOBUF\",\"schema\":\"syntax = 'proto3';\"}");
    check(&rig, VALUE("\x07", "x"), "schema 7 is of the kind PROTOBUF; Avro and JSON are read");
    answer(&rig, 200, "{\"schema\":\"{\\\"type\\\":\\\"nope\\\"}\"}");
    check(&rig, VALUE("\x08", "x"),
          "schema 8: the Avro schema cannot be used: Unknown Avro \"type\": nope");
    check(&rig, VALUE("\x07", "x"), "schema 7 is of the kind PROTOBUF; Avro and JSON are read");
    assert_int_equal(rig.fake.count, 2);
    close_rig(&rig);
}

/* Each of the schemas that one refers to is asked for once, and defined before it is used. */
static void references(void **state)
{
    rig_t rig;

    (void)state;
    open_rig(&rig);
    answer(&rig, 200,
           "{\"schema\":\"[\\\"null\\\",\\\"A\\\",\\\"B\\\"]\",\"references\":["
           "{\"name\":\"B\",\"subject\":\"the b/c\",\"version\":3},"
           "{\"name\":\"A\",\"subject\":\"a\",\"version\":1}]}");
    answer(&rig, 200,
           "{\"subject\":\"b\",\"version\":3,\"id\":4,\"schema\":\"{\\\"type\\\":\\\"record\\\","
           "\\\"name\\\":\\\"B\\\",\\\"fields\\\":[{\\\"name\\\":\\\"a\\\",\\\"type\\\":"
           "\\\"A\\\"}]}\",\"references\":[{\"name\":\"A\",\"subject\":\"a\",\"version\":1}]}");
    answer(&rig, 200,
           "{\"schema\":\"{\\\"type\\\":\\\"enum\\\",\\\"name\\\":\\\"A\\\",\\\"symbols\\\":"
           "[\\\"X\\\",\\\"Y\\\"]}\"}");
    check(&rig, VALUE("\x07", "\x04\x02"), "{\"a\":\"Y\"}");
    assert_int_equal(rig.fake.count, 3);
    check_path(&rig, 1, "/subjects/the%20b%2Fc/versions/3?deleted=true");
    check_path(&rig, 2, "/subjects/a/versions/1?deleted=true");
    answer(&rig, 200,
           "{\"schema\":\"\\\"A\\\"\",\"references\":[{\"name\":\"A\",\"subject\":\"a\","
           "\"version\":2}]}");
    answer(&rig, 422, "{\"error_code\":42202,\"message\":\"Invalid version\"}");
    check(&rig, VALUE("\x08", "\x02"),
          "schema 8 cannot be read: the schema registry answers "
          "/subjects/a/versions/2?deleted=true with 42202, Invalid version");
    close_rig(&rig);
}

/* ---- ids that are not known ---- */

/* One of several servers may learn a new id later than the others. */
static void known_a_moment_later(void **state)
{
    rig_t rig;

    (void)state;
    open_rig(&rig);
    answer(&rig, 404, UNKNOWN);
    answer(&rig, 200, USER);
    check(&rig, VALUE("\x09", "\x04u1"), "{\"u\":\"u1\"}");
    assert_int_equal(rig.fake.count, 2);
    assert_true(http_fake_ms_between(&rig.fake, 0, 1) >= 900);
    close_rig(&rig);
}

/* It is asked for again after some seconds: a second unknown id does not wait. */
static void unknown(void **state)
{
    rig_t rig;

    (void)state;
    open_rig(&rig);
    for (int i = 0; i < 3; i++)
        answer(&rig, 404, UNKNOWN);
    answer(&rig, 200, USER);
    check(&rig, VALUE("\x09", "\x04u1"), "schema 9 is not known to the schema registry");
    check(&rig, VALUE("\x0A", "\x04u1"), "schema 10 is not known to the schema registry");
    assert_true(http_fake_ms_between(&rig.fake, 1, 2) < 900);
    check(&rig, VALUE("\x09", "\x04u1"), "schema 9 is not known to the schema registry");
    assert_int_equal(rig.fake.count, 3);
    ahead_ns += INT64_C(11000) * 1000 * 1000;
    check(&rig, VALUE("\x09", "\x04u1"), "{\"u\":\"u1\"}");
    assert_int_equal(rig.fake.count, 4);
    close_rig(&rig);
}

/* Many ids are forgotten when they have expired, and schemas stay. */
static void many(void **state)
{
    rig_t rig;

    (void)state;
    open_rig(&rig);
    answer(&rig, 200, USER);
    check(&rig, VALUE("\x40", "\x04u1"), "{\"u\":\"u1\"}");
    for (int i = 1; i < 39; i++) {
        char value[] = {0, 0, 0, 0, (char)i, 'x'};
        char reason[60];
        answer(&rig, 404, UNKNOWN);
        if (i == 1)
            answer(&rig, 404, UNKNOWN);
        snprintf(reason, sizeof reason, "schema %d is not known to the schema registry", i);
        check(&rig, (cm_str_t){value, sizeof value}, reason);
    }
    check(&rig, VALUE("\x40", "\x04u2"), "{\"u\":\"u2\"}");
    assert_int_equal(rig.fake.count, 40);
    close_rig(&rig);
}

/* ---- a registry that does not answer ---- */

/* No answer, and an answer that is not the registry's, say nothing about the id. */
static void away(void **state)
{
    static const http_fake_reply_t replies[] = {
        {.fault = CLOSE},
        {.fault = GARBAGE},
        {.status = 500, .body = "{\"error_code\":50001,\"message\":\"store\"}"},
        {.status = 503, .body = "busy"},
        {.status = 302, .headers = "location: http://other\r\n"},
        {.status = 404, .body = "<html>nginx</html>"},
        {.status = 404, .body = "{\"error_code\":404,\"message\":\"HTTP 404 Not Found\"}"},
        {.status = 200, .body = "<html>log in</html>"},
        {.status = 200, .body = "{}"},
    };
    rig_t rig;

    (void)state;
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        open_rig(&rig);
        for (int k = 0; k < 3; k++)
            http_fake_script(&rig.fake, replies[i]);
        answer(&rig, 200, USER);
        int rc = 0, rounds = 0;
        bool trouble = false;
        for (; rc == 0 && rounds < 100; rounds++) {
            rc = cm_kafka_registry_find(rig.registry, 7, &rig.err);
            trouble |= cm_kafka_registry_trouble(rig.registry) != NULL;
        }
        assert_int_equal(rc, 1);
        assert_true(trouble);
        assert_null(cm_kafka_registry_trouble(rig.registry));
        check(&rig, VALUE("\x07", "\x04u1"), "{\"u\":\"u1\"}");
        close_rig(&rig);
    }
}

static void another_server(void **state)
{
    rig_t rig;
    char urls[100];

    (void)state;
    open_rig(&rig);
    cm_kafka_registry_close(rig.registry);
    snprintf(urls, sizeof urls, "http://127.0.0.1:1/, %s/", rig.fake.url);
    rig.settings.registry = urls;
    assert_ok(cm_kafka_registry_open(&rig.settings, &rig.registry, &rig.err), rig.err);
    answer(&rig, 200, USER);
    check(&rig, VALUE("\x07", "\x04u1"), "{\"u\":\"u1\"}");
    check_path(&rig, 0, "/schemas/ids/7");
    close_rig(&rig);
}

static void limits_of_waits(void **state)
{
    rig_t rig;
    char wanted[100];

    (void)state;
    open_rig(&rig);
    http_fake_stop(&rig.fake);
    assert_int_equal(cm_kafka_registry_wait(rig.registry, 7, 300, &rig.err), CM_EAWAY);
    snprintf(wanted, sizeof wanted, "the schema registry does not answer (%s: ", rig.fake.url);
    assert_contains(rig.err.text, wanted);
    atomic_store(&rig.stop, true);
    assert_int_equal(cm_kafka_registry_wait(rig.registry, 7, 60000, &rig.err), CM_ESTOP);
    close_rig(&rig);
}

static void credentials(void **state)
{
    rig_t rig;
    char wanted[300];

    (void)state;
    open_rig(&rig);
    cm_kafka_registry_close(rig.registry);
    setenv("REGISTRY_PASSWORD", "secret", 1);
    rig.settings.registry_user = "me";
    rig.settings.registry_password = "${REGISTRY_PASSWORD}";
    assert_ok(cm_kafka_registry_open(&rig.settings, &rig.registry, &rig.err), rig.err);
    answer(&rig, 401, "{\"error_code\":401,\"message\":\"Unauthorized\"}");
    assert_int_equal(cm_kafka_registry_wait(rig.registry, 7, 5000, &rig.err), CM_EUSAGE);
    snprintf(wanted, sizeof wanted,
             "the schema registry at %s refuses the user (status 401); check kafka.registry_user "
             "and kafka.registry_password, and what the user may read",
             rig.fake.url);
    assert_string_equal(rig.err.text, wanted);
    assert_contains(http_fake_head(&rig.fake, 0), "Authorization: Basic bWU6c2VjcmV0\r\n");
    close_rig(&rig);
}

static void settings(void **state)
{
    static const struct {
        const char *url, *user, *ca, *sentence;
    } all[] = {
        {"", NULL, NULL, "kafka.registry is empty; write http://host:8081"},
        {"host:8081", NULL, NULL, "kafka.registry: address 1 is not a URL; write http://host:8081"},
        {"http://a,http://me:secret@b", NULL, NULL,
         "kafka.registry: address 2 has a user or a question mark in it; write http://host:8081, "
         "and give kafka.registry_user and kafka.registry_password"},
        {"http://a", "me", NULL,
         "kafka.registry_user and kafka.registry_password belong together; give both or none"},
        {"http://a", NULL, "/none/ca.pem",
         "kafka.registry_ca: cannot read /none/ca.pem: No such file or directory"},
    };
    cm_kafka_registry_t *registry = NULL;
    cm_err_t err;

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const cm_kafka_settings_t given = {.registry = all[i].url,
                                           .registry_user = all[i].user,
                                           .registry_ca = all[i].ca,
                                           .timeout_ms = 1000};
        assert_int_equal(cm_kafka_registry_open(&given, &registry, &err), CM_EUSAGE);
        assert_string_equal(err.text, all[i].sentence);
        assert_null(registry);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids),
        cmocka_unit_test(avro),
        cmocka_unit_test(json),
        cmocka_unit_test(other_kinds),
        cmocka_unit_test(references),
        cmocka_unit_test(known_a_moment_later),
        cmocka_unit_test(unknown),
        cmocka_unit_test(many),
        cmocka_unit_test(away),
        cmocka_unit_test(another_server),
        cmocka_unit_test(limits_of_waits),
        cmocka_unit_test(credentials),
        cmocka_unit_test(settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
