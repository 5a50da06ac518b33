/* The pass over one user's timeline, in small cases with results worked out by hand; and the table
 * of cells. */
#include "mill/timeline.h"

#include "base/clock.h"
#include "support.h"

enum { ALL = 1 << CM_WINDOW_ALL, DAY = 1 << CM_WINDOW_DAY, HOUR = 1 << CM_WINDOW_HOUR };

static const cm_packed_layout_t layout = {.ordinal_bits = 3, .ordinal_mask = 7, .country_bits = 3};

enum { REGIONS = 2 };

/* A timeline and the cells that its contributions are gathered into. */
typedef struct mill {
    cm_timeline_t timeline;
    cm_gathering_t gathering;
    cm_compact_layout_t compact;
    cm_chunk_list_t lists[REGIONS];
    cm_slabs_t slabs;
    cm_cells_t regions[REGIONS], wide;
} mill_t;

static mill_t *mill_of(unsigned windows)
{
    mill_t *mill = cm_alloc_zero(1, sizeof *mill);

    mill->timeline = (cm_timeline_t){.layout = &layout,
                                     .others = CM_TIMELINE_NO_PLACE,
                                     .compact = &mill->compact,
                                     .windows = windows,
                                     .session_timeout_s = 1800,
                                     .lists = mill->lists,
                                     .region_mask = REGIONS - 1,
                                     .slabs = &mill->slabs};
    mill->gathering = (cm_gathering_t){.layout = &layout,
                                       .compact = &mill->compact,
                                       .windows = windows,
                                       .session_timeout_s = 1800,
                                       .region_shift = 1};
    return mill;
}

static void add(mill_t *mill, const cm_packed_event_t *events, size_t count, int sign)
{
    assert_int_equal(cm_timeline_add(&mill->timeline, events, count, sign), 0);
    for (int r = 0; r < REGIONS; r++) {
        cm_chunk_list_close(&mill->lists[r]);
        cm_cells_gather(&mill->regions[r], &mill->wide, &mill->lists[r], &mill->gathering);
        cm_chunk_list_release(&mill->lists[r], &mill->slabs);
    }
}

static void roll_up(mill_t *mill)
{
    for (int r = 0; r < REGIONS; r++)
        cm_cells_roll_up(&mill->regions[r], &mill->wide);
}

static size_t cells_of(const mill_t *mill)
{
    return (size_t)mill->regions[0].count + mill->regions[1].count + mill->wide.count;
}

static void free_mill(mill_t *mill)
{
    for (int r = 0; r < REGIONS; r++)
        cm_cells_free(&mill->regions[r]);
    cm_cells_free(&mill->wide);
    cm_visited_free(&mill->timeline.visited);
    cm_slabs_free(&mill->slabs);
    free(mill);
}

static cm_packed_event_t event_at(int64_t time, uint32_t url, uint32_t country)
{
    return (cm_packed_event_t){.key = UINT64_C(77) << CM_PACKED_TIME_BITS | (uint64_t)time,
                               .load = cm_place(url, country, &layout) << 3 | 5};
}

static void assert_cell(mill_t *mill, uint32_t url, uint32_t country, uint32_t window,
                        cm_measures_t expected)
{
    cm_cells_t *cells = url == CM_CELL_ALL ? &mill->wide : &mill->regions[url % REGIONS];
    size_t before = cells->count;
    const cm_cell_t *cell = cm_cells_get(cells, (cm_cell_key_t){url, country, window});
    const int64_t *got = (const int64_t *)&cell->measures, *want = (const int64_t *)&expected;
    assert_int_equal(cells->count, before); /* the cell was there */
    for (size_t i = 0; i < sizeof expected / sizeof *want; i++)
        assert_int_equal(got[i], want[i]);
}

static uint32_t window_at(cm_window_t kind, int64_t start)
{
    return cm_cell_window(kind, start);
}

