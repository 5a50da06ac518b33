/* What `query` says when it has found nothing: which condition fails, and the nearest to it. */
#ifndef CM_CMD_QUERY_NEAREST_H
#define CM_CMD_QUERY_NEAREST_H

#include "cmd/app.h"
#include "index/index.h"

/* Prints one line. The index has answers, and none for the query. */
int cm_query_say_nothing(cm_app_t *app, cm_index_t *index, const cm_index_query_t *query);

/* The one of `count` names that is meant by a word, the likeliest: the same but for upper and lower
 * case; a country's code or initials (`countries`); one that has the word in it, at its end first;
 * one that differs by few letters. The names come the most important first. NULL: none. */
const cm_str_t *cm_query_nearest(const char *word, const cm_str_t *names, size_t count,
                                 bool countries);

#endif
