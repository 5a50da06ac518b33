"""What is wrong with an input is said in one sentence, with its exit status, and loses nothing."""

import gzip
import json
import os
import resource
import subprocess

from harness import BUSY, CORRUPT, INPUT, IO, OK, USAGE, VERSION, Skip, patient
from test_run import start

GOOD = '{"user_id": "ann", "timestamp": %d, "url": "/a"}'


def line(**fields):
    entry = {"user_id": "ann", "timestamp": 1772359200000, "url": "/a"}
    entry.update(fields)
    return json.dumps({name: value for name, value in entry.items() if value is not ...})


# (line, words of the reason)
MALFORMED = [
    ("{", "not valid JSON"),
    ("user_id,timestamp,url", "not valid JSON"),
    (line() + " x", "not valid JSON"),
    (line()[:-1], "not valid JSON"),
    (line() + line(), "not valid JSON"),
    (b'{"user_id": "\xff\xfe", "timestamp": 1, "url": "/a"}', "UTF-8"),
    (b'{"user_id": "a\x01b", "timestamp": 1, "url": "/a"}', "not valid JSON"),
    (b'{"user_id": "a\x00b", "timestamp": 1, "url": "/a"}', "not valid JSON"),
    (r'{"user_id": "\ud800", "timestamp": 1, "url": "/a"}', "not valid JSON"),
    ("[" * 3000 + "]" * 3000, "not valid JSON"),
    ("null", "not a JSON object"),
    ("42", "not a JSON object"),
    ('"text"', "not a JSON object"),
    ("[" + line() + "]", "not a JSON object"),
    ("{}", "timestamp is missing"),
    (line(timestamp=...), "timestamp is missing"),
    (line(timestamp=None), "timestamp"),
    (line(timestamp=True), "timestamp"),
    (line(timestamp=1.5), "timestamp"),
    (line(timestamp=""), "timestamp"),
    (line(timestamp="yesterday"), "timestamp"),
    (line(timestamp="2026-02-30T10:00:00Z"), "timestamp"),
    (line(timestamp="2026-03-01T10:00:00"), "timestamp"),
    (line(timestamp=0), "timestamp 0 is out of range"),
    (line(timestamp=-1), "timestamp -1 is out of range"),
    (line(timestamp=4102444800000), "timestamp 4102444800000 is out of range"),
    (line(timestamp=10 ** 25), "not valid JSON, or a number in it is larger than 64 bits"),
    (line(timestamp="2100-01-01T00:00:00Z"), "is out of range"),
    (line(user_id=...), "user_id is missing or empty"),
    (line(user_id=""), "user_id is missing or empty"),
    (line(user_id=None), "user_id is missing or empty"),
    (line(user_id=42), "user_id is not a string"),
    (line(user_id="u" * 257), "user_id is 257 bytes long, the limit is 256"),
    (line(url=...), "url is missing or empty"),
    (line(url=["/a"]), "url is not a string"),
    (line(url="/" * 2049), "url is 2049 bytes long, the limit is 2048"),
    (line(country="c" * 257), "country is 257 bytes long, the limit is 256"),
    (line(country={"name": "Peru"}), "country is not a string"),
    (line(device=7), "device is not a string"),
    (line(row_key="k" * 65), "row_key is 65 bytes long, the limit is 64"),
]


def as_bytes(text):
    return text if isinstance(text, bytes) else text.encode()


def letters(t, data="data"):
    """(origin, reason, payload) of each dead letter."""
    database = t.database(data)
    rows = database.execute("SELECT origin, reason, payload FROM dead ORDER BY id").fetchall()
    database.close()
    return [(origin, reason, bytes(payload)) for origin, reason, payload in rows]


