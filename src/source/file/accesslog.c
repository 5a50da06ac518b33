#include "source/file/accesslog.h"

#include "base/clock.h"
#include "source/file/accesslog_columns.h"

static int malformed(cm_err_t *err, const char *what)
{
    return cm_fail(err, CM_EREJECT, "not an access log line: %s", what);
}

/* Takes the text up to the next space, and the space. False when there is none. */
static bool take_word(cm_str_t *rest, cm_str_t *word)
{
    const char *space = rest->len ? memchr(rest->data, ' ', rest->len) : NULL;
    if (space == NULL || space == rest->data)
        return false;
    *word = (cm_str_t){rest->data, (size_t)(space - rest->data)};
    rest->len -= word->len + 1;
    rest->data = space + 1;
    return true;
}

/* The first quote that is not escaped, or the end; a backslash escapes the next byte. */
static const char *skip_escapes(const char *at, const char *end)
{
    for (; at < end && *at != '"'; at++) {
        if (*at == '\\' && at + 1 < end)
            at++;
    }
    return at;
}

/* Takes a quoted text up to the first quote that is not escaped. Without such a quote, the text is
 * the rest of the line, and `*closed` is false.
 *
 * There is nearly never a backslash. So memchr() finds the quote first, and then a backslash before
 * it, 32 or 64 bytes at a time. A loop over the bytes took 350 of the 1230 ns of a line. */
static bool take_quoted(cm_str_t *rest, cm_str_t *text, bool *closed)
{
    if (!cm_str_take_char(rest, '"'))
        return false;
    const char *end = rest->data + rest->len, *quote = memchr(rest->data, '"', rest->len);
    if (quote == NULL)
        quote = end;
    const char *backslash = memchr(rest->data, '\\', (size_t)(quote - rest->data));
    if (backslash != NULL)
        quote = skip_escapes(backslash, end);
    *closed = quote < end;
    *text = (cm_str_t){rest->data, (size_t)(quote - rest->data)};
    rest->data = quote + *closed;
    rest->len = (size_t)(end - rest->data);
    return true;
}

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The number of two digits at `at`; -1 when one is not a digit. */
static inline int two_digits(const char *at)
{
    return is_digit(at[0]) && is_digit(at[1]) ? (at[0] - '0') * 10 + (at[1] - '0') : -1;
}

/* The number of `count` digits at `at`; -1 when one is not a digit. */
static inline int number(const char *at, int count)
{
    int value = 0;
    for (int i = 0; i < count; i++) {
        if (at[i] < '0' || at[i] > '9')
            return -1;
        value = value * 10 + (at[i] - '0');
    }
    return value;
}

static int month_number(const char *at)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (int month = 0; month < 12; month++) {
        if (memcmp(at, names + month * 3, 3) == 0)
            return month + 1;
    }
    return -1;
}

static bool valid_date(int year, int month, int day)
{
    static const signed char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    if (year < 0 || month < 1 || day < 1)
        return false;
    if (month == 2 && day == 29)
        return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return day <= days[month - 1];
}

/* Takes "17/May/2015:10:05:03 +0000]", in which every character has a fixed position. */
static bool take_time(cm_str_t *rest, int64_t *ms)
{
    enum { SIZE = 27 };
    const char *at = rest->data;

    if (rest->len < SIZE || at[2] != '/' || at[6] != '/' || at[11] != ':' || at[14] != ':' ||
        at[17] != ':' || at[20] != ' ' || at[26] != ']')
        return false;
    int day = two_digits(at), month = month_number(at + 3), year = number(at + 7, 4);
    int hour = two_digits(at + 12), minute = two_digits(at + 15), second = two_digits(at + 18);
    int zone_hour = two_digits(at + 22), zone_minute = two_digits(at + 24);
    if (!valid_date(year, month, day) || hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
        second < 0 || second > 60 || zone_hour < 0 || zone_hour > 23 || zone_minute < 0 ||
        zone_minute > 59 || (at[21] != '+' && at[21] != '-'))
        return false;
    int zone = (zone_hour * 60 + zone_minute) * (at[21] == '-' ? -1 : 1);
    int64_t days = cm_time_days(year, month, day);
    *ms = (days * 86400 + hour * 3600 + (minute - zone) * 60 + second) * 1000;
    rest->data += SIZE;
    rest->len -= SIZE;
    return true;
}

/* The length of an IPv4 address at the start of the text; any digits and dots count. */
static size_t plain_v4(cm_str_t text)
{
    size_t len = 0;

    while (len < text.len && (is_digit(text.data[len]) || text.data[len] == '.'))
        len++;
    return len < text.len && text.data[len] == ' ' ? len : 0;
}

