"""bench/questions.py without its times: the questions that it measures have the answers of DuckDB's SQL."""

import os
import subprocess
import sys

from harness import BUILD, ROOT, stretched

BENCH = os.path.join(ROOT, "bench")
PYTHON = os.path.join(ROOT, "build", "python")  # has DuckDB
# Nine questions in two forms of two tables, and eleven lists of the dashboard.
COMPARED = 9 * 4 + 11

DIFFERENT = """
import questions
one = {("Peru",): {"clicks": 2}, ("India",): {"clicks": 1}, (None,): {"clicks": 3}}
print(questions.differences(one, {**one, ("Peru",): {"clicks": 3}}))
print(questions.differences(one, {("Peru",): {"clicks": 2}, ("India",): {"clicks": 1}}))
print(questions.differences(one, dict(one)))
"""


def python(*words):
    """(status, stdout, stderr) of Python with DuckDB and the benchmark's modules."""
    done = subprocess.run(
        [sys.executable, "-B", *words], env={**os.environ, "PYTHONPATH": os.pathsep.join((PYTHON, BENCH)),
                                             "CM_BUILD": BUILD},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        timeout=stretched(300), check=False)
    return done.returncode, done.stdout, done.stderr


def test_questions_agree(t):
    if not os.path.isdir(os.path.join(PYTHON, "duckdb")):
        t.skip("the Python package duckdb is not installed (scripts/setup.sh test installs it)")
    status, out, err = python(os.path.join(BENCH, "questions.py"), "--check", "--size", "20000", "--peers", "duckdb",
                              "--python", sys.executable, "--place", t.path("bench"))
    t.equal((status, out), (0, "%d answers of peers agree\n" % COMPARED), err)


def test_differences_are_found(t):
    t.equal(python("-c", DIFFERENT), (0, "\n".join((
        "[\"('Peru',)\\n- {'clicks': 2}\\n+ {'clicks': 3}\"]", "[\"(None,)\\n- {'clicks': 3}\\n+ None\"]", "[]", "")),
        ""), "differences")
