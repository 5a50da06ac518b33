"""Offsets of time zones by Python's zoneinfo, for tests/unit/base/test_zone_python.c.

Lines: `zone NAME`; `offset SECOND OFFSET`; `first LOCAL SECOND`, where LOCAL is a local time, counted
as if it were UTC, and SECOND the first instant at which the clock shows it or a later time.
"""

import datetime
import random
import zoneinfo

ZONES = [
    "UTC", "Europe/Berlin", "Europe/London", "Europe/Dublin", "America/New_York", "America/St_Johns",
    "America/Sao_Paulo", "America/Havana", "America/Caracas", "Asia/Beirut", "Asia/Tehran",
    "Asia/Kolkata", "Asia/Kathmandu", "Asia/Pyongyang", "Africa/Cairo", "Africa/Monrovia",
    "Africa/Casablanca", "Australia/Lord_Howe", "Antarctica/Troll", "Pacific/Apia",
    "Pacific/Chatham", "Pacific/Kiritimati", "Pacific/Kwajalein", "America/Scoresbysund",
]
UTC = datetime.timezone.utc
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)
FIRST, LAST, DAY = -86400, 4102444800, 86400


def offset(zone, second):
    moment = (EPOCH + datetime.timedelta(seconds=second)).astimezone(zone)
    return int(moment.utcoffset().total_seconds())


def changes(zone):
    """The first seconds of new offsets."""
    before = offset(zone, FIRST)
    for day in range(FIRST, LAST, DAY):
        after = offset(zone, day + DAY)
        if after == before:
            continue
        low, high = day, day + DAY
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if offset(zone, middle) == before else (low, middle)
        yield high
        before = after


def first(zone, local, near):
    naive = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=local)
    shown = []
    for fold in (0, 1):
        second = int((naive.replace(tzinfo=zone, fold=fold) - EPOCH).total_seconds())
        if second + offset(zone, second) == local:
            shown.append(second)
    return min(shown) if shown else near  # a time that is never shown is skipped by that change


def main():
    numbers = random.Random(19)
    for name in ZONES:
        zone = zoneinfo.ZoneInfo(name)
        print("zone", name)
        for second in [numbers.randrange(0, LAST) for _ in range(100)]:
            print("offset", second, offset(zone, second))
        for change in changes(zone):
            for second in (change - 1, change, change + 1):
                print("offset", second, offset(zone, second))
            local = change + offset(zone, change)
            for hour in range(local // 3600 - 26, local // 3600 + 27):
                if hour % 24 == 0 or abs(hour * 3600 - local) < 7200:
                    print("first", hour * 3600, first(zone, hour * 3600, change))


main()
