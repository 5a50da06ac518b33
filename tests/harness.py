"""What every test gets: its own directory, the program to run in it, and assertions that
say what was expected.

A test is a function `test_*(t)` in tests/integration/test_*.py, where `t` is a Test. It fails by
raising, is skipped by t.skip(reason), and is left out of `make check` when it is marked with
@slow. Its processes end and its directory goes when it ends, however that is.
"""

import difflib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time

from pace import Pace

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, os.environ.get("CM_BUILD", "build"))
CLICKMILL = os.path.join(BUILD, "clickmill")
SHARED = os.environ.get("CM_SHARED") or os.path.join(os.path.dirname(ROOT), "shared")

# Exit statuses, as src/base/err.h has them.
OK, INTERNAL, USAGE, INPUT, IO, BUSY, CORRUPT, VERSION, MEMORY = 0, 1, 2, 3, 4, 5, 6, 7, 8
DIFFER, AWAY, MISSING = 10, 12, 13

CSV_HEADER = (
    "url,country,clicks,unique_user_count,average_time_spent,time_spent_sum,time_spent_count,"
    "average_time_on_page,entrances,exits\n"
)


class Skip(Exception):
    """The test cannot run here; the text gives the reason."""


def slow(function):
    """Marks a test that `make check` and the sanitizers' build do not run."""
    function.slow = True
    return function


def patient(function):
    """Marks a test that mostly waits: only `make check`, which must be quick, does not run it."""
    function.patient = True
    return function


def alone(function):
    """Marks a test that measures: no other test runs at the same time."""
    function.alone = True
    return function


def stretched(seconds):
    """A deadline, longer when more programs run than there are processors: a test that ends in time
    on an idle machine must not fail because other programs use this one. Measurements use a Pace."""
    return seconds * min(10, max(1, os.getloadavg()[0] / (os.cpu_count() or 1)))


class Result:
    """The result of a process: its exit status, stdout as bytes and text, stderr as text."""

    def __init__(self, args, code, out, err):
        self.args, self.code, self.raw = args, code, out
        self.out = out.decode("utf-8", "surrogateescape")
        self.err = err.decode("utf-8", "surrogateescape")
        if "Sanitizer" in self.err or "runtime error:" in self.err:
            raise AssertionError("a sanitizer complains\n%s" % self)

    @property
    def json(self):
        return json.loads(self.out)

    def __str__(self):
        return "$ %s\nexit status %d\n--- stdout\n%s\n--- stderr\n%s" % (
            " ".join(self.args), self.code, shorten(self.out), shorten(self.err))


