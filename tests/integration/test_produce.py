"""Synthetic traffic: the same seed gives the same bytes, and its events keep the contract."""

import hashlib
import json
import subprocess

from harness import CLICKMILL, USAGE


def lines(t, *options):
    return t.clickmill("produce", *options, "--out", "-").raw.decode().splitlines()


def test_seed_decides_every_byte(t):
    options = ("produce", "--count", 5000, "--users", 300, "--late", 5, "--repeat", 5, "--out", "-")
    one = t.clickmill(*options, "--seed", 7).raw
    t.true(one == t.clickmill(*options, "--seed", 7).raw, "the same seed gave other bytes")
    t.true(one == t.clickmill(*options, "--seed=7", env={"TZ": "Asia/Tokyo"}).raw,
           "the same seed gave other bytes elsewhere")
    t.true(one != t.clickmill(*options, "--seed", 8).raw, "another seed gave the same bytes")
    t.clickmill("produce", "--count", 5000, "--users", 300, "--late", 5, "--repeat", 5, "--seed", 7,
                "--out", "file.jsonl")
    with open(t.path("file.jsonl"), "rb") as file:
        t.true(file.read() == one, "a file gets other bytes than stdout")


def test_count_is_exact(t):
    for count in (1, 2, 4095, 4096, 4097, 10000):
        t.equal(len(lines(t, "--count", count)), count, "lines")
    t.equal(len(lines(t, "--count", 5000, "--late", 20, "--repeat", 20)), 5000, "with repeated")


def test_json_is_that_of_python(t):
    made = lines(t, "--count", 3000, "--users", 500, "--urls", 100, "--countries", 40)
    plain = 0
    for line in made:
        entry = json.loads(line)
        t.equal(list(entry), ["row_key", "user_id", "timestamp", "url", "country", "city",
                              "browser", "os", "device"], "fields")
        t.equal(json.dumps(entry, ensure_ascii=False), line, "line")
        if line.isascii():
            t.equal(json.dumps(entry), line, "line")
            plain += 1
    t.true(plain > 1000, "only %d lines of ASCII" % plain)


def test_defaults_are_a_small_demo_site(t):
    made = [json.loads(line) for line in lines(t, "--count", 5000)]
    t.equal(len({entry["user_id"] for entry in made}), 20, "users")
    site = "https://www.example.com/"
    t.equal({entry["url"] for entry in made},
            {site} | {site + page for page in ("home", "about", "contact", "products", "services",
                                               "blog", "faq", "pricing", "login")}, "pages")
    for field in ("country", "city", "browser", "os", "device"):
        homes = {}
        for entry in made:
            homes.setdefault(entry["user_id"], set()).add(entry[field])
        t.equal([user for user in homes if len(homes[user]) > 1], [], "users with two of " + field)


def test_late_and_repeated(t):
    calm = [json.loads(line) for line in lines(t, "--count", 20000, "--users", 500)]
    times = [entry["timestamp"] for entry in calm]
    t.equal(times, sorted(times), "times without --late")
    t.equal(len({entry["row_key"] for entry in calm}), 20000, "row keys without --repeat")

    late = [json.loads(line)["timestamp"]
            for line in lines(t, "--count", 20000, "--users", 500, "--late", 10)]
    newest, behind = 0, 0
    for time in late:
        behind += time < newest
        newest = max(newest, time)
    t.true(1000 < behind < 3000, "%d of 20,000 are late, 10 %% were asked for" % behind)

    again = lines(t, "--count", 20000, "--users", 500, "--repeat", 10)
    copies = 20000 - len(set(again))
    t.true(1500 < copies < 2500, "%d of 20,000 are copies, 10 %% were asked for" % copies)
    t.equal(len({json.loads(line)["row_key"] for line in again}), 20000 - copies,
            "copies that are not equal")


def test_into_the_store(t):
    account = t.clickmill("produce", "--count", 3000, "--late", 5, "--repeat", 5, "--json").json
    t.equal(t.balanced(account)["accepted"], 3000, "accepted")
    made = lines(t, "--count", 3000, "--late", 5, "--repeat", 5)
    t.equal(t.clickmill("export").out.splitlines(), list(dict.fromkeys(made)), "export")


def test_access_log_can_be_imported(t):
    t.clickmill("produce", "--count", 2000, "--users", 50, "--format", "combined", "--out",
                "access.log")
    account = t.clickmill("import", "--json", "--format", "combined", "access.log").json
    t.equal(t.balanced(account)["read"], 2000, "read")
    t.equal(account["rejected"], 0, "rejected")


def test_events_are_spread_over_a_time(t):
    """The last of 20,000 events comes at the end of 30 days; by default, after 20,000 seconds."""
    for options, seconds in ((("--over", "30d"), 30 * 86400), ((), 20000)):
        made = lines(t, "--count", 20000, "--users", 400, *options)
        first, last = (json.loads(made[at])["timestamp"] for at in (0, -1))
        t.equal(first, 1767225600000, "first event")
        t.true(abs((last - first) / 1000 / seconds - 1) < 0.05, "%s: %d ms" % (options, last - first))
    for options in (("--over", "30d"), ("--over", "30d", "--count", 5, "--rate", 2)):
        t.says(t.clickmill("produce", *options, "--out", "-", check=USAGE),
               "--over needs --count, and no --rate")


def test_options_out_of_range(t):
    for options in (["--count", "-1"], ["--users", "0"], ["--late", "101"], ["--repeat", "-1"],
                    ["--rate", "0"], ["--rate", "fast"], ["--seed", "x"], ["--countries", "0"]):
        t.says(t.clickmill("produce", *options, "--out", "-", check=USAGE), options[0])


