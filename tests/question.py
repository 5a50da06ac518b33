"""A question as data: the command line that asks it, and what both references (question_sql.py,
question_plain.py) need to answer it."""

import re
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from attribution import CAMPAIGN

EVENT = ("url", "path", "host", "country", "region", "city", "browser", "browser_version", "os", "os_version",
         "device", "language", "name", "referrer")
SESSION = ("source", "channel", *CAMPAIGN, "entry_page", "exit_page")
USER = ("first_source", "first_channel", "first_utm_campaign")
STEPS = ("hour", "day", "week", "month")
TIME = (*STEPS, "weekday", "hour_of_day")
DIMENSIONS = (*EVENT, *SESSION, *USER, *TIME)
NUMERIC = ("weekday", "hour_of_day")

COUNTERS = ("clicks", "unique_user_count", "time_spent_sum", "time_spent_count", "time_on_page_sum",
            "time_on_page_count", "entrances", "exits", "events", "event_user_count", "visits", "bounces",
            "visit_duration_sum", "engaged_ms_sum", "engaged_count", "new_user_count")
QUOTIENTS = {
    "average_time_spent": ("time_spent_sum", "time_spent_count"),
    "average_time_on_page": ("time_on_page_sum", "time_on_page_count"),
    "views_per_visit": ("clicks", "visits"),
    "bounce_rate": ("bounces", "entrances"),
    "average_visit_duration": ("visit_duration_sum", "entrances"),
    "average_engaged_ms": ("engaged_ms_sum", "engaged_count"),
}
MEASURES = (*COUNTERS, *QUOTIENTS)
OF_PROPERTY = ("sum", "count", "average", "left_out")
DEFAULT_MEASURES = ("unique_user_count", "visits", "clicks", "events")


def prop_name(key):
    """`props.KEY` as a question names it."""
    plain = re.fullmatch(r"[^\s,\"=!<>~()]+", key)
    return "props." + (key if plain else '"%s"' % key.replace('"', '""'))


def prop_key(dimension):
    """The key of `props.KEY`; None when the dimension is another one."""
    if not dimension.startswith("props."):
        return None
    key = dimension[len("props."):]
    return key[1:-1].replace('""', '"') if key.startswith('"') else key


@dataclass
class Condition:
    dimension: str
    op: str
    values: list = field(default_factory=list)
    quoted: bool = False

    def text(self):
        if self.op.startswith("is"):
            return "%s %s" % (self.dimension, self.op)
        if self.op.endswith("in"):
            return "%s %s (%s)" % (self.dimension, self.op, ", ".join(map(self.value, self.values)))
        return "%s %s %s" % (self.dimension, self.op, self.value(self.values[0]))

    def value(self, value):
        if self.quoted or value != value.strip() or set(value) & set('",()\n\t') or value == "":
            return '"%s"' % value.replace('"', '""')
        return value


CONDITION = re.compile(r'(props\."(?:[^"]|"")*"|[\w.:]+)\s*(=|!=|<=|>=|<|>|~|!~|not in|in|is not empty|is empty)\s*(.*)',
                       re.S)
NAME = re.compile(r'(?:[^,"]|"(?:[^"]|"")*")+')
VALUE = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^,)]*))\s*(?:,|\)|$)')


def condition(text):
    """The condition of a text as a user writes it."""
    dimension, op, rest = CONDITION.fullmatch(text).groups()
    if op.startswith("is"):
        return Condition(dimension, op)
    if not op.endswith("in"):
        return Condition(dimension, op, [rest[1:-1].replace('""', '"') if rest.startswith('"') else rest])
    values = [found.group(1).replace('""', '"') if found.group(1) is not None else found.group(2).strip()
              for found in VALUE.finditer(rest[1:]) if found.group(0)]
    return Condition(dimension, op, values)


@dataclass
class Question:
    by: list = field(default_factory=list)
    measures: list = field(default_factory=lambda: list(DEFAULT_MEASURES))
    where: list = field(default_factory=list)
    where_visit: list = field(default_factory=list)
    where_user: list = field(default_factory=list)
    start: str = None  # --from
    end: str = None  # --to
    step: str = None
    zone: str = "UTC"
    compare: str = None
    sort: str = None
    reverse: bool = False
    limit: int = 0
    offset: int = 0

    def arguments(self):
        """The options of `clickmill query` that ask it."""
        words = ["--by", ",".join(self.by), "--measures", ",".join(self.measures)]
        for option, conditions in (("--where", self.where), ("--where-visit", self.where_visit),
                                   ("--where-user", self.where_user)):
            for one in conditions:
                words += [option, one.text()]
        for option, value in (("--from", self.start), ("--to", self.end), ("--step", self.step),
                              ("--compare", self.compare), ("--sort", self.sort),
                              ("--tz", self.zone if self.zone != "UTC" else None),
                              ("--limit", self.limit), ("--offset", self.offset)):
            if value:
                # A value such as -7d begins like an option.
                words.append("%s=%s" % (option, value))
        return words + ["--reverse"] * self.reverse

    @property
    def columns(self):
        """The dimensions of a row: the step is the first one."""
        return ([self.step] if self.step else []) + self.by

    @property
    def heading(self):
        if not self.compare:
            return self.columns + self.measures
        return self.columns + [name + more for name in self.measures for more in ("", "_before", "_change")]

    def span(self, now=None):
        """[from, to) in ms; None is an open end."""
        return tuple(instant(text, self.zone, now) if text else None for text in (self.start, self.end))

    def before(self, now=None):
        """The span that it is compared with."""
        start, end = self.span(now)
        is_open, end = end is None, now if end is None else end
        if self.compare == "year":
            return moved(start, self.zone, a_year_before), moved(end, self.zone, end_a_year_before)
        if not is_midnight(start, self.zone) or not (is_open or is_midnight(end, self.zone)):
            return start - (end - start), start
        days = (local(end, self.zone).date() - local(start, self.zone).date()).days
        days += not is_midnight(end, self.zone)
        return tuple(moved(at, self.zone, lambda day: day - timedelta(days=days)) for at in (start, end))


