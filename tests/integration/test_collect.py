"""`clickmill collect`: what bodies may contain, the answers, and what is stored."""

import gzip
import json
import time
import uuid

from collect_support import (FIREFOX, JSON, SITE, TIME, UNKNOWN, Collector, bad, chunked, event, good,
                             keyed, refused, request, whole)
from harness import alone, patient

STRUCTURE = "not valid JSON: a comma, colon, bracket or brace is missing or unexpected"
DEEP = "not valid JSON: it is nested too deep"
CONTROL = "not valid JSON: a string has a control character that is not escaped"
NUMBER = "not valid JSON, or a number in it is larger than 64 bits"
NO_OBJECT = "not a JSON object"
NO_URL = "url is missing or empty"
NO_USER = "user_id is missing, and so is ip, which could stand for it"
NO_EVENT = "the body holds no event"
NOT_CLOSED = "the array is not closed"
MISSING = "an event is missing"
BEHIND = "there is something after the array"
NO_TIME = "timestamp is neither an integer of milliseconds nor RFC 3339"
RANGE = "timestamp %d is out of range: milliseconds between 1970 and 2100 are expected"


def lines(*entries):
    return "".join(json.dumps(entry) + "\n" for entry in entries)


# ---- what is good


def test_forms_of_a_body(t):
    """One event, an array, an event a line; laid out in any layout of JSON."""
    collector, wanted = Collector(t), []
    number = iter(range(10, 100))

    def some(count):
        made = [keyed(next(number)) for _ in range(count)]
        wanted.extend(made)
        return made
    bodies = [(json.dumps(some(1)[0]), 1), (json.dumps(some(3)), 3), (lines(*some(3)), 3),
              (json.dumps(some(1)), 1), (lines(*some(2))[:-1], 2),
              (lines(*some(2)).replace("\n", "\r\n"), 2), ("\n \n" + lines(*some(2)) + "\n\n", 2),
              (" \r\n\t" + json.dumps(some(2)) + " \n", 2), (json.dumps(some(1)[0], indent=2), 1),
              (json.dumps(some(2), indent=1), 2), ("\ufeff" + json.dumps(some(1)[0]), 1),
              ("\ufeff" + lines(*some(2)), 2), ("\ufeff" + json.dumps(some(2)), 2)]
    for body, count in bodies:
        good(t, collector.ask(body), count)
    t.equal(collector.stop(), [whole(entry) for entry in wanted], "events")


def test_content_types(t):
    collector, count = Collector(t), 0
    for kind in ("application/json", "application/x-ndjson", "text/plain",
                 "application/json; charset=utf-8", "application/json;charset=UTF-8",
                 "text/plain;charset=UTF-8", 'Application/JSON; Charset="utf-8"',
                 "application/x-ndjson ; charset=utf-8", "TEXT/PLAIN"):
        count += 1
        good(t, collector.ask(keyed(count), kind=("Content-Type", kind)))
    for kind in ("application/x-www-form-urlencoded", "text/html", "application/jsonp", "json",
                 "multipart/form-data; boundary=x", "application/xml", "text/plainer",
                 "application/json, text/plain", ""):
        refused(t, collector.ask(keyed(0), kind=("Content-Type", kind)), 415, what="answer to " + kind)
    t.equal(len(collector.stop()), count, "events")


