#include "source/synthetic/synthetic.h"

#include "base/clock.h"
#include "source/synthetic/details.h"
#include "source/synthetic/pages.h"

#include <stdlib.h>

enum {
    THINK_SECONDS = 30,    /* mean time between two pages of a session */
    SESSION_PAGES = 5,     /* mean pages of a session */
    USER_RATE_MAX = 100,   /* events per second and user at most */
    SESSION_RATE = 50,     /* events per second and session that are planned at most */
    HELD_MAX = 512,        /* slots for late and repeated events */
    PACE_MS = 200,         /* how long a paced source may wait */
    NAP_MS = 20,           /* how often it checks `stop` */
    GAP_BITS = 12,         /* binary places of the mean gap in ns */
    EXPONENTIAL_BITS = 30, /* binary places of cm_random_exponential() */
    NS_PER_MS = 1000 * 1000,
};

#define NO_USER  UINT32_MAX
#define RATE_MIN 1e-6
#define RATE_MAX 1e8

/* Purposes of random numbers (those of the population have smaller numbers). Lateness has a
 * separate generator, so that the events are the same with and without late events; and so have the
 * details of all fields. */
enum { FOR_CLICKS = 101, FOR_DISORDER, FOR_DETAILS };

/* An event in a compact form. A free slot of `held` has ms == 0. */
typedef struct click {
    int64_t ms;
    uint32_t user, page;
    cm_detail_t detail; /* with all fields */
} click_t;

typedef struct session {
    int64_t last_ms; /* of its last click; 0: none yet */
    uint32_t user;   /* NO_USER before the first session of this slot */
    bool over;       /* the next click here begins a new session */
    cm_detail_visit_t visit;
} session_t;

typedef struct synthetic {
    cm_source_t source;
    const atomic_bool *stop;
    cm_population_t population;
    cm_pages_t pages;
    cm_random_t clicks, disorder, details;
    bool all_fields, views_only;

    /* Simulated time. Arrivals are a Poisson process; `next_ns` is the next one's time. When a
     * millisecond has too many clicks, `now_ms` advances past it until `next_ns` catches up. */
    uint64_t gap; /* mean ns between arrivals, times 2^GAP_BITS */
    int64_t start_ms, next_ns, now_ms;

    session_t *sessions;
    uint32_t session_count;
    bool *busy; /* per user: whether the user is in a session */

    uint64_t count, emitted; /* count 0: endless */
    uint64_t late, repeat;   /* chances, of 2^32 */
    uint32_t held_count;
    click_t held[HELD_MAX]; /* [i % HELD_MAX] is due as the i-th emitted event, see `turn` */
    uint64_t turn;

    bool paced, no_wait;
    int64_t pace_start, pace_next; /* ticks in ns; pace_start is 0 before the first next() */

    uint32_t batch_users[CM_BATCH_EVENTS]; /* the users of the events of the last batch */
} synthetic_t;

/* --- Users and sessions ----------------------------------------------------------------------- */

/* Picks a user without a session: an active one, or any user when all active ones are busy. There
 * always is such a user, because there are fewer sessions than users, or because the caller has
 * just ended a session. */
static uint32_t free_user(synthetic_t *s)
{
    uint32_t users = s->population.users, user = 0;
    for (int i = 0; i < 64; i++) {
        user = i < 16 ? cm_random_zipf(&s->clicks, users) : cm_random_below(&s->clicks, users);
        if (!s->busy[user])
            return user;
    }
    while (s->busy[user])
        user = (user + 1) % users;
    return user;
}

/* The session that the next click belongs to. Think times are exponential, and this distribution
 * has no memory: which session clicks next does not depend on the past. So any session can be
 * taken, and no queue of times is needed. The mean think time is the number of sessions divided by
 * the rate. A session has at most one click in a millisecond, and the next click of the user is in
 * a later one, so a user's times are strictly increasing. */
static session_t *next_session(synthetic_t *s)
{
    for (;; s->now_ms++) {
        for (int i = 0; i < 8; i++) {
            session_t *session = &s->sessions[cm_random_below(&s->clicks, s->session_count)];
            if (session->last_ms < s->now_ms)
                return session;
        }
    }
}

