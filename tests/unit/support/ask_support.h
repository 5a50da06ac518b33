/* Questions to timelines, and their answers as text. */
#ifndef CM_TESTS_ASK_SUPPORT_H
#define CM_TESTS_ASK_SUPPORT_H

#include "support.h"

#include "mill/ask.h"

/* A question with all measures and one condition of each kind, or NULL. The caller frees it. */
cm_question_t test_question(const char *by, const char *where, const char *where_visit);

/* All groups and the total as lines in one order. The caller frees it. */
cm_buf_t test_groups(const cm_groups_t *groups);

#endif
