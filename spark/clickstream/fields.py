"""The optional fields of the events: their rules, and which events are page views.

Answers are computed from page views alone. Other events matter where several copies of an event are
in a file: one of them may be the copy that counts (docs/contract.md, "Copies").
"""

from pyspark.sql import functions as f

from clickstream.contract import (ENGAGED_MAX, EXTRA, PROP_KEY, PROP_VALUE, PROPS, PROPS_OURS)

# A string, and a value of a property, in JSON (RFC 8259).
STRING = r'"(?:[^"\\\x00-\x1f]++|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*+"'
SCALAR = r"(?:%s|-?(?:0|[1-9][0-9]*+)(?:[.][0-9]++)?(?:[eE][+-]?[0-9]++)?|true|false|null)" % STRING
PAIR = r"\s*+%s\s*+:\s*+%s\s*+" % (STRING, SCALAR)
OBJECT = r"^\s*+(?:null|[{](?:\s*+|%s(?:,%s)*+)[}])\s*+$" % (PAIR, PAIR)


def is_view(types):
    """Whether an event is a page view."""
    return f.coalesce(f.col("name"), f.lit("")).isin("", "pageview") if "name" in types else f.lit(True)


def has(name, types):
    """Whether an optional field has a value. A stated "pageview" is the same as no name."""
    if name == "name":
        return ~is_view(types)
    if name == "props":
        return f.coalesce(f.size(properties(types)), f.lit(0)) > 0
    return f.coalesce(f.col(name).cast("string"), f.lit("")) != ""


def present(types):
    """The optional fields that the input has columns for, in the order of the contract."""
    return [name for name in (*EXTRA, "props", "engaged_ms") if name in types]


def properties(types):
    """The properties, decoded, without those that are null or empty. The column is a map whose values
    are JSON, as in Cassandra, or the JSON of an object."""
    if types["props"].startswith("map"):
        pairs = f.transform_values("props", lambda _, value: f.get_json_object(
            f.concat(f.lit('{"v":'), value, f.lit("}")), "$.v"))
    else:
        pairs = f.from_json("props", "map<string,string>")
    return f.map_filter(pairs, lambda _, value: value.isNotNull() & (value != ""))


def props_are_valid(types):
    found = properties(types)
    if types["props"].startswith("map"):
        scalars = f.forall(f.map_values("props"), lambda value: value.rlike("^" + SCALAR + "$"))
    else:
        scalars = f.col("props").rlike(OBJECT)
    counted = f.size(f.map_filter(found, lambda key, _: ~key.isin(*PROPS_OURS)))
    fit = f.forall(f.map_keys(found), lambda key: f.octet_length(key).between(1, PROP_KEY)) & f.forall(
        f.map_values(found), lambda value: f.octet_length(value) <= PROP_VALUE)
    absent = f.col("props").isNull() | (f.col("props").cast("string") == "")
    return absent | f.coalesce(scalars & (counted <= PROPS) & fit, f.lit(False))


def engaged_is_valid(types, unique):
    """The field is there exactly with the name "engagement". In Cassandra it may be left from an
    earlier event of the row."""
    text = f.coalesce(f.col("engaged_ms").cast("string"), f.lit(""))
    engagement = f.coalesce(f.col("name"), f.lit("")) == "engagement"
    right = text.rlike("^[0-9]{1,8}$") & (text.cast("int") <= ENGAGED_MAX)
    return f.when(engagement, right).otherwise(f.lit(True) if unique else text == "")


def are_valid(types, unique):
    """Whether the optional fields keep the rules."""
    valid = f.lit(True)
    for name, (_, most) in EXTRA.items():
        if name in types:
            valid = valid & f.coalesce(f.octet_length(f.col(name)) <= most, f.lit(True))
    if "props" in types:
        valid = valid & props_are_valid(types)
    if "name" in types and "engaged_ms" in types:
        valid = valid & engaged_is_valid(types, unique)
    return valid


def first_stated(types):
    """What follows the nine fields in the JSON of an event: the first optional field, or its end."""
    return f.coalesce(*[f.when(has(name, types), f.lit(', "%s"' % name)) for name in present(types)],
                      f.lit("}"))


def other_key(types):
    """Stands for the row key of an event that has none and is no page view. It is only compared with
    those of other events: they are equal when name, url and properties are."""
    parts = ["name", "url"]
    if "props" in types:
        parts.append(f.to_json(f.array_sort(f.map_entries(properties(types)))))
    parts = [f.coalesce(f.col(part) if isinstance(part, str) else part, f.lit("")) for part in parts]
    return f.sha1(f.encode(f.to_json(f.array(*parts)), "UTF-8"))