def test_malformed_lines_become_dead_letters(t):
    content, origins = b"", []
    for number, (text, _) in enumerate(MALFORMED):
        content += (GOOD % (1772359200000 + number)).encode() + b"\n" + as_bytes(text) + b"\n"
        origins.append("bad.jsonl:%d" % (2 * number + 2))
    t.write("bad.jsonl", content)
    account = t.clickmill("import", "--json", "--format", "jsonl", "bad.jsonl").json
    count = len(MALFORMED)
    t.equal([account[name] for name in ("read", "accepted", "rejected", "skipped")],
            [2 * count, count, count, 0], "account")
    got = letters(t)
    t.equal([payload for _, _, payload in got], [as_bytes(text) for text, _ in MALFORMED],
            "payloads")
    t.equal([origin for origin, _, _ in got], origins, "origins")
    for (text, words), (_, reason, _) in zip(MALFORMED, got):
        t.true(words in reason, "%r is not in the reason %r of %r" % (words, reason, text))
    t.equal(t.process()["events"], count, "events")

    listed = t.clickmill("dead", "list").out.splitlines()
    t.equal(len(listed), count, "lines of dead list")
    for shown, (origin, reason, _) in zip(listed, got):
        t.true(shown.endswith("  %s  %s" % (origin, reason)), shown)
    t.equal(len(t.clickmill("dead", "list", "--limit", 3).out.splitlines()), 3, "dead list --limit")
    for number in (1, 6, count):
        t.equal(t.clickmill("dead", "show", number).raw, got[number - 1][2] + b"\n",
                "dead show %d" % number)
    objects = [json.loads(shown) for shown in t.clickmill("dead", "list", "--json").out.splitlines()]
    t.equal([entry["reason"] for entry in objects], [reason for _, reason, _ in got], "JSON")


def test_limits_are_inclusive(t):
    good = [line(timestamp=1), line(timestamp=4102444799999), line(timestamp="1772359200000"),
            line(user_id="u" * 256), line(url="/" * 2048), line(row_key="k" * 64), line(row_key="k"),
            line(country="c" * 256), line(row_key=""), line(row_key=None),
            line(user_id="ü" * 128), line(timestamp="2026-03-01t10:00:00.123456z"),
            line(country=None, city="", device=None)]
    account = t.ingest("\n".join(good))
    t.equal((account["accepted"], account["rejected"]), (len(good), 0), "account")


def test_unknown_fields_are_counted(t):
    account = t.ingest(line(color="red", size=[1, {"a": None}]) + "\n" + line(user_id="bob"))
    t.equal((account["accepted"], account["rejected"], account["unknown_fields"]), (2, 0, 2),
            "account")


def test_blank_lines_are_no_events(t):
    content = b"\xef\xbb\xbf\n\r\n  \n" + as_bytes(line()) + b"\r\n\t\n\n" + as_bytes(line(user_id="b"))
    account = t.ingest(content)
    t.equal([account[name] for name in ("read", "accepted", "rejected", "skipped")], [2, 2, 0, 0],
            "account")
    for nothing in (b"", b"\n", b"\n \n\r\n"):
        account = t.ingest(nothing)
        t.equal([account[name] for name in ("read", "accepted", "rejected", "skipped")],
                [0, 0, 0, 0], "account of %r" % nothing)


def test_a_line_too_long(t):
    content = line() + "\n" + line(url="/" * 3000000) + "\n" + line(user_id="bob") + "\n"
    account = t.ingest(content)
    t.equal([account[name] for name in ("read", "accepted", "rejected")], [3, 2, 1], "account")
    origin, reason, payload = letters(t)[0]
    t.true("long" in reason, reason)
    t.true(content.encode().splitlines()[1].startswith(payload) and payload, "head of the line")


