"""A data directory that another process holds: `import` by way of the holder's local socket, and
what is said where that does not work."""

import fcntl
import gzip
import json
import os
import random
import resource
import signal
import socket
import stat
import threading
import time

import traffic
from collect_support import FIREFOX, Collector, good, keyed
from harness import AWAY, BUSY, IO, OK, patient, slow
from test_accesslog import as_before
from test_collect_faults import limit_files
from test_run import free_port, get_json, start

LINES = 120000


def holder(t, *options, data="data", preexec=None):
    return start(t, "run", "--no-demo", "--every", "200ms", "--data", data, *options, preexec=preexec)


def told(t, result, *words):
    for word in words:
        t.true(word in result.err, "%r is not in\n%s" % (word, result))


def accepted(port):
    return get_json(port, "/api/summary")["freshness"]["accepted"]


def many(t, name="many.jsonl", count=LINES, user="u", users=97, pages=13, step=1):
    """So many different events, `step` ms apart; returns the file's path."""
    with open(t.path(name), "w", encoding="utf-8") as file:
        for n in range(count):
            file.write('{"user_id":"%s%d","timestamp":%d,"url":"/%d"}\n' % (
                user, n % users, 1772359200000 + n * step, n % pages))
    return t.path(name)


def half_way(t, port, importer):
    """Lets the importer run in short steps until a part is stored, and leaves it stopped there."""
    importer.signal(signal.SIGSTOP)
    seconds = 0.005
    while accepted(port) == 0:
        importer.signal(signal.SIGCONT)
        time.sleep(seconds)
        importer.signal(signal.SIGSTOP)
        time.sleep(0.3)  # the holder stores what it has
        seconds *= 1.1
        t.true(importer.running() and seconds < 5, "it has stored nothing\n" + importer.err)
    if accepted(port) == LINES:
        t.skip("the machine is too busy to tell: all was stored before the importer was stopped")


def check_all(t, data="data", count=LINES, user="u"):
    """Every event is in the store, and each of them once, in the raw events too."""
    t.equal(t.process(data=data)["accepted"], count, "raw events")
    out = t.clickmill("export", "--data", data).out
    keys = {(one["user_id"], one["timestamp"]) for one in map(json.loads, out.splitlines())}
    t.equal(keys, {("%s%d" % (user, n % 97), 1772359200000 + n) for n in range(count)}, "events")


def test_import_while_run_holds(t):
    made = traffic.widened(traffic.events(61, 3000), 61)
    lines = "".join(json.dumps(one) + "\n" for one in made)
    t.write("a.jsonl", lines + "no JSON\n")
    with gzip.open(t.path("b.jsonl.gz"), "wt", encoding="utf-8") as file:
        file.write(lines)
    t.write("c.csv", "user_id,timestamp,url\nann,1772359200000,/csv\n")
    t.write("d.log", '192.0.2.7 - - [10/Oct/2025:13:55:36 +0000] "GET /log HTTP/1.1" 200 5 "-" '
                     '"Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0"\n')
    process, port = holder(t)
    mode = os.stat(t.path("data/clickmill.sock")).st_mode
    t.true(stat.S_ISSOCK(mode), "no socket")
    t.equal(stat.S_IMODE(mode), 0o600, "mode of the socket")
    result = t.clickmill("import", "a.jsonl")
    told(t, result, "read 3,001 = accepted 3,000 + rejected 1 + skipped 0",
           "stored by process %d, which holds data and has brought the answers up to date" % process.pid)
    t.equal(get_json(port, "/api/summary")["freshness"]["processed"], 3000, "answers")
    account = t.balanced(t.clickmill("import", "--json", "b.jsonl.gz", "c.csv", "d.log").json)
    t.equal((account["accepted"], account["rejected"]), (3002, 0), "accepted and rejected")
    t.equal(t.clickmill("dead", "list").out.count("a.jsonl:3001"), 1, "dead letters")
    account = t.balanced(t.clickmill("import", "--json", "-", stdin=lines).json)
    t.equal(account["accepted"], 3000, "of standard input")
    process.stop(OK)
    t.true(not os.path.exists(t.path("data/clickmill.sock")), "the socket is left behind")
    held = t.all_answers()
    for file in ("a.jsonl", "b.jsonl.gz", "c.csv"):
        t.clickmill("import", "--data", "alone", file)
    # A log's visitors are under the key of their directory.
    t.clickmill("import", "--data", "data", "d.log")
    t.process()
    t.equal(t.all_answers(), held, "a log that is imported again, without the holder")
    alone = t.clickmill("export", "--data", "alone").out.splitlines()
    both = [line for line in t.clickmill("export").out.splitlines() if '"/log"' not in line]
    t.equal(sorted(both), sorted(alone), "events with and without a holder")


