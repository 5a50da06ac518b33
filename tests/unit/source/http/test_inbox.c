/* The inbox: tickets are returned in order, and only when their events are durable. */
#include "support.h"

#include "source/http/inbox.h"

#include <pthread.h>

enum { TICKETS = 64 };

/* A ticket points to this. */
typedef struct ticket {
    int given; /* its number in the order of return; 0: not returned yet */
    bool durable;
} ticket_t;

static int returned;

static void give_back(void *ticket, bool durable)
{
    ((ticket_t *)ticket)->given = ++returned;
    ((ticket_t *)ticket)->durable = durable;
}

static cm_inbox_result_t put(cm_inbox_t *inbox, const char *user, size_t bytes, ticket_t *ticket)
{
    cm_batch_t batch = CM_BATCH_INIT;

    test_add(&batch, test_event(user, 1000, "/", "X", NULL));
    batch.account = (cm_account_t){.read = 1, .accepted = 1};
    cm_inbox_result_t result = cm_inbox_put(inbox, &batch, bytes, ticket);
    cm_batch_free(&batch);
    return result;
}

static int next(cm_inbox_t *inbox, cm_batch_t *batch)
{
    cm_err_t err;

    cm_batch_clear(batch);
    return cm_source_next(cm_inbox_source(inbox), batch, &err);
}

static void acknowledge(cm_inbox_t *inbox, uint64_t batches)
{
    cm_err_t err;

    assert_int_equal(
        cm_inbox_source(inbox)->ops->acknowledge(cm_inbox_source(inbox), batches, &err), 0);
}

static void tickets_come_back_in_order(void **context)
{
    cm_inbox_t *inbox = cm_inbox_new(1000, give_back);
    cm_batch_t batch = CM_BATCH_INIT;
    ticket_t tickets[4] = {0};

    (void)context;
    returned = 0;
    cm_inbox_set_wait(inbox, 0);
    put(inbox, "a", 1, &tickets[0]);
    put(inbox, "b", 1, &tickets[1]);
    assert_int_equal(next(inbox, &batch), 1);
    assert_int_equal(batch.count, 2);
    assert_memory_equal(batch.events[1].user_id.data, "b", 1);
    assert_int_equal(batch.account.accepted, 2);
    put(inbox, "c", 1, &tickets[2]);
    assert_int_equal(next(inbox, &batch), 1);
    assert_int_equal(batch.count, 1);
    put(inbox, "d", 1, &tickets[3]);
    assert_int_equal(returned, 0);
    acknowledge(inbox, 1);
    assert_int_equal(returned, 2);
    assert_int_equal(tickets[0].given, 1);
    assert_int_equal(tickets[1].given, 2);
    assert_true(tickets[1].durable);
    /* The second batch is lost, but no later one. */
    cm_inbox_fail(inbox);
    assert_int_equal(tickets[2].given, 3);
    assert_false(tickets[2].durable);
    assert_int_equal(tickets[3].given, 0);
    assert_int_equal(next(inbox, &batch), 1);
    acknowledge(inbox, 3);
    assert_true(tickets[3].durable);
    cm_source_close(cm_inbox_source(inbox));
    cm_batch_free(&batch);
}

static void full_and_closed(void **context)
{
    cm_inbox_t *inbox = cm_inbox_new(100, give_back);
    cm_batch_t batch = CM_BATCH_INIT, nothing = CM_BATCH_INIT;
    ticket_t tickets[4] = {0};

    (void)context;
    returned = 0;
    cm_inbox_set_wait(inbox, 0);
    assert_int_equal(put(inbox, "a", 60, &tickets[0]), CM_INBOX_TAKEN);
    assert_int_equal(put(inbox, "b", 41, &tickets[1]), CM_INBOX_FULL);
    assert_int_equal(put(inbox, "b", 40, &tickets[1]), CM_INBOX_TAKEN);
    assert_int_equal(next(inbox, &batch), 1);
    /* Events that were taken are not durable yet, so they count. */
    assert_int_equal(put(inbox, "c", 1, &tickets[2]), CM_INBOX_FULL);
    acknowledge(inbox, 1);
    assert_int_equal(put(inbox, "c", 100, &tickets[2]), CM_INBOX_TAKEN);
    cm_inbox_close(inbox);
    assert_int_equal(put(inbox, "d", 1, &tickets[3]), CM_INBOX_CLOSED);
    /* An account without events is always accepted. */
    nothing.account = (cm_account_t){.read = 3, .skipped = 3};
    assert_int_equal(cm_inbox_put(inbox, &nothing, 0, NULL), CM_INBOX_TAKEN);
    assert_int_equal(next(inbox, &batch), 1);
    assert_int_equal(batch.count, 1);
    assert_int_equal(batch.account.skipped, 3);
    acknowledge(inbox, 2);
    assert_int_equal(next(inbox, &batch), 0);
    assert_int_equal(returned, 3);
    cm_source_close(cm_inbox_source(inbox));
    cm_batch_free(&batch);
}

/* ---- many threads */

typedef struct putter {
    cm_inbox_t *inbox;
    int number, taken;
    ticket_t tickets[TICKETS];
} putter_t;

static void *put_many(void *context)
{
    putter_t *putter = context;
    char name[20];

    snprintf(name, sizeof name, "putter-%d", putter->number);
    for (int i = 0; i < TICKETS; i++)
        putter->taken += put(putter->inbox, name, 1, &putter->tickets[i]) == CM_INBOX_TAKEN;
    return NULL;
}

static void many_threads(void **context)
{
    cm_inbox_t *inbox = cm_inbox_new(1 << 20, give_back);
    cm_batch_t batch = CM_BATCH_INIT;
    putter_t putters[4] = {0};
    pthread_t threads[4];
    uint64_t batches = 0, events = 0;

    (void)context;
    returned = 0;
    for (int i = 0; i < 4; i++) {
        putters[i] = (putter_t){.inbox = inbox, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, put_many, &putters[i]), 0);
    }
    while (events < UINT64_C(4) * TICKETS) {
        assert_int_equal(next(inbox, &batch), 1);
        events += batch.count;
        acknowledge(inbox, ++batches);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(putters[i].taken, TICKETS);
        for (int j = 0; j < TICKETS; j++)
            assert_true(putters[i].tickets[j].durable);
    }
    assert_int_equal(returned, 4 * TICKETS);
    cm_source_close(cm_inbox_source(inbox));
    cm_batch_free(&batch);
}

/* put_many() may use only half of the capacity: the other half is for put(). */
static void many_leave_room(void **context)
{
    cm_inbox_t *inbox = cm_inbox_new(1000, give_back);
    cm_batch_t batch = CM_BATCH_INIT;
    ticket_t tickets[4] = {0};

    (void)context;
    test_add(&batch, test_event("a", 1000, "/", "X", NULL));
    assert_int_equal(cm_inbox_put_many(inbox, &batch, 400, &tickets[0]), CM_INBOX_TAKEN);
    assert_int_equal(cm_inbox_put_many(inbox, &batch, 101, &tickets[1]), CM_INBOX_FULL);
    assert_int_equal(cm_inbox_put(inbox, &batch, 600, &tickets[2]), CM_INBOX_TAKEN);
    assert_int_equal(cm_inbox_put(inbox, &batch, 1, &tickets[3]), CM_INBOX_FULL);
    cm_source_close(cm_inbox_source(inbox));
    cm_batch_free(&batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tickets_come_back_in_order),
        cmocka_unit_test(full_and_closed),
        cmocka_unit_test(many_threads),
        cmocka_unit_test(many_leave_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
