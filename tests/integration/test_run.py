"""`run` and `serve`: the whole pipeline, its HTTP API, its end."""

import csv
import io
import json
import re
import signal
import socket
import time
import urllib.error
import urllib.request

import oracle
import ports
import traffic
from harness import BUSY, CORRUPT, IO, OK, USAGE, patient

TRAFFIC = ("--rate", 20000, "--users", 2000, "--urls", 50, "--countries", 20, "--late", 5,
           "--repeat", 5, "--seed", 3)


free_port = ports.one  # it stays free of other tests until this one ends


def get(port, path):
    """(status, body as bytes) of a GET."""
    try:
        with urllib.request.urlopen("http://127.0.0.1:%d%s" % (port, path), timeout=20) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def get_json(port, path):
    status, body = get(port, path)
    assert status == 200, (path, status, body)
    return json.loads(body)


def healthy(port):
    try:
        return get(port, "/healthz")[0] == 200
    except OSError:
        return False


def start(t, command, *options, preexec=None):
    port = free_port()
    process = t.start(command, "--listen", "127.0.0.1:%d" % port, *options, preexec=preexec)
    t.until(lambda: healthy(port), "it answers", process=process)
    return process, port


def accepted(port):
    return get_json(port, "/api/summary")["freshness"]["accepted"]


def read_accounts(t, text):
    """The numbers of both account lines: read and so on, events and so on."""
    source = re.search(r"read ([\d,]+) = accepted ([\d,]+) \+ rejected ([\d,]+) \+ skipped ([\d,]+)",
                       text)
    answers = re.search(r"accepted ([\d,]+) = events ([\d,]+) \+ duplicates ([\d,]+)", text)
    t.true(source and answers, "no account\n" + text)
    source, answers = ([int(number.replace(",", "")) for number in found.groups()]
                       for found in (source, answers))
    t.equal(source[0], sum(source[1:]), "read")
    t.equal(answers[0], answers[1] + answers[2], "accepted")
    return source, answers


def check_store(t, data="data"):
    """The answers of all windows against SQL over the events that are in the store."""
    exported = [json.loads(line) for line in t.clickmill("export", "--data", data).out.splitlines()]
    oracle.compare(t, exported,
                   {window: t.answers(window, data) for window in ("all", "day", "hour")})
    return len(exported)


def test_run_and_stop(t):
    process, port = start(t, "run", *TRAFFIC, "--every", "200ms", "--fields", "contract")
    seen = []
    for _ in range(5):  # live: answers cover more and more
        freshness = t.until(
            lambda: (fresh := get_json(port, "/api/summary")["freshness"])["present"]
            and fresh["processed"] > (seen[-1] if seen else 1000) and fresh, "new answers",
            process=process)
        t.equal(freshness["processed"], freshness["events"] + freshness["duplicates"], "processed")
        t.true(freshness["accepted"] >= freshness["processed"], "more processed than accepted")
        seen.append(freshness["processed"])
    summary = get_json(port, "/api/summary")
    t.equal(summary["rows"][0]["clicks"], summary["freshness"]["events"], "clicks of the summary")
    pages = get_json(port, "/api/pages?limit=1000")
    t.equal(sum(row["clicks"] for row in pages["rows"]), pages["freshness"]["events"],
            "clicks of all pages")
    result = process.stop(OK)
    t.equal(result.out, "", "stdout")
    source, answers = read_accounts(t, result.err)
    t.equal(source[1], answers[0], "accepted by the source and by the answers")
    t.true(source[1] >= seen[-1], "the account is smaller than what was shown")
    t.equal(check_store(t, "data/demo"), answers[1], "events in the store")
    t.true(answers[2] > 0, "no duplicates, though 5 % were asked for")