/* Fields in order: clicks, users, spent sum and count, page sum and count, entrances, exits. */
static void one_event(void **state)
{
    mill_t *mill = mill_of(ALL);
    const cm_packed_event_t event = event_at(1, 3, 4);

    (void)state;
    add(mill, &event, 0, 1);
    assert_int_equal(cells_of(mill), 0);
    add(mill, &event, 1, 1);
    roll_up(mill);
    assert_int_equal(cells_of(mill), 4);
    assert_int_equal(cm_packed_ordinal(&event, &layout), 5);
    assert_int_equal(cm_packed_user(&event), 77);
    assert_int_equal(mill->timeline.events, 1);
    uint32_t all = window_at(CM_WINDOW_ALL, 0);
    assert_cell(mill, 3, 4, all, (cm_measures_t){1, 1, 0, 0, 0, 0, 1, 1});
    assert_cell(mill, 3, CM_CELL_ALL, all, (cm_measures_t){1, 1, 0, 0, 0, 0, 1, 1});
    assert_cell(mill, CM_CELL_ALL, 4, all, (cm_measures_t){1, 1, 0, 0, 0, 0, 1, 1});
    assert_cell(mill, CM_CELL_ALL, CM_CELL_ALL, all, (cm_measures_t){1, 1, 0, 0, 0, 0, 1, 1});
    free_mill(mill);
}

/* What a gap between two events contributes to the first and to the second. */
static void assert_gap(int64_t from, int64_t to, int64_t seconds, bool ends)
{
    mill_t *mill = mill_of(ALL);
    const cm_packed_event_t events[] = {event_at(from, 0, 0), event_at(to, 1, 0)};
    uint32_t all = window_at(CM_WINDOW_ALL, 0);

    add(mill, events, 2, 1);
    roll_up(mill);
    assert_cell(mill, 0, 0, all,
                (cm_measures_t){1, 1, seconds, 1, ends ? 0 : seconds, !ends, 1, ends});
    assert_cell(mill, 1, 0, all, (cm_measures_t){1, 1, 0, 0, 0, 0, ends, 1});
    assert_cell(mill, CM_CELL_ALL, CM_CELL_ALL, all,
                (cm_measures_t){2, 1, seconds, 1, ends ? 0 : seconds, !ends, 1 + ends, 1 + ends});
    free_mill(mill);
}

static void gaps(void **state)
{
    (void)state;
    assert_gap(5000, 5000, 0, false);
    assert_gap(1, 999, 0, false);
    assert_gap(999, 1000, 1, false);    /* seconds of the clock */
    assert_gap(10900, 11100, 1, false); /* not seconds of the difference */
    assert_gap(10100, 11900, 1, false);
    assert_gap(1000, 1801000, 1800,
               false); /* a gap of exactly the timeout does not end a session */
    assert_gap(1000, 1801999, 1800, false);
    assert_gap(1999, 1801000, 1800, false);
    assert_gap(1000, 1802000, 1801, true);
    assert_gap(1999, 1802000, 1801,
               true); /* the difference is 1800.001 s, by the clock it is 1801 s */
    assert_gap(1, CM_TIME_END - 1, 4102444799, true);
}

