#!/usr/bin/env python3
"""Writes an assembler file that puts a file into the binary unchanged.

usage: embed_file.py OUTPUT SYMBOL FILE

The bytes lie between SYMBOL and SYMBOL_end. An array in C would do the same, but takes the compiler
minutes and gigabytes for a file of some megabytes.
"""

import os
import sys

TEXT = """/* Made by scripts/embed_file.py. */
    .section .rodata
    .global %(symbol)s, %(symbol)s_end
    .balign 16
%(symbol)s:
    .incbin "%(path)s"
%(symbol)s_end:
    .section .note.GNU-stack, "", %%progbits
"""


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    path = os.path.abspath(sys.argv[3])
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        out.write(TEXT % {"symbol": sys.argv[2], "path": path.replace('"', '\\"')})


if __name__ == "__main__":
    main()
