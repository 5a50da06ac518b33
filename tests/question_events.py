"""Random events with all fields and random questions about them; a seed always makes the same ones."""

import json
import random
from datetime import datetime, timedelta, timezone

import oracle
import question as q

# Days around changes of clocks, in pairs a year apart, as (first day, days).
PERIODS = ((datetime(2025, 3, 28), 4), (datetime(2025, 10, 24), 4), (datetime(2026, 3, 26), 6),
           (datetime(2026, 4, 3), 3))
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe",
         "Pacific/Chatham", "America/St_Johns", "Pacific/Kiritimati", "Africa/Casablanca", "Asia/Tehran")

PLACES = [("Peru", "Cusco", "Cusco"), ("Chad", None, None), ("Côte d'Ivoire", "Lagunes", "Abidjan"),
          ("日本", "Kyoto", "京都"), ("Congo, Dem. Rep.", None, "Goma"), (None, None, None)]
AGENTS = [("Firefox", "125.0", "Linux", None, "Desktop"), ("Chrome", "126", "Windows", "11", "Desktop"),
          ("Safari", "17.4", "iOS", "17.4.1", "iPhone"), (None, None, None, None, None),
          ('"Opera" (mini)', "9", "Android", "14", "*Phone?")]
URLS = ["https://shop.example/", "https://shop.example", "https://shop.example/a?x=1#part",
        "https://www.shop.example/b/c.html", "http://SHOP.example:8080/a", "https://shop.example./Ä,b (c)",
        "https://bücher.example/ü?utm_source=Google&utm_medium=cpc", "//cdn.example/x?y", "/cart", "/cart?step=2",
        "https://shop.example/a?utm_campaign=spring%20sale&mtm_source=News+Letter&pk_kwd=shoes",
        "https://shop.example/a?ref=friend.example", "https://shop.example/a?utm_term=&source=partner",
        "https://shop.example/a?gclid=1", "https://user:pass@shop.example/in", "https://[2001:DB8::1]:80/v6",
        'https://shop.example/"quoted"', "https://shop.example/*?a=*", "https://shop.example/a%20b/"]
REFERRERS = ["https://www.google.com/", "https://www.google.co.uk/search?q=a", "https://m.facebook.com/story",
             "android-app://com.google.android.gm/", "android-app://com.slack/", "https://chatgpt.com/",
             "https://www.bing.com/chat/x", "https://www.bing.com/chats", "https://shop.example/a",
             "https://WWW.shop.example:443/z", "https://news.example/post?id=1", "https://www.paypal.com/pay",
             "https://mail.google.com/", "about:blank", "https://t.co/x", "https://duckduckgo.com",
             "https://bücher.example/", "https://docs.google.com/"]
CAMPAIGNS = {"utm_source": ["google", "Facebook", "newsletter", "fb.com", "chatgpt.com", 'a "b", c'],
             "utm_medium": ["cpc", "email", "organic", "social-post", "PaidSocial", "print"],
             "utm_campaign": ["spring", "été*", "x?y"], "utm_term": ["shoes (red)"], "utm_content": ["top", "b"]}
NAMES = ["signup", "add to cart", "Käufe", "purchase"]
NUMBERS = ["10.50", "0", "-3", "1e3", "-0.000000001", "999999999999999999", "0.1", "2.5E-3", "7",
           "12345678901234567890", "1e400", "0.0000000001", "-0", "1E+2"]
TEXTS = ["ten", "10.50", " 3", "3 ", "0x1F", "1.", "+1", "true", "é", "a,b", 'say "x"', "*", "??", "-0.5e1", "01"]
KEYS = ["value", "plan", "order.total", "a,b", 'k"q"', "mixed"]


class Written:
    """A number of JSON as it was written."""

    def __init__(self, text):
        self.text = text

    def __str__(self):
        return self.text

    def __eq__(self, other):
        return isinstance(other, Written) and self.text == other.text

    def __hash__(self):
        return hash(self.text)


