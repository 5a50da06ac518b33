/* Skips the prefixes that log forwarders add to lines; see accesslog_columns.h. */
#include "source/file/accesslog_columns.h"

#include "base/address.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static cm_str_t behind(cm_str_t text, size_t len)
{
    text.data += len;
    text.len -= len;
    while (text.len > 0 && is_blank(text.data[0])) {
        text.data++;
        text.len--;
    }
    return text;
}

static cm_str_t first_word(cm_str_t text)
{
    size_t len = 0;

    while (len < text.len && !is_blank(text.data[len]))
        len++;
    return (cm_str_t){text.data, len};
}

/* Whether the text begins like the pattern. In it, "0" is any digit, "a" any letter, and any other
 * character itself. */
static bool begins_like(cm_str_t text, const char *pattern)
{
    for (size_t i = 0; pattern[i] != '\0'; i++) {
        if (i >= text.len)
            return false;
        char c = text.data[i];
        bool fits = pattern[i] == '0'   ? is_digit(c)
                    : pattern[i] == 'a' ? (c | 0x20) >= 'a' && (c | 0x20) <= 'z'
                                        : c == pattern[i];
        if (!fits)
            return false;
    }
    return true;
}

/* "<134>", the priority at the start of syslog's messages. */
static cm_str_t skip_priority(cm_str_t text)
{
    size_t at = 1;

    if (text.len < 3 || text.data[0] != '<')
        return text;
    while (at < text.len && at <= 3 && is_digit(text.data[at]))
        at++;
    return at > 1 && at < text.len && text.data[at] == '>' ? behind(text, at + 1) : text;
}

/* "Oct 10 10:00:01", also with a year or fractions of a second. */
static bool skip_month_time(cm_str_t *text)
{
    cm_str_t rest = *text;

    if (!begins_like(rest, "aaa 00 ") && !begins_like(rest, "aaa  0 ") &&
        !begins_like(rest, "aaa 0 "))
        return false;
    rest = behind(rest, 3);
    rest = behind(rest, first_word(rest).len);
    if (begins_like(rest, "0000 "))
        rest = behind(rest, 4);
    if (!begins_like(rest, "00:00:00"))
        return false;
    *text = behind(rest, first_word(rest).len);
    return true;
}

/* "2025-10-10T10:00:01.123Z", or with a blank instead of the T. */
static bool skip_iso_time(cm_str_t *text)
{
    cm_str_t rest = *text;

    if (begins_like(rest, "0000-00-00 00:00:00") || begins_like(rest, "0000/00/00 00:00:00")) {
        rest = behind(rest, 10);
        rest = behind(rest, first_word(rest).len);
        if (begins_like(rest, "+0000 ") || begins_like(rest, "-0000 ") || begins_like(rest, "UTC "))
            rest = behind(rest, first_word(rest).len);
    } else if (begins_like(rest, "0000-00-00T00:00:00")) {
        rest = behind(rest, first_word(rest).len);
    } else {
        return false;
    }
    *text = rest;
    return true;
}

/* "-" or elements in brackets, "[id name=\"value\"]"; false when the text begins with neither. */
static bool skip_structured_data(cm_str_t *text)
{
    cm_str_t rest = *text;

    if (rest.len > 0 && rest.data[0] == '-') {
        *text = behind(rest, 1);
        return true;
    }
    while (rest.len > 0 && rest.data[0] == '[') {
        size_t at = 1;
        for (bool quoted = false; at < rest.len && (quoted || rest.data[at] != ']'); at++) {
            if (rest.data[at] == '\\')
                at++;
            else if (rest.data[at] == '"')
                quoted = !quoted;
        }
        if (at >= rest.len)
            return false;
        rest.data += at + 1;
        rest.len -= at + 1;
    }
    if (rest.data == text->data)
        return false;
    *text = behind(rest, 0);
    return true;
}

/* RFC 5424: version, time, machine, program, process and kind, then the structured data. */
static bool skip_protocol(cm_str_t *text)
{
    cm_str_t rest = *text;

    if (!begins_like(rest, "0 ") || rest.data[0] != '1')
        return false;
    rest = behind(rest, 1);
    if (!begins_like(rest, "0000-00-00T") && !begins_like(rest, "- "))
        return false;
    for (int word = 0; word < 5; word++)
        rest = behind(rest, first_word(rest).len);
    if (!skip_structured_data(&rest))
        return false;
    if (rest.len >= 3 && memcmp(rest.data, "\xef\xbb\xbf", 3) == 0)
        rest = behind(rest, 3);
    *text = rest;
    return true;
}

/* "nginx:" or "nginx[123]:"; an IPv6 address may end in a colon too. */
static bool is_tag(cm_str_t word)
{
    cm_address_t address;

    return word.len > 1 && word.data[word.len - 1] == ':' && !cm_address_parse(word, &address);
}

/* Skips everything up to the program's name, which is one of the first `words`. */
static cm_str_t skip_tag(cm_str_t text, int words)
{
    cm_str_t rest = text;

    for (int i = 0; i < words && rest.len > 0; i++) {
        cm_str_t word = first_word(rest);
        rest = behind(rest, word.len);
        if (is_tag(word))
            return rest;
    }
    return text;
}

/* "stdout F", as Kubernetes writes before a container's line. */
static cm_str_t skip_stream(cm_str_t text)
{
    cm_str_t rest = behind(text, first_word(text).len);

    if (!begins_like(text, "stdout ") && !begins_like(text, "stderr "))
        return text;
    return begins_like(rest, "F ") || begins_like(rest, "P ") ? behind(rest, 1) : rest;
}

cm_str_t cm_accesslog_skip_prefix(cm_str_t head)
{
    cm_str_t rest = skip_priority(behind(head, 0));
    cm_str_t word = first_word(rest), next = behind(rest, word.len);

    /* "web-1  | " is from docker compose, "[pod/web/nginx] " from kubectl. */
    if (begins_like(next, "| "))
        rest = behind(next, 1);
    else if (begins_like(word, "[pod/"))
        rest = next;
    if (skip_protocol(&rest))
        return rest;
    if (begins_like(rest, "aaa 0000-00-00 ")) /* journald writes the day of the week */
        rest = behind(rest, 3);
    if (!skip_month_time(&rest) && !skip_iso_time(&rest))
        return skip_tag(rest, 1);
    return skip_tag(skip_stream(rest), 3);
}
