"""--debug: one line for each decision that matters, of the contexts that are asked for."""

import re

import traffic
from collect_support import Collector, good, keyed
from harness import USAGE

LINE = re.compile(r'^time=\S+ level=debug context=(\w+) msg="([^"]*)"(?: (.*))?$', re.M)


def entries(text, context=None):
    """The debug entries of a log as (context, message, pairs)."""
    return [(found[0], found[1], dict(pair.split("=", 1) for pair in found[2].split()
                                      if "=" in pair and '"' not in pair))
            for found in LINE.findall(text) if context in (None, found[0])]


def test_plan_of_the_mill(t):
    t.write("events.jsonl", traffic.events(5, 700))
    done = t.clickmill("import", "--debug", "mill,index", "events.jsonl")
    found = entries(done.err)
    t.equal({context for context, _, _ in found}, {"mill", "index"}, "contexts")
    plans = [pairs for context, message, pairs in found if message == "plan"]
    t.equal([(pairs["from"], pairs["to"], pairs["mode"]) for pairs in plans],
            [("0", "700", "everything")], "plans")
    t.equal([pairs["window"] for _, message, pairs in found if message == "window is computed"],
            ["all", "day"], "windows")
    # An update takes the new events alone, and says so.
    t.write("more.jsonl", traffic.events(6, 20))
    done = t.clickmill("import", "--debug", "mill", "more.jsonl")
    plans = [pairs for _, message, pairs in entries(done.err, "mill") if message == "plan"]
    t.equal([(pairs["from"], pairs["to"]) for pairs in plans], [("700", "720")], "plans of an update")
    t.true(plans[0]["mode"].startswith("update"), "mode %s" % plans[0]["mode"])
    # Nothing new: no plan, and the reason.
    done = t.clickmill("process", "--debug", "mill,index")
    t.equal([message for _, message, _ in entries(done.err)], ["nothing new", "nothing new"],
            "decisions without new events")


def test_without_it_nothing_is_written(t):
    t.write("events.jsonl", traffic.events(5, 50))
    t.equal(entries(t.clickmill("import", "events.jsonl").err), [], "entries")
    done = t.clickmill("import", "--log-level", "debug", "events.jsonl")
    t.true({"config", "source", "mill", "index"} <= {context for context, _, _ in entries(done.err)},
           "contexts of --log-level debug: " + done.err)


def test_where_options_come_from(t):
    t.write("clickmill.yaml", "data: here\nhttp: {password: secret}\n")
    done = t.clickmill("query", "pages", "--debug", "config", check=None,
                       env={"CLICKMILL_READ_TOKEN": "hidden"})
    found = {pairs.get("option"): pairs["from"] for _, message, pairs in entries(done.err, "config")
             if message == "option is set"}
    t.equal(found, {"data": "file", "debug": "command-line"}, "options")
    t.true("secret" not in done.err and "hidden" not in done.err, "a secret is shown")
    t.true("file=clickmill.yaml" in done.err, done.err)


def test_source_and_loop(t):
    t.write("events.csv", "user_id,timestamp,url\nann,1772359200000,/a\nbob,1772359200001,/b\n")
    done = t.clickmill("import", "--no-process", "--debug", "source,pipeline", "events.csv")
    found = entries(done.err)
    t.equal([(pairs["format"], pairs["given"]) for _, message, pairs in found
             if message == "file is open"], [("csv", "no")], "files")
    t.equal([(pairs["read"], pairs["accepted"]) for _, message, pairs in found
             if message == "committed"], [("2", "2")], "commits")


def test_requests(t):
    collector = Collector(t, "--debug", "serve,pipeline")
    good(t, collector.ask(keyed(1)))
    t.equal(collector.get("/nowhere").status, 404, "an unknown path")
    collector.stop()
    found = entries(collector.process.err)
    routes = [(pairs["method"], pairs["route"]) for context, message, pairs in found
              if (context, message) == ("serve", "request")]
    t.true(("POST", "/v1/events") in routes and ("GET", "none") in routes, "routes %s" % routes)
    commits = [pairs for context, message, pairs in found if message == "committed"]
    t.equal(sum(int(pairs["accepted"]) for pairs in commits), 1, "events of the commits")
    ends = [pairs["reason"] for _, message, pairs in found if message == "the loop ends"]
    t.equal(ends, ["stop"], "why the loop ends")


def test_blocks_of_the_store(t):
    """Small blocks are written one by one, and merged when there are many of them."""
    merged = []
    for number in range(20):
        t.write("events.csv", "user_id,timestamp,url\nann,1772359200%03d,/a\n" % number)
        done = t.clickmill("import", "--no-process", "--debug", "store", "events.csv")
        found = entries(done.err, "store")
        t.equal([(pairs["first"], pairs["events"]) for _, message, pairs in found
                 if message == "block is written"], [(str(number), "1")], "blocks")
        merged += [pairs for _, message, pairs in found if message == "blocks are merged"]
    t.true(merged, "no merge of 20 blocks")
    t.true(all(int(pairs["after"]) < int(pairs["before"]) for pairs in merged), "%s" % merged)


def test_unknown_context(t):
    done = t.clickmill("query", "--debug", "mil", check=USAGE)
    t.says(done, 'knows no context "mil"', "did you mean mill?")
