/* The fields of a row that verify compares, and a difference and the account as JSON. For any
 * thread. */
#ifndef CM_CMD_VERIFY_FIELDS_H
#define CM_CMD_VERIFY_FIELDS_H

#include "index/verify.h"

/* First the integers, then the averages. */
enum { CM_VERIFY_FIELDS = 10, CM_VERIFY_INTEGERS = 8 };

extern const char *const cm_verify_field_names[CM_VERIFY_FIELDS];

int64_t cm_verify_integer_of(const cm_measures_t *n, int field);

/* As it follows from the integers. */
cm_stored_average_t cm_verify_average_of(const cm_measures_t *n, int field);

/* As the index stores it; where it stores none, as it follows from the integers. */
cm_stored_average_t cm_verify_stored_of(const cm_answer_t *answer, int field);

/* Whether both sides, which must exist, differ in the field. Averages only count where they are
 * stored: otherwise their integers differ, too. */
bool cm_verify_differs(const cm_index_discrepancy_t *d, int field);

/* `none`: the text of an average that does not exist. */
void cm_verify_add_average(cm_buf_t *out, cm_stored_average_t average, const char *none);

/* A difference as one line of JSON: of a document that is no row, and of a row. */
void cm_verify_add_document(cm_buf_t *out, const cm_index_discrepancy_t *d);
void cm_verify_add_row(cm_buf_t *out, const cm_index_discrepancy_t *d);

/* The counts, and what users are called where this is wrong, as members of a JSON object. */
void cm_verify_add_counts(cm_buf_t *out, const cm_index_verified_t *done, int64_t newer);

#endif
