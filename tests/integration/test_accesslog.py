"""The real access log, counted a second time with a regular expression and with SQL."""

import collections
import gzip
import hashlib
import hmac
import json
import os
import re
import shutil
import sqlite3
import subprocess
from datetime import datetime
from urllib.parse import quote

import oracle
import uap
from harness import INPUT, OK, USAGE
from test_run import start

LINE = re.compile(r'(?P<address>\S+) \S+ (?P<user>\S+) \[(?P<time>[^\]]+)\] "(?P<request>.*?)"'
                  r' (?P<status>\d{3}) (?:\d+|-)(?: "(?P<referrer>.*?)" "(?P<agent>.*?)"?)?$')
ASSET = re.compile(r"\.(css|js|mjs|map|json|wasm|webmanifest|a?png|jpe?g|gif|svgz?|webp|avif|ico|cur"
                   r"|bmp|tiff?|woff2?|ttf|otf|eot|mp[34]|m4[avs]|webm|og[gav]|avi|mov|wav|flac|aac"
                   r"|mpe?g|flv|swf|m3u8|ts|vtt)$", re.I)
FOR_PROGRAMS = re.compile(r"\.(xml|rss|atom|rdf)$|/(feed|rss)/*$|/(robots|ads|humans)\.txt$", re.I)


def real_log(t):
    """(path, lines) of the log; the lines are in Latin-1, byte by byte."""
    path = t.shared("data", "apache_logs")
    with open(path, encoding="latin-1", newline="\n") as file:
        return path, file.read().splitlines()


def fields(line):
    found = LINE.match(line)
    assert found, line
    method, _, rest = found["request"].partition(" ")
    url = rest.rpartition(" ")[0]
    return dict(found.groupdict(), method=method, url=url, status=int(found["status"]))


def is_answered(status):
    return 200 <= status < 300 and status != 206 or status == 304


def is_page_view(entry):
    path = re.split(r"[?#;]", entry["url"])[0]
    return (entry["method"] == "GET" and is_answered(entry["status"])
            and not ASSET.search(path.rsplit("/", 1)[-1]) and not FOR_PROGRAMS.search(path))


def spelled(escape):
    character = chr(int(escape[1], 16))
    plain = character.isascii() and (character.isalnum() or character in "-._~")
    return character if plain else escape[0].upper()


def clean(url):
    """In one spelling, without its fragment and what campaigns add to it; of those the log has only
    utm_."""
    url = re.sub(r"\\x([0-9A-Fa-f]{2})|%(?![0-9A-Fa-f]{2})", lambda at: "%" + (at[1] or "25"), url)
    url = re.sub(r"%([0-9A-Fa-f]{2})", spelled, url.replace("\\", "%5C"))
    path, mark, query = url.partition("#")[0].partition("?")
    kept = [part for part in query.split("&") if not re.match(r"utm_\w", part, re.I)]
    return (path + mark + "&".join(kept) if kept else path) or url


def clicks(t, data="data"):
    """Clicks and users by URL, as the answers have them. A user is in one country: an address is."""
    total = collections.defaultdict(lambda: (0, 0))
    for row in oracle.parse(t.answers(data=data), "all"):
        total[row[1]] = (total[row[1]][0] + row[3], total[row[1]][1] + row[4])
    return total


def counted(entries):
    """The same, counted here: a user is an address with a user agent."""
    users, total = collections.defaultdict(set), collections.Counter()
    for entry in entries:
        total[clean(entry["url"])] += 1
        users[clean(entry["url"])].add((entry["address"], entry["agent"]))
    return {url: (total[url], len(users[url])) for url in total}


