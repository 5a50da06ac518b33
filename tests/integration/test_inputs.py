"""What real files hold: times in other units and without a zone, numbers of any size, padded CSV,
arrays of events."""

import gzip
import json
import os
import re
import resource
import subprocess

from harness import USAGE, patient

DAY = "2025-05-17T10:05:03Z"
MS = 1747476303000  # that day


def imported(t, name, content, *options, data=None, check=0):
    """Imports a file into a store of its own. Returns the account and the times by URL."""
    data = data or "data-" + re.sub(r"\W", "-", name) + str(len(os.listdir(t.dir)))
    account = t.clickmill("import", "--json", "--data", data, *options,
                          t.write(name, content), check=check)
    events = t.clickmill("export", "--data", data, check=None)
    times = [(event["url"], event["timestamp"]) for event in
             map(json.loads, events.out.splitlines())]
    return (account.json if check == 0 else account), sorted(times)


def reasons(t, data):
    out = t.clickmill("dead", "list", "--json", "--data", data).out
    return [json.loads(line)["reason"] for line in out.splitlines()]


def line(time, url="/a"):
    return '{"user_id":"u%s","timestamp":%s,"url":"%s"}\n' % (url, time, url)


def test_seconds_are_rejected(t):
    """In every form, by every reader; the letter is taken when the unit is named."""
    text = (line("1747476303") + line('"1747476303"', "/b") + line("1747476303.5", "/c") +
            line("999999999", "/small"))
    account, times = imported(t, "in.jsonl", text, data="data")
    t.equal((account["read"], account["accepted"], account["rejected"]), (4, 1, 3), "account")
    t.equal(times, [("/small", 999999999)], "events")
    t.equal(reasons(t, "data"),
            ["timestamp %s looks like seconds, and milliseconds are expected (--time-unit s accepts "
             "seconds)" % shown for shown in ("1747476303", "1747476303", "1747476303.5")], "reasons")
    replayed = t.clickmill("dead", "replay", "--json", "--data", "data", "--time-unit", "s").json
    t.equal((replayed["accepted"], replayed["rejected"]), (3, 0), "replayed")
    out = t.clickmill("export", "--data", "data").out
    t.equal(sorted(json.loads(one)["timestamp"] for one in out.splitlines()),
            [999999999, MS, MS, MS + 500], "times")
    csv = "user_id,timestamp,url\nu1,1747476303,/a\nu1,1747476304000,/b\n"
    account, times = imported(t, "in.csv", csv)
    t.equal((account["rejected"], times), (1, [("/b", MS + 1000)]), "CSV")


def test_units(t):
    for unit, number, ms in (("s", "1747476303", MS), ("s", "1747476303.123", MS + 123),
                             ("ms", "1747476303", 1747476303), ("ms", str(MS), MS),
                             ("us", "1747476303123456", MS + 123),
                             ("ns", "1747476303123456789", MS + 123)):
        wanted = [("/a", ms), ("/t", MS)]
        text = line(number) + line('"%s"' % DAY, "/t")
        t.equal(imported(t, "in.jsonl", text, "--time-unit", unit)[1], wanted, "JSON in " + unit)
        csv = "timestamp,user_id,url\n%s,u1,/a\n%s,u2,/t\n" % (number, DAY)
        t.equal(imported(t, "in.csv", csv, "--time-unit", unit)[1], wanted, "CSV in " + unit)
    t.write("units.yaml", "import:\n  time_unit: s\n  tz: Asia/Kolkata\n")
    text = line("1747476303") + line('"2025-05-17 15:35:03"', "/t")
    t.equal(imported(t, "in.jsonl", text, "--config", "units.yaml")[1],
            [("/a", MS), ("/t", MS)], "by the configuration")
    account, times = imported(t, "in.jsonl", line("1747476303123456"), data="data")
    t.equal((times, reasons(t, "data")), (
        [], ["timestamp 1747476303123456 is out of range: it looks like microseconds, and "
             "milliseconds are expected (--time-unit us accepts them)"]), "microseconds")
    t.says(t.clickmill("import", "--time-unit", "m", "in.jsonl", check=USAGE), "--time-unit", "us")


