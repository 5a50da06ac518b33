/* The bridge to simdjson's document. */
extern "C" {
#include "base/json.h"
}

#include <new>
#include <simdjson.h>

using simdjson::dom::element;

struct cm_json_parser {
    simdjson::dom::parser parser;
    simdjson::padded_string text;
};

static_assert(sizeof(element) == sizeof(cm_json_t),
              "a cm_json_t holds what simdjson calls an element");
static_assert(std::is_trivially_copyable<element>::value, "and can be copied as bytes");

static cm_json_t place_of(const element &found)
{
    cm_json_t place;
    memcpy(&place, &found, sizeof place);
    return place;
}

static element element_of(cm_json_t place)
{
    element found;
    memcpy(static_cast<void *>(&found), &place, sizeof place);
    return found;
}

cm_json_parser_t *cm_json_parser_new(void)
{
    auto *parser = new (std::nothrow) cm_json_parser();
    if (parser == nullptr)
        cm_out_of_memory();
    return parser;
}

void cm_json_parser_free(cm_json_parser_t *parser)
{
    delete parser;
}

bool cm_json_parse(cm_json_parser_t *parser, cm_str_t text, cm_json_t *root)
{
    element found;

    parser->text = simdjson::padded_string(text.data, text.len);
    if (parser->parser.parse(parser->text).get(found) != simdjson::SUCCESS)
        return false;
    *root = place_of(found);
    return true;
}

static bool get(cm_json_t object, std::string_view name, cm_json_t *value)
{
    simdjson::dom::object members;
    element found;

    if (element_of(object).get_object().get(members) != simdjson::SUCCESS ||
        members.at_key(name).get(found) != simdjson::SUCCESS)
        return false;
    *value = place_of(found);
    return true;
}

bool cm_json_get(cm_json_t object, const char *name, cm_json_t *value)
{
    return get(object, name, value);
}

bool cm_json_find(cm_json_t object, const char *path, cm_json_t *value)
{
    *value = object;
    for (;;) {
        size_t len = strcspn(path, "/");
        if (!get(*value, std::string_view(path, len), value))
            return false;
        if (path[len] == '\0')
            return true;
        path += len + 1;
    }
}

bool cm_json_text(cm_json_t value, cm_str_t *text)
{
    std::string_view found;

    if (element_of(value).get_string().get(found) != simdjson::SUCCESS)
        return false;
    *text = {found.data(), found.size()};
    return true;
}

bool cm_json_i64(cm_json_t value, int64_t *number)
{
    return element_of(value).get_int64().get(*number) == simdjson::SUCCESS;
}

bool cm_json_double(cm_json_t value, double *number)
{
    return element_of(value).get_double().get(*number) == simdjson::SUCCESS;
}

bool cm_json_bool(cm_json_t value, bool *truth)
{
    return element_of(value).get_bool().get(*truth) == simdjson::SUCCESS;
}

int cm_json_members(cm_json_t object, int (*take)(void *context, cm_str_t name, cm_json_t value),
                    void *context)
{
    simdjson::dom::object members;
    int rc = 0;

    if (element_of(object).get_object().get(members) != simdjson::SUCCESS)
        return 0;
    for (simdjson::dom::key_value_pair member : members) {
        rc = take(context, {member.key.data(), member.key.size()}, place_of(member.value));
        if (rc != 0)
            break;
    }
    return rc;
}

int cm_json_items(cm_json_t array, int (*take)(void *context, cm_json_t item), void *context)
{
    simdjson::dom::array items;
    int rc = 0;

    if (element_of(array).get_array().get(items) != simdjson::SUCCESS)
        return 0;
    for (element item : items) {
        if ((rc = take(context, place_of(item))) != 0)
            break;
    }
    return rc;
}
