#!/usr/bin/env python3
"""Compares questions to `clickmill serve` with DuckDB and ClickHouse: `make bench-questions`, or

    bench/questions.py [--size 10000000] [--rounds 3] [--only table,dashboard,live,span]
                       [--long EVENTS] [--check] [--place DIRECTORY]

Events of `produce` with all fields, 30 days, 50 events a user. Clickmill is asked over HTTP, warm; the
peers have their own tables (question_peers.py) and are asked in every form that they are known to be fast
in (session_sql.py). All take turns on the same two processors. Every answer is compared, all rows and all
counters, before a time counts. `--check` only compares; it needs no build without debugging.

Writes questions.json and questions.md in build/bench, from where `bench.py --doc` takes them, or in
another directory.
"""

import argparse
import contextlib
import datetime
import glob
import http.client
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import answers  # noqa: E402
import bench  # noqa: E402
import collect  # noqa: E402
import events  # noqa: E402
import machine  # noqa: E402
import measure  # noqa: E402
import question_report  # noqa: E402
import session_sql  # noqa: E402

PEERS = ("duckdb", "chdb")
TABLES = ("plain", "coded")
FORMS = ("distinct", "levels")
START, DAYS, LONG_DAYS, LAST = 1767225600000, 30, 360, 7
LONG = 10       # seconds; a form whose runs took longer is not run again
SLOW = 2        # seconds; so slow that reading the table does not matter, so the first run counts, too
LIMIT = 10000   # rows of a request at most
KEPT = 32       # answers that `serve` keeps
LIVE_SECONDS, LIVE_RATE = 20, 1000
PARTS = ("table", "dashboard", "live", "span")
QUOTIENTS = {"average_time_spent": ("time_spent_sum", "time_spent_count"),
             "average_time_on_page": ("time_on_page_sum", "time_on_page_count"),
             "views_per_visit": ("clicks", "visits"), "bounce_rate": ("bounces", "entrances"),
             "average_visit_duration": ("visit_duration_sum", "entrances"),
             "average_engaged_ms": ("engaged_ms_sum", "engaged_count")}


def at(day):
    """RFC 3339 of a day of the data, and its milliseconds."""
    ms = START + day * session_sql.DAY
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ms // 1000)), ms


class Question:
    """One row of the table: the goal is 1/`goal` of the fastest peer's time."""

    def __init__(self, title, by, goal, every=False, params=(), where=()):
        self.title, self.by, self.goal, self.every = title, by, goal, every
        self.measures = "all" if every else ",".join(session_sql.FEW)
        self.params = [("by", ",".join(by)), ("measures", self.measures), *params]
        self.request = {"by": by, "every": every, "where": where}


def questions(country):
    since, since_ms = at(DAYS - LAST)
    return [
        Question("clicks and users by browser", ["browser"], 5),
        Question("by day", ["day"], 6),
        Question("by city in one of 60 countries", ["city"], 4, params=[("where", "country = " + country)],
                 where=["country = '%s'" % country]),
        Question("by source in the last 7 of 30 days", ["source"], 3, params=[("from", since)],
                 where=["timestamp >= %d" % since_ms]),
        Question("by url (1,000)", ["url"], 20),
        Question("all measures by url", ["url"], 60, every=True),
        Question("all measures by source", ["source"], 40, every=True),
        Question("all measures by day", ["day"], 40, every=True),
        Question("all measures by url x country", ["url", "country"], 60, every=True)]


# The dashboard: totals with the span before, and eleven lists.
LISTS = ("day", "source", "channel", "utm_campaign", "url", "entry_page", "exit_page", "country", "browser",
         "device", "name")


def dashboard():
    """The parameters that hold for all questions, and those of each."""
    common = [("from", at(0)[0]), ("to", at(DAYS + 1)[0])]
    return common, [[("by", ""), ("compare", "previous")], *([("by", name)] for name in LISTS)]


# ---- the programs

