/* A store in a directory of its own, and events described so that a whole store can be compared
 * with what was put into it. */
#ifndef CM_TESTS_UNIT_STORE_SUPPORT_H
#define CM_TESTS_UNIT_STORE_SUPPORT_H

#include "support.h"

#include "store/embedded/store.h"
#include "store/event_at.h"

cm_store_t *test_open(const char *directory);

void test_put(cm_store_t *store, const cm_batch_t *batch);

void test_commit(cm_store_t *store);

/* Runs SQL on the file of a store that no process holds. */
void test_sql(const char *directory, const char *sql);

/* Appends one line an event in the order of the store: ordinal and CSV record. */
int test_dump(cm_reader_t *reader, cm_buf_t *out, cm_err_t *err);

/* The dump of a directory; the caller frees it. */
cm_buf_t test_contents(const char *directory);

/* What test_contents() must give for these events. */
void test_expect(cm_buf_t *out, const cm_event_t *event, int64_t ordinal);

size_t test_block_count(const char *directory);

#endif
