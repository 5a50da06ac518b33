"""`recover`: every block that is whole is saved, and what is lost is said, from any damage."""

import collections
import json
import os
import random
import shutil
import time

import traffic
from collect_support import Collector, keyed
from harness import BUSY, CORRUPT, INPUT, IO, USAGE, slow
from test_damage import damage

PAGE = 16384
SAFE = ("user_id", "timestamp", "url", "name", "referrer", "props", "engaged_ms")  # whole, or lost


def exported(t, data):
    return [json.loads(line) for line in t.clickmill("export", "--data", data).out.splitlines()]


def stamp(directory):
    """All that could have been changed."""
    found = []
    for name in sorted(os.listdir(directory)):
        info = os.stat(os.path.join(directory, name))
        found.append((name, info.st_mtime_ns, info.st_size, info.st_mode))
    return found


def make(t, parts=8, count=400):
    """Some blocks, dead letters, a setting, a key."""
    for part in range(parts):
        t.ingest(traffic.events(50 + part, count))
    t.write("a.log", '8.8.8.8 - - [10/Oct/2025:13:55:36 +0000] "GET /log HTTP/1.1" 200 5 "-" "x"\n'
                     '8.8.8.8 - john doe [x] "GET /log HTTP/1.1" 200 5 "-" "x"\n')
    t.clickmill("import", "--all", "--format", "combined", "a.log")


def recover(t, data="data", to="saved", check=0):
    shutil.rmtree(t.path(to), ignore_errors=True)
    before = stamp(t.path(data))
    result = t.clickmill("recover", "--data", data, "--to", to, "--json", check=check)
    t.equal(stamp(t.path(data)), before, "the damaged directory")
    return result


def copy(t):
    shutil.rmtree(t.path("copy"), ignore_errors=True)
    shutil.copytree(t.path("data"), t.path("copy"), ignore=shutil.ignore_patterns("*.sock"))
    return t.path("copy", "clickmill.db")


def zero(path, *pages):
    with open(path, "r+b") as file:
        for page in pages:
            file.seek((page - 1) * PAGE)
            file.write(bytes(PAGE))


def test_all_of_a_whole_store(t):
    make(t)
    account = recover(t).json
    t.equal({name: account[name] for name in ("lost_events", "lost_blocks", "lost_texts", "nameless",
                                              "partial", "lost_dead", "lost")},
            {"lost_events": 0, "lost_blocks": 0, "lost_texts": 0, "nameless": 0, "partial": 0,
             "lost_dead": 0, "lost": []}, "lost")
    t.equal((account["events"], account["dead"], account["key"]), (3201, 1, True), "saved")
    t.equal(exported(t, "saved"), exported(t, "data"), "events, in their order")
    t.process()
    t.process(data="saved")
    t.equal(t.all_answers("saved"), t.all_answers(), "answers")
    letters = [t.clickmill("dead", "list", "--json", "--data", data).out for data in ("data", "saved")]
    t.equal(letters[0], letters[1], "dead letters, opened with the same key")
    t.true("john doe" in letters[1], "the letter is open")
    # An import that comes again has the same row keys, by the key and the settings.
    t.clickmill("import", "--all", "--format", "combined", "--data", "saved", "a.log")
    t.equal(t.answers(data="saved"), t.answers(), "after the log has come again")


def test_says_it_in_words(t):
    t.ingest(traffic.events(3, 100))
    done = t.clickmill("recover", "--to", "saved")
    t.equal(done.out, "", "stdout")
    lines = done.err.splitlines()
    t.true(lines[0].startswith("saved: 100 events in 1 block, "), lines[0])
    t.equal(lines[1], "lost: 0 events in 0 damaged blocks, 0 texts, 0 dead letters", "lost")
    t.equal(lines[2], "next: clickmill process --data saved", "next")
    t.says(t.clickmill("recover", "--to", "saved", check=USAGE), "there is a store in saved already")
    t.says(t.clickmill("recover", check=USAGE), "--to DIR")
    t.says(t.clickmill("recover", "--data", "none", "--to", "x", check=INPUT), "none/clickmill.db")
    t.true(not os.path.exists(t.path("x")), "a directory was made for nothing")


def root_of(t, name, data="data"):
    database = t.database(data)
    page, = database.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    database.close()
    return page


