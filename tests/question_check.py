"""The program's answer to a question against that of SQL, cell by cell."""

import csv
import io
import math
import shlex
import time

import question as q
import question_sql

SHOWN = 12  # differences that are shown of an answer that differs


def ask(t, question, data="data"):
    """(heading, rows) of the CSV that the program prints."""
    return table(t.clickmill("query", "--data", data, "--format", "csv", *question.arguments()).out)


def table(text):
    """(heading, rows) of CSV."""
    rows = list(csv.reader(io.StringIO(text, newline="")))
    return rows[0], rows[1:]


def check(t, database, question, asked=None):
    """Fails unless the program's rows are those of SQL: equal cells, and the order that was asked for.
    `asked` asks in another way than the command line."""
    what = "query " + shlex.join(question.arguments())
    now = int(time.time() * 1000)
    wanted = question_sql.answer(database, question, now)
    heading, rows = asked(question) if asked else ask(t, question)
    t.equal(heading, question.heading, "heading of " + what)
    width = len(question.columns)
    if question.step:
        rows = by_group(t, rows, width, what)
    wrong = differences(heading, width, rows, wanted)
    t.true(not wrong, "%d differences of %s\n%s" % (len(wrong), what, "\n".join(wrong[:SHOWN])))
    return len(rows)


def differences(heading, width, rows, wanted):
    """What differs, in words: cells of the groups of both, groups of one, else their order."""
    wanted_groups = [[question_sql.as_text(value) for value in row[:width]] for row in wanted]
    by_group = {tuple(row[:width]): row[width:] for row in rows}
    found = []
    for group, figures in zip(wanted_groups, (row[width:] for row in wanted)):
        cells = by_group.pop(tuple(group), None)
        if cells is None:
            found.append("%s is missing: %s" % (group, figures))
            continue
        found += ["%s %s: expected %s, got %s" % (group, name, wish, cell)
                  for name, cell, wish in zip(heading[width:], cells, figures) if not equal(name, cell, wish)]
    found += ["%s is too many: %s" % (list(group), cells) for group, cells in by_group.items()]
    if found or [row[:width] for row in rows] == wanted_groups:
        return found
    return ["row %d is %s, expected %s" % (at, row[:width], group)
            for at, (row, group) in enumerate(zip(rows, wanted_groups)) if row[:width] != group]


def equal(name, cell, wanted):
    """Whether a cell is the figure: counts and sums as text, averages and rates to the last bit."""
    if wanted is None or not isinstance(wanted, float):
        return cell == question_sql.as_text(wanted)
    if cell == "":
        return False
    # The change of an average may be that of the doubles.
    if name.endswith("_change") and name.removesuffix("_change") not in q.COUNTERS:
        return math.isclose(float(cell), wanted, rel_tol=1e-9, abs_tol=1e-9)
    return float(cell) == wanted


def by_group(t, rows, width, what):
    """Rows with steps as groups, each with all its steps. The groups of each step have the same order."""
    groups, labels = {}, {}
    for row in rows:
        groups.setdefault(tuple(row[1:width]), []).append(row)
        labels.setdefault(row[0], []).append(tuple(row[1:width]))
    for order in labels.values():
        t.equal(order, list(groups), "groups of a step of " + what)
    return [row for group in groups.values() for row in group]
