"""Events with optional fields, what `export` writes of them, and which of their copies count."""

import json
import random
import uuid

import oracle
import traffic

TEXTS = ("name", "referrer", "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content",
         "browser_version", "os_version", "region", "language")
EXTRA = (*TEXTS, "props", "engaged_ms")


def key_of(event):
    """The row key that an event has, or that follows from it."""
    if event.get("row_key") or event.get("name", "pageview") == "pageview":
        return event.get("row_key") or oracle.row_key(event["user_id"], event["timestamp"])
    parts = (event["name"], event["url"], props_of(event))
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, "%s_%d_%s" % (event["user_id"], event["timestamp"], "".join(
        "%d:%s" % (len(part.encode()), part) for part in parts))))


def props_of(event):
    props = event.get("props")
    return json.dumps(props, sort_keys=True, ensure_ascii=False) if props else ""


def canonical(event):
    """The line of `export`."""
    line = oracle.canonical(dict(event, row_key=key_of(event)))[:-1]
    for name in EXTRA:
        if name in event and (name, event[name]) != ("name", "pageview"):
            line += ', "%s": %s' % (name, props_of(event) if name == "props" else json.dumps(
                event[name], ensure_ascii=False))
    return line + "}"


def is_view(event):
    return event.get("name", "pageview") == "pageview"


def mixed(seed, count):
    """Page views of which half have optional fields, events of other names, and engagement."""
    chance = random.Random(seed)
    made = []
    for number, event in enumerate(oracle.counted(traffic.events(seed, count)).values()):
        event = {name: value for name, value in event.items() if name not in oracle.OPTIONAL}
        kind = chance.randrange(8)
        if kind < 4:
            event.update({name: "%s %d" % (name, chance.randrange(5))
                          for name in chance.sample(TEXTS[1:], 3)})
        if kind == 4:
            event["name"] = "pageview"
        if kind == 5:
            event.update(name="add to \"cart\"", props={
                "n": number, "price": 1.5, "sale": chance.random() < 0.5, "text": "3", "ä": "\n\\"})
        if kind == 6:
            event.update(name="engagement", engaged_ms=chance.choice((0, 1234, 86400000)))
        if kind == 7:
            event.update(props={"plan": "pro"}, referrer="https://a.example/?q=%d" % number)
        if kind in (5, 6) and number % 2:
            del event["row_key"]
        made.append(event)
    return made


def counted_views(events):
    """The page views that count, as the oracle takes them: where several events have one row key, it may
    be another one that counts."""
    copies = {}
    for event in events:
        place = key_of(event), event["user_id"], event["timestamp"]
        copies[place] = max(copies.get(place, (-1, b"", None)), rank(event), key=lambda found: found[:2])
    return [dict(event, row_key=place[0]) for place, (_, _, event) in copies.items() if is_view(event)]


def rank(event):
    """Of copies the one with the greatest counts: more stated fields, then greater JSON."""
    text = canonical(event).encode()
    stated = sum(name in json.loads(text) for name in EXTRA)
    return stated + sum(oracle.whole(event)[name] != "Unknown" for name in oracle.OPTIONAL), text, event
