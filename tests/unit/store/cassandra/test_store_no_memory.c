/* Out of memory in the client of Cassandra, which is a library and reports it: the program ends
 * with its documented status and one sentence, and never tries again without end.
 *
 * A child process writes and reads while one allocation of it fails, or all from one on: the linker
 * option --wrap (tests/meson.build) redirects them to failing_memory.h. The fake cluster is the
 * parent's and has memory. */
#include "cassandra_world.h"
#include "failing_memory.h"

#include <sys/wait.h>
#include <unistd.h>

enum { PLACES = 60, ROWS = 200, SECONDS = 20, MEMORY = 8 };

static const char sentence[] =
    "clickmill: out of memory; give the process more or lower `memory:`\n";

/* ---- the child ---- */

static int take_page(void *context, const cm_batch_t *batch, cm_err_t *err)
{
    (void)err;
    *(size_t *)context += batch->count;
    return 0;
}

/* Returns what the command would return. */
static int write_and_read(world_t *world)
{
    const cm_store_cassandra_options_t options = {.settings = &world->settings};
    cm_store_t *store = NULL;
    cm_batch_t batch = CM_BATCH_INIT;
    cm_account_t account = {0};
    cm_err_t err = {0};
    size_t read = 0;

    int rc = cm_store_cassandra_open(&options, &store, &err);
    for (int i = 0; i < ROWS && rc == 0; i += ROWS / 4) {
        world_fill(&batch, i, ROWS / 4);
        rc = cm_sink_put(&store->sink, &batch, &err);
        if (rc == 0)
            rc = cm_sink_commit(&store->sink, &err);
    }
    if (rc == 0)
        rc = cm_store_cassandra_scan_ends(store, take_page, &read, &account, NULL, &err);
    failing_memory.inside = 0;
    if (rc != 0)
        fprintf(stderr, "%d: %s\n", rc, err.text);
    cm_batch_free(&batch);
    cm_store_close(store);
    return rc;
}

/* What a child has left. */
typedef struct ended {
    int status;
    long allocations;
    char said[1000];
} ended_t;

static ended_t run_child(world_t *world, long at, long failures)
{
    ended_t ended = {.status = 0};
    int said[2], counted[2];

    assert_int_equal(0, pipe(said));
    assert_int_equal(0, pipe(counted));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(SECONDS);
        dup2(said[1], STDERR_FILENO);
        failing_memory = (failing_memory_t){.inside = 1, .from = at, .failures = failures};
        int rc = write_and_read(world);
        ssize_t written = write(counted[1], &failing_memory.count, sizeof failing_memory.count);
        _exit(rc == 0 && written == sizeof failing_memory.count ? 0 : 1);
    }
    close(said[1]);
    close(counted[1]);
    ssize_t len = 0, more;
    while ((more = read(said[0], ended.said + len, sizeof ended.said - 1 - (size_t)len)) > 0)
        len += more;
    if (read(counted[0], &ended.allocations, sizeof ended.allocations) < 0)
        fail_msg("no count");
    close(said[0]);
    close(counted[0]);
    assert_int_equal(child, waitpid(child, &ended.status, 0));
    return ended;
}

/* Success, where only something was not kept for later; else the status and the sentence. */
static bool ended_for_memory(const ended_t *ended, long at)
{
    if (ended->status == 0)
        return false;
    if (!WIFEXITED(ended->status) || WEXITSTATUS(ended->status) != MEMORY)
        fail_msg("allocation %ld: wait status %d: %s", at, ended->status, ended->said);
    assert_string_equal(sentence, ended->said);
    return true;
}

static void check(world_t *world, bool all_from_there)
{
    ended_t whole = run_child(world, 0, 0);
    int failures = 0;

    assert_int_equal(0, whole.status);
    assert_true(whole.allocations > PLACES);
    for (int i = 0; i < PLACES; i++) {
        const long at = whole.allocations * i / PLACES;
        const ended_t ended = run_child(world, at, all_from_there ? whole.allocations * 1000 : 1);
        failures += ended_for_memory(&ended, at);
    }
    assert_true(failures > PLACES * 3 / 4);
}

static void one_allocation_fails(void **state)
{
    check(*state, false);
}

static void memory_ends(void **state)
{
    check(*state, true);
}

/* Each write is noted in the companion, which has a writer of its own. */
static void memory_ends_with_a_companion(void **state)
{
    world_t *world = *state;

    world->settings.only_writer = world_has.companion = true;
    check(world, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_allocation_fails),
        TEST(memory_ends),
        TEST(memory_ends_with_a_companion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