/* The length of a canonical IPv6 address at the start of the text; 0 when there is none or when it
 * is not this simple: here no group begins with 0, and "::" replaces two or more groups in the
 * middle. */
static size_t plain_v6(cm_str_t text)
{
    size_t at = 0, groups = 0, gaps = 0;

    for (;;) {
        const size_t from = at;
        while (at < text.len &&
               (is_digit(text.data[at]) || (text.data[at] >= 'a' && text.data[at] <= 'f')))
            at++;
        if (at == from || at - from > 4 || text.data[from] == '0' || at == text.len)
            return 0;
        groups++;
        if (text.data[at] != ':')
            break;
        at++;
        if (at < text.len && text.data[at] == ':') {
            gaps++;
            at++;
        }
    }
    return text.data[at] == ' ' && (gaps == 0 ? groups == 8 : gaps == 1 && groups <= 6) ? at : 0;
}

/* The length of a user name of letters, digits and "_" only; 0 when it has no letter. */
static size_t plain_user(cm_str_t text)
{
    size_t len = 0;
    bool letter = false;

    for (; len < text.len; len++) {
        char c = text.data[len], lower = (char)(c | 0x20);
        if (lower >= 'a' && lower <= 'z')
            letter = true;
        else if (!is_digit(c) && c != '_')
            break;
    }
    return letter ? len : 0;
}

/* Takes the start that nearly all lines have, "8.8.8.8 - - [". A line with another start can be
 * valid too; it is only read more slowly. */
static bool take_plain(cm_str_t *rest, cm_access_t *access)
{
    size_t len = plain_v4(*rest);

    if (len == 0)
        len = plain_v6(*rest);
    if (len == 0 || rest->len - len < 6 || memcmp(rest->data + len, " - ", 3) != 0)
        return false;
    cm_str_t user = {rest->data + len + 3, rest->len - len - 3};
    const bool none = user.data[0] == '-';
    const size_t name = none ? 0 : plain_user(user), used = none ? 1 : name;
    if (used == 0 || user.len < used + 2 || memcmp(user.data + used, " [", 2) != 0)
        return false;
    access->address = (cm_str_t){rest->data, len};
    access->user = (cm_str_t){user.data, name};
    access->host = (cm_str_t){"", 0};
    rest->data += len + 3 + used + 2;
    rest->len -= len + 3 + used + 2;
    return true;
}

/* Takes the first bracket that holds a time. *head is the text before it. */
static bool find_time(cm_str_t *rest, cm_str_t *head, int64_t *ms)
{
    const char *begin = rest->data, *end = begin + rest->len, *at = begin;

    while (at < end && (at = memchr(at, '[', (size_t)(end - at))) != NULL) {
        cm_str_t behind = {at + 1, (size_t)(end - at) - 1};
        if (take_time(&behind, ms)) {
            *head = (cm_str_t){begin, (size_t)(at - begin)};
            *rest = behind;
            return true;
        }
        at++;
    }
    return false;
}

/* Takes everything up to the time, and the time. */
static int take_head(cm_str_t *rest, cm_access_t *access, cm_err_t *err)
{
    const cm_str_t line = *rest;
    cm_str_t head;

    if (take_plain(rest, access) && take_time(rest, &access->time))
        return 0;
    *rest = line;
    if (find_time(rest, &head, &access->time))
        return cm_accesslog_parse_columns(head, access, err);
    if (line.len > 0 && memmem(line.data, line.len, " [", 2) != NULL)
        return malformed(err, "the time is not like [17/May/2015:10:05:03 +0000]");
    return malformed(err, "it does not begin with address, identity, user and [time]");
}

/* Takes the three digits of the status, the size (digits or a dash), and the spaces after it. */
static bool take_status(cm_str_t *rest, int *status)
{
    if (!cm_str_take_char(rest, ' ') || rest->len < 5)
        return false;
    *status = number(rest->data, 3);
    if (*status < 0 || rest->data[3] != ' ')
        return false;
    rest->data += 4;
    rest->len -= 4;
    size_t at = 0;
    while (at < rest->len && rest->data[at] >= '0' && rest->data[at] <= '9')
        at++;
    if (at == 0 && rest->data[0] == '-')
        at = 1;
    if (at == 0 || (at < rest->len && rest->data[at] != ' '))
        return false;
    rest->data += at;
    rest->len -= at;
    while (cm_str_take_char(rest, ' ')) /* Jetty writes two */
        ;
    return true;
}

static void drop_dash(cm_str_t *text)
{
    if (cm_str_equal(*text, CM_STR("-")))
        text->len = 0;
}

