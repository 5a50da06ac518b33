"""Answers to questions by straight loops over each user's events: a second reference, which shares no
code with the program and none with the SQL of question_sql.py (only attribution.py, and question.py
for what is asked). It makes groups and their measures; it knows no steps, order and comparison."""

import uuid
from fractions import Fraction

import attribution
import question as q

SESSION = 1800


class Line:
    """An event in its user's timeline."""

    def __init__(self, event):
        self.event, self.user, self.ms = event, event["user_id"], event["timestamp"]
        self.second, self.url = self.ms // 1000, event["url"]
        self.name = event.get("name") or "pageview"
        self.is_view = self.name == "pageview"
        self.props = {key: prop_text(value) for key, value in (event.get("props") or {}).items()
                      if value is not None and value != ""}
        self.key = event.get("row_key") or self.derived()
        self.visit = self.after = self.engaged = self.person = None
        self.begins = self.ends = self.is_new = False

    def derived(self):
        name = "%s_%d" % (self.user, self.ms)
        if not self.is_view:
            props = ""
            if self.props:
                from oracle import json_object  # the canonical form is the contract's, not a question's
                props = json_object(sorted(((key, self.event["props"][key]) for key in self.props),
                                           key=lambda prop: prop[0].encode()))
            name += "_" + "".join("%d:%s" % (len(part.encode()), part) for part in (self.name, self.url, props))
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))

    def origin(self):
        event = self.event
        utm = attribution.campaign(event)
        source, channel = attribution.origin(self.url, event.get("referrer"), tuple(utm.values()))
        return {**utm, "source": source, "channel": channel}


class Visit:
    def __init__(self, first):
        self.views, self.credited = [first], first.origin()

    def value(self, name):
        if name == "entry_page":
            return self.views[0].url
        return self.views[-1].url if name == "exit_page" else self.credited[name]

    @property
    def duration(self):
        return self.views[-1].second - self.views[0].second


