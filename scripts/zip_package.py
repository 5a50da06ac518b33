#!/usr/bin/env python3
"""Writes a zip file of a Python package, as `spark-submit --py-files` takes it.

usage: zip_package.py OUTPUT PACKAGE FILE...

Each FILE becomes PACKAGE/NAME in the zip file. The same files give the same bytes.
"""

import os
import sys
import zipfile

EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that the format can express


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    output, package = sys.argv[1:3]
    with zipfile.ZipFile(output, "w") as archive:
        for path in sorted(sys.argv[3:]):
            entry = zipfile.ZipInfo("%s/%s" % (package, os.path.basename(path)), EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            with open(path, "rb") as file:
                archive.writestr(entry, file.read())


if __name__ == "__main__":
    main()