/* The next click in order of time. Also draws the time of the click after it. */
static click_t new_click(synthetic_t *s)
{
    int64_t arrival = s->next_ns / NS_PER_MS;
    if (s->now_ms < arrival)
        s->now_ms = arrival;
    unsigned __int128 gap = (unsigned __int128)cm_random_exponential(&s->clicks) * s->gap;
    s->next_ns += (int64_t)(gap >> (EXPONENTIAL_BITS + GAP_BITS));

    session_t *session = next_session(s);
    bool entry = session->over;
    if (entry) {
        if (session->user != NO_USER)
            s->busy[session->user] = false;
        session->user = free_user(s);
        s->busy[session->user] = true;
    }
    session->last_ms = s->now_ms;
    session->over = cm_random_below(&s->clicks, SESSION_PAGES) == 0;
    bool home = entry && cm_random_below(&s->clicks, 2) == 0;
    click_t click = {
        .ms = s->now_ms,
        .user = session->user,
        .page = home ? 0 : cm_random_zipf(&s->clicks, s->pages.count),
    };
    if (s->all_fields)
        click.detail = cm_detail_draw(&s->details, &session->visit, entry, s->views_only, click.ms,
                                      &click.page);
    return click;
}

/* --- Late and repeated events ----------------------------------------------------------------- */

/* Keeps a click until a later turn. False when there is no free slot. */
static bool hold(synthetic_t *s, click_t click)
{
    uint32_t delay = cm_random_below(&s->disorder, HELD_MAX - 1);
    if (s->held_count == HELD_MAX - 1)
        return false;
    /* The slot of this turn is never used. */
    while (s->held[(s->turn + 1 + delay) % HELD_MAX].ms != 0)
        delay = (delay + 1) % (HELD_MAX - 1);
    s->held[(s->turn + 1 + delay) % HELD_MAX] = click;
    s->held_count++;
    return true;
}

static bool happens(synthetic_t *s, uint64_t chance)
{
    return chance > 0 && cm_random_chance(&s->disorder, chance);
}

/* Emits one click. False when the new click is kept for later instead. */
static bool emit(synthetic_t *s, click_t *click)
{
    uint64_t room = s->count == 0 ? UINT64_MAX : s->count - s->emitted - s->held_count;

    while (room == 0 && s->held[s->turn % HELD_MAX].ms == 0)
        s->turn++; /* only kept clicks are left */
    click_t *due = &s->held[s->turn % HELD_MAX];
    if (due->ms != 0) {
        *click = *due;
        due->ms = 0;
        s->held_count--;
    } else {
        *click = new_click(s);
        /* The last place is for an event that overtakes the kept ones. */
        bool late = happens(s, s->late) && room >= 2 && hold(s, *click);
        if (happens(s, s->repeat) && room >= 2u + late)
            hold(s, *click);
        if (late)
            return false;
    }
    s->turn++;
    s->emitted++;
    return true;
}

/* --- The source ------------------------------------------------------------------------------- */

static bool stopped(const synthetic_t *s)
{
    return s->stop != NULL && atomic_load_explicit(s->stop, memory_order_relaxed);
}

/* Waits until the next events are due. Returns the simulated time in ns up to which events are due.
 */
static int64_t wait_until_due(synthetic_t *s)
{
    int64_t now = cm_clock_ticks_ns();
    if (s->pace_start == 0)
        s->pace_start = s->pace_next = now;
    for (; now < s->pace_next && !s->no_wait && !stopped(s); now = cm_clock_ticks_ns()) {
        int64_t rest = (s->pace_next - now) / NS_PER_MS + 1;
        cm_sleep_ms(rest < NAP_MS ? rest : NAP_MS);
    }
    return s->start_ms * NS_PER_MS + (now - s->pace_start);
}

/* Sets the next time to emit: after 200 ms, or when a batch will be full if that is earlier; at
 * once when this batch was full. */