def test_all_lines(t):
    path, lines = real_log(t)
    account = t.clickmill("import", "--all", "--format", "combined", "--json", path).json
    t.equal([account[name] for name in ("read", "accepted", "rejected", "skipped")],
            [10000, 10000, 0, 0], "account")
    account = t.process()
    t.equal((account["accepted"], account["events"], account["duplicates"]), (10000, 10000, 0),
            "account of process")
    t.equal(clicks(t), counted(map(fields, lines)), "clicks and users by URL")
    exported = [json.loads(line) for line in t.clickmill("export").out.splitlines()]
    t.equal(len(exported), 10000, "exported events")
    oracle.compare(t, exported, {window: t.answers(window) for window in ("all", "day", "hour")})
    days = collections.Counter(entry["time"][:11] for entry in map(fields, lines))
    got = collections.Counter()
    for row in oracle.parse(t.answers("day"), "day"):
        got[datetime.utcfromtimestamp(row[0] / 1000).strftime("%d/%b/%Y")] += row[3]
    t.equal(got, days, "clicks by day")


def test_page_views(t):
    path, lines = real_log(t)
    views = [entry for entry in map(fields, lines) if is_page_view(entry)]
    account = t.clickmill("import", "--bots", "keep", "--json", path).json  # the format is found out
    t.equal([account[name] for name in ("read", "accepted", "rejected", "skipped")],
            [10000, len(views), 0, 10000 - len(views)], "account")
    t.process()
    t.equal(clicks(t), counted(views), "clicks and users by URL")
    awk = ("awk '{split($0, q, \"\\\"\"); split(q[2], r, \" \"); split(q[3], s, \" \");"
           " if (r[1] == \"GET\" && (s[1] ~ /^2/ && s[1] != 206 || s[1] == 304)) n++}"
           " END {print n}' " + path)
    answered = int(subprocess.run(awk, shell=True, capture_output=True, check=True).stdout)
    assets = sum(1 for entry in map(fields, lines)
                 if entry["method"] == "GET" and not is_page_view(entry)
                 and is_answered(entry["status"]))
    t.equal(answered - assets, len(views),
            "GETs answered 2xx but not 206, or 304, by awk, without assets and what is for programs")


def test_people_and_bots(t):
    """The default leaves bots out: those of the rules, which Python applies one after the other."""
    path, lines = real_log(t)
    rules = uap.Rules()
    views = [entry for entry in map(fields, lines) if is_page_view(entry)]
    people = [entry for entry in views if not rules.parse(entry["agent"] or "")["bot"]]
    t.true(1000 < len(people) < len(views) - 1000, "%d people" % len(people))
    account = t.clickmill("import", "--json", path).json
    t.equal([account[name] for name in ("read", "accepted", "rejected", "skipped", "bots")],
            [10000, len(people), 0, 10000 - len(people), len(views) - len(people)], "account")
    t.process()
    t.equal(clicks(t), counted(people), "clicks and users by URL")
    exported = [json.loads(line) for line in t.clickmill("export").out.splitlines()]
    for entry, event in zip(people, exported):
        wanted = rules.parse(entry["agent"] or "")
        if entry["agent"] != "-":
            t.equal((event["browser"], event["os"], event["device"]),
                    tuple(wanted[part]["family"] for part in ("browser", "os", "device")),
                    entry["agent"])
            t.equal((event.get("browser_version"), event.get("os_version")),
                    (wanted["browser"]["version"], wanted["os"]["version"]),
                    "versions of " + entry["agent"])


def test_again_and_overlapping_changes_nothing(t):
    path, lines = real_log(t)
    t.clickmill("import", "--all", path)
    t.process()
    wanted = t.all_answers()
    t.clickmill("import", "--all", path)
    account = t.process()
    t.equal((account["events"], account["duplicates"]), (10000, 10000), "after the same log again")
    t.equal(t.all_answers(), wanted, "answers after the same log again")

    first = t.write("access.log.1", "\n".join(lines[:6000]).encode("latin-1") + b"\n")
    second = t.write("access.log", "\n".join(lines[4000:]).encode("latin-1"))
    account = t.clickmill("import", "--all", "--json", first, second).json
    t.equal(account["accepted"], 12000, "lines of the overlapping halves")
    account = t.process()
    t.equal((account["events"], account["duplicates"]), (10000, 22000), "after the halves")
    t.equal(t.all_answers(), wanted, "answers after the halves")

    new_store_with_the_key(t, "data", "halves")
    t.clickmill("import", "--all", "--data", "halves", second, first)
    account = t.process(data="halves")
    t.equal((account["events"], account["duplicates"]), (10000, 2000), "from the halves alone")
    t.equal(t.all_answers("halves"), wanted, "answers from the halves alone")