static bool is_method(cm_str_t word)
{
    for (size_t i = 0; i < word.len; i++) {
        bool upper = word.data[i] >= 'A' && word.data[i] <= 'Z';
        if (!upper && word.data[i] != '-' && word.data[i] != '_')
            return false;
    }
    return word.len > 0;
}

/* "GET URL" is a whole request too, the simple one of HTTP/0.9 (RFC 1945, section 4.1). */
static bool is_simple_request(cm_str_t method, cm_str_t url, cm_str_t last_word)
{
    return cm_str_equal(method, CM_STR("GET")) && url.data[0] == '/' &&
           (last_word.len < 4 || memcmp(last_word.data, "HTTP", 4) != 0);
}

/* Splits "METHOD URL PROTOCOL" at its first and its last space: a URL may hold some. */
static void split_request(cm_access_t *access)
{
    cm_str_t rest = access->request, method;
    const char *space;

    access->method = access->url = access->protocol = (cm_str_t){"", 0};
    if (!take_word(&rest, &method) || !is_method(method) || rest.len == 0)
        return;
    space = memrchr(rest.data, ' ', rest.len);
    const char *last = space != NULL ? space + 1 : rest.data;
    cm_str_t protocol = {last, (size_t)(rest.data + rest.len - last)};
    if (space == NULL || space == rest.data || protocol.len < 6 ||
        memcmp(protocol.data, "HTTP/", 5) != 0) {
        if (is_simple_request(method, rest, protocol)) {
            access->method = method;
            access->url = rest;
        }
        return;
    }
    access->method = method;
    access->url = (cm_str_t){rest.data, (size_t)(space - rest.data)};
    access->protocol = protocol;
}

/* Whether only numbers follow, or nothing: the time taken (%D, %T), behind a common line. */
static bool is_numbers(cm_str_t rest)
{
    for (size_t i = 0; i < rest.len; i++) {
        char c = rest.data[i];
        if (!is_digit(c) && c != ' ' && c != '-' && c != '.' && c != '\0')
            return false;
    }
    return true;
}

static int parse_visitor(cm_str_t rest, cm_access_t *access, cm_err_t *err)
{
    bool closed;

    access->referrer = access->agent = (cm_str_t){"", 0};
    if (is_numbers(rest))
        return 0;
    if (!take_quoted(&rest, &access->referrer, &closed) || !closed || !cm_str_take_char(&rest, ' '))
        return malformed(err, "the referrer is not a quoted text");
    while (cm_str_take_char(&rest, ' '))
        ;
    if (!take_quoted(&rest, &access->agent, &closed))
        return malformed(err, "the user agent is not a quoted text");
    drop_dash(&access->referrer);
    drop_dash(&access->agent);
    return 0;
}

int cm_accesslog_parse(cm_str_t line, bool common, cm_access_t *access, cm_err_t *err)
{
    cm_str_t rest = line;
    bool closed;

    int rc = take_head(&rest, access, err);
    if (rc < 0)
        return rc;
    if (!cm_str_take_char(&rest, ' ') || !take_quoted(&rest, &access->request, &closed) || !closed)
        return malformed(err, "the request is not a quoted text");
    if (!take_status(&rest, &access->status))
        return malformed(err, "status and size are not numbers");
    if (access->request.len == 0)
        access->request = CM_STR("-");
    split_request(access);
    return parse_visitor(common ? CM_STR("") : rest, access, err);
}

/* True for a character that ends a path. A NUL ends it too. Most characters of a path are letters,
 * which the first comparison recognises. */
static inline bool ends_path(char c)
{
    return (unsigned char)c < '@' && (c == '?' || c == '#' || c == ';' || c == '\0');
}

/* The extension of the path, without its dot; empty when there is none. */
static cm_str_t extension(cm_str_t url)
{
    size_t end = 0, from;

    /* Most pages have no dot, and memchr() finds that quickly. */
    if (url.len == 0 || memchr(url.data, '.', url.len) == NULL)
        return (cm_str_t){"", 0};
    while (end < url.len && !ends_path(url.data[end]))
        end++;
    for (from = end; from > 0 && url.data[from - 1] != '/'; from--) {
        if (url.data[from - 1] == '.')
            return (cm_str_t){url.data + from, end - from};
    }
    return (cm_str_t){"", 0};
}

