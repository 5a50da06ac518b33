#!/usr/bin/env python3
"""Runs the tests: style, unit tests, golden tests, integration tests.

    tests/run.py [--fast] [--list] [--jobs N] [PATTERN...]

A PATTERN is a part of a test's name, or a shell pattern for the whole of it. All of it runs the unit
tests, and once more the integration tests that are not slow, in a build with AddressSanitizer and
UndefinedBehaviorSanitizer. --fast leaves out the slow and patient tests and the sanitizers.
CM_BUILD names another build directory, CM_SHARED the directory of shared data (default ../shared).

Tests run side by side (parallel.py): as many that compute as there are processors, more that wait;
what measures runs by itself at the end. Prints one line a test, in the order in which they end;
while nothing is printed it names what runs. At the end come the slowest; the last line is
`N passed, N failed`. The exit status is 1 when a test failed or none ran.
"""

import argparse
import fnmatch
import importlib
import os
import signal
import sys
import time
import traceback
import unittest

TESTS = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [TESTS, os.path.join(TESTS, "integration")]
sys.dont_write_bytecode = True

import goldens  # noqa: E402
import parallel  # noqa: E402
import style  # noqa: E402
import units  # noqa: E402
from harness import CLICKMILL, ROOT, Skip, Test  # noqa: E402


SLOWEST = 15  # lines of the table
# Tests that start real engines. The tests of a lane share them and run one after the other. Lanes, and
# modules in a lane, are listed in the order in which they start. The ring has six engines and runs
# alone when the lanes have ended.
ENGINES = {"cluster": ("elasticsearch", "answers", "docs_cluster", "spark"),
           "kafka": ("stack", "kafka", "kafka_topics", "registry", "collect_kafka", "cassandra")}
# One Chromium at a time.
BROWSER = ("browser", "browser_faults")
MEMORY = 12 << 30  # bytes that two lanes of engines need


class Report:
    """Prints the results as they come and counts them."""

    def __init__(self):
        self.passed, self.failed, self.skipped = 0, [], []
        self.times, self.cpu = [], 0

    def result(self, word, name, seconds, text=""):
        if word == "ok":
            self.passed += 1
        elif word == "skip":
            self.skipped.append((name, text))
        else:
            self.failed.append(name)
        self.times.append((seconds, name))
        print("%-4s  %-60s %7.2f s%s" % (word if word == "ok" else word.upper(), name, seconds,
                                         "  " + text if word == "skip" else ""))
        if word == "fail":
            for line in text.rstrip("\n").splitlines():
                print("      | " + line)
        sys.stdout.flush()

    def cost(self, name, seconds, cpu):
        """The time that a task took; a task may have many tests."""
        del name, seconds
        self.cpu += cpu

    def end(self, seconds):
        print()
        if self.times:
            print("SLOWEST:")
            for each, name in sorted(self.times, reverse=True)[:SLOWEST]:
                print("  %7.2f s  %s" % (each, name))
        if self.skipped:
            print("SKIPPED, so NOT tested:")
            for name, reason in self.skipped:
                print("  %s: %s" % (name, reason))
        if self.failed:
            print("FAILED:")
            for name in self.failed:
                print("  %s" % name)
        print("%.0f s, %.0f s of CPU, %d skipped" % (seconds, self.cpu, len(self.skipped)))
        print("%d passed, %d failed" % (self.passed, len(self.failed)), flush=True)
        return 1 if self.failed or self.passed == 0 else 0


def attempt(emit, name, function, program=CLICKMILL):
    """Runs one test function in its own directory."""
    started = time.monotonic()
    test = Test(name, program)
    word, text = "ok", ""
    try:
        function(test)
        if test.doubts:
            word, text = "skip", "; ".join(test.doubts)
    except Skip as skip:
        word, text = "skip", str(skip)
    except AssertionError as failure:
        word, text = "fail", "%s\n%s" % (failure, where(failure.__traceback__))
    except Exception:  # a test that breaks is a test that fails
        word, text = "fail", traceback.format_exc()
    finally:
        test.close()
    emit(word, name, time.monotonic() - started, text)


def where(trace):
    """The lines of the tests that led to a failure."""
    return "\n".join("at %s:%d: %s" % (os.path.relpath(frame.filename, TESTS), frame.lineno,
                                       frame.line)
                     for frame in traceback.extract_tb(trace)
                     if os.path.basename(frame.filename) not in ("run.py", "harness.py"))


def build(emit, directory, targets):
    """Builds the targets; a failed build is a failed test."""
    started = time.monotonic()
    problem = None
    try:
        units.build(directory, targets)
        if not os.path.exists(os.path.join(directory, "clickmill")):
            problem = "%s/clickmill was not built" % directory
    except (units.BuildError, OSError) as failure:
        problem = str(failure)
    if problem is not None:
        emit("fail", os.path.relpath(directory, ROOT), time.monotonic() - started, problem)


def run_unit(emit, entry, directory):
    for test, problem, skipped, seconds in units.run(entry, directory):
        emit("ok" if problem is None and skipped is None else "skip" if problem is None else "fail",
             "unit/%s/%s" % (entry["name"], test), seconds, problem or skipped or "")


def case_test(module, case, method):
    """A method of a unittest.TestCase as a test function."""
    def function(test):
        module.CLICKMILL = test.program
        result = unittest.TestResult()
        case(method).run(result)
        for _, problem in result.errors + result.failures:
            raise AssertionError(problem)
        for _, reason in result.skipped:
            raise Skip(reason)
    return function


