#include "serve/params.h"

#include "event/event.h"
#include "index/listing.h"

typedef int (*setter_t)(cm_params_t *params, cm_str_t value, cm_err_t *err);

/* Adds "a, b or c". */
static void add_choices(cm_buf_t *buf, const char *const *names, int count)
{
    for (int i = 0; i < count; i++) {
        cm_buf_add_text(buf, i == 0 ? "" : i == count - 1 ? " or " : ", ");
        cm_buf_add_text(buf, names[i]);
    }
}

static int fail_choice(const char *name, const char *const *names, int count, cm_err_t *err)
{
    cm_buf_t choices = CM_BUF_INIT;

    add_choices(&choices, names, count);
    int rc = cm_fail(err, CM_EUSAGE, "%s must be %s", name, choices.data);
    cm_buf_free(&choices);
    return rc;
}

static int set_window(cm_params_t *params, cm_str_t value, cm_err_t *err)
{
    if (!cm_index_window_parse(value.data, &params->query.window))
        return fail_choice("window", cm_index_window_names, CM_WINDOW_COUNT, err);
    return 0;
}

static int set_sort(cm_params_t *params, cm_str_t value, cm_err_t *err)
{
    if (!cm_sort_parse(value.data, &params->query.sort))
        return fail_choice("sort", cm_sort_names, CM_SORT_COUNT, err);
    return 0;
}

static int set_url(cm_params_t *params, cm_str_t value, cm_err_t *err)
{
    if (value.len == 0 || value.len > CM_URL_MAX)
        return cm_fail(err, CM_EUSAGE,
                       "url must be a pattern of 1 to %d bytes, where * stands for any characters "
                       "and ? for one character",
                       CM_URL_MAX);
    params->query.url = value.data;
    return 0;
}

static int set_country(cm_params_t *params, cm_str_t value, cm_err_t *err)
{
    if (value.len == 0 || value.len > CM_FIELD_MAX)
        return cm_fail(err, CM_EUSAGE, "country must be a name of 1 to %d bytes", CM_FIELD_MAX);
    params->query.country = value.data;
    return 0;
}

static int set_switch(const char *name, cm_str_t value, bool *on, cm_err_t *err)
{
    if (value.len != 1 || (value.data[0] != '0' && value.data[0] != '1'))
        return cm_fail(err, CM_EUSAGE, "%s must be 0 or 1", name);
    *on = value.data[0] == '1';
    return 0;
}

static int set_reverse(cm_params_t *params, cm_str_t value, cm_err_t *err)
{
    return set_switch("reverse", value, &params->query.reverse, err);
}

static int set_safe(cm_params_t *params, cm_str_t value, cm_err_t *err)
{
    return set_switch("safe", value, &params->safe, err);
}

static int set_limit(cm_params_t *params, cm_str_t value, cm_err_t *err)
{
    int64_t *limit = &params->query.limit;

    if (!cm_str_to_i64(value, limit) || *limit < 0 || *limit > CM_PARAMS_LIMIT_MAX)
        return cm_fail(err, CM_EUSAGE, "limit must be a number from 1 to %d, or 0 for all rows",
                       CM_PARAMS_LIMIT_MAX);
    return 0;
}

static int set_offset(cm_params_t *params, cm_str_t value, cm_err_t *err)
{
    int64_t *offset = &params->query.offset;

    if (!cm_str_to_i64(value, offset) || *offset < 0 || *offset > CM_PARAMS_OFFSET_MAX)
        return cm_fail(err, CM_EUSAGE,
                       "offset must be a number from 0 to %d; limit=0 downloads all rows",
                       CM_PARAMS_OFFSET_MAX);
    return 0;
}

static int set_from(cm_params_t *params, cm_str_t value, cm_err_t *err)
{
    return cm_listing_parse_time("from", value, &params->query.from, err);
}

static int set_to(cm_params_t *params, cm_str_t value, cm_err_t *err)
{
    return cm_listing_parse_time("to", value, &params->query.to, err);
}

static int set_format(cm_params_t *params, cm_str_t value, cm_err_t *err)
{
    params->csv = cm_str_equal(value, CM_STR("csv"));
    if (!params->csv && !cm_str_equal(value, CM_STR("json")))
        return cm_fail(err, CM_EUSAGE, "format must be json or csv");
    return 0;
}

enum { PARAM_LIMIT = 5, PARAM_FROM = 7, PARAM_TO = 8, PARAM_COUNT = 11 };

static const char *const names[PARAM_COUNT] = {
    "window", "url",  "country", "sort",   "reverse", "limit",
    "offset", "from", "to",      "format", "safe",
};
static const setter_t setters[PARAM_COUNT] = {
    set_window, set_url,  set_country, set_sort,   set_reverse, set_limit,
    set_offset, set_from, set_to,      set_format, set_safe,
};

void cm_params_init(cm_params_t *params)
{
    *params = (cm_params_t){
        .query = {.window = CM_WINDOW_ALL, .sort = CM_SORT_CLICKS, .limit = CM_PARAMS_LIMIT},
    };
}

static int fail_unknown(cm_str_t name, cm_err_t *err)
{
    cm_buf_t known = CM_BUF_INIT;
    bool printable = name.len <= 64 && cm_utf8_valid(name.data, name.len);

    add_choices(&known, names, PARAM_COUNT);
    int rc = cm_fail(err, CM_EUSAGE, "unknown parameter \"%.*s\"; known are %s",
                     printable ? (int)name.len : 1, printable ? name.data : "?", known.data);
    cm_buf_free(&known);
    return rc;
}

int cm_params_set(cm_params_t *params, cm_str_t name, cm_str_t value, cm_err_t *err)
{
    for (int i = 0; i < PARAM_COUNT; i++) {
        if (!cm_str_equal(name, cm_str(names[i])))
            continue;
        if (params->given & 1u << i)
            return cm_fail(err, CM_EUSAGE, "%s is given twice", names[i]);
        params->given |= 1u << i;
        if (value.data == NULL)
            return cm_fail(err, CM_EUSAGE, "%s needs a value: %s=...", names[i], names[i]);
        if (memchr(value.data, '\0', value.len) != NULL || !cm_utf8_valid(value.data, value.len))
            return cm_fail(err, CM_EUSAGE, "%s must be UTF-8 text without NUL", names[i]);
        return setters[i](params, value, err);
    }
    return fail_unknown(name, err);
}

int cm_params_check(cm_params_t *params, cm_err_t *err)
{
    static const cm_listing_span_words_t words = {"from", "to", "window=day or window=hour"};
    cm_index_query_t *query = &params->query;
    bool from = params->given & 1u << PARAM_FROM, to = params->given & 1u << PARAM_TO;

    if (params->safe && !params->csv)
        return cm_fail(err, CM_EUSAGE, "safe needs format=csv");
    int rc = cm_listing_check_span(query, from, to, &words, err);
    if (rc == 0 && params->csv && !(params->given & 1u << PARAM_LIMIT))
        query->limit = 0;
    return rc;
}

const char *cm_params_type(const cm_params_t *params)
{
    return params->csv ? "text/csv; charset=utf-8" : "application/json";
}
