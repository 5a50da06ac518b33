"""Times of questions in zones whose clocks change, and in zones that are no whole hours from UTC. Labels
are those of Python's zoneinfo."""

from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import question as q
import question_check

# Half and quarter hours; half an hour of summer time (Lord Howe), two (Troll), in winter (Dublin), in Ramadan
# (Casablanca); clocks that change at midnight (Cairo, Beirut, Havana, Santiago, Azores).
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Asia/Tehran",
         "Australia/Eucla", "America/St_Johns", "Pacific/Chatham", "Pacific/Marquesas", "Australia/Lord_Howe",
         "Antarctica/Troll", "Europe/Dublin", "Africa/Casablanca", "Africa/Cairo", "Asia/Beirut", "America/Havana",
         "America/Santiago", "Atlantic/Azores", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Pacific/Apia")
YEAR = 2026


def changes(zone):
    """Seconds at which the zone's clocks change in the year."""
    def at(second):
        return datetime.fromtimestamp(second, ZoneInfo(zone)).utcoffset()
    first = int(datetime(YEAR, 1, 1, tzinfo=timezone.utc).timestamp())
    found = []
    for day in range(first, first + 365 * 86400, 86400):
        left, right = day, day + 86400
        if at(left) != at(right):
            while right - left > 1:
                middle = (left + right) // 2
                left, right = (middle, right) if at(middle) == at(day) else (left, middle)
            found.append(right)
    return found


def dates(zone, of_months=True):
    """Dates around each change, and around ends of months and of the year."""
    near = [datetime.fromtimestamp(second, ZoneInfo(zone)).date() for second in changes(zone)]
    return sorted({day + timedelta(days=more) for day in near for more in (-1, 0, 1)} |
                  {day + timedelta(days=more) for day in (date(YEAR, 1, 1), date(YEAR, 3, 1))
                   for more in (-1, 0, 1, 2) if of_months})


def instants(zone):
    """Milliseconds at borders of days, of hours and of changes, and beside them."""
    borders = [q.first_instant(day, zone) for day in dates(zone)]
    for second in changes(zone):
        borders += [(second + more * 1800) * 1000 for more in range(-5, 6)]
    return sorted({at + more for at in borders for more in (-1, 0, 1)})


def test_labels(t):
    for zone in ZONES:
        times = instants(zone)
        data = zone.replace("/", "-")
        t.ingest([{"user_id": "u%d" % at, "row_key": "k%d" % at, "timestamp": at, "url": "/%d" % at} for at in times],
                 data=data)
        _, rows = question_check.ask(t, q.Question(by=["url", *q.TIME], measures=["clicks"], zone=zone), data)
        t.equal(sorted(rows), sorted([["/%d" % at, *(q.label(at, zone, name) for name in q.TIME), "1"]
                                      for at in times]), "labels in " + zone)


def test_days_and_their_hours(t):
    """A date begins at its first instant and has 23, 24 or 25 hours; each of its hours is a step."""
    lengths = set()
    for zone in ZONES:
        times = instants(zone)
        data = zone.replace("/", "-")
        t.ingest([{"user_id": "u", "row_key": "k%d" % at, "timestamp": at, "url": "/"} for at in times], data=data)
        for day in dates(zone, of_months=False):
            begin, end = (q.first_instant(day + timedelta(days=more), zone) for more in (0, 1))
            lengths.add((end - begin) / 3600000)
            inside = [q.label(at, zone, "hour") for at in times if begin <= at < end]
            question = q.Question(measures=["clicks"], start=day.isoformat(), end=(day + timedelta(days=1)).isoformat(),
                                  step="hour", zone=zone)
            _, rows = question_check.ask(t, question, data)
            t.equal(rows, [[label, str(inside.count(label))] for label in q.steps(begin, end - 1, zone, "hour")],
                    "hours of %s in %s" % (day, zone))
    t.equal(lengths, {22.0, 23.0, 23.5, 24.0, 24.5, 25.0, 26.0}, "lengths of days in hours")


def test_steps_of_dates(t):
    """Days, weeks and months of the zone, across changes of its clocks; empty ones are there."""
    for zone in ("Europe/Berlin", "America/Santiago", "Asia/Kathmandu", "Africa/Cairo"):
        times = instants(zone)
        data = zone.replace("/", "-")
        t.ingest([{"user_id": "u", "row_key": "k%d" % at, "timestamp": at, "url": "/"} for at in times], data=data)
        for step in ("day", "week", "month"):
            labels = [q.label(at, zone, step) for at in times]
            _, rows = question_check.ask(t, q.Question(measures=["clicks"], step=step, zone=zone), data)
            t.equal(rows, [[label, str(labels.count(label))]
                           for label in q.steps(times[0], times[-1], zone, step)], "%s in %s" % (step, zone))