def test_run_with_an_end_stays_up(t):
    process, port = start(t, "run", "--count", 5000, "--every", "100ms", *TRAFFIC)
    t.until(lambda: get_json(port, "/api/summary")["freshness"]["processed"] == 5000,
            "all 5000 events in the answers", process=process)
    process.signal(signal.SIGINT)
    source, answers = read_accounts(t, process.wait(OK).err)
    t.equal((source[0], answers[0]), (5000, 5000), "read and accepted")
    check_store(t, "data/demo")
    events = [json.loads(line) for line in t.clickmill("export", "--data", "data/demo").out.splitlines()]
    t.equal({event.get("name") for event in events}, {None, "engagement", "add_to_cart", "purchase"},
            "what the demo makes")


def test_two_signals_at_once_are_one(t):
    """As when a whole process group is told and `make` passes it on."""
    for number in (signal.SIGTERM, signal.SIGINT):
        process, _ = start(t, "run", *TRAFFIC, "--data", str(number))
        process.signal(signal.SIGTERM)
        process.signal(number)
        result = process.wait(OK, timeout=20)
        t.equal([line.split()[0] for line in result.err.splitlines()],
                ["clickmill", "read", "accepted"], "first words of the lines")


def test_run_account_as_json(t):
    process, port = start(t, "run", "--json", "--count", 1000, *TRAFFIC)
    t.until(lambda: accepted(port) == 1000, "all events", process=process)
    account = json.loads(process.stop(OK).out)
    answers = account.pop("answers")
    t.equal(t.balanced(account)["accepted"], 1000, "accepted")
    t.equal(answers["events"] + answers["duplicates"], 1000, "events and duplicates")


def test_run_killed_and_started_again(t):
    committed = 0
    for number in range(4):
        process, port = start(t, "run", *TRAFFIC, "--every", "200ms")
        t.true(accepted(port) >= committed, "acknowledged events are lost")
        t.until(lambda: accepted(port) > committed + 3000, "more events", process=process)
        time.sleep(0.05 * number)
        committed = accepted(port)
        process.kill()
        t.check_integrity("data/demo")
    process, port = start(t, "run", "--no-demo", "--data", "data/demo")
    t.true(accepted(port) >= committed, "acknowledged events are lost")
    process.stop(OK)
    account = t.process(data="data/demo")
    t.equal(account["events"], check_store(t, "data/demo"), "events in the store")
    t.equal(account["accepted"], account["events"] + account["duplicates"], "accepted")


def test_run_continues_what_import_has_begun(t):
    made = traffic.events(51, 2000)
    t.ingest(made)
    process, port = start(t, "run", "--no-demo")
    t.until(lambda: get_json(port, "/api/summary")["freshness"]["processed"] == 2000, "the answers",
            process=process)
    process.stop(OK)
    check_store(t)


def test_api_says_what_query_says(t):
    t.ingest(traffic.events(52, 3000))
    t.process()
    process, port = start(t, "serve")
    for window in ("all", "day", "hour"):
        path = "/api/answers?window=%s&sort=url&limit=10000" % window
        t.equal(get(port, path + "&format=csv")[1].decode(), t.answers(window), "CSV of " + window)
        rows = json.loads(t.clickmill("query", "--window", window, "--sort", "url", "--format",
                                      "json").out)
        t.equal(get_json(port, path)["rows"], rows, "JSON of " + window)
    rows = list(csv.DictReader(io.StringIO(t.answers())))
    pages = {row["url"]: row["clicks"] for row in get_json(port, "/api/pages?limit=10000")["rows"]}
    countries = {row["country"]: row["clicks"]
                 for row in get_json(port, "/api/countries?limit=10000")["rows"]}
    for field, got in (("url", pages), ("country", countries)):
        wanted = {}
        for row in rows:
            wanted[row[field]] = wanted.get(row[field], 0) + int(row["clicks"])
        t.equal(got, wanted, "clicks by " + field)
    for path, status in (("/api/nothing", 404), ("/api/pages?limit=x", 400),
                         ("/api/pages?colour=red", 400), ("/../etc/passwd", 404), ("/healthz", 200),
                         ("/", 200)):
        t.equal(get(port, path)[0], status, "status of " + path)
    process.stop(OK)