def test_csv(t):
    good = "user_id,timestamp,url,country,color\n"
    records = ["ann,1000,/a,Peru,red", 'ann,2000,"/b,c",Peru,red', '"a""n",3000,/c,,', "ann,4000,/d,Peru",
               "ann,x,/a,Peru,red", ",5000,/a,Peru,red", "ann,6000,/a,Peru,red,7", "", '"ann,7000,/a']
    t.write("events.csv", good + "\n".join(records))
    account = t.balanced(t.clickmill("import", "--json", "events.csv").json)
    exported = [json.loads(text) for text in t.clickmill("export").out.splitlines()]
    wanted = [("ann", 1000, "/a", "Peru"), ("ann", 2000, "/b,c", "Peru"), ('a"n', 3000, "/c", "Unknown")]
    got = [(e["user_id"], e["timestamp"], e["url"], e["country"]) for e in exported]
    t.equal(got[:3], wanted, "events")
    t.equal(account["rejected"], len(letters(t)), "dead letters")
    reasons = [reason for _, reason, _ in letters(t)]
    t.true(any("timestamp" in reason for reason in reasons), "reasons %r" % reasons)
    t.true(any("user_id is missing" in reason for reason in reasons), "reasons %r" % reasons)
    t.true(any("quote" in reason for reason in reasons), "reasons %r" % reasons)
    t.equal(account["read"], 8, "records; a blank one is none")
    t.write("none.csv", "name,age\nann,7\n")
    t.says(t.clickmill("import", "--format", "csv", "none.csv", check=INPUT), "none.csv")


def test_replay(t):
    t.ingest(line() + "\n" + line(user_id="") + "\n" + line(timestamp=0, user_id="bob"))
    account = t.clickmill("dead", "replay", "--json", "--format", "jsonl").json
    t.equal([account[name] for name in ("read", "accepted", "rejected")], [2, 0, 2], "nothing mended")
    t.equal(len(letters(t)), 2, "dead letters")
    t.write("mended.json", line(user_id="bob"))
    account = t.clickmill("dead", "replay", 2, "--with", "mended.json", "--json").json
    t.equal([account[name] for name in ("read", "accepted", "rejected")], [1, 1, 0], "one mended")
    t.equal([payload for _, _, payload in letters(t)], [line(user_id="").encode()], "dead letters")
    t.equal(t.process()["events"], 2, "events")
    # After a fix of the program, a letter may be a good event as it is.
    database = t.database()
    with database:
        database.execute("UPDATE dead SET payload = ?", (line(user_id="cid").encode(),))
    database.close()
    account = t.clickmill("dead", "replay", "--json").json
    t.equal([account[name] for name in ("read", "accepted", "rejected")], [1, 1, 0], "as it is")
    t.equal(letters(t), [], "dead letters")
    t.equal(t.process()["events"], 3, "events")
    t.says(t.clickmill("dead", "bury", check=USAGE), "replay")


def test_replay_with_what_mends_nothing(t):
    t.ingest(line(user_id=""))
    before = letters(t)
    t.says(t.clickmill("dead", "replay", 1, "--with", "none.json", check=INPUT), "none.json")
    t.write("two.jsonl", line(user_id="bob") + "\n" + line(user_id=""))
    t.says(t.clickmill("dead", "replay", 1, "--with", "two.jsonl", check=INPUT),
           "two.jsonl holds 2 messages")
    t.write("no.jsonl", "")
    t.says(t.clickmill("dead", "replay", 1, "--with", "no.jsonl", check=INPUT), "holds 0 messages")
    t.equal(letters(t), before, "dead letters")
    t.equal(t.process()["events"], 0, "events")


def test_texts_of_others_do_not_steer_the_terminal(t):
    evil = "/\x1b]0;title\x07\n\u202e"
    t.ingest([{"user_id": "ann", "timestamp": 1000, "url": evil},
              {"user_id": "ann", "timestamp": "\x1b[2J", "url": "/"}])
    t.process()
    for result in (t.clickmill("query"), t.clickmill("dead", "list")):
        t.equal([c for c in result.out if c < " " and c != "\n" or c == "\u202e"], [], "controls")
    t.true(t.clickmill("query").out.splitlines()[1].startswith("/\ufffd]0;title\ufffd\ufffd\ufffd  "),
           "the url is there, without them")
    t.equal(json.loads(t.clickmill("query", "--json").out)[0]["url"], evil, "url in JSON")


def test_table_lines_up(t):
    t.ingest([{"user_id": url, "timestamp": 1000, "url": url, "country": "Peru"}
              for url in ("/\u65e5\u672c", "/e\u0301", "/abcd")])
    t.process()
    lines = t.clickmill("query", "--sort", "url").out.splitlines()
    t.equal([line.split("Peru")[0] for line in lines[1:]],
            ["/abcd  ", "/e\u0301     ", "/\u65e5\u672c  "], "urls")