bool cm_accesslog_is_asset(cm_str_t url)
{
    static const char assets[][12] = {
        "css",  "js",   "mjs",   "map",  "json", "wasm", "webmanifest", "png", "apng", "jpg",
        "jpeg", "gif",  "svg",   "svgz", "webp", "avif", "ico",         "cur", "bmp",  "tif",
        "tiff", "woff", "woff2", "ttf",  "otf",  "eot",  "mp3",         "mp4", "m4a",  "m4v",
        "m4s",  "webm", "ogg",   "oga",  "ogv",  "avi",  "mov",         "wav", "flac", "aac",
        "mpg",  "mpeg", "flv",   "swf",  "m3u8", "ts",   "vtt",
    };
    cm_str_t ending = extension(url);

    if (ending.len < 2 || ending.len >= sizeof assets[0])
        return false;
    for (size_t i = 0; i < sizeof assets / sizeof assets[0]; i++) {
        if (cm_str_equal_nocase(ending, cm_str(assets[i])))
            return true;
    }
    return false;
}

/* The path without its query and the slashes at its end. */
static cm_str_t path_of(cm_str_t url)
{
    size_t end = 0;

    while (end < url.len && !ends_path(url.data[end]))
        end++;
    while (end > 1 && url.data[end - 1] == '/')
        end--;
    return (cm_str_t){url.data, end};
}

/* Removes the last part of the path and returns it without its slash; empty when no part is left.
 */
static cm_str_t take_last(cm_str_t *path)
{
    const char *slash = path->len > 0 ? memrchr(path->data, '/', path->len) : NULL;

    if (slash == NULL)
        return (cm_str_t){"", 0};
    cm_str_t last = {slash + 1, (size_t)(path->data + path->len - slash) - 1};
    path->len -= last.len + 1;
    return last;
}

static bool is_among(cm_str_t text, const cm_str_t *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (text.len == list[i].len && cm_str_equal_nocase(text, list[i]))
            return true;
    }
    return false;
}

/* "sitemap.txt", "sitemap-2.xml.gz" */
static bool is_sitemap(cm_str_t name, cm_str_t ending)
{
    return name.len > 7 && cm_str_equal_nocase((cm_str_t){name.data, 7}, CM_STR("sitemap")) &&
           (cm_str_equal_nocase(ending, CM_STR("txt")) ||
            cm_str_equal_nocase(ending, CM_STR("gz")));
}

/* Whether the name of a feed or of a file for programs can end in this character. */
static bool may_end_program(char c)
{
    switch (c | 0x20) {
    case '2': /* rss2 */
    case 'd': /* feed */
    case 'f': /* rdf */
    case 'l': /* xml */
    case 'm': /* atom */
    case 'n': /* apple-app-site-association */
    case 's': /* rss */
    case 't': /* txt */
    case 'z': /* gz */
        return true;
    default:
        return false;
    }
}

static bool is_well_known(cm_str_t path)
{
    return memchr(path.data, '.', path.len) != NULL &&
           memmem(path.data, path.len, "/.well-known", 12) != NULL;
}

bool cm_accesslog_is_for_programs(cm_str_t url)
{
#define NAME(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }
    static const cm_str_t endings[] = {NAME("xml"), NAME("rss"), NAME("atom"), NAME("rdf")};
    static const cm_str_t feeds[] = {NAME("feed"), NAME("rss")};
    static const cm_str_t kinds[] = {NAME("atom"), NAME("rss2"), NAME("rdf")}; /* after a feed */
    static const cm_str_t files[] = {NAME("robots.txt"),    NAME("ads.txt"),
                                     NAME("app-ads.txt"),   NAME("humans.txt"),
                                     NAME("security.txt"),  NAME("llms.txt"),
                                     NAME("llms-full.txt"), NAME("apple-app-site-association")};
#undef NAME
    cm_str_t path = path_of(url);

    if (path.len == 0)
        return false;
    /* Most paths end in another character, so they are decided here. */
    if (!may_end_program(path.data[path.len - 1]))
        return is_well_known(path);
#define IS_AMONG(text, list) is_among(text, list, sizeof(list) / sizeof *(list))
    cm_str_t ending = extension(url);
    if (IS_AMONG(ending, endings) || is_well_known(path))
        return true;
    cm_str_t last = take_last(&path);
    if (IS_AMONG(last, feeds) || IS_AMONG(last, files) || is_sitemap(last, ending))
        return true;
    return IS_AMONG(last, kinds) && IS_AMONG(take_last(&path), feeds);
#undef IS_AMONG
}

bool cm_accesslog_is_page_view(const cm_access_t *access)
{
    /* 206 is a part of a file that is also answered with 200: media players and PDF readers request
     * many parts. */
    bool answered = (access->status >= 200 && access->status < 300 && access->status != 206) ||
                    access->status == 304;
    return answered && cm_str_equal(access->method, CM_STR("GET")) &&
           !cm_accesslog_is_asset(access->url) && !cm_accesslog_is_for_programs(access->url);
}