def test_users_of_a_page_are_distinct_over_countries(t):
    t.ingest([{"user_id": user, "timestamp": 1000 * n, "url": "/a", "country": country}
              for n, (user, country) in enumerate(
                  [("ann", "Peru"), ("ann", "Chad"), ("bob", "Peru"), ("ann", "Peru")], 1)])
    t.process()
    process, port = start(t, "serve")
    for path, clicks, users in (("/api/pages", 4, 2), ("/api/summary", 4, 2),
                                ("/api/summary?country=Peru", 3, 2), ("/api/summary?country=Chad", 1, 1)):
        row = get_json(port, path)["rows"][0]
        t.equal((row["clicks"], row["unique_user_count"]), (clicks, users), path)
    process.stop(OK)


def test_serve_beside_a_writer(t):
    t.ingest(traffic.events(53, 100))
    t.process("all")
    process, port = start(t, "serve")
    before = get_json(port, "/api/summary")["freshness"]["events"]
    t.ingest([{"user_id": "new", "timestamp": 1000, "url": "/new"}])
    t.process("all")
    after = get_json(port, "/api/summary")["freshness"]["events"]
    t.equal(after, before + 1, "events after another process wrote one")
    process.stop(OK)


def test_serve_what_cannot_be_read(t):
    t.write("file", "")
    t.says(t.clickmill("serve", "--data", "file", check=IO, timeout=20), "file/clickmill.db")
    t.clickmill("process")
    t.write("data/clickmill.db", "no database")
    t.says(t.clickmill("serve", check=CORRUPT, timeout=20), "data/clickmill.db")


def test_port_in_use(t):
    t.ingest([{"user_id": "ann", "timestamp": 1000, "url": "/a"}])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for command in ("run", "serve"):
            result = t.clickmill(command, "--listen", "127.0.0.1:%d" % port, check=BUSY, timeout=20)
            t.says(result, "port %d" % port, "in use", "--listen")


def test_listen_that_cannot_be(t):
    t.ingest([{"user_id": "ann", "timestamp": 1000, "url": "/a"}])
    for address in ("127.0.0.1", "127.0.0.1:99999", "127.0.0.1:x", "nowhere", "99999", ":x"):
        t.says(t.clickmill("serve", "--listen", address, check=USAGE, timeout=20), "--listen")


def test_listen_to_a_port_alone(t):
    """It is this machine's, and the line says the whole address."""
    t.ingest([{"user_id": "ann", "timestamp": 1000, "url": "/a"}])
    for colon in ("", ":"):
        port = free_port()
        process = t.start("serve", "--listen", "%s%d" % (colon, port))
        t.until(lambda: healthy(port), "it answers", process=process)
        t.equal(process.err, "serving data on http://127.0.0.1:%d\n" % port, "what it says")
        process.stop(OK)


def test_serve_before_there_is_a_store(t):
    process, port = start(t, "serve")
    reply = get_json(port, "/api/summary")
    t.equal((reply["rows"], reply["freshness"]["present"]), ([], False), "before the first event")
    t.ingest([{"user_id": "ann", "timestamp": 1000, "url": "/a"}])
    t.process()
    reply = get_json(port, "/api/summary")
    t.equal((reply["rows"][0]["clicks"], reply["freshness"]["present"]), (1, True), "after it")
    process.stop(OK)


@patient
def test_two_runs_of_one_directory(t):
    process, _ = start(t, "run", "--no-demo")
    result = t.clickmill("run", "--no-demo", "--listen", "127.0.0.1:%d" % free_port(), check=BUSY,
                         timeout=20)
    t.says(result, "in use by process %d;" % process.pid)
    process.stop(OK)
