#!/usr/bin/env python3
"""Compares Clickmill with alternatives: `make bench [SIZE=N] [SERIES=full]`.

Works in build/bench: data sets (the main ones are kept), the peers' virtual environment, and
results.json, results.md and results.svg. The engines take turns in every round, on the same two
processors and the same files. The answers of each engine are compared before its time counts.
`bench.py --doc` writes docs/performance.md and docs/performance.svg from the results.
"""

import argparse
import datetime
import json
import os
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True

import answers  # noqa: E402
import events  # noqa: E402
import machine  # noqa: E402
import measure  # noqa: E402
import plot  # noqa: E402
import report  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
BUILD = os.path.join(ROOT, os.environ.get("CM_BUILD", "build"))
PLACE = os.path.join(BUILD, "bench")
CLICKMILL = os.path.join(BUILD, "clickmill")
REQUIREMENTS = os.path.join(HERE, "requirements.txt")

THREADS = 2
# Each step alone: by default an import ends with processing, and answers per day are kept.
IMPORT = ("import", "--no-process", "--data", "store")
PROCESS = ("process", "--window", "all", "--data", "store", "--threads", THREADS)
NEW_EVENTS = 10000
LONG = 100          # seconds; a longer run is not repeated
KEEP_UP_TO = 2000000  # events of a variant that is kept between runs
SERIES = [1000000, 10000000, 50000000, 100000000]
PEERS = ("duckdb", "polars", "chdb")