def test_gzip(t):
    collector, wanted = Collector(t), [keyed(number) for number in range(10, 26)]

    def ask(body, coding="gzip"):
        return collector.ask(body, ("Content-Encoding", coding))
    good(t, ask(gzip.compress(json.dumps(wanted[0]).encode())))
    good(t, ask(gzip.compress(json.dumps(wanted[1:4]).encode())), 3)
    good(t, ask(gzip.compress(lines(*wanted[4:6]).encode()), "GZIP"), 2)
    parts = [gzip.compress(part) for part in (lines(*wanted[6:8]).encode(), b"",
                                              lines(*wanted[8:10]).encode())]
    good(t, ask(b"".join(parts)), 4)
    text = json.dumps(wanted[10]).encode()
    good(t, ask(gzip.compress(text[:30]) + gzip.compress(text[30:])))
    good(t, collector.ask(chunked(*(bytes([byte]) for byte in gzip.compress(
        json.dumps(wanted[11]).encode()))), ("Content-Encoding", "gzip"),
        ("Transfer-Encoding", "chunked"), length=False))
    good(t, ask(json.dumps(wanted[12]), "identity"))
    good(t, ask(gzip.compress(lines(*wanted[13:16]).encode(), 0)), 3)

    packed = gzip.compress(json.dumps(keyed(0)).encode())
    for wrong in (packed[:-1], packed[:-8], packed[:-20], packed[:5], packed + b"x",
                  packed + packed[:-1], packed + b"\0" * 30 + b"x", packed[:-5] + b"\0" + packed[-4:],
                  packed[:20] + b"\xff\xff" + packed[22:], json.dumps(keyed(0)).encode(), b"\x1f\x8b"):
        refused(t, ask(wrong), 400, what="answer to %r" % wrong[:40])
    refused(t, ask(b""), 400)
    refused(t, ask(gzip.compress(b"")), 400)
    for coding in ("br", "deflate", "zstd", "gzip, gzip", "gzipped"):
        refused(t, ask(packed, coding), 415, what="answer to " + coding)
    t.equal(collector.stop(), [whole(entry) for entry in wanted], "events")


def test_bodies_that_are_too_large(t):
    collector = Collector(t, "--max-body", "2k")
    exact = json.dumps(keyed(1))
    exact += " " * (2048 - len(exact))
    good(t, collector.ask(exact))
    refused(t, collector.ask(exact + " "), 413)
    text = json.dumps(keyed(2)).encode()
    good(t, collector.ask(chunked(text, b" " * (2048 - len(text))), ("Transfer-Encoding", "chunked"),
                          length=False))
    refused(t, collector.ask(chunked(text, b" " * (2049 - len(text))),
                             ("Transfer-Encoding", "chunked"), length=False), 413)
    unpacked = json.dumps(keyed(3)).encode()
    unpacked += b" " * (2048 - len(unpacked))
    good(t, collector.ask(gzip.compress(unpacked), ("Content-Encoding", "gzip")))
    for bomb in (unpacked + b" ", b" " * 100000000, b"[" + b"[]," * 10000000):
        refused(t, collector.ask(gzip.compress(bomb), ("Content-Encoding", "gzip")), 413)
    bomb = gzip.compress(b" " * 1000)
    refused(t, collector.ask(b"".join([bomb] * 4), ("Content-Encoding", "gzip")), 413)
    t.equal([one["row_key"] for one in collector.stop()], ["key-1", "key-2", "key-3"], "events")


def test_a_large_body_is_answered_before_it_comes(t):
    """Its length is enough: a client does not have to send a gigabyte to be refused."""
    collector = Collector(t)
    for length in (1048577, 10 ** 9, 10 ** 18):
        head = request(b"", ("Content-Length", length), length=False)
        refused(t, collector.raw(head), 413, what="answer to %d" % length)
        refused(t, collector.raw(request(b"", ("Content-Length", length), ("Expect", "100-continue"),
                                         length=False)), 413, what="answer to %d" % length)
    # Also a sender that reads only after it has sent everything gets the answer.
    refused(t, collector.ask(b" " * 3000000), 413)
    refused(t, collector.ask(chunked(*[b" " * 60000] * 50), ("Transfer-Encoding", "chunked"),
                             length=False), 413)
    good(t, collector.ask([keyed(number) for number in range(5000)]), 5000)
    t.equal(len(collector.stop()), 5000, "events")


