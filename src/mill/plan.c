#include "mill/run.h"

#include <stdlib.h>

enum {
    REGIONS_MAX = 1024,
    REGION_CELLS = 2048,      /* 160 KiB of cells: stays in the L2 cache beside contributions */
    DIRECT_MAX = 1024 * 1024, /* entries of 4 bytes; beyond it a hash table is no slower */
    /* An update is trimmed when at most one event in TRIM_RATIO is new, and at most TRIM_MAX are,
     * so that the tables of trimming stay small. */
    TRIM_RATIO = 8,
    TRIM_MAX = 4 * 1024 * 1024,
    USER_BITS = 64 - CM_PACKED_TIME_BITS,
    /* Affected users have several times the average number of events: busy users click again. */
    BUSY_USERS = 4,
};

/* ---- the store ---- */

/* How the load of a packed event and a contribution are divided. */
static int choose_layout(cm_mill_run_t *run, uint32_t urls, uint32_t countries, cm_err_t *err)
{
    unsigned url_bits = 1, country_bits = 0, ordinal_bits = 1;

    while (url_bits < 32 && urls >> url_bits != 0)
        url_bits++;
    while (country_bits < 32 && (countries > 0 ? countries - 1 : 0) >> country_bits != 0)
        country_bits++;
    while ((uint64_t)run->end_ordinal >> ordinal_bits != 0)
        ordinal_bits++;
    run->layout = (cm_packed_layout_t){.ordinal_bits = ordinal_bits,
                                       .country_bits = country_bits,
                                       .ordinal_mask = (UINT64_C(1) << ordinal_bits) - 1};
    if (url_bits + country_bits + ordinal_bits > 64 ||
        url_bits + country_bits + CM_CONTRIBUTION_FLAG_BITS > 64)
        return cm_fail(err, CM_EINTERNAL,
                       "%lld events with %u urls and %u countries are more than the mill can hold; "
                       "split the data into several directories",
                       (long long)run->end_ordinal, urls, countries);
    return 0;
}

int cm_mill_survey(cm_mill_run_t *run, cm_err_t *err)
{
    uint32_t countries = 0;
    cm_reader_t *reader = run->workers[0].reader;

    int rc = cm_reader_blocks(reader, &run->blocks, &run->block_count, err);
    if (rc == 0)
        rc = cm_reader_string_count(reader, CM_USER, &run->spread.users, err);
    if (rc == 0)
        rc = cm_reader_string_count(reader, CM_URL, &run->urls, err);
    if (rc == 0)
        rc = cm_reader_string_count(reader, CM_COUNTRY, &countries, err);
    if (rc == 0)
        run->end_ordinal = cm_blocks_end(run->blocks, run->block_count);
    if (run->options->until > 0 && run->end_ordinal > run->options->until)
        run->end_ordinal = run->options->until;
    for (size_t b = 0; rc == 0 && b < run->block_count; b++)
        run->others |= run->blocks[b].has_others;
    return rc < 0 ? rc : choose_layout(run, run->urls, countries, err);
}

int cm_mill_read(const cm_mill_run_t *run, cm_reader_t *reader, const cm_block_ref_t *block,
                 cm_columns_t *columns, cm_err_t *err)
{
    const unsigned parts = block->has_others ? CM_READ_HOT | CM_READ_VIEWS : CM_READ_HOT;
    int rc = cm_reader_read(reader, block, parts, columns, err);

    for (uint32_t i = 0; rc == 0 && columns->wide.names && i < columns->count; i++) {
        const bool view = cm_wide_is_view(&columns->wide, i);
        columns->ids[CM_URL][i] = view ? columns->ids[CM_URL][i] : run->urls;
        columns->ids[CM_COUNTRY][i] = view ? columns->ids[CM_COUNTRY][i] : 0;
    }
    return rc;
}

void cm_mill_divide_blocks(cm_mill_run_t *run)
{
    size_t b = 0;
    for (int i = 0; i < run->worker_count; i++) {
        cm_mill_worker_t *worker = &run->workers[i];
        int64_t end = run->end_ordinal * (i + 1) / run->worker_count;
        worker->block_from = b;
        while (b < run->block_count && run->blocks[b].first < end)
            b++;
        worker->block_to = b;
    }
}

/* ---- an update ---- */

/* Trimming is no help where copies differ (trim.h), and its tables must be worth their memory. */
static bool is_trimmed(const cm_mill_run_t *run, int64_t fresh)
{
    return !run->options->differ && fresh <= TRIM_MAX && fresh <= run->end_ordinal / TRIM_RATIO &&
           fresh <= run->fits;
}

