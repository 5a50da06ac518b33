"""Events with optional fields for the tests of Cassandra's columns and of Spark."""

import random

import oracle
import traffic

TEXTS = oracle.EXTRA[1:-2]


def mixed(seed, count):
    """Page views of which half have optional fields, events of other names, and engagement."""
    chance = random.Random(seed)
    made = []
    for number, event in enumerate(oracle.counted(traffic.events(seed, count)).values()):
        event = {name: event[name] for name in ("row_key", "user_id", "timestamp", "url")}
        kind = chance.randrange(8)
        if kind < 4:
            event.update({name: "%s %d" % (name, chance.randrange(5)) for name in chance.sample(TEXTS, 3)})
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


def key_of(event):
    """The row key, also one that follows from the event."""
    return oracle.whole(event)["row_key"]


def is_view(event):
    return "name" not in oracle.extras(event)


def nine(event):
    """The event as a table of nine columns has it."""
    return {name: value for name, value in oracle.whole(event).items() if name not in oracle.EXTRA}
