#include "base/zone.h"

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define DATABASE "/usr/share/zoneinfo/"

enum {
    HEADER = 44,            /* bytes of a TZif header */
    FILE_MAX = 1024 * 1024, /* the largest of the database has about 4 KiB */
    DAY = 86400,
    YEAR_FIRST = 1970, /* the first year for which changes are computed from the rule */
    YEAR_LAST = 2100,
    NAME_SHOWN = 60,        /* bytes of a name in messages */
    OFFSET_MAX = 26 * 3600, /* seconds; RFC 9636 allows less */
};

/* From this time on the clock is `offset` seconds ahead of UTC. */
typedef struct change {
    int64_t from; /* seconds since the epoch */
    int64_t offset;
} change_t;

struct cm_zone {
    change_t *changes; /* in order of time; the first one is valid from the beginning */
    size_t count, cap;
};

static void add_change(cm_zone_t *zone, int64_t from, int64_t offset)
{
    if (zone->count == zone->cap) {
        zone->cap = zone->cap ? zone->cap * 2 : 64;
        zone->changes = cm_realloc(zone->changes, zone->cap * sizeof *zone->changes);
    }
    zone->changes[zone->count++] = (change_t){from, offset};
}

/* ---- the rule for the years after the last change: "CET-1CEST,M3.5.0,M10.5.0/3" ---- */

/* The day of a year, and the local second of that day, at which a clock changes. */
typedef struct rule {
    char kind; /* 'M': month, week, weekday; 'J': day 1..365 without leap days; 'N': day 0..365 */
    int month, week, day;
    int64_t second;
} rule_t;

static bool take_number(cm_str_t *rest, int min, int max, int *value)
{
    int digits = 0;

    for (*value = 0; rest->len > 0 && rest->data[0] >= '0' && rest->data[0] <= '9'; digits++) {
        if (digits == 4)
            return false;
        *value = *value * 10 + (rest->data[0] - '0');
        rest->data++;
        rest->len--;
    }
    return digits > 0 && *value >= min && *value <= max;
}

/* Skips the name of a clock: letters, or anything in angle brackets. */
static bool take_name(cm_str_t *rest)
{
    size_t len = 0;

    if (rest->len > 0 && rest->data[0] == '<') {
        const char *end = memchr(rest->data, '>', rest->len);
        len = end != NULL ? (size_t)(end - rest->data) + 1 : 0;
    } else {
        while (len < rest->len &&
               ((rest->data[len] | 0x20) >= 'a' && (rest->data[len] | 0x20) <= 'z'))
            len++;
    }
    rest->data += len;
    rest->len -= len;
    return len >= 3;
}

/* Reads "[+-]hh[:mm[:ss]]" as seconds. */
static bool take_seconds(cm_str_t *rest, int hour_max, int64_t *seconds)
{
    int hour, minute = 0, second = 0;
    bool minus = cm_str_take_char(rest, '-');

    if (!minus)
        cm_str_take_char(rest, '+');
    if (!take_number(rest, 0, hour_max, &hour) ||
        (cm_str_take_char(rest, ':') &&
         (!take_number(rest, 0, 59, &minute) ||
          (cm_str_take_char(rest, ':') && !take_number(rest, 0, 59, &second)))))
        return false;
    *seconds = (minus ? -1 : 1) * ((int64_t)hour * 3600 + minute * 60 + second);
    return true;
}

static bool take_rule(cm_str_t *rest, rule_t *rule)
{
    *rule = (rule_t){.kind = 'N', .second = 2 * 3600};
    if (!cm_str_take_char(rest, ','))
        return false;
    if (cm_str_take_char(rest, 'M')) {
        rule->kind = 'M';
        if (!take_number(rest, 1, 12, &rule->month) || !cm_str_take_char(rest, '.') ||
            !take_number(rest, 1, 5, &rule->week) || !cm_str_take_char(rest, '.') ||
            !take_number(rest, 0, 6, &rule->day))
            return false;
    } else {
        if (cm_str_take_char(rest, 'J'))
            rule->kind = 'J';
        if (!take_number(rest, rule->kind == 'J', 365, &rule->day))
            return false;
    }
    return !cm_str_take_char(rest, '/') || take_seconds(rest, 167, &rule->second);
}

/* The local second, counted from the epoch, of the rule's change in that year. */
static int64_t rule_second(const rule_t *rule, int year)
{
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    int64_t day = cm_time_days(year, 1, 1) + rule->day;

    if (rule->kind == 'J')
        day += (leap && rule->day >= 60) - 1;
    if (rule->kind == 'M') {
        int64_t first = cm_time_days(year, rule->month, 1);
        int64_t next = rule->month == 12 ? cm_time_days(year + 1, 1, 1)
                                         : cm_time_days(year, rule->month + 1, 1);
        /* The epoch was a Thursday, day 4 of the week. */
        day = first + (rule->day - (first + 4) % 7 + 7) % 7 + (rule->week - 1) * 7;
        while (day >= next)
            day -= 7;
    }
    return day * DAY + rule->second;
}

