#include "base/nearest.h"

#include <stddef.h>
#include <string.h>

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edit distance with swaps of neighbours, in three rows of the usual table. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len, size_t *rows)
{
    size_t width = b_len + 1;
    size_t *before = rows, *last = rows + width, *now = rows + 2 * width;

    for (size_t j = 0; j <= b_len; j++)
        last[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        now[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);
            best = least(best, least(last[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = least(best, before[j - 2] + 1);
            now[j] = best;
        }
        size_t *oldest = before;
        before = last;
        last = now;
        now = oldest;
    }
    return last[b_len];
}

const char *cm_nearest(const char *word, const char *const *candidates)
{
    enum { LONGEST = 64 }; /* no name is longer, and a longer word is no misspelt name */
    size_t rows[3 * (LONGEST + 1)];
    size_t len = strlen(word);
    size_t near = len / 3 > 1 ? len / 3 : 1;
    const char *best = NULL;

    if (len < 2 || len > LONGEST) /* a single letter is near to everything */
        return NULL;
    for (; *candidates != NULL; candidates++) {
        size_t candidate_len = strlen(*candidates);
        if (candidate_len > LONGEST)
            continue;
        size_t d = distance(word, len, *candidates, candidate_len, rows);
        if (d < near || (d == near && best == NULL)) {
            best = *candidates;
            near = d;
        }
    }
    return best;
}
