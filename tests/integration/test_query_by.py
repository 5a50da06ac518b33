"""Questions (`clickmill query --by`) against two references that share no code with the program: SQL
(tests/question_sql.py) and straight loops (tests/question_plain.py)."""

import csv
import io
import json
import os
import random
from fractions import Fraction

import question as q
import question_check
import question_events
import question_plain
import question_sql
import test_format_1
import traffic
from harness import slow

COUNT = 3000  # events of the random questions
SEED = 19
# Sums of these over any partition of the events are those of all events.
ADD_UP = ("clicks", "events", "time_spent_sum", "time_spent_count", "time_on_page_sum", "time_on_page_count",
          "entrances", "exits", "bounces", "visit_duration_sum", "engaged_ms_sum", "engaged_count",
          "new_user_count", "sum:props.value", "count:props.value", "left_out:props.value")
PROPERTIES = [q.prop_name(key) for key in question_events.KEYS]
OF_VALUE = ["%s:props.value" % kind for kind in q.OF_PROPERTY]


def stored(t, seed=SEED, count=COUNT):
    """Random events, in the store and as they are."""
    events = question_events.events(seed, count, count // 20)
    t.ingest(question_events.written(events))
    return events


# ---- the two references

def as_fractions(groups):
    return {group: [value if value is None or isinstance(value, float) else Fraction(value) for value in row]
            for group, row in groups.items()}


def same_groups(t, got, wanted, what):
    wrong = sorted((group for group in {*got, *wanted} if got.get(group) != wanted.get(group)), key=str)
    t.true(not wrong, "%s: %d groups differ\n%s" % (what, len(wrong), "\n".join(
        "%s: expected %s, got %s" % (group, wanted.get(group), got.get(group)) for group in wrong[:5])))


def test_references_agree(t):
    """SQL and loops say the same, so that both mean what the contract says; needs no program."""
    events = question_events.events(3, 1500, 75)
    database, lines = question_sql.load(events, t.dir), question_plain.timelines(events)
    asker = question_events.Asker(3, lines)
    for _ in range(40):
        question = asker.question()
        same_groups(t, as_fractions(question_sql.groups(database, question, question.span())),
                    as_fractions(question_plain.answer(lines, question)), str(question.arguments()))


# ---- against SQL

@slow
def test_every_measure_by_every_dimension(t):
    """200,000 events with all fields: of `produce`, and random ones with odd values and times."""
    made = t.path("made.jsonl")
    t.clickmill("produce", "--count", 150000, "--users", 6000, "--urls", 300, "--seed", SEED, "--fields", "all",
                "--late", 5, "--repeat", 1, "--out", made)
    with open(made, encoding="utf-8") as file:
        events = question_events.read(file)
    odd = question_events.events(SEED, 50000, 2500)
    path = t.write("odd.jsonl", question_events.written(odd))
    t.clickmill("import", "--data", "data", "--no-process", made, path)
    events += odd
    t.true(len(events) >= 200000, "only %d events" % len(events))
    os.remove(made)
    database = question_sql.load(events, t.dir)
    for names in [[], *([name] for name in (*q.DIMENSIONS, *PROPERTIES)), ["url", "country"]]:
        zone = "America/St_Johns" if set(names) & set(q.TIME) else "UTC"
        question_check.check(t, database, q.Question(by=names, measures=[*q.MEASURES, *OF_VALUE], zone=zone))


def random_questions(t, seed, count, events=COUNT):
    """Random questions about random events; some of them find rows."""
    made = stored(t, seed, events)
    database, asker = question_sql.load(made, t.dir), question_events.Asker(seed, question_plain.timelines(made))
    rows = [question_check.check(t, database, asker.question()) for _ in range(count)]
    t.true(sum(found > 0 for found in rows) > count * 2 // 3, "too many questions have no rows")
    print("      %d questions, %d rows" % (count, sum(rows)), flush=True)


def test_some_random_questions(t):
    random_questions(t, SEED, 40, 600)


@slow
def test_random_questions(t):
    random_questions(t, SEED + 1, 230)


@slow
def test_more_random_questions(t):
    random_questions(t, SEED + 2, 230, 1200)


def test_copies_that_differ(t):
    """Of several events with one row key one counts; row keys are derived or stated, times often equal."""
    events = traffic.widened(traffic.events(SEED, 3000, users=300), SEED) + traffic.shared(SEED, 400)
    random.Random(SEED).shuffle(events)
    for begin in range(0, len(events), 500):
        t.ingest(events[begin:begin + 500])
    database = question_sql.load(events, t.dir)
    for by in ([], ["url"], ["country", "city"], ["browser", "device"], ["referrer", "name"], ["source", "exit_page"],
               ["props.plan", "region"], ["first_source", "day"]):
        question_check.check(t, database, q.Question(by=by, measures=[*q.MEASURES, *OF_VALUE]))


def test_copies_in_several_weeks(t):
    """Copies leave rows between the weeks unused; columns get wider while blocks are read."""
    events = [{"row_key": "k%d" % number, "user_id": "ann", "timestamp": 1767225600000 + number * 3600000,
               "url": "/", "props": {"value": "text%d" % number}} for number in range(700)]
    for begin in range(600, -1, -100):  # the last rows are written first
        t.ingest(question_events.written(2 * events[begin:begin + 100]))
    lines = question_plain.timelines(events)
    question = q.Question(by=["props.value"], measures=["clicks"])
    same_groups(t, groups_of(t, question), as_fractions(question_plain.answer(lines, question)), "values")


def test_a_store_of_format_1(t):
    """It is asked as it is, and after its first writer has changed it and added an event."""
    test_format_1.restore(t)
    events = question_events.read(test_format_1.saved("events.jsonl").splitlines())
    for more in ([], [test_format_1.NEW]):
        if more:
            t.ingest(more)
        events += more
        database = question_sql.load(events, t.dir)
        for by in ([], ["url", "country"], ["host", "device"], ["source", "name"], ["day", "first_channel"]):
            question_check.check(t, database, q.Question(by=by, measures=list(q.MEASURES), zone="Asia/Kolkata"))


# ---- properties

def test_any_order_and_batches(t):
    """Shuffled and repeated events, stored in any batches, give the answers of the loops."""
    chance = random.Random(SEED)
    events = question_events.events(SEED + 3, 400, 30)
    lines = question_plain.timelines(events)
    questions = [q.Question(by=by, measures=[*q.MEASURES, *OF_VALUE]) for by in (
        [], ["url"], ["source", "name"], ["exit_page", "first_channel"])]
    questions.append(q.Question(by=["day"], zone="Asia/Kathmandu", where_visit=[q.condition("name = purchase")]))
    wanted = [as_fractions(question_plain.answer(lines, question)) for question in questions]
    for number in range(4):
        data, left = "data-%d" % number, events + chance.choices(events, k=number * 100)
        if number:
            chance.shuffle(left)
        while left:
            size = chance.choice((1, 7, 100, 1000)) if number else len(left)
            t.ingest(question_events.written(left[:size]), data=data)
            left = left[size:]
            if chance.random() < 0.3:
                t.process(data=data)
        for question, groups in zip(questions, wanted):
            same_groups(t, groups_of(t, question, data), groups, "%s, %s" % (data, question.arguments()))


def groups_of(t, question, data="data"):
    """The program's groups, as as_fractions() has those of the loops."""
    heading, rows = question_check.ask(t, question, data)
    t.equal(heading, question.heading, "heading")
    width = len(question.by)

    def figure(name, text):
        if text == "":
            return None
        return float(text) if name in q.QUOTIENTS or name.startswith("average:") else Fraction(text)
    return {tuple(text or None for text in row[:width]): [
        figure(name, text) for name, text in zip(question.measures, row[width:])] for row in rows}


def test_sums_add_up(t):
    """What can be added up does, over each dimension, and over a condition and its opposite."""
    events = stored(t)
    total = groups_of(t, q.Question(measures=list(ADD_UP)))[()]
    lines = question_plain.timelines(events)
    t.equal(total[:2], [sum(line.is_view for line in lines), sum(line.name != "engagement" for line in lines)],
            "clicks and events")
    for names in [*([name] for name in (*q.DIMENSIONS, *PROPERTIES)), ["country", "entry_page", "props.plan"]]:
        zone = "Australia/Lord_Howe" if set(names) & set(q.TIME) else "UTC"
        groups = groups_of(t, q.Question(by=names, measures=list(ADD_UP), zone=zone))
        check_sums(t, names, total, groups.values())
    for one, other in (("country = Peru", "country != Peru"), ("source ~ G*", "source !~ G*"),
                       ("utm_medium is empty", "utm_medium is not empty"),
                       ("path in (/, /cart)", "path not in (/, /cart)")):
        halves = [groups_of(t, q.Question(measures=list(ADD_UP), where=[q.condition(text)]))[()]
                  for text in (one, other)]
        check_sums(t, one, total, halves, whole=True)


def check_sums(t, what, total, parts, whole=False):
    """Properties of groups in which nothing but engagement falls are not listed."""
    for name, wanted, found in zip(ADD_UP, total, zip(*parts)):
        if whole or "props" not in name:
            t.equal(sum(found), wanted, "sum of %s over %s" % (name, what))


def test_the_total_is_that_of_the_loops(t):
    """Also of nothing, where each rate is absent."""
    lines = question_plain.timelines(stored(t, count=600))
    for where in ([], ["country != Peru", "name in (pageview, signup)"], ["name = engagement"], ["country = none"]):
        question = q.Question(measures=[*q.MEASURES, *OF_VALUE], where=list(map(q.condition, where)))
        groups = groups_of(t, question)
        t.equal(len(groups), 1, "rows of a total")
        same_groups(t, groups, as_fractions(question_plain.answer(lines, question)), "total of %s" % where)


def test_parts_of_an_answer(t):
    """Pages make the whole, steps the span, and the numbers before are those of the span before."""
    stored(t)
    whole = q.Question(by=["entry_page", "weekday"], measures=["clicks", "unique_user_count", "sum:props.value"])
    _, rows = question_check.ask(t, whole)
    pages = []
    for offset in range(0, len(rows) + 7, 7):
        whole.limit, whole.offset = 7, offset
        pages += question_check.ask(t, whole)[1]
    t.equal(pages, rows, "pages of seven groups")

    now = q.Question(by=["country"], measures=["clicks", "visits", "bounce_rate"], start="2026-03-28",
                     end="2026-03-30", zone="Europe/Berlin")
    before = q.Question(**{**vars(now), "start": "2026-03-26", "end": "2026-03-28"})
    alone = [dict(question_rows(t, question, 1)) for question in (now, before)]
    now.compare = "previous"
    for group, cells in question_rows(t, now, 1):
        for part, groups in enumerate(alone):
            t.equal(cells[part::3], groups.get(group, ["0", "0", ""]), "part %d of %s" % (part, group))
    t.true(set(alone[0]) | set(alone[1]) == {group for group, _ in question_rows(t, now, 1)}, "groups of either")

    steps = q.Question(measures=["clicks", "events"], step="day", start="2026-03-26", end="2026-04-02", zone="Asia/Tehran")
    total = q.Question(measures=steps.measures, start=steps.start, end=steps.end, zone=steps.zone)
    days = [cells for _, cells in question_rows(t, steps, 1)]
    t.equal(len(days), 7, "days")
    t.equal([[str(sum(int(cell) for cell in column)) for column in zip(*days)]], question_check.ask(t, total)[1],
            "sum of the days")


def question_rows(t, question, width):
    """(dimensions, figures) of each row."""
    return [(tuple(row[:width]), row[width:]) for row in question_check.ask(t, question)[1]]


def test_json_and_csv_have_the_same_figures(t):
    """Absent is null in JSON; sums of properties are text there, since they are exact."""
    stored(t, count=600)
    for question in (q.Question(by=["source", "props.plan"], measures=[*q.MEASURES, *OF_VALUE]),
                     q.Question(by=["utm_medium"], measures=["clicks", "average:props.value"], step="week",
                                start="2026-03-01", end="2026-04-10", compare="year")):
        heading, rows = question_check.ask(t, question)
        out = t.clickmill("query", "--data", "data", "--format", "json", *question.arguments()).out
        got = json.loads(out, parse_float=question_events.Written, parse_int=question_events.Written)
        t.equal([list(row) for row in got], [heading] * len(rows), "keys")
        t.equal([["" if value is None else str(value) for value in row.values()] for row in got], rows, "rows")
        texts = {name for row in got for name, value in row.items() if isinstance(value, str)}
        t.equal(texts, {*question.columns, *(name for name in question.measures if name.startswith("sum:"))},
                "columns of text")


def test_the_answers_of_process_are_questions(t):
    """What `process` keeps per page and country, for all time, days and hours, is asked of the events, too."""
    t.ingest(traffic.widened(traffic.events(SEED, 4000, users=300), SEED))
    t.process()
    names = ["clicks", "unique_user_count", "average_time_spent", "time_spent_sum", "time_spent_count",
             "average_time_on_page", "entrances", "exits"]
    for window, by in (("all", []), ("day", ["day"]), ("hour", ["hour"])):
        kept = list(csv.reader(io.StringIO(t.answers(window), newline="")))[1:]
        _, rows = question_check.ask(t, q.Question(by=[*by, "url", "country"], measures=names,
                                                   where=[q.condition("name = pageview")]))
        if by:  # 2026-03-01T10:00:00Z
            kept = [[row[0][:10] if window == "day" else row[0].replace("T", " ").removesuffix("Z"), *row[1:]]
                    for row in kept]
        t.equal(sorted(rows), sorted(kept), "answers of window " + window)
