/* The facts of timelines, and the counters of groups, against loops that look at every pair of
 * events. */
#include "support.h"

#include "mill/tally.h"

enum { ROWS = 300, USERS = 24, URLS = 5, VALUES = 4, DIMS = 3, ROUNDS = 60, TIMEOUT = 1800 };

/* Events of some users, and what is selected of them. */
typedef struct world {
    uint32_t user[USERS], end[USERS], second[ROWS], url[ROWS], engaged[ROWS];
    uint32_t of_user[ROWS]; /* by row */
    uint16_t ms[ROWS];
    uint8_t kind[ROWS], selected[ROWS];
    uint32_t keys[DIMS][ROWS];
    cm_crowd_t crowd;
    uint64_t random;
} world_t;

static uint32_t draw(world_t *world, uint32_t below)
{
    return (uint32_t)(test_random(&world->random) % below);
}

/* Gaps are often at the timeout and beside it. */
static uint32_t draw_gap(world_t *world)
{
    static const uint32_t gaps[] = {0, 1, 7, TIMEOUT - 1, TIMEOUT, TIMEOUT + 1, 90000};

    return gaps[draw(world, sizeof gaps / sizeof *gaps)];
}

static void make_world(world_t *world)
{
    uint32_t row = 0;

    for (uint32_t user = 0; user < USERS; user++) {
        uint32_t second = 1000000 + draw(world, 100);
        const uint32_t events = user == USERS - 1 ? ROWS - row : draw(world, 2 * ROWS / USERS);
        world->user[user] = user * 3;
        for (uint32_t i = 0; i < events && row < ROWS; i++, row++) {
            second += draw_gap(world);
            world->second[row] = second;
            world->of_user[row] = user;
            world->kind[row] = (uint8_t)(draw(world, 3) == 0 ? 1 + draw(world, 2) : CM_KIND_VIEW);
            world->url[row] = 1 + draw(world, URLS);
            world->engaged[row] = world->kind[row] == CM_KIND_ENGAGEMENT ? 1 + draw(world, 9) : 0;
            world->selected[row] = draw(world, 3) > 0;
            for (int dim = 0; dim < DIMS; dim++)
                world->keys[dim][row] = draw(world, VALUES);
        }
        world->end[user] = row;
    }
    world->crowd = (cm_crowd_t){.users = USERS,
                                .user = world->user,
                                .end = world->end,
                                .rows = row,
                                .second = world->second,
                                .ms = world->ms,
                                .kind = world->kind};
    world->crowd.values[CM_COLUMN_URL] = world->url;
    world->crowd.values[CM_COLUMN_ENGAGED] = world->engaged;
}

/* ---- the plain reference: what is true of one page view ---- */

static bool is_view(const world_t *world, uint32_t row)
{
    return world->kind[row] == CM_KIND_VIEW;
}

/* The page view of the same user before (step -1) or after (step 1) a row; -1: none. */
static int neighbour(const world_t *world, uint32_t row, int step)
{
    for (int at = (int)row + step; at >= 0 && at < (int)world->crowd.rows; at += step) {
        if (world->of_user[at] != world->of_user[row])
            return -1;
        if (is_view(world, (uint32_t)at))
            return at;
    }
    return -1;
}

static bool begins(const world_t *world, uint32_t row)
{
    const int before = neighbour(world, row, -1);

    return before < 0 || world->second[row] - world->second[before] > TIMEOUT;
}

static bool ends(const world_t *world, uint32_t row)
{
    const int after = neighbour(world, row, 1);

    return after < 0 || world->second[after] - world->second[row] > TIMEOUT;
}

/* The first page view of a page view's session, and the last one. */
static uint32_t first_of(const world_t *world, uint32_t row)
{
    while (!begins(world, row))
        row = (uint32_t)neighbour(world, row, -1);
    return row;
}

static uint32_t last_of(const world_t *world, uint32_t row)
{
    while (!ends(world, row))
        row = (uint32_t)neighbour(world, row, 1);
    return row;
}

/* Engaged time of a page view + 1; 0: none. */
static uint32_t engaged_of(const world_t *world, uint32_t view)
{
    uint32_t most = 0;

    for (uint32_t row = view + 1; row < world->crowd.rows; row++) {
        if (world->of_user[row] != world->of_user[view] ||
            (is_view(world, row) && world->url[row] == world->url[view]))
            break;
        if (world->kind[row] == CM_KIND_ENGAGEMENT && world->url[row] == world->url[view] &&
            world->engaged[row] > most)
            most = world->engaged[row];
    }
    return most;
}

/* The first row of a user's session that a row of another kind belongs to; -1: none. */
static int session_of(const world_t *world, uint32_t row)
{
    const int view = is_view(world, row) ? (int)row : neighbour(world, row, -1);

    if (view < 0 || world->second[row] - world->second[view] > TIMEOUT)
        return -1;
    return (int)first_of(world, (uint32_t)view);
}

/* ---- the plain reference: counters of a group ---- */