class Serve(collect.Server):
    """`clickmill serve` of a store, asked over one connection."""

    def __init__(self, place, store):
        super().__init__("clickmill serve", place)
        self.start([bench.CLICKMILL, "serve", "--data", store, "--listen", "127.0.0.1:%d" % self.port])
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        self.asked = 0

    def limit(self, most):
        """A limit of about that. An answer is kept for a request that comes again, so each measured
        request has another limit than those before it."""
        self.asked += 1
        return "limit", most - self.asked % (2 * KEPT)

    def again(self):
        """A new connection: one that was not used for long may be closed."""
        self.connection.close()

    def fetch(self, path, params):
        """(seconds until the last byte, the body)."""
        started = time.perf_counter()
        self.connection.request("GET", "%s?%s" % (path, urllib.parse.urlencode(params)))
        reply = self.connection.getresponse()
        body = reply.read()
        seconds = time.perf_counter() - started
        if reply.status != 200:
            raise answers.Differ("clickmill serve answers %d: %s" % (reply.status, body[:300].decode()))
        return seconds, json.loads(body)

    def ask(self, params):
        return self.fetch("/api/v1/query", params)

    def all_rows(self, params):
        rows, more = [], True
        self.again()
        while more:
            _, answer = self.ask([*params, ("limit", LIMIT), ("offset", len(rows))])
            rows += answer["rows"]
            more = answer["more"]
        return rows

    def peak(self):
        with open("/proc/%d/status" % self.process.pid, encoding="ascii") as file:
            return int(re.search(r"VmHWM:\s+(\d+) kB", file.read())[1]) * 1024


class Peer:
    """A peer in a process of its own, which keeps its tables open."""

    def __init__(self, python, name, place):
        self.name = name
        self.process = subprocess.Popen(
            [python, os.path.join(HERE, "question_peers.py"), name, place], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, cwd=place)

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise measure.Failed("%s failed; the reason is above" % question_report.NAMES[self.name])
        return json.loads(line)

    def end(self):
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


# ---- comparing

def of_peer(question, rows):
    """The counters by group."""
    width = len(question.by)
    names = session_sql.COUNTERS if question.every else session_sql.FEW
    return {tuple(row[:width]): dict(zip(names, row[width:])) for row in rows}


def of_ours(question, rows):
    """The same of our rows. A peer that counts page views lists no group without them."""
    names = session_sql.COUNTERS if question.every else session_sql.FEW
    return {tuple(row[column] for column in question.by): {name: row[name] for name in names} for row in rows
            if question.every or row["clicks"] > 0}


def check_quotients(question, rows):
    """Averages and rates are the doubles nearest to the quotients of the counters."""
    for row in rows if question.every else ():
        for name, (above, below) in QUOTIENTS.items():
            wanted = row[above] / row[below] if row[below] else None
            if row[name] != wanted:
                raise answers.Differ("%s of %s: expected %s, got %s" % (name, row, wanted, row[name]))


def differences(wanted, got):
    """What differs of the counters by group, in words."""
    return ["%s\n- %s\n+ %s" % (group, wanted.get(group), got.get(group))
            for group in sorted({*wanted, *got}, key=str) if wanted.get(group) != got.get(group)]


# ---- the parts

