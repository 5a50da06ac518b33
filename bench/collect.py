#!/usr/bin/env python3
"""Compares `clickmill collect` with nginx: `make bench-collect`, or

    bench/collect.py [--rounds 3] [--seconds 10] [--connections 64] [--idle 10000]

nginx answers 204 to every request and ignores the body, and so shows the cost of HTTP alone.
Clickmill answers 202 when the event is on the disk. Both get the same bodies of 300 bytes, each with
its own row key, from `wrk` with the same script, over connections that stay open, on the same
processors, in turn. Before a time counts, the events in the store are counted: as many as the answers
that wrk has seen, and at most one more for each connection, whose answer came after wrk had ended.

nginx runs with its own configuration in a temporary directory, on a free port. Writes
collect.json and collect.md in build/bench, from where `bench.py --doc` takes them.
"""

import argparse
import contextlib
import datetime
import glob
import json
import os
import re
import resource
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path.insert(0, HERE)

import machine  # noqa: E402

BUILD = os.path.join(ROOT, os.environ.get("CM_BUILD", "build"))
PLACE = os.path.join(BUILD, "bench")
CLICKMILL = os.path.join(BUILD, "clickmill")
LUA = os.path.join(HERE, "collect.lua")
BODY = 300  # bytes, as collect.lua generates them
RATIO, RATE, MEMORY = 0.5, 30000, 64e6  # the goals

NGINX = """daemon off;
worker_processes 2;
worker_rlimit_nofile {files};
pid {place}/nginx.pid;
error_log {place}/error.log crit;
{user}
events {{ worker_connections {files}; }}
http {{
    access_log off;
    server_tokens off;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    client_body_buffer_size 16k;
    client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxy;
    fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{ return 204; }}
    }}
}}
"""


class StackError(Exception):
    """The benchmark cannot go on; the text says why."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def find(name):
    """The path of a program; nginx may be in the folder into which setup.sh has unpacked it."""
    found = shutil.which(name, path=os.pathsep.join(
        [os.environ.get("PATH", ""), "/usr/sbin", os.path.join(PLACE, "nginx", "usr", "sbin")]))
    if found is None:
        raise StackError("%s is not installed; scripts/setup.sh bench installs it" % name)
    return found


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answered(port):
    """Whether a server answers a GET there."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            return connection.recv(100).startswith(b"HTTP/1.")
    except OSError:
        return False


def family(pid):
    """The process and its children, in which nginx does its work."""
    with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as file:
        return [pid, *map(int, file.read().split())]