/* Adds a change of the rule if it is after those of the file. */
static void add_later(cm_zone_t *zone, int64_t from, int64_t offset)
{
    if (from > zone->changes[zone->count - 1].from)
        add_change(zone, from, offset);
}

static bool read_rule(cm_zone_t *zone, cm_str_t text)
{
    int64_t west, summer_west;
    rule_t begin, end;

    if (text.len == 0)
        return true; /* no rule: the last change stays valid */
    if (!take_name(&text) || !take_seconds(&text, 24, &west))
        return false;
    if (text.len == 0)
        return true; /* one clock for all later years, that of the last change */
    summer_west = west - 3600;
    if (!take_name(&text) ||
        (text.len > 0 && text.data[0] != ',' && !take_seconds(&text, 24, &summer_west)) ||
        !take_rule(&text, &begin) || !take_rule(&text, &end) || text.len > 0)
        return false;
    for (int year = YEAR_FIRST; year <= YEAR_LAST; year++) {
        const change_t summer = {rule_second(&begin, year) + west, -summer_west};
        const change_t winter = {rule_second(&end, year) + summer_west, -west};
        const change_t *first = summer.from < winter.from ? &summer : &winter;
        const change_t *second = first == &summer ? &winter : &summer;
        add_later(zone, first->from, first->offset);
        add_later(zone, second->from, second->offset);
    }
    return true;
}

/* ---- the file ---- */

/* Reads a signed big-endian number of `size` bytes. */
static int64_t big_endian(const char *at, int size)
{
    uint64_t value = (signed char)at[0] < 0 ? UINT64_MAX : 0;

    for (int i = 0; i < size; i++)
        value = value << 8 | (uint8_t)at[i];
    return (int64_t)value;
}

/* The counts of a header, in its order. */
typedef struct counts {
    uint64_t isut, isstd, leap, time, type, chars;
} counts_t;

static bool take_header(cm_str_t *rest, counts_t *counts)
{
    uint64_t *all[] = {&counts->isut, &counts->isstd, &counts->leap,
                       &counts->time, &counts->type,  &counts->chars};

    if (rest->len < HEADER || memcmp(rest->data, "TZif", 4) != 0 || rest->data[4] < '2')
        return false;
    for (int i = 0; i < 6; i++) {
        int64_t count = big_endian(rest->data + 20 + 4 * i, 4);
        if (count < 0 || count > FILE_MAX)
            return false;
        *all[i] = (uint64_t)count;
    }
    rest->data += HEADER;
    rest->len -= HEADER;
    return true;
}

/* The bytes of data after a header whose times have `size` bytes. */
static uint64_t data_size(const counts_t *counts, uint64_t size)
{
    return counts->time * (size + 1) + counts->type * 6 + counts->chars +
           counts->leap * (size + 4) + counts->isstd + counts->isut;
}

static bool read_changes(cm_zone_t *zone, const char *data, const counts_t *counts)
{
    const char *indexes = data + counts->time * 8, *types = indexes + counts->time;

    if (counts->type == 0)
        return false;
    /* Before the first change the first type is valid. */
    add_change(zone, INT64_MIN, big_endian(types, 4));
    for (uint64_t i = 0; i < counts->time; i++) {
        int64_t from = big_endian(data + i * 8, 8);
        uint8_t type = (uint8_t)indexes[i];
        if (type >= counts->type || (i > 0 && from <= zone->changes[zone->count - 1].from))
            return false;
        add_change(zone, from, big_endian(types + type * 6, 4));
    }
    for (size_t i = 0; i < zone->count; i++) {
        if (zone->changes[i].offset < -OFFSET_MAX || zone->changes[i].offset > OFFSET_MAX)
            return false;
    }
    return true;
}

/* A file has its data twice, first in the form of version 1, which ends in 2038. A zone that counts
 * leap seconds ("right/...") cannot be used for timestamps. */
static bool read_file(cm_zone_t *zone, cm_str_t rest)
{
    counts_t counts;

    if (!take_header(&rest, &counts) || data_size(&counts, 4) > rest.len)
        return false;
    rest.data += data_size(&counts, 4);
    rest.len -= data_size(&counts, 4);
    if (!take_header(&rest, &counts) || data_size(&counts, 8) > rest.len || counts.leap > 0 ||
        !read_changes(zone, rest.data, &counts))
        return false;
    rest.data += data_size(&counts, 8);
    rest.len -= data_size(&counts, 8);
    if (rest.len < 2 || rest.data[0] != '\n' || rest.data[rest.len - 1] != '\n')
        return false;
    return read_rule(zone, (cm_str_t){rest.data + 1, rest.len - 2});
}

