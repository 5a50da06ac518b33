/* What `query` says when it has found nothing: which condition fails, and the nearest to it. One
 * thread. */
#ifndef CM_CMD_QUERY_NEAREST_H
#define CM_CMD_QUERY_NEAREST_H

#include "cmd/app.h"
#include "index/index.h"

/* Prints one line for a query that found nothing, of an index that has answers. */
int cm_query_say_nothing(cm_app_t *app, cm_index_t *index, const cm_index_query_t *query);

/* The likeliest of `count` names that a user means by a word: the same except for letter case; by a
 * country's code or initials (`countries`); one that contains the word, at its end first; one that
 * differs by few letters. The most important names come first. NULL: none. */
const cm_str_t *cm_query_nearest(const char *word, const cm_str_t *names, size_t count,
                                 bool countries);

#endif
