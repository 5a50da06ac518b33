#!/usr/bin/env python3
"""Runs the tests: style, unit tests, golden tests, integration tests.

    tests/run.py [--fast] [--list] [PATTERN...]

A PATTERN is a part of a test's name, or a shell pattern for the whole of it. All of it runs the unit
tests, and once more the integration tests that are not slow, in a build with AddressSanitizer and
UndefinedBehaviorSanitizer. --fast leaves out the slow and patient tests and the sanitizers.
CM_BUILD names another build directory, CM_SHARED the directory of shared data (default ../shared).

Prints one line a test; the last line is `N passed, N failed`. The exit status is 1 when a test
failed or none ran.
"""

import argparse
import fnmatch
import importlib
import os
import sys
import time
import traceback
import unittest

TESTS = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [TESTS, os.path.join(TESTS, "integration")]
sys.dont_write_bytecode = True

import goldens  # noqa: E402
import style  # noqa: E402
import units  # noqa: E402
from harness import CLICKMILL, ROOT, Skip, Test  # noqa: E402


class Report:
    """Prints the results as they come and counts them."""

    def __init__(self):
        self.passed, self.failed, self.skipped = 0, [], []

    def line(self, word, name, seconds, reason=""):
        print("%-4s  %-60s %7.2f s%s" % (word, name, seconds, "  " + reason if reason else ""),
              flush=True)

    def ok(self, name, seconds):
        self.passed += 1
        self.line("ok", name, seconds)

    def skip(self, name, seconds, reason):
        self.skipped.append((name, reason))
        self.line("SKIP", name, seconds, reason)

    def fail(self, name, seconds, details):
        self.failed.append(name)
        self.line("FAIL", name, seconds)
        for line in details.rstrip("\n").splitlines():
            print("      | " + line)
        sys.stdout.flush()

    def end(self, seconds):
        print()
        if self.skipped:
            print("SKIPPED, so NOT tested:")
            for name, reason in self.skipped:
                print("  %s: %s" % (name, reason))
        if self.failed:
            print("FAILED:")
            for name in self.failed:
                print("  %s" % name)
        print("%.0f s, %d skipped" % (seconds, len(self.skipped)))
        print("%d passed, %d failed" % (self.passed, len(self.failed)), flush=True)
        return 1 if self.failed or self.passed == 0 else 0


def attempt(report, name, function, program=CLICKMILL):
    """Runs one test function in a directory of its own."""
    started = time.monotonic()
    test = Test(name, program)
    try:
        function(test)
    except Skip as skip:
        report.skip(name, time.monotonic() - started, str(skip))
    except AssertionError as failure:
        report.fail(name, time.monotonic() - started,
                    "%s\n%s" % (failure, where(failure.__traceback__)))
    except Exception:  # a test that breaks is a test that fails
        report.fail(name, time.monotonic() - started, traceback.format_exc())
    else:
        report.ok(name, time.monotonic() - started)
    finally:
        test.close()


def where(trace):
    """The lines of the tests that led to a failure."""
    return "\n".join("at %s:%d: %s" % (os.path.relpath(frame.filename, TESTS), frame.lineno,
                                       frame.line)
                     for frame in traceback.extract_tb(trace)
                     if os.path.basename(frame.filename) not in ("run.py", "harness.py"))


def build(report, directory, function):
    """True when the program is built; what fails is a failed test."""
    started = time.monotonic()
    problem = None
    try:
        function()
        if not os.path.exists(os.path.join(directory, "clickmill")):
            problem = "%s/clickmill was not built" % directory
    except (units.BuildError, OSError) as failure:
        problem = str(failure)
    if problem is not None:
        report.fail(os.path.relpath(directory, ROOT), time.monotonic() - started, problem)
    return problem is None


def run_units(report, wanted, directory, fast=False):
    for entry in units.programs(directory):
        name = "unit/" + entry["name"]
        if not wanted(name) or (fast and entry["name"] in units.PATIENT):
            continue
        started = time.monotonic()
        for test, problem, skipped in units.run(entry, directory):
            seconds, started = time.monotonic() - started, time.monotonic()
            if problem is not None:
                report.fail("%s/%s" % (name, test), seconds, problem)
            elif skipped is not None:
                report.skip("%s/%s" % (name, test), seconds, skipped)
            else:
                report.ok("%s/%s" % (name, test), seconds)


def case_test(module, case, method):
    """A method of a unittest.TestCase as a function of ours."""
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
    # All but the slow ones run under sanitizers as well.
    sanitized = chosen(("sanitized/" + name, function)
                       for name, function in without(everything, "slow"))
    if options.list:
        for name, _ in checks + cases + ([] if options.fast else sanitized):
            print(name)
        return 0

    started = time.monotonic()
    report = Report()
    for name, function in checks:
        attempt(report, name, function)
    if build(report, units.BUILD, units.build_normal):
        if options.fast:
            run_units(report, wanted, units.BUILD, fast=True)
        for name, function in cases:
            attempt(report, name, function)
    if not options.fast and build(report, units.SANITIZE, units.build_sanitized):
        run_units(report, wanted, units.SANITIZE)
        for name, function in sanitized:
            attempt(report, name, function, os.path.join(units.SANITIZE, "clickmill"))
    return report.end(time.monotonic() - started)


if __name__ == "__main__":
    sys.exit(main())
