#!/usr/bin/env python3
"""Asks random questions and compares every answer with SQL, cell by cell.

usage: question_run.py [--count N] [--events N] [--seed S]

One seed makes one store; a second one is made after each 250 questions. The first answer that differs ends
it, with the question and the cells."""

import argparse
import os
import sys

TESTS = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [TESTS, os.path.join(TESTS, "integration")]
sys.dont_write_bytecode = True

import test_query_by  # noqa: E402
from harness import Test  # noqa: E402

A_STORE = 250  # questions


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=5000, help="questions")
    parser.add_argument("--events", type=int, default=5000, help="events of a store")
    parser.add_argument("--seed", type=int, default=1000, help="of the first store")
    options = parser.parse_args()
    for number in range(-(-options.count // A_STORE)):
        test = Test("questions")
        try:
            print("seed %d:" % (options.seed + number), flush=True)
            test_query_by.random_questions(test, options.seed + number,
                                           min(A_STORE, options.count - number * A_STORE), options.events)
        except AssertionError as failure:
            sys.exit("%s\n(--seed %d --events %d)" % (failure, options.seed + number, options.events))
        finally:
            test.close()


if __name__ == "__main__":
    main()