/* Whether a row is of the group: `key` is that of a row, or NULL for all. */
static bool is_in(const world_t *world, const uint32_t *key, size_t dims, uint32_t row)
{
    bool in = world->selected[row];

    for (size_t dim = 0; key != NULL && dim < dims; dim++)
        in &= world->keys[dim][row] == key[dim];
    return in;
}

static void count_view(const world_t *world, uint32_t row, int64_t *counters)
{
    const int after = neighbour(world, row, 1);
    const uint32_t engaged = engaged_of(world, row);
    const uint32_t gap = after < 0 ? 0 : world->second[after] - world->second[row];

    counters[CM_COUNTER_CLICKS]++;
    counters[CM_COUNTER_TIME_SPENT_SUM] += gap;
    counters[CM_COUNTER_TIME_SPENT_COUNT] += after >= 0;
    counters[CM_COUNTER_TIME_ON_PAGE_SUM] += gap <= TIMEOUT ? gap : 0;
    counters[CM_COUNTER_TIME_ON_PAGE_COUNT] += after >= 0 && gap <= TIMEOUT;
    counters[CM_COUNTER_ENTRANCES] += begins(world, row);
    counters[CM_COUNTER_EXITS] += ends(world, row);
    counters[CM_COUNTER_BOUNCES] += begins(world, row) && ends(world, row);
    if (begins(world, row))
        counters[CM_COUNTER_VISIT_DURATION_SUM] +=
            world->second[last_of(world, row)] - world->second[row];
    counters[CM_COUNTER_ENGAGED_MS_SUM] += engaged > 0 ? engaged - 1 : 0;
    counters[CM_COUNTER_ENGAGED_COUNT] += engaged > 0;
    counters[CM_COUNTER_NEW_USERS] += neighbour(world, row, -1) < 0;
}

/* Counts users and sessions once: a row counts when no row before it in the group is the same. */
static void count_distinct(const world_t *world, const uint32_t *key, size_t dims, uint32_t row,
                           int64_t *counters)
{
    bool user = true, event_user = true, visit = is_view(world, row);

    for (uint32_t other = 0; other < row; other++) {
        if (!is_in(world, key, dims, other) || world->of_user[other] != world->of_user[row])
            continue;
        event_user &= world->kind[other] == CM_KIND_ENGAGEMENT;
        user &= !is_view(world, other);
        visit &= !is_view(world, other) || session_of(world, other) != session_of(world, row);
    }
    counters[CM_COUNTER_USERS] += is_view(world, row) && user;
    counters[CM_COUNTER_EVENT_USERS] += world->kind[row] != CM_KIND_ENGAGEMENT && event_user;
    counters[CM_COUNTER_VISITS] += visit;
}

static void count_group(const world_t *world, const uint32_t *key, size_t dims, int64_t *counters)
{
    memset(counters, 0, CM_COUNTER_COUNT * sizeof *counters);
    for (uint32_t row = 0; row < world->crowd.rows; row++) {
        if (!is_in(world, key, dims, row))
            continue;
        counters[CM_COUNTER_EVENTS] += world->kind[row] != CM_KIND_ENGAGEMENT;
        if (is_view(world, row))
            count_view(world, row, counters);
        count_distinct(world, key, dims, row, counters);
    }
}

/* ---- tests ---- */

static const uint32_t levels[] = {
    1u << CM_COUNTER_CLICKS | 1u << CM_COUNTER_EVENT_USERS,
    1u << CM_COUNTER_CLICKS | 1u << CM_COUNTER_VISITS,
    (1u << CM_COUNTER_COUNT) - 1,
};

/* Which counters a level has. */
static bool has_counter(cm_tally_level_t level, int counter)
{
    const bool of_events = counter == CM_COUNTER_EVENTS || counter == CM_COUNTER_EVENT_USERS ||
                           counter == CM_COUNTER_CLICKS || counter == CM_COUNTER_USERS;

    return of_events || level == CM_TALLY_FACTS ||
           (counter == CM_COUNTER_VISITS && level == CM_TALLY_VISITS);
}

static void check_counters(const int64_t *found, const int64_t *expected, cm_tally_level_t level)
{
    for (int counter = 0; counter < CM_COUNTER_COUNT; counter++) {
        if (found[counter] != (has_counter(level, counter) ? expected[counter] : 0))
            fail_msg("counter %d of level %d is %lld, not %lld", counter, (int)level,
                     (long long)found[counter], (long long)expected[counter]);
    }
}

/* Every cell has the counters of its group, and every selected row has a cell. */
static void check_tally(const world_t *world, const cm_tally_t *tally, size_t dims)
{
    int64_t found[CM_COUNTER_COUNT], expected[CM_COUNTER_COUNT], clicks = 0;

    for (uint32_t cell = 0; cell < tally->count; cell++) {
        cm_tally_counters(tally, cell, found);
        count_group(world, &tally->keys[cell * dims], dims, expected);
        check_counters(found, expected, tally->level);
        clicks += found[CM_COUNTER_CLICKS];
    }
    count_group(world, NULL, dims, expected);
    assert_int_equal(clicks, expected[CM_COUNTER_CLICKS]);
    assert_int_equal(tally->users, expected[CM_COUNTER_USERS]);
    assert_int_equal(tally->event_users, expected[CM_COUNTER_EVENT_USERS]);
    if (tally->level >= CM_TALLY_VISITS)
        assert_int_equal(tally->visits, expected[CM_COUNTER_VISITS]);
}

