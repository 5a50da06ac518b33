"""Questions asked with a few events: tests/questions/NAME.txt.

A file contains events in the form of the golden tests (goldens.py), questions, and the exact CSV that
`clickmill query` prints for them, without its heading:

    # The subject of the test.
    events
    ann | 2026-03-01T10:00:00Z | /a | France | key-1 | {"name": "order"}
    $ --by country --measures events,clicks
    France,1,0

The numbers are those of the contract, by hand. Instead of events there can be a file of another format:
`input NAME OPTIONS` and its lines, `account READ ACCEPTED REJECTED`, and `dead WORD COUNT` for the dead
letters whose reason has that word. Events are stored in three ways, in their order, reversed, and one by
one; both references must say the same, too.
"""

import csv
import io
import os
import shlex

import goldens
import oracle
import question as q
import question_events
import question_plain
import question_sql
from harness import ROOT

DIRECTORY = os.path.join(ROOT, "tests", "questions")


class Case:
    def __init__(self, path):
        self.events, self.input, self.lines, self.account, self.dead, self.questions = [], None, [], None, [], []
        section = None
        with open(path, encoding="utf-8") as file:
            for line in file.read().splitlines():
                word, _, rest = line.partition(" ")
                if line.startswith("#") or not line.strip():
                    continue
                if word == "events" and not rest:
                    section = "events"
                elif word == "input":
                    self.input, section = shlex.split(rest), "input"
                elif word == "account":
                    self.account = [int(number) for number in rest.split()]
                elif word == "dead":
                    self.dead.append(rest.split())
                elif word == "$":
                    self.questions.append((shlex.split(rest), []))
                    section = "rows"
                elif section == "events":
                    self.events.append(event(line))
                elif section == "input":
                    self.lines.append(line + "\n")
                else:
                    self.questions[-1][1].append(line)


def event(line):
    """An event of a golden test; numbers of its properties keep their text, its time is in ms."""
    made = goldens.event(line)
    more = line.split(" | ")[5:]
    if more:
        made.update(question_events.read([more[0]])[0])
    if isinstance(made["timestamp"], str):
        made["timestamp"] = oracle.milliseconds(made["timestamp"])
    return made


def csv_text(rows):
    """Rows of an answer as the program prints them."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(
        [[question_sql.as_text(value) for value in row] for row in rows])
    return out.getvalue()


def check(t, path):
    case = Case(path)
    places = [store(t, case)] if case.input else [store_events(t, case.events, name)
                                                  for name in ("forward", "backward", "single")]
    t.true(case.questions, "no questions")
    if not case.input:
        check_references(t, case)
    for words, rows in case.questions:
        heading = ",".join(csv_field(name) for name in q.parse(words).heading)
        for data in places:
            out = t.clickmill("query", "--data", data, "--format", "csv", *words).out
            t.equal(out, "".join(row + "\n" for row in [heading, *rows]),
                    "%s, %s" % (data, shlex.join(words)))


def csv_field(name):
    return '"%s"' % name.replace('"', '""') if set(name) & set(',"') else name


def check_references(t, case):
    """Both references against the file."""
    database, lines = question_sql.load(case.events, t.dir), question_plain.timelines(case.events)
    for words, rows in case.questions:
        question = q.parse(words)
        text = "".join(row + "\n" for row in rows)
        t.equal(csv_text(question_sql.answer(database, question)), text, "SQL, " + shlex.join(words))
        if not (question.step or question.compare):
            groups = [[*group, *numbers] for group, numbers in question_plain.answer(lines, question).items()]
            t.equal(sorted(plain_text(groups).splitlines()), sorted(rows), "plain, " + shlex.join(words))


def plain_text(rows):
    """Fractions are decimals, or whole numbers."""
    return csv_text([[question_sql.Decimal(value.numerator) / value.denominator
                      if isinstance(value, question_sql.Fraction) else value for value in row] for row in rows])


def store_events(t, events, data):
    """Stores the events in the way that the directory's name says."""
    batches = {"forward": [events], "backward": [events[::-1]], "single": [[one] for one in events]}[data]
    for batch in batches:
        t.ingest(question_events.written(batch), data=data)
    return data


def store(t, case):
    name, *options = case.input
    path = t.write(name, "".join(case.lines))
    account = t.clickmill("import", "--data", "data", "--json", *options, path, check=None).json
    if case.account:
        t.equal([account[name] for name in ("read", "accepted", "rejected")], case.account, "account")
    for word, count in case.dead:
        letters = t.clickmill("dead", "--data", "data", "list").out.splitlines()
        t.equal(sum(word in letter for letter in letters), int(count), "dead letters that name " + word)
    return "data"


def names():
    return sorted(name[:-4] for name in os.listdir(DIRECTORY) if name.endswith(".txt"))
