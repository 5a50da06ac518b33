// The bridge to simdjson for the answers of Elasticsearch, with a C face (elastic/json.h).
extern "C" {
#include "elastic/json.h"
}

#include <new>
#include <simdjson.h>

using simdjson::SUCCESS;
namespace dom = simdjson::dom;

struct cm_elastic_json {
    dom::parser parser;
};

extern "C" cm_elastic_json_t *cm_elastic_json_new(void)
{
    return new (std::nothrow) cm_elastic_json();
}

extern "C" void cm_elastic_json_free(cm_elastic_json_t *json)
{
    delete json;
}

namespace
{

// Parses a copy: the text needs no padding.
bool parse(cm_elastic_json_t *json, cm_str_t text, dom::object &object)
{
    dom::element root;
    return text.len > 0 && json->parser.parse(text.data, text.len, true).get(root) == SUCCESS &&
           root.get_object().get(object) == SUCCESS;
}

cm_str_t text_of(dom::object object, std::string_view key)
{
    std::string_view text;
    if (object[key].get_string().get(text) != SUCCESS)
        return cm_str_t{"", 0};
    return cm_str_t{text.data(), text.size()};
}

// The first of root_cause has the details that a reason such as "all shards failed" lacks.
cm_str_t cause_of(dom::object error)
{
    dom::object cause;
    if (error["caused_by"].get_object().get(cause) == SUCCESS)
        return text_of(cause, "reason");
    if (error["root_cause"].at(0).get_object().get(cause) == SUCCESS)
        return text_of(cause, "reason");
    return cm_str_t{"", 0};
}

// An error is an object, or, for questions that no handler has understood, a text.
bool take_reason(dom::element error, cm_elastic_reason_t *reason)
{
    dom::object object;
    std::string_view text;

    *reason = cm_elastic_reason_t{};
    if (error.get_string().get(text) == SUCCESS) {
        reason->reason = cm_str_t{text.data(), text.size()};
        return true;
    }
    if (error.get_object().get(object) != SUCCESS)
        return false;
    reason->type = text_of(object, "type");
    reason->reason = text_of(object, "reason");
    reason->cause = cause_of(object);
    if (cm_str_equal(reason->cause, reason->reason))
        reason->cause = cm_str_t{"", 0};
    return reason->type.len > 0 || reason->reason.len > 0;
}

// An item is an object whose only field is named like what was to be done.
bool open_item(dom::element item, dom::object &inside, int64_t &status)
{
    dom::object object;
    if (item.get_object().get(object) != SUCCESS || object.begin() == object.end())
        return false;
    return (*object.begin()).value.get_object().get(inside) == SUCCESS &&
           inside["status"].get_int64().get(status) == SUCCESS && status >= 100 && status <= 999;
}

} // namespace

extern "C" int cm_elastic_json_items(cm_elastic_json_t *json, cm_str_t body, size_t count,
                                     cm_elastic_item_fn take, void *context, cm_err_t *err)
{
    dom::object root, inside;
    dom::array items;
    int64_t status;
    size_t found = 0;

    if (!parse(json, body, root) || root["items"].get_array().get(items) != SUCCESS)
        return cm_fail(err, CM_ECORRUPT, "the answer to a bulk request has no items");
    for (dom::element item : items) {
        if (!open_item(item, inside, status))
            return cm_fail(err, CM_ECORRUPT, "item %zu of a bulk request's answer has no status",
                           found);
        found++;
    }
    if (found != count)
        return cm_fail(err, CM_ECORRUPT, "a bulk request of %zu documents has %zu answers", count,
                       found);
    found = 0;
    for (dom::element item : items) {
        cm_elastic_reason_t reason = {};
        dom::element error;
        open_item(item, inside, status);
        if (inside["error"].get(error) == SUCCESS)
            take_reason(error, &reason);
        if (int rc = take(context, found++, static_cast<int>(status), &reason, err); rc != 0)
            return rc;
    }
    return 0;
}

extern "C" bool cm_elastic_json_errors(cm_elastic_json_t *json, cm_str_t body, bool *errors)
{
    dom::object root;
    dom::element items;

    return parse(json, body, root) && root["items"].get(items) != SUCCESS &&
           root["errors"].get_bool().get(*errors) == SUCCESS;
}

extern "C" bool cm_elastic_json_reason(cm_elastic_json_t *json, cm_str_t body,
                                       cm_elastic_reason_t *reason)
{
    dom::object root;
    dom::element error;

    *reason = cm_elastic_reason_t{};
    if (!parse(json, body, root))
        return false;
    if (root["error"].get(error) == SUCCESS && take_reason(error, reason))
        return true;
    reason->reason = text_of(root, "message"); // Elastic Cloud's proxy says it so
    return reason->reason.len > 0;
}

extern "C" bool cm_elastic_json_version(cm_elastic_json_t *json, cm_str_t body, cm_str_t *number,
                                        cm_str_t *distribution)
{
    dom::object root, version;

    if (!parse(json, body, root) || root["version"].get_object().get(version) != SUCCESS)
        return false;
    *number = text_of(version, "number");
    *distribution = text_of(version, "distribution");
    return number->len > 0;
}

extern "C" bool cm_elastic_json_action(cm_elastic_json_t *json, cm_str_t line, cm_str_t *index,
                                       cm_str_t *id)
{
    dom::object root, inside;

    if (!parse(json, line, root) || root.begin() == root.end() ||
        (*root.begin()).value.get_object().get(inside) != SUCCESS)
        return false;
    *index = text_of(inside, "_index");
    *id = text_of(inside, "_id");
    return id->len > 0;
}