def test_no_address_is_kept_in_the_clear(t):
    """Of a line of a log that is rejected: sealed, as an import without a holder does."""
    line = '203.0.113.77 - - [10/Oct/2025:25:55:36 +0000] "GET /log HTTP/1.1" 200 5 "-" "Firefox"\n'
    t.write("d.log", line)
    process, _ = holder(t)
    account = t.clickmill("import", "--json", "--format", "combined", "d.log").json
    t.equal(account["rejected"], 1, "rejected")
    process.stop(OK)
    database = t.database()
    payloads = database.execute("SELECT payload FROM dead").fetchall()
    database.close()
    t.equal(len(payloads), 1, "dead letters")
    t.true(b"203.0.113" not in bytes(payloads[0][0]), "the address: %r" % payloads)
    t.true("203.0.113.77" in t.clickmill("dead", "show", "1").out, "shown as it came")


def test_collect_holds(t):
    collector = Collector(t)
    good(t, collector.ask(keyed(1)))
    t.write("a.jsonl", [{"user_id": "ann", "timestamp": 1772359200000, "url": "/a"}])
    result = t.clickmill("import", "a.jsonl")
    told(t, result, "read 1 = accepted 1", "stored by process %d, which holds data and makes no answers"
           % collector.process.pid)
    good(t, collector.ask(keyed(2)))
    t.equal(sorted(one["url"] for one in collector.stop()),
            ["/a", "https://shop.example/a", "https://shop.example/a"], "events")


def answers_meanwhile(t, path, lines):
    """Imports a file while a sender sends without a pause."""
    collector = Collector(t, "--no-demo", command=("run",))
    importer = t.start("import", path)
    waits, number = [], 0
    with t.pace() as pace:
        while importer.running():
            begin = time.monotonic()
            good(t, collector.ask(keyed(number)))
            waits.append(time.monotonic() - begin)
            number += 1
    told(t, importer.wait(OK), "accepted {:,}".format(lines))
    print("      longest answer to a POST: %.2f s of %d" % (max(waits), number), flush=True)
    pace.check(max(waits), 2, "the answer of the collector")
    t.equal(len(collector.stop()), lines + number, "events")


def test_collector_answers_meanwhile(t):
    answers_meanwhile(t, many(t), LINES)


@slow
def test_collector_answers_beside_many_answers(t):
    """Also while the answers are computed and written, of which there are many: each event is alone
    in its hour's cell."""
    lines = 300000
    answers_meanwhile(t, many(t, count=lines, users=20011, pages=50021, step=10000), lines)
    t.equal(t.clickmill("verify").code, OK, "the answers")


def test_importer_is_killed(t):
    path = many(t)
    process, port = holder(t)
    importer = t.start("import", path)
    half_way(t, port, importer)
    importer.kill()
    result = t.clickmill("import", path)
    told(t, result, "an earlier import was interrupted, going on at byte")
    process.stop(OK)
    check_all(t)


def test_importer_is_stopped(t):
    path = many(t)
    process, port = holder(t)
    importer = t.start("import", "--json", path)
    half_way(t, port, importer)
    importer.signal(signal.SIGTERM)
    importer.signal(signal.SIGCONT)
    result = importer.wait(OK)
    first = t.balanced(result.json)["accepted"]
    t.equal(accepted(port), first, "stored, and in the account")
    t.true(0 < first < LINES, "all was read before it could be stopped: %d" % first)
    second = t.balanced(t.clickmill("import", "--json", path).json)["accepted"]
    t.equal(first + second, LINES, "both parts")
    process.stop(OK)
    check_all(t)


def test_holder_is_killed(t):
    path = many(t)
    process, port = holder(t)
    importer = t.start("import", path)
    half_way(t, port, importer)
    process.kill()
    importer.signal(signal.SIGCONT)
    result = importer.wait(AWAY, timeout=30)
    told(t, result, "process %d, which holds data, has ended" % process.pid, "run it again")
    t.true(os.path.exists(t.path("data/clickmill.sock")), "a killed process has no socket")
    result = t.clickmill("import", path)  # the socket is stale now
    told(t, result, "going on at byte")
    check_all(t)
    process, port = holder(t)  # and is made again
    t.clickmill("import", path)
    process.stop(OK)


