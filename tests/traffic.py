"""Random events that are difficult on purpose: late, repeated, with equal times, users in many countries."""

import json
import random
import uuid

START = 1772323200000  # 2026-03-01T00:00:00Z
SPAN = 4 * 86400000

COUNTRIES = ["France", "Spain", "Peru", "Côte d'Ivoire", "Congo, Dem. Rep.", "日本", "Unknown", "Chad"]
CITIES = ["Lyon", "Cusco", "Unknown", 'The "Hague"', "京都"]
BROWSERS = ["Firefox", "Chrome", "Safari", "Unknown"]
SYSTEMS = ["Linux", "Windows 11", "iOS 17.4"]
DEVICES = ["Desktop", "iPhone", "Unknown"]


def events(seed, count, users=2000, pages=60):
    """`count` events in order of arrival, as contract objects with every field but row_key, which
    some have. Copies are equal in every field."""
    chance = random.Random(seed)
    last = {}       # a user's latest time
    derived = set()  # (user, time) of events without a row key: there may be only one for each
    made = []
    while len(made) < count:
        kind = chance.random()
        if made and kind < 0.08:  # redelivered, soon or much later
            made.append(made[-chance.randint(1, min(len(made), 50))] if kind < 0.05
                        else chance.choice(made))
            continue
        # The square makes small numbers more frequent: a few users have long timelines.
        user = "user%d" % int(users * chance.random() ** 2)
        if user == "user7":
            user = "Ünï,\"7\""
        time = next_time(chance, kind, last.get(user))
        last[user] = max(time, last.get(user, 0))
        made.append(event(chance, user, time, pages, derived))
    return made


def next_time(chance, kind, latest):
    if latest is None or kind < 0.2:  # late, or the user's first event
        return START + chance.randrange(SPAN)
    if kind < 0.35:  # the same time as the previous event
        return latest
    if kind < 0.4:  # a gap of about the session timeout, one second more or less
        return latest + 1800000 + chance.choice((-1000, -1, 0, 1, 999, 1000, 1001))
    return min(latest + int(chance.expovariate(1 / 200000)), START + SPAN - 1)


def event(chance, user, time, pages, derived):
    made = {"user_id": user, "timestamp": time, "url": url(chance, pages),
            "country": chance.choice(COUNTRIES), "city": chance.choice(CITIES),
            "browser": chance.choice(BROWSERS), "os": chance.choice(SYSTEMS),
            "device": chance.choice(DEVICES)}
    kind = chance.random()
    if kind < 0.4 and (user, time) not in derived:
        derived.add((user, time))
    elif kind < 0.7:
        made["row_key"] = str(uuid.UUID(int=chance.getrandbits(128), version=4))
    else:
        made["row_key"] = "%s-%x" % (chance.choice(("a", "Z", "é", "0")), chance.getrandbits(64))
    return made


def url(chance, pages):
    page = int(pages * chance.random() ** 2)
    return "/page,%d" % page if page % 7 == 3 else "https://www.example.com/page/%d" % page


def widened(made, seed):
    """The same events; about half of them, each row key alike, have optional fields."""
    wide, fields = [], {}
    for entry in made:
        key = json.dumps(entry, sort_keys=True)
        if key not in fields:
            fields[key] = extra(random.Random("%s %s" % (seed, key)))
        wide.append({**entry, **fields[key]})
    return wide


def extra(chance):
    """Optional fields of an event, in the order in which they are exported; none for half of them."""
    kind = chance.random()
    if kind < 0.5:
        return {}
    made = {"name": chance.choice(("signup", "Käufe", "engagement"))} if kind < 0.8 else {}
    for field, values in (("referrer", ("https://www.google.com/", "android-app://com.slack/")),
                          ("utm_source", ("newsletter", 'a "b"')), ("utm_campaign", ("spring",)),
                          ("browser_version", ("125.0",)), ("region", ("Bavaria", "Île-de-France")),
                          ("language", ("de", "pt-BR"))):
        if chance.random() < 0.4:
            made[field] = chance.choice(values)
    if chance.random() < 0.4:
        made["props"] = {"plan": chance.choice(("pro", "é")), "value": chance.randrange(10 ** 6)}
    if made.get("name") == "engagement":
        made["engaged_ms"] = chance.randrange(86400001)
    return made


# Strings with another order in JSON: with escaped characters, and with characters less than a quote.
ODD = ("", "x", "x ", "x!", "x#", 'x"', "x\\", "x\\\\", "x\n", "x\b", "x\x0c", "x\x1f", "x\x7f", "xé", "x日")


def shared(seed, keys):
    """Different events with one row key, user and time: `keys` keys, derived ones and others, each
    of two to five events. In any order."""
    chance = random.Random(seed)
    made = []
    for number in range(keys):
        user, time = "sharer%d" % (number % 300), START + number * 1300 + chance.randrange(1300)
        own = {"row_key": "shared-%d" % number} if number % 2 else {}
        for _ in range(chance.choice((2, 2, 2, 3, 5))):
            made.append({
                **own, "user_id": user, "timestamp": time, "url": "/" + chance.choice(ODD),
                **{name: chance.choice(values) for name, values in (
                    ("country", ["Unknown", *ODD]), ("city", ["Unknown", *ODD]),
                    ("browser", BROWSERS), ("device", DEVICES)) if chance.random() < 0.5}})
    chance.shuffle(made)
    return made


def distinct(made, key):
    """The events with each row key once, the first of each."""
    seen, first = set(), []
    for entry in made:
        name = entry.get("row_key") or key(entry["user_id"], entry["timestamp"])
        if name not in seen:
            seen.add(name)
            first.append(dict(entry, row_key=name))
    return first
