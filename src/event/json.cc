// The parser of events on top of simdjson: C++ with an interface in C (event/json.h).
//
// It uses simdjson's DOM parser, not the on-demand one. The DOM parser checks the whole text,
// including fields that are not read, and picks the best implementation for the processor at run
// time. It rejects numbers of more than 64 bits, which are valid JSON. When they are in fields that
// are not read, the text is parsed a second time without them (event/lenient.h).
extern "C" {
#include "event/json.h"
#include "event/lenient.h"
#include "event/props.h"
#include "event/shape.h"
}

#include <charconv>
#include <memory>
#include <new>
#include <simdjson.h>
#include <utility>

using simdjson::SUCCESS;
namespace dom = simdjson::dom;

static_assert(CM_EVENT_JSON_PADDING >= simdjson::SIMDJSON_PADDING,
              "padding of event/json.h is too small");

// Events with optional fields have many shapes: with and without a referrer, a campaign, a name.
enum { SHAPES = 8 };

struct cm_event_json {
    dom::parser parser;
    cm_shape_t shapes[SHAPES];
    unsigned char order[SHAPES]; // the shapes, about in the order of how often lines fit them
    cm_timestamp_format_t times;
    const cm_event_map_t *map; // nullptr: none
    unsigned shape_count;
    unsigned misses;            // lines that fitted none since one was learnt last
    cm_event_json_fill_fn fill; // nullptr: none
    void *fill_context;
};

extern "C" cm_event_json_t *cm_event_json_new(void)
{
    auto *json = new (std::nothrow) cm_event_json();
    if (json == nullptr)
        cm_out_of_memory();
    return json;
}

extern "C" void cm_event_json_set_fill(cm_event_json_t *json, cm_event_json_fill_fn fill,
                                       void *context)
{
    json->fill = fill;
    json->fill_context = context;
}

extern "C" void cm_event_json_set_timestamps(cm_event_json_t *json,
                                             const cm_timestamp_format_t *times)
{
    json->times = *times;
}

extern "C" void cm_event_json_set_map(cm_event_json_t *json, const cm_event_map_t *map)
{
    json->map = map;
}

extern "C" void cm_event_json_free(cm_event_json_t *json)
{
    delete json;
}

