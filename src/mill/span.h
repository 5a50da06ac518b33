/* The span of a question and the one that it is compared with: --from, --to, --compare. Any thread.
 */
#ifndef CM_MILL_SPAN_H
#define CM_MILL_SPAN_H

#include "mill/question.h"

/* Sets `span`, `compare` and `before` of a question whose zone is set. With a comparison an open
 * end becomes `text->now`. CM_EUSAGE. */
int cm_span_parse(const cm_question_text_t *text, cm_question_t *question, cm_err_t *err);

/* The name of an option in messages: "--from", or "from" where parameters are meant. */
const char *cm_span_word(const cm_question_text_t *text, const char *option);

#endif