def test_a_server_is_believed(t):
    """Its time in all forms, and each field; fields that are left out are unknown."""
    collector, started = Collector(t), int(time.time() * 1000)
    ahead = started + 30 * 24 * 3600 * 1000
    sent = [keyed(10), keyed(11, timestamp=1), keyed(12, timestamp=ahead),
            keyed(13, timestamp=str(TIME)), keyed(14, timestamp="2026-03-01T10:00:00.5Z"),
            keyed(15, country="Perú", city="Lima", browser="b", os="o", device="d"),
            keyed(16, country=None, city="", device=None), keyed(17, color="red", size=[1, {}])]
    good(t, collector.ask(sent), len(sent))
    good(t, collector.ask([event(row_key=...), event(row_key=None, url="https://shop.example/b"),
                           event(user_id="bob", timestamp=...),
                           event(user_id="bob", timestamp=...)]), 4)
    events = collector.stop()
    now, got = int(time.time() * 1000), {one["row_key"]: one for one in events}
    times = {13: TIME, 14: 1772359200500}
    for number, entry in enumerate(sent, 10):
        wanted = dict(UNKNOWN, **{name: value for name, value in entry.items() if value})
        wanted["timestamp"] = times.get(number, wanted["timestamp"])
        wanted.pop("color", None), wanted.pop("size", None)
        t.equal(got.pop("key-%d" % number), wanted, "event %d" % number)
    derived = str(uuid.uuid5(uuid.NAMESPACE_DNS, "ann_%d" % TIME))
    t.equal(got.pop(derived)["user_id"], "ann", "user of a derived key")
    t.equal([one["user_id"] for one in got.values()], ["bob", "bob"], "those of one moment")
    for one in got.values():
        t.true(started <= one["timestamp"] <= now, "timestamp %d" % one["timestamp"])
        t.true(one["row_key"] != str(uuid.uuid5(uuid.NAMESPACE_DNS, "bob_%d" % one["timestamp"])),
               "the key is not random")


def test_sent_again_counts_once(t):
    collector = Collector(t)
    for _ in range(3):
        good(t, collector.ask([keyed(1), keyed(2)]), 2)
    good(t, collector.ask([keyed(1)] * 4), 4)
    t.equal(collector.stop(), [whole(keyed(1)), whole(keyed(2))], "events")
    account = t.process("all")
    t.equal((account["accepted"], account["events"], account["duplicates"]), (10, 2, 8), "counted")


def test_restart(t):
    """Each account is of one run; events that were stored before stay."""
    for number in range(3):
        collector = Collector(t)
        good(t, collector.ask(keyed(number)))
        t.equal(len(collector.stop()), number + 1, "events")


# ---- what is bad

WRONG = [
    (event(url=...), NO_URL), (event(url=""), NO_URL), (event(url=None), NO_URL),
    (event(url=["/a"]), "url is not a string"), (event(url=5), "url is not a string"),
    (event(url="/" * 2049), "url is 2049 bytes long, the limit is 2048"),
    (event(user_id=...), NO_USER), (event(user_id=""), NO_USER), (event(user_id=None), NO_USER),
    (event(user_id=42), "user_id is not a string"), (event(user_id=True), "user_id is not a string"),
    (event(user_id={"id": "a"}), "user_id is not a string"),
    (event(user_id="u" * 257), "user_id is 257 bytes long, the limit is 256"),
    (event(timestamp="soon"),
     'timestamp "soon" is neither an integer of milliseconds nor RFC 3339'),
    (event(timestamp=""), 'timestamp "" is neither an integer of milliseconds nor RFC 3339'),
    (event(timestamp=1.5), NO_TIME), (event(timestamp=True), NO_TIME), (event(timestamp=[TIME]), NO_TIME),
    (event(timestamp=0), RANGE % 0), (event(timestamp=-5), RANGE % -5),
    (event(timestamp=4102444800000), RANGE % 4102444800000),
    (event(country=7), "country is not a string"), (event(device={"a": "b"}), "device is not a string"),
    (event(country="c" * 257), "country is 257 bytes long, the limit is 256"),
    (event(row_key="k" * 65), "row_key is 65 bytes long, the limit is 64"),
    (event(row_key=1), "row_key is not a string"),
    ({}, NO_URL), (None, NO_OBJECT), (42, NO_OBJECT), ("text", NO_OBJECT), ([], NO_OBJECT),
    ([event()], NO_OBJECT), (True, NO_OBJECT)]


def test_wrong_events(t):
    """Each bad event alone, as a line, and as an element between good ones, which are kept."""
    collector, kept = Collector(t), 0
    for entry, reason in WRONG:
        what = "answer to %r" % (entry,)
        if not isinstance(entry, list):
            bad(t, collector.ask(json.dumps(entry)), [(1, reason)], what=what)
        bad(t, collector.ask([keyed(kept), entry, keyed(kept + 1)]), [(2, reason)], 2, what=what)
        bad(t, collector.ask(lines(keyed(kept + 2), keyed(kept + 3), entry)), [(3, reason)], 2,
            what=what)
        kept += 4
    t.equal(collector.stop(), sorted((whole(keyed(number)) for number in range(kept)),
                                     key=lambda one: one["row_key"]), "events")
    t.equal(t.clickmill("dead", "list").out, "", "dead letters")


