#include "cql/timer.h"

static cm_cql_timer_t *slot_of(cm_cql_wheel_t *wheel, int64_t tick)
{
    return &wheel->slots[(uint64_t)tick % CM_CQL_WHEEL_SLOTS];
}

void cm_cql_wheel_init(cm_cql_wheel_t *wheel, int64_t now_ms)
{
    for (int i = 0; i < CM_CQL_WHEEL_SLOTS; i++)
        wheel->slots[i].next = wheel->slots[i].prev = &wheel->slots[i];
    wheel->tick = now_ms / CM_CQL_WHEEL_MS;
    wheel->count = 0;
}

void cm_cql_timer_stop(cm_cql_wheel_t *wheel, cm_cql_timer_t *timer)
{
    if (timer->next == NULL)
        return;
    timer->next->prev = timer->prev;
    timer->prev->next = timer->next;
    timer->next = timer->prev = NULL;
    wheel->count--;
}

static void link_timer(cm_cql_timer_t *head, cm_cql_timer_t *timer)
{
    timer->next = head;
    timer->prev = head->prev;
    head->prev->next = timer;
    head->prev = timer;
}

void cm_cql_timer_set(cm_cql_wheel_t *wheel, cm_cql_timer_t *timer, int64_t at_ms)
{
    cm_cql_timer_stop(wheel, timer);
    int64_t tick = at_ms / CM_CQL_WHEEL_MS;
    timer->at = at_ms;
    link_timer(slot_of(wheel, tick < wheel->tick ? wheel->tick : tick), timer);
    wheel->count++;
}

/* Takes the ended timers of a slot out first: what they set anew may fall into the same slot. */
static void fire_slot(cm_cql_wheel_t *wheel, cm_cql_timer_t *slot, int64_t now_ms)
{
    cm_cql_timer_t ended = {.next = &ended, .prev = &ended};

    for (cm_cql_timer_t *timer = slot->next, *next; timer != slot; timer = next) {
        next = timer->next;
        if (timer->at > now_ms)
            continue;
        timer->next->prev = timer->prev;
        timer->prev->next = timer->next;
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
        fire_slot(wheel, slot_of(wheel, tick), now_ms);
    }
}

int cm_cql_wheel_wait(const cm_cql_wheel_t *wheel, int64_t now_ms)
{
    if (wheel->count == 0)
        return -1;
    for (int i = 0; i < CM_CQL_WHEEL_SLOTS; i++) {
        const cm_cql_timer_t *slot =
            &wheel->slots[(uint64_t)(wheel->tick + i) % CM_CQL_WHEEL_SLOTS];
        int64_t first = INT64_MAX;
        for (const cm_cql_timer_t *timer = slot->next; timer != slot; timer = timer->next)
            first = timer->at < first ? timer->at : first;
        int64_t end = (wheel->tick + i + 1) * CM_CQL_WHEEL_MS;
        if (first < end)
            return first > now_ms ? (int)(first - now_ms) : 0;
    }
    return CM_CQL_WHEEL_SLOTS * CM_CQL_WHEEL_MS / 2;
}