namespace
{

// Where the texts of the nine fields are; that of the timestamp is none.
cm_str_t cm_event_t::*const texts[CM_MAP_NINE] = {
    &cm_event_t::row_key, &cm_event_t::user_id, nullptr,
    &cm_event_t::url,     &cm_event_t::country, &cm_event_t::city,
    &cm_event_t::browser, &cm_event_t::os,      &cm_event_t::device,
};

int take_timestamp(dom::element value, const cm_timestamp_format_t *times, int64_t *ms,
                   cm_err_t *err)
{
    std::string_view text;
    double real;
    int64_t number;
    if (value.get_int64().get(number) == SUCCESS)
        return cm_timestamp_take(number, times, ms, err);
    if (value.get_string().get(text) == SUCCESS)
        return cm_timestamp_parse(cm_str_t{text.data(), text.size()}, times, ms, err);
    if (value.is_double() && value.get_double().get(real) == SUCCESS) {
        // The shortest digits of this number, which are the digits of the message if it has up
        // to 15.
        char digits[32];
        const char *end = std::to_chars(digits, digits + sizeof digits, real).ptr;
        const cm_str_t written = {digits, static_cast<size_t>(end - digits)};
        if (times->unit != CM_TIMESTAMP_AUTO ||
            (real >= CM_SECONDS_FIRST && real < CM_SECONDS_LAST + 1))
            return cm_timestamp_parse(written, times, ms, err);
    }
    return cm_fail(err, CM_EREJECT, "timestamp is neither an integer of milliseconds nor RFC 3339");
}

// Takes a string or null. The parser's copy lives until the next parse, so the arena gets one.
int take_text(const char *name, dom::element value, cm_arena_t *arena, cm_str_t *out, cm_err_t *err)
{
    std::string_view text;
    if (value.is_null()) {
        *out = cm_str_t{nullptr, 0};
        return 0;
    }
    if (value.get_string().get(text) != SUCCESS)
        return cm_fail(err, CM_EREJECT, "%s is not a string", name);
    *out = cm_arena_copy(arena, cm_str_t{text.data(), text.size()});
    return 0;
}

// What the fields of a message are read into.
struct reading {
    cm_str_t message;
    const cm_timestamp_format_t *times;
    const cm_event_map_t *map;
    cm_arena_t *arena;
    cm_event_t *event;
    cm_event_json_visitor_t *seen; // nullptr: the visitor's fields are not read
    cm_event_extra_t extra;
    bool has_time;
    uint64_t unknown;
};

// The text of an object whose members are gone through in order.
struct object_text {
    cm_str_t rest;
    size_t behind;  // members from the front of `rest` to the present one
    cm_str_t value; // of the present member, when none is behind
};

// The text of the present member's value. All calls for an object together take one pass over it.
cm_str_t text_of(object_text *object)
{
    for (; object->behind > 0; object->behind--)
        cm_member_next(&object->rest, &object->value);
    return object->value;
}

// Takes one of the optional fields. Properties and numbers are read from the text of the message,
// because the parser does not keep how they were written.
int take_extra(reading *into, cm_extra_field_t which, dom::element value, object_text *object,
               cm_err_t *err)
{
    std::string_view text;
    cm_str_t raw = {nullptr, 0};

    if (which < CM_EXTRA_PROPS)
        return take_text(cm_extra_names[which], value, into->arena, &into->extra.text[which], err);
    const bool is_text = value.get_string().get(text) == SUCCESS;
    if (is_text && (which == CM_EXTRA_ENGAGED || text.empty()))
        raw = cm_str_t{text.data(), text.size()};
    else if (!value.is_null())
        raw = text_of(object);
    return cm_event_extra_set(&into->extra, which, raw, into->arena, err);
}

// Takes the value of a field.
int take_field(reading *into, unsigned field, dom::element value, object_text *object,
               cm_err_t *err)
{
    std::string_view text;

    if (field == CM_MAP_TIMESTAMP) {
        into->has_time = !value.is_null();
        if (!into->has_time)
            return 0;
        return take_timestamp(value, into->times, &into->event->timestamp, err);
    }
    if (field < CM_MAP_NINE)
        return take_text(cm_event_field_name(field), value, into->arena,
                         &(into->event->*texts[field]), err);
    if (field < CM_MAP_STORED)
        return take_extra(into, static_cast<cm_extra_field_t>(field - CM_MAP_NINE), value, object,
                          err);
    if (value.get_string().get(text) == SUCCESS)
        (field == CM_MAP_ADDRESS ? into->seen->address : into->seen->agent) =
            cm_str_t{text.data(), text.size()};
    return 0;
}

int take_members(reading *into, dom::object object, cm_str_t scope, std::string_view path,
                 cm_err_t *err);

// Takes a member: its value, and the members inside it, as far as they give fields.
int take_member(reading *into, dom::element value, object_text *object, std::string_view path,
                cm_err_t *err)
{
    const cm_str_t name = {path.data(), path.size()};
    const unsigned field = cm_event_map_field(into->map, name);
    const bool is_read = field < CM_MAP_STORED || (field != CM_MAP_NONE && into->seen != nullptr);
    dom::object inside;
    int rc = 0;

    if (is_read)
        rc = take_field(into, field, value, object, err);
    if (rc == 0 && cm_event_map_is_parent(into->map, name) &&
        value.get_object().get(inside) == SUCCESS)
        return take_members(into, inside, text_of(object), path, err);
    into->unknown += !is_read;
    return rc;
}

// Takes the members of an object; `scope` is its text. `path` is what leads to it, empty for the
// message itself.
int take_members(reading *into, dom::object object, cm_str_t scope, std::string_view path,
                 cm_err_t *err)
{
    char whole[CM_EVENT_MAP_PATH];
    object_text text = {scope, 0, {nullptr, 0}};

    for (dom::key_value_pair member : object) {
        text.behind++;
        std::string_view name = member.key;
        if (!path.empty()) {
            if (path.size() + 1 + name.size() > sizeof whole) {
                ++into->unknown; // longer than any path of the map
                continue;
            }
            memcpy(whole, path.data(), path.size());
            whole[path.size()] = '.';
            memcpy(whole + path.size() + 1, name.data(), name.size());
            name = std::string_view(whole, path.size() + 1 + name.size());
        }
        int rc = take_member(into, member.value, &text, name, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

// The error in a sentence of our own: simdjson's sentences differ from release to release, and so
// do its codes for a text that is cut off or has more bytes after its end.
const char *words_of(simdjson::error_code code)
{
    switch (code) {
    case simdjson::EMPTY:
        return "the text is empty";
    case simdjson::UTF8_ERROR:
        return "it is not UTF-8";
    case simdjson::UNESCAPED_CHARS:
        return "a string has a control character that is not escaped";
    case simdjson::UNCLOSED_STRING:
        return "a string has no closing quote";
    case simdjson::STRING_ERROR:
        return "a string has a wrong escape";
    case simdjson::T_ATOM_ERROR:
    case simdjson::F_ATOM_ERROR:
    case simdjson::N_ATOM_ERROR:
        return "a word is not true, false or null";
    case simdjson::DEPTH_ERROR:
        return "it is nested too deep";
    case simdjson::CAPACITY:
    case simdjson::MEMALLOC:
        return "it is too long";
    default:
        return "a comma, colon, bracket or brace is missing or unexpected";
    }
}

// How many lines must not fit before a shape that is seldom used gives way to another one: learning
// takes time.
enum { MISSES = 8 };

// Reads a line that fits one of the shapes. That one goes one place to the front.
bool read_by_shape(cm_event_json_t *json, cm_str_t text, cm_arena_t *arena, cm_event_t *event)
{
    for (unsigned i = 0; i < json->shape_count; i++) {
        if (!cm_shape_read(&json->shapes[json->order[i]], text, arena, event))
            continue;
        if (i > 0)
            std::swap(json->order[i], json->order[i - 1]);
        return true;
    }
    return false;
}

// Learns the shape of a line that fitted none. Where all places are taken, the last in
// order gives way, after some misses.
void learn_shape(cm_event_json_t *json, cm_str_t text)
{
    cm_shape_t shape;

    if (json->shape_count == SHAPES && ++json->misses < MISSES)
        return;
    json->misses = 0;
    cm_shape_learn(&shape, text, json->map);
    if (shape.count == 0)
        return;
    if (json->shape_count < SHAPES) {
        json->order[json->shape_count] = static_cast<unsigned char>(json->shape_count);
        json->shape_count++;
    }
    json->shapes[json->order[json->shape_count - 1]] = shape;
}

// Parses the text again, without the large numbers in fields that are not read.
bool parse_mended(cm_event_json_t *json, cm_str_t text, dom::element *root)
{
    std::unique_ptr<char[]> copy(new (std::nothrow) char[text.len + CM_EVENT_JSON_PADDING]());
    if (copy == nullptr)
        return false;
    memcpy(copy.get(), text.data, text.len);
    return cm_lenient_mend(copy.get(), text.len, json->map) &&
           json->parser.parse(copy.get(), text.len, false).get(*root) == SUCCESS;
}

// The error that is reported is that of the text as it came.
simdjson::error_code parse_text(cm_event_json_t *json, cm_str_t text, dom::element *root)
{
    // Newer versions skip a byte order mark, older ones do not. Files have lost theirs before.
    if (text.len >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0)
        return simdjson::TAPE_ERROR;
    auto code = json->parser.parse(text.data, text.len, false).get(*root);
    if (code == simdjson::MEMALLOC) // not an error of the text
        cm_out_of_memory();
    // These codes are for other errors. Newer versions have a code of its own for large numbers.
    const bool other = code == simdjson::UTF8_ERROR || code == simdjson::TAPE_ERROR ||
                       code == simdjson::UNCLOSED_STRING || code == simdjson::EMPTY;
    return code != SUCCESS && !other && parse_mended(json, text, root) ? SUCCESS : code;
}

// Everything that JSON allows: fills the event with the fields of the message.
int parse_object(cm_event_json_t *json, reading *into, cm_err_t *err)
{
    dom::element root;
    dom::object object;

    *into->event = cm_event_t{};
    auto code = parse_text(json, into->message, &root);
    // Newer versions have a code for a number that is too large, between these two.
    if (code >= simdjson::NUMBER_ERROR && code < simdjson::UTF8_ERROR)
        return cm_fail(err, CM_EREJECT, "not valid JSON, or a number in it is larger than 64 bits");
    if (code != SUCCESS)
        return cm_fail(err, CM_EREJECT, "not valid JSON: %s", words_of(code));
    if (root.get_object().get(object) != SUCCESS)
        return cm_fail(err, CM_EREJECT, "not a JSON object");
    int rc = take_members(into, object, into->message, {}, err);
    if (rc < 0)
        return rc;
    into->event->extra = cm_event_extra_keep(&into->extra, into->arena);
    return 0;
}

reading reading_of(const cm_event_json_t *json, cm_str_t text, cm_arena_t *arena, cm_event_t *event,
                   cm_event_json_visitor_t *seen)
{
    return {text, &json->times, json->map, arena, event, seen, {{}, -1}, false, 0};
}

// The full parser: it reads everything that JSON and the contract allow.
int parse_fully(cm_event_json_t *json, cm_str_t text, cm_arena_t *arena, cm_event_t *event,
                uint64_t *unknown, cm_err_t *err)
{
    cm_event_json_visitor_t seen = {};
    reading into = reading_of(json, text, arena, event, json->fill ? &seen : nullptr);

    int rc = parse_object(json, &into, err);
    if (rc < 0)
        return rc;
    if (!into.has_time)
        return cm_fail(err, CM_EREJECT, "timestamp is missing");
    if (seen.address.len > 0 || seen.agent.len > 0)
        rc = json->fill(json->fill_context, seen.address, seen.agent, arena, event);
    if (rc != CM_BOT_NONE)
        return rc;
    if ((rc = cm_event_check(event, true, err)) < 0)
        return rc;
    cm_event_complete(event);
    *unknown += into.unknown;
    return 0;
}

} // namespace

extern "C" int cm_event_json_parse(cm_event_json_t *json, cm_str_t text, cm_arena_t *arena,
                                   cm_event_t *event, uint64_t *unknown, cm_err_t *err)
{
    // Shapes read numbers as milliseconds.
    const bool fast = json->times.unit == CM_TIMESTAMP_AUTO || json->times.unit == CM_TIMESTAMP_MS;
    if (fast && read_by_shape(json, text, arena, event))
        return 0;
    int rc = parse_fully(json, text, arena, event, unknown, err);
    if (rc < 0)
        cm_event_map_explain(json->map, err);
    if (rc == 0 && fast)
        learn_shape(json, text);
    return rc;
}

extern "C" int cm_event_json_parse_partial(cm_event_json_t *json, cm_str_t text, cm_arena_t *arena,
                                           cm_event_t *event, cm_event_json_visitor_t *visitor,
                                           uint64_t *unknown, cm_err_t *err)
{
    reading into = reading_of(json, text, arena, event, visitor);

    *visitor = cm_event_json_visitor_t{};
    int rc = parse_object(json, &into, err);
    if (rc == 0 && into.has_time)
        rc = cm_timestamp_check(event->timestamp, err);
    if (rc == 0)
        *unknown += into.unknown;
    else
        cm_event_map_explain(json->map, err);
    return rc;
}
