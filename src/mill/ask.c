#include "mill/ask.h"

#include "mill/ask_worker.h"
#include "mill/team.h"

#include <stdlib.h>

enum { LANES_PER_THREAD = 8 };

struct cm_groups {
    cm_features_t *features; /* held, for strings */
    size_t dims[CM_QUESTION_DIMS_MAX + 1];
    size_t dim_count, prop_count;
    size_t count;
    uint32_t *keys;    /* `dim_count` for each group */
    int64_t *counters; /* CM_COUNTER_COUNT for each group; the total comes last */
    cm_sums_t *sums;   /* `prop_count` for each group; the total comes last */
    int64_t first, last;
};

/* ---- the walk ---- */

typedef struct walk {
    const cm_ask_plan_t *plan;
    struct walker *walkers;
    int threads;
    unsigned lanes;
    atomic_uint next;  /* lane */
    atomic_bool ended; /* a thread has failed, or the answer is not wanted any more */
} walk_t;

typedef struct walker {
    walk_t *walk;
    cm_ask_worker_t worker;
    bool calling; /* it is the calling thread */
    int rc;
    cm_err_t err;
} walker_t;

int cm_ask_check(const cm_ask_options_t *options, cm_err_t *err)
{
    if ((options->stop != NULL && atomic_load(options->stop)) ||
        (options->gives_up != NULL && options->gives_up(options->context)))
        return cm_fail(err, CM_ESTOP, "the question was given up");
    return 0;
}

static bool is_over(walker_t *walker)
{
    if (walker->calling && walker->rc == 0)
        walker->rc = cm_ask_check(walker->walk->plan->options, &walker->err);
    return walker->rc < 0 || atomic_load(&walker->walk->ended);
}

static void take_lane(walker_t *walker, unsigned number)
{
    const cm_ask_plan_t *plan = walker->walk->plan;
    const int64_t memory = plan->options->memory / walker->walk->threads;
    cm_lane_t *lane =
        cm_lane_open(plan->options->timelines, &plan->view, number, walker->walk->lanes);
    cm_crowd_t crowd;

    while (!is_over(walker)) {
        walker->rc = cm_lane_next(lane, &crowd, &walker->err);
        if (walker->rc <= 0)
            break;
        walker->rc = cm_ask_worker_take(&walker->worker, &crowd, memory, &walker->err);
    }
    cm_lane_close(lane);
}

static void walk_lanes(void *context, int number)
{
    walker_t *walker = &((walk_t *)context)->walkers[number];
    walk_t *walk = walker->walk;

    while (!is_over(walker)) {
        const unsigned lane = atomic_fetch_add(&walk->next, 1);
        if (lane >= walk->lanes)
            return;
        take_lane(walker, lane);
    }
    atomic_store(&walk->ended, true);
}

/* Runs all walkers, the first of them on this thread, and returns the first failure. */
static int run_walkers(walk_t *walk, cm_err_t *err)
{
    cm_team_run(walk->threads, walk_lanes, walk);
    for (int i = 0; i < walk->threads; i++) {
        if (walk->walkers[i].rc < 0) {
            *err = walk->walkers[i].err;
            return walk->walkers[i].rc;
        }
    }
    return 0;
}

/* ---- groups ---- */

/* Takes over a cell as the next group. */
static void take_cell(cm_groups_t *groups, const cm_tally_t *tally, uint32_t cell)
{
    const size_t to = groups->count++;

    cm_tally_counters(tally, cell, &groups->counters[to * CM_COUNTER_COUNT]);
    for (size_t i = 0; i < groups->dim_count; i++)
        groups->keys[to * groups->dim_count + i] = tally->keys[cell * groups->dim_count + i];
    for (size_t i = 0; i < groups->prop_count; i++)
        groups->sums[to * groups->prop_count + i] = tally->sums[cell * groups->prop_count + i];
}

/* Adds a cell to the total, behind the last group. */
static void add_to_total(const cm_tally_t *tally, uint32_t cell, int64_t *total, cm_sums_t *sums)
{
    int64_t counters[CM_COUNTER_COUNT];

    cm_tally_counters(tally, cell, counters);
    for (int i = 0; i < CM_COUNTER_COUNT; i++)
        total[i] += counters[i];
    for (size_t i = 0; i < tally->props; i++)
        cm_tally_add_sums(&sums[i], &tally->sums[cell * tally->props + i]);
}

/* All counters of the total are sums of those of the groups, except distinct users and sessions. */
static void make_total(cm_groups_t *groups, const cm_tally_t *tally)
{
    int64_t *total = &groups->counters[groups->count * CM_COUNTER_COUNT];
    cm_sums_t *sums = &groups->sums[groups->count * groups->prop_count];

    memset(total, 0, CM_COUNTER_COUNT * sizeof *total);
    memset(sums, 0, groups->prop_count * sizeof *sums);
    for (uint32_t cell = 0; cell < tally->count; cell++)
        add_to_total(tally, cell, total, sums);
    total[CM_COUNTER_USERS] = tally->users;
    total[CM_COUNTER_EVENT_USERS] = tally->event_users;
    total[CM_COUNTER_VISITS] = tally->visits;
}