def test_null_is_missing(t):
    """For each field, as programming languages write unknown values."""
    collector = Collector(t)
    good(t, collector.ask(event(row_key=None, timestamp=None, country=None, device=None)))
    events, now = collector.stop(), time.time() * 1000
    t.equal([abs(one["timestamp"] - now) < 20000 for one in events], [True], "near now")


def test_many_wrong_events(t):
    collector = Collector(t)
    entries = [event(url=...) if number % 2 else keyed(number) for number in range(50)]
    first = [(2 * number, NO_URL) for number in range(1, 21)]
    bad(t, collector.ask(entries), first, 25, more=5)
    bad(t, collector.ask(lines(*entries[:40])), first, 20)
    bad(t, collector.ask("{\n" * 21, kind=("Content-Type", "application/x-ndjson")),
        [(number, STRUCTURE) for number in range(1, 21)], more=1)
    t.equal(len(collector.stop()), 25, "events")


def test_lines_that_are_no_json(t):
    """Lines are independent: whatever a line contains, the others are taken, and positions count
    blank lines too, as an editor does."""
    collector, number = Collector(t), 0
    for line, reason in [
            (b"{", STRUCTURE), (b'{"user_id":"a",}', STRUCTURE), (b"}", STRUCTURE),
            (json.dumps(event()).encode() + b" x", STRUCTURE),
            (json.dumps(event()).encode() * 2, STRUCTURE), (b"user_id,url", STRUCTURE),
            (b'{"user_id":"a\xff","url":"/a","timestamp":1}', "not valid JSON: it is not UTF-8"),
            (b'{"user_id":"a\x00b","url":"/a","timestamp":1}', CONTROL), (b"\x00", STRUCTURE),
            (b'{"user_id":"a\tb","url":"/a","timestamp":1}', CONTROL),
            (b'{"user_id":"a', "not valid JSON: a string has no closing quote"),
            (b'{"user_id":"\\ud800","url":"/a","timestamp":1}',
             "not valid JSON: a string has a wrong escape"),
            (b'{"user_id":"a","url":"/a","timestamp":1,"x":nul}',
             "not valid JSON: a word is not true, false or null"),
            (b'{"user_id":"a","url":"/a","timestamp":1%s}' % (b"0" * 30), NUMBER),
            (b'{"user_id":"a","url":1e999,"timestamp":1}', NUMBER),
            (b'{"user_id":"a","url":"/a","timestamp":1,"x":%s}' % (b"[" * 2000 + b"]" * 2000), DEEP),
            (b"[" * 5000, None), (b"\xef\xbb\xbf{}", None)]:
        body = b"\n".join([json.dumps(keyed(number)).encode(), b"", line,
                           json.dumps(keyed(number + 1)).encode()])
        number += 2
        answer = collector.ask(body)
        got = answer.json.get("errors", [{}])[0]
        t.true(got.get("reason", "").startswith("not valid JSON"), "%r: %s" % (line, answer))
        bad(t, answer, [(3, reason or got["reason"])], 2, what="answer to %r" % line)
    t.equal(len(collector.stop()), number, "events")


