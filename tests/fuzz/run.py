#!/usr/bin/env python3
"""Fuzzes the parsers with libFuzzer, AddressSanitizer and UndefinedBehaviorSanitizer.

    tests/fuzz/run.py [--seconds N] [TARGET...]

Runs each target for N seconds (default 60), one after the other, on one core. It begins with the
target's corpus and with what earlier runs have found (build/fuzz/found/TARGET). Stops at the first
input that a target does not survive and prints it as a file for the corpus, so that `make test`
tries it from then on.
"""

import argparse
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CORPUS = os.path.join(HERE, "corpus")
BUILD = os.path.join(ROOT, "build", "fuzz")
LONGEST = 4096


def say(text):
    print(text, file=sys.stderr, flush=True)


def unpack(name):
    """Copies a target's corpus to where libFuzzer can read it: *.hex as the bytes it stands for."""
    source, seeds = os.path.join(CORPUS, name), os.path.join(BUILD, "seeds", name)
    shutil.rmtree(seeds, ignore_errors=True)
    os.makedirs(seeds)
    for file in os.listdir(source):
        with open(os.path.join(source, file), "rb") as seed:
            content = seed.read()
        if file.endswith(".hex"):
            digits = b" ".join(line.split(b"#")[0] for line in content.splitlines())
            content = bytes.fromhex(digits.decode("ascii"))
        with open(os.path.join(seeds, file), "wb") as seed:
            seed.write(content)
    return seeds


def build(names):
    """Builds the targets; False, with a sentence, when that cannot be done."""
    if shutil.which("clang") is None or shutil.which("clang++") is None:
        say("fuzz: libFuzzer comes with clang, which is not installed: "
            "apt-get install clang libclang-rt-14-dev")
        return False
    if not os.path.exists(os.path.join(BUILD, "build.ninja")):
        done = subprocess.run(
            ["meson", "setup", BUILD, ROOT, "-Dfuzzer=true", "-Db_sanitize=address,undefined",
             "-Db_lundef=false", "-Dwerror=false", "-Dwarning_level=0", "-Doptimization=1",
             "-Dnode_modules=" + os.path.join(ROOT, "build", "web", "node_modules")],
            env=dict(os.environ, CC="clang", CXX="clang++"), stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            say(done.stdout)
            return False
    targets = ["tests/fuzz_" + name for name in names]
    done = subprocess.run(["ninja", "-C", BUILD, "--quiet", *targets])
    if done.returncode != 0:
        say("fuzz: the targets do not build; where clang lacks libFuzzer: "
            "apt-get install libclang-rt-14-dev")
    return done.returncode == 0


def show(path):
    """Prints an input as a *.hex file."""
    with open(path, "rb") as file:
        content = file.read()
    for at in range(0, len(content), 32):
        print(content[at:at + 32].hex(" "))


def fuzz(name, seconds):
    """Runs one target; False when it found an input that the target does not survive."""
    found, crash = os.path.join(BUILD, "found", name), os.path.join(BUILD, "crash-" + name)
    os.makedirs(found, exist_ok=True)
    if os.path.exists(crash):
        os.remove(crash)
    say("fuzz: %s, %d s" % (name, seconds))
    done = subprocess.run(
        [os.path.join(BUILD, "tests", "fuzz_" + name), "-max_total_time=%d" % seconds,
         "-max_len=%d" % LONGEST, "-timeout=20", "-verbosity=0", "-print_final_stats=1",
         "-exact_artifact_path=" + crash, found, unpack(name)],
        env=dict(os.environ, UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1"))
    if done.returncode == 0:
        return True
    if os.path.exists(crash):
        say("fuzz: %s does not survive this; keep it as tests/fuzz/corpus/%s/NAME.hex" % (
            name, name))
        show(crash)
    return False


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=int, default=60, help="for each target (default 60)")
    parser.add_argument("target", nargs="*", help="default: all of them")
    options = parser.parse_args()
    known = sorted(os.listdir(CORPUS))
    for name in options.target:
        if name not in known:
            say("fuzz: there is no target %s; there are %s" % (name, ", ".join(known)))
            return 2
    names = options.target or known
    return 0 if build(names) and all(fuzz(name, options.seconds) for name in names) else 1


if __name__ == "__main__":
    sys.exit(main())