static void plan_wait(synthetic_t *s, bool full)
{
    int64_t wait = (int64_t)PACE_MS * NS_PER_MS;
    int64_t fill = (int64_t)((s->gap >> GAP_BITS) * CM_BATCH_EVENTS);
    if (fill < wait)
        wait = fill;
    s->pace_next = cm_clock_ticks_ns() + (full ? 0 : wait);
}

static void add_extra(const synthetic_t *s, cm_batch_t *batch, const click_t *click,
                      cm_event_t *event)
{
    const cm_person_t *person = &s->population.people[click->user];
    const cm_agent_t *agent = &s->population.agents[person->agent];
    cm_event_extra_t extra = CM_EVENT_EXTRA_NONE;

    cm_detail_fill(&click->detail, cm_pages_url(&s->pages, click->detail.previous), &batch->arena,
                   &extra);
    extra.text[CM_EXTRA_BROWSER_VERSION] = agent->browser_version;
    extra.text[CM_EXTRA_OS_VERSION] = agent->os_version;
    extra.text[CM_EXTRA_REGION] = cm_detail_region(person->home);
    extra.text[CM_EXTRA_LANGUAGE] = cm_detail_language(person->home);
    event->extra = cm_event_extra_keep(&extra, &batch->arena);
}

static void add_event(synthetic_t *s, cm_batch_t *batch, click_t click)
{
    const cm_person_t *person = &s->population.people[click.user];
    const cm_home_t *home = &s->population.homes[person->home];
    const cm_agent_t *agent = &s->population.agents[person->agent];

    s->batch_users[batch->count] = click.user;
    cm_event_t *event = cm_batch_slot(batch);
    *event = (cm_event_t){
        .timestamp = click.ms,
        .user_id = cm_population_name(&s->population, click.user),
        .url = cm_pages_url(&s->pages, click.page),
        .country = home->country,
        .city = home->city,
        .browser = agent->browser,
        .os = agent->os,
        .device = agent->device,
    };
    if (s->all_fields)
        add_extra(s, batch, &click, event);
    cm_batch_accept(batch);
}

static bool at_end(const synthetic_t *s)
{
    return s->count != 0 && s->emitted == s->count;
}

static int synthetic_next(cm_source_t *source, cm_batch_t *batch, cm_err_t *err)
{
    synthetic_t *s = (synthetic_t *)source;
    int64_t due = s->paced && !at_end(s) ? wait_until_due(s) : INT64_MAX;
    click_t click;

    while (batch->count < CM_BATCH_EVENTS && !at_end(s) && s->next_ns <= due) {
        if (!emit(s, &click))
            continue;
        if (click.ms >= CM_TIME_END)
            return cm_fail(err, CM_EUSAGE,
                           "the simulated time reaches the year 2100 after %llu events; begin "
                           "earlier, or give a higher rate or a lower count",
                           (unsigned long long)s->emitted - 1);
        add_event(s, batch, click);
    }
    if (s->paced)
        plan_wait(s, batch->count == CM_BATCH_EVENTS);
    return at_end(s) ? 0 : 1;
}

static void synthetic_progress(const cm_source_t *source, uint64_t *done, uint64_t *total)
{
    const synthetic_t *s = (const synthetic_t *)source;
    *done = s->emitted;
    *total = s->count;
}

static void synthetic_close(cm_source_t *source)
{
    synthetic_t *s = (synthetic_t *)source;
    free(s->busy);
    free(s->sessions);
    cm_pages_free(&s->pages);
    cm_population_free(&s->population);
    free(s);
}

static const cm_source_ops_t synthetic_ops = {
    .next = synthetic_next,
    .progress = synthetic_progress,
    .close = synthetic_close,
};

/* --- Opening ---------------------------------------------------------------------------------- */

static int check_percent(const char *what, double percent, cm_err_t *err)
{
    if (percent >= 0 && percent <= 100)
        return 0;
    return cm_fail(err, CM_EUSAGE,
                   "%g percent %s events is not possible; give a number from 0 to 100", percent,
                   what);
}

