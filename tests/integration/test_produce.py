"""Synthetic traffic: the same seed gives the same bytes, and its events keep the contract."""

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
