#!/usr/bin/env python3
"""Writes a C file with the files of the dashboard, for src/serve/assets.h.

usage: embed.py OUTPUT PATH=FILE... [--public PATH=FILE...]

PATH is the path of the request that the file answers. Those after --public are for the pages of
other sites too. Each file is stored twice, uncompressed and compressed with gzip, each with a hash of its
contents as entity tag. The same files give the same bytes.
"""

import gzip
import hashlib
import os
import sys

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


def content_type(path):
    extension = os.path.splitext(path)[1]
    if extension == "" and os.path.basename(path).endswith("LICENSE"):
        extension = ".txt"
    if extension not in TYPES:
        sys.exit(f"embed.py: {path}: no content type is known for {extension or 'it'}; add one")
    return TYPES[extension]


def write_array(out, name, data):
    out.write(f"static const unsigned char {name}[] = {{\n")
    for at in range(0, len(data), 24):
        out.write("    " + ",".join(str(byte) for byte in data[at : at + 24]) + ",\n")
    out.write("};\n")


def body(name, data):
    tag = hashlib.sha256(data).hexdigest()[:16]
    return f'{{{name}, sizeof {name}, "\\"{tag}\\""}}'


def write_assets(out, assets):
    rows = []
    out.write('/* Made by scripts/embed.py. */\n#include "serve/assets.h"\n\n')
    for number, (path, file, public) in enumerate(assets):
        with open(file, "rb") as opened:
            plain = opened.read()
        packed = gzip.compress(plain, compresslevel=9, mtime=0)
        write_array(out, f"plain_{number}", plain)
        write_array(out, f"gzip_{number}", packed)
        rows.append(
            f'    {{"{path}", "{content_type(file)}", '
            f'{body(f"plain_{number}", plain)}, {body(f"gzip_{number}", packed)}, '
            f'{"true" if public else "false"}}},\n'
        )
    out.write("\nconst cm_asset_t cm_assets[] = {\n" + "".join(rows) + "};\n")
    out.write("const size_t cm_asset_count = sizeof cm_assets / sizeof cm_assets[0];\n")


def main():
    assets, public = [], False
    for argument in sys.argv[2:]:
        path, equals, file = argument.partition("=")
        if argument == "--public":
            public = True
        elif equals:
            assets.append((path, file, public))
        else:
            sys.exit(__doc__)
    if not assets:
        sys.exit(__doc__)
    with open(sys.argv[1], "w", encoding="ascii") as out:
        write_assets(out, assets)


if __name__ == "__main__":
    main()