bool cm_zone_read(cm_str_t bytes, cm_zone_t **out)
{
    cm_zone_t *zone = cm_alloc_zero(1, sizeof *zone);

    if (!read_file(zone, bytes)) {
        cm_zone_free(zone);
        return false;
    }
    *out = zone;
    return true;
}

void cm_zone_free(const cm_zone_t *zone)
{
    if (zone == NULL)
        return;
    free(zone->changes);
    free((void *)zone);
}

/* ---- by name ---- */

/* Words between slashes, none of which begins with a dot: so no file outside of the database. */
static bool is_name(const char *name)
{
    if (strlen(name) > 100 || name[0] == '\0')
        return false;
    for (const char *at = name; *at != '\0'; at++) {
        bool letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z');
        bool begins = at == name || at[-1] == '/';
        if (!letter && (begins || strchr("0123456789+-_/", *at) == NULL))
            return false;
    }
    return true;
}

static bool read_bytes(const char *name, cm_buf_t *bytes)
{
    char path[sizeof DATABASE + 100];
    char piece[4096];
    size_t got;

    snprintf(path, sizeof path, DATABASE "%s", name);
    FILE *file = fopen(path, "rbe");
    if (file == NULL)
        return false;
    while (bytes->len < FILE_MAX && (got = fread(piece, 1, sizeof piece, file)) > 0)
        cm_buf_add(bytes, piece, got);
    bool good = !ferror(file);
    fclose(file);
    return good;
}

int cm_zone_open(const char *name, cm_zone_t **zone, cm_err_t *err)
{
    static const char *const always[] = {"UTC", "Etc/UTC"}; /* also without the database */
    cm_buf_t bytes = CM_BUF_INIT;
    int rc = 0;

    for (size_t i = 0; i < sizeof always / sizeof *always; i++) {
        if (strcmp(name, always[i]) == 0) {
            *zone = cm_alloc_zero(1, sizeof **zone);
            add_change(*zone, INT64_MIN, 0);
            return 0;
        }
    }
    if (!is_name(name) || !read_bytes(name, &bytes))
        rc = cm_fail(err, CM_EUSAGE,
                     "--tz: there is no time zone \"%.*s\" in " DATABASE
                     "; give a name such as Europe/Berlin, or install the package tzdata",
                     cm_utf8_head(cm_str(name), NAME_SHOWN), name);
    else if (!cm_zone_read((cm_str_t){bytes.data, bytes.len}, zone))
        rc = cm_fail(err, CM_EUSAGE,
                     "--tz: " DATABASE "%s is not a time zone that can be read; give another name "
                     "for it, such as Europe/Berlin",
                     name);
    cm_buf_free(&bytes);
    return rc;
}

/* ---- to and from local time ---- */

/* The last change that is not after the instant. */
static size_t find_change(const cm_zone_t *zone, int64_t second)
{
    size_t low = 0, high = zone->count - 1;

    while (low < high) {
        size_t middle = low + (high - low + 1) / 2;
        if (zone->changes[middle].from <= second)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

/* Where the offset of a change ends. */
static int64_t end_of(const cm_zone_t *zone, size_t at)
{
    return at + 1 < zone->count ? zone->changes[at + 1].from : INT64_MAX;
}

int64_t cm_zone_offset(const cm_zone_t *zone, int64_t second, int64_t *from, int64_t *to)
{
    size_t at = find_change(zone, second);

    *from = zone->changes[at].from;
    *to = end_of(zone, at);
    return zone->changes[at].offset;
}

int64_t cm_zone_first(const cm_zone_t *zone, int64_t local)
{
    /* No offset is so large that an earlier change could show that time. */
    size_t at = find_change(zone, local - OFFSET_MAX);

    while (local - zone->changes[at].offset >= end_of(zone, at))
        at++;
    int64_t second = local - zone->changes[at].offset;
    return second > zone->changes[at].from ? second : zone->changes[at].from;
}

int64_t cm_zone_utc(const cm_zone_t *zone, int64_t local)
{
    int64_t second = local / 1000 - (local % 1000 < 0), rest = local - second * 1000;
    const size_t low = find_change(zone, second - OFFSET_MAX); /* for any offset, it is before */

    /* From there on, the first offset that is still valid at the time that it gives. When it is not
     * valid yet, the clock has skipped that time, and the offset before is used. */
    size_t at = low;
    while (at + 1 < zone->count && second - zone->changes[at].offset >= zone->changes[at + 1].from)
        at++;
    if (at > low && second - zone->changes[at].offset < zone->changes[at].from)
        at--;
    return (second - zone->changes[at].offset) * 1000 + rest;
}
