"""The unit tests: builds them, runs each program, counts each cmocka test."""

import json
import os
import re
import subprocess

from harness import BUILD, ROOT, shorten

SANITIZE = os.path.join(ROOT, "build", "sanitize")
RESULT = re.compile(r"^(not )?ok\b(?: (\d+))?\s*-?\s*(.*)$")
SKIPPED = re.compile(r"#\s*SKIP\b\s*(.*)", re.I)
PLAN = re.compile(r"^1\.\.(\d+)")
TIMEOUT = 300
# Programs that mostly wait (for a mock Kafka's time-outs): `make check` leaves them out.
PATIENT = ("sink_kafka", "source_kafka", "source_kafka_faults")


class BuildError(Exception):
    pass


def command(*args):
    done = subprocess.run(args, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace")
    if done.returncode != 0:
        raise BuildError("$ %s\n%s" % (" ".join(args), shorten(done.stdout, 8000)))
    return done.stdout


def build(directory, *options):
    """Configures the build directory where that is missing, and builds what is not up to date."""
    if not os.path.exists(os.path.join(directory, "build.ninja")):
        command("meson", "setup", directory, ROOT, *options)
    command("ninja", "-C", directory, "-j", str(os.cpu_count() or 1))


def build_normal():
    build(BUILD)


def build_sanitized():
    # libasan resolves its symbols when the program starts: nothing may insist on them at link time.
    build(SANITIZE, "-Db_sanitize=address,undefined", "-Db_lundef=false",
          "-Dnode_modules=" + os.path.join(ROOT, "build", "web", "node_modules"))


def programs(directory):
    """The unit test programs of a build directory, as meson knows them."""
    listing = json.loads(command("meson", "introspect", "--tests", directory))
    return sorted(listing, key=lambda entry: entry["name"])


def run(entry, directory):
    """Runs one program. Returns a list of (test, problem, skipped), the last two None or a text."""
    env = dict(os.environ, **entry["env"])
    env.update(CMOCKA_MESSAGE_OUTPUT="TAP", UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1")
    env.setdefault("ASAN_OPTIONS", "detect_leaks=1:strict_string_checks=1")
    try:
        done = subprocess.run(entry["cmd"], cwd=entry["workdir"] or directory, env=env,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=TIMEOUT)
        output, code = done.stdout.decode("utf-8", "replace"), done.returncode
    except subprocess.TimeoutExpired as late:
        output = (late.stdout or b"").decode("utf-8", "replace")
        return parse(output)[0] + [("(program)", "still running after %d s\n%s" % (
            TIMEOUT, shorten(output)), None)]
    results, complete = parse(output)
    failed = any(problem for _, problem, _ in results)
    if not complete or (code != 0 and not failed):
        results.append(("(program)", "%s, exit status %d\n%s" % (
            "its tests passed" if complete else "it did not run all its tests", code,
            shorten(output, 8000)), None))
    return results


def parse(output):
    """The results in TAP output, and whether they are as many as the plans promise."""
    results, planned, notes = [], 0, []
    for line in output.splitlines():
        if plan := PLAN.match(line):
            planned += int(plan.group(1))
        elif found := RESULT.match(line):
            skipped = SKIPPED.search(line)
            name = found.group(3).split("#")[0].strip()
            if skipped:
                results.append((name or skipped.group(1), None, skipped.group(1) or "no reason"))
            else:
                # cmocka prints what failed before and behind the line that says so.
                results.append((name, "\n".join(notes + [line]) if found.group(1) else None, None))
            notes = []
            continue
        elif results and results[-1][1] and line.startswith("#"):
            name, problem, _ = results[-1]
            results[-1] = (name, problem + "\n" + line, None)
            continue
        notes.append(line)
    return results, planned > 0 and planned == len(results)