def test_broken_arrays(t):
    """Complete events of an array are taken, whatever is wrong with the rest of it."""
    collector, number, kept = Collector(t), 10, []
    for tail, accepted, errors in [
            ("", 3, [(4, NOT_CLOSED)]), (",", 3, [(4, NOT_CLOSED)]), (",]", 3, [(4, MISSING)]),
            ("]]", 3, [(4, BEHIND)]), ("] x", 3, [(4, BEHIND)]), ("]\n[]", 3, [(4, BEHIND)]),
            ("},", 2, [(3, None), (4, NOT_CLOSED)]), (',{"user_id":', 3, [(4, None)]),
            (",{},", 3, [(4, NO_URL), (5, NOT_CLOSED)]), (" 5]", 2, [(3, STRUCTURE)]),
            ("\0]", 2, [(3, None)]), (',"ü"', 3, [(4, NO_OBJECT)]), (",[" + "[" * 3000, 3, [(4, None)]),
            (",,{}]", 3, [(4, MISSING), (5, NO_URL)]), (',"]"]', 3, [(4, NO_OBJECT)])]:
        made = [keyed(one, city='"]},[{\\') for one in range(number, number + 3)]
        number += 3
        kept += made[:accepted]
        answer = collector.ask("[" + ",".join(map(json.dumps, made)) + tail)
        said = answer.json.get("errors", [])
        for error, (_, reason) in zip(said, errors):
            t.true(reason or error["reason"].startswith("not valid JSON"), "%r: %s" % (tail, answer))
        bad(t, answer, [(position, reason or error["reason"])
                        for error, (position, reason) in zip(said, errors)], accepted,
            what="answer to %r" % tail)
    t.equal(collector.stop(), [whole(entry) for entry in kept], "events")


def test_empty_bodies(t):
    collector = Collector(t)
    for body in (b"", b" ", b"\n\n", b" \r\n\t", b"\xef\xbb\xbf", b"[]", b" [ \n] "):
        refused(t, collector.ask(body), 400, NO_EVENT, what="answer to %r" % body)
    refused(t, collector.ask(b"0\r\n\r\n", ("Transfer-Encoding", "chunked"), length=False), 400,
            NO_EVENT)
    refused(t, collector.raw(request(b"", length=False)), 400, NO_EVENT)
    t.equal(collector.stop(), [], "events")


def test_duplicate_keys_are_as_import_takes_them(t):
    body = '{"user_id":"a","user_id":"b","timestamp":%d,"url":"/x","url":"/y","country":null,' \
        '"country":"Peru"}' % TIME
    collector = Collector(t)
    good(t, collector.ask(body))
    t.ingest(body, data="imported")
    events = collector.stop()
    t.equal(events, [json.loads(t.clickmill("export", "--data", "imported").out)], "events")
    t.equal((events[0]["user_id"], events[0]["url"]), ("b", "/y"), "the last counts")


def test_escapes_and_scripts(t):
    """Texts are stored as they are, whatever characters they have."""
    texts = ["ü", "日本", "\U0001f600", 'quote " and \\', "tab\tline\nend", "\u2028", "a\u0000b", " "]
    collector = Collector(t)
    for number, text in enumerate(texts):
        entry = keyed(number, city=text)
        good(t, collector.ask(json.dumps(entry)))  # escaped
        good(t, collector.ask(json.dumps(dict(entry, row_key="raw-%d" % number), ensure_ascii=False)))
    got = {one["row_key"]: one["city"] for one in collector.stop()}
    for number, text in enumerate(texts):
        t.equal((got["key-%d" % number], got["raw-%d" % number]), (text, text), "city %r" % text)


def test_limits_are_inclusive(t):
    collector = Collector(t)
    sent = [keyed(10, url="/" * 2048), dict(keyed(11), user_id="u" * 256),
            keyed(12, country="c" * 256), dict(keyed(13), row_key="k" * 64),
            dict(keyed(14), user_id="ü" * 128), dict(keyed(15), row_key="k"),
            keyed(16, url="/")]
    good(t, collector.ask(sent), len(sent))
    wanted = sorted((whole(entry) for entry in sent), key=lambda one: one["row_key"])
    t.equal(collector.stop(), wanted, "events")


# ---- other paths and methods


def test_methods_and_paths(t):
    collector = Collector(t)
    for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH"):
        answer = collector.ask(b"", method=method)
        t.equal(answer.status, 405, "status of " + method)
        allowed = {word.strip() for word in answer.header("Allow").split(",")}
        t.true({"POST"} <= allowed <= {"POST", "OPTIONS"}, "Allow: %s" % allowed)
        t.true(answer.body == b"" if method == "HEAD" else answer.json["error"], str(answer))
    for target in ("/v1/event", "/v1/events/", "/v1", "/v2/events", "/../etc/passwd", "/V1/EVENTS",
                   "/v1/events%00", "//v1/events", "/api/nothing", "/%"):
        refused(t, collector.ask(keyed(0), target=target), 404, what="answer of " + target)
    good(t, collector.ask(keyed(1), target="/v1/events?from=test"))
    for target in ("/healthz", "/readyz", "/clickmill.js", "/snippet", "/pixel.gif"):
        answer = collector.ask(keyed(0), target=target)
        t.equal(answer.status, 405, "status of POST " + target)
        t.true("GET" in answer.header("Allow"), str(answer))
        t.equal(collector.ask(b"", method="HEAD", target=target).status, 200, "HEAD " + target)
    t.equal(len(collector.stop()), 1, "events")