static void sessions_and_windows(void **state)
{
    const int64_t day = 19676 * INT64_C(86400000);
    const cm_packed_event_t events[] = {event_at(day - 1000, 0, 0),  /* before midnight */
                                        event_at(day, 0, 1),         /* another country */
                                        event_at(day + 60000, 0, 0), /* back */
                                        event_at(day + 3 * CM_HOUR_MS, 1, 0)};
    mill_t *mill = mill_of(ALL | DAY | HOUR);

    (void)state;
    add(mill, events, 4, 1);
    roll_up(mill);
    uint32_t all = window_at(CM_WINDOW_ALL, 0), today = window_at(CM_WINDOW_DAY, day);
    uint32_t yesterday = window_at(CM_WINDOW_DAY, day - CM_DAY_MS);
    assert_cell(mill, 0, 0, all, (cm_measures_t){2, 1, 1 + 10740, 2, 1, 1, 1, 1});
    assert_cell(mill, 0, 1, all, (cm_measures_t){1, 1, 60, 1, 60, 1, 0, 0});
    assert_cell(mill, 0, CM_CELL_ALL, all, (cm_measures_t){3, 1, 10801, 3, 61, 2, 1, 1});
    assert_cell(mill, CM_CELL_ALL, CM_CELL_ALL, all, (cm_measures_t){4, 1, 10801, 3, 61, 2, 2, 2});
    assert_cell(mill, 0, 0, yesterday, (cm_measures_t){1, 1, 1, 1, 1, 1, 1, 0});
    assert_cell(mill, 0, 0, today, (cm_measures_t){1, 1, 10740, 1, 0, 0, 0, 1});
    assert_cell(mill, 1, 0, today, (cm_measures_t){1, 1, 0, 0, 0, 0, 1, 1});
    assert_cell(mill, 0, CM_CELL_ALL, window_at(CM_WINDOW_HOUR, day),
                (cm_measures_t){2, 1, 10800, 2, 60, 1, 0, 1});
    assert_cell(mill, 0, 0, window_at(CM_WINDOW_HOUR, day - CM_HOUR_MS),
                (cm_measures_t){1, 1, 1, 1, 1, 1, 1, 0});

    /* A second user is added, and the first one is taken away again. */
    add(mill, events, 1, 1);
    assert_cell(mill, 0, 0, all, (cm_measures_t){3, 2, 10741, 2, 1, 1, 2, 2});
    add(mill, events, 4, -1);
    assert_cell(mill, 0, 0, all, (cm_measures_t){1, 1, 0, 0, 0, 0, 1, 1});
    assert_cell(mill, 1, 0, all, (cm_measures_t){0});
    assert_int_equal(mill->timeline.events, 1);
    free_mill(mill);
}

static void windows_in_a_word(void **state)
{
    static const int64_t hours[] = {0, 1, 19676 * 24, CM_TIME_END / CM_HOUR_MS - 1};

    (void)state;
    for (size_t i = 0; i < sizeof hours / sizeof hours[0]; i++) {
        for (int kind = 0; kind < CM_WINDOW_COUNT; kind++) {
            uint32_t window = cm_cell_window((cm_window_t)kind, hours[i] * CM_HOUR_MS);
            assert_int_equal(cm_cell_window_kind(window), kind);
            assert_int_equal(cm_cell_window_start(window), hours[i] * CM_HOUR_MS);
        }
    }
}

/* A table of cells finds all cells again, for any number of them. */
static void table_of_cells(void **state)
{
    cm_cells_t cells = {0}, sum = {0};

    (void)state;
    for (int round = 1; round <= 2; round++) {
        for (uint32_t i = 0; i < 8000; i++) {
            cm_cell_t *cell = cm_cells_get(&cells, (cm_cell_key_t){i % 97, i % 89, i});
            assert_int_equal(cell->key.url, i % 97);
            assert_int_equal(cell->key.country, i % 89);
            assert_int_equal(cell->key.window, i);
            assert_int_equal(cell->measures.clicks, round == 1 ? 0 : (int64_t)i + 1);
            int64_t number = i;
            cell->measures = (cm_measures_t){number + 1, -number, 3, 4, 5, 6, 7, -number};
        }
        assert_int_equal(cells.count, 8000);
    }
    cm_cells_get(&sum, (cm_cell_key_t){1, 1, 1})->measures.clicks = 100;
    cm_cells_add(&sum, &cells);
    cm_cells_add(&sum, &cells);
    assert_int_equal(sum.count, 8000);
    for (uint32_t i = 0; i < 8000; i++) {
        const cm_cell_t *cell = &cells.list[i];
        int64_t twice = 2 * ((int64_t)i + 1) + (i == 1 ? 100 : 0), minus = -2 * (int64_t)i;
        const cm_measures_t expected = {twice, minus, 6, 8, 10, 12, 14, minus};
        assert_memory_equal(&cm_cells_get(&sum, cell->key)->measures, &expected, sizeof expected);
    }
    assert_int_equal(sum.count, 8000);
    cm_cells_sort(&cells);
    for (uint32_t i = 1; i < 8000; i++) {
        cm_cell_key_t a = cells.sorted[i - 1]->key, b = cells.sorted[i]->key;
        assert_true(a.url < b.url ||
                    (a.url == b.url &&
                     (a.country < b.country || (a.country == b.country && a.window < b.window))));
    }
    cm_cells_free(&cells);
    cm_cells_free(&sum);
}