def test_times_without_a_zone(t):
    text = (line('"2025-05-17 10:05:03"') + line('"2025-05-17T10:05:03.25"', "/b") +
            line('"2025-05-17T10:05:03+00:00"', "/c"))
    account, times = imported(t, "in.jsonl", text, data="data")
    t.equal((account["rejected"], times), (2, [("/c", MS)]), "without --tz")
    t.equal(reasons(t, "data"),
            ['timestamp "%s" has no zone: it needs Z or an offset such as +02:00 at its end (--tz '
             "names the zone of such times)" % shown for shown in
             ("2025-05-17 10:05:03", "2025-05-17T10:05:03.25")], "reasons")
    wanted = [("/a", MS - 7200000), ("/b", MS + 250 - 7200000), ("/c", MS)]
    t.equal(imported(t, "in.jsonl", text, "--tz", "Europe/Berlin")[1], wanted, "JSON")
    t.equal(imported(t, "in.csv", "url,user_id,timestamp\n/a,u1,2025-05-17 10:05:03\n"
                     '/b,u1,"2025-05-17T10:05:03.25"\n/c,u2,%s\n' % DAY,
                     "--tz", "Europe/Berlin")[1], wanted, "CSV")
    t.equal(imported(t, "in.jsonl", text, "--tz", "UTC")[1],
            [("/a", MS), ("/b", MS + 250), ("/c", MS)], "UTC")
    for zone in ("Europe/Nowhere", "../../etc/passwd", ""):
        t.says(t.clickmill("import", "--tz", zone, "in.jsonl", check=USAGE), "--tz")


def test_large_numbers_in_unknown_fields(t):
    text = (line(MS).replace("}", ',"order_id":123456789012345678901234567890}') +
            line(MS + 1, "/b").replace("}", ',"x":[{"y":-1e999}]}') +
            line(MS + 2, "/c").replace("}", ',"x":01}') +
            line("123456789012345678901234567890", "/d"))
    account, times = imported(t, "in.jsonl", text)
    t.equal((account["read"], account["accepted"], account["unknown_fields"]), (4, 2, 2), "account")
    t.equal(times, [("/a", MS), ("/b", MS + 1)], "events")


def test_padded_csv(t):
    csv = ('user_id , timestamp,url, country\r\nu1, 1747476303000 ,/a,\tFrance \r\n'
           ' u1 ,"1747476304000", "/b, c" ," New Zealand "\r\n u1,1747476305000,/d, \r\n'
           ' ,1747476306000,/e,\r\nu1,1747476307000,"/f" x,\r\n')
    account, times = imported(t, "in.csv", csv, data="data")
    t.equal(times, [("/a", MS), ("/b, c", MS + 1000), ("/d", MS + 2000)], "events")
    t.equal((account["accepted"], account["rejected"]), (3, 2), "account")
    events = map(json.loads, t.clickmill("export", "--data", "data").out.splitlines())
    t.equal([(event["user_id"], event["country"]) for event in events],
            [("u1", "France"), ("u1", "New Zealand"), ("u1", "Unknown")], "values")


# ---- arrays, and JSON over many lines


def one(number, **more):
    return json.dumps(dict({"user_id": "u%d" % number, "timestamp": MS + number,
                            "url": "/%d" % number}, **more))


