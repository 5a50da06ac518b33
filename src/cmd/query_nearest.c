#include "cmd/query_nearest.h"

#include "base/arena.h"
#include "base/nearest.h"
#include "enrich/countries.h"

#include <fnmatch.h>
#include <stdlib.h>

/* ---- words ---- */

/* Lower case for Latin letters of one and two bytes: what names of countries have. */
static char *fold(cm_arena_t *arena, cm_str_t text)
{
    char *folded = cm_arena_alloc(arena, text.len + 1);

    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        bool after_c3 = i > 0 && (unsigned char)text.data[i - 1] == 0xC3;
        bool upper = (c >= 'A' && c <= 'Z') || (after_c3 && c >= 0x80 && c <= 0x9E && c != 0x97);
        folded[i] = (char)(upper ? c + 0x20 : c);
    }
    folded[text.len] = '\0';
    return folded;
}

/* "uae" of "united arab emirates". */
static bool is_initials(const char *word, const char *name)
{
    size_t count = strlen(word), at = 0;
    bool begins = true;

    for (; *name != '\0'; name++) {
        if (begins && *name != ' ') {
            if (at >= count || word[at] != *name)
                return false;
            at++;
        }
        begins = *name == ' ';
    }
    return at == count && count > 1;
}

/* How a name answers to a word, the smaller the better; 0: not at all. */
typedef enum kinship {
    KIN_NONE,
    KIN_SAME,
    KIN_CODE,
    KIN_END,
    KIN_PART,
} kinship_t;

typedef struct wanted {
    char *word;     /* folded; where it is a pattern, the longest part without wildcards */
    char *pattern;  /* folded; NULL: it is none */
    char *by_code;  /* the folded name of the country that the word is the code of; NULL: none */
    bool countries; /* initials count */
} wanted_t;

static kinship_t kinship_of(const wanted_t *wanted, const char *name)
{
    const size_t len = strlen(wanted->word), name_len = strlen(name);

    if (strcmp(wanted->word, name) == 0 ||
        (wanted->pattern != NULL && fnmatch(wanted->pattern, name, FNM_NOESCAPE) == 0))
        return KIN_SAME;
    if (wanted->countries && ((wanted->by_code != NULL && strcmp(wanted->by_code, name) == 0) ||
                              is_initials(wanted->word, name)))
        return KIN_CODE;
    if (len < 3 || len > name_len)
        return KIN_NONE;
    if (strcmp(name + name_len - len, wanted->word) == 0)
        return KIN_END;
    return strstr(name, wanted->word) != NULL ? KIN_PART : KIN_NONE;
}

/* The longest run without wildcards. */
static char *literal_of(cm_arena_t *arena, const char *pattern)
{
    cm_str_t longest = {pattern, 0};

    for (const char *at = pattern; *at != '\0'; at += strspn(at, "*?")) {
        size_t len = strcspn(at, "*?");
        if (len > longest.len)
            longest = (cm_str_t){at, len};
        at += len;
    }
    return fold(arena, longest);
}

/* In the pattern of fnmatch() a bracket would begin a class. */
static char *pattern_of(cm_arena_t *arena, const char *word)
{
    cm_buf_t escaped = CM_BUF_INIT;

    for (; *word != '\0'; word++) {
        if (*word == '[')
            cm_buf_add_text(&escaped, "[[]");
        else
            cm_buf_add_char(&escaped, *word);
    }
    char *folded = fold(arena, (cm_str_t){escaped.data, escaped.len});
    cm_buf_free(&escaped);
    return folded;
}

static wanted_t want(cm_arena_t *arena, const char *word, bool countries)
{
    wanted_t wanted = {.countries = countries};
    cm_str_t code = strcasecmp(word, "usa") == 0 ? CM_STR("us") : cm_str(word);
    cm_str_t name = countries ? cm_country_name(code) : (cm_str_t){"", 0};

    if (name.len > 0)
        wanted.by_code = fold(arena, name);
    if (!countries && strpbrk(word, "*?") != NULL) {
        wanted.pattern = pattern_of(arena, word);
        wanted.word = literal_of(arena, word);
    } else {
        wanted.word = fold(arena, cm_str(word));
    }
    return wanted;
}

const cm_str_t *cm_query_nearest(const char *word, const cm_str_t *names, size_t count,
                                 bool countries)
{
    cm_arena_t arena = CM_ARENA_INIT;
    const wanted_t wanted = want(&arena, word, countries);
    const char **folded = cm_alloc((count + 1) * sizeof *folded);
    const cm_str_t *best = NULL;
    kinship_t best_kinship = KIN_NONE;

    for (size_t i = 0; i < count; i++) {
        folded[i] = fold(&arena, names[i]);
        kinship_t kinship = kinship_of(&wanted, folded[i]);
        if (kinship != KIN_NONE && (best == NULL || kinship < best_kinship)) {
            best = &names[i];
            best_kinship = kinship;
        }
    }
    folded[count] = NULL;
    const char *near = best == NULL ? cm_nearest(wanted.word, folded) : NULL;
    for (size_t i = 0; near != NULL && best == NULL; i++)
        best = folded[i] == near ? &names[i] : NULL;
    free(folded);
    cm_arena_free(&arena);
    return best;
}