def prop_text(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


def timelines(events):
    """All events that count, each user's in order, with what neighbours and visits make of them. Copies
    must be equal."""
    users = {}
    for event in events:
        line = Line(event)
        users.setdefault(line.user, {})[line.key, line.ms] = line
    everything = []
    for lines in users.values():
        lines = sorted(lines.values(), key=lambda line: (line.ms, 0 if line.is_view else 1, line.key.encode()))
        walk(lines)
        everything += lines
    return everything


def walk(lines):
    """One user's timeline."""
    latest, of_url, person = None, {}, None
    for line in lines:
        if line.is_view:
            if latest is None:
                person = line.origin()
                line.is_new = True
            else:
                latest.after = line.second - latest.second
            if latest is None or latest.after > SESSION:
                line.begins = True
                if latest is not None:
                    latest.ends = True
                line.visit = Visit(line)
            else:
                line.visit = latest.visit
                line.visit.views.append(line)
            latest = of_url[line.url] = line
            continue
        if latest is not None and line.second - latest.second <= SESSION:
            line.visit = latest.visit
        if line.name == "engagement" and line.url in of_url:
            view = of_url[line.url]
            view.engaged = max(view.engaged or 0, int(line.event["engaged_ms"]))
    if latest is not None:
        latest.ends = True
    for line in lines:
        line.person = person


def value(line, name, zone):
    """The text of a dimension; None: absent."""
    event = line.event
    key = q.prop_key(name)
    if key is not None:
        return line.props.get(key)
    if name in q.TIME:
        return q.label(line.ms, zone, name)
    if name in q.SESSION:
        return line.visit.value(name) if line.visit else None
    if name in q.USER:
        return line.person[name.removeprefix("first_")] if line.person else None
    if name in ("country", "city", "browser", "os", "device"):
        return event.get(name) or "Unknown"
    if name == "name":
        return line.name
    if name == "engaged_ms":
        return None if line.engaged is None else str(line.engaged)
    if name == "path":
        return attribution.path_of(line.url)
    if name == "host":
        return attribution.host_of(line.url) or None
    if name == "referrer":
        return attribution.external(line.url, event.get("referrer"))
    return event.get(name) or None


def like(text, pattern):
    """Whether the whole text matches: `*` is any text, `?` one character."""
    places = {0}
    for char in pattern:
        if char == "*":
            places = set(range(min(places), len(text) + 1)) if places else places
        else:
            places = {at + 1 for at in places if at < len(text) and char in ("?", text[at])}
    return len(text) in places


def number(text):
    """The value of a number by JSON's grammar, of 18 digits before and 9 after the point; else None."""
    if text is None:
        return None
    rest = text.removeprefix("-")
    mantissa, mark, exponent = rest.replace("E", "e").partition("e")
    whole, point, part = mantissa.partition(".")
    digits = "0123456789"
    sign = exponent[:1] in ("+", "-")
    good = (whole and not whole.strip(digits) and (whole == "0" or whole[0] != "0") and not part.strip(digits) and
            bool(part) == bool(point) and not exponent[sign:].strip(digits) and bool(exponent[sign:]) == bool(mark))
    if not good:
        return None
    if not (whole + part).strip("0"):
        return Fraction(0)
    if mark and abs(int(exponent)) > 1000:
        return None
    found = Fraction(int(whole + part)) / 10 ** len(part) * Fraction(10) ** int(exponent or 0)
    if found >= 10 ** 18 or (found * 10 ** 9).denominator != 1:
        return None
    return -found if text.startswith("-") else found


def holds(condition, line, zone):
    found, op = value(line, condition.dimension, zone), condition.op
    if op == "is empty":
        return found is None
    if op == "is not empty":
        return found is not None
    if op in ("=", "in"):
        return found is not None and found in condition.values
    if op in ("!=", "not in"):
        return found is None or found not in condition.values
    if op == "~":
        return found is not None and like(found, condition.values[0])
    if op == "!~":
        return found is None or not like(found, condition.values[0])
    left, right = found, condition.values[0]
    if condition.dimension not in q.STEPS:
        left, right = number(left), number(right)
    if left is None:
        return False
    return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[op]


def selected(lines, question, span):
    zone = question.zone
    inside = [line for line in lines if (span[0] is None or line.ms >= span[0]) and
              (span[1] is None or line.ms < span[1])]
    chosen = [line for line in inside if all(holds(one, line, zone) for one in question.where)]
    for one in question.where_visit:
        visits = {id(line.visit) for line in inside if line.visit and holds(one, line, zone)}
        chosen = [line for line in chosen if line.visit and id(line.visit) in visits]
    for one in question.where_user:
        users = {line.user for line in inside if holds(one, line, zone)}
        chosen = [line for line in chosen if line.user in users]
    return chosen


def measured(lines, name):
    """A measure of a group of events."""
    views = [line for line in lines if line.is_view]
    gaps = [view.after for view in views if view.after is not None]
    near = [gap for gap in gaps if gap <= SESSION]
    begun = [view for view in views if view.begins]
    engaged = [view.engaged for view in views if view.engaged is not None]
    events = [line for line in lines if line.name != "engagement"]
    visits = len({id(view.visit) for view in views})
    bounces = sum(len(view.visit.views) == 1 for view in begun)
    duration = sum(view.visit.duration for view in begun)

    def ratio(total, count):
        return None if count == 0 else float(Fraction(total) / count)
    if ":" in name:
        kind, key = name.split(":", 1)
        texts = [line.props[q.prop_key(key)] for line in lines if q.prop_key(key) in line.props]
        numbers = [found for found in map(number, texts) if found is not None]
        return {"sum": sum(numbers, Fraction(0)), "count": len(numbers), "left_out": len(texts) - len(numbers),
                "average": ratio(sum(numbers, Fraction(0)), len(numbers))}[kind]
    return {
        "clicks": len(views), "unique_user_count": len({view.user for view in views}),
        "time_spent_sum": sum(gaps), "time_spent_count": len(gaps),
        "average_time_spent": ratio(sum(gaps), len(gaps)),
        "time_on_page_sum": sum(near), "time_on_page_count": len(near),
        "average_time_on_page": ratio(sum(near), len(near)),
        "entrances": len(begun), "exits": sum(view.ends for view in views),
        "events": len(events), "event_user_count": len({line.user for line in events}),
        "visits": visits, "views_per_visit": ratio(len(views), visits), "bounces": bounces,
        "bounce_rate": ratio(bounces, len(begun)), "visit_duration_sum": duration,
        "average_visit_duration": ratio(duration, len(begun)),
        "engaged_ms_sum": sum(engaged), "engaged_count": len(engaged),
        "average_engaged_ms": ratio(sum(engaged), len(engaged)),
        "new_user_count": sum(view.is_new for view in views)}[name]


def answer(lines, question, span=None):
    """Measures by group; without dimensions the group () is always there."""
    found = {} if question.by else {(): []}
    for line in selected(lines, question, span or question.span()):
        found.setdefault(tuple(value(line, name, question.zone) for name in question.by), []).append(line)
    return {group: [measured(own, name) for name in question.measures] for group, own in found.items()
            if not question.by or any(line.name != "engagement" for line in own)}
