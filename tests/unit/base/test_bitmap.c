/* Bitmaps: each place has a bit of its own, also at the ends. */
#include "base/bitmap.h"

#include "support.h"

static void each_place_by_itself(void **state)
{
    (void)state;
    for (size_t places = 0; places < 40; places++) {
        for (size_t set = 0; set <= places; set++) {
            uint8_t *bits = calloc(cm_bitmap_bytes(places), 1);
            atomic_uchar *shared = calloc(cm_bitmap_bytes(places), 1);
            cm_bitmap_set(bits, set);
            cm_bitmap_set_atomic(shared, set);
            for (size_t place = 0; place <= places; place++)
                assert_int_equal(cm_bitmap_get(bits, place), place == set);
            assert_memory_equal(bits, (uint8_t *)shared, cm_bitmap_bytes(places));
            free(bits);
            free((void *)shared);
        }
    }
}

/* The least significant bit of a byte is first: `export` and the mill agree on that. */
static void order_of_bits(void **state)
{
    uint8_t bits[2] = {0};

    (void)state;
    cm_bitmap_set(bits, 0);
    cm_bitmap_set(bits, 7);
    cm_bitmap_set(bits, 9);
    cm_bitmap_set(bits, 9);
    assert_int_equal(bits[0], 0x81);
    assert_int_equal(bits[1], 0x02);
    assert_int_equal(cm_bitmap_bytes(7), 1);
    assert_int_equal(cm_bitmap_bytes(8), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_place_by_itself),
        cmocka_unit_test(order_of_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