def parse(words):
    """The question of a command line in the form of arguments(), or with `--option value`."""
    words, question = [part for word in words for part in
                       (word.split("=", 1) if re.match(r"--[a-z-]+=", word) else [word])], Question()
    names = {"--from": "start", "--to": "end", "--step": "step", "--tz": "zone", "--compare": "compare",
             "--sort": "sort", "--limit": "limit", "--offset": "offset"}
    if "--reverse" in words:
        words.remove("--reverse")
        question.reverse = True
    for option, value in zip(words[::2], words[1::2]):
        if option in ("--by", "--measures"):
            setattr(question, option[2:], [name for name in NAME.findall(value) if name])
        elif option in names:
            setattr(question, names[option], int(value) if option in ("--limit", "--offset") else value)
        else:
            getattr(question, option[2:].replace("-", "_")).append(condition(value))
    return question


# ---- time

def local(ms, zone):
    return datetime.fromtimestamp(ms // 1000, ZoneInfo(zone)).replace(microsecond=ms % 1000 * 1000)


def first_at(clock, zone):
    """Milliseconds of the first instant at which the zone's clock shows the time, or where it skips it.
    Clocks change at full quarters of an hour."""
    quarter = timedelta(minutes=15)
    second = int(clock.replace(microsecond=0, tzinfo=timezone.utc).timestamp()) // 900 * 900 - 26 * 3600

    def shown(at):
        return datetime.fromtimestamp(at, ZoneInfo(zone)).replace(tzinfo=None)
    while shown(second) < clock:
        second += 900
    if shown(second) - shown(second - 900) != quarter:
        return second * 1000
    return second * 1000 - (shown(second) - clock) // timedelta(milliseconds=1)


def first_instant(day, zone):
    """Milliseconds of the first instant of a date: midnight, or what comes instead of it."""
    return first_at(datetime(day.year, day.month, day.day), zone)


def is_midnight(ms, zone):
    return ms == first_instant(local(ms, zone).date(), zone)


def instant(text, zone, now):
    """The instant of --from or --to, in ms."""
    if text == "today":
        return first_instant(local(now, zone).date(), zone)
    ago = re.fullmatch(r"-(\d+)([dh])", text)
    if ago and ago.group(2) == "d":
        return first_instant(local(now, zone).date() - timedelta(days=int(ago.group(1))), zone)
    if ago:
        return now - int(ago.group(1)) * 3600000
    if len(text) == 10:
        return first_instant(date.fromisoformat(text), zone)
    passed = datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return passed // timedelta(milliseconds=1)


def a_year_before(day):
    return day.replace(year=day.year - 1, day=min(day.day, 28) if day.month == 2 else day.day)


def end_a_year_before(day):
    """The 28th is the last day of a span that ends before the 29th of February, and so it is a year before."""
    return date(day.year - 1, 3, 1) if (day.month, day.day) == (2, 29) else a_year_before(day)


def moved(ms, zone, change):
    """The same local time of another date."""
    at = local(ms, zone)
    if is_midnight(ms, zone):
        return first_instant(change(at.date()), zone)
    return first_at(datetime.combine(change(at.date()), at.time()), zone)


def label(ms, zone, name):
    """The text of an instant's hour, day, week, month, weekday or hour of the day."""
    at = local(ms, zone)
    return {"hour": at.strftime("%Y-%m-%d %H:00:00"), "day": at.strftime("%Y-%m-%d"),
            "week": (at.date() - timedelta(days=at.weekday())).isoformat(),
            "month": at.strftime("%Y-%m-01"), "weekday": str(at.isoweekday()),
            "hour_of_day": str(at.hour)}[name]


def steps(first, last, zone, name):
    """The labels from one instant to another, both included. Hours that the clock skips are none."""
    found, at = [label(first, zone, name)], first
    if name == "hour":
        while at + 900000 <= last:
            at += 900000
            found.append(label(at, zone, name))
        found.append(label(last, zone, name))
        return list(dict.fromkeys(found))
    day, end = date.fromisoformat(found[0]), date.fromisoformat(label(last, zone, name))
    while day < end:
        day = (day.replace(day=1) + timedelta(days=31)).replace(day=1) if name == "month" else \
            day + timedelta(days=7 if name == "week" else 1)
        found.append(day.isoformat())
    return found