def shorten(text, limit=3000):
    if len(text) <= limit:
        return text
    return "%s\n[... %d characters ...]\n%s" % (
        text[:limit // 2], len(text) - limit, text[-limit // 2:])


def diff(wanted, got, limit=60):
    """A unified diff of two texts, cut after `limit` lines."""
    lines = list(difflib.unified_diff(wanted.splitlines(), got.splitlines(), "expected", "got",
                                      lineterm="", n=2))
    if len(lines) > limit:
        lines[limit:] = ["[... %d more lines ...]" % (len(lines) - limit)]
    return "\n".join(lines)


class Background:
    """A running clickmill whose output goes to files."""

    def __init__(self, args, env, cwd, files, preexec=None):
        self.args = args
        self.out_path, self.err_path = files + ".out", files + ".err"
        with open(self.out_path, "wb") as out, open(self.err_path, "wb") as err:
            self.process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                            env=env, cwd=cwd, preexec_fn=preexec)
        self.pid = self.process.pid

    @property
    def out(self):
        return read_text(self.out_path)

    @property
    def err(self):
        return read_text(self.err_path)

    def running(self):
        return self.process.poll() is None

    def signal(self, number):
        if self.running():
            self.process.send_signal(number)

    def kill(self):
        self.signal(signal.SIGKILL)
        return self.wait()

    def stop(self, check=OK, timeout=30):
        """SIGTERM, then the result; `check` as in Test.clickmill."""
        self.signal(signal.SIGTERM)
        return self.wait(check, timeout)

    def wait(self, check=None, timeout=120):
        try:
            code = self.process.wait(stretched(timeout))
        except subprocess.TimeoutExpired:
            raise AssertionError("still running after %g s: %s\n%s" % (
                timeout, " ".join(self.args), shorten(self.err))) from None
        result = Result(self.args, code, self.out.encode("utf-8", "surrogateescape"),
                        self.err.encode("utf-8", "surrogateescape"))
        if check is not None and code != check:
            raise AssertionError("exit status %d was expected\n%s" % (check, result))
        return result


def read_text(path):
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        return file.read()


class Test:
    """The environment of one test; `program` is the clickmill that it runs."""

    def __init__(self, name, program=CLICKMILL):
        self.name, self.program = name, program
        self.dir = tempfile.mkdtemp(prefix="clickmill-test-")
        self.started = []
        self.doubts = []

    def close(self):
        for process in self.started:
            if process.running():
                process.kill()
        shutil.rmtree(self.dir, ignore_errors=True)

    # ---- files

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def write(self, name, content):
        """A file in the test's directory from bytes, text, or objects (one JSON line each)."""
        if isinstance(content, (list, tuple)):
            content = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in content)
        if isinstance(content, str):
            content = content.encode("utf-8", "surrogateescape")
        with open(self.path(name), "wb") as file:
            file.write(content)
        return self.path(name)

    def shared(self, *parts):
        """A file of the shared data; the test is skipped when it is absent."""
        path = os.path.join(SHARED, *parts)
        if not os.path.exists(path):
            self.skip("%s is not there (CM_SHARED names the shared directory)" % path)
        return path

    # ---- processes

    def environment(self, env=None):
        # A `make` inside the `make` that runs the tests would print its level.
        kept = {name: value for name, value in os.environ.items()
                if not name.startswith(("CLICKMILL_", "MAKE", "MFLAGS"))}
        kept.update(LC_ALL="C.UTF-8", TZ="America/Lima")  # answers are in UTC in any time zone
        kept.update(env or {})
        return kept

    def clickmill(self, *args, stdin=b"", check=OK, env=None, timeout=120, cwd=None, preexec=None,
                  stdout=None):
        """Runs the program to its end. Fails unless its exit status is `check` (None: any)."""
        args = [self.program, *map(str, args)]
        if isinstance(stdin, str):
            stdin = stdin.encode("utf-8", "surrogateescape")
        try:
            done = subprocess.run(
                args, input=stdin, stdout=stdout or subprocess.PIPE, stderr=subprocess.PIPE,
                env=self.environment(env), cwd=cwd or self.dir, timeout=stretched(timeout),
                preexec_fn=preexec)
        except subprocess.TimeoutExpired as late:
            raise AssertionError("still running after %g s: %s\n%s" % (
                timeout, " ".join(args),
                shorten((late.stderr or b"").decode(errors="replace")))) from None
        result = Result(args, done.returncode, done.stdout or b"", done.stderr)
        if check is not None and result.code != check:
            raise AssertionError("exit status %d was expected\n%s" % (check, result))
        return result

    def start(self, *args, env=None, cwd=None, preexec=None):
        """Runs the program in the background; it is killed at the end of the test."""
        files = self.path("background-%d" % len(self.started))
        process = Background([self.program, *map(str, args)], self.environment(env),
                             cwd or self.dir, files, preexec)
        self.started.append(process)
        return process

    def until(self, condition, what, timeout=20, process=None):
        """Waits until the condition holds and returns its value."""
        began = time.monotonic()
        while True:
            value = condition()
            if value:
                return value
            if process is not None and not process.running():
                raise AssertionError("it ended before %s\n%s" % (what, process.wait()))
            if time.monotonic() > began + stretched(timeout):
                raise AssertionError("%s: not within %g s%s" % (
                    what, timeout, "\n" + shorten(process.err) if process else ""))
            time.sleep(0.02)

    # ---- shortcuts for many tests

    def ingest(self, content, *options, data="data", check=OK):
        """Imports JSON lines from stdin, without processing, and returns the account."""
        if not isinstance(content, (str, bytes)):
            content = "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in content)
        return self.clickmill("import", "--data", data, "--json", "--format", "jsonl",
                              "--no-process", *options, "-", stdin=content, check=check).json

    def process(self, *windows, data="data"):
        """Processes the windows (default: all three) and returns the account."""
        windows = windows or ("all", "day", "hour")
        return self.clickmill("process", "--data", data, "--json", "--window",
                              ",".join(windows)).json

    def answers(self, window="all", data="data", sort="url"):
        """The answers as CSV text."""
        return self.clickmill("query", "--data", data, "--window", window, "--sort", sort,
                              "--format", "csv").out

    def all_answers(self, data="data"):
        """The answers of all windows, as one text."""
        return "".join("[%s]\n%s" % (window, self.answers(window, data))
                       for window in ("all", "day", "hour"))

    def database(self, data="data"):
        """A connection to the database of a data directory."""
        return sqlite3.connect(self.path(data, "clickmill.db"))

    def change(self, *statements, data="data"):
        """Runs SQL statements on the database without the program."""
        database = self.database(data)
        for statement in statements:
            database.execute(statement)
        database.commit()
        database.close()

    def check_integrity(self, data="data"):
        database = self.database(data)
        self.equal(database.execute("PRAGMA integrity_check").fetchall(), [("ok",)],
                   "integrity of the database")
        database.close()

    # ---- assertions

    def skip(self, reason):
        raise Skip(reason)

    def pace(self):
        """A Pace, for a test that measures time."""
        return Pace(self)

    def doubt(self, reason):
        """The test continues. Unless it fails, it counts as skipped at the end, for this reason."""
        self.doubts.append(reason)

    def equal(self, got, wanted, what="value"):
        if got == wanted:
            return
        if isinstance(got, str) and isinstance(wanted, str) and "\n" in got + wanted:
            raise AssertionError("%s differs\n%s" % (what, diff(wanted, got)))
        raise AssertionError("%s: expected %s, got %s" % (
            what, shorten(repr(wanted)), shorten(repr(got))))

    def true(self, condition, message):
        if not condition:
            raise AssertionError(message)

    def says(self, result, *words):
        """stderr is one message of the program with all these words."""
        lines = [line for line in result.err.splitlines() if line.startswith("clickmill: ")]
        if len(lines) != 1:
            raise AssertionError("one sentence was expected\n%s" % result)
        for word in words:
            if word not in lines[0]:
                raise AssertionError("%r is not in the sentence\n%s" % (word, result))

    def balanced(self, account):
        """read = accepted + rejected + skipped."""
        self.equal(account["read"],
                   account["accepted"] + account["rejected"] + account["skipped"],
                   "read of %s" % account)
        return account
