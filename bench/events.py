"""The data sets: made by `clickmill produce`, some changed afterwards; kept between runs."""

import os
import random
import shutil

import measure

# Bytes that an event of `produce` takes as JSON, about; to ask for the room before.
BYTES_PER_EVENT = 290


class NoRoom(Exception):
    """The disk has not the room for a data set; the text says how much is missing."""


def options(size, users=None, urls=1000):
    """The options of `produce` for a data set of the yardstick's shape: 50 events a user."""
    return ["--count", size, "--users", users or max(1000, size // 50), "--urls", urls,
            "--countries", 60, "--seed", 1]


def need(directory, size, factor=1.3):
    """Fails unless there is room for a data set of `size` events and the stores made of it."""
    wanted = int(size * BYTES_PER_EVENT * factor)
    free = shutil.disk_usage(directory).free
    if free < wanted:
        raise NoRoom("%.0f GB of disk are needed, %.0f GB are free" % (wanted / 1e9, free / 1e9))


def make(program, path, produce, form="jsonl"):
    """A file of `produce`, unless it is there. It appears only when it is complete."""
    if os.path.exists(path) and not begins_the_same(program, path, produce, form):
        os.remove(path)
    if not os.path.exists(path):
        measure.run([program, "produce", *produce, "--format", form, "--out", path + ".part"])
        os.rename(path + ".part", path)
    return path


def begins_the_same(program, path, produce, form):
    """Whether `produce` still makes what a kept file has: it may be of an older version."""
    start = path + ".start"
    measure.run([program, "produce", "--count", 2000, *produce[2:], "--format", form, "--out", start])
    with open(start, "rb") as new, open(path, "rb") as kept:
        wanted = new.read()
        same = kept.read(len(wanted)) == wanted
    os.remove(start)
    return same


def more(program, path, produce, size, count):
    """A file of `count` events that go on where the data set of `size` events ends."""
    name, whole = path + ".more", path + ".whole"
    if not is_newer(name, path):
        make(program, whole, ["--count", size + count, *produce[2:]])
        with open(whole, "rb") as file, open(name + ".part", "wb") as out:
            # The same seed gives the same first events, so only the rest has to be read.
            file.seek(os.path.getsize(path))
            shutil.copyfileobj(file, out)
        os.remove(whole)
        os.rename(name + ".part", name)
    return name


def is_newer(path, source):
    return os.path.exists(path) and os.path.getmtime(path) >= os.path.getmtime(source)


def one_heavy_user(source, target):
    """One user gets every tenth event."""
    mark = b'"user_id": "'

    def change(number, line):
        if number % 10:
            return line
        start = line.index(mark) + len(mark)
        return line[:start] + b"heavy" + line[line.index(b'"', start):]
    rewrite(source, target, change)


def random_keys(source, target):
    """Every row key is a random UUID: what the store cannot compute from user and time."""
    mark, chance = b'{"row_key": "', random.Random(1)

    def change(_, line):
        assert line.startswith(mark), line
        key = b"%032x" % (chance.getrandbits(128) & ~(0xf << 76) & ~(3 << 62) | 4 << 76 | 2 << 62)
        return b"%s%s-%s-%s-%s-%s%s" % (mark, key[:8], key[8:12], key[12:16], key[16:20], key[20:],
                                        line[len(mark) + 36:])
    rewrite(source, target, change)


def rewrite(source, target, change):
    if is_newer(target, source):
        return
    with open(source, "rb") as file, open(target + ".part", "wb") as out:
        for number, line in enumerate(file):
            out.write(change(number, line))
    os.rename(target + ".part", target)


def warm(path):
    """Reads a file once, so that every engine finds it in memory where it fits."""
    with open(path, "rb", buffering=0) as file:
        while file.read(1 << 20):
            pass
