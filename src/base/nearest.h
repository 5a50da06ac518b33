/* The nearest of several names, for "did you mean ...?". No state: any thread. */
#ifndef CM_BASE_NEAREST_H
#define CM_BASE_NEAREST_H

/* The candidate that is nearest to `word` by edit distance (insert, delete, replace, swap of two
 * neighbours: optimal string alignment), NULL when none is near: at most a third of the word may
 * be wrong, one letter always. Of equals the first. Candidates end with NULL. */
const char *cm_nearest(const char *word, const char *const *candidates);

#endif