def cpu_seconds(pid):
    ticks = 0
    for one in family(pid):
        with open("/proc/%d/stat" % one, encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def resident(pid):
    total = 0
    for one in family(pid):
        with open("/proc/%d/status" % one, encoding="ascii") as file:
            total += int(re.search(r"VmRSS:\s+(\d+) kB", file.read())[1]) * 1024
    return total


class Server:
    """A server under test, with its own directory and port."""

    def __init__(self, name, place):
        self.name, self.place, self.port = name, place, free_port()
        os.makedirs(place)

    def start(self, args):
        with open(os.path.join(self.place, "said"), "wb") as said:
            self.process = subprocess.Popen(args, stdin=subprocess.DEVNULL, cwd=self.place,
                                            stdout=subprocess.PIPE, stderr=said)
        end = time.monotonic() + 20
        while not answered(self.port):
            if self.process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise StackError("%s does not start: %s" % (self.name, self.said()))
            time.sleep(0.02)

    def said(self):
        with open(os.path.join(self.place, "said"), errors="replace", encoding="utf-8") as file:
            return file.read()[-2000:]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=60)
        if self.process.returncode != 0:
            raise StackError("%s ended with status %d: %s" % (self.name, self.process.returncode,
                                                           self.said()))
        return out

    def kill(self):
        """Ends it in order: nginx's workers outlive a killed master."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()


class Nginx(Server):
    def __init__(self, place):
        super().__init__("nginx", place)
        with open(os.path.join(place, "nginx.conf"), "w", encoding="utf-8") as file:
            file.write(NGINX.format(place=place, port=self.port, files=16384,
                                    user="user root;" if os.geteuid() == 0 else ""))
        self.start([find("nginx"), "-e", "stderr", "-p", place, "-c",
                    os.path.join(place, "nginx.conf")])

    def check(self, answers, connections):
        """It has nothing to check."""


class Clickmill(Server):
    def __init__(self, place):
        super().__init__("clickmill", place)
        self.start([CLICKMILL, "collect", "--listen", "127.0.0.1:%d" % self.port, "--data", "data",
                    "--idle", "10m", "--json"])

    def check(self, answers, connections):
        """After stop(): the store contains all answered events."""
        database = sqlite3.connect(os.path.join(self.place, "data", "clickmill.db"))
        stored = database.execute("SELECT coalesce(sum(count), 0) FROM block").fetchone()[0]
        database.close()
        if not answers <= stored <= answers + connections:
            raise StackError("wrk has seen %d answers 202, the store has %d events" % (answers, stored))
        account = json.loads(self.out)
        if account["accepted"] != stored or account["rejected"] or account["skipped"]:
            raise StackError("the store has %d events, the account says %s" % (stored, account))
        milled = json.loads(subprocess.run(
            [CLICKMILL, "process", "--window", "all", "--data", "data", "--json"],
            cwd=self.place, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)
        if (milled["events"], milled["duplicates"]) != (stored, 0):
            raise StackError("of %d events some are not their own: %s" % (stored, milled))

    def stop(self):
        self.out = super().stop()
        return self.out


@contextlib.contextmanager
def running(kind, place):
    """A new server, which is removed in any case."""
    server = kind(place)
    try:
        yield server
    finally:
        server.kill()
        shutil.rmtree(place, ignore_errors=True)


def wrk(server, given, seconds):
    """The results of wrk for one round, checked."""
    os.sync()  # earlier writes must not slow this measurement down
    before = cpu_seconds(server.process.pid)
    done = subprocess.run(
        [find("wrk"), "-t", str(given.threads), "-c", str(given.connections), "-d", "%ds" % seconds,
         "--timeout", "30s", "--latency", "-s", LUA, "http://127.0.0.1:%d/v1/events" % server.port],
        check=True, stdout=subprocess.PIPE, text=True)
    spent = cpu_seconds(server.process.pid) - before
    told = json.loads(done.stdout.splitlines()[-1])
    if told["failed"] or not told["answers"]:
        raise StackError("%s: %d answers, %d of them failed\n%s" % (
            server.name, told["answers"], told["failed"], done.stdout))
    return {"server": server.name, "answers": told["answers"],
            "rate": told["answers"] / told["seconds"], "p50": told["p50"], "p99": told["p99"],
            "cpu_us": spent * 1e6 / told["answers"], "memory": resident(server.process.pid)}


def rounds(given, work):
    """Every server in every round, in turns; the order changes."""
    kinds, measured = [Nginx, Clickmill], []
    for number in range(given.rounds):
        for kind in kinds if number % 2 == 0 else reversed(kinds):
            with running(kind, os.path.join(work, "round-%d-%s" % (number, kind.__name__))) as server:
                took = wrk(server, given, given.seconds)
                server.stop()
                server.check(took["answers"], given.connections)
            took.update(round=number, load=machine.load())
            measured.append(took)
            say("round %d  %-10s %9.0f/s  p50 %6.2f ms  p99 %6.2f ms  %5.2f us of CPU each" % (
                number + 1, took["server"], took["rate"], took["p50"], took["p99"],
                took["cpu_us"]))
    return measured


def check_answers(work):
    """One request as wrk sends it: checks the size of the body and both answers."""
    body = json.dumps({
        "row_key": "0" * 21, "user_id": "user-000001", "timestamp": 1772359200000,
        "url": "https://shop.example/a"}).encode()
    for kind, wanted in ((Nginx, 204), (Clickmill, 202)):
        with running(kind, os.path.join(work, "check-" + kind.__name__)) as server:
            with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
                connection.sendall(b"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: "
                                   b"application/json\r\nContent-Length: %d\r\n\r\n%s" % (
                                       len(body), body))
                answer = connection.recv(4096)
            if not answer.startswith(b"HTTP/1.1 %d " % wanted):
                raise StackError("%s answers %r" % (server.name, answer[:200]))
            server.stop()
            server.check(1, 0)


def idle(count, work):
    """Resident bytes of each server with that many connections, each of which got an answer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count + 100:
        say("connections that wait: not measured, only %d files may be open" % hard)
        return {}
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 100), hard))
    sizes, ask = {}, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    for kind in (Nginx, Clickmill):
        with running(kind, os.path.join(work, "idle-" + kind.__name__)) as server, \
                contextlib.ExitStack() as held:
            for _ in range(count):
                connection = held.enter_context(
                    socket.create_connection(("127.0.0.1", server.port), timeout=20))
                connection.sendall(ask)
                if not connection.recv(4096).startswith(b"HTTP/1.1 20"):
                    raise StackError("%s refuses one of %d connections" % (server.name, count))
            sizes[server.name] = resident(server.process.pid)
    return sizes