class Run:
    def __init__(self, given, work, cores):
        self.given, self.work, self.cores, self.compared = given, work, cores, 0
        self.data = os.path.join(given.place, "data")
        os.makedirs(self.data, exist_ok=True)
        self.results = {"rows": [], "dashboard": {}, "span": [], "peaks": {}}

    def path(self, *names):
        return os.path.join(self.work, *names)

    def produced(self, size, days):
        name = "questions-%d-%d-days.jsonl" % (size, days)
        return events.make(bench.CLICKMILL, os.path.join(self.data, name), [
            *events.options(size), "--fields", "all", "--over", "%dd" % days])

    def stored(self, name, path):
        """A new store of a file; the peak memory of making it."""
        events.warm(path)
        peak = measure.run([bench.CLICKMILL, "import", "--no-process", "--format", "jsonl", "--data",
                            self.path(name), path])["peak_bytes"]
        say("%s is imported" % os.path.basename(path))
        return peak

    @contextlib.contextmanager
    def serving(self, store):
        place = tempfile.mkdtemp(prefix="serve-", dir=self.work)
        server = Serve(os.path.join(place, "at"), self.path(store))
        try:
            yield server
        finally:
            server.kill()
            shutil.rmtree(place)

    def all_parts(self):
        size, parts = self.given.size, self.given.only
        file = self.produced(size, DAYS)
        self.results["peaks"]["import"] = self.stored("store", file)
        with contextlib.ExitStack() as held:
            peers = []
            if "table" in parts or "dashboard" in parts:
                peers = self.peers(file, held)
            if not self.given.check:
                self.command_peaks()
            with self.serving("store") as server:
                if "table" in parts:
                    self.table(server, peers)
                if "dashboard" in parts:
                    self.dashboard(server, peers)
                if not self.given.check:
                    self.results["peaks"]["serve, after all questions"] = server.peak()
        if self.given.check:
            return
        if "live" in parts:
            self.live()
        shutil.rmtree(self.path("store"))
        if "span" in parts:
            self.last_days(self.given.long or size)

    def peers(self, file, held):
        found = []
        for name in self.given.peers:
            peer = Peer(self.given.python, name, self.work)
            held.callback(peer.end)
            count = peer.ask(load=file)["events"]
            if count != self.given.size:
                raise answers.Differ("%s has loaded %d events" % (name, count))
            say("%s has its tables" % question_report.NAMES[name])
            found.append(peer)
        return found

    def compare(self, question, rows, ours, who):
        wanted = of_peer(question, rows)
        wrong = differences(wanted, ours)
        if wrong or not wanted:
            raise answers.Differ("%s, %s: %d of %d groups differ\n%s" % (
                question.title, who, len(wrong), len(wanted), "\n".join(wrong[:3])))
        self.compared += 1

    def keep(self):
        """Writes the results so far; returns them as tables."""
        results = {**self.results, "machine": machine.describe(self.cores), "commit": machine.revision(bench.ROOT),
                   "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="minutes"),
                   "settings": {"size": self.given.size, "rounds": self.given.rounds, "threads": bench.THREADS}}
        bench.write(os.path.join(self.given.place, "questions.json"), json.dumps(results, indent=1) + "\n")
        text = question_report.table(results)
        bench.write(os.path.join(self.given.place, "questions.md"), text)
        return text

    # ---- the table

    def table(self, server, peers):
        _, answer = server.ask([("values", "country"), ("limit", "1")])
        for question in questions(answer["rows"][0]["country"]):
            rows = server.all_rows(question.params)
            check_quotients(question, rows)
            ours = of_ours(question, rows)
            kinds = [(peer, table, form) for peer in peers for table in TABLES for form in FORMS]
            times = {kind: [] for kind in kinds}
            for peer, table, form in kinds:  # this warms the peers, too
                answer = peer.ask(**question.request, table=table, form=form, rows=True)
                self.compare(question, answer["rows"], ours, "%s, %s, %s" % (peer.name, table, form))
                if answer["seconds"] > SLOW:
                    times[peer, table, form].append(answer["seconds"])
            if not self.given.check:
                mine = self.rounds(server, question, times)
                self.add_row(question, len(ours), mine, times)

    def rounds(self, server, question, times):
        """Fills `times`; ours take turns with each round of the peers."""
        mine = []
        for _ in range(self.given.rounds):
            server.again()
            server.ask(question.params)  # the peers took long: what was read may be gone
            mine += [server.ask([*question.params, server.limit(LIMIT)])[0] for _ in range(3)]
            for (peer, table, form), taken in times.items():
                if len(taken) < self.given.rounds and sum(taken) < LONG:
                    taken.append(peer.ask(**question.request, table=table, form=form)["seconds"])
        return mine

    def add_row(self, question, groups, mine, times):
        row = {"question": question.title, "groups": groups, "goal": question.goal, "load": machine.load(),
               "clickmill": statistics.median(mine), "runs": mine, "peers": {}, "forms": {}}
        for (peer, table, form), taken in times.items():
            name, middle = "%s %s" % (peer.name, table), statistics.median(taken)
            row["forms"]["%s %s" % (name, form)] = taken
            row["peers"][name] = min(middle, row["peers"].get(name, middle))
        self.results["rows"].append(row)
        say(question_report.line(row))
        self.keep()

    # ---- the dashboard

    def dashboard(self, server, peers):
        common, each = dashboard()
        for name in LISTS:
            question = Question("dashboard, " + name, [name], 1, every=True)
            ours = of_ours(question, server.all_rows([*common, *question.params]))
            for peer in peers[:1]:
                answer = peer.ask(**question.request, table="coded", form="levels", rows=True)
                self.compare(question, answer["rows"], ours, peer.name)
        server.again()
        together = [*common, *(pair for one in each for pair in one)]
        _, at_once = server.ask(together)
        alone = [server.ask([*common, *one])[1] for one in each]
        if at_once["answers"] != alone:
            raise answers.Differ("the dashboard's answers of one request are not those of twelve")
        if not self.given.check:
            self.results["dashboard"] = {"together": [], "one by one": []}
            for _ in range(3 * self.given.rounds):
                self.dashboard_once(server, self.results["dashboard"])
            say(question_report.dashboard_line("dashboard", self.results["dashboard"]))

    @staticmethod
    def dashboard_once(server, taken):
        """Asks in one request, then one by one. Returns the clicks of the total."""
        common, each = dashboard()
        server.again()
        seconds, answer = server.ask([*common, server.limit(100), *(pair for one in each for pair in one)])
        taken["together"].append(seconds)
        taken["one by one"].append(sum(server.ask([*common, server.limit(100), *one])[0] for one in each))
        return answer["answers"][0]["total"]["clicks"]

    def live(self):
        """The dashboard, once a second, while `produce` stores events of the newest day."""
        taken, clicks = {"together": [], "one by one": []}, []
        produce = [str(word) for word in (
            bench.CLICKMILL, "produce", "--data", self.path("store"), "--rate", LIVE_RATE, "--count",
            LIVE_RATE * (LIVE_SECONDS + 5), "--start", at(DAYS)[0], "--fields", "all", "--seed", 2,
            *events.options(self.given.size)[2:-2])]
        with self.serving("store") as server:
            self.dashboard_once(server, {"together": [], "one by one": []})
            with open(self.path("produce.log"), "wb") as log:
                writer = subprocess.Popen(produce, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            try:
                end = time.monotonic() + LIVE_SECONDS
                while time.monotonic() < end:
                    began = time.monotonic()
                    clicks.append(self.dashboard_once(server, taken))
                    time.sleep(max(0, 1 - (time.monotonic() - began)))
            finally:
                writer.send_signal(signal.SIGTERM)
                writer.wait(30)
        if clicks != sorted(clicks) or clicks[-1] <= clicks[0]:
            raise answers.Differ("clicks while events come in: %s" % clicks)
        taken["clicks"] = clicks[-1] - clicks[0]
        self.results["live"] = taken
        say(question_report.dashboard_line("dashboard, live", taken))

    # ---- other work

    def command_peaks(self):
        """Peak memory of commands; small answers, before this process becomes large."""
        for name, words in (
                ("process", ["process", "--window", "all", "--data", self.path("store"), "--threads", bench.THREADS]),
                ("query --by url --measures all", ["query", "--by", "url", "--measures", "all"]),
                ("query --by url,country --measures all", ["query", "--by", "url,country", "--measures", "all"])):
            data = [] if "--data" in words else ["--data", self.path("store"), "--format", "csv"]
            took = measure.run([bench.CLICKMILL, *words, *data])
            self.results["peaks"][name] = took["peak_bytes"]
            say("%-40s %8.3f s %6.0f MB" % (name, took["seconds"], took["peak_bytes"] / 1e6))

    def last_days(self, size):
        """The last 7 of 360 days, against a store that has only those."""
        file, since = self.produced(size, LONG_DAYS), at(LONG_DAYS - LAST)
        part = file + ".last"
        events.tail(file, part, since[1])
        for name, path in (("store", file), ("part", part)):
            self.results["peaks"]["import, %s" % name] = self.stored(name, path)
        asked = [Question("clicks and users by browser", ["browser"], 2),
                 Question("clicks and users by source", ["source"], 2), Question("clicks and users by url", ["url"], 2),
                 Question("all measures by url", ["url"], 2, every=True)]
        with self.serving("store") as whole, self.serving("part") as small:
            for question in asked:
                params = [*question.params, ("from", since[0])]
                self.same_counts(question, whole.all_rows(params), small.all_rows(params))
                taken = {"whole": [], "part": []}
                for _ in range(3 * self.given.rounds):
                    for name, server in (("whole", whole), ("part", small)):
                        taken[name].append(server.ask([*params, server.limit(LIMIT)])[0])
                self.results["span"].append({"question": question.title, "size": size, **taken})
                say("last %d of %d days, %s: %.1f ms, %.1f ms" % (
                    LAST, LONG_DAYS, question.title, *(statistics.median(taken[name]) * 1000 for name in taken)))
            self.results["peaks"]["serve, %d days" % LONG_DAYS] = whole.peak()

    @staticmethod
    def same_counts(question, rows, others):
        """Clicks and users of the groups are equal. What begins before the span is not known to the
        smaller store, so its sessions, and with them sources, may be others."""
        if question.by == ["source"]:
            return
        one, other = ({row[question.by[0]]: (row["clicks"], row["unique_user_count"]) for row in side}
                      for side in (rows, others))
        if one != other or not one:
            raise answers.Differ("the last days are not the same events: " + question.title)


def say(text):
    print(text, file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--size", type=int, default=10000000, help="events (default 10000000)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each question (default 3)")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas (default all)")
    parser.add_argument("--long", type=int, help="events of 360 days (default: --size)")
    parser.add_argument("--peers", default=",".join(PEERS), help="peers, with commas (default all)")
    parser.add_argument("--python", metavar="FILE", help="a Python that has the peers (default: one is made)")
    parser.add_argument("--place", default=bench.PLACE, help="where data and results are (default build/bench)")
    parser.add_argument("--check", action="store_true", help="only compare answers")
    given = parser.parse_args()
    given.only, given.peers = given.only.split(","), given.peers.split(",")
    for name in {*given.only} - {*PARTS}:
        parser.error("there is no part %s but %s" % (name, ", ".join(PARTS)))
    if not given.check:
        bench.check_build()
    if not given.python:
        bench.install_peers(os.path.join(bench.PLACE, "venv"))
        given.python = os.path.join(bench.PLACE, "venv", "bin", "python")
    given.python = os.path.abspath(given.python)
    given.place = os.path.abspath(given.place)
    os.makedirs(given.place, exist_ok=True)
    for left in glob.glob(os.path.join(given.place, "questions-*", "")):
        shutil.rmtree(left, ignore_errors=True)
    cores = sorted(os.sched_getaffinity(0))[:bench.THREADS]
    os.sched_setaffinity(0, cores)  # every program that is started here has the same ones
    work = tempfile.mkdtemp(prefix="questions-", dir=given.place)
    run = Run(given, work, cores)
    try:
        run.all_parts()
        print("%d answers of peers agree" % run.compared if given.check else run.keep(), end="\n")
    except (answers.Differ, collect.StackError, events.NoRoom, measure.Failed) as failure:
        bench.fail(str(failure))
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