def test_what_else_is_served(t):
    collector = Collector(t)
    answer = collector.get("/healthz")
    t.equal((answer.status, answer.body.strip()), (200, b"ok"), "healthz")
    answer = collector.get("/readyz")
    t.equal(answer.status, 200, "readyz %s" % answer)
    t.true(isinstance(answer.json, dict), str(answer))
    answer = collector.get("/clickmill.js")
    t.equal(answer.status, 200, "tracker")
    t.true("javascript" in answer.header("Content-Type"), str(answer))
    t.true(len(answer.body) > 500, "the tracker has %d bytes" % len(answer.body))
    # It is for pages of other sites, which may block files without this header.
    t.true(answer.header("Cross-Origin-Resource-Policy") in (None, "cross-origin"), str(answer))
    packed = collector.get("/clickmill.js", ("Accept-Encoding", "gzip"))
    t.equal(packed.header("Content-Encoding"), "gzip", "coding")
    t.true(len(packed.body) <= 2048, "the tracker has %d bytes" % len(packed.body))
    t.equal(gzip.decompress(packed.body), answer.body, "tracker, packed")
    answer = collector.get("/snippet")
    t.equal(answer.status, 200, "snippet")
    t.true(answer.header("Content-Type").startswith("text/html"), str(answer))
    script = collector.get("/snippet/snippet.js")
    t.equal(script.status, 200, "snippet's script")
    t.true(b"clickmill.js" in script.body and b"pixel.gif" in script.body, str(script))
    t.equal(collector.stop(), [], "events")


def test_own_paths(t):
    """The chosen paths answer as the standard ones do, and the script sends to the chosen one."""
    plain = Collector(t, data="plain")
    standard, names = plain.get("/clickmill.js"), plain.get("/snippet/paths")
    plain.stop()
    t.equal(names.json, {"script": "/clickmill.js", "events": "/v1/events"}, "names")
    t.equal(standard.body.count(b'"/v1/events"'), 1, "where the tracker sends")

    collector = Collector(t, "--script", "/js/site.js", "--path", "/js/in_1.x")
    for target in ("/js/site.js", "/clickmill.js"):
        script = collector.get(target)
        t.equal(script.body, standard.body.replace(b"/v1/events", b"/js/in_1.x"), target)
        packed = collector.get(target, ("Accept-Encoding", "gzip"))
        t.equal(gzip.decompress(packed.body), script.body, target + ", packed")
        t.true(len(packed.body) <= 2048, "the tracker has %d bytes" % len(packed.body))
        for answer in (script, packed):
            t.true(answer.header("ETag") != standard.header("ETag"), "tag of %s" % target)
            again = collector.get(target, ("If-None-Match", answer.header("ETag")),
                                  *([("Accept-Encoding", "gzip")] if answer is packed else []))
            t.equal(again.status, 304, "a tracker that is known")
    t.equal(collector.get("/snippet/paths").json,
            {"script": "/js/site.js", "events": "/js/in_1.x"}, "names")
    good(t, collector.ask(keyed(1), target="/js/in_1.x"))
    good(t, collector.ask(keyed(2)))
    t.equal(collector.get("/js/in_1.x").status, 405, "the path of events")
    for target in ("/js", "/js/", "/js/site.js/", "/js/in_1.x?", "/JS/site.js"):
        t.equal(collector.get(target).status, 405 if target.endswith("?") else 404, target)
    t.equal([one["row_key"] for one in collector.stop()],
            [keyed(1)["row_key"], keyed(2)["row_key"]], "events")


