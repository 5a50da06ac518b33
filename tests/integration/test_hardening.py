"""What a mistake in a buffer runs into: looked for in the program that was built."""

import json
import os
import re
import subprocess

from harness import BUILD, CLICKMILL


def readelf(t, *options):
    if t.program != CLICKMILL:
        t.skip("the sanitizers' build looks for such mistakes itself")
    try:
        return subprocess.run(["readelf", "-W", *options, CLICKMILL], check=True,
                              stdout=subprocess.PIPE, text=True).stdout
    except OSError:
        t.skip("readelf is not installed (Debian package binutils)")


def segment(t, name):
    """The flags of a segment of the program."""
    found = re.search(r"^ +%s +(?:0x[0-9a-f]+ +){5}([RWE ]{3})" % name, readelf(t, "-l"), re.M)
    t.true(found, "there is no segment " + name)
    return found.group(1).strip()


def test_it_has_no_fixed_place(t):
    t.true(re.search(r"Type: +DYN", readelf(t, "-h")), readelf(t, "-h"))
    t.true(re.search(r"FLAGS_1\) .*\bPIE\b", readelf(t, "-d")), readelf(t, "-d"))


def test_addresses_of_functions_cannot_be_written(t):
    """Full RELRO: all are looked up at the start, and then read-only."""
    t.equal(segment(t, "GNU_RELRO"), "R", "RELRO")
    t.true(re.search(r"FLAGS\) +BIND_NOW|FLAGS_1\) .*\bNOW\b", readelf(t, "-d")), readelf(t, "-d"))


def test_the_stack_is_no_program(t):
    t.equal(segment(t, "GNU_STACK"), "RW", "the stack")
    t.true("RWE" not in readelf(t, "-l"), "a segment can be written and run")


def test_the_stack_is_guarded(t):
    t.true("__stack_chk_fail" in readelf(t, "--dyn-syms"), "no function has a guard")


def test_buffers_are_looked_at(t):
    """FORTIFY: functions of the C library that know the size of what they write to. A build without
    the optimiser has none."""
    with open(os.path.join(BUILD, "meson-info", "intro-buildoptions.json"), encoding="utf-8") as file:
        options = {option["name"]: option["value"] for option in json.load(file)}
    if options["optimization"] == "0":
        t.skip("the program was built without the optimiser")
    symbols = readelf(t, "--dyn-syms")
    for name in ("__snprintf_chk", "__vsnprintf_chk", "__memcpy_chk"):
        t.true(name + "@" in symbols, name + " is not used\n" + "\n".join(
            sorted(set(re.findall(r"__\w+_chk", symbols)))))