def new_store_with_the_key(t, old, new):
    """An empty store whose visitors have the same names as another's."""
    t.clickmill("import", "--format", "jsonl", "--data", new, "-")
    shutil.copy(t.path(old, "secret.key"), t.path(new, "secret.key"))


def test_packed_files_are_the_same(t):
    path, _ = real_log(t)
    t.clickmill("import", "--all", path)
    t.process()
    wanted = t.all_answers()
    with open(path, "rb") as file, gzip.open(t.path("log.gz"), "wb") as packed:
        shutil.copyfileobj(file, packed)
    with open(path, "rb") as file:  # two members, as `cat a.gz b.gz` makes them
        content = file.read()
    half = content.index(b"\n", len(content) // 2) + 10
    t.write("two.gz", gzip.compress(content[:half]) + gzip.compress(content[half:]))
    names = ["log.gz", "two.gz"]
    if shutil.which("zstd"):
        subprocess.run(["zstd", "-q", path, "-o", t.path("log.zst")], check=True)
        names.append("log.zst")
    for name in names:
        new_store_with_the_key(t, "data", name + ".data")
        account = t.clickmill("import", "--all", "--json", "--data", name + ".data", name).json
        t.equal(account["accepted"], 10000, "accepted of " + name)
        t.process(data=name + ".data")
        t.equal(t.all_answers(name + ".data"), wanted, "answers of " + name)
    if "log.zst" not in names:
        t.skip("zstd is not installed (Debian package zstd): only .gz was tested")


def test_addresses_are_not_stored(t):
    path, lines = real_log(t)
    t.clickmill("import", "--all", path)
    t.process()
    addresses = {fields(line)["address"].encode() for line in lines}
    t.true(len(addresses) > 1000, "only %d addresses" % len(addresses))
    # Blocks are compressed, so the texts that come out of them count as well.
    contents = {"export": t.clickmill("export").raw}
    for name in os.listdir(t.path("data")):
        with open(t.path("data", name), "rb") as file:
            contents[name] = file.read()
    for name, content in contents.items():
        words = set(re.findall(rb"\d+\.\d+\.\d+\.\d+", content))
        t.equal(words & addresses, set(), "addresses in " + name)


def test_users_and_row_keys(t):
    """A visitor is HMAC-SHA-256 of address and user agent; copies within a second are counted."""
    _, lines = real_log(t)
    sample = [line for line in lines if line.isascii()][:500]
    same = sample[7]
    content = "\n".join(sample + [same, same]).encode("latin-1")
    t.clickmill("import", "--format", "combined", "--all", "-", stdin=content)
    exported = [json.loads(line) for line in t.clickmill("export").out.splitlines()]
    t.equal(len(exported), len(sample) + 2, "events")
    with open(t.path("data", "secret.key"), "rb") as file:
        content = file.read()
    t.equal((content[:8], len(content)), (b"cm-key-1", 40), "the key's file")
    key = content[8:]
    seen = collections.Counter()
    for line, event in zip(sample + [same, same], exported):
        entry = fields(line)
        time = datetime.strptime(entry["time"], "%d/%b/%Y:%H:%M:%S %z")
        milliseconds = int(time.timestamp()) * 1000
        t.equal(event["timestamp"], milliseconds, "time of " + line)
        t.equal(event["url"], clean(entry["url"]), "URL of " + line)
        visitor = "%s\0%s" % (entry["address"], entry["agent"] if entry["agent"] != "-" else "")
        t.equal(event["user_id"],
                hmac.digest(key, visitor.encode("latin-1"), hashlib.sha256).hex()[:32],
                "user of " + line)
        name = "%s_%d_%s" % (event["user_id"], milliseconds, entry["request"])
        t.equal(event["row_key"], oracle.uuid_of("%s_%d" % (name, seen[name])), "row key of " + line)
        seen[name] += 1


def test_named_users_site_and_common_format(t):
    line = '192.0.2.7 - %s [17/May/2015:10:05:03 +0200] "GET /a?b=1 HTTP/1.1" 200 17'
    t.write("common.log", "\n".join([line % "ann", line % "-", line % "ann"]))
    account = t.clickmill("import", "--json", "--site", "https://www.example.com",
                          "common.log").json
    t.equal(account["accepted"], 3, "accepted")
    exported = [json.loads(text) for text in t.clickmill("export").out.splitlines()]
    t.equal([event["url"] for event in exported], ["https://www.example.com/a?b=1"] * 3, "URL")
    t.equal([event["timestamp"] for event in exported], [1431849903000] * 3, "time")
    t.equal([event["user_id"] == "ann" for event in exported], [True, False, True], "users")
    t.equal(exported[0]["row_key"],
            oracle.uuid_of("ann_1431849903000_www.example.com_GET /a?b=1 HTTP/1.1_0"),
            "row key of the first")
    t.equal(exported[2]["row_key"],
            oracle.uuid_of("ann_1431849903000_www.example.com_GET /a?b=1 HTTP/1.1_1"),
            "row key of its copy")


def test_what_is_skipped(t):
    line = '192.0.2.7 - - [17/May/2015:10:05:03 +0000] "%s" %d 17 "-" "Firefox/1.0"'
    requests = [("GET /page HTTP/1.1", 200, True), ("GET /page HTTP/1.1", 304, True),
                ("GET /page HTTP/1.1", 206, False), ("GET /page HTTP/1.1", 301, False),
                ("GET /robots.txt HTTP/1.1", 200, False), ("GET /blog/feed/ HTTP/1.1", 200, False),
                ("GET /sitemap.xml HTTP/1.1", 200, False), ("GET /page", 200, True),
                ("GET /page HTTP/1.1", 404, False), ("GET /page HTTP/1.1", 500, False),
                ("POST /page HTTP/1.1", 200, False), ("HEAD /page HTTP/1.1", 200, False),
                ("GET /logo.PNG HTTP/1.1", 200, False), ("GET /a.css?v=3 HTTP/1.1", 200, False),
                ("GET /show?file=a.css HTTP/1.1", 200, True), ("GET /v1.2/page HTTP/1.1", 200, True),
                ("GET /page.html HTTP/2.0", 200, True), ("-", 400, False)]
    for request, status, taken in requests:
        data = "data-" + quote(request + str(status), safe="")
        account = t.clickmill("import", "--json", "--format", "combined", "--data", data, "-",
                              stdin=line % (request, status)).json
        t.equal((account["read"], account["accepted"], account["skipped"]),
                (1, int(taken), int(not taken)), "account of %s %d" % (request, status))


def test_malformed_lines(t):
    good = '192.0.2.7 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 17 "-" "curl/8"'
    bad = [good.replace("17/May", "31/Jun"), good.replace("17/May", "17/Mai"),
           good.replace("+0000", "0000"), good.replace("10:05:03", "24:05:03"),
           good.replace("[", ""), good.replace(" 200 ", " ok "), good.replace(" 17 ", " x "),
           good.replace('"GET /a HTTP/1.1"', "GET"), good[:40], "x", good.replace('"-"', "-"),
           good.replace("17/May/2015", "17/May/1969"), good.replace("17/May/2015", "17/May/2115")]
    content = "".join(line + "\n" for line in [good] + bad + ["", "  ", good])
    t.write("bad.log", content)
    account = t.clickmill("import", "--json", "--format", "combined", "--all", "bad.log").json
    t.equal([account[name] for name in ("read", "accepted", "rejected", "skipped")],
            [len(bad) + 2, 2, len(bad), 0], "account")
    letters = [json.loads(line) for line in t.clickmill("dead", "list", "--json").out.splitlines()]
    t.equal([letter["payload"] for letter in letters], bad, "payloads")
    t.equal([letter["origin"] for letter in letters],
            ["bad.log:%d" % number for number in range(2, len(bad) + 2)], "origins")


def test_a_log_is_not_events(t):
    t.write("prose.txt", "Call me Ishmael.\nSome years ago\n")
    t.says(t.clickmill("import", "prose.txt", check=INPUT), "prose.txt")


AGENT = ' 200 512 "-" "Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0"\n'


def log(*heads):
    """Lines of one second with these columns before the time, of one request."""
    return "".join(head + ' [10/Oct/2025:10:00:00 +0000] "GET /a HTTP/1.1"' + AGENT
                   for head in heads)


def exported(t, data="data"):
    return [json.loads(line) for line in t.clickmill("export", "--data", data).out.splitlines()]


def test_no_address_is_a_name(t):
    """Whatever stands before the time: the address becomes a hash, or the line is rejected."""
    heads = ["8.8.8.8 - [8.8.8.8] - -", "8.8.8.8 -  -", "8.8.8.8 - (www.example.com) -",
             "8.8.8.8, 10.1.2.3 - -", "10.1.2.3 (8.8.8.8, 10.1.2.3) - -", "8.8.8.8 - 8.8.8.8",
             "Oct 10 10:00:01 web1 nginx: 8.8.8.8 - -", "8.8.8.8:40000 - -", "::ffff:8.8.8.8 - -",
             '"8.8.8.8" - -', "8.8.8.8 - www.example.com www.example.com -",
             "8.8.8.8 - 8.8.8.8 john doe", "8.8.8.8 - - - 8.8.8.8 x -"]
    t.write("a.log", log(*heads))
    account = t.clickmill("import", "--json", "a.log").json
    t.equal((account["accepted"], account["rejected"]), (len(heads) - 2, 2), "account")
    events = exported(t)
    t.equal(len({event["user_id"] for event in events}), 1, "visitors")
    t.equal({event["country"] for event in events}, {"United States"}, "countries")
    t.equal([text for text in map(str, events) if "8.8.8.8" in text], [], "addresses")


def test_no_address_is_in_a_dead_letter_at_rest(t):
    """Yet `dead` shows the bytes as they came, and replays them."""
    bad = log("8.8.8.8 - john doe").rstrip("\n")
    event = '{"user_id":"u","url":"/","timestamp":"never","ip":"8.8.8.8"}'
    t.write("a.log", bad + "\n" + log("1.1.1.1 - -"))
    t.clickmill("import", "a.log")
    t.clickmill("import", "--format", "jsonl", "-", stdin=event + "\n")
    for name in os.listdir(t.path("data")):
        with open(t.path("data", name), "rb") as file:
            t.true(b"8.8.8.8" not in file.read(), "an address in " + name)
    letters = [json.loads(line) for line in t.clickmill("dead", "list", "--json").out.splitlines()]
    t.equal([letter["payload"] for letter in letters], [bad, event], "payloads")
    t.equal(t.clickmill("dead", "show", "1").out, bad + "\n", "shown")
    account = t.clickmill("dead", "replay", "--json", "1", "--with", "-",
                          stdin=log('8.8.8.8 - "john doe"')).json
    t.equal(account["accepted"], 1, "replayed")
    t.equal([(e["user_id"], e["country"]) for e in exported(t)][1:], [("john doe", "United States")],
            "event")


def test_two_sites_are_two_clicks(t):
    t.write("a.log", log("8.8.8.8 - -", "8.8.8.8 - -"))
    for site in ("https://shop.example", "blog.example"):
        for _ in range(2):
            t.clickmill("import", "--site", site, "a.log")
    t.write("vhosts.log", log("shop.example:443 8.8.8.8 - -", "news.example:80 8.8.8.8 - -"))
    t.clickmill("import", "vhosts.log")
    account = t.process()
    t.equal((account["events"], account["duplicates"]), (5, 5), "account")
    t.equal({url: clicks[0] for url, clicks in clicks(t).items()},
            {"https://shop.example/a": 2, "https://blog.example/a": 2, "http://news.example/a": 1},
            "clicks")


def as_before(t):
    """Takes back what this edition records in a new directory."""
    database = t.database()
    with database:
        database.execute("DROP TABLE setting")
    database.close()


def test_an_older_directory_counts_once(t):
    """Its row keys have no site, so that a log that was imported before counts once."""
    t.write("a.log", log("8.8.8.8 - -", "8.8.8.8 - anna"))
    t.clickmill("import", "a.log")  # makes the key
    as_before(t)
    message = "was filled by an earlier edition and keeps its row keys"
    result = t.clickmill("import", "--site", "https://shop.example", "a.log")
    t.true(message in result.err, "says it: " + result.err)
    keys = [event["row_key"] for event in exported(t)]
    t.equal(len(keys), 2, "row keys without and with a site")
    t.equal(keys[1], oracle.uuid_of("anna_1760090400000_GET /a HTTP/1.1_0"), "row key")
    result = t.clickmill("import", "--site", "https://shop.example", "a.log")
    t.true(message not in result.err, "says it once: " + result.err)
    account = t.process()
    t.equal((account["events"], account["duplicates"]), (2, 4), "account")

    result = t.clickmill("import", "--site", "https://shop.example", "--data", "new", "a.log")
    t.true(message not in result.err, "a new directory: " + result.err)
    t.equal(exported(t, "new")[1]["row_key"],
            oracle.uuid_of("anna_1760090400000_shop.example_GET /a HTTP/1.1_0"), "new row key")


def test_an_older_directory_without_visitors_is_as_new(t):
    t.clickmill("produce", "--count", "10")
    as_before(t)
    t.write("a.log", log("8.8.8.8 - anna"))
    result = t.clickmill("import", "--site", "https://shop.example", "a.log")
    t.true("earlier edition" not in result.err, result.err)
    t.true(oracle.uuid_of("anna_1760090400000_shop.example_GET /a HTTP/1.1_0")
           in {event["row_key"] for event in exported(t)}, "row key")


def test_formats_that_are_not_read(t):
    t.write("caddy.json", '{"logger":"http.log.access","request":{"uri":"/"},"status":200}\n' * 3)
    t.write("good.log", log("8.8.8.8 - -"))
    result = t.clickmill("import", "caddy.json", check=INPUT)
    t.says(result, "caddy.json: this is an access log of Caddy (JSON)")
    result = t.clickmill("import", "--format", "jsonl", "caddy.json", "good.log", check=INPUT)
    t.true("this is an access log of Caddy" in result.err, result.err)
    t.equal(t.clickmill("dead", "list").out.count("caddy.json"), 0, "dead letters")


def test_a_pipe_whose_first_line_is_cut(t):
    account = t.clickmill("import", "--json", "-",
                          stdin='TTP/1.1" 200 5\n' + log("8.8.8.8 - -")).json
    t.equal((account["accepted"], account["rejected"]), (1, 1), "account")


def test_a_site_without_a_host(t):
    t.write("a.log", log("8.8.8.8 - -"))
    result = t.clickmill("import", "--site", "https://", "a.log", check=USAGE)
    t.says(result, "names no host")


# ---- referrers and campaigns

FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:131.0) Gecko/20100101 Firefox/131.0"