def tests_of(module):
    """Every function test_* of a module and every test of its unittest classes."""
    for key, value in list(vars(module).items()):
        if isinstance(value, type) and issubclass(value, unittest.TestCase):
            for method in unittest.defaultTestLoader.getTestCaseNames(value):
                yield method[5:], case_test(module, value, method)
        elif key.startswith("test_") and callable(value):
            yield key[5:], value


def integration():
    """Every test of every file test_*.py, as (name, function)."""
    for name in sorted(os.listdir(os.path.join(TESTS, "integration"))):
        if not (name.startswith("test_") and name.endswith(".py")):
            continue
        try:
            module = importlib.import_module(name[:-3])
        except Exception:
            problem = traceback.format_exc()

            def broken(_, problem=problem):
                raise AssertionError(problem)
            yield "integration/%s/(import)" % name[5:-3], broken
            continue
        for key, function in tests_of(module):
            yield "integration/%s/%s" % (name[5:-3], key), function


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--fast", action="store_true", help="leave out what takes long")
    parser.add_argument("--list", action="store_true", help="only name the tests")
    parser.add_argument("pattern", nargs="*", help="part of a name, or a shell pattern")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N",
                        help="processors to use (default: all); 1 is one test at a time")
    options = parser.parse_args()

    def wanted(name):
        return not options.pattern or any(
            pattern in name or fnmatch.fnmatchcase(name, pattern) for pattern in options.pattern)

    def chosen(tests):
        return [(name, function) for name, function in tests if wanted(name)]

    def without(tests, *marks):
        return [(name, function) for name, function in tests
                if not any(getattr(function, mark, False) for mark in marks)]

    checks = chosen(style.tests())
    everything = list(goldens.tests()) + list(integration())
    cases = chosen(without(everything, "slow", "patient") if options.fast else everything)
    # All tests except the slow ones also run with sanitizers.
    sanitized = chosen(("sanitized/" + name, function)
                       for name, function in without(everything, "slow"))
    if options.list:
        for name, _ in checks + cases + ([] if options.fast else sanitized):
            print(name)
        return 0

    # Like Ctrl-C: all started processes end with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    started = time.monotonic()
    report = Report()
    tasks = [test_task(name, function) for name, function in checks]
    tasks += tasks_of(report, units.BUILD, units.configure_normal, cases,
                      wanted if options.fast else None, patient=False)
    if not options.fast and (sanitized or any_unit(wanted)):
        tasks += tasks_of(report, units.SANITIZE, units.configure_sanitized, sanitized, wanted)
    tasks.sort(key=order)
    parallel.Run(tasks, options.jobs, report.result, report.cost).all()
    return report.end(time.monotonic() - started)


def any_unit(wanted):
    """Whether a unit test program was selected, among those of the normal build."""
    try:
        return any(wanted("unit/" + entry["name"]) for entry in units.programs(units.BUILD))
    except units.BuildError:
        return True


def test_task(name, function, directory=None):
    """The task of a test; `directory` is the build that it tests."""
    program = os.path.join(directory or units.BUILD, "clickmill")
    module = name.partition("integration/")[2].partition("/")[0]
    lane = next((lane for lane, modules in ENGINES.items()
                 if module in modules and getattr(function, "slow", False)), None)
    if lane is not None and memory() < MEMORY:
        lane = next(iter(ENGINES))
    if module in BROWSER:
        lane = "browser"
    return parallel.Task(
        name, lambda emit: attempt(emit, name, function, program), lane,
        waits=module in BROWSER or getattr(function, "patient", False),
        alone=getattr(function, "alone", False),
        after=directory and os.path.relpath(directory, ROOT))


def memory():
    """Bytes of memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def tasks_of(report, directory, configure, cases, wanted, patient=True):
    """A build, what it is wanted for, and before that the unit tests that are wanted (None: none)."""
    name, started = os.path.relpath(directory, ROOT), time.monotonic()
    try:
        configure()
        programs = [entry for entry in units.programs(directory)
                    if wanted and wanted("unit/" + entry["name"])
                    and (patient or entry["name"] not in units.PATIENT)]
        targets = [units.target(entry, directory) for entry in programs]
        # Test programs that this build does not run are not built; everything else must compile.
        targets += units.others(directory) if directory == units.BUILD else ["clickmill"]
    except (units.BuildError, OSError) as failure:
        report.result("fail", name, time.monotonic() - started, str(failure))
        return []
    if not programs and not cases and wanted:
        return []
    return [parallel.Task(name, lambda emit: build(emit, directory, targets))] + [
        parallel.Task("unit/" + entry["name"],
                      lambda emit, entry=entry: run_unit(emit, entry, directory),
                      waits=entry["name"] in units.PATIENT,
                      alone=entry["name"] in units.MEASURING, after=name)
        for entry in programs] + [
        test_task(test, function, directory) for test, function in cases]


def order(task):
    """Builds come first, then the longest tasks: lanes, and tests that wait."""
    lanes = [*ENGINES, "browser"]
    module = task.name.partition("integration/")[2].partition("/")[0]
    modules = sum(ENGINES.values(), ())
    return (task.after is not None or task.name.startswith("style/"),
            lanes.index(task.lane) if task.lane in lanes else len(lanes),
            modules.index(module) if task.lane in ENGINES else 0, not task.waits)


if __name__ == "__main__":
    sys.exit(main())
