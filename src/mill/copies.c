/* Finds the copies among the events of a store: a run of the mill that only marks them. */
#include "base/bitmap.h"
#include "mill/mill.h"

#include <stdlib.h>

int cm_mill_copies(const cm_mill_options_t *options, uint8_t **copies, int64_t *end_ordinal,
                   cm_err_t *err)
{
    cm_mill_options_t marking = *options;
    const cm_block_ref_t *blocks;
    cm_mill_result_t result;
    cm_reader_t *reader;
    size_t count;

    *copies = NULL;
    *end_ordinal = 0;
    int rc = options->reader(options->context, &reader, err);
    if (rc < 0)
        return rc;
    if ((rc = cm_reader_blocks(reader, &blocks, &count, err)) == 0)
        *end_ordinal = cm_blocks_end(blocks, count);
    cm_reader_close(reader);
    if (rc < 0)
        return rc;
    marking.copies = calloc(cm_bitmap_bytes((size_t)*end_ordinal), 1);
    if (marking.copies == NULL)
        return cm_fail_memory(err);
    marking.since = 0;
    marking.until =
        *end_ordinal; /* 0 would mean the end, and a writer may have added events since */
    if (*end_ordinal > 0 && (rc = cm_mill(&marking, &result, err)) == 0)
        cm_mill_result_free(&result);
    if (rc < 0)
        free((void *)marking.copies);
    else
        *copies = (uint8_t *)marking.copies;
    return rc;
}
