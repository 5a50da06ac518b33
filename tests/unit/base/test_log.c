/* Entries of the log, and which of its debug entries are written. */
#include "base/log.h"

#include "support.h"

#include <unistd.h>

/* What was written to the log's pipe, without the times. */
static const char *written(int fd)
{
    static char text[4000];
    ssize_t len = read(fd, text, sizeof text - 1);

    text[len > 0 ? len : 0] = '\0';
    for (char *at; (at = strstr(text, "time=")) != NULL;)
        memmove(at, strchr(at, ' ') + 1, strlen(strchr(at, ' ') + 1) + 1);
    return text;
}

static void entries_have_a_level_and_pairs(void **state)
{
    int ends[2];
    (void)state;
    assert_int_equal(0, pipe(ends));
    const cm_log_t log = {.level = CM_LOG_INFO, .fd = ends[1]};

    cm_log(&log, CM_LOG_WARN, "disk is full", "path=%s bytes=%d", "/data", 7);
    cm_log(&log, CM_LOG_INFO, "started", NULL);
    cm_log(&log, CM_LOG_DEBUG, "not written", NULL);
    cm_debug(&log, CM_DEBUG_MILL, "not written", "n=%d", 1);
    assert_string_equal(written(ends[0]), "level=warn msg=\"disk is full\" path=/data bytes=7\n"
                                          "level=info msg=\"started\"\n");
    close(ends[0]);
    close(ends[1]);
}

/* At the level debug every context is written; chosen contexts are written at any level, and no
 * others. */
static void contexts_choose_debug_entries(void **state)
{
    int ends[2];
    (void)state;
    assert_int_equal(0, pipe(ends));
    const cm_log_t all = {.level = CM_LOG_DEBUG, .fd = ends[1]};
    const cm_log_t some = {.level = CM_LOG_ERROR,
                           .contexts = 1u << CM_DEBUG_KAFKA | 1u << CM_DEBUG_MILL,
                           .fd = ends[1]};
    const cm_log_t level_and_some = {
        .level = CM_LOG_DEBUG, .contexts = 1u << CM_DEBUG_SERVE, .fd = ends[1]};

    cm_debug(&all, CM_DEBUG_STORE, "sealed", "block=%d", 3);
    cm_debug(&some, CM_DEBUG_MILL, "planned", "passes=%d", 2);
    cm_debug(&some, CM_DEBUG_STORE, "not written", NULL);
    cm_debug(&some, CM_DEBUG_KAFKA, "partition lost", NULL);
    cm_log(&some, CM_LOG_WARN, "not written", NULL);
    cm_debug(&level_and_some, CM_DEBUG_MILL, "not written", NULL);
    cm_debug(&level_and_some, CM_DEBUG_SERVE, "request", "status=%d", 202);
    cm_debug(NULL, CM_DEBUG_SERVE, "not written", NULL);
    assert_string_equal(written(ends[0]), "level=debug context=store msg=\"sealed\" block=3\n"
                                          "level=debug context=mill msg=\"planned\" passes=2\n"
                                          "level=debug context=kafka msg=\"partition lost\"\n"
                                          "level=debug context=serve msg=\"request\" status=202\n");
    assert_true(cm_debugs(&some, CM_DEBUG_KAFKA));
    assert_false(cm_debugs(&some, CM_DEBUG_CQL));
    assert_true(cm_debugs(&all, CM_DEBUG_CQL));
    assert_false(cm_debugs(NULL, CM_DEBUG_CQL));
    close(ends[0]);
    close(ends[1]);
}

static void contexts_are_read(void **state)
{
    cm_err_t err;
    unsigned contexts;

    (void)state;
    assert_int_equal(0, cm_debug_parse("kafka,mill", &contexts, &err));
    assert_int_equal(contexts, 1u << CM_DEBUG_KAFKA | 1u << CM_DEBUG_MILL);
    assert_int_equal(0, cm_debug_parse("all", &contexts, &err));
    assert_int_equal(contexts, (1u << CM_DEBUG_COUNT) - 1);
    assert_int_equal(CM_EUSAGE, cm_debug_parse("kafka,mil", &contexts, &err));
    assert_string_equal(err.text,
                        "--debug knows no context \"mil\" (did you mean mill?); there are config, "
                        "source, kafka, cql, cassandra, elastic, store, mill, index, pipeline, "
                        "serve, spark, and all");
    assert_int_equal(CM_EUSAGE, cm_debug_parse("", &contexts, &err));
    assert_int_equal(CM_EUSAGE, cm_debug_parse("kafka,", &contexts, &err));
    for (int i = 0; i < CM_DEBUG_COUNT; i++)
        assert_non_null(cm_debug_names[i]);
    assert_null(cm_debug_names[CM_DEBUG_COUNT]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_have_a_level_and_pairs),
        cmocka_unit_test(contexts_choose_debug_entries),
        cmocka_unit_test(contexts_are_read),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