def read(lines):
    """Events of JSON lines; numbers of properties keep their text."""
    made = []
    for line in lines:
        event = json.loads(line, parse_float=Written, parse_int=Written)
        for name in ("timestamp", "engaged_ms"):
            if name in event:
                event[name] = int(str(event[name]))
        made.append(event)
    return made


def written(events):
    """The events as JSON lines."""
    return "".join("{%s}\n" % ", ".join(
        "%s: %s" % (oracle.json_text(name), oracle.json_object(value.items()) if name == "props" else
                    oracle.json_text(value)) for name, value in event.items()) for event in events)


def events(seed, count, users):
    """Visits of page views with other events and engagement between them, in order of arrival. A tenth
    comes late, and some events come twice."""
    chance, made = random.Random(seed), []
    while len(made) < count:
        user = "user%d" % int(users * chance.random() ** 2)
        made += visit(chance, "Ünï,\"7\"" if user == "user7" else user, len(made))
    for _ in range(count // 10):
        one, other = chance.randrange(len(made)), chance.randrange(len(made))
        made[one], made[other] = made[other], made[one]
    return made + [dict(event) for event in chance.choices(made, k=count // 50)]


def visit(chance, user, number):
    begin, days = chance.choice(PERIODS)
    time = int(begin.replace(tzinfo=timezone.utc).timestamp() * 1000)
    # In a busy hour many visits are cut by the end of a span.
    time += 130000000 + chance.randrange(3600000) if chance.random() < 0.4 else chance.randrange(days * 86400000)
    if chance.random() < 0.2:  # at a border of an hour in some zone, or a millisecond beside it
        time = time // 900000 * 900000 + chance.choice((-1, 0, 1))
    country, region, city = chance.choice(PLACES)
    browser, browser_version, os, os_version, device = chance.choice(AGENTS)
    same = {"country": country, "city": city, "browser": browser, "os": os, "device": device, "region": region,
            "browser_version": browser_version, "os_version": os_version,
            "language": chance.choice(("de", "pt-BR", None))}
    made, url = [], chance.choice(URLS)
    for at in range(min(12, 1 + int(chance.expovariate(0.5)))):
        if chance.random() < 0.7:
            url = chance.choice(URLS[:chance.choice((3, len(URLS)))])
        event = {"row_key": "%s%x-%d-%d" % (chance.choice(("", "é", "Z")), chance.getrandbits(40), number, at),
                 "user_id": user, "timestamp": time, "url": url}
        event.update(of_kind(chance, chance.random()))
        if chance.random() < (0.6 if at == 0 else 0.2):
            event["referrer"] = chance.choice(REFERRERS)
        for name, values in CAMPAIGNS.items():
            if chance.random() < 0.1:
                event[name] = chance.choice(values)
        event.update((name, value) for name, value in same.items() if value is not None)
        made.append(event)
        time += gap(chance)
    return made


def of_kind(chance, kind):
    """Name, properties and engaged time of an event."""
    found = {}
    if kind > 0.65:
        found["name"] = "engagement" if kind > 0.85 else chance.choice(NAMES)
    if kind > 0.85:
        found["engaged_ms"] = chance.choice((0, 1, 2, 3, 15000, 86400000, chance.randrange(100000)))
    elif chance.random() < 0.5:
        found["props"] = {key: prop(chance, key) for key in sorted(chance.sample(KEYS, 3), key=str.encode)}
    return found


def prop(chance, key):
    if key == "plan":
        return chance.choice(("pro", "team", True, False))
    return Written(chance.choice(NUMBERS)) if chance.random() < 0.7 else chance.choice(TEXTS)


def gap(chance):
    kind = chance.random()
    if kind < 0.2:
        return 0
    if kind < 0.35:
        return 1800000 + chance.choice((-1000, -1, 0, 1, 999, 1000, 1001))
    return int(chance.expovariate(1 / 300000))


# ---- questions

class Asker:
    """Makes questions about these events: dimensions, and values that they have."""

    def __init__(self, seed, lines):
        """`lines`: the timelines of the plain reference."""
        import question_plain
        self.chance, self.lines, self.value = random.Random(seed), lines, question_plain.value
        self.properties = [q.prop_name(key) for key in KEYS]

    def question(self):
        chance = self.chance
        made = q.Question(zone=chance.choice(ZONES))
        names = q.DIMENSIONS + tuple(self.properties)
        made.by = chance.sample(names, chance.choice((0, 1, 1, 1, 2, 2, 3)))
        made.measures = chance.sample(q.MEASURES, chance.randint(1, 6)) + (
            ["%s:%s" % (kind, chance.choice(self.properties)) for kind in chance.sample(q.OF_PROPERTY, 2)]
            if chance.random() < 0.3 else [])
        for conditions, often in ((made.where, 0.55), (made.where_visit, 0.15), (made.where_user, 0.15)):
            while chance.random() < often and len(conditions) < 3:
                conditions.append(self.condition(made.zone))
        if chance.random() < 0.5:
            made.start = self.end(made.zone)
        if chance.random() < 0.5:
            made.end = self.end(made.zone)
        self.steps(made)
        if chance.random() < 0.3:
            made.sort, made.reverse = chance.choice(made.measures + made.by), chance.random() < 0.3
        if made.by and chance.random() < 0.3:
            made.limit, made.offset = chance.randint(1, 8), chance.choice((0, 0, 1, 3))
        return made

    def condition(self, zone):
        chance = self.chance
        name = chance.choice(q.DIMENSIONS + tuple(self.properties) * 3 + ("engaged_ms",))
        ops = ["is empty", "is not empty"]
        numbers = name.startswith("props.") or name in q.TIME or name == "engaged_ms"
        if name != "engaged_ms":
            ops += ["=", "=", "!=", "in", "not in"] + ["~", "!~"] * (name not in q.TIME)
        if numbers:
            ops += ["<", "<=", ">", ">="]
        op = chance.choice(ops)
        made = q.Condition(name, op, quoted=chance.random() < 0.2)
        if op.startswith("is"):
            return made
        if op in ("<", "<=", ">", ">=") and name not in q.TIME:
            made.values = [chance.choice([text for text in NUMBERS[:9]] if name != "engaged_ms" else
                                         ["0", "1", "15000", "99999"])]
            return made
        count = chance.randint(1, 4) if op.endswith("in") else 1
        made.values = [self.some(name, zone) for _ in range(count)]
        if op.endswith("~"):
            made.values = [self.pattern(made.values[0])]
        return made

    def some(self, name, zone):
        """A value that an event has; sometimes one that none has."""
        for _ in range(20):
            found = self.value(self.chance.choice(self.lines), name, zone)
            if found is not None:
                return found
        return "none at all"

    def pattern(self, text):
        chance = self.chance
        for _ in range(chance.randint(1, 3)):
            at = chance.randint(0, len(text))
            text = text[:at] + chance.choice("*?*") + text[at + chance.randint(0, 4):]
        return text

    def end(self, zone):
        """A date or a time of the events' days."""
        chance, at = self.chance, self.chance.choice(self.lines).ms
        if chance.random() < 0.5:
            return q.local(at, zone).date().isoformat()
        at += chance.choice((0, 0, 1, -1, 777))
        shift = timedelta(minutes=chance.choice((0, 0, 345, -210, 840)))
        text = (datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=at)).astimezone(timezone(shift))
        return text.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def steps(self, made):
        """A step and a comparison, where the span is short enough for it."""
        chance = self.chance
        start, end = made.span()
        if start is not None and start == end:
            made.end = end = None
        closed = start is not None and end is not None
        if closed and start > end:
            made.start, made.end, start, end = made.end, made.start, end, start
        days = (end - start) / 86400000 if closed else 500
        if closed and chance.random() < 0.4:
            made.compare = chance.choice(("previous", "year"))
        if chance.random() < 0.3 and len(made.by) < 3:
            made.step = chance.choice(("hour", "day", "week", "month") if days < 8 else ("day", "week", "month")
                                      if days < 40 or not made.by else ("month",))
            made.by = [name for name in made.by if name != made.step]
            if made.sort == made.step:
                made.sort = None