def test_own_paths_that_cannot_be(t):
    chosen = ("clickmill: %s: \"%s\" is not a path; give one such as /js/site.js, with letters, digits "
              "and / - . _ ~, at most 200 bytes\n")
    taken = "clickmill: %s: the server answers %s already; give another path\n"
    for option, value, wanted in (
            ("script", "", chosen), ("script", "site.js", chosen), ("path", "//a", chosen),
            ("path", "/a?b", chosen), ("path", "/a b", chosen), ("path", "/%61", chosen),
            ("path", "/../a", chosen), ("script", "/é", chosen), ("script", '/"', chosen),
            ("script", "/v1/events", taken), ("path", "/clickmill.js", taken), ("path", "/", taken),
            ("path", "/pixel.gif", taken), ("script", "/app.js", taken), ("path", "/demo/x", taken),
            ("path", "/api/live", taken), ("script", "/snippet.js", taken)):
        result = t.clickmill("collect", "--listen", "127.0.0.1:0", "--" + option, value, check=2)
        t.equal(result.err, wanted % ("collect." + option, value), "%s %r" % (option, value))
    t.write("clickmill.yaml", "collect:\n  script: /a\n  path: /a\n")
    for command in (("collect", "--listen", "127.0.0.1:0"), ("run", "--no-demo")):
        t.equal(t.clickmill(*command, check=2).err, "clickmill: collect.script and collect.path are "
                "both /a; give two different paths\n", command[0])
    for option in ("--hosts", "--proxies", "--sites"):
        result = t.clickmill("run", "--no-demo", "--path", "/b", option, "a b", check=2)
        t.true("\"a b\"" in result.err, result.err)


@patient
def test_run_has_the_same_endpoints(t):
    """Events that are sent to the address of the dashboard are in its answers."""
    collector = Collector(t, "--no-demo", "--every", "100ms", "--sites", "shop.example",
                          command=("run",))
    good(t, collector.ask([keyed(1), keyed(2)]), 2)
    bad(t, collector.ask([keyed(3), event(url=...)]), [(2, NO_URL)], 1)
    good(t, collector.page(event(user_id=..., timestamp=...)))
    t.equal(collector.page(keyed(0), origin="https://other.example").status, 403, "a stranger")
    t.equal(collector.get("/readyz").status, 200, "readyz")
    t.equal(collector.get("/clickmill.js").status, 200, "tracker")
    t.until(lambda: collector.get("/api/summary").json["freshness"]["events"] == 4,
            "the answers have them", process=collector.process)
    events = collector.stop()
    t.equal(len(events), 4, "events")
    browsers = [one["browser"] for one in events if one["user_id"] not in ("user-1", "user-2", "user-3")]
    t.equal(browsers, ["Firefox"], "browser of the visitor")


@alone
def test_within_a_second(t):
    """An event is in the answers within a second, together with synthetic traffic."""
    collector = Collector(t, "--rate", "50", command=("run",), check=False)
    own = "http://127.0.0.1"
    waits = []
    with t.pace() as pace:
        for number in range(5):
            begin = time.monotonic()
            good(t, collector.page(event(user_id=..., timestamp=..., url="%s/demo/%d" % (
                own, number)), origin=own))
            t.until(lambda: collector.get("/api/answers?url=*/demo/%d" % number).json["rows"],
                    "it is in the answers", process=collector.process)
            waits.append(time.monotonic() - begin)
    pace.check(sorted(waits)[2], 1, "a click into the answers")


def test_head_of_a_page_is_not_needed(t):
    """What curl sends in the manual's example, header by header."""
    collector = Collector(t)
    body = '{"user_id":"u1","url":"https://shop.example/cart"}'
    good(t, collector.raw((
        "POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: curl/7.88.1\r\n"
        "Accept: */*\r\n%s: %s\r\nContent-Length: %d\r\n\r\n%s" % (
            collector.port, *JSON, len(body), body)).encode()))
    events = collector.stop()
    t.equal([(one["user_id"], one["url"], one["browser"]) for one in events],
            [("u1", SITE + "/cart", "Unknown")], "events")


# ---- the optional fields


