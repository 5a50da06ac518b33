#include "cql/timer.h"

static int slot_of(int64_t tick)
{
    return (int)((uint64_t)tick % CM_CQL_WHEEL_SLOTS);
}

static void unlink_timer(cm_cql_wheel_t *wheel, cm_cql_timer_t *timer)
{
    cm_cql_timer_t *head = &wheel->slots[timer->slot];

    timer->next->prev = timer->prev;
    timer->prev->next = timer->next;
    if (head->next == head)
        wheel->taken[timer->slot / 64] &= ~(UINT64_C(1) << timer->slot % 64);
}

static void link_timer(cm_cql_timer_t *head, cm_cql_timer_t *timer)
{
    timer->next = head;
    timer->prev = head->prev;
    head->prev->next = timer;
    head->prev = timer;
}

void cm_cql_wheel_init(cm_cql_wheel_t *wheel, int64_t now_ms)
{
    *wheel = (cm_cql_wheel_t){.tick = now_ms / CM_CQL_WHEEL_MS};
    for (int i = 0; i < CM_CQL_WHEEL_SLOTS; i++)
        wheel->slots[i].next = wheel->slots[i].prev = &wheel->slots[i];
}

void cm_cql_timer_stop(cm_cql_wheel_t *wheel, cm_cql_timer_t *timer)
{
    if (timer->next == NULL)
        return;
    unlink_timer(wheel, timer);
    timer->next = timer->prev = NULL;
    wheel->count--;
}

void cm_cql_timer_set(cm_cql_wheel_t *wheel, cm_cql_timer_t *timer, int64_t at_ms)
{
    int64_t tick = at_ms / CM_CQL_WHEEL_MS;

    cm_cql_timer_stop(wheel, timer);
    timer->at = at_ms;
    timer->slot = slot_of(tick < wheel->tick ? wheel->tick : tick);
    link_timer(&wheel->slots[timer->slot], timer);
    wheel->taken[timer->slot / 64] |= UINT64_C(1) << timer->slot % 64;
    wheel->count++;
}

/* Removes the expired timers of a slot first: a timer that is set again meanwhile may be in the
 * same slot. */
static void fire_slot(cm_cql_wheel_t *wheel, int at, int64_t now_ms)
{
    cm_cql_timer_t *slot = &wheel->slots[at], ended = {.next = &ended, .prev = &ended};

    for (cm_cql_timer_t *timer = slot->next, *next; timer != slot; timer = next) {
        next = timer->next;
        if (timer->at > now_ms)
            continue;
        unlink_timer(wheel, timer);
        link_timer(&ended, timer);
    }
    while (ended.next != &ended) {
        cm_cql_timer_t *timer = ended.next;
        cm_cql_timer_stop(wheel, timer);
        timer->fire(timer);
    }
}

void cm_cql_wheel_advance(cm_cql_wheel_t *wheel, int64_t now_ms)
{
    int64_t last = now_ms / CM_CQL_WHEEL_MS, from = wheel->tick;

    if (last - from >= CM_CQL_WHEEL_SLOTS)
        from = last - CM_CQL_WHEEL_SLOTS + 1;
    for (int64_t tick = from; tick <= last; tick++) {
        wheel->tick = tick;
        if (wheel->taken[slot_of(tick) / 64] >> slot_of(tick) % 64 & 1)
            fire_slot(wheel, slot_of(tick), now_ms);
    }
}

/* The first timer of the current slot; INT64_MAX when none expires before the slot ends. */
static int64_t first_of_current(const cm_cql_wheel_t *wheel)
{
    const cm_cql_timer_t *slot = &wheel->slots[slot_of(wheel->tick)];
    int64_t first = INT64_MAX;

    for (const cm_cql_timer_t *timer = slot->next; timer != slot; timer = timer->next)
        first = timer->at < first ? timer->at : first;
    return first < (wheel->tick + 1) * CM_CQL_WHEEL_MS ? first : INT64_MAX;
}

int cm_cql_wheel_wait(const cm_cql_wheel_t *wheel, int64_t now_ms)
{
    int64_t first = first_of_current(wheel);

    if (wheel->count == 0)
        return -1;
    for (int i = 1; i < CM_CQL_WHEEL_SLOTS && first == INT64_MAX;) {
        int slot = slot_of(wheel->tick + i);
        uint64_t taken = wheel->taken[slot / 64] >> slot % 64;
        if (taken == 0) /* to the next word */
            i += 64 - slot % 64;
        else /* its timers may belong to a later turn: then this is too early, which is allowed */
            first = (wheel->tick + i + __builtin_ctzll(taken)) * CM_CQL_WHEEL_MS;
    }
    if (first == INT64_MAX) /* only the current slot has timers, of the next turn */
        first = (wheel->tick + CM_CQL_WHEEL_SLOTS) * CM_CQL_WHEEL_MS;
    return first > now_ms ? (int)(first - now_ms) : 0;
}
