#!/usr/bin/env python3
"""The cost of enrichment: user agents of uap-core's vectors, random addresses, and a whole import.

    bench/enrich.py [--lines 2000000] [--geoip FILE]

Reads the vectors and the real access log of the shared data (CM_SHARED names its directory). The
import reads the log over and over to answers in memory, once with everything and once without bots,
countries and cleaning left out: --bots keep --geoip none --no-clean-urls.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
import time

import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, os.environ.get("CM_BUILD", "build"))
SHARED = os.environ.get("CM_SHARED") or os.path.join(os.path.dirname(ROOT), "shared")


def agents():
    texts = []
    for name in ("ua", "os", "device"):
        with open(os.path.join(SHARED, "data", "uap-core", "test_%s.yaml" % name),
                  encoding="utf-8") as file:
            cases = yaml.load(file, getattr(yaml, "CSafeLoader", yaml.SafeLoader))["test_cases"]
        texts += [case["user_agent_string"] for case in cases]
    # Neighbours in the files are similar: they are mixed, always in the same order.
    return [texts[number * 7919 % len(texts)] for number in range(len(texts))]


def seconds(*options):
    started = time.monotonic()
    subprocess.run([os.path.join(BUILD, "clickmill"), "import", "--to-answers", *options],
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.monotonic() - started


def measure_import(directory, lines):
    with open(os.path.join(SHARED, "data", "apache_logs"), "rb") as file:
        content = file.read()
    path = os.path.join(directory, "access.log")
    count = 0
    with open(path, "wb") as file:
        while count < lines:
            file.write(content)
            count += content.count(b"\n")
    for what, options in [
            ("import, page views", []), ("import, page views and bots", ["--bots", "keep"]),
            ("import, every line", ["--all"]),
            ("import, no countries", ["--bots", "keep", "--geoip", "none", "--no-clean-urls"])]:
        taken = [seconds(*options, path) for _ in range(5)]
        print("%-28s %9.0f thousand lines/s  (%.2f to %.2f s for %d)" % (
            what, count / statistics.median(taken) / 1000, min(taken), max(taken), count))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--lines", type=int, default=2000000)
    parser.add_argument("--geoip")
    given = parser.parse_args()
    subprocess.run(["ninja", "-C", BUILD, "--quiet", "bench/enrich_bare", "clickmill"], check=True,
                   stdout=subprocess.DEVNULL)
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "agents.txt")
        with open(path, "w", encoding="utf-8") as file:
            file.write("".join(text + "\n" for text in agents()))
        subprocess.run([os.path.join(BUILD, "bench", "enrich_bare"), path]
                       + ([given.geoip] if given.geoip else []), check=True)
        measure_import(directory, given.lines)


if __name__ == "__main__":
    main()
