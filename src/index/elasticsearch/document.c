#include "index/elasticsearch/document.h"

#include "base/put.h"
#include "index/elasticsearch/document_json.h"
#include "index/json_members.h"

#include <nettle/sha1.h>

/* ---- ids ---- */

static void hash_text(struct sha1_ctx *hash, cm_str_t text)
{
    static const uint8_t unit_separator = 0x1F;

    sha1_update(hash, text.len, (const uint8_t *)text.data);
    sha1_update(hash, 1, &unit_separator);
}

static bool has_url(cm_dimension_t dimension)
{
    return dimension == CM_PER_CELL || dimension == CM_PER_URL;
}

static bool has_country(cm_dimension_t dimension)
{
    return dimension == CM_PER_CELL || dimension == CM_PER_COUNTRY;
}

void cm_document_id(const cm_answer_t *answer, char id[CM_DOCUMENT_ID])
{
    static const char digits[] = "0123456789abcdef";
    const cm_str_t none = CM_STR("");
    const char *window = cm_index_window_names[answer->window];
    uint8_t digest[SHA1_DIGEST_SIZE];
    char start[1 + CM_PUT_U64 + 1];
    struct sha1_ctx hash;

    sha1_init(&hash);
    hash_text(&hash, has_url(answer->dimension) ? answer->url : none);
    hash_text(&hash, has_country(answer->dimension) ? answer->country : none);
    sha1_update(&hash, strlen(window), (const uint8_t *)window);
    if (answer->window != CM_WINDOW_ALL) {
        start[0] = ':';
        size_t len = (size_t)(cm_put_i64(start + 1, answer->window_start) - start);
        sha1_update(&hash, len, (const uint8_t *)start);
    }
    sha1_digest(&hash, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        id[2 * i] = digits[digest[i] >> 4];
        id[2 * i + 1] = digits[digest[i] & 15];
    }
}

/* ---- JSON ---- */

static void add_average(cm_buf_t *buf, const char *name, int64_t sum, int64_t count)
{
    if (count != 0)
        cm_index_json_average(buf, name, sum, count);
}

void cm_document_add(cm_buf_t *buf, const cm_answer_t *answer)
{
    const cm_measures_t *n = &answer->measures;

    cm_buf_add_char(buf, '{');
    if (answer->dimension != CM_PER_CELL)
        cm_index_json_text(buf, "dimension", cm_str(cm_document_dimensions[answer->dimension]));
    if (has_url(answer->dimension))
        cm_index_json_text(buf, "url", answer->url);
    if (has_country(answer->dimension))
        cm_index_json_text(buf, "country", answer->country);
    cm_index_json_text(buf, "window", cm_str(cm_index_window_names[answer->window]));
    if (answer->window != CM_WINDOW_ALL)
        cm_index_json_number(buf, "window_start", answer->window_start);
    cm_index_json_number(buf, "clicks", n->clicks);
    cm_index_json_number(buf, "unique_user_count", n->users);
    add_average(buf, "average_time_spent", n->time_spent_sum, n->time_spent_count);
    cm_index_json_number(buf, "time_spent_sum", n->time_spent_sum);
    cm_index_json_number(buf, "time_spent_count", n->time_spent_count);
    add_average(buf, "average_time_on_page", n->page_time_sum, n->page_time_count);
    cm_index_json_number(buf, "time_on_page_sum", n->page_time_sum);
    cm_index_json_number(buf, "time_on_page_count", n->page_time_count);
    cm_index_json_number(buf, "entrances", n->entrances);
    cm_index_json_number(buf, "exits", n->exits);
    cm_index_json_number(buf, "updated_at", answer->updated_at);
    cm_buf_add_char(buf, '}');
}

void cm_document_add_freshness(cm_buf_t *buf, cm_window_t window, const cm_freshness_t *freshness)
{
    cm_buf_add_char(buf, '{');
    cm_index_json_text(buf, "dimension", CM_STR("freshness"));
    cm_index_json_text(buf, "window", cm_str(cm_index_window_names[window]));
    cm_index_json_number(buf, "accepted", freshness->accepted);
    cm_index_json_number(buf, "processed", freshness->processed);
    cm_index_json_number(buf, "events", freshness->events);
    cm_index_json_number(buf, "duplicates", freshness->duplicates);
    cm_index_json_number(buf, "cells", freshness->cells);
    cm_index_json_number(buf, "dead", freshness->dead);
    cm_index_json_number(buf, "updated_at", freshness->updated_at);
    if (freshness->session_timeout != 0)
        cm_index_json_number(buf, "session_timeout", freshness->session_timeout);
    if (freshness->daily_ids)
        cm_index_json_text(buf, "visitors", cm_str(cm_freshness_visitors(freshness)));
    cm_buf_add_char(buf, '}');
}

/* ---- reading ---- */

int cm_documents_each(cm_str_t json, cm_document_fn take, void *context, size_t *count,
                      cm_buf_t *scroll_id, cm_err_t *err)
{
    cm_documents_page_t page;

    int rc = cm_documents_page(json, take, context, scroll_id, &page, err);
    *count = page.count;
    return rc;
}
