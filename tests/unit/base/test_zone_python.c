/* Offsets of time zones, and the first instants of dates and hours, against those of Python's
 * zoneinfo, which reads the same database (tests/unit/support/zones.py). */
#include "base/zone.h"
#include "support.h"

#include <fcntl.h>
#include <sys/wait.h>

typedef struct tried {
    long offsets, firsts, zones;
} tried_t;

static void check_offset(const cm_zone_t *zone, const char *name, int64_t second, int64_t expected)
{
    int64_t from, to;
    const int64_t offset = cm_zone_offset(zone, second, &from, &to);

    if (offset != expected)
        fail_msg("%s: at %lld the offset is %lld, not %lld", name, (long long)second,
                 (long long)offset, (long long)expected);
    assert_true(from <= second && second < to);
    /* The same in all of the span, and the spans lie one behind the other. */
    int64_t other_from, other_to;
    if (to != INT64_MAX) {
        assert_int_equal(offset, cm_zone_offset(zone, to - 1, &other_from, &other_to));
        assert_true(other_from == from && other_to == to);
        cm_zone_offset(zone, to, &other_from, &other_to);
        assert_true(other_from == to);
    }
    if (from != INT64_MIN)
        assert_int_equal(offset, cm_zone_offset(zone, from, &other_from, &other_to));
}

static void check_line(const char *line, cm_zone_t **zone, char *name, tried_t *tried)
{
    long long a, b;
    cm_err_t err;

    if (sscanf(line, "zone %99s", name) == 1) {
        cm_zone_free(*zone);
        *zone = NULL;
        assert_ok(cm_zone_open(name, zone, &err), err);
        tried->zones++;
    } else if (sscanf(line, "offset %lld %lld", &a, &b) == 2) {
        check_offset(*zone, name, a, b);
        tried->offsets++;
    } else if (sscanf(line, "first %lld %lld", &a, &b) == 2) {
        if (cm_zone_first(*zone, a) != b)
            fail_msg("%s: %lld is shown first at %lld, not at %lld", name, a,
                     (long long)cm_zone_first(*zone, a), b);
        tried->firsts++;
    } else {
        fail_msg("what is this: %s", line);
    }
}

/* Starts Python; its lines are read from the file. */
static FILE *start(pid_t *child)
{
    char script[4096];
    int ends[2];

    assert_non_null(getenv("CM_SOURCE_ROOT"));
    snprintf(script, sizeof script, "%s/tests/unit/support/zones.py", getenv("CM_SOURCE_ROOT"));
    assert_int_equal(0, pipe2(ends, O_CLOEXEC));
    *child = fork();
    assert_true(*child >= 0);
    if (*child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        execlp("python3", "python3", script, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    return fdopen(ends[0], "r");
}

static void as_python(void **state)
{
    char line[200], name[100];
    cm_zone_t *zone = NULL;
    tried_t tried = {0};
    pid_t child;
    int status;

    (void)state;
    FILE *lines = start(&child);
    assert_non_null(lines);
    while (fgets(line, sizeof line, lines) != NULL)
        check_line(line, &zone, name, &tried);
    fclose(lines);
    assert_int_equal(child, waitpid(child, &status, 0));
    assert_int_equal(0, status);
    assert_int_equal(24, tried.zones);
    assert_true(tried.offsets > 10000 && tried.firsts > 10000);
    cm_zone_free(zone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_python)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
