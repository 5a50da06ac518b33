/* Patterns: what they match, and that the time for it does not depend on the pattern. */
#include "pace.h"

#include "base/pattern.h"

#include <stdio.h>

static bool matches(const char *pattern, const char *text)
{
    cm_pattern_t *made = cm_pattern_new(pattern);
    bool found = cm_pattern_matches(made, cm_str(text));

    cm_pattern_free(made);
    return found;
}

static void test_matches(void **context)
{
    static const struct {
        const char *pattern, *text;
        bool found;
    } cases[] = {
        {"", "", true},
        {"", "a", false},
        {"a", "a", true},
        {"a", "", false},
        {"a", "aa", false},
        {"a", "A", false},
        {"*", "", true},
        {"*", "anything", true},
        {"**", "x", true},
        {"a*", "a", true},
        {"a*", "abc", true},
        {"a*", "ba", false},
        {"*a", "bca", true},
        {"*a", "cab", false},
        {"a*c", "ac", true},
        {"a*c", "abcbc", true},
        {"a*c", "abcb", false},
        {"*b*", "abc", true},
        {"*b*", "acc", false},
        {"*ab*ab*", "xabyab", true},
        {"*ab*ab*", "xabyba", false},
        {"?", "a", true},
        {"?", "", false},
        {"?", "ab", false},
        {"?", "\xC3\xA9", true},
        {"??", "\xC3\xA9", false},
        {"?a",
         "\xE2\x82\xAC"
         "a",
         true},
        {"a?c",
         "a\xF0\x9F\x98\x80"
         "c",
         true},
        {"a?c",
         "a\xF0\x9F\x98\x80\xF0\x9F\x98\x80"
         "c",
         false},
        {"*?", "", false},
        {"*?", "\xC3\xA9", true},
        {"?*", "\xC3\xA9\xC3\xA9", true},
        {"*?\xC3\xA9", "\xC3\xA9", false},
        {"*?\xC3\xA9", "\xC3\xA8\xC3\xA9", true},
        {"[a]", "[a]", true},
        {"[a]", "a", false},
        {"https://*.example/?", "https://shop.example/a", true},
        {"https://*.example/?", "https://shop.example/", false},
    };
    (void)context;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (matches(cases[i].pattern, cases[i].text) != cases[i].found)
            fail_msg("%s and %s", cases[i].pattern, cases[i].text);
    }
}

/* Matches by the definition; slow. */
static bool defined(const char *pattern, const char *text)
{
    if (*pattern == '*')
        return defined(pattern + 1, text) || (*text != '\0' && defined(pattern, text + 1));
    if (*pattern == '\0' || *text == '\0')
        return *pattern == *text;
    return (*pattern == '?' || *pattern == *text) && defined(pattern + 1, text + 1);
}

static void test_all_short_ones(void **context)
{
    static const char letters[] = "ab*?";
    char pattern[6], text[6];
    int found = 0;
    (void)context;

    for (int p = 0; p < 1024 * 4; p++) {
        int len = p % 6;
        for (int i = 0; i < len; i++)
            pattern[i] = letters[p >> (2 * i) & 3];
        pattern[len] = '\0';
        for (int t = 0; t < 64; t++) {
            int text_len = t % 6;
            for (int i = 0; i < text_len; i++)
                text[i] = letters[t >> i & 1];
            text[text_len] = '\0';
            bool right = defined(pattern, text);
            if (matches(pattern, text) != right)
                fail_msg("%s and %s", pattern, text);
            found += right;
        }
    }
    assert_true(found > 1000);
}

/* Numbers of elements around the size of the words of which sets of positions consist. */
static void test_long_ones(void **context)
{
    char pattern[700], text[800];
    (void)context;

    for (int len = 60; len < 600; len++) {
        memset(text, 'a', (size_t)len);
        text[len] = '\0';
        snprintf(pattern, sizeof pattern, "%s", text);
        assert_true(matches(pattern, text));
        pattern[len - 1] = 'b';
        assert_false(matches(pattern, text));
        pattern[len - 1] = '?';
        assert_true(matches(pattern, text));
        pattern[0] = '*';
        assert_true(matches(pattern, text));
        pattern[len / 2] = 'b';
        assert_false(matches(pattern, text));
    }
}

/* For this pattern a matcher that tries one position after the other needs the product of both
 * lengths: 4,000,000 steps for each of the texts. */
static void test_time(void **context)
{
    enum { LEN = 2000, TEXTS = 2000 };
    char text[LEN + 1], pattern[LEN + 3];
    (void)context;

    memset(text, 'a', LEN);
    text[LEN] = '\0';
    snprintf(pattern, sizeof pattern, "*%sb*", text + 1);
    cm_pattern_t *made = cm_pattern_new(pattern);
    test_pace_t pace;
    test_pace_start(&pace);
    for (int i = 0; i < TEXTS; i++)
        assert_false(cm_pattern_matches(made, (cm_str_t){text, LEN}));
    test_pace_took(&pace, 0, 1500);
    cm_pattern_free(made);
    test_pace_end(&pace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches),
        cmocka_unit_test(test_all_short_ones),
        cmocka_unit_test(test_long_ones),
        cmocka_unit_test(test_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
