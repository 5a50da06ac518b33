/* Accounts as text: what became of the events that were read, and what the answers cover.
 *
 * Every function but the last appends to the caller's buffer and depends on its arguments only.
 * For any thread. */
#ifndef CM_PIPELINE_ACCOUNTS_H
#define CM_PIPELINE_ACCOUNTS_H

#include "event/batch.h"
#include "index/embedded/refresh.h"

/* Appends the account's fields as members of a JSON object, without braces. */
void cm_accounts_add_json(cm_buf_t *buf, const cm_account_t *account);

/* Appends `read = accepted + rejected + skipped` and what else there is to say, as lines.
 * `dead_list` is the command that lists the dead letters. */
void cm_accounts_add_lines(cm_buf_t *buf, const cm_account_t *account, const char *dead_list);

/* Appends the account of the answers as a JSON object. `seconds`: how long computing them took. */
void cm_accounts_add_answers_json(cm_buf_t *buf, const cm_index_refreshed_t *done, double seconds);

/* Appends `accepted = events + duplicates` as a line. */
void cm_accounts_add_answers_line(cm_buf_t *buf, const cm_index_refreshed_t *done, double seconds);

/* CM_EMISSING with a sentence when events are gone, or left in the spool. */
int cm_accounts_check(const cm_account_t *account, cm_err_t *err);

#endif
