/* Readers of one moment, of a store that a writer changes while they are opened. */
#include "support.h"

#include "store/readers.h"

/* A store whose block has one event more for each reader, `changes` times. */
typedef struct growing {
    cm_store_t store;
    int changes, opened, open;
} growing_t;

typedef struct growing_reader {
    cm_reader_t reader;
    growing_t *store;
    cm_block_ref_t block;
} growing_reader_t;

static int blocks(cm_reader_t *reader, const cm_block_ref_t **list, size_t *count, cm_err_t *err)
{
    growing_reader_t *self = (growing_reader_t *)reader;

    (void)err;
    *list = &self->block;
    *count = 1;
    return 0;
}

static void close_reader(cm_reader_t *reader)
{
    ((growing_reader_t *)reader)->store->open--;
    free(reader);
}

static int open_reader(cm_store_t *store, cm_reader_t **reader, cm_err_t *err)
{
    static const cm_reader_ops_t ops = {.blocks = blocks, .close = close_reader};
    growing_t *self = (growing_t *)store;
    growing_reader_t *made = calloc(1, sizeof *made);

    (void)err;
    made->reader.ops = &ops;
    made->store = self;
    made->block = (cm_block_ref_t){
        .count = 1 + (uint32_t)(self->opened < self->changes ? self->opened : self->changes)};
    self->opened++;
    self->open++;
    *reader = &made->reader;
    return 0;
}

static const cm_store_ops_t store_ops = {.reader = open_reader};

/* Three that see the same are opened again until they do; those that were taken are not closed. */
static void all_see_the_same(void **state)
{
    growing_t store = {.store = {.ops = &store_ops}, .changes = 5};
    cm_readers_t readers;
    cm_reader_t *taken;
    cm_err_t err;

    (void)state;
    assert_ok(cm_readers_open(&store.store, 3, &readers, &err), err);
    assert_int_equal(store.open, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(((growing_reader_t *)readers.list[i])->block.count, 6);
    assert_ok(cm_readers_take(&readers, &taken, &err), err);
    cm_readers_close(&readers);
    assert_int_equal(store.open, 1);
    cm_reader_close(taken);
}

static void a_writer_without_end(void **state)
{
    growing_t store = {.store = {.ops = &store_ops}, .changes = 1 << 30};
    cm_readers_t readers;
    cm_reader_t *taken;
    cm_err_t err;

    (void)state;
    assert_int_equal(cm_readers_open(&store.store, 2, &readers, &err), CM_EBUSY);
    assert_string_equal(err.text, "the store changes too often to be read; try again");
    assert_int_equal(store.open, 0);
    store.changes = 0;
    assert_ok(cm_readers_open(&store.store, 1, &readers, &err), err);
    assert_ok(cm_readers_take(&readers, &taken, &err), err);
    cm_reader_close(taken);
    assert_int_equal(cm_readers_take(&readers, &taken, &err), CM_EINTERNAL);
    cm_readers_close(&readers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_see_the_same),
        cmocka_unit_test(a_writer_without_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
