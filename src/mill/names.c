#include "mill/names.h"

#include "base/nearest.h"
#include "event/props.h"

#define PROPS "props."

const char *const cm_facet_names[CM_FACET_COUNT + 1] = {
    "url",
    "path",
    "host",
    "country",
    "region",
    "city",
    "browser",
    "browser_version",
    "os",
    "os_version",
    "device",
    "language",
    "name",
    "referrer",
    "props.KEY",
    "source",
    "channel",
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "utm_term",
    "utm_content",
    "entry_page",
    "exit_page",
    "first_source",
    "first_channel",
    "first_utm_campaign",
    "hour",
    "day",
    "week",
    "month",
    "weekday",
    "hour_of_day",
    "engaged_ms",
    NULL,
};

/* ---- words ---- */

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool ends_name(char c)
{
    return is_blank(c) || (c != '\0' && strchr(",\"()=!<>~", c) != NULL);
}

void cm_names_skip(cm_str_t *rest)
{
    while (rest->len > 0 && is_blank(rest->data[0])) {
        rest->data++;
        rest->len--;
    }
}

cm_str_t cm_names_word(cm_str_t text)
{
    size_t len = 0;

    while (len < text.len && !ends_name(text.data[len]))
        len++;
    return (cm_str_t){text.data, len};
}

int cm_names_shown(cm_str_t text)
{
    enum { SHOWN = 60 };

    return cm_utf8_head(text, SHOWN);
}

const char *cm_names_nearest(cm_str_t word, const char *const *candidates)
{
    char lower[65];

    if (word.len >= sizeof lower)
        return NULL;
    for (size_t i = 0; i < word.len; i++) {
        const char c = word.data[i];
        lower[i] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
    }
    lower[word.len] = '\0';
    for (size_t i = 0; candidates[i] != NULL; i++) {
        if (strcmp(lower, candidates[i]) == 0)
            return candidates[i]; /* also one that is too short to be near to anything */
    }
    return cm_nearest(lower, candidates);
}

bool cm_names_take_quoted(cm_str_t *rest, cm_arena_t *arena, cm_str_t *text)
{
    char *out = cm_arena_alloc(arena, rest->len);
    size_t len = 0;

    for (size_t i = 1; i < rest->len; i++) {
        if (rest->data[i] == '"') {
            if (i + 1 == rest->len || rest->data[i + 1] != '"') {
                *text = (cm_str_t){out, len};
                *rest = (cm_str_t){rest->data + i + 1, rest->len - i - 1};
                return true;
            }
            i++;
        }
        out[len++] = rest->data[i];
    }
    return false;
}

int cm_names_fail_unknown(cm_str_t word, const char *what, const char *const *candidates,
                          const char *otherwise, const char *where, cm_err_t *err)
{
    const char *near = cm_names_nearest(word, candidates);

    return cm_fail(err, CM_EUSAGE, "%s: there is no %s \"%.*s\"; %s%s%s", where, what,
                   cm_names_shown(word), word.data, near ? "did you mean " : otherwise,
                   near ? near : "", near ? "?" : "");
}

/* ---- dimensions ---- */

/* The name of a property as headings have it: the key in quotes where it must be. */
static cm_str_t name_prop(cm_str_t key, cm_arena_t *arena)
{
    const cm_str_t word = cm_names_word(key);
    char *out = cm_arena_alloc(arena, sizeof PROPS + 2 + 2 * key.len);
    size_t len = sizeof PROPS - 1;
    const bool quoted = word.len < key.len;

    memcpy(out, PROPS, len);
    if (quoted)
        out[len++] = '"';
    for (size_t i = 0; i < key.len; i++) {
        if (key.data[i] == '"')
            out[len++] = '"';
        out[len++] = key.data[i];
    }
    if (quoted)
        out[len++] = '"';
    return (cm_str_t){out, len};
}

/* Takes the key behind "props.". */
static int take_key(cm_str_t *rest, const char *where, cm_arena_t *arena, cm_dim_t *dim,
                    cm_err_t *err)
{
    const cm_str_t written = *rest;
    cm_str_t key = cm_names_word(*rest);

    if (rest->len > 0 && rest->data[0] == '"') {
        if (!cm_names_take_quoted(rest, arena, &key))
            return cm_fail(err, CM_EUSAGE, "%s: the quote behind " PROPS "%.*s is missing", where,
                           cm_names_shown(written), written.data);
    } else {
        rest->data += key.len;
        rest->len -= key.len;
        key = cm_arena_copy(arena, key);
    }
    if (key.len == 0)
        return cm_fail(err, CM_EUSAGE,
                       "%s: the key of the property is missing: write props.KEY, or props.\"KEY\" "
                       "when it has blanks, commas or other signs",
                       where);
    if (key.len > CM_PROP_KEY_MAX)
        return cm_fail(err, CM_EUSAGE,
                       "%s: the key of a property has at most %d bytes, and \"%.*s...\" has %zu",
                       where, CM_PROP_KEY_MAX, cm_names_shown(key), key.data, key.len);
    *dim = (cm_dim_t){CM_FACET_PROP, key, name_prop(key, arena)};
    return 0;
}

