"""A store of format 1, which the first edition wrote (tests/format_1): it is read as it is, its first
writer changes it to the present format, and the events and answers stay the same, byte for byte."""

import json
import os
import random
import shutil
import sqlite3

from disk_support import Faults, File, World
from harness import ROOT
from test_read_only import state

SAVED = os.path.join(ROOT, "tests", "format_1")
NEW = {"user_id": "eve", "timestamp": 1772449300000, "url": "/new", "name": "signup",
       "referrer": "https://www.google.com/", "props": {"plan": "pro"}}


def saved(name):
    with open(os.path.join(SAVED, name), encoding="utf-8") as file:
        return file.read()


def restore(t, data="data"):
    os.mkdir(t.path(data))
    database = t.database(data)
    database.executescript(saved("store.sql"))
    database.close()


def version(t, data="data"):
    database = t.database(data)
    found = database.execute("PRAGMA user_version").fetchone()[0]
    database.close()
    return found


def exported(t, data="data"):
    return t.clickmill("export", "--data", data).out


def same(t, data="data"):
    """The events and the answers are those of the first edition."""
    t.equal(exported(t, data), saved("events.jsonl"), "events")
    t.equal(t.all_answers(data), saved("answers.csv"), "answers")


def test_read_as_it_is(t):
    restore(t)
    os.chmod(t.path("data"), 0o555)
    before = state(t.path("data"))
    same(t)
    t.clickmill("verify")
    t.true("no JSON" in t.clickmill("dead", "show", "1").out, "the dead letter")
    t.true(t.clickmill("export", "--format", "csv").out.startswith(
        "row_key,user_id,timestamp,url,country,city,browser,os,device\n"), "nine columns")
    t.equal(state(t.path("data")), before, "the directory")
    os.chmod(t.path("data"), 0o755)
    same(t)
    t.equal(version(t), 1, "format")
    t.clickmill("recover", "--to", "copy")
    t.equal(exported(t, "copy"), saved("events.jsonl"), "events of the recovered store")


def test_changed_by_a_writer(t):
    restore(t)
    t.ingest("")
    t.equal(version(t), 2, "format")
    same(t)
    t.clickmill("process", "--rebuild")
    same(t)
    t.clickmill("verify")
    t.check_integrity()
    said = [t.clickmill("import", "--format", "jsonl", "-", stdin=json.dumps(NEW)).err
            for _ in range(20)]  # blocks of both formats are merged
    for word in ("fields that an earlier version ignored are read now", "event.map: {FIELD: none}",
                 "fields=name,referrer,props"):
        t.true(word in said[0], "%r is not in\n%s" % (word, said[0]))
    t.equal([text for text in said[1:] if "earlier version" in text], [], "it is said once")
    events = exported(t).splitlines()
    t.equal("".join(line + "\n" for line in events[:-1]), saved("events.jsonl"), "events")
    new = json.loads(events[-1])
    t.equal({name: new[name] for name in NEW}, NEW, "the event with optional fields")
    t.process()
    t.equal(t.all_answers(), saved("answers.csv"), "answers, of page views alone")
    t.clickmill("verify")


def opened(t, image, chance):
    """Every reader and the next writer find the same events and answers in the image."""
    data = os.path.relpath(image, t.dir)
    if chance.random() < 0.5:
        t.equal(exported(t, data), saved("events.jsonl"), "events, by a reader first")
    t.ingest("", data=data)
    t.equal(version(t, data), 2, "format")
    same(t, data)
    t.check_integrity(data)


def held_by(world, image):
    """What a process that is killed leaves: the kernel has all that was written."""
    os.makedirs(image)
    for path, file in world.files.items():
        if file is not None:
            with open(os.path.join(image, os.path.basename(path)), "wb") as out:
                out.write(file.content)


def test_killed_while_it_is_changed(t):
    """At every write of the first writer: the process alone, and the machine with it."""
    restore(t)
    faults, chance = Faults(t), random.Random(18)
    place = os.path.realpath(t.path("data"))
    world, path = World(chance, 0), os.path.join(place, "clickmill.db")
    world.files[path] = world.names[path] = File()
    world.names[place] = None
    with open(path, "rb") as file:
        world.files[path].content[:] = file.read()
    world.files[path].disk[:] = world.files[path].content
    t.clickmill("import", "--format", "jsonl", "-", stdin="", env=faults.env)
    writes, formats = 0, set()
    for one in faults.trace().events:
        world.play(one)
        if one.kind not in "WT":
            continue
        writes += 1
        for image in ("killed", "power"):
            shutil.rmtree(t.path(image), ignore_errors=True)
            if image == "killed":
                held_by(world, t.path(image))
            else:
                world.image(chance, place, t.path(image))
            formats.add(version(t, shutil.copytree(t.path(image), t.path("seen"))))
            shutil.rmtree(t.path("seen"))
            opened(t, t.path(image), chance)
    t.true(writes >= 4, "%d writes" % writes)
    t.equal(formats, {1, 2}, "formats of the images")
