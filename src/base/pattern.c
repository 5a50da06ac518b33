#include "base/pattern.h"

#include <stdlib.h>

/* A set of positions is a row of bits: position n means that n elements (a byte, or ?) are matched.
 */
enum { BITS = 64, BYTES = 256 };

struct cm_pattern {
    size_t words; /* of a set */
    size_t last;  /* the position after the last element */
    /* Sets: positions with a *; positions directly after a ?; for each byte, positions after it. */
    uint64_t *stays, *inside, *steps;
};

static void set(uint64_t *places, size_t place)
{
    places[place / BITS] |= UINT64_C(1) << place % BITS;
}

static bool has(const uint64_t *places, size_t place)
{
    return (places[place / BITS] >> place % BITS & 1) != 0;
}

/* A byte that is not the first of its character. */
static bool continues(uint8_t byte)
{
    return (byte & 0xC0) == 0x80;
}

bool cm_pattern_is_plain(const char *text)
{
    return strpbrk(text, "*?") == NULL;
}

/* How many words of 64 bits the sets of the text take. */
static size_t count_words(cm_str_t text)
{
    return (2 + BYTES) * (text.len / BITS + 1);
}

/* Fills the sets, which are all zero, from the text. */
static void fill(cm_pattern_t *pattern, cm_str_t text)
{
    pattern->words = text.len / BITS + 1;
    pattern->last = 0;
    pattern->inside = pattern->stays + pattern->words;
    pattern->steps = pattern->inside + pattern->words;
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.data[i];
        if (c == '*') {
            set(pattern->stays, pattern->last);
            continue;
        }
        for (size_t byte = 0; byte < BYTES; byte++) {
            if (c == '?' ? !continues((uint8_t)byte) : byte == (uint8_t)c)
                set(pattern->steps + byte * pattern->words, pattern->last);
        }
        pattern->last++;
        if (c == '?')
            set(pattern->inside, pattern->last);
    }
}

cm_pattern_t *cm_pattern_new(const char *text)
{
    cm_pattern_t *pattern = cm_alloc_zero(1, sizeof *pattern);

    pattern->stays = cm_alloc_zero(count_words(cm_str(text)), sizeof(uint64_t));
    fill(pattern, cm_str(text));
    return pattern;
}

const cm_pattern_t *cm_pattern_make(cm_str_t text, cm_arena_t *arena)
{
    cm_pattern_t *pattern = cm_arena_alloc(arena, sizeof *pattern);
    const size_t size = count_words(text) * sizeof(uint64_t);

    pattern->stays = cm_arena_alloc(arena, size);
    memset(pattern->stays, 0, size);
    fill(pattern, text);
    return pattern;
}

void cm_pattern_free(cm_pattern_t *pattern)
{
    if (pattern == NULL)
        return;
    free(pattern->stays);
    free(pattern);
}

/* Moves all positions by the byte. False when none is left. */
static bool step(const cm_pattern_t *pattern, uint64_t *places, uint8_t byte)
{
    const uint64_t *steps = pattern->steps + byte * pattern->words;
    const uint64_t inside = continues(byte) ? UINT64_MAX : 0;
    uint64_t carry = 0, any = 0;

    for (size_t i = 0; i < pattern->words; i++) {
        const uint64_t here = places[i], on = here & steps[i];
        places[i] = on << 1 | carry | (here & (pattern->stays[i] | (pattern->inside[i] & inside)));
        carry = on >> (BITS - 1);
        any |= places[i];
    }
    return any != 0;
}

bool cm_pattern_matches(const cm_pattern_t *pattern, cm_str_t text)
{
    const bool open = has(pattern->stays, pattern->last); /* it ends with * */
    uint64_t few[8] = {0};
    uint64_t *places = pattern->words > 8 ? cm_alloc_zero(pattern->words, sizeof *places) : few;
    bool on = true;

    places[0] = 1;
    for (size_t i = 0; on && i < text.len && !(open && has(places, pattern->last)); i++)
        on = step(pattern, places, (uint8_t)text.data[i]);
    on = on && has(places, pattern->last);
    if (places != few)
        free(places);
    return on;
}