/* Compact forms expand to what they were made from, at both ends of each range. */
static void compact(void **state)
{
    const cm_compact_layout_t compact = {.on = true,
                                         .time_bits = 34,
                                         .place_bits = 20,
                                         .spent_bits = 24,
                                         .first_time = 1700000000000};
    const uint64_t users[] = {0, 1, 1023}, places[] = {0, 5, (1 << 20) - 1};
    const int64_t times[] = {0, 77, (INT64_C(1) << 34) - 1};

    (void)state;
    for (int i = 0; i < 27; i++) {
        uint64_t user = users[i % 3], place = places[i / 3 % 3];
        int64_t time = compact.first_time + times[i / 9];
        uint64_t packed = cm_compact_event(&compact, user, time, place);
        cm_packed_event_t event = cm_compact_event_expand(&compact, packed, &layout);
        assert_int_equal(cm_compact_event_user(&compact, packed), user);
        assert_int_equal(cm_packed_user(&event), user);
        assert_int_equal(cm_packed_time(&event), time);
        assert_int_equal(cm_packed_place(&event, &layout), place);
        assert_int_equal(cm_packed_ordinal(&event, &layout), 0);
        for (unsigned flags = 0; flags < 128; flags++) {
            uint32_t spent = flags % 2 ? (1 << 24) - 1 : flags;
            cm_contribution_t contribution = cm_compact_contribution_expand(
                &compact, cm_compact_contribution(&compact, place, flags, spent));
            assert_int_equal(contribution.what, place << CM_CONTRIBUTION_FLAG_BITS | flags);
            assert_int_equal(contribution.spent, spent);
        }
    }
}

/* The same contributions make the same cells, with a direct table and without. */
static void direct_or_hashed(void **state)
{
    const uint32_t all = window_at(CM_WINDOW_ALL, 0);

    (void)state;
    for (int direct = 0; direct < 2; direct++) {
        mill_t *mill = mill_of(ALL);
        mill->gathering.direct = direct ? (100 / REGIONS + 1) << layout.country_bits : 0;
        for (uint32_t i = 0; i < 3000; i++) {
            const cm_packed_event_t event = event_at(1 + i, i * 7 % 100, i * 5 % 8);
            add(mill, &event, 1, 1);
        }
        roll_up(mill);
        assert_int_equal(mill->regions[0].direct != NULL, direct);
        assert_int_equal(cells_of(mill), 200 + 100 + 8 + 1); /* i mod 200 decides url and country */
        for (uint32_t i = 0; i < 200; i++)
            assert_cell(mill, i * 7 % 100, i * 5 % 8, all,
                        (cm_measures_t){15, 15, 0, 0, 0, 0, 15, 15});
        free_mill(mill);
    }
}

/* The measures of url, country and site are the sums of their cells, except users, which are
 * counted. */
static void rolling_up(void **state)
{
    cm_cells_t cells = {0}, wide = {0};
    const cm_measures_t expected = {18, 0, 27, 36, 45, 54, 63, 72};

    (void)state;
    for (uint32_t i = 0; i < 9; i++)
        cm_cells_get(&cells, (cm_cell_key_t){i / 3, i % 3, 0})->measures =
            (cm_measures_t){2, 1, 3, 4, 5, 6, 7, 8};
    cm_cells_roll_up(&cells, &wide);
    assert_int_equal(cells.count, 9 + 3);
    assert_int_equal(wide.count, 3 + 1);
    assert_memory_equal(
        &cm_cells_get(&wide, (cm_cell_key_t){CM_CELL_ALL, CM_CELL_ALL, 0})->measures, &expected,
        sizeof expected);
    cm_cells_free(&cells);
    cm_cells_free(&wide);
}