def test_closed_standard_streams(t):
    """What is opened later must not take their places, or messages go into the data."""
    t.ingest(line())
    result = t.clickmill("import", "-", preexec=lambda: os.close(0), check=INPUT)
    t.says(result, "standard input", "Bad file descriptor")
    t.clickmill("process", preexec=lambda: os.closerange(0, 3), check=OK)
    t.clickmill("export", preexec=lambda: os.closerange(0, 3), check=IO)
    t.check_integrity()
    with open(t.path("data", "lock")) as lock:
        t.true(lock.read().strip().isdigit(), "nothing but a process id in the lock")
    t.equal(len(t.clickmill("export").out.splitlines()), 1, "exported events")


def test_words_of_dead(t):
    t.says(t.clickmill("dead", "show", "x", check=USAGE), '"x"')


# ---- files

def test_files_that_cannot_be_read(t):
    t.says(t.clickmill("import", "nowhere.jsonl", check=INPUT), "nowhere.jsonl", "No such file")
    os.mkdir(t.path("folder"))
    t.says(t.clickmill("import", "folder", check=INPUT), "folder is a directory")
    t.says(t.clickmill("import", check=USAGE), "no input is given")
    # What can be read is read.
    t.write("good.jsonl", line())
    result = t.clickmill("import", "--json", "nowhere.jsonl", "good.jsonl", "folder", check=INPUT)
    t.equal(result.json["accepted"], 1, "accepted")
    t.true("nowhere.jsonl" in result.err and "folder is a directory" in result.err, result.err)


def test_no_permission(t):
    if os.geteuid() == 0:
        path = t.write("secret.jsonl", line())
        os.chmod(path, 0)
        os.chmod(t.dir, 0o755)
        os.mkdir(t.path("data"), 0o777)
        os.chmod(t.path("data"), 0o777)

        def become_nobody():
            os.setgid(65534)
            os.setuid(65534)
        try:
            result = t.clickmill("import", "secret.jsonl", check=None, preexec=become_nobody)
        except PermissionError:
            raise Skip("the build directory is not readable for other users") from None
    else:
        path = t.write("secret.jsonl", line())
        os.chmod(path, 0)
        result = t.clickmill("import", "secret.jsonl", check=None)
    t.equal(result.code, INPUT, "exit status")
    t.says(result, "secret.jsonl", "Permission denied")


