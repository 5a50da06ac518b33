// The bridge to simdjson for answers of Elasticsearch (index/elasticsearch/document_json.h).
extern "C" {
#include "index/elasticsearch/document_json.h"
}

#include <simdjson.h>
#include <string_view>

using simdjson::SUCCESS;
namespace dom = simdjson::dom;

extern "C" const char *const cm_document_dimensions[CM_DIMENSION_COUNT] = {nullptr, "url",
                                                                           "country", "site"};

namespace
{

cm_str_t slice(std::string_view text)
{
    return cm_str_t{text.data(), text.size()};
}

// An object's member as a string; false when it does not exist or is not a string.
bool text_of(dom::object object, std::string_view name, cm_str_t *out)
{
    std::string_view text;
    if (object[name].get_string().get(text) != SUCCESS)
        return false;
    *out = slice(text);
    return true;
}

bool number_of(dom::object object, std::string_view name, int64_t *out)
{
    return object[name].get_int64().get(*out) == SUCCESS;
}

int open_object(dom::parser &parser, cm_str_t json, dom::object &object, cm_err_t *err)
{
    auto code = parser.parse(json.data ? json.data : "", json.len).get_object().get(object);
    if (code == SUCCESS)
        return 0;
    // Newer versions have a separate code for a number that is too large, between these two.
    if (code >= simdjson::NUMBER_ERROR && code < simdjson::UTF8_ERROR)
        return cm_fail(err, CM_EIO, "the server's answer has a number of more than 64 bits");
    return cm_fail(err, CM_EIO, "the server's answer is no JSON object; is it Elasticsearch?");
}

// ---- documents ----

bool read_numbers(dom::object source, cm_measures_t *n)
{
    const struct {
        const char *name;
        int64_t *value;
    } fields[] = {
        {"clicks", &n->clicks},
        {"unique_user_count", &n->users},
        {"time_spent_sum", &n->time_spent_sum},
        {"time_spent_count", &n->time_spent_count},
        {"time_on_page_sum", &n->page_time_sum},
        {"time_on_page_count", &n->page_time_count},
        {"entrances", &n->entrances},
        {"exits", &n->exits},
    };
    for (const auto &field : fields) {
        if (!number_of(source, field.name, field.value))
            return false;
    }
    return true;
}

// False when it exists, but is not a number.
bool read_average(dom::object source, const char *name, cm_stored_average_t *average)
{
    dom::element value;

    average->there = source[name].get(value) == SUCCESS && !value.is_null();
    return !average->there || value.get_double().get(average->value) == SUCCESS;
}

bool read_dimension(dom::object source, cm_dimension_t *dimension)
{
    std::string_view text;
    dom::element value;

    *dimension = CM_PER_CELL;
    if (source["dimension"].get(value) != SUCCESS || value.is_null())
        return true;
    if (value.get_string().get(text) != SUCCESS)
        return false;
    for (int i = 0; i < CM_DIMENSION_COUNT; i++) {
        if (cm_document_dimensions[i] != nullptr && text == cm_document_dimensions[i]) {
            *dimension = static_cast<cm_dimension_t>(i);
            return true;
        }
    }
    return false;
}

// A string that rows of some dimensions have, and others lack.
bool read_key(dom::object source, const char *name, bool wanted, cm_str_t *out)
{
    dom::element value;

    *out = CM_STR("");
    if (wanted)
        return text_of(source, name, out);
    return source[name].get(value) != SUCCESS || value.is_null();
}

bool read_window(dom::object source, cm_answer_t *answer)
{
    cm_str_t name;
    dom::element value;

    if (!text_of(source, "window", &name))
        return false;
    for (int i = 0; i < CM_WINDOW_COUNT; i++) {
        if (!cm_str_equal(name, cm_str(cm_index_window_names[i])))
            continue;
        answer->window = static_cast<cm_window_t>(i);
        answer->window_start = 0;
        if (i == CM_WINDOW_ALL)
            return source["window_start"].get(value) != SUCCESS || value.is_null();
        return number_of(source, "window_start", &answer->window_start);
    }
    return false;
}

bool read_answer(dom::object source, cm_answer_t *answer, cm_stored_average_t stored[2])
{
    if (!read_dimension(source, &answer->dimension))
        return false;
    const cm_dimension_t d = answer->dimension;
    return read_key(source, "url", d == CM_PER_CELL || d == CM_PER_URL, &answer->url) &&
           read_key(source, "country", d == CM_PER_CELL || d == CM_PER_COUNTRY, &answer->country) &&
           read_window(source, answer) && read_numbers(source, &answer->measures) &&
           read_average(source, "average_time_spent", &stored[0]) &&
           read_average(source, "average_time_on_page", &stored[1]) &&
           number_of(source, "updated_at", &answer->updated_at);
}

// Whether all shards have answered.
int check_whole(dom::object root, cm_err_t *err)
{
    int64_t failed = 0;
    bool late = false;

    if (root["_shards"]["failed"].get(failed) != SUCCESS)
        failed = 0;
    if (root["timed_out"].get(late) != SUCCESS)
        late = false;
    if (failed == 0 && !late)
        return 0;
    return cm_fail(err, CM_EAWAY,
                   "a part of the index does not answer, so that rows would be missing; is the "
                   "cluster's health red?");
}

int take_hit(dom::element element, cm_document_fn take, void *context)
{
    cm_stored_average_t stored[2] = {};
    cm_answer_t answer = {};
    dom::object hit, source;
    cm_str_t id = CM_STR("");

    bool ours = element.get(hit) == SUCCESS && text_of(hit, "_id", &id) &&
                hit["_source"].get(source) == SUCCESS && read_answer(source, &answer, stored);
    answer.stored = stored;
    return take(context, id, ours ? &answer : nullptr);
}

} // namespace