CUT = "not valid JSON: the event is not closed in its line"
MISSING = "an event is missing in the array"
STRUCTURE = "not valid JSON"
ARRAYS = {  # text, numbers of the events, place and reason of the letters
    "compact": ("[%s,%s]" % (one(1), one(2)), [1, 2], []),
    "a line each": ("[%s,\n %s]\n" % (one(1), one(2)), [1, 2], []),
    "laid out": (json.dumps([json.loads(one(1)), json.loads(one(2, x={"y": [1, "]"]}))], indent=2),
                 [1, 2], []),
    "mark and CRLF": ("\ufeff [\r\n%s\r\n,\r\n%s\r\n]\r\n\r\n" % (one(1), one(2)), [1, 2], []),
    "empty": (" [ ] ", [], []),
    "an array a line": ("[%s]\n[]\n[%s,%s]\n" % (one(1), one(2), one(3)), [1, 2, 3], []),
    "objects laid out": (json.dumps(json.loads(one(1)), indent=2) + "\n" +
                         json.dumps(json.loads(one(2)), indent=4), [1, 2], []),
    "brackets in texts": ('[%s,%s]' % (one(1, x="],[{\\"), one(2, x='"},{"')), [1, 2], []),
    "a comma too many": ("[%s,\n%s,\n]" % (one(1), one(2)), [1, 2], [(3, MISSING)]),
    "two commas": ("[,%s,,\n%s]" % (one(1), one(2)), [1, 2], [(1, MISSING), (1, MISSING)]),
    "no comma": ("[%s %s,\n%s]" % (one(1), one(2), one(3)), [3], [(1, STRUCTURE)]),
    "no object": ('[1,\n"a,]b",[%s],\n%s]' % (one(3), one(1)), [1],
                  [(1, "not a JSON object"), (2, "not a JSON object"), (2, "not a JSON object")]),
    "no brace": ('[\n%s,\n%s,\n%s]' % (one(1)[:-1], one(2), one(3)), [2, 3], [(2, CUT)]),
    "no quote": ('[\n%s,\n%s,\n%s]' % (one(1)[:-2] + "}", one(2), one(3)), [2, 3], [(2, CUT)]),
    "not closed": ("[%s,\n%s\n" % (one(1), one(2)), [1, 2],
                   [(3, "the array is not closed: the file ends before its bracket")]),
    "cut": ("[%s,\n%s" % (one(1), one(2)[:-9]), [1], [(2, "the file ends inside of this event")]),
    "something behind": ("[%s]\nand more\n%s\n" % (one(1), one(2)), [1, 2],
                         [(2, "neither an array nor an object begins here")]),
    "a bad event": ("[%s,\n%s,\n%s]" % (one(1), one(2, timestamp=1747476303), one(3)), [1, 3],
                    [(2, "timestamp 1747476303 looks like seconds")]),
}


def letters(t, data):
    out = t.clickmill("dead", "list", "--json", "--data", data).out
    found = map(json.loads, out.splitlines())
    return [(int(letter["origin"].rpartition(":")[2]), letter["reason"]) for letter in found]


def test_arrays(t):
    for number, (what, (text, events, dead)) in enumerate(ARRAYS.items()):
        data = "data-%d" % number
        account, times = imported(t, "in.json", text, data=data)
        t.equal(times, [("/%d" % event, MS + event) for event in events], "events: " + what)
        t.equal((account["read"], account["accepted"], account["rejected"]),
                (len(events) + len(dead), len(events), len(dead)), "account: " + what)
        found = letters(t, data) if dead else []
        t.equal([(place, reason.startswith(wanted)) for (place, reason), (_, wanted)
                 in zip(found, dead)], [(place, True) for place, _ in dead],
                "letters of %s: %s" % (what, found))


def test_arrays_packed_and_piped(t):
    text = "[%s,\n%s]" % (one(1), one(2))
    wanted = [("/1", MS + 1), ("/2", MS + 2)]
    t.equal(imported(t, "in.json.gz", gzip.compress(text.encode()))[1], wanted, "gzip")
    t.equal(imported(t, "in.txt", text, "--format", "json")[1], wanted, "by its name")
    t.clickmill("import", "--data", "piped", "-", stdin=text)
    t.equal(len(t.clickmill("export", "--data", "piped").out.splitlines()), 2, "from a pipe")
    slow = subprocess.run("(echo '{'; sleep 1; echo '%s') | '%s' import --data slow --json -" % (
        one(1)[1:], t.program), shell=True, cwd=t.dir, env=t.environment(), capture_output=True)
    t.equal(json.loads(slow.stdout)["accepted"], 1, "from a pipe, slowly")
    account, times = imported(t, "in.jsonl", one(1) + "\n[" + one(2) + "]\n")
    t.equal((account["rejected"], times), (1, wanted[:1]), "an array in a file of lines")
    account, times = imported(t, "in.jsonl", one(1)[:-12] + "\n" + one(2) + "\n")
    t.equal((account["rejected"], times), (1, wanted[1:]), "a first line that was cut")
    t.clickmill("import", "--data", "replay", t.write("in.json", "[%s,\n%s]" % (
        one(1), json.dumps(json.loads(one(2, timestamp=1747476303)), indent=1))))
    replayed = t.clickmill("dead", "replay", "--json", "--data", "replay", "--time-unit", "s").json
    t.equal((replayed["accepted"], replayed["rejected"]), (1, 0), "replayed")