static int check_options(const cm_synthetic_options_t *options, cm_err_t *err)
{
    double rate = options->rate;

    if (!(rate >= RATE_MIN && rate <= RATE_MAX))
        return cm_fail(
            err, CM_EUSAGE,
            "a rate of %g events per second is not possible; give a number from 0.000001 to "
            "100000000",
            rate);
    if (rate > (double)options->users * USER_RATE_MAX && options->users > 0)
        return cm_fail(
            err, CM_EUSAGE,
            "%u users cannot generate %g events per second, a user generates %d at most; "
            "give more users or a lower rate",
            options->users, rate, USER_RATE_MAX);
    if (options->start_ms <= 0 || options->start_ms >= CM_TIME_END)
        return cm_fail(err, CM_EUSAGE,
                       "synthetic events cannot begin at %lld ms since 1970; begin after that and "
                       "before the year 2100",
                       (long long)options->start_ms);
    int code = check_percent("late", options->late_percent, err);
    return code < 0 ? code : check_percent("repeated", options->repeat_percent, err);
}

/* The number of sessions that gives the wanted think time, but at most a quarter of the users, or
 * half of them when the rate needs it: other users must be free to begin the next sessions. */
static uint32_t sessions_for(const cm_synthetic_options_t *options, double new_rate)
{
    double wanted = new_rate * THINK_SECONDS, quarter = options->users / 4,
           half = options->users / 2;
    if (wanted > quarter)
        wanted = quarter;
    if (wanted < new_rate / SESSION_RATE)
        wanted = new_rate / SESSION_RATE;
    if (wanted > half)
        wanted = half;
    return wanted < 1 ? 1 : (uint32_t)wanted;
}

static uint64_t chance_of(double percent)
{
    return (uint64_t)(percent / 100 * 4294967296.0);
}

int cm_synthetic_open(const cm_synthetic_options_t *options, const atomic_bool *stop,
                      cm_source_t **source, cm_err_t *err)
{
    int code = check_options(options, err);
    if (code < 0)
        return code;
    synthetic_t *s = cm_alloc_zero(1, sizeof *s);
    s->source.ops = &synthetic_ops;
    code =
        cm_population_init(&s->population, options->users, options->countries, options->seed, err);
    if (code < 0)
        goto fail;
    code = cm_pages_init(&s->pages, options->urls, err);
    if (code < 0)
        goto fail;

    /* Repeats are added to the new events, and the rate counts both. */
    double new_rate = options->rate / (1 + options->repeat_percent / 100);
    s->session_count = sessions_for(options, new_rate);
    s->sessions = calloc(s->session_count, sizeof *s->sessions);
    s->busy = calloc(options->users, sizeof *s->busy);
    if (s->sessions == NULL || s->busy == NULL) {
        code = cm_fail_memory(err);
        goto fail;
    }
    for (uint32_t i = 0; i < s->session_count; i++)
        s->sessions[i] = (session_t){.user = NO_USER, .over = true};
    s->stop = stop;
    s->clicks = cm_random_seeded(options->seed, FOR_CLICKS);
    s->disorder = cm_random_seeded(options->seed, FOR_DISORDER);
    s->details = cm_random_seeded(options->seed, FOR_DETAILS);
    s->all_fields = options->all_fields;
    s->views_only = options->views_only;
    s->gap = (uint64_t)(1e9 / new_rate * (1 << GAP_BITS));
    s->start_ms = s->now_ms = options->start_ms;
    s->next_ns = options->start_ms * NS_PER_MS;
    s->count = options->count;
    s->late = chance_of(options->late_percent);
    s->repeat = chance_of(options->repeat_percent);
    s->paced = options->paced;
    s->no_wait = options->no_wait;
    *source = &s->source;
    return 0;

fail:
    synthetic_close(&s->source);
    return code;
}

cm_str_t cm_synthetic_user_agent(const cm_source_t *source, size_t event)
{
    const synthetic_t *s = (const synthetic_t *)source;
    const cm_person_t *person = &s->population.people[s->batch_users[event]];
    return s->population.agents[person->agent].text;
}

cm_str_t cm_synthetic_address(const cm_source_t *source, size_t event,
                              char text[CM_POPULATION_ADDRESS_MAX])
{
    const synthetic_t *s = (const synthetic_t *)source;
    return cm_population_address(s->batch_users[event], text);
}