extern "C" int cm_documents_page(cm_str_t json, cm_document_fn take, void *context,
                                 cm_buf_t *scroll_id, cm_documents_page_t *page, cm_err_t *err)
{
    dom::parser parser;
    dom::object root;
    dom::array hits;
    cm_str_t scroll;

    *page = cm_documents_page_t{0, -1};
    if (int rc = open_object(parser, json, root, err); rc < 0)
        return rc;
    if (root["hits"]["hits"].get(hits) != SUCCESS)
        return cm_fail(err, CM_EIO, "the server's answer has no hits; is it Elasticsearch?");
    if (scroll_id != nullptr && text_of(root, "_scroll_id", &scroll)) {
        cm_buf_clear(scroll_id);
        cm_buf_add_str(scroll_id, scroll);
    }
    if (root["hits"]["total"]["value"].get(page->total) != SUCCESS)
        page->total = -1;
    page->count = hits.size();
    if (int rc = check_whole(root, err); rc < 0)
        return rc;
    for (dom::element hit : hits) {
        if (int rc = take_hit(hit, take, context); rc != 0)
            return rc;
    }
    return 0;
}

extern "C" int cm_document_read_freshness(cm_str_t json, cm_freshness_t *f, cm_err_t *err)
{
    dom::parser parser;
    dom::object root, source;
    cm_str_t visitors;
    bool found = false;

    *f = cm_freshness_t{};
    if (int rc = open_object(parser, json, root, err); rc < 0)
        return rc;
    if (root["found"].get(found) != SUCCESS)
        return cm_fail(err, CM_EIO, "the server's answer is no document; is it Elasticsearch?");
    if (!found)
        return 0;
    if (root["_source"].get(source) == SUCCESS && number_of(source, "accepted", &f->accepted) &&
        number_of(source, "processed", &f->processed) && number_of(source, "events", &f->events) &&
        number_of(source, "duplicates", &f->duplicates) && number_of(source, "cells", &f->cells) &&
        number_of(source, "dead", &f->dead) && number_of(source, "updated_at", &f->updated_at)) {
        f->present = true;
        // What follows is not given by every writer.
        number_of(source, "session_timeout", &f->session_timeout);
        f->daily_ids = text_of(source, "visitors", &visitors);
        f->daily_visitors = f->daily_ids && cm_str_equal(visitors, CM_STR("daily"));
        return 0;
    }
    *f = cm_freshness_t{};
    return cm_fail(err, CM_EIO,
                   "the document of freshness lacks numbers; `clickmill process --index "
                   "elasticsearch --rebuild` writes it again");
}

// ---- indices ----

extern "C" int cm_index_seen_each(cm_str_t json, cm_index_seen_fn take, void *context,
                                  cm_err_t *err)
{
    dom::parser parser;
    dom::object root, index, aliases, mappings;

    if (int rc = open_object(parser, json, root, err); rc < 0)
        return rc;
    for (dom::key_value_pair entry : root) {
        cm_index_seen_t seen = {slice(entry.key), CM_STR(""), 0, nullptr};
        std::string_view epoch;
        if (entry.value.get(index) != SUCCESS)
            return cm_fail(err, CM_EIO, "the server's answer is no list of indices");
        if (index["aliases"].get(aliases) == SUCCESS)
            seen.aliases = aliases.size();
        if (index["mappings"].get(mappings) == SUCCESS) {
            seen.map = &mappings;
            if (mappings["_meta"]["clickmill"]["epoch"].get(epoch) == SUCCESS)
                seen.epoch = slice(epoch);
        }
        if (int rc = take(context, &seen); rc != 0)
            return rc;
    }
    return 0;
}

extern "C" cm_str_t cm_index_seen_field(const cm_index_seen_t *seen, const char *field,
                                        const char *what)
{
    const auto *mappings = static_cast<const dom::object *>(seen->map);
    std::string_view text;

    if (mappings != nullptr && (*mappings)["properties"][field][what].get(text) == SUCCESS)
        return slice(text);
    return CM_STR("");
}

extern "C" bool cm_document_text_at(cm_str_t json, const char *const *path, char *out, size_t size)
{
    dom::parser parser;
    dom::element at;
    std::string_view text;

    if (parser.parse(json.data ? json.data : "", json.len).get(at) != SUCCESS)
        return false;
    for (; *path != nullptr; path++) {
        if (at[*path].get(at) != SUCCESS)
            return false;
    }
    if (at.get(text) != SUCCESS || text.size() >= size)
        return false;
    memcpy(out, text.data(), text.size());
    out[text.size()] = '\0';
    return true;
}