/* Appends "; there are a, b, c" with all names. */
static void list_names(cm_buf_t *text, const char *const *names)
{
    cm_buf_add_text(text, "; there are ");
    for (size_t i = 0; names[i] != NULL; i++)
        cm_buf_printf(text, "%s%s", i > 0 ? ", " : "", names[i]);
}

static int fail_dim(cm_str_t word, const char *where, cm_err_t *err)
{
    cm_buf_t hint = CM_BUF_INIT;
    const char *near = cm_names_nearest(word, cm_facet_names);
    const char *dot = word.len > 0 ? memchr(word.data, '.', word.len) : NULL;
    static const char *const props[] = {"props", NULL};
    cm_err_t ignored;
    cm_arena_t arena = CM_ARENA_INIT;
    cm_measure_t measure;
    cm_str_t rest = word, key, head = {word.data, dot ? (size_t)(dot - word.data) : word.len};

    if (word.len == 0)
        cm_buf_add_text(&hint, ": the name of a dimension is missing");
    else
        cm_buf_printf(&hint, ": there is no dimension \"%.*s\"", cm_names_shown(word), word.data);
    if (near != NULL)
        cm_buf_printf(&hint, "; did you mean %s?", near);
    else if (cm_names_nearest(head, props) != NULL)
        cm_buf_add_text(&hint, "; did you mean props.KEY?");
    else if (word.len > 0 && cm_measure_take(&rest, "", &arena, &measure, &key, &ignored) == 0)
        cm_buf_add_text(&hint, ": it is a measure");
    else
        list_names(&hint, cm_facet_names);
    int rc = cm_fail(err, CM_EUSAGE, "%s%s", where, hint.data);
    cm_buf_free(&hint);
    cm_arena_free(&arena);
    return rc;
}

int cm_dim_take(cm_str_t *rest, bool in_condition, const char *where, cm_arena_t *arena,
                cm_dim_t *dim, cm_err_t *err)
{
    const size_t head = sizeof PROPS - 1;
    const cm_str_t word = cm_names_word(*rest);

    if (word.len >= head && memcmp(word.data, PROPS, head) == 0) {
        rest->data += head;
        rest->len -= head;
        return take_key(rest, where, arena, dim, err);
    }
    for (int f = 0; f < CM_FACET_COUNT; f++) {
        const cm_str_t name = cm_str(cm_facet_names[f]);
        if (f == CM_FACET_PROP || !cm_str_equal(word, name))
            continue;
        if (f == CM_FACET_ENGAGED_MS && !in_condition)
            return cm_fail(err, CM_EUSAGE,
                           "%s: engaged_ms is for conditions only; the measures engaged_ms_sum, "
                           "engaged_count and average_engaged_ms count it",
                           where);
        *dim = (cm_dim_t){(cm_facet_t)f, {NULL, 0}, name};
        rest->data += word.len;
        rest->len -= word.len;
        return 0;
    }
    return fail_dim(word, where, err);
}

int cm_names_take_comma(cm_str_t *rest, cm_str_t name, const char *where, bool *more, cm_err_t *err)
{
    cm_names_skip(rest);
    *more = cm_str_take_char(rest, ',');
    if (*more || rest->len == 0)
        return 0;
    return cm_fail(
        err, CM_EUSAGE,
        "%s: a comma or the end is expected behind %.*s, not \"%.*s\"; a key with blanks "
        "or signs is written in quotes: props.\"a b\"",
        where, cm_names_shown(name), name.data, cm_names_shown(*rest), rest->data);
}

int cm_names_fail_twice(cm_str_t name, const char *where, cm_err_t *err)
{
    return cm_fail(err, CM_EUSAGE, "%s: %.*s is named twice", where, cm_names_shown(name),
                   name.data);
}

int cm_dim_list(cm_str_t text, const char *where, cm_question_t *question, cm_err_t *err)
{
    bool more = true;

    text = cm_str_trim(text);
    while (more && (text.len > 0 || question->dim_count > 0)) {
        cm_dim_t dim;
        cm_names_skip(&text);
        int rc = cm_dim_take(&text, false, where, &question->arena, &dim, err);
        if (rc == 0)
            rc = cm_names_take_comma(&text, dim.name, where, &more, err);
        if (rc < 0)
            return rc;
        for (size_t d = 0; d < question->dim_count; d++) {
            if (cm_str_equal(dim.name, question->dims[d].name))
                return cm_names_fail_twice(dim.name, where, err);
        }
        if (question->dim_count == CM_QUESTION_DIMS_MAX)
            return cm_fail(err, CM_EUSAGE, "%s: a question has at most %d dimensions", where,
                           CM_QUESTION_DIMS_MAX);
        question->dims[question->dim_count++] = dim;
    }
    return 0;
}

int cm_facet_step(const char *text, const char *where, cm_facet_t *step, cm_err_t *err)
{
    static const char *const names[] = {"hour", "day", "week", "month", NULL};

    for (int i = 0; names[i] != NULL; i++) {
        if (strcmp(text, names[i]) == 0) {
            *step = (cm_facet_t)(CM_FACET_HOUR + i);
            return 0;
        }
    }
    return cm_names_fail_unknown(cm_str(text), "step", names, "there are hour, day, week and month",
                                 where, err);
}
