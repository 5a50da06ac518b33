"""A disk that fails, and what it holds after a loss of power.

tests/fault/disk.c, preloaded into the program, writes down what happens to its databases. Trace
reads that; World plays it, as a kernel would: what is written is in memory, page by page, until a
sync; a sync that fails leaves each page written, not written or torn, and forgets that it was to be
written. image() is the disk as a loss of power leaves it then: of what was written since the last
sync any part in any order.
"""

import bisect
import os
import struct

from harness import BUILD

RECORD = struct.Struct("=ccHIqq")
PAGE, SECTOR = 4096, 512


class Faults:
    """The directory through which a test and the library talk."""

    def __init__(self, t):
        self.path = t.path("disk")
        os.mkdir(self.path)
        # That of the normal build, also where the program is the sanitizers'.
        library = os.path.join(BUILD, "tests", "libdisk.so")
        t.true(os.path.exists(library), "%s is not built" % library)
        self.env = {"LD_PRELOAD": library, "CM_DISK": self.path,
                    "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0"}

    def fail(self, kind, count=1):
        """The next `count` syncs of a "db", a "wal" or a "dir" fail."""
        with open(os.path.join(self.path, "fail-" + kind), "wb") as file:
            file.write(b"x" * count)

    def left(self, kind):
        """How many of them are still to fail."""
        return os.path.getsize(os.path.join(self.path, "fail-" + kind))

    def trace(self):
        return Trace(os.path.join(self.path, "trace"))


class Event:
    def __init__(self, kind, good, path, at, time_ns, data):
        self.kind, self.good, self.path, self.at, self.data = kind, good, path, at, data
        self.time_ns = time_ns


class Trace:
    def __init__(self, path):
        with open(path, "rb") as file:
            held = file.read()
        self.events, at = [], 0
        while at < len(held):
            kind, good, path_len, size, where, time_ns = RECORD.unpack_from(held, at)
            at += RECORD.size
            name = held[at:at + path_len].decode()
            at += path_len
            self.events.append(Event(kind.decode(), good == b"\1", name, where, time_ns,
                                     held[at:at + size]))
            at += size
        self.times = [event.time_ns for event in self.events]

    def before(self, time_ns):
        """How many events came before that time."""
        return bisect.bisect_left(self.times, time_ns)


def put(content, at, data):
    if len(content) < at:
        content.extend(bytes(at - len(content)))
    content[at:at + len(data)] = data


def torn(chance, one, other):
    """A page of sectors of both; the shorter one ends in zeros."""
    size = max(len(one), len(other))
    one, other = one.ljust(size, b"\0"), other.ljust(size, b"\0")
    return b"".join((one if chance.random() < 0.5 else other)[at:at + SECTOR]
                    for at in range(0, size, SECTOR))


class File:
    def __init__(self):
        self.content, self.disk = bytearray(), bytearray()
        self.dirty = {}  # a page: its contents after each write since the last sync

    def write(self, at, data):
        put(self.content, at, data)
        for page in range(at // PAGE, (at + len(data) - 1) // PAGE + 1):
            self.dirty.setdefault(page, []).append(
                bytes(self.content[page * PAGE:(page + 1) * PAGE]))

    def truncate(self, size):
        put(self.content, size, b"")
        del self.content[size:]
        self.dirty = {page: [content[:size - page * PAGE] for content in contents]
                      for page, contents in self.dirty.items() if page * PAGE < size}

    def sync(self):
        for page, contents in self.dirty.items():
            put(self.disk, page * PAGE, contents[-1])
        put(self.disk, len(self.content), b"")
        del self.disk[len(self.content):]
        self.dirty = {}

    def after_power(self, chance, share):
        """What the disk has: of each page that is not synced the content after one of its writes,
        with this probability, or the one before them, or parts of both."""
        disk = bytearray(self.disk)
        for page, contents in self.dirty.items():
            old = bytes(disk[page * PAGE:(page + 1) * PAGE])
            kind = chance.random()
            if kind < share:
                put(disk, page * PAGE, chance.choice(contents) if chance.random() < 0.3
                    else contents[-1])
            elif kind < share + 0.1:
                put(disk, page * PAGE, torn(chance, old, chance.choice(contents)))
        if len(self.content) < len(disk) and chance.random() < 0.5:
            del disk[len(self.content):]
        return disk


class World:
    """Plays a trace. `fate`: the probability with which a page is written though its sync fails."""

    def __init__(self, chance, fate):
        self.chance, self.fate = chance, fate
        self.files = {}  # a path: a File, or None for a directory
        self.names, self.pending = {}, []  # on the disk, and what is not synced of the names

    def play(self, event):
        path = event.path
        if event.kind == "W":
            self.files[path].write(event.at, event.data)
        elif event.kind == "T":
            self.files[path].truncate(event.at)
        elif event.kind in "CM":
            self.files[path] = File() if event.kind == "C" else None
            self.pending.append((path, self.files[path]))
        elif event.kind == "U":
            del self.files[path]
            self.pending.append((path, ...))
        elif path in self.files and self.files[path] is not None:
            self.sync(self.files[path], event.good)
        elif event.good:
            self.sync_names(path)

    def sync(self, file, good):
        if good:
            file.sync()
        else:
            file.disk = file.after_power(self.chance, self.fate)
            file.dirty = {}

    def sync_names(self, directory):
        for path, file in self.pending:
            if os.path.dirname(path) == directory:
                rename(self.names, path, file)
        self.pending = [one for one in self.pending if os.path.dirname(one[0]) != directory]

    def image(self, chance, root, target):
        """Writes what there is of the directory `root` to `target`."""
        names = dict(self.names)
        for path, file in self.pending[:chance.randint(0, len(self.pending))]:
            rename(names, path, file)
        share = chance.choice((0, 0.1, 0.5, 0.8, 0.9))
        os.makedirs(target)
        for path, file in names.items():
            inside = os.path.relpath(path, root)
            if file is None or inside.startswith("..") or lacks(names, path, root):
                continue
            os.makedirs(os.path.dirname(os.path.join(target, inside)), exist_ok=True)
            with open(os.path.join(target, inside), "wb") as out:
                out.write(file.after_power(chance, share))


def rename(names, path, file):
    if file is ...:
        names.pop(path, None)
    else:
        names[path] = file


def lacks(names, path, root):
    """Whether a directory above the path, from the root on, is not there."""
    above = os.path.dirname(path)
    while len(above) >= len(root):
        if above not in names:
            return True
        above = os.path.dirname(above)
    return False