def sync_time(work, count=200):
    """The median seconds of one small durable write to the disk."""
    taken, path = [], os.path.join(work, "sync")
    with open(path, "wb", buffering=0) as file:
        for _ in range(count):
            started = time.perf_counter()
            file.write(b"x" * 4096)
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - started)
    os.remove(path)
    return statistics.median(taken)


def summary(results):
    """Medians, the median of the rounds' ratios, and the goals."""
    def median(server, field):
        return statistics.median(run[field] for run in results["runs"] if run["server"] == server)
    by_round = {}
    for run in results["runs"]:
        by_round.setdefault(run["round"], {})[run["server"]] = run["rate"]
    ratio = statistics.median(one["clickmill"] / one["nginx"] for one in by_round.values())
    return median, ratio


def table(results):
    median, ratio = summary(results)
    settings, waiting = results["settings"], results["idle"]
    lines = [
        "%d connections, events of %d bytes, medians of %d rounds of %d s, %s, commit %s, %s, %d "
        "processors shared with wrk; a durable write of 4 KB takes the disk %.2f ms." % (
            settings["connections"], BODY, settings["rounds"], settings["seconds"],
            results["date"][:10], results["commit"], results["machine"]["cpu"],
            results["machine"]["processors_used"], results["sync"] * 1000), "",
        "| what | answers/s | p50 | p99 | CPU us each | memory | %s idle connections |"
        % format(settings["idle"], ","), "|---|---|---|---|---|---|---|"]
    for server, what in (("nginx", "nginx, `return 204`"), ("clickmill", "`collect`, durable 202")):
        lines.append("| %s | %s | %.2f ms | %.2f ms | %.2f | %.0f MB | %s |" % (
            what, format(round(median(server, "rate")), ","), median(server, "p50"),
            median(server, "p99"), median(server, "cpu_us"), median(server, "memory") / 1e6,
            "%.0f MB" % (waiting[server] / 1e6) if server in waiting else ""))
    rate = median("clickmill", "rate")
    goals = [("collect, of nginx (median of the rounds' ratios)", "%.2f" % ratio,
              "at least %g" % RATIO, ratio >= RATIO),
             ("durable answers/s", format(round(rate), ","), "at least %s" % format(RATE, ","),
              rate >= RATE)]
    if "clickmill" in waiting:
        goals.append(("memory with %s connections" % format(settings["idle"], ","),
                      "%.1f MB" % (waiting["clickmill"] / 1e6), "at most %.0f MB" % (MEMORY / 1e6),
                      waiting["clickmill"] <= MEMORY))
    lines += ["", "| goal | reached | wanted |", "|---|---|---|"]
    lines += ["| %s | %s%s | %s |" % (what, got, "" if met else " (missed)", wanted)
              for what, got, wanted, met in goals]
    return "\n".join(lines) + "\n"


def measure_all(given):
    os.makedirs(PLACE, exist_ok=True)
    for left in glob.glob(os.path.join(PLACE, "collect-*", "")):
        shutil.rmtree(left, ignore_errors=True)
    cores = sorted(os.sched_getaffinity(0))[:2]
    os.sched_setaffinity(0, cores)  # every program that is started here has the same ones
    work = tempfile.mkdtemp(prefix="collect-", dir=PLACE)
    try:
        check_answers(work)
        results = {
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="minutes"),
            "machine": machine.describe(cores), "commit": machine.revision(ROOT),
            "settings": {name: getattr(given, name) for name in ("rounds", "seconds", "connections",
                                                                 "threads", "idle")},
            "sync": sync_time(work), "runs": rounds(given, work), "idle": idle(given.idle, work)}
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=10, help="of each round (default 10)")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2, help="of wrk (default 2)")
    parser.add_argument("--idle", type=int, default=10000,
                        help="connections that wait while memory is read (default 10000)")
    given = parser.parse_args()
    try:
        results = measure_all(given)
    except StackError as trouble:
        say("collect: %s" % trouble)
        return 1
    with open(os.path.join(PLACE, "collect.json"), "w", encoding="utf-8") as file:
        file.write(json.dumps(results, indent=1) + "\n")
    text = table(results)
    with open(os.path.join(PLACE, "collect.md"), "w", encoding="utf-8") as file:
        file.write(text)
    print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
