"""The unit tests: builds them, runs each program, counts each cmocka test."""

import json
import os
import re
import subprocess
import threading
import time

from harness import BUILD, ROOT, shorten, stretched

SANITIZE = os.path.join(ROOT, "build", "sanitize")
RESULT = re.compile(r"^(not )?ok\b(?: (\d+))?\s*-?\s*(.*)$")
SKIPPED = re.compile(r"#\s*SKIP\b\s*(.*)", re.I)
PLAN = re.compile(r"^1\.\.(\d+)")
WARNING = re.compile(r"^\S+:\d+:\d+: warning: .*\n", re.M)
TIMEOUT = 300
BUSY = "too busy to tell"  # printed by a test that measures, before the line that marks it as skipped
# Programs that mostly wait (for a mock Kafka's time-outs): `make check` does not run them.
PATIENT = ("sink_kafka_sink", "source_kafka_source", "source_kafka_source_faults")
# Programs with upper limits of less than a second, or that compare durations: nothing runs at the
# same time.
MEASURING = ("elastic_bulk", "elastic_client", "serve_live", "serve_server", "serve_turns",
             "source_synthetic_synthetic")


class BuildError(Exception):
    pass


def command(*args):
    done = subprocess.run(args, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace")
    if done.returncode != 0:
        raise BuildError("$ %s\n%s" % (" ".join(args), shorten(done.stdout, 8000)))
    return done.stdout


def configure(directory, *options):
    """Creates the build directory when it is missing, so that programs() can list its programs."""
    if not os.path.exists(os.path.join(directory, "build.ninja")):
        command("meson", "setup", directory, ROOT, *options)
    else:
        command("ninja", "-C", directory, "build.ninja")


def configure_normal():
    configure(BUILD)


def configure_sanitized():
    # libasan resolves its symbols when the program starts, so linking must allow undefined ones.
    # -O1 needs half the compile time of -O2, and its stack traces are easier to read.
    configure(SANITIZE, "-Dwerror=true", "-Doptimization=1", "-Db_sanitize=address,undefined", "-Db_lundef=false",
              "-Dnode_modules=" + os.path.join(ROOT, "build", "web", "node_modules"))


def build(directory, targets):
    """Builds what is not up to date, with a lower priority than the running tests. A compiler warning
    is an error here, and only here: it must not prevent a user from using the program."""
    told = command("nice", "-n", "5", "ninja", "-C", directory, "-j", str(os.cpu_count() or 1),
                   *targets)
    if warnings := "".join(WARNING.findall(told)):
        raise BuildError("the compiler warns:\n" + shorten(warnings, 8000))


def programs(directory):
    """The unit test programs of a build directory, as meson knows them."""
    listing = json.loads(command("meson", "introspect", "--tests", directory))
    return sorted(listing, key=lambda entry: entry["name"])


def target(entry, directory):
    """The name of a program for ninja."""
    return os.path.relpath(entry["cmd"][0], directory)


def others(directory):
    """The targets of a build directory that are not unit test programs."""
    tests = {entry["cmd"][0] for entry in programs(directory)}
    return [os.path.relpath(path, directory)
            for about in json.loads(command("meson", "introspect", "--targets", directory))
            for path in about["filename"]
            if about["build_by_default"] and path not in tests]


def run(entry, directory):
    """Runs one program; yields (test, problem, skipped, seconds) as they come, problem and skipped
    None or a text."""
    env = dict(os.environ, **entry["env"])
    env.update(CMOCKA_MESSAGE_OUTPUT="TAP", UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1")
    env.setdefault("ASAN_OPTIONS", "detect_leaks=1:strict_string_checks=1")
    process = subprocess.Popen(entry["cmd"], cwd=entry["workdir"] or directory, env=env,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, errors="replace")
    late = threading.Event()

    def stop():
        late.set()
        process.kill()
    limit = stretched(TIMEOUT)
    timer = threading.Timer(limit, stop)
    timer.start()
    reader, failed = Reader(), False
    try:
        for line in process.stdout:
            for result in reader.take(line.rstrip("\n")):
                failed = failed or result[1] is not None
                yield result
        for result in reader.end():
            failed = failed or result[1] is not None
            yield result
        code = process.wait()
    finally:
        timer.cancel()
        process.kill()
        process.wait()
    output, seconds = shorten("\n".join(reader.lines), 8000), time.monotonic() - reader.last
    if late.is_set():
        yield "(program)", "still running after %d s\n%s" % (limit, output), None, seconds
    elif not reader.complete or (code != 0 and not failed):
        yield "(program)", "%s, exit status %d\n%s" % (
            "its tests passed" if reader.complete else "it did not run all its tests", code,
            output), None, seconds


class Reader:
    """Takes TAP output line by line and gives the results, each (test, problem, skipped, seconds)."""

    def __init__(self):
        self.lines, self.notes, self.held = [], [], None
        self.planned = self.count = 0
        self.last = time.monotonic()

    @property
    def complete(self):
        """Whether there are as many results as the plans announce."""
        return self.planned > 0 and self.planned == self.count

    def take(self, line):
        """The results that are complete with this line."""
        self.lines.append(line)
        if plan := PLAN.match(line):
            self.planned += int(plan.group(1))
        elif found := RESULT.match(line):
            yield from self.end()
            yield from self.result(line, found)
            return
        elif self.held is not None and line.startswith("#"):
            # cmocka prints the reason before and after the line with the failure.
            self.held[1] += "\n" + line
            return
        self.notes.append(line)

    def result(self, line, found):
        now = time.monotonic()
        seconds, self.last = now - self.last, now
        self.count += 1
        skipped = SKIPPED.search(line)
        name = found.group(3).split("#")[0].strip()
        if skipped:
            why = [note for note in self.notes if BUSY in note]
            yield (name or skipped.group(1), None, why[-1].lstrip("# ") if why
                   else skipped.group(1) or "no reason", seconds)
        elif found.group(1):
            self.held = [name, "\n".join(self.notes + [line]), None, seconds]
        else:
            yield name, None, None, seconds
        self.notes = []

    def end(self):
        """The failed result that waited for more lines."""
        if self.held is not None:
            yield tuple(self.held)
            self.held = None