def test_optional_fields_of_a_server(t):
    """They are stored as they were sent; versions are filled from the agent, the campaign from the URL."""
    collector = Collector(t)
    sent = event(row_key="r1", url=SITE + "/a?utm_source=url&utm_medium=email&b=1", name="purchase",
                 referrer="https://news.example/?utm_source=x&b=2", utm_source="stated",
                 language="de-DE", region="Bavaria", props={"value": 49.90, "gift": True, "none": None},
                 user_agent=FIREFOX)
    good(t, collector.ask([sent, event(row_key="r2", name="engagement", engaged_ms="1500"),
                           event(row_key="r3", name="pageview", referrer="", props={})]), 3)
    events = {one["row_key"]: one for one in collector.stop()}
    t.equal({name: value for name, value in events["r1"].items() if name not in UNKNOWN},
            {"row_key": "r1", "user_id": "ann", "timestamp": TIME, "url": SITE + "/a?b=1",
             "name": "purchase", "referrer": "https://news.example/?b=2", "utm_source": "stated",
             "utm_medium": "email", "browser_version": "125.0", "region": "Bavaria", "language": "de-DE",
             "props": {"gift": True, "value": 49.90}}, "the purchase")
    t.equal((events["r2"]["name"], events["r2"]["engaged_ms"]), ("engagement", 1500), "engagement")
    t.equal(events["r3"], dict(event(row_key="r3"), **UNKNOWN), "a page view without them")


def test_optional_fields_that_break_a_rule(t):
    """The reason begins with the field's name; the other events of the body are stored."""
    collector = Collector(t)
    wrong = [({"name": "n" * 65}, "name is 65 bytes long, the limit is 64"),
             ({"referrer": "https://a.example/" + "x" * 2048}, "referrer is 2066 bytes long, the limit is 2048"),
             ({"utm_source": "s" * 257}, "utm_source is 257 bytes long, the limit is 256"),
             ({"language": "l" * 65}, "language is 65 bytes long, the limit is 64"),
             ({"props": {"a": {}}}, "props: the value of a is an object; props must be flat"),
             ({"engaged_ms": 5}, "engaged_ms is only for events with the name engagement"),
             ({"name": "engagement"}, "engaged_ms is missing; the name engagement needs it"),
             ({"name": "engagement", "engaged_ms": 86400001},
              "engaged_ms is 86400001, it must be from 0 to 86400000"),
             ({"name": 7}, "name is not a string")]
    bad(t, collector.ask([event(**fields) for fields, _ in wrong] + [event()]),
        [(number + 1, reason) for number, (_, reason) in enumerate(wrong)], 1)
    t.equal(len(collector.stop()), 1, "events")


def test_what_a_page_sends_from_outside_is_cut(t):
    """A visitor's referrer and address bar are not the page's fault: they lose no page view."""
    collector = Collector(t, "--sites", "shop.example")
    long = "https://a.example/" + "x" * 2048
    good(t, collector.page([event(row_key="r1", referrer=long),
                            event(row_key="r2", url=SITE + "/?utm_campaign=" + "c" * 300),
                            event(row_key="r3", referrer="about:" + "x" * 2048)]), 3)
    bad(t, collector.page(event(row_key="r4", utm_source="s" * 257)),
        [(1, "utm_source is 257 bytes long, the limit is 256")], 0)
    account = json.loads(collector.process.stop().out)
    t.equal((account["cut_referrers"], account["cut_campaigns"]), (2, 1), "what was cut")
    events = {one["row_key"]: one for one in collector.events()}
    t.equal(events["r1"]["referrer"], "https://a.example/", "a long referrer")
    t.equal((events["r2"]["url"], events["r2"]["utm_campaign"]), (SITE + "/", "c" * 256), "a long campaign")
    t.true("referrer" not in events["r3"], "a long referrer without a host: %s" % events["r3"])


def test_two_events_in_one_millisecond(t):
    """Without a time each event has a row key of its own; with one, name and props tell them apart."""
    collector = Collector(t)
    clock = [event(timestamp=..., name="engagement", engaged_ms=ms) for ms in (1, 2, 2)]
    timed = [event(), event(name="add_to_cart", props={"value": 1}),
             event(name="add_to_cart", props={"value": 2}), event(name="engagement", engaged_ms=7),
             event(name="add_to_cart", props={"value": 2})]
    good(t, collector.ask(clock + timed), 8)
    events = collector.stop()
    t.equal(len({one["row_key"] for one in events}), 7, "row keys of %s" % events)
    t.equal(len({one["row_key"] for one in events if one["timestamp"] == TIME}), 4,
            "row keys of the events with a time")