/* A set that grows and that is emptied at once. */
static void visits(void **state)
{
    cm_visited_t visited = {0};

    (void)state;
    for (int user = 0; user < 3; user++) {
        cm_visited_begin(&visited);
        for (int round = 0; round < 2; round++) {
            for (uint64_t key = 0; key < 5000; key++) {
                assert_int_equal(cm_visited_add(&visited, key << 40, (uint32_t)key % 7),
                                 round == 0);
                assert_int_equal(cm_visited_add(&visited, key << 40, 9), round == 0);
            }
        }
        assert_int_equal(visited.count, 10000);
    }
    visited.stamp = UINT32_MAX; /* the next one is 0, which means free */
    cm_visited_begin(&visited);
    assert_true(cm_visited_add(&visited, 1, 1));
    assert_false(cm_visited_add(&visited, 1, 1));
    assert_true(cm_visited_add(&visited, 2, 1));
    cm_visited_free(&visited);
}

/* The timelines of 500 users with gaps of many lengths, as compact contributions. */
static void gather_users(mill_t *mill, size_t direct)
{
    uint64_t seed = 4711;

    mill->compact = (cm_compact_layout_t){.on = true, .place_bits = 7, .spent_bits = 22};
    mill->gathering.direct = direct;
    for (int user = 0; user < 500; user++) {
        cm_packed_event_t events[40];
        int64_t time = 1700000000000;
        for (int i = 0; i < 40; i++) {
            seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
            const uint32_t r = (uint32_t)(seed >> 33);
            time += (int64_t)(r % 5 == 0 ? 1799 + r / 5 % 4 : r / 5 % 900) * 1000;
            /* Half of the users stay in one country; the last url has one cell only. */
            events[i] = event_at(time, r >> 8 & 15, user % 2 ? r >> 12 & 7 : 5);
        }
        assert_int_equal(cm_timeline_add(&mill->timeline, events, (size_t)(1 + user % 40), 1), 0);
    }
    add(mill, NULL, 0, 1);
    roll_up(mill);
}

/* Compact contributions make the same cells, counted in tallies or added one by one. */
static void tallied_or_added(void **state)
{
    mill_t *added = mill_of(ALL), *tallied = mill_of(ALL);
    const cm_cells_t *of[] = {&added->regions[0], &added->regions[1], &added->wide};
    cm_cells_t *in[] = {&tallied->regions[0], &tallied->regions[1], &tallied->wide};

    (void)state;
    gather_users(added, 0);
    gather_users(tallied, (size_t)(15 / 2 + 1) << layout.country_bits);
    assert_null(
        tallied->regions[0].direct); /* adding contributions one by one would have made it */
    assert_int_equal(cells_of(added), 16 * 8 + 16 + 8 + 1);
    for (int table = 0; table < 3; table++) {
        assert_int_equal(in[table]->count, of[table]->count);
        for (uint32_t i = 0; i < of[table]->count; i++)
            assert_memory_equal(&cm_cells_get(in[table], of[table]->list[i].key)->measures,
                                &of[table]->list[i].measures, sizeof(cm_measures_t));
    }
    const cm_cell_key_t site = {CM_CELL_ALL, CM_CELL_ALL, window_at(CM_WINDOW_ALL, 0)};
    assert_int_equal(cm_cells_get(&tallied->wide, site)->measures.users, 500);
    assert_int_equal(cm_cells_get(&tallied->wide, site)->measures.clicks,
                     500 / 40 * 820 + 20 * 21 / 2);
    free_mill(added);
    free_mill(tallied);
}

static void zero_numbers(void **state)
{
    cm_measures_t numbers = {0};
    int64_t *each = (int64_t *)&numbers;

    (void)state;
    assert_true(cm_measures_are_zero(&numbers));
    for (size_t i = 0; i < sizeof numbers / sizeof *each; i++) {
        each[i] = i % 2 ? -1 : INT64_MIN;
        assert_false(cm_measures_are_zero(&numbers));
        each[i] = 0;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_event),
        cmocka_unit_test(gaps),
        cmocka_unit_test(sessions_and_windows),
        cmocka_unit_test(windows_in_a_word),
        cmocka_unit_test(table_of_cells),
        cmocka_unit_test(compact),
        cmocka_unit_test(direct_or_hashed),
        cmocka_unit_test(tallied_or_added),
        cmocka_unit_test(rolling_up),
        cmocka_unit_test(visits),
        cmocka_unit_test(zero_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