def test_holder_is_stopped(t):
    path = many(t)
    process, port = holder(t)
    importer = t.start("import", path)
    half_way(t, port, importer)
    process.stop(OK)
    importer.signal(signal.SIGCONT)
    t.says(importer.wait(AWAY, timeout=30), "which holds data, has ended", "run it again")
    t.clickmill("import", path)
    check_all(t)


def test_full_disk(t):
    """The importer is told what the holder could not write; when there is room again, it goes on
    with what is missing, and nothing is there twice."""
    dice = random.Random(1)
    path = t.write("big.jsonl", [{"user_id": "u%d" % n, "timestamp": 1772359200000 + n, "url": "/",
                                  "city": "%0200x" % dice.getrandbits(800)}  # which stays as long
                                 for n in range(40000)])
    many(t, "small.jsonl", 1000, "v")
    process, port = holder(t, "--geoip", "none", preexec=limit_files(1024 * 1024))
    t.clickmill("import", "small.jsonl")
    t.says(t.clickmill("import", path, check=IO, timeout=60), "clickmill.db")
    stored = accepted(port)
    t.true(1000 <= stored < 41000, "stored before the disk was full: %d" % stored)
    _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (hard, hard))
    t.clickmill("import", path)
    t.equal(accepted(port), 41000, "stored in the end")
    process.stop(OK)
    out = t.clickmill("export").out
    t.equal(len({(one["user_id"], one["timestamp"]) for one in map(json.loads, out.splitlines())}),
            41000, "different events")


def test_older_row_keys_are_said_once(t):
    """By whichever import is the first, with or without a holder."""
    t.write("a.log", '8.8.8.8 - - [10/Oct/2025:10:00:00 +0000] "GET /a HTTP/1.1" 200 1 "-" "%s"\n'
            % FIREFOX)
    t.clickmill("import", "a.log")
    as_before(t)
    message = "was filled by an earlier edition and keeps its row keys"
    process, _ = holder(t)
    for expected in (True, False):
        result = t.clickmill("import", "--site", "https://shop.example", "a.log")
        t.equal(message in result.err, expected, "said: " + result.err)
    process.stop(OK)
    result = t.clickmill("import", "--site", "https://shop.example", "a.log")
    t.true(message not in result.err, "said once: " + result.err)


def test_several_at_once(t):
    process, port = holder(t)
    files = [many(t, "%s.jsonl" % user, 20000, user) for user in "abcd"]
    importers = [t.start("import", "--json", file) for file in files]
    for importer in importers:
        t.equal(t.balanced(importer.wait(OK).json)["accepted"], 20000, "accepted")
    t.equal(accepted(port), 80000, "events of all")
    process.stop(OK)


def test_the_same_file_twice_at_once(t):
    path = many(t)
    process, port = holder(t)
    importer = t.start("import", path)
    half_way(t, port, importer)
    t.says(t.clickmill("import", path, check=BUSY, timeout=30),
           "process %d is importing the same file" % importer.pid)
    importer.signal(signal.SIGCONT)
    importer.wait(OK)
    process.stop(OK)
    check_all(t)


def test_path_longer_than_an_address(t):
    data = "/".join(["directory-with-a-long-name-%d" % n for n in range(6)])
    t.true(len(data) > 108, "not long enough")
    t.write("a.jsonl", [{"user_id": "ann", "timestamp": 1772359200000, "url": "/a"}])
    process, port = holder(t, data=data)
    told(t, t.clickmill("import", "--data", data, "a.jsonl"), "read 1 = accepted 1",
           "stored by process %d" % process.pid)
    t.equal(accepted(port), 1, "events")
    process.stop(OK)


def test_stale_socket(t):
    t.write("a.jsonl", [{"user_id": "ann", "timestamp": 1772359200000, "url": "/a"}])
    os.mkdir(t.path("data"))
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(t.path("data/clickmill.sock"))
    result = t.clickmill("import", "a.jsonl")
    told(t, result, "read 1 = accepted 1")
    t.true("stored by" not in result.err, result.err)


@patient
def test_holder_that_takes_nothing(t):
    """As an older version, which has no socket; and one that hangs up."""
    t.write("a.jsonl", [{"user_id": "ann", "timestamp": 1772359200000, "url": "/a"}])
    t.clickmill("import", "a.jsonl")
    with open(t.path("data/lock"), "w", encoding="ascii") as lock:
        lock.write("%d\n" % os.getpid())
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        t.says(t.clickmill("import", "a.jsonl", check=BUSY, timeout=30),
               "data is in use by process %d; stop it" % os.getpid())
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(t.path("data/clickmill.sock"))
            listening.listen()

            def hang_up():
                for _ in range(2):
                    listening.accept()[0].close()

            thread = threading.Thread(target=hang_up, daemon=True)
            thread.start()
            t.says(t.clickmill("import", "a.jsonl", check=BUSY, timeout=30),
                   "data is in use by process %d; stop it" % os.getpid())