def test_header_schema_and_roots(t):
    """Where SQLite finds nothing any more, blocks are found all the same."""
    make(t)
    wanted = exported(t, "data")
    for pages in ([1], [root_of(t, "source")], [root_of(t, "setting")]):
        path = copy(t)
        zero(path, *pages)
        account = recover(t, "copy", check=None).json
        t.equal((account["events"], account["lost"]), (3201, []), "pages %s" % pages)
        t.equal(exported(t, "saved"), wanted, "pages %s" % pages)


def blocks_of(t, data="data"):
    database = t.database(data)
    found = database.execute("SELECT first, count FROM block ORDER BY first").fetchall()
    database.close()
    return found


def flip(path, needle, skip):
    """Changes a byte behind the first place of these bytes."""
    with open(path, "r+b") as file:
        content = file.read()
        at = content.index(needle) + skip
        file.seek(at)
        file.write(bytes([content[at] ^ 4]))


def test_a_damaged_block_is_named(t):
    make(t, parts=3)
    database = t.database()
    first, count, hot = database.execute(
        "SELECT first, count, hot FROM block WHERE first > 0 ORDER BY first LIMIT 1").fetchone()
    database.close()
    path = copy(t)
    flip(path, hot[:40], 20)
    result = recover(t, "copy", check=CORRUPT)
    account = result.json
    t.equal((account["events"], account["lost_events"], account["lost_blocks"]),
            (1201 - count, count, 1), "events")
    t.equal(account["lost"], [{"from": first + 1, "to": first + count,
                               "why": "the checksum of their block does not match"}], "lost")
    t.says(result, "%d events of copy are lost" % count, "imported again")
    got, left = exported(t, "saved"), {one["row_key"] for one in exported(t, "saved")}
    t.equal(got, [one for one in exported(t, "data") if one["row_key"] in left], "the rest")


def test_optional_fields(t):
    """A block whose optional fields are damaged is lost: without them, other events would be page
    views. The other blocks keep theirs, whether or not all of their events have some."""
    made = [traffic.widened(traffic.events(70 + part, 300), 7) for part in range(4)]
    made.insert(1, traffic.events(80, 300))
    for part in made:
        t.ingest(part)
    account = recover(t).json
    t.equal((account["events"], account["lost_events"]), (1500, 0), "events of a whole store")
    t.equal(exported(t, "saved"), exported(t, "data"), "events, in their order")
    t.true(sum("props" in one for one in exported(t, "saved")) > 100, "events with props")
    database = t.database()
    rows = database.execute("SELECT first, count, extra FROM block ORDER BY first").fetchall()
    database.close()
    t.equal([extra is None for _, _, extra in rows], [False, True, False, False, False], "blocks")
    first, count, extra = rows[2]
    path = copy(t)
    flip(path, extra[:60], 30)
    account = recover(t, "copy", check=CORRUPT).json
    t.equal((account["events"], account["lost"]),
            (1500 - count, [{"from": first + 1, "to": first + count,
                             "why": "the checksum of their block does not match"}]), "account")
    known = {json.dumps(one, sort_keys=True) for one in exported(t, "data")}
    got = {json.dumps(one, sort_keys=True) for one in exported(t, "saved")}
    t.equal(got - known, set(), "events that were never there")


def test_cold_columns_alone_may_be_lost(t):
    t.ingest([{"user_id": "u", "timestamp": traffic.START + n * 1000, "url": "/%d" % (n % 7),
               "country": "Peru", "city": "Lima"} for n in range(50)])
    database = t.database()
    cold, = database.execute("SELECT cold FROM block").fetchone()
    database.close()
    path = copy(t)
    flip(path, cold[:12], 3)
    account = recover(t, "copy", check=CORRUPT).json
    t.equal((account["events"], account["partial"], account["lost_events"]), (50, 50, 0), "account")
    t.equal({(one["country"], one["city"]) for one in exported(t, "saved")}, {("Peru", "Unknown")},
            "events")


