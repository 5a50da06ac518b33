/* Which of several events with one row key counts. */
#include "event/choice.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>

enum { TRIES = 200000 };

static cm_event_t event_of(const char *url, const char *country, const char *device)
{
    cm_event_t event = {.user_id = CM_STR("u1"),
                        .timestamp = 1000,
                        .url = cm_str(url),
                        .country = cm_str(country),
                        .device = cm_str(device)};
    cm_event_complete(&event);
    return event;
}

static void more_stated_fields_win(void **state)
{
    cm_event_t none = event_of("https://z/", "", ""), one = event_of("https://a/", "Chile", "");
    cm_event_t two = event_of("https://a/", "Chile", "PC"), nul = event_of("/", "Unknown", "");

    (void)state;
    assert_int_equal(0, cm_event_stated(&none));
    assert_int_equal(1, cm_event_stated(&one));
    assert_int_equal(2, cm_event_stated(&two));
    assert_int_equal(0, cm_event_stated(&nul)); /* "Unknown" means absent */
    nul.city = CM_STR("unknown");               /* but only in this spelling */
    assert_int_equal(1, cm_event_stated(&nul));
    assert_true(cm_event_compare(&one, &none) > 0);
    assert_true(cm_event_compare(&none, &one) < 0);
    assert_true(cm_event_compare(&one, &two) < 0);
    assert_int_equal(0, cm_event_compare(&two, &two));
}

static int sign(int x)
{
    return (x > 0) - (x < 0);
}

/* The definition: canonical JSON, byte by byte. */
static int compare_by_json(const cm_event_t *a, const cm_event_t *b)
{
    static cm_buf_t x = CM_BUF_INIT, y = CM_BUF_INIT;

    if (cm_event_stated(a) != cm_event_stated(b))
        return cm_event_stated(a) > cm_event_stated(b) ? 1 : -1;
    cm_buf_clear(&x);
    cm_buf_clear(&y);
    cm_event_add_json(&x, a);
    cm_event_add_json(&y, b);
    int order = memcmp(x.data, y.data, x.len < y.len ? x.len : y.len);
    return order != 0 ? sign(order) : (x.len > y.len) - (x.len < y.len);
}

/* Strings are short and have few different bytes, so that many begin with the same bytes. All bytes
 * that JSON escapes are among them, and bytes less than the quote that ends a string. */
static cm_str_t random_text(cm_arena_t *arena, uint64_t *seed)
{
    static const char bytes[] = "aa !\"\"#\\\\/\n\t\r\x01\x08\x0c\x1f\x7f\xc3\xa4z";
    char text[4];
    size_t len = 1 + test_random(seed) % 3;

    for (size_t i = 0; i < len; i++)
        text[i] = bytes[test_random(seed) % (sizeof bytes - 1)];
    return cm_arena_copy(arena, (cm_str_t){text, len});
}

static void the_order_is_that_of_the_json(void **state)
{
    static const int64_t times[] = {1, 9, 10, 99, 100, 1747476303123, 174747630312};
    cm_arena_t arena = CM_ARENA_INIT;
    int orders[3] = {0};
    uint64_t seed = 1;

    (void)state;
    for (int try = 0; try < TRIES; try++) {
        cm_event_t events[2];
        cm_arena_reset(&arena);
        events[0] = (cm_event_t){.row_key = CM_STR("k"), .user_id = CM_STR("u"), .timestamp = 10};
        cm_event_t *a = &events[0], *b = &events[1];
        cm_str_t *fields[] = {&b->user_id, &b->url, &b->country, &b->city,
                              &b->browser, &b->os,  &b->device};
        a->url = a->country = a->city = a->browser = a->os = a->device = random_text(&arena, &seed);
        *b = *a;
        /* All fields from a random one on differ. */
        for (size_t i = test_random(&seed) % 8; i < 7; i++)
            *fields[i] = random_text(&arena, &seed);
        if (test_random(&seed) % 16 == 0) {
            a->timestamp = times[test_random(&seed) % 7];
            b->timestamp = times[test_random(&seed) % 7];
        }
        int order = sign(cm_event_compare(a, b));
        assert_int_equal(compare_by_json(a, b), order);
        assert_int_equal(-order, sign(cm_event_compare(b, a)));
        orders[order + 1]++;
    }
    assert_true(orders[0] > TRIES / 4 && orders[1] > TRIES / 20 && orders[2] > TRIES / 4);
    cm_arena_free(&arena);
}

/* Bytes less than a quote: `a` is greater than `a!`, although it is a prefix. */
static void the_quote_counts(void **state)
{
    cm_event_t shorter = event_of("https://a/", "a", ""), longer = event_of("https://a/", "a!", "");
    cm_event_t longest = event_of("https://a/", "a#", "");

    (void)state;
    assert_true(cm_event_compare(&shorter, &longer) > 0);
    assert_true(cm_event_compare(&longest, &shorter) > 0);
}

static void a_batch(void **state)
{
    cm_choice_t choice = {0};
    cm_batch_t batch = CM_BATCH_INIT;

    (void)state;
    cm_choice_make(&choice, &batch);
    assert_int_equal(0, choice.count);
    /* Seven events per row key, in a different order for each; the greatest city counts. */
    for (int i = 0; i < 70000; i++) {
        char text[32];
        int key = i % 10000, turn = (i / 10000 + key) % 7;
        cm_event_t *event = cm_batch_slot(&batch);
        *event = event_of("https://a/", "", "");
        snprintf(text, sizeof text, "key-%d", key);
        event->row_key = cm_arena_copy(&batch.arena, cm_str(text));
        snprintf(text, sizeof text, "%d", turn);
        event->city = cm_arena_copy(&batch.arena, cm_str(text));
        cm_batch_accept(&batch);
    }
    for (int again = 0; again < 2; again++) {
        int found = 0;
        cm_choice_make(&choice, &batch);
        assert_int_equal(70000, choice.count);
        assert_int_equal(60000, choice.replaced);
        for (size_t i = 0; i < choice.count; i++) {
            if (choice.keys[i].data == NULL)
                continue;
            found++;
            assert_true(cm_str_equal(batch.events[i].city, CM_STR("6")));
            assert_true(cm_str_equal(batch.events[i].row_key, choice.keys[i]));
        }
        assert_int_equal(10000, found);
    }
    /* Of equal events the first counts, and a derived row key equals the same key as a string. */
    cm_batch_clear(&batch);
    for (int i = 0; i < 3; i++) {
        *cm_batch_slot(&batch) = event_of("https://a/", "Peru", "");
        cm_batch_accept(&batch);
    }
    batch.events[2].row_key = CM_STR("a7c29e0a-3e53-532e-92a6-40a132ffff93");
    cm_choice_make(&choice, &batch);
    assert_int_equal(2, choice.replaced);
    assert_true(cm_str_equal(CM_STR("a7c29e0a-3e53-532e-92a6-40a132ffff93"), choice.keys[0]));
    cm_batch_free(&batch);
    cm_choice_free(&choice);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_stated_fields_win),
        cmocka_unit_test(the_order_is_that_of_the_json),
        cmocka_unit_test(the_quote_counts),
        cmocka_unit_test(a_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