def test_what_is_no_import(t):
    """A client that says something else is disconnected, and the holder goes on."""
    process, port = holder(t)
    for said in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 100, b"\0\0\0\0\x03", b"\4\0\0\0\1\7\0\0\0",
                 b"\4\0\0\0\1\1\0\0\0" + b"\7\0\0\0\3\1\0\0\0abc"):
        with socket.socket(socket.AF_UNIX) as caller:
            caller.settimeout(20)
            caller.connect(t.path("data/clickmill.sock"))
            caller.sendall(said)
            got = b""
            while part := caller.recv(1000):
                got += part
            t.true(b"data directory" in got, "%r gets %r" % (said, got))
    t.write("a.jsonl", [{"user_id": "ann", "timestamp": 1772359200000, "url": "/a"}])
    told(t, t.clickmill("import", "a.jsonl"), "read 1 = accepted 1")
    t.equal(accepted(port), 1, "events")
    process.stop(OK)


def test_many_who_say_nothing(t):
    """More at once than there are places, who go without a word: the next one is heard."""
    holder(t)
    silent = []
    for _ in range(40):
        one = socket.socket(socket.AF_UNIX)
        one.connect(t.path("data/clickmill.sock"))
        silent.append(one)
    time.sleep(0.5)
    for one in silent:
        one.close()
    time.sleep(0.5)
    many(t, count=100)
    account = t.balanced(t.clickmill("import", "--json", "many.jsonl", timeout=60).json)
    t.equal(account["accepted"], 100, "accepted")


def test_another_user(t):
    if os.geteuid() != 0:
        t.skip("only root can be another user")
    os.chmod(t.dir, 0o755)
    process, _ = holder(t)
    os.chmod(t.path("data"), 0o777)
    os.chmod(t.path("data/lock"), 0o666)
    t.write("a.jsonl", [{"user_id": "ann", "timestamp": 1772359200000, "url": "/a"}])
    os.chmod(t.path("a.jsonl"), 0o644)

    def become():
        os.setgid(65534)
        os.setuid(65534)

    try:
        result = t.clickmill("import", "a.jsonl", check=BUSY, preexec=become, timeout=30)
    except PermissionError:
        t.skip("the program cannot be run by another user here")
    told(t, result, "held by a process of another user")
    process.stop(OK)


@patient
def test_who_is_in_the_way(t):
    """A second run says who holds the directory or the port, and nothing of an account."""
    process, port = holder(t)
    for options in (("--listen", "127.0.0.1:%d" % free_port()),
                    ("--listen", "127.0.0.1:%d" % port, "--data", "other")):
        result = t.clickmill("run", "--no-demo", *options, check=BUSY, timeout=30)
        told(t, result, "in use by process %d" % process.pid, "--no-demo", "stop it")
        t.equal(len(result.err.splitlines()), 1, "lines of %s" % result.err)
        t.equal(result.out, "", "stdout")
    process.stop(OK)


def test_demo_is_apart(t):
    """What is made up never gets among the events of a site, which stay as they are."""
    t.ingest([{"user_id": "ann", "timestamp": 1772359200000, "url": "/a"}])
    t.process()
    process, port = start(t, "run", "--rate", "200")
    t.until(lambda: accepted(port) > 100, "traffic", process=process)
    status = get_json(port, "/api/status")
    t.equal([status[name] for name in ("synthetic", "collector", "shop")], [True, True, True], "demo")
    told(t, process.stop(OK), "data in data/demo", "with synthetic traffic")
    t.equal(len(t.clickmill("export").out.splitlines()), 1, "events of the site")
    process, port = start(t, "serve", "--data", "data/demo")
    status = get_json(port, "/api/status")
    t.equal(status, {"synthetic": True, "collector": False, "shop": False, "refused": None,
                     "demo": None}, "serve")
    process.stop(OK)
    process, port = start(t, "run", "--sites", "shop.example")
    status = get_json(port, "/api/status")
    t.equal([status[name] for name in ("synthetic", "collector", "shop")], [False, True, False],
            "site")
    t.equal(accepted(port), 1, "events")
    told(t, process.stop(OK), "data in data,", "without the demo, because of --sites or --token")
    process, port = start(t, "run", "--demo", "--sites", "shop.example")
    t.true(get_json(port, "/api/status")["synthetic"], "asked for")
    process.stop(OK)
    t.equal(len(t.clickmill("export").out.splitlines()), 1, "events of the site")


