#include "mill/timelines_inside.h"

#include <stdlib.h>

typedef struct view {
    cm_reader_t reader; /* first */
    cm_reader_t *of;
    const cm_block_ref_t *views, *blocks;
    size_t count;
} view_t;

static int view_blocks(cm_reader_t *reader, const cm_block_ref_t **blocks, size_t *count,
                       cm_err_t *err)
{
    const view_t *view = (const view_t *)reader;

    (void)err;
    *blocks = view->views;
    *count = view->count;
    return 0;
}

static int view_read(cm_reader_t *reader, const cm_block_ref_t *block, unsigned parts,
                     cm_columns_t *columns, cm_err_t *err)
{
    const view_t *view = (const view_t *)reader;
    const size_t place = cm_block_place(view->views, view->count, block->first);

    int rc = cm_reader_read(view->of, &view->blocks[place], parts, columns, err);
    columns->first = block->first;
    return rc;
}

static int view_string_count(cm_reader_t *reader, cm_field_t field, uint32_t *count, cm_err_t *err)
{
    return cm_reader_string_count(((const view_t *)reader)->of, field, count, err);
}

static int view_string(cm_reader_t *reader, cm_field_t field, uint32_t id, cm_str_t *string,
                       cm_err_t *err)
{
    return cm_reader_string(((const view_t *)reader)->of, field, id, string, err);
}

static void view_close(cm_reader_t *reader)
{
    free(reader);
}

cm_reader_t *cm_timelines_view(cm_reader_t *reader, const cm_block_ref_t *views,
                               const cm_block_ref_t *blocks, size_t count)
{
    static const cm_reader_ops_t ops = {view_blocks, view_read, view_string_count, view_string,
                                        view_close};
    view_t *view = cm_alloc_zero(1, sizeof *view);

    *view =
        (view_t){.reader = {&ops}, .of = reader, .views = views, .blocks = blocks, .count = count};
    return &view->reader;
}