static void count_world(const world_t *world, cm_facts_t *facts, cm_tally_t *tally)
{
    const uint32_t *keys[DIMS] = {world->keys[0], world->keys[1], world->keys[2]};
    const cm_tally_rows_t rows = {
        .crowd = &world->crowd, .facts = facts, .selected = world->selected, .keys = keys};

    cm_facts_find(facts, &world->crowd);
    cm_tally_add(tally, &rows);
}

static void groups_have_exact_counters(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        world_t world = {.random = round};
        cm_facts_t facts = {.timeout = TIMEOUT, .engaged = true, .urls = URLS + 1};
        make_world(&world);
        for (size_t dims = 0; dims <= DIMS; dims++) {
            const cm_question_t question = {.counters = levels[round % 3]};
            cm_tally_t tally;
            /* With a table of all pairs of values, of some, and without. */
            const uint32_t sizes[][DIMS] = {
                {VALUES, VALUES}, {VALUES - 1, VALUES - 2}, {0, VALUES}};
            cm_tally_init(&tally, &question, dims, sizes[round / 3 % 3]);
            count_world(&world, &facts, &tally);
            check_tally(&world, &tally, dims);
            cm_tally_free(&tally);
        }
        cm_facts_free(&facts);
    }
}

/* The same events counted in two parts and added are the same groups, whatever was direct. */
static void parts_add_up(void **state)
{
    const cm_question_t question = {.counters = levels[2]};
    cm_facts_t facts = {.timeout = TIMEOUT, .engaged = true, .urls = URLS + 1};
    int64_t found[CM_COUNTER_COUNT], first[CM_COUNTER_COUNT], second[CM_COUNTER_COUNT];

    (void)state;
    for (size_t dims = 0; dims <= DIMS; dims++) {
        world_t one = {.random = 77}, two = {.random = 78};
        cm_tally_t tally, more;
        make_world(&one);
        make_world(&two);
        const uint32_t sizes[DIMS] = {VALUES, VALUES, VALUES};
        cm_tally_init(&tally, &question, dims, sizes);
        cm_tally_init(&more, &question, dims, NULL);
        count_world(&one, &facts, &tally);
        count_world(&two, &facts, &more);
        cm_tally_merge(&tally, &more);
        for (uint32_t cell = 0; cell < tally.count; cell++) {
            cm_tally_counters(&tally, cell, found);
            count_group(&one, &tally.keys[cell * dims], dims, first);
            count_group(&two, &tally.keys[cell * dims], dims, second);
            for (int counter = 0; counter < CM_COUNTER_COUNT; counter++)
                assert_int_equal(found[counter], first[counter] + second[counter]);
        }
        count_group(&one, NULL, dims, first);
        count_group(&two, NULL, dims, second);
        assert_int_equal(tally.visits, first[CM_COUNTER_VISITS] + second[CM_COUNTER_VISITS]);
        cm_tally_free(&tally);
        cm_tally_free(&more);
    }
    cm_facts_free(&facts);
}

/* Values beyond the table of one dimension, and far apart. */
static void large_values_have_cells(void **state)
{
    static const uint32_t values[] = {5, 4000000, 4194304, 4294967295, 5, 4194303, 4294967295};
    enum { COUNT = sizeof values / sizeof *values };
    const uint32_t end[] = {COUNT}, user[] = {0}, second[COUNT] = {0};
    const uint16_t ms[COUNT] = {0};
    const uint8_t kind[COUNT] = {0};
    const uint32_t *keys[] = {values};
    const cm_crowd_t crowd = {.users = 1,
                              .user = user,
                              .end = end,
                              .rows = COUNT,
                              .second = second,
                              .ms = ms,
                              .kind = kind};
    const cm_question_t question = {.counters = levels[0]};
    const cm_tally_rows_t rows = {.crowd = &crowd, .keys = keys};
    int64_t found[CM_COUNTER_COUNT];
    cm_tally_t tally;

    (void)state;
    cm_tally_init(&tally, &question, 1, NULL);
    cm_tally_add(&tally, &rows);
    assert_int_equal(tally.count, 5);
    for (uint32_t cell = 0; cell < tally.count; cell++) {
        const bool twice = tally.keys[cell] == 5 || tally.keys[cell] == UINT32_MAX;
        cm_tally_counters(&tally, cell, found);
        assert_int_equal(found[CM_COUNTER_CLICKS], twice ? 2 : 1);
        assert_int_equal(found[CM_COUNTER_USERS], 1);
    }
    cm_tally_free(&tally);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_have_exact_counters),
        cmocka_unit_test(parts_add_up),
        cmocka_unit_test(large_values_have_cells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
