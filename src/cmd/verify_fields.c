#include "cmd/verify_fields.h"

#include "base/clock.h"

const char *const cm_verify_field_names[CM_VERIFY_FIELDS] = {"clicks",
                                                             "unique_user_count",
                                                             "time_spent_sum",
                                                             "time_spent_count",
                                                             "time_on_page_sum",
                                                             "time_on_page_count",
                                                             "entrances",
                                                             "exits",
                                                             "average_time_spent",
                                                             "average_time_on_page"};

int64_t cm_verify_integer_of(const cm_measures_t *n, int field)
{
    const int64_t integers[CM_VERIFY_INTEGERS] = {
        n->clicks,        n->users,           n->time_spent_sum, n->time_spent_count,
        n->page_time_sum, n->page_time_count, n->entrances,      n->exits};
    return integers[field];
}

cm_stored_average_t cm_verify_average_of(const cm_measures_t *n, int field)
{
    const int64_t count = field == CM_VERIFY_INTEGERS ? n->time_spent_count : n->page_time_count;
    const int64_t sum = field == CM_VERIFY_INTEGERS ? n->time_spent_sum : n->page_time_sum;
    return (cm_stored_average_t){count != 0, count != 0 ? (double)sum / (double)count : 0};
}

cm_stored_average_t cm_verify_stored_of(const cm_answer_t *answer, int field)
{
    return answer->stored != NULL ? answer->stored[field - CM_VERIFY_INTEGERS]
                                  : cm_verify_average_of(&answer->measures, field);
}

bool cm_verify_differs(const cm_index_discrepancy_t *d, int field)
{
    if (field < CM_VERIFY_INTEGERS)
        return cm_verify_integer_of(&d->actual->measures, field) !=
               cm_verify_integer_of(&d->expected->measures, field);
    const cm_stored_average_t wanted = cm_verify_average_of(&d->expected->measures, field);
    const cm_stored_average_t there = cm_verify_stored_of(d->actual, field);
    return d->actual->stored != NULL &&
           (wanted.there != there.there || (wanted.there && wanted.value != there.value));
}

void cm_verify_add_average(cm_buf_t *out, cm_stored_average_t average, const char *none)
{
    if (average.there)
        cm_buf_add_double(out, average.value);
    else
        cm_buf_add_text(out, none);
}

/* ---- JSON ---- */

/* One side: the fields that differ, or all where the other side has no such row. */
static void add_side(cm_buf_t *out, const cm_index_discrepancy_t *d, bool index)
{
    const cm_answer_t *answer = index ? d->actual : d->expected;
    const bool all = d->actual == NULL || d->expected == NULL || d->twice;
    char between = '{';

    cm_buf_add_text(out, index ? ",\"index\":" : ",\"events\":");
    if (answer == NULL) {
        cm_buf_add_text(out, "null");
        return;
    }
    for (int field = 0; field < CM_VERIFY_FIELDS; field++) {
        if (!all && !cm_verify_differs(d, field))
            continue;
        cm_buf_printf(out, "%c\"%s\":", between, cm_verify_field_names[field]);
        if (field < CM_VERIFY_INTEGERS)
            cm_buf_add_i64(out, cm_verify_integer_of(&answer->measures, field));
        else
            cm_verify_add_average(out,
                                  index ? cm_verify_stored_of(answer, field)
                                        : cm_verify_average_of(&answer->measures, field),
                                  "null");
        between = ',';
    }
    cm_buf_add_char(out, '}');
}

void cm_verify_add_document(cm_buf_t *out, const cm_index_discrepancy_t *d)
{
    cm_buf_add_text(out, "{\"foreign\":true,\"alias\":");
    cm_buf_add_json(out, cm_str(d->alias));
    cm_buf_add_text(out, ",\"document\":");
    cm_buf_add_json(out, d->document);
    cm_buf_add_text(out, "}\n");
}

void cm_verify_add_row(cm_buf_t *out, const cm_index_discrepancy_t *d)
{
    static const char *const dimensions[CM_DIMENSION_COUNT] = {"cell", "url", "country", "site"};
    const cm_answer_t *answer = d->actual != NULL ? d->actual : d->expected;
    char start[CM_TIME_TEXT];

    cm_buf_printf(out, "{\"window\":\"%s\"", cm_index_window_names[answer->window]);
    if (answer->window != CM_WINDOW_ALL)
        cm_buf_printf(out, ",\"window_start\":\"%s\"", cm_time_format(answer->window_start, start));
    cm_buf_printf(out, ",\"dimension\":\"%s\"", dimensions[answer->dimension]);
    if (answer->dimension == CM_PER_CELL || answer->dimension == CM_PER_URL) {
        cm_buf_add_text(out, ",\"url\":");
        cm_buf_add_json(out, answer->url);
    }
    if (answer->dimension == CM_PER_CELL || answer->dimension == CM_PER_COUNTRY) {
        cm_buf_add_text(out, ",\"country\":");
        cm_buf_add_json(out, answer->country);
    }
    if (d->twice)
        cm_buf_add_text(out, ",\"twice\":true");
    add_side(out, d, true);
    add_side(out, d, false);
    cm_buf_add_text(out, "}\n");
}

void cm_verify_add_counts(cm_buf_t *out, const cm_index_verified_t *done, int64_t newer)
{
    cm_buf_printf(out,
                  "\"cells\":%lld,\"totals\":%lld,\"differ\":%lld,\"missing\":%lld,"
                  "\"unexpected\":%lld,\"foreign\":%lld,\"newer\":%lld,",
                  (long long)done->cells, (long long)done->totals, (long long)done->differ,
                  (long long)done->missing, (long long)done->unexpected, (long long)done->foreign,
                  (long long)newer);
    if (done->miscalled)
        cm_buf_printf(out, "\"visitors\":{\"index\":\"%s\",\"events\":\"%s\"},",
                      done->daily ? "users" : "daily", done->daily ? "daily" : "users");
}
