"""Questions through the HTTP API, against SQL and against each other."""

import time
from urllib.parse import urlencode

import question as q
import question_check
import question_events
import question_plain
import question_sql
from harness import OK, patient
from test_run import get, get_json, start

SEED, COUNT, MOST = 23, 2000, 10000  # MOST: the greatest limit


def path(question, **more):
    """The question as a URL."""
    return "/api/v1/query?" + urlencode([*parameters(question), *more.items()])


def parameters(question):
    """(name, value) of the question; `by` is the first."""
    pairs, words = [], question.arguments()
    while words:
        word = words.pop(0)
        if word == "--reverse":
            pairs.append(("reverse", "1"))
        elif "=" in word and word.split("=")[0] not in ("--by", "--measures"):
            pairs.append(tuple(word[2:].split("=", 1)))
        else:
            pairs.append((word[2:], words.pop(0)))
    return pairs


def served(t):
    """(events, port): a server of random events."""
    events = question_events.events(SEED, COUNT, COUNT // 20)
    t.ingest(question_events.written(events))
    return events, start(t, "serve")[1]


def test_random_questions(t):
    """As CSV; all from one server, which keeps what it has read."""
    events, port = served(t)
    database, asker = question_sql.load(events, t.dir), question_events.Asker(SEED, question_plain.timelines(events))

    def asked(question):
        status, body = get(port, path(question, format="csv", **{} if question.limit else {"limit": MOST}))
        t.equal(status, 200, body.decode())
        return question_check.table(body.decode())
    for _ in range(60):
        question_check.check(t, database, asker.question(), asked)


def test_totals_are_the_total_question(t):
    """The total of each answer is the answer to the question without groups, also where groups are left out."""
    _, port = served(t)
    measures = [*q.MEASURES, "sum:props.value", "average:props.value"]
    for where in ([], ["country != Peru", "name in (pageview, signup)"], ["country = none"]):
        for more in ({}, {"compare": "year", "start": "2026-03-26", "end": "2026-04-01"}):
            question = q.Question(measures=measures, where=list(map(q.condition, where)), **more)
            wanted = get_json(port, path(question))
            t.equal(len(wanted["rows"]), 1, "rows of a total")
            t.equal(wanted["rows"][0], wanted["total"], "the only row")
            for by in (["url"], ["source", "country"], ["props.plan"], ["hour_of_day"]):
                question.by, question.limit = by, 2
                answer = get_json(port, path(question))
                t.equal(answer["total"], wanted["total"], "total of %s %s %s" % (by, where, more))
                whole = get_json(port, path(q.Question(**{**vars(question), "limit": MOST})))
                t.equal((answer["rows"], answer["groups"], answer["more"]),
                        (whole["rows"][:2], len(whole["rows"]), len(whole["rows"]) > 2), "rows, groups, more")


def test_questions_in_one_request(t):
    """They share a walk over the events, and each has the answer that it has alone."""
    events, port = served(t)
    asker = question_events.Asker(SEED + 2, question_plain.timelines(events))
    for count in (2, 5, 12, 32, 32):
        questions = [asker.question() for _ in range(count)]
        together = "/api/v1/query?" + urlencode([pair for question in questions for pair in parameters(question)])
        answers = get_json(port, together)["answers"]
        t.equal(len(answers), count, "answers")
        for question, answer in zip(questions, answers):
            alone = get_json(port, path(question))
            t.equal({name: answer[name] for name in ("span", "rows", "total", "groups", "more", "notes")},
                    {name: alone[name] for name in ("span", "rows", "total", "groups", "more", "notes")},
                    "one of %d: %s" % (count, question.arguments()))


@patient
def test_questions_while_events_come_in(t):
    """Each answer is that of one moment: of the events that had been accepted until then."""
    events = question_events.events(SEED + 1, 6000, 300)
    t.ingest(question_events.written(events[:100]))
    _, port = start(t, "serve")
    question = q.Question(by=["country", "entry_page"], measures=["events", "clicks", "new_user_count", "exits"])
    answers, size = [], 300
    for begin in range(100, len(events), size):
        name = t.write("part-%d.jsonl" % begin, question_events.written(events[begin:begin + size]))
        coming = t.start("import", "--data", "data", *(["--no-process"] if begin % 3 else []), name)
        end = time.monotonic() + 0.3
        while coming.running() or time.monotonic() < end:
            answers.append(get_json(port, path(question, limit=MOST)))
            time.sleep(0.01)
        coming.wait(OK)
    for answer in answers:
        for name in question.measures:
            t.equal(sum(row[name] for row in answer["rows"]), answer["total"][name], "sum of " + name)
    for name in ("events", "clicks", "new_user_count"):
        numbers = [answer["total"][name] for answer in answers]
        t.equal(numbers, sorted(numbers), name)
    database = question_sql.load(events, t.dir)

    def asked(one):
        return question_check.table(get(port, path(one, format="csv", limit=MOST))[1].decode())
    wanted = question_sql.answer(database, q.Question(measures=["events"]))[0][0]
    t.until(lambda: get_json(port, path(q.Question(measures=["events"])))["total"]["events"] == wanted, "all events")
    question_check.check(t, database, question, asked)
    moments = {answer["freshness"]["accepted"]: answer for answer in answers}
    t.true(len(moments) >= 4, "%d answers are of %d moments" % (len(answers), len(moments)))
    for accepted, answer in moments.items():
        groups = {tuple(row[name] for name in question.by): [row[name] for name in question.measures]
                  for row in answer["rows"]}
        wanted = question_plain.answer(question_plain.timelines(events[:accepted]), question)
        t.equal(groups, wanted, "groups of the first %d events" % accepted)