def test_truncated_gzip(t):
    content = "".join(line(timestamp=1772359200000 + n) + "\n" for n in range(20000)).encode()
    packed = gzip.compress(content)
    t.write("cut.jsonl.gz", packed[:len(packed) * 2 // 3])
    result = t.clickmill("import", "--json", "cut.jsonl.gz", check=INPUT)
    t.says(result, "cut.jsonl.gz")
    accepted = t.balanced(result.json)["accepted"]
    t.true(8000 < accepted < 20000, "accepted %d of the lines before the end" % accepted)
    t.equal(len(t.clickmill("export").out.splitlines()), accepted, "exported events")
    # The whole file later brings the rest.
    t.write("cut.jsonl.gz", packed)
    t.clickmill("import", "cut.jsonl.gz")
    t.equal(t.process()["events"], 20000, "events in the end")


def test_truncated_zstd(t):
    content = "".join(line(timestamp=1772359200000 + n) + "\n" for n in range(200000)).encode()
    try:
        packed = subprocess.run(["zstd", "-q", "-1", "-c"], input=content, capture_output=True,
                                check=True).stdout
    except FileNotFoundError:
        t.skip("zstd is not installed (Debian package zstd)")
    t.write("cut.zst", packed[:len(packed) * 2 // 3])
    result = t.clickmill("import", "--json", "cut.zst", check=INPUT)
    t.says(result, "cut.zst")
    accepted = t.balanced(result.json)["accepted"]
    t.true(0 < accepted < 200000, "accepted %d of the lines before the end" % accepted)


def test_damaged_gzip(t):
    packed = bytearray(gzip.compress(os.urandom(3000).hex().encode()))
    packed[len(packed) // 2] ^= 0xFF
    t.write("damaged.gz", bytes(packed))
    t.says(t.clickmill("import", "--format", "jsonl", "damaged.gz", check=INPUT), "damaged.gz")


def test_a_file_that_vanishes(t):
    """The second file is removed while the first, a pipe, is still being written."""
    os.mkfifo(t.path("pipe"))
    t.write("second.jsonl", line(user_id="bob"))
    process = t.start("import", "--json", "--format", "jsonl", "pipe", "second.jsonl")
    with open(t.path("pipe"), "w", encoding="utf-8") as pipe:
        pipe.write(line() + "\n")
        pipe.flush()
        os.remove(t.path("second.jsonl"))
    result = process.wait(INPUT)
    t.equal(result.json["accepted"], 1, "accepted")
    t.true("second.jsonl" in result.err, result.err)


# ---- the store

def test_output_that_is_full(t):
    t.ingest([{"user_id": "u%d" % n, "timestamp": 1000 * n, "url": "/%d" % n}
              for n in range(1, 5000)])
    t.process()
    commands = (["query", "--format", "csv"], ["query"], ["query", "--format", "json"], ["export"],
                ["export", "--format", "csv"], ["produce", "--count", "5000", "--out", "-"],
                ["help"], ["--version"])
    for command in commands:
        with open("/dev/full", "wb") as full:
            t.says(t.clickmill(*command, stdout=full, check=IO), "No space left on device")
    t.says(t.clickmill("produce", "--count", "5000", "--out", "/dev/full", check=IO), "/dev/full")


def test_reader_that_leaves(t):
    """`clickmill ... | head -1` is no failure and says nothing."""
    t.clickmill("produce", "--count", 100000, "--users", 20000, "--urls", 1000)
    t.process()
    for command in ("export", "query --format csv", "query --format json", "query"):
        done = subprocess.run(
            ["bash", "-c", "%s %s | head -1; echo ${PIPESTATUS[0]}" % (t.program, command)],
            capture_output=True, cwd=t.dir, text=True, check=True)
        t.equal((done.stdout.splitlines()[-1], done.stderr), ("0", ""), command)


def test_full_disk(t):
    """The file size limit stands in for a full disk: what was committed stays, and it goes on."""
    t.clickmill("produce", "--count", 300000, "--users", 20000, "--out", "events.jsonl")
    t.ingest(line(user_id="first"))

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (600 * 1024, 600 * 1024))
    result = t.clickmill("import", "--json", "events.jsonl", check=IO, preexec=limit)
    t.says(result, "clickmill.db")
    t.check_integrity()
    t.true('"first"' in t.clickmill("export").out, "an acknowledged event is lost")
    t.clickmill("import", "events.jsonl")
    t.process()
    t.clickmill("import", "--data", "calm", "--format", "jsonl", "-", stdin=line(user_id="first"))
    t.clickmill("import", "--data", "calm", "events.jsonl")
    t.process(data="calm")
    t.equal(t.all_answers(), t.all_answers("calm"), "answers after there was space again")


def test_full_disk_during_process(t):
    t.clickmill("produce", "--count", 50000, "--users", 5000, "--urls", 500)

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024 * 1024, 1024 * 1024))
    t.says(t.clickmill("process", "--window", "all,day,hour", check=IO, preexec=limit), "clickmill.db")
    t.check_integrity()
    t.process()
    wanted = t.all_answers()
    t.clickmill("process", "--rebuild", "--window", "all,day,hour")
    t.equal(t.all_answers(), wanted, "answers")


def test_data_directory_that_cannot_be(t):
    t.write("file", "")
    t.says(t.clickmill("import", "--data", "file", "-", check=IO), "file", "--data")
    t.says(t.clickmill("import", "--data", "/proc/nowhere", "-", check=IO), "/proc/nowhere", "--data")


@patient
def test_data_directory_in_use(t):
    t.ingest(line())
    process, _ = start(t, "run", "--no-demo")
    for command in (["process"], ["produce", "--count", "1"], ["dead", "replay"]):
        result = t.clickmill(*command, check=BUSY)
        t.says(result, "data is in use by process %d;" % process.pid, "--data")
    t.answers()  # reading goes on beside it
    t.equal(len(t.clickmill("export").out.splitlines()), 1, "exported events")
    t.equal(t.ingest(line(user_id="bob"))["accepted"], 1, "accepted by the process that holds it")
    process.stop(OK)
    t.equal(t.ingest(line(user_id="eve"))["accepted"], 1, "accepted when it is free")
    t.equal(len(t.clickmill("export").out.splitlines()), 3, "exported events")


def test_newer_version(t):
    t.ingest(line())
    database = t.database()
    database.execute("PRAGMA user_version = 99")
    database.commit()
    database.close()
    for command in (["import", "--format", "jsonl", "-"], ["process"], ["query"], ["export"],
                    ["dead", "list"]):
        t.says(t.clickmill(*command, check=VERSION), "clickmill.db", "newer Clickmill", "format 99")


def test_not_a_database(t):
    os.mkdir(t.path("data"))
    t.write("data/clickmill.db", "This is no database, but long enough to be one. " * 400)
    for command in (["import", "--format", "jsonl", "-"], ["process"], ["query"], ["export"]):
        t.says(t.clickmill(*command, check=CORRUPT), "clickmill.db")
    os.remove(t.path("data/clickmill.db"))
    database = t.database()
    database.execute("CREATE TABLE recipes (name TEXT)")
    database.commit()
    database.close()
    for command in (["import", "--format", "jsonl", "-"], ["query"]):
        t.says(t.clickmill(*command, check=CORRUPT), "some other program")


def damage(t, table, column, where="1", at=None):
    """Flips one byte in the middle of a blob."""
    database = t.database()
    with database:
        rowid, blob = database.execute("SELECT rowid, %s FROM %s WHERE %s" % (
            column, table, where)).fetchone()
        blob = bytearray(blob)
        blob[len(blob) // 2 if at is None else at] ^= 0x01
        database.execute("UPDATE %s SET %s = ? WHERE rowid = ?" % (table, column),
                         (bytes(blob), rowid))
    database.close()


def test_damaged_block(t):
    events = [{"user_id": "u%d" % (n % 50), "timestamp": 1772359200000 + n * 777, "url": "/%d" % (n % 9),
               "row_key": "key-%d" % n} for n in range(3000)]
    for column, commands in (("hot", (["process", "--rebuild"], ["export"])),
                             ("cold", (["export"],)), ("keys", (["export"],))):
        for at in (0, None, -1):
            t.ingest(events, data="data")
            damage(t, "block", column, at=at)
            for command in commands:
                t.says(t.clickmill(*command, check=CORRUPT), "events 0 to 2999", "clickmill.db",
                       "damaged")
            for name in os.listdir(t.path("data")):
                os.remove(t.path("data", name))


def test_damaged_block_keeps_the_old_answers(t):
    t.ingest([{"user_id": "ann", "timestamp": 1000 * n, "url": "/a"} for n in range(1, 100)])
    t.process()
    wanted = t.all_answers()
    damage(t, "block", "hot")
    t.clickmill("process", "--rebuild", "--window", "all,day,hour", check=CORRUPT)
    t.equal(t.all_answers(), wanted, "answers")


def test_damaged_dictionary(t):
    t.ingest(line())
    database = t.database()
    with database:
        blob = bytearray(database.execute("SELECT texts FROM dictionary WHERE field = 0").fetchone()[0])
        blob[-1] ^= 0x01
        database.execute("UPDATE dictionary SET texts = ? WHERE field = 0", (bytes(blob),))
    database.close()
    t.says(t.clickmill("export", check=CORRUPT), "dictionary 0", "clickmill.db")
    t.says(t.clickmill("import", "--format", "jsonl", "-", stdin=line(), check=CORRUPT), "dictionary 0")