def test_a_reader_that_leaves(t):
    """`produce --out - | head` prints what was read, and no account."""
    line, err = t.path("line"), t.path("err")
    subprocess.run("%s produce --count 100000 --out - 2>%s | head -1 >%s"
                          % (CLICKMILL, err, line), shell=True, check=True)
    with open(err, encoding="utf-8") as file:
        t.equal(file.read(), "", "what it says")


CAMPAIGN = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")


# Options and the SHA-256 of what they give: the first three as the first edition gave them.
BYTES = [
    (("--count", 3000), "877fad9690267f583a2a187b13856f93c5c209ed5d9c92d7741b6e329e2a2bd9"),
    (("--count", 5000, "--users", 300, "--late", 5, "--repeat", 5, "--seed", 7),
     "45ad4cd17a17550a07b52bdd78323487034594ab9771162b92d7fa0f92d6229b"),
    (("--count", 3000, "--format", "combined"),
     "3701113e17480a3d8b6c1a389e2e23621a9c17b51439faf683b8991f785c8d48"),
    (("--count", 3000, "--fields", "all"),
     "2e091ee557b95b23c72c02d46cc62e0ec8c5c2bca2f63d2a09092cfaf59be2af"),
]


def test_bytes_stay_as_they_are(t):
    for options, wanted in BYTES:
        for fields in ((), ("--fields", "contract"), ("--fields", "auto")):
            if "all" not in options or not fields:
                made = t.clickmill("produce", *options, *fields, "--out", "-").raw
                t.equal(hashlib.sha256(made).hexdigest(), wanted, "%s %s" % (options, fields))
    t.says(t.clickmill("produce", "--count", 1, "--fields", "some", "--out", "-", check=USAGE),
           "--fields", "one of auto, contract, all")


def test_all_fields_are_a_shop(t):
    """Every visit is one that a shop could have: page views that follow each other, a cart that is
    filled before it is paid, and engagement no longer than the page was shown."""
    made = [json.loads(line) for line in lines(t, "--count", 30000, "--users", 400, "--fields", "all")]
    t.equal(made, [json.loads(line) for line in
                   lines(t, "--count", 30000, "--users", 400, "--fields", "all")], "the same seed")
    t.equal(len({entry["row_key"] for entry in made}), 30000, "row keys")
    seen, sources, referrers, kinds = {}, {}, {}, {}
    for entry in made:
        user, kind = entry["user_id"], entry.get("name", "pageview")
        kinds[kind] = kinds.get(kind, 0) + 1
        for name in ("browser_version", "region", "language"):
            t.true(entry[name], "no %s in %s" % (name, entry))
        visit = seen.get(user)
        inside = kind == "pageview" and visit and entry.get("referrer") == visit["url"]
        if kind == "pageview" and not inside:
            sources.setdefault(entry.get("utm_source"), []).append(entry)
            referrers.setdefault(entry.get("referrer"), []).append(entry)
            t.true("referrer" not in entry or "utm_source" not in entry, "two origins: %s" % entry)
            seen[user] = {"url": entry["url"], "since": entry["timestamp"], "cart": 0, "items": 0}
            continue
        t.equal([name for name in CAMPAIGN if name in entry], [], "a campaign inside of a visit")
        if inside:
            visit.update(url=entry["url"], since=entry["timestamp"])
            continue
        t.equal((entry["url"], "referrer" in entry), (visit["url"], False), "the page of %s" % entry)
        if kind == "engagement":
            shown = entry["timestamp"] - visit["since"]
            t.true(shown // 2 - 1 <= entry["engaged_ms"] <= shown, "engaged %s of %d" % (entry, shown))
        elif kind == "add_to_cart":
            t.equal(list(entry["props"]), ["value"], "props")
            visit["cart"] += round(100 * entry["props"]["value"])
            visit["items"] += 1
        else:
            t.equal(kind, "purchase", "name")
            t.equal({"items": visit["items"], "value": round(100 * entry["props"]["value"])},
                    {"items": entry["props"]["items"], "value": visit["cart"]}, "props")
            t.true(visit["items"] > 0, "an empty cart is paid")
            visit.update(cart=0, items=0)
    t.equal(sorted(kinds), ["add_to_cart", "engagement", "pageview", "purchase"], "names")
    t.true(kinds["pageview"] > 15000 and kinds["purchase"] > 100, "of each name: %s" % kinds)
    most = sorted(((len(entries), name) for name, entries in referrers.items() if name), reverse=True)
    t.equal(most[0][1], "https://www.google.com/", "the most frequent referrer")
    t.true(1.6 < most[0][0] / most[1][0] < 2.5, "Zipf's law of referrers: %s" % most[:2])
    t.true(1.5 < len(sources["google"]) / len(sources["facebook"]) < 5, "campaigns")


def test_all_fields_are_stored_and_logged(t):
    options = ("--count", 2000, "--fields", "all")
    made = [json.loads(line) for line in lines(t, *options)]
    t.clickmill("produce", *options)
    stored = [json.loads(line) for line in t.clickmill("export").out.splitlines()]
    t.equal(sorted(stored, key=lambda one: one["timestamp"]), made, "what is stored")
    t.clickmill("produce", *options, "--format", "combined", "--out", "access.log")
    account = t.clickmill("import", "--data", "log", "--json", "--site", "www.example.com",
                          "access.log").json
    t.equal((account["accepted"], account["skipped"]), (2000, 0), "lines of the log")
    logged = [json.loads(line) for line in t.clickmill("export", "--data", "log").out.splitlines()]
    t.true(len([one for one in logged if "utm_campaign" in one]) > 50, "campaigns of the log")
    t.true(len([one for one in logged if one.get("referrer") == "https://www.google.com/"]) > 50,
           "referrers of the log")
    t.equal({one["url"].split("?")[-1] for one in logged if "?" in one["url"]}, set(), "queries")
