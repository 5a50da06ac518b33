#include "source/synthetic/pages.h"

#include "source/synthetic/words.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const demo_pages[] = {
    "/",         "/home", "/about", "/contact", "/products",
    "/services", "/blog", "/faq",   "/pricing", "/login",
};

enum { DEMO_PAGES = sizeof demo_pages / sizeof *demo_pages };

/* Writes a page's number as words: it is a mixed-radix number whose digits are words. Every digit
 * is rotated by an amount that the previous digits give. So neighbouring numbers differ in all
 * their words, and after the same previous words, different digits still give different words. */
typedef struct digits {
    uint32_t rest, turn;
} digits_t;

static uint32_t take(digits_t *digits, uint32_t count)
{
    enum { STEP = 37 }; /* has no common factor with the length of any list */
    uint32_t digit = (digits->rest % count * STEP + digits->turn) % count;
    digits->rest /= count;
    digits->turn = digits->turn * 3 + digit * 7;
    return digit;
}

static const char *take_word(digits_t *digits, const cm_words_t *words)
{
    return words->texts[take(digits, words->count)];
}

/* /products/blue-lamp-17 */
static int write_product(uint32_t k, char *text, size_t size)
{
    digits_t digits = {k, 11};
    const char *thing = take_word(&digits, &cm_words_things);
    const char *adjective = take_word(&digits, &cm_words_adjectives);
    return snprintf(text, size, "/products/%s-%s-%u", adjective, thing, k + 1);
}

/* /blog/how-to-repair-a-wooden-shelf; things, verbs and adjectives give more than 150,000 titles.
 */
static int write_how_to(uint32_t k, char *text, size_t size)
{
    uint32_t titles = cm_words_things.count * cm_words_verbs.count * cm_words_adjectives.count,
             part = k / titles;
    digits_t digits = {k % titles, 24};
    const char *thing = take_word(&digits, &cm_words_things);
    const char *verb = take_word(&digits, &cm_words_verbs);
    const char *adjective = take_word(&digits, &cm_words_adjectives);
    const char *article = strchr("aeiou", adjective[0]) != NULL ? "an" : "a";
    int len = snprintf(text, size, "/blog/how-to-%s-%s-%s-%s", verb, article, adjective, thing);
    if (part > 0)
        len += snprintf(text + len, size - (size_t)len, "-part-%u", part + 1);
    return len;
}

/* /services/shipping-for-families, /services/shipping-for-families-2 */
static int write_service(uint32_t k, char *text, size_t size)
{
    uint32_t titles = cm_words_topics.count * cm_words_audiences.count, more = k / titles;
    digits_t digits = {k % titles, 38};
    const char *topic = take_word(&digits, &cm_words_topics);
    const char *audience = take_word(&digits, &cm_words_audiences);
    int len = snprintf(text, size, "/services/%s-for-%s", topic, audience);
    if (more > 0)
        len += snprintf(text + len, size - (size_t)len, "-%u", more + 1);
    return len;
}

/* /faq/returns-4 */
static int write_question(uint32_t k, char *text, size_t size)
{
    digits_t digits = {k, 47};
    const char *topic = take_word(&digits, &cm_words_topics);
    return snprintf(text, size, "/faq/%s-%u", topic, digits.rest + 1);
}

/* /blog/2023/06/returns-explained: the months of ten years; when all titles are used, a number
 * follows. */
static int write_post(uint32_t k, char *text, size_t size)
{
    static const char *const endings[] = {
        "explained",       "in-practice",     "step-by-step", "at-a-glance",
        "a-short-guide",   "common-mistakes", "what-is-new",  "behind-the-scenes",
        "lessons-learned", "for-beginners",   "a-checklist",  "questions-and-answers",
    };
    static const cm_words_t ways = {endings, sizeof endings / sizeof *endings};
    enum { MONTHS = 120, LAST_YEAR = 2024 };
    uint32_t titles = MONTHS * cm_words_topics.count * ways.count, more = k / titles;
    digits_t digits = {k % titles, 55};
    const char *topic = take_word(&digits, &cm_words_topics), *way = take_word(&digits, &ways);
    uint32_t month = take(&digits, MONTHS);
    int len = snprintf(text, size, "/blog/%u/%02u/%s-%s", LAST_YEAR - month / 12, month % 12 + 1,
                       topic, way);
    if (more > 0)
        len += snprintf(text + len, size - (size_t)len, "-%u", more + 1);
    return len;
}

/* Writes the path of a page and returns its length. Every kind of page has a different beginning.
 * Pages of the same kind differ in their words or, when all words are used, in a number. */
static size_t write_path(uint32_t page, char *text, size_t size)
{
    static int (*const kinds[])(uint32_t, char *, size_t) = {
        write_product, write_how_to, write_service, write_question, write_post,
    };
    enum { KINDS = sizeof kinds / sizeof *kinds };

    if (page < DEMO_PAGES)
        return (size_t)snprintf(text, size, "%s", demo_pages[page]);
    page -= DEMO_PAGES;
    return (size_t)kinds[page % KINDS](page / KINDS, text, size);
}

int cm_pages_init(cm_pages_t *pages, uint32_t count, cm_err_t *err)
{
    static const char site[] = "https://www.example.com";
    size_t at = 0, cap = 0, host = sizeof site - 1;

    *pages = (cm_pages_t){.count = count};
    if (count == 0 || count > CM_PAGES_MAX)
        return cm_fail(err, CM_EUSAGE, "%u URLs cannot be generated; give a number from 1 to %u",
                       count, CM_PAGES_MAX);
    pages->ends = malloc(count * sizeof *pages->ends);
    if (pages->ends == NULL)
        return cm_fail_memory(err);
    for (uint32_t page = 0; page < count; page++) {
        if (cap - at < CM_PAGES_URL_MAX) {
            cap += cap / 2 + 16 * CM_PAGES_URL_MAX;
            char *texts = realloc(pages->texts, cap);
            if (texts == NULL) {
                cm_pages_free(pages);
                return cm_fail_memory(err);
            }
            pages->texts = texts;
        }
        memcpy(pages->texts + at, site, host);
        at += host + write_path(page, pages->texts + at + host, CM_PAGES_URL_MAX - host);
        pages->ends[page] = (uint32_t)at;
    }
    return 0;
}

void cm_pages_free(cm_pages_t *pages)
{
    free(pages->texts);
    free(pages->ends);
    *pages = (cm_pages_t){0};
}