static cm_groups_t *make_groups(const cm_ask_plan_t *plan, const cm_ask_one_t *one,
                                const cm_ask_state_t *state, bool stepped)
{
    const cm_tally_t *tally = &state->tally;
    const size_t room = (size_t)tally->count + 1;
    cm_groups_t *groups = cm_alloc_zero(1, sizeof *groups);

    cm_features_hold(plan->features);
    groups->features = plan->features;
    groups->dim_count = one->dim_count;
    groups->prop_count = one->question->prop_count;
    memcpy(groups->dims, one->dims, sizeof groups->dims);
    groups->keys = cm_alloc_zero(room * groups->dim_count + 1, sizeof *groups->keys);
    groups->counters = cm_alloc_zero(room * CM_COUNTER_COUNT, sizeof *groups->counters);
    groups->sums = cm_alloc_zero(room * groups->prop_count + 1, sizeof *groups->sums);
    groups->first = state->first;
    groups->last = state->last;
    for (uint32_t cell = 0; one->dim_count > 0 && cell < tally->count; cell++) {
        int64_t counters[CM_COUNTER_COUNT];
        cm_tally_counters(tally, cell, counters);
        /* Where nothing but engagement falls, a group is not listed, but a step of it counts. */
        if (stepped || counters[CM_COUNTER_EVENTS] > 0)
            take_cell(groups, tally, cell);
    }
    make_total(groups, tally);
    return groups;
}

size_t cm_groups_count(const cm_groups_t *groups)
{
    return groups->count;
}

cm_group_t cm_groups_at(const cm_groups_t *groups, size_t number)
{
    return (cm_group_t){&groups->keys[number * groups->dim_count],
                        &groups->counters[number * CM_COUNTER_COUNT],
                        &groups->sums[number * groups->prop_count]};
}

cm_group_t cm_groups_total(const cm_groups_t *groups)
{
    return cm_groups_at(groups, groups->count);
}

size_t cm_groups_dims(const cm_groups_t *groups)
{
    return groups->dim_count;
}

cm_str_t cm_groups_string(const cm_groups_t *groups, size_t dim, uint32_t value, cm_arena_t *arena)
{
    return value == 0 ? (cm_str_t){NULL, 0}
                      : cm_feature_string(groups->features, groups->dims[dim], value, arena);
}

bool cm_groups_times(const cm_groups_t *groups, int64_t *first, int64_t *last)
{
    *first = groups->first;
    *last = groups->last;
    return groups->first <= groups->last;
}

void cm_groups_free(cm_groups_t *groups)
{
    if (groups == NULL)
        return;
    cm_features_release(groups->features);
    free(groups->keys);
    free(groups->counters);
    free(groups->sums);
    free(groups);
}

/* ---- asking ---- */

static int walk(const cm_ask_plan_t *plan, cm_asked_t *asked, cm_err_t *err)
{
    walk_t walk = {.plan = plan, .threads = cm_team_size(plan->options->threads)};
    walker_t *walkers = cm_alloc_zero((size_t)walk.threads, sizeof *walkers);

    walk.walkers = walkers;
    walk.lanes = walk.threads == 1 ? 1 : (unsigned)walk.threads * LANES_PER_THREAD;
    for (int i = 0; i < walk.threads; i++) {
        walkers[i].walk = &walk;
        walkers[i].calling = i == 0;
        cm_ask_worker_init(&walkers[i].worker, plan);
    }
    const int rc = run_walkers(&walk, err);
    for (int i = 1; rc == 0 && i < walk.threads; i++)
        cm_ask_worker_merge(&walkers[0].worker, &walkers[i].worker);
    for (size_t i = 0; rc == 0 && i < plan->count; i++)
        asked[i].groups =
            make_groups(plan, &plan->ones[i], &walkers[0].worker.states[i], asked[i].stepped);
    for (int i = 0; i < walk.threads; i++)
        cm_ask_worker_free(&walkers[i].worker);
    free(walkers);
    return rc;
}

int cm_ask(const cm_ask_options_t *options, cm_asked_t *asked, size_t count, cm_err_t *err)
{
    cm_ask_plan_t plan;

    for (size_t i = 0; i < count; i++)
        asked[i].groups = NULL;
    int rc = cm_ask_plan_make(options, asked, count, &plan, err);
    if (rc == 0)
        rc = walk(&plan, asked, err);
    cm_ask_plan_free(&plan);
    return rc;
}