def test_empty_store_names_the_demo(t):
    process, port = start(t, "run", "--rate", "50")
    t.until(lambda: accepted(port) > 5, "traffic", process=process)
    process.stop(OK)
    for command in ("query", "export", "verify"):
        t.says(t.clickmill(command, check=3), "no events in data yet", "data/demo")
    process, port = start(t, "run", "--no-demo")
    process.stop(OK)
    told(t, t.clickmill("export"), "no events in data;", "--data data/demo")
    t.true("data/demo" not in t.clickmill("query", "--data", "data/demo").err, "in the demo itself")
    t.ingest([{"user_id": "ann", "timestamp": 1772359200000, "url": "/a"}])
    t.process()
    t.true("data/demo" not in t.clickmill("query").err, "in a store with events")


def test_refused_senders_are_told(t):
    """By the line of status, the account and the API: how many, of whom, and what lets them in."""
    collector = Collector(t, "--no-demo", "--sites", "shop.example", command=("run",))
    for _ in range(3):
        t.equal(collector.page(keyed(1), origin="http://localhost:3000").status, 403, "a stranger")
    evil = "https://" + "e" * 3000 + "\x1b[31m"
    t.equal(collector.page(keyed(1), origin=evil).status, 403, "a long name")
    t.equal(collector.page(keyed(1), origin="null").status, 403, "a file")
    t.equal(collector.ask(keyed(1), ("Authorization", "Bearer x")).status, 401, "a wrong token")
    got = collector.get("/api/status").json["refused"]
    entries = {one["origin"]: (one["reason"], one["requests"], one["option"])
               for one in got["origins"]}
    t.equal(entries, {
        "http://localhost:3000": ("site", 3, "--sites 'shop.example,localhost:3000'"),
        ("https://" + "e" * 3000)[:128]: ("site", 1, None),
        "null": ("site", 1, "--sites 'shop.example,*'"),
        None: ("token", 1, "--token NAME=TOKEN")}, "refused")
    t.equal((got["requests"], got["others"]), (6, 0), "requests")
    for number in range(40):
        collector.page(keyed(1), origin="https://made-up-%d.example" % number)
    got = collector.get("/api/status").json["refused"]
    t.equal((got["requests"], len(got["origins"])), (46, 16), "of many origins")
    t.true("http://localhost:3000" in [one["origin"] for one in got["origins"]], "the most frequent")
    t.until(lambda: "46 requests refused, the last from" in collector.process.err, "a line of status",
            process=collector.process)
    t.true("\x1b" not in collector.process.err, "escapes on the terminal")
    result = collector.process.stop(OK)
    t.equal(result.json["refused"], 46, "in the account")


def test_refused_in_the_account(t):
    process, port = start(t, "collect")
    with socket.create_connection(("127.0.0.1", port), timeout=20) as caller:
        caller.sendall(b"POST /v1/events HTTP/1.1\r\nHost: x\r\nOrigin: http://localhost:3000\r\n"
                       b"Content-Type: text/plain\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        while caller.recv(1000):
            pass
    told(t, process.stop(OK), "refused 1 request from pages of http://localhost:3000; --sites "
                             "localhost:3000 lets it in")


def test_shop_is_in_the_demo_alone(t):
    own = "http://127.0.0.1"
    click = {"user_id": "ann", "url": own + "/demo/cart"}
    demo = Collector(t, "--rate", "0.001", command=("run",), check=False)
    good(t, demo.page(click, origin=own))
    for refused in (demo.page({"user_id": "ann", "url": own + "/"}, origin=own), demo.page(click),
                    demo.ask(click), demo.page(keyed(1)),
                    demo.get("/pixel.gif?url=https://shop.example/")):
        t.equal(refused.status, 403, str(refused))
        t.true("demonstration" in refused.json["error"], str(refused))
    demo.process.stop(OK)
    urls = [json.loads(line)["url"] for line in
            t.clickmill("export", "--data", "data/demo").out.splitlines()]
    t.equal(urls.count(click["url"]), 1, "clicks in the shop")
    site = Collector(t, "--no-demo", command=("run",))
    t.equal(site.get("/demo/").status, 404, "shop")
    t.equal(site.get("/snippet").status, 200, "snippet")
    t.equal(site.page(click, origin=own).status, 403, "a click in a shop that has closed")
    good(t, site.page({"user_id": "ann", "url": own + "/other"}, origin=own))
    t.equal([one["url"] for one in site.stop()], [own + "/other"], "events of the site")