def test_texts_that_are_lost(t):
    """A user or URL that is lost takes its events along, another text only itself."""
    t.ingest([{"user_id": "u", "timestamp": traffic.START + n, "url": "/old", "country": "Peru"}
              for n in range(10)])
    t.ingest([{"user_id": "u", "timestamp": traffic.START + n, "url": "/new", "country": "Chile"}
              for n in range(10, 15)])
    database = t.database()
    segments = dict(((field, first), texts) for field, first, texts in database.execute(
        "SELECT field, first, texts FROM dictionary"))
    database.close()
    path = copy(t)
    flip(path, segments[1, 1], 0)
    account = recover(t, "copy", check=CORRUPT).json
    t.equal((account["events"], account["nameless"], account["lost_texts"]), (10, 5, 1), "a URL")
    t.equal({one["url"] for one in exported(t, "saved")}, {"/old"}, "URLs")
    path = copy(t)
    flip(path, segments[2, 1], 0)
    account = recover(t, "copy", check=CORRUPT).json
    t.equal((account["events"], account["partial"], account["lost_texts"]), (15, 5, 1), "a country")
    t.equal(collections.Counter(one["country"] for one in exported(t, "saved")),
            {"Peru": 10, "Unknown": 5}, "countries")


def test_truncated(t):
    make(t)
    size = os.path.getsize(t.path("data", "clickmill.db"))
    known = {json.dumps(one) for one in exported(t, "data")}
    for end in (0, 50, 5000, size // 2 + 77, size - 1):
        path = copy(t)
        os.truncate(path, end)
        result = recover(t, "copy", check=CORRUPT)
        got = exported(t, "saved")
        t.equal(t.process(data="saved")["accepted"], result.json["events"], "events of %d" % end)
        t.true(all(json.dumps(one) in known for one in got), "events that were not sent")


def test_the_end_of_a_store_without_answers(t):
    """Nothing is left that says how many events there were: but that it had more pages."""
    t.ingest(traffic.events(3, 400))
    path = copy(t)
    os.truncate(path, PAGE)
    result = recover(t, "copy", check=CORRUPT)
    t.equal((result.json["events"], result.json["lost_events"], result.json["unsound"]),
            (0, 0, ["block", "dictionary", "source", "dead", "setting"]), "account")
    t.says(result, "not all of copy can be read, and more may be lost than can be counted")


def test_letters_whose_page_is_gone(t):
    """They have no checksum, so that their table is looked at as a whole."""
    make(t, parts=1)
    zero(copy(t), root_of(t, "dead"))
    account = recover(t, "copy", check=CORRUPT).json
    t.equal((account["events"], account["dead"], account["lost_dead"], account["unsound"]),
            (401, 0, 0, ["dead"]), "account")
    shutil.rmtree(t.path("saved"))
    result = t.clickmill("recover", "--data", "copy", "--to", "saved", check=CORRUPT)
    t.true("not whole: dead; more of what was in these tables may be lost\n" in result.err, str(result))


def test_a_key_that_is_damaged(t):
    make(t, parts=1)
    copy(t)
    t.write("copy/secret.key", b"cm-key-1 and not enough")
    account = recover(t, "copy", check=CORRUPT).json
    t.equal((account["key"], account["lost_key"], account["unsound"]), (False, True, []), "account")
    t.true(not os.path.exists(t.path("saved", "secret.key")), "a key that is none was saved")


def test_keys_that_are_there_already(t):
    make(t, parts=1)
    t.write("data/visitors.key", "x")
    os.mkdir(t.path("to"))
    t.write("to/visitors.key", "y")
    t.says(t.clickmill("recover", "--to", "to", check=IO), "cannot write to/visitors.key")
    with open(t.path("to", "visitors.key"), "rb") as file:
        t.equal(file.read(), b"y", "the other directory's key")


def test_the_log_is_read(t):
    """Of a process that has crashed, acknowledged events are in the log alone."""
    collector = Collector(t, check=False)
    for part in range(5):
        collector.ask([keyed(number) for number in range(part * 10, part * 10 + 10)])
    copy(t)
    t.says(t.clickmill("recover", "--to", "busy", check=BUSY), "in use")
    collector.stop()
    wanted = sorted("key-%d" % number for number in range(50))
    log = t.path("copy", "clickmill.db-wal")
    t.true(os.path.getsize(log) > 0, "the log is empty")
    recover(t, "copy", "a")
    t.equal(sorted(one["row_key"] for one in exported(t, "a")), wanted, "events")
    # SQLite ends at a damaged frame; the blocks behind it are whole.
    # Neither does it go on behind a frame that has lost the numbers of its run, which the checksums
    # of the log do not need.
    for place, broken in (32 + 24 + 100, True), (32 + 8, False), (32 + 2 * (24 + PAGE) + 9, False):
        shutil.copy(log, log + ".whole")
        with open(log, "r+b") as file:
            file.seek(place)
            file.write(b"\xaa\x55")
        account = recover(t, "copy", "b", check=CORRUPT if broken else None).json
        got = sorted(one["row_key"] for one in exported(t, "b"))
        t.equal((got, account["broken_log"]), (wanted, broken), "behind the damage at %d" % place)
        os.replace(log + ".whole", log)
    # Zeros instead of its header and its last frame: what they were is lost.
    size, frame = os.path.getsize(log), 24 + PAGE
    with open(log, "rb") as file:
        salt, end = file.read(24)[16:], 0
        for at in range(32, size - frame + 1, frame):
            file.seek(at + 8)
            end = at if file.read(8) == salt else end
    for place, least in (0, 50), (end, 40):
        shutil.copy(log, log + ".whole")
        with open(log, "r+b") as file:
            file.seek(place)
            file.write(bytes(32 + 16 if place == 0 else frame))
        account = recover(t, "copy", "b", check=CORRUPT).json
        t.equal((account["events"] >= least, account["broken_log"]), (True, True), "zeros at %d" % place)
        os.replace(log + ".whole", log)


def test_no_writer_beside_it(t):
    make(t, parts=1)
    os.mkfifo(t.path("data", "visitors.key"))  # waits there
    process = t.start("recover", "--to", "saved")
    t.until(lambda: os.path.exists(t.path("saved", "secret.key")), "it saves", process=process)
    t.says(t.clickmill("process", check=BUSY), "data is in use by process unknown")
    with open(t.path("data", "visitors.key"), "wb") as file:
        file.write(b"x")
    process.wait()
    t.clickmill("process")


def test_a_writer_whose_lock_file_is_deleted(t):
    make(t, parts=1)
    collector = Collector(t, check=False)
    os.remove(t.path("data", "lock"))
    t.says(t.clickmill("recover", "--to", "saved", check=BUSY), "the data directory data is in use")
    collector.stop()
    t.clickmill("recover", "--to", "saved")


def test_records_that_are_all_the_same(t):
    """Pages full of one record that goes round and round: 200 GB, in a database of 4 MB."""
    make(t, parts=1)
    path, size, cells = copy(t), 1 << 22, 3500
    with open(path, "r+b") as file:
        first = file.seek(0, os.SEEK_END) // PAGE + 1
        for number in (first + 1, first):  # two pages that go on in each other
            file.write(number.to_bytes(4, "big") + bytes(PAGE - 4))
        cell = b"\x82\x80\x80\x00" + b"\x01" + bytes(2031) + first.to_bytes(4, "big")
        place = (PAGE - len(cell)).to_bytes(2, "big")
        head = bytes([13, 0, 0]) + cells.to_bytes(2, "big") + bytes(3) + place * cells
        file.write((head + bytes(PAGE - len(head) - len(cell)) + cell) * 16)
        file.truncate(size)
    begun = time.monotonic()
    account = recover(t, "copy", check=CORRUPT).json
    t.equal((account["events"], account["lost_events"], len(account["unsound"])), (401, 0, 5), "account")
    t.true(time.monotonic() - begun < 15, "it takes %.1f s" % (time.monotonic() - begun))


@slow
def test_random_damage(t):
    """Nothing comes out that was not put in, whatever is damaged; and little is lost."""
    make(t)
    for part in range(4):
        t.ingest(traffic.widened(traffic.events(90 + part, 300), 9))
    known = {one["row_key"]: one for one in exported(t, "data")}
    chance, saved = random.Random(77), 0
    for number in range(60):
        path = copy(t)
        what = [damage(chance, path) for _ in range(1 + number % 3)]
        result = recover(t, "copy", check=None)
        t.true(result.code in (0, CORRUPT), "%s: %s" % (what, result))
        got = exported(t, "saved")
        saved += len(got)
        whole = result.json["partial"] == 0
        for one in got:
            right = known.get(one["row_key"])
            t.true(right is not None, "%s: %s was never there" % (what, one))
            for field in SAFE + (("country", "city") if whole else ()):
                t.equal(one.get(field), right.get(field), "%s of %s after %s" % (field, one, what))
        if result.code == 0:
            t.equal(len(got), len(known), "nothing is said to be lost after %s" % what)
    t.true(saved > 60 * len(known) * 0.6, "only %d events were saved" % saved)