@patient
def test_an_array_in_bounded_memory(t):
    """60 MB of it, in one line."""
    with open(t.path("in.json"), "w") as file:
        file.write("[")
        for number in range(600000):
            file.write("%s{\"user_id\":\"u%d\",\"timestamp\":%d,\"url\":\"/a\",\"x\":[1,2,{}]}" % (
                "," if number else "", number % 1000, MS + number))
        file.write("]")

    def limit():
        resource.setrlimit(resource.RLIMIT_DATA, (400 << 20, 400 << 20))
    with open(t.program, "rb") as program:
        sanitized = b"__asan_init" in program.read()  # its shadow memory is larger than any limit
    out = t.clickmill("import", "--json", "--data", "data", "--threads", "1", "in.json",
                      preexec=None if sanitized else limit).json
    t.equal((out["read"], out["accepted"]), (600000, 600000), "account")


def test_site_in_other_letters(t):
    """The pages of a log and those of the tracker are the same."""
    log = '192.0.2.1 - - [17/May/2025:10:05:03 +0000] "GET /a HTTP/1.1" 200 1 "-" "Mozilla/5.0"\n'
    urls = [imported(t, "a.log", log, "--all", "--site", site)[1][0][0] for site in
            ("münchen.de", "https://MÜNCHEN.de./", "xn--mnchen-3ya.de", "http://münchen.de:8080/b")]
    t.equal(urls, 3 * ["https://xn--mnchen-3ya.de/a"] + ["http://xn--mnchen-3ya.de:8080/b/a"], "URLs")


# ---- members of other names

MAPPED = """event:
  map:
    user_id: userId
    timestamp: sent.at
    url: page.url
    props: attributes
    name: none
"""


def lines_of_other_names(count):
    return "".join('{"userId":"u%d","sent":{"at":%d},"page":{"url":"/%d"},"name":"Bob",'
                   '"attributes":{"n":%d.50}}\n' % (n, MS + n, n, n) for n in range(count))


def test_map(t):
    """JSON lines, an array and CSV with one map; each line of the file is an event."""
    t.write("clickmill.yaml", MAPPED)
    wanted = [("/%d" % n, MS + n) for n in range(3)]
    account, times = imported(t, "in.jsonl", lines_of_other_names(3))
    t.equal((account["accepted"], account["unknown_fields"], times), (3, 3, wanted), "lines")
    account, times = imported(t, "in.json", "[" + lines_of_other_names(3).strip().replace(
        "\n", ",\n") + "]")
    t.equal((account["accepted"], times), (3, wanted), "an array")
    account, times = imported(
        t, "in.csv", "userId,page.url,sent.at,attributes,name\n" + "".join(
            'u%d,/%d,%d,"{""n"":%d.50}",Bob\n' % (n, n, MS + n, n) for n in range(3)), data="csv")
    t.equal((account["accepted"], times), (3, wanted), "CSV")
    events = [json.loads(one) for one in t.clickmill("export", "--data", "csv").out.splitlines()]
    t.equal([(one["props"]["n"], one.get("name")) for one in events],
            [(n + 0.5, None) for n in range(3)], "properties")


def test_map_of_shapes(t):
    """Many lines of one shape, whose members stand in the message itself: the fast reader gives what
    the full one gives."""
    lines = "".join('{"userId": "u%d", "ts": %d, "url": "/old", "page": "/%d"}\n' % (
        n % 7, MS + n, n) for n in range(3000))
    options = ["--map", "user_id=userId", "--map", "timestamp=ts", "--map", "url=page"]
    account, times = imported(t, "in.jsonl", lines, *options)
    t.equal((account["accepted"], account["unknown_fields"]), (3000, 3000), "account")
    t.equal(times, sorted(("/%d" % n, MS + n) for n in range(3000)), "events")
    account, times = imported(t, "few.jsonl", lines.replace('"url": "/old", ', ""), *options)
    t.equal((account["accepted"], account["unknown_fields"]), (3000, 0), "account without `url`")
    t.equal(times, sorted(("/%d" % n, MS + n) for n in range(3000)), "events of a shape")


def test_map_is_wrong(t):
    t.write("clickmill.yaml", "event:\n  map:\n    user: userId\n")
    t.says(t.clickmill("import", t.write("in.jsonl", line(MS)), check=USAGE),
           "clickmill.yaml:3: event.map.user: user is not a field of events")
    os.remove(t.path("clickmill.yaml"))
    t.says(t.clickmill("import", t.path("in.jsonl"), "--map", "url=user_id", check=USAGE),
           "event.map: user_id gives both user_id and url")