int cm_mill_find_affected(cm_mill_run_t *run, cm_err_t *err)
{
    const int64_t since = run->options->since;
    cm_columns_t columns = {0};
    int rc = 0;

    run->affected = calloc(cm_bitmap_bytes(run->spread.users), 1);
    if (run->affected == NULL)
        return cm_fail_memory(err);
    if (is_trimmed(run, run->end_ordinal - since))
        run->trim = cm_trim_new(run->spread.users, run->urls, run->options->windows, &run->layout);
    for (size_t b = 0; rc == 0 && b < run->block_count; b++) {
        const cm_block_ref_t *block = &run->blocks[b];
        if (cm_block_end(block) <= since || block->first >= run->end_ordinal)
            continue;
        rc = cm_mill_read(run, run->workers[0].reader, block, &columns, err);
        if (rc < 0)
            break;
        uint32_t from = since > block->first ? (uint32_t)(since - block->first) : 0;
        for (uint32_t i = from; i < columns.count; i++)
            cm_bitmap_set(run->affected, columns.ids[CM_USER][i]);
        if (run->trim != NULL)
            cm_trim_learn(run->trim, &columns, from);
    }
    cm_columns_free(&columns);
    return rc;
}

/* ---- partitions ---- */

/* How many events to expect, which decides how many partitions are worth their chunks. How many
 * events an update finds is not known before it has read them. */
static int64_t expected_events(const cm_mill_run_t *run, int64_t wanted)
{
    uint64_t users = 0;

    if (run->affected == NULL)
        return wanted;
    if (run->trim != NULL)
        return (run->end_ordinal - run->options->since) * BUSY_USERS;
    for (size_t i = 0; i < cm_bitmap_bytes(run->spread.users); i++)
        users += (unsigned)__builtin_popcount(run->affected[i]);
    int64_t expected = wanted / run->spread.users * (int64_t)users * BUSY_USERS;
    return expected < wanted ? expected : wanted;
}

/* How many events are in memory at once if everything is done in one pass. 0 for an update that is
 * trimmed, which is expected to fit. */
static int count_wanted(cm_mill_run_t *run, int64_t *wanted, cm_err_t *err)
{
    cm_columns_t columns = {0};
    int rc = 0;

    *wanted = run->trim != NULL ? 0 : run->end_ordinal;
    if (run->affected == NULL || *wanted <= run->fits)
        return 0;
    *wanted = 0;
    for (size_t b = 0; rc == 0 && b < run->block_count; b++) {
        rc = cm_reader_read(run->workers[0].reader, &run->blocks[b], CM_READ_HOT, &columns, err);
        for (uint32_t i = 0; rc == 0 && i < columns.count; i++)
            *wanted += cm_mill_is_affected(run, columns.ids[CM_USER][i]);
    }
    cm_columns_free(&columns);
    return rc;
}

/* Uses the compact form where it is possible: it has no ordinals and only the window of all time.
 */
static void choose_compact(cm_mill_run_t *run)
{
    const cm_mill_options_t *options = run->options;
    cm_spread_t *spread = &run->spread;
    int64_t first = INT64_MAX, last = 0;
    bool derived = true;

    for (size_t b = 0; b < run->block_count; b++) {
        derived &= run->blocks[b].all_keys_derived;
        first = run->blocks[b].time_min < first ? run->blocks[b].time_min : first;
        last = run->blocks[b].time_max > last ? run->blocks[b].time_max : last;
    }
    spread->compact = (cm_compact_layout_t){0};
    /* Without ordinals there is no way to the fields from which other events' row keys follow. */
    if (run->plain || !derived || run->others || options->since > 0 || options->copies != NULL ||
        first < 0 || last < first || options->windows != cm_window_mask(CM_WINDOW_ALL))
        return;
    spread->compact = cm_compact_layout_for(spread->users / spread->passes >> spread->shift,
                                            run->urls, run->layout.country_bits, first, last);
}

int cm_mill_choose_spread(cm_mill_run_t *run, cm_err_t *err)
{
    cm_spread_t *spread = &run->spread;
    int64_t wanted;

    int rc = count_wanted(run, &wanted, err);
    if (rc < 0)
        return rc;
    int64_t passes = wanted / run->fits + (wanted % run->fits != 0);
    *spread =
        cm_spread_choose(spread->users, 1u << USER_BITS, expected_events(run, wanted), passes);
    choose_compact(run);
    return 0;
}

/* ---- regions ---- */

void cm_mill_choose_regions(cm_mill_run_t *run, int64_t events)
{
    const uint32_t urls = run->urls;
    const cm_mill_options_t *options = run->options;
    uint64_t places = (uint64_t)(urls > 0 ? urls : 1) << run->layout.country_bits;
    /* At most one cell per event. Windows multiply the cells by an unknown factor. */
    uint64_t cells = places < (uint64_t)events ? places : (uint64_t)events;
    unsigned shift = 0;

    if (options->windows != cm_window_mask(CM_WINDOW_ALL))
        cells = (uint64_t)events;
    while (1u << shift < REGIONS_MAX && cells >> shift > REGION_CELLS && urls >> shift > 1)
        shift++;
    run->region_count = 1u << shift;
    run->gathering = (cm_gathering_t){
        .layout = &run->layout,
        .compact = &run->spread.compact,
        .windows = options->windows,
        .session_timeout_s = options->session_timeout / 1000,
        .region_shift = shift,
        .direct =
            places <= DIRECT_MAX ? (size_t)((urls >> shift) + 1) << run->layout.country_bits : 0};
    run->regions = cm_alloc_zero(run->region_count, sizeof *run->regions);
}
