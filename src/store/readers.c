#include "store/readers.h"

#include <stdlib.h>

/* Opening takes a few ms, and writers commit at most some times a second. */
enum { ATTEMPTS = 50 };

static int same(cm_reader_t *a, cm_reader_t *b, bool *equal, cm_err_t *err)
{
    const cm_block_ref_t *of_a, *of_b;
    size_t a_count = 0, b_count = 0;

    int rc = cm_reader_blocks(a, &of_a, &a_count, err);
    if (rc == 0)
        rc = cm_reader_blocks(b, &of_b, &b_count, err);
    *equal = rc == 0 && a_count == b_count;
    for (size_t i = 0; *equal && i < a_count; i++)
        *equal = of_a[i].first == of_b[i].first && of_a[i].count == of_b[i].count;
    return rc;
}

static int open_all(cm_store_t *store, int count, cm_readers_t *readers, bool *equal, cm_err_t *err)
{
    int rc = 0;

    *equal = true;
    while (rc == 0 && *equal && readers->count < count) {
        rc = cm_store_reader(store, &readers->list[readers->count], err);
        if (rc == 0 && readers->count++ > 0)
            rc = same(readers->list[0], readers->list[readers->count - 1], equal, err);
    }
    return rc;
}

int cm_readers_open(cm_store_t *store, int count, cm_readers_t *readers, cm_err_t *err)
{
    for (int i = 0; i < ATTEMPTS; i++) {
        bool equal;
        *readers = (cm_readers_t){.list = cm_alloc_zero((size_t)count, sizeof *readers->list)};
        int rc = open_all(store, count, readers, &equal, err);
        if (rc == 0 && equal)
            return 0;
        cm_readers_close(readers);
        if (rc < 0)
            return rc;
    }
    return cm_fail(err, CM_EBUSY, "the store changes too often to be read; try again");
}

int cm_readers_take(void *context, cm_reader_t **reader, cm_err_t *err)
{
    cm_readers_t *readers = context;

    if (readers->taken == readers->count)
        return cm_fail(err, CM_EINTERNAL, "more readers are wanted than were opened");
    *reader = readers->list[readers->taken++];
    return 0;
}

void cm_readers_close(cm_readers_t *readers)
{
    for (int i = readers->taken; i < readers->count; i++)
        cm_reader_close(readers->list[i]);
    free(readers->list);
    *readers = (cm_readers_t){.list = NULL};
}