def visits(t, rows, name="visits.log"):
    """A combined log of visitors who request one URL each: (URL, referrer) as bytes or text."""
    lines = []
    for number, row in enumerate(rows):
        url, referrer = [part if isinstance(part, bytes) else part.encode() for part in row]
        lines.append(b'198.51.100.%d - - [10/Mar/2026:10:00:%02d +0000] "GET %s HTTP/1.1" 200 512 "%s" "%s"\n'
                     % (number + 1, number, url, referrer, FIREFOX.encode()))
    return t.write(name, b"".join(lines))


def stored(t, *names, data="data"):
    """These fields of the events, in the order of time, without those that are absent."""
    events = [json.loads(line) for line in t.clickmill("export", "--data", data).out.splitlines()]
    return [{name: event[name] for name in names if name in event}
            for event in sorted(events, key=lambda one: one["timestamp"])]


# What servers write for the header, and what is kept: with cleaning, and without.
REFERRERS = [
    ("-", None, None),
    ("", None, None),
    ("  ", None, None),
    ("https://www.google.com/", "https://www.google.com/", "https://www.google.com/"),
    ("https://a.example?ref=https%3A//giter.example", "https://a.example?ref=https%3A//giter.example",
     "https://a.example?ref=https%3A//giter.example"),
    ("https://a.example/p?utm_source=x&id=3", "https://a.example/p?id=3",
     "https://a.example/p?utm_source=x&id=3"),
    (r"https://a.example/?q=\x22x\x22", "https://a.example/?q=%22x%22", r"https://a.example/?q=\x22x\x22"),
    (r"https://a.example/\"x\"", "https://a.example/%22x%22", r"https://a.example/\"x\""),
    ("https://a.example/search?q=two words", "https://a.example/search?q=two words",
     "https://a.example/search?q=two words"),
    ("https://a.example/caf\u00e9", "https://a.example/caf%C3%A9", "https://a.example/caf\u00e9"),
    (b"https://a.example/caf\xe9", "https://a.example/caf%E9", "https://a.example/"),
    (b"https://\xe9.example/", None, None),
    ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/"),
    ("https://me:secret@b.example:8443/" + "x" * 2048, "https://b.example:8443/",
     "https://b.example:8443/"),
    ("about:" + "x" * 2048, None, None),
    ("android-app://com.slack/", "android-app://com.slack/", "android-app://com.slack/"),
    ("() { :;}; /bin/true", "() { :;}; /bin/true", "() { :;}; /bin/true"),
]


