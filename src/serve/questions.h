/* Questions of GET /api/v1/query to the raw events of the data directory (mill/question.h).
 *
 * A request has one question or several, which share one walk over the events: each `by` or
 * `values` begins one, and the parameters before the first hold for all.
 *
 * Timelines are kept between questions and shared by those that are answered at the same time. A
 * question is answered from what was committed a second ago at most: then the store is looked at,
 * and where it has grown, what is new is put in order. Timelines that were not used for some time
 * are closed, because an open reader makes a writer keep what it has replaced. Used by all threads
 * of the server; a cm_questions_asking_t belongs to one. */
#ifndef CM_SERVE_QUESTIONS_H
#define CM_SERVE_QUESTIONS_H

#include "base/log.h"
#include "mill/question.h"
#include "serve/options.h"

enum {
    CM_QUESTIONS_TAG = 24,        /* bytes of an entity tag with its quotes and its NUL */
    CM_QUESTIONS_IDLE_MS = 10000, /* how long timelines are kept unused */
    CM_QUESTIONS_MAX = 32,        /* of a request */
};

typedef struct cm_questions cm_questions_t;

/* Borrowed as long as the questions. */
typedef struct cm_questions_settings {
    const char *data_dir;
    cm_questions_given_t given;
    int64_t session_timeout; /* ms */
    int64_t memory;          /* bytes that timelines may take; 0: no limit */
    bool daily;              /* the configuration says that user ids live for one UTC day */
} cm_questions_settings_t;

cm_questions_t *cm_questions_new(const cm_questions_settings_t *settings, const cm_log_t *log);

/* Questions in progress end soon with CM_ESTOP, and so do later ones. */
void cm_questions_stop(cm_questions_t *questions);

/* After the last question has ended. NULL is allowed. */
void cm_questions_free(cm_questions_t *questions);

/* How long a question may take, ms. */
int64_t cm_questions_limit_ms(const cm_questions_t *questions);

/* Closes timelines that were not used for some time. */
void cm_questions_tidy(cm_questions_t *questions);

/* ---- parameters (questions_params.c) ---- */

/* Appends a parameter to the text of a question: names and values, each with its NUL. `value` is
 * followed by a NUL; NULL: a name without `=`. CM_EUSAGE. */
int cm_questions_set(cm_buf_t *text, cm_str_t name, cm_str_t value, cm_err_t *err);

typedef struct cm_questions_format {
    bool csv, safe;
} cm_questions_format_t;

/* How many questions the text has; 1 where it has no `by` and no `values`. */
size_t cm_questions_count(cm_str_t text);

/* Reads one of them. The caller frees the question, also after an error. CM_EUSAGE. */
int cm_questions_read(cm_str_t text, size_t number, int64_t now, cm_question_t *question,
                      cm_questions_format_t *format, cm_err_t *err);

/* Reads all and forgets them: whether the request can be answered. CM_EUSAGE. */
int cm_questions_check(cm_str_t text, cm_questions_format_t *format, cm_err_t *err);

/* ---- answering ---- */

typedef struct cm_questions_asking cm_questions_asking_t;

/* Reads the questions and takes the timelines that answer them. CM_EUSAGE, CM_ESTOP, and the errors
 * of stores and timelines. */
int cm_questions_begin(cm_questions_t *questions, cm_str_t text, cm_questions_asking_t **asking,
                       cm_err_t *err);

/* The entity tag of the answer: of the questions, the spans that they have now, the events, and the
 * settings. Answers of one tag are equal. */
const char *cm_questions_tag(const cm_questions_asking_t *asking);

/* Appends the answer. `gives_up` is called from time to time. CM_EUSAGE, CM_ENOMEM with a sentence
 * about the limit, CM_ESTOP. */
int cm_questions_answer(cm_questions_asking_t *asking, bool (*gives_up)(void *context),
                        void *context, cm_buf_t *body, cm_err_t *err);

/* NULL is allowed. */
void cm_questions_end(cm_questions_asking_t *asking);

#endif
