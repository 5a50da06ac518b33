"""The program's answer to a question against that of SQL, cell by cell."""

import csv
import io
import math
import shlex
import time

import question as q
import question_sql

REAL = (*q.QUOTIENTS, *(name + "_before" for name in q.QUOTIENTS))
SHOWN = 8  # cells that are shown of an answer that differs


def ask(t, question, data="data"):
    """(heading, rows) of the CSV that the program prints."""
    out = t.clickmill("query", "--data", data, "--format", "csv", *question.arguments()).out
    rows = list(csv.reader(io.StringIO(out, newline="")))
    return rows[0], rows[1:]


def check(t, database, question, data="data"):
    """Fails unless the program's rows are those of SQL: equal cells, and the order that was asked for."""
    what = "query " + shlex.join(question.arguments())
    now = int(time.time() * 1000)
    wanted = question_sql.answer(database, question, now)
    heading, rows = ask(t, question, data)
    t.equal(heading, question.heading, "heading of " + what)
    width = len(question.columns)
    if question.step:
        rows = by_group(t, rows, width, what)
    t.equal([row[:width] for row in rows], [[question_sql.as_text(value) for value in row[:width]]
                                            for row in wanted], "groups of " + what)
    wrong = ["%s %s: expected %s, got %s" % (row[:width], name, wish, cell)
             for row, wish_row in zip(rows, wanted)
             for name, cell, wish in zip(heading[width:], row[width:], wish_row[width:])
             if not equal(name, cell, wish)]
    t.true(not wrong, "%d cells of %s\n%s" % (len(wrong), what, "\n".join(wrong[:SHOWN])))
    return len(rows)


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