class Bench:
    """One benchmark: its files and the measurements so far."""

    def __init__(self, size, runs, series, place=PLACE):
        self.size, self.runs, self.series = size, runs, series
        self.data, self.work = os.path.join(place, "data"), os.path.join(place, "work")
        self.python = os.path.join(place, "venv", "bin", "python")
        self.measured = []   # every single run
        self.sets = {}       # facts about each data set
        self.disk = {}       # sizes of stores
        self.not_measured = []
        self.little = None
        self.direct = "--to-answers" in subprocess.run(
            [CLICKMILL, "import", "--help"], stdout=subprocess.PIPE, check=True, text=True).stdout
        shutil.rmtree(self.work, ignore_errors=True)
        os.makedirs(self.data, exist_ok=True)
        os.makedirs(self.work)

    # ---- running

    def path(self, *parts):
        return os.path.join(self.work, *parts)

    def record(self, data, work, engine, took):
        self.measured.append(dict(data=data, work=work, engine=engine, load=machine.load(), **took))
        say("%-14s %-12s %-13s %9.3f s %8.0f MB" % (data, work, engine, took["seconds"],
                                                    took["peak_bytes"] / 1e6))

    def runs_of(self, data, work, engine):
        return [run for run in self.measured
                if (run["data"], run["work"], run["engine"]) == (data, work, engine)]

    def enough(self, data, work, engine):
        """Whether one more run would take too long."""
        return any(run["seconds"] > LONG for run in self.runs_of(data, work, engine))

    def clickmill(self, *args, out=os.devnull):
        return measure.run([CLICKMILL, *args], stdout=out, cwd=self.work)

    def peer(self, engine, work, **options):
        options.update(threads=THREADS, temp=self.path("temp"))
        out = self.path("peer.json")
        took = measure.run([self.python, os.path.join(HERE, "engines.py"), engine, work,
                            *("%s=%s" % option for option in options.items())], stdout=out,
                           cwd=self.work)
        with open(out, encoding="utf-8") as file:
            inside = json.load(file)
        # The peer's own clock does not count the start of Python, which favours the peer.
        return dict(took, process_seconds=took["seconds"], **inside)

    def remove(self, *names):
        for name in names:
            for path in (self.path(name), self.path(name + ".wal")):
                if os.path.isdir(path):
                    shutil.rmtree(path)
                elif os.path.exists(path):
                    os.remove(path)

    def check(self, reference, source, kind, who):
        """Compares the answers of an engine with the reference; the first answers become it."""
        if not os.path.exists(self.path(reference)):
            return answers.normalize(source, self.path(reference), kind)
        rows = answers.normalize(source, self.path("compared.txt"), kind)
        answers.compare(self.path(reference), self.path("compared.txt"), who)
        return rows

    def check_ours(self, reference, who):
        self.clickmill("query", "--data", "store", "--format", "csv", out=self.path("ours.csv"))
        return self.check(reference, self.path("ours.csv"), "clickmill", who)

    # ---- the yardstick

    def main_rounds(self):
        produce = events.options(self.size)
        base = os.path.join(self.data, "%d.jsonl" % self.size)
        events.need(self.data, self.size, 2.5)
        events.make(CLICKMILL, base, produce)
        more = events.more(CLICKMILL, base, produce, self.size, NEW_EVENTS)
        events.warm(base)
        for number in range(self.runs):
            say("round %d of %d" % (number + 1, self.runs))
            self.remove("store", "plain.db", "keyed.db")
            self.import_round(base)
            self.process_round("process", "base.txt")
            self.add(more)
            self.process_round("again", "more.txt")
            self.direct_round("base", base, "base.txt", PEERS)
        self.remove("plain.db", "keyed.db")
        self.little_memory()
        self.redelivery(base)
        self.remove("store")
        self.sets["base"] = {"events": self.size, "cells": lines(self.path("base.txt")),
                             "bytes": os.path.getsize(base), "what": "base"}

    def import_round(self, base):
        events.warm(base)
        self.record("base", "import", "clickmill",
                    self.clickmill(*IMPORT, "--format", "jsonl", base))
        self.disk["clickmill"] = measure.disk_bytes(self.path("store"))
        events.warm(base)
        self.record("base", "import", "duckdb",
                    self.peer("duckdb", "load", events=base, database=self.path("plain.db")))
        self.disk["duckdb"] = measure.disk_bytes(self.path("plain.db"))
        if not self.enough("base", "import", "duckdb-keyed"):
            events.warm(base)
            self.record("base", "import", "duckdb-keyed", self.peer(
                "duckdb", "load-keyed", events=base, database=self.path("keyed.db")))
            self.disk["duckdb-keyed"] = measure.disk_bytes(self.path("keyed.db"))
            self.remove("keyed.db")

    def process_round(self, work, reference):
        events.warm(self.path("store", "clickmill.db"))
        rebuild = ["--rebuild"] if work == "process" else []
        ours = self.clickmill(*PROCESS, *rebuild)
        events.warm(self.path("plain.db"))
        theirs = self.peer("duckdb", "process", database=self.path("plain.db"),
                           answers=self.path("peer.csv"))
        self.check(reference, self.path("peer.csv"), "peer", "DuckDB, " + work)
        self.check_ours(reference, "clickmill " + work)
        self.record("base", work, "clickmill", ours)
        self.record("base", work, "duckdb", theirs)
        if work == "process":
            self.disk["clickmill with answers"] = measure.disk_bytes(self.path("store"))

    def add(self, more):
        self.record("base", "add", "clickmill",
                    self.clickmill(*IMPORT, "--format", "jsonl", more))
        self.record("base", "add", "duckdb",
                    self.peer("duckdb", "load", events=more, database=self.path("plain.db")))

    def direct_round(self, data, path, reference, peers):
        """From the file to answers, keeping nothing."""
        if self.direct:
            events.warm(path)
            took = self.clickmill("import", "--to-answers", "--format", "jsonl", path,
                                  out=self.path("ours.csv"))
            self.check(reference, self.path("ours.csv"), "clickmill", "clickmill --to-answers")
            self.record(data, "direct", "clickmill", took)
        for engine in peers:
            if self.enough(data, "direct", engine):
                continue
            events.warm(path)
            took = self.peer(engine, "direct", events=path, answers=self.path("peer.csv"))
            self.check(reference, self.path("peer.csv"), "peer", "%s, file to answers" % engine)
            self.record(data, "direct", engine, took)

    def little_memory(self):
        """All answers from the store, with much memory and with little."""
        little = "%dm" % max(16, self.size * 6 // 1000000)
        for _ in range(self.runs):
            for work, memory in (("rebuild", "1g"), ("rebuild-" + little, little)):
                took = self.clickmill(*PROCESS, "--rebuild", "--memory", memory)
                self.check_ours("more.txt", "clickmill process --memory " + memory)
                self.record("base", work, "clickmill", took)
        self.little = little

    def redelivery(self, base):
        """Every event arrives a second time: no answer may change, and every copy is counted."""
        self.record("base", "redelivery", "clickmill",
                    self.clickmill(*IMPORT, "--format", "jsonl", base))
        account = self.path("account.json")
        self.record("base", "after-copies", "clickmill", self.clickmill(
            *PROCESS, "--json", out=account))
        self.check_ours("more.txt", "clickmill after every event came twice")
        with open(account, encoding="utf-8") as file:
            counted = json.load(file)
        wanted = (2 * self.size + NEW_EVENTS, self.size + NEW_EVENTS, self.size)
        got = tuple(counted[name] for name in ("accepted", "events", "duplicates"))
        if got != wanted:
            raise answers.Differ("accepted, events, duplicates after redelivery: %s were expected, "
                                 "got %s" % (wanted, got))

    def produce(self):
        for _ in range(self.runs):
            self.record("base", "produce", "clickmill", self.clickmill(
                "produce", *events.options(self.size), "--out", "/dev/null"))

    def access_log(self):
        log = events.make(CLICKMILL, os.path.join(self.data, "%d.log" % self.size),
                          events.options(self.size), "combined")
        events.warm(log)
        account = self.path("account.json")
        for _ in range(self.runs):
            self.remove("store")
            took = self.clickmill(*IMPORT, "--json", "--format", "combined",
                                  "--site", "https://www.example.com", log, out=account)
            with open(account, encoding="utf-8") as file:
                counted = json.load(file)
            if counted["read"] != self.size or counted["rejected"]:
                raise answers.Differ("the access log has %d good lines; the import says %s" % (
                    self.size, counted))
            self.record("base", "accesslog", "clickmill", took)
        self.remove("store")

    # ---- other sizes and shapes

    def variants(self):
        """All data sets, one after the other, with a line after each."""
        base = os.path.join(self.data, "%d.jsonl" % self.size)
        shapes = [("few users", {"users": 1000}), ("many users", {"users": self.size // 10}),
                  ("heavy user", {"change": events.one_heavy_user, "source": base}),
                  ("many pages", {"urls": 1000000}),
                  ("random keys", {"change": events.random_keys, "source": base})]
        for name, shape in shapes:
            yield self.variant(name, self.size, **shape)
        for size in self.series:
            if size != self.size:
                yield self.variant("%d events" % size, size)
        if max(self.series) >= SERIES[-1]:
            yield self.variant("10 M users", SERIES[-1], users=10000000)

    def variant(self, name, size, change=None, source=None, **shape):
        """Import and answers of one data set, and DuckDB for comparison."""
        path = os.path.join(self.data, "%d-%s.jsonl" % (size, name.replace(" ", "-")))
        try:
            if not os.path.exists(path):
                events.need(self.data, size)
            if change:
                change(source, path)
            else:
                events.make(CLICKMILL, path, events.options(size, **shape))
        except events.NoRoom as reason:
            self.not_measured.append("%s: %s" % (name, reason))
            return
        events.warm(path)
        self.variant_rounds(name, size, path)
        self.sets[name] = {"events": size, "cells": lines(self.path("variant.txt")),
                           "bytes": os.path.getsize(path), "what": name,
                           "disk": self.disk.pop("variant")}
        self.remove("variant.txt", "store")
        if size > KEEP_UP_TO:
            os.remove(path)

    def variant_rounds(self, name, size, path):
        for _ in range(1 if size > 20000000 else self.runs):
            self.remove("store")
            self.record(name, "import", "clickmill",
                        self.clickmill(*IMPORT, "--format", "jsonl", path))
            self.disk["variant"] = measure.disk_bytes(self.path("store"))
            self.record(name, "process", "clickmill",
                        self.clickmill(*PROCESS, "--rebuild"))
        self.check_ours("variant.txt", name)
        try:
            self.direct_round(name, path, "variant.txt", ("duckdb",))
        except measure.Failed as failure:  # a peer may have its limits
            if "engines.py" not in str(failure).splitlines()[0]:
                raise
            self.not_measured.append("%s, DuckDB (it failed): %s" % (
                name, str(failure).strip().splitlines()[-1]))

    # ---- the end

    def results(self, cores):
        return {
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="minutes"),
            "machine": machine.describe(cores), "versions": self.versions(),
            "settings": {"size": self.size, "runs": self.runs, "threads": THREADS,
                         "new_events": NEW_EVENTS, "series": self.series,
                         "little_memory": self.little},
            "data": self.sets, "disk": self.disk, "runs": self.measured,
            "not_measured": self.not_measured + (
                [] if self.direct else ["clickmill import --to-answers: not in this build"])}

    def versions(self):
        frozen = subprocess.run([self.python, "-m", "pip", "freeze"], stdout=subprocess.PIPE,
                                check=True, text=True).stdout
        versions = dict(line.split("==", 1) for line in frozen.splitlines() if "==" in line)
        ours = subprocess.run([CLICKMILL, "--version"], stdout=subprocess.PIPE, check=True,
                              text=True).stdout.strip()
        return {"clickmill": ours, "commit": machine.revision(ROOT),
                **{name: versions.get(name, "?") for name in PEERS}}


def say(text):
    print(text, file=sys.stderr, flush=True)


def lines(path):
    with open(path, "rb") as file:
        return sum(1 for _ in file)


def fail(text):
    say("bench: " + text)
    sys.exit(1)


def check_build():
    """Refuses a debug build: its times say nothing."""
    try:
        with open(os.path.join(BUILD, "meson-info", "intro-buildoptions.json"),
                  encoding="utf-8") as file:
            options = {option["name"]: option["value"] for option in json.load(file)}
    except OSError as reason:
        fail("there is no build of clickmill (%s); use `make bench`" % reason)
    if options["optimization"] in ("0", "g") or options["b_sanitize"] not in ("none", []):
        fail("%s is built for debugging (optimization=%s, b_sanitize=%s); `make clean bench` builds "
             "it again" % (BUILD, options["optimization"], options["b_sanitize"]))


def install_peers(venv):
    """Installs the peers of requirements.txt in a virtual environment, again after a change."""
    done = os.path.join(venv, "installed.txt")
    with open(REQUIREMENTS, encoding="utf-8") as file:
        wanted = file.read()
    if os.path.exists(done):
        with open(done, encoding="utf-8") as file:
            if file.read() == wanted:
                return
    say("installing the peers of bench/requirements.txt in %s" % os.path.relpath(venv))
    shutil.rmtree(venv, ignore_errors=True)
    try:
        subprocess.run([sys.executable, "-m", "venv", venv], check=True, stdout=sys.stderr)
        subprocess.run([os.path.join(venv, "bin", "python"), "-m", "pip", "install", "--quiet",
                        "--disable-pip-version-check", "-r", REQUIREMENTS], check=True,
                       stdout=sys.stderr)
    except subprocess.CalledProcessError as failure:
        fail("%s; the error is above (on Debian the package python3-venv must be installed)" %
             failure)
    with open(done, "w", encoding="utf-8") as file:
        file.write(wanted)


def series_of(text, size):
    """The sizes of the series: `full`, numbers separated by commas, or a tenth and the whole."""
    if text == "full":
        sizes = SERIES
    elif text:
        sizes = [int(number) for number in text.split(",")]
    else:
        sizes = [size // 10]
    return sorted({*sizes, size})


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def other_results(name):
    """The results of another benchmark; None when it was not run."""
    try:
        with open(os.path.join(PLACE, name), encoding="utf-8") as file:
            return file.read()
    except OSError:
        return None


def write_document():
    """Writes docs/performance.* from the last results."""
    try:
        with open(os.path.join(PLACE, "results.json"), encoding="utf-8") as file:
            results = json.load(file)
    except OSError as reason:
        fail("no results to write about (%s); run `make bench` first" % reason)
    write(os.path.join(ROOT, "docs", "performance.md"),
          report.document(results, *(other_results(name + ".md")
                                     for name in ("questions", "cluster", "collect", "hours"))))
    write(os.path.join(ROOT, "docs", "performance.svg"), plot.draw(results))


def run(options):
    check_build()
    install_peers(os.path.join(PLACE, "venv"))
    cores = sorted(os.sched_getaffinity(0))[:THREADS]
    os.sched_setaffinity(0, cores)  # every program that is started here inherits them
    bench = Bench(options.size, options.runs, series_of(options.series, options.size))
    text = ""
    try:
        bench.main_rounds()
        bench.produce()
        bench.access_log()
        text = save(bench, cores)
        for _ in bench.variants():
            text = save(bench, cores)  # so that an interrupted run keeps its results
    except (answers.Differ, events.NoRoom, measure.Failed) as failure:
        fail("%s\n(what led to it is in %s)" % (failure, bench.work))
    shutil.rmtree(bench.work)
    print(text)
    say("all of it: build/bench/results.json, .md and .svg")


def save(bench, cores):
    """Writes the results so far; returns them as a table."""
    results = bench.results(cores)
    write(os.path.join(PLACE, "results.json"), json.dumps(results, indent=1) + "\n")
    text = report.table(results)
    write(os.path.join(PLACE, "results.md"), text)
    write(os.path.join(PLACE, "results.svg"), plot.draw(results))
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=10000000, help="events (default 10000000)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each work (default 3)")
    parser.add_argument("--series", default="",
                        help="sizes to compare, with commas; full: 1 M to 100 M")
    parser.add_argument("--doc", action="store_true",
                        help="write docs/performance.md and .svg of the last results")
    options = parser.parse_args()
    if options.size < 20000:
        parser.error("--size must be 20000 at least")
    if options.doc:
        write_document()
    else:
        run(options)


if __name__ == "__main__":
    main()