def test_referrers(t):
    """Every form of the header is accepted; what does not fit is cut and counted."""
    path = visits(t, [("/p%d" % number, row[0]) for number, row in enumerate(REFERRERS)])
    for column, options, cut in ((1, (), 3), (2, ("--no-clean-urls",), 4)):
        data = "data%d" % column
        told = t.clickmill("import", "--data", data, "--no-process", *options, path)
        t.equal(told.err, "%d events have a referrer and a url without a host, so that none of these "
                "referrers is internal; for access logs --site gives the host\n"
                "read 17 = accepted 17 + rejected 0 + skipped 0\n"
                "%d referrers that are too long or not UTF-8 were cut to their origin\n"
                "next: clickmill process --data %s\n" % (
                    sum(1 for row in REFERRERS if row[column]), cut, data), "account")
        t.equal([event.get("referrer") for event in stored(t, "referrer", data=data)],
                [row[column] for row in REFERRERS], "referrers")
    t.equal(t.clickmill("import", "--data", "data3", "--no-process", "--json", path).json["cut_referrers"],
            3, "as JSON")
    t.clickmill("import", "--data", "data4", "--no-process", "--format", "common", path)
    t.equal(stored(t, "referrer", data="data4"), [{}] * 17, "of the common format")


def test_campaigns_are_taken_before_the_url_is_cleaned(t):
    path = visits(t, [
        ("/p?utm_source=news&utm_medium=email&id=3", "https://shop.example/q?utm_source=x&id=4"),
        ("/p?UTM_Source=Caf%C3%A9+%231&mtm_campaign=m&pk_kwd=k", "-"),
        ("/p?gclid=1", "-"), ("/p?fbclid=1", "-"), ("/p?ref=hn", "-"),
        ("/p?utm_campaign=" + "c" * 300, "-")])
    names = ("url", "referrer", "utm_source", "utm_medium", "utm_campaign", "utm_term")
    told = t.clickmill("import", "--no-process", "--site", "https://shop.example", path)
    t.equal(told.err, "read 6 = accepted 6 + rejected 0 + skipped 0\n"
            "1 campaign value of URLs was cut to 256 bytes\nnext: clickmill process\n", "account")
    page = "https://shop.example/p"
    wanted = [{"url": page + "?id=3", "referrer": "https://shop.example/q?id=4", "utm_source": "news",
               "utm_medium": "email"},
              {"url": page, "utm_source": "Caf\u00e9 #1", "utm_campaign": "m", "utm_term": "k"},
              {"url": page, "utm_medium": "cpc"}, {"url": page}, {"url": page + "?ref=hn", "utm_source": "hn"},
              {"url": page, "utm_campaign": "c" * 256}]
    t.equal(stored(t, *names), wanted, "events")
    t.clickmill("import", "--data", "bare", "--no-process", "--site", "shop.example", "--url-query", "drop",
                path)
    bare = [dict(event, url=page) for event in wanted]
    bare[0]["referrer"] = "https://shop.example/q"
    t.equal(stored(t, *names, data="bare"), bare, "without queries")
    t.clickmill("import", "--data", "whole", "--no-process", "--no-clean-urls", path)
    t.equal([event for event in stored(t, *names[2:], data="whole") if event], [],
            "URLs that are not cleaned keep their campaigns")


