#!/usr/bin/env python3
"""Measures pages of hours: `make bench-hours`, or

    bench/hours.py [--size 20000000] [--rounds 3]

A store has the answers of each hour, one row per URL, country and hour. Each page is asked of a
`clickmill serve` that was just started, so that nothing of the answers was checked or kept before;
once more, of one that has checked them for another page, is "warm". A time is the median of the
rounds. Writes hours.md in build/bench, from where `bench.py --doc` takes it.
"""

import argparse
import contextlib
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import events  # noqa: E402
import machine  # noqa: E402
import measure  # noqa: E402

PLACE = os.path.join(os.path.dirname(HERE), os.environ.get("CM_BUILD", "build"), "bench")
CLICKMILL = os.path.join(os.path.dirname(PLACE), "clickmill")
DAY = "&from=2026-01-01&to=2026-01-02"
PAGES = [("the most clicks (default)", ""), ("of one day, by exits", DAY + "&sort=exits"),
         ("of one day, by URL", DAY + "&sort=url"), ("by exits", "&sort=exits"),
         ("by average time spent", "&sort=average_time_spent"), ("by URL", "&sort=url"),
         ("by clicks, 10,000 rows after 100,000", "&limit=10000&offset=100000")]


def make(size, data):
    if not os.path.exists(os.path.join(data, "done")):
        events.need(PLACE, size)
        measure.run([CLICKMILL, "produce", "--data", data, *events.options(size)])
        measure.run([CLICKMILL, "process", "--data", data, "--window", "all,hour"])
        open(os.path.join(data, "done"), "w", encoding="ascii").close()


@contextlib.contextmanager
def serving(data):
    """The process and its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([CLICKMILL, "serve", "--data", data, "--time-limit", "300s",
                                "--listen", "127.0.0.1:%d" % port], stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError):
                ask(port, "/healthz")
                break
            time.sleep(0.05)
        yield process, port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def ask(port, path):
    with urllib.request.urlopen("http://127.0.0.1:%d%s" % (port, path)) as reply:
        return reply.read()


def used(process):
    """CPU seconds so far."""
    with open("/proc/%d/stat" % process.pid, encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak(process):
    """MB."""
    with open("/proc/%d/status" % process.pid, encoding="ascii") as file:
        return [int(line.split()[1]) for line in file if line.startswith("VmHWM")][0] / 1024


def timed(data, page, warm):
    """(seconds, CPU seconds, MB) of a page."""
    with serving(data) as (process, port):
        ask(port, "/api/summary")
        if warm:
            ask(port, "/api/answers?window=hour&sort=unique_user_count")
        cpu, begin = used(process), time.perf_counter()
        ask(port, "/api/answers?window=hour" + page)
        return time.perf_counter() - begin, used(process) - cpu, peak(process)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=20000000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    data = os.path.join(PLACE, "hours-%d" % options.size)
    os.makedirs(PLACE, exist_ok=True)
    make(options.size, data)
    cores = os.sched_getaffinity(0)
    about = machine.describe(cores)
    lines = ["%s events, medians, rounds: %d; %s, %d processors used, load %.1f.\n" % (
        format(options.size, ","), options.rounds, about["cpu"], len(cores), machine.load()),
             "The machine was busy: quiet processors take less time.\n" if machine.load() > len(cores)
             else "", "| page of hours | time | CPU | warm | CPU | memory |", "|---|---:|---:|---:|---:|---:|"]
    for name, page in PAGES:
        rounds = [timed(data, page, False) + timed(data, page, True) for _ in range(options.rounds)]
        cold, cpu, most, warm, warm_cpu, _ = (statistics.median(part) for part in zip(*rounds))
        lines.append("| %s | %.3f s | %.2f s | %.3f s | %.2f s | %.0f MB |" % (
            name, cold, cpu, warm, warm_cpu, most))
        print(lines[-1], flush=True)
    with open(os.path.join(PLACE, "hours.md"), "w", encoding="utf-8") as out:
        out.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
