/* The names of dimensions and measures in questions, and lists of them with commas.
 *
 * A key of a property is bare, or in double quotes with "" for a quote where it has white space or
 * one of , " ( ) = ! < > ~: `props.plan`, `props."a,b"`. Messages begin with `where`, which says
 * where the name is written: `--by`. Pure functions; strings are in the arena. Any thread. */
#ifndef CM_MILL_NAMES_H
#define CM_MILL_NAMES_H

#include "mill/question.h"

/* Reads a dimension from the front of `rest` and removes it. `in_condition`: also engaged_ms, which
 * nothing can be grouped by. CM_EUSAGE. */
int cm_dim_take(cm_str_t *rest, bool in_condition, const char *where, cm_arena_t *arena,
                cm_dim_t *dim, cm_err_t *err);

/* Reads the dimensions of a question, none when the text is blank. CM_EUSAGE. */
int cm_dim_list(cm_str_t text, const char *where, cm_question_t *question, cm_err_t *err);

/* Reads a measure from the front of `rest` and removes it. `key` is that of its property, else
 * empty; `prop` of the measure is not set. CM_EUSAGE. */
int cm_measure_take(cm_str_t *rest, const char *where, cm_arena_t *arena, cm_measure_t *measure,
                    cm_str_t *key, cm_err_t *err);

/* Reads the measures of a question, sets its properties and its mask of counters. `all` stands for
 * those that need no property. CM_EUSAGE. */
int cm_measure_list(cm_str_t text, const char *where, cm_question_t *question, cm_err_t *err);

/* The step of that name: hour, day, week, month. CM_EUSAGE. */
int cm_facet_step(const char *text, const char *where, cm_facet_t *step, cm_err_t *err);

/* The candidate that is nearest to the word in any case; NULL when none is near. */
const char *cm_names_nearest(cm_str_t word, const char *const *candidates);

/* The text before the first character that ends a name. */
cm_str_t cm_names_word(cm_str_t text);

/* Removes white space from the front. */
void cm_names_skip(cm_str_t *rest);

/* Reads a text in double quotes, with "" for a quote, from the front of `rest`. False when the last
 * quote is missing. */
bool cm_names_take_quoted(cm_str_t *rest, cm_arena_t *arena, cm_str_t *text);

/* Removes what may follow a name in a list: a comma and `more` names, or nothing. `name` is
 * for the message. CM_EUSAGE. */
int cm_names_take_comma(cm_str_t *rest, cm_str_t name, const char *where, bool *more,
                        cm_err_t *err);

/* A name is twice in a list. Returns CM_EUSAGE. */
int cm_names_fail_twice(cm_str_t name, const char *where, cm_err_t *err);

/* "there is no WHAT "word"; did you mean near?", or `otherwise` instead of the question when none
 * of the candidates is near. Returns CM_EUSAGE. */
int cm_names_fail_unknown(cm_str_t word, const char *what, const char *const *candidates,
                          const char *otherwise, const char *where, cm_err_t *err);

/* How much of the text a message shows. */
int cm_names_shown(cm_str_t text);

#endif