def sites(t, data="data"):
    """The hosts that the store has recorded."""
    with sqlite3.connect("file:%s?mode=ro" % t.path(data, "clickmill.db"), uri=True) as database:
        return sorted(name[5:] for name, in database.execute(
            "SELECT name FROM setting WHERE name LIKE 'site@_%' ESCAPE '@'"))


def test_the_site_is_recorded(t):
    path = visits(t, [("/a", "-")])
    t.clickmill("import", "--no-process", path)
    t.equal(sites(t), [], "without --site")
    for site in ("https://Shop.example:8443/de", "shop.example", "http://b\u00fccher.example."):
        t.clickmill("import", "--no-process", "--site", site, path)
    t.equal(sites(t), ["shop.example", "xn--bcher-kva.example"], "hosts")
    t.write("events.jsonl", '{"user_id":"a","timestamp":1773136800000,"url":"/"}\n')
    t.clickmill("import", "--no-process", "--site", "other.example", "events.jsonl")
    t.equal(sites(t), ["shop.example", "xn--bcher-kva.example"], "of files that are no logs")


def test_the_site_is_recorded_by_the_process_that_holds_the_directory(t):
    path = visits(t, [("/a", "-")])
    process, _ = start(t, "run", "--no-demo")
    t.clickmill("import", "--site", "https://held.example", path)
    process.stop(OK)
    t.equal(sites(t), ["held.example"], "hosts")


def test_referrers_of_urls_without_a_host(t):
    """Nothing is internal there, which is said once, by every reader."""
    event = '{"user_id":"a","timestamp":1773136800000,"url":"%s","referrer":"https://a.example/"}\n'
    urls = ("/a", "a/b", "/go?to=https://b.example/", "//b.example/", "https://b.example/")
    t.write("lines.jsonl", "".join(event % url for url in urls))
    t.write("values.json", "[" + ",".join(event % url for url in urls) + "]")
    t.write("table.csv", "user_id,timestamp,url,referrer\n" + "".join(
        "a,1773136800000,%s,https://a.example/\n" % url for url in urls))
    sentence = "%d events have a referrer and a url without a host"
    for name in ("lines.jsonl", "values.json", "table.csv"):
        told = t.clickmill("import", "--no-process", "--data", name + ".data", name)
        t.true(sentence % 3 in told.err, told)
    told = t.clickmill("import", "--no-process", "lines.jsonl", "table.csv")
    t.equal(told.err.count("without a host"), 1, "how often it is said")
    t.true(sentence % 6 in told.err, told)
    told = t.clickmill("import", "--no-process", "--site", "b.example",
                       visits(t, [("/a", "https://a.example/")]))
    t.true("without a host" not in told.err, told)
