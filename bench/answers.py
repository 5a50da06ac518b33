"""The answers of every engine in one form, so that they can be compared byte by byte.

A line a (url, country): clicks, users, sum and count of the time spent as integers, the average as
the bits of its double (empty where there is none). The lines are sorted by `sort` in the C locale,
which needs little memory however many there are.
"""

import csv
import itertools
import os
import subprocess


class Differ(Exception):
    """Two engines have different answers; the text shows the first differences."""


COLUMNS = {
    # Each engine's names of url, country, clicks, users, average, sum and count; positions where a
    # CSV has no header.
    "clickmill": ("url", "country", "clicks", "unique_user_count", "average_time_spent",
                  "time_spent_sum", "time_spent_count"),
    "peer": ("url", "country", "clicks", "users", "average", "total", "gaps"),
}


def normalize(source, target, kind):
    """Writes the canonical form of an engine's CSV (with a header). Returns the number of rows."""
    rows = 0
    with open(source, encoding="utf-8", newline="") as file, \
            open(target, "w", encoding="utf-8", newline="\n") as out:
        reader = csv.reader(file)
        header = next(reader, [])
        try:
            places = [header.index(name) for name in COLUMNS[kind]]
        except ValueError:
            raise Differ("%s has not the columns %s but %s" % (
                source, ", ".join(COLUMNS[kind]), ", ".join(header))) from None
        for row in reader:
            url, country, clicks, users, average, total, gaps = (row[place] for place in places)
            # Without a gap to add up a peer may write null or nan; the count says which.
            bits = float(average).hex() if int(gaps) else ""
            out.write("%s\t%s\t%d\t%d\t%d\t%d\t%s\n" % (
                url, country, int(clicks), int(users), int(total or 0), int(gaps), bits))
            rows += 1
    subprocess.run(["sort", "-S", "256M", "-T", os.path.dirname(target), "-o", target, target],
                   check=True, env=dict(os.environ, LC_ALL="C"))
    return rows


def compare(wanted, got, who):
    """Fails with Differ unless two canonical files are equal, byte for byte."""
    differences, rows = [], 0
    with open(wanted, "rb") as left, open(got, "rb") as right:
        for one, other in itertools.zip_longest(left, right, fillvalue=b""):
            rows += 1
            if one != other:
                differences.append("- %s\n+ %s" % (one.decode().rstrip("\n"),
                                                   other.decode().rstrip("\n")))
                if len(differences) == 5:
                    break
    if differences:
        raise Differ("%s: not the same answers; by row: url, country, clicks, users, sum, count, "
                     "average\n%s" % (who, "\n".join(differences)))
    if rows == 0:
        raise Differ("%s: no answers at all" % who)
