"""The command line, the configuration file and the environment."""

import json
import os

from harness import INPUT, OK, USAGE

EVENT = '{"user_id": "ann", "timestamp": 1000, "url": "/a"}'


def test_unknown_words_name_the_nearest(t):
    t.says(t.clickmill("qurey", check=USAGE), "unknown command qurey; did you mean query?")
    t.says(t.clickmill("xyzzy", check=USAGE), "unknown command xyzzy", "clickmill help")
    t.says(t.clickmill("query", "--limt", "3", check=USAGE), "--limt", "did you mean --limit?")
    t.says(t.clickmill("--dat", "x", "query", check=USAGE), "--dat", "did you mean --data?")
    t.says(t.clickmill("import", "--fromat=csv", "-", check=USAGE), "--fromat",
           "did you mean --format?")
    t.says(t.clickmill("help", "imprt", check=USAGE), "did you mean import?")
    t.says(t.clickmill(check=USAGE), "no command is given")


def test_wrong_values(t):
    for words in (["query", "--limit", "many"], ["query", "--limit"], ["query", "--format", "xml"],
                  ["query", "--window", "week"], ["process", "--window", "all,week"],
                  ["process", "--every", "soon"], ["process", "--every", "1ms"],
                  ["import", "--format", "parquet", "-"], ["--log-level", "loud", "query"],
                  ["query", "--reverse=maybe"], ["query", "--sort", "colour"]):
        result = t.clickmill(*words, check=USAGE)
        option = next(word for word in words if word.startswith("--")).split("=")[0]
        t.says(result, option)
        t.equal(result.out, "", "stdout")
    t.says(t.clickmill("query", "extra", check=USAGE), '"extra"', "clickmill help query")
    t.true(not os.path.exists(t.path("data")), "a wrong command line made a data directory")


def test_options_stand_anywhere(t):
    t.write("events.jsonl", EVENT)
    for words in (["--data", "d", "--json", "import", "events.jsonl"],
                  ["import", "--data=d", "events.jsonl", "--json"],
                  ["import", "events.jsonl", "--json", "--format", "jsonl", "--data", "d"],
                  ["--json", "import", "--data", "d", "--", "events.jsonl"],
                  ["import", "-f", "jsonl", "-fjsonl", "events.jsonl", "--data=d", "--json"]):
        t.equal(t.clickmill(*words).json["accepted"], 1, " ".join(words))
    t.equal(t.clickmill("process", "--data", "d", "--json").json["accepted"], 5, "accepted in all")
    t.equal(t.clickmill("query", "--data", "d", "--json", "--no-json", "--format", "csv").code, OK,
            "negation")


def test_file_environment_command_line(t):
    """The command line is stronger than the environment, and that than the file."""
    t.write("clickmill.yaml", "data: from-file\n")

    def made():
        names = {name for name in os.listdir(t.dir) if name.startswith("from-")}
        for name in names:
            os.rename(t.path(name), t.path("used-%d-%s" % (len(os.listdir(t.dir)), name)))
        return names
    words = ["import", "--format", "jsonl", "-"]
    t.clickmill(*words, stdin=EVENT)
    t.equal(made(), {"from-file"}, "with clickmill.yaml")
    t.clickmill(*words, stdin=EVENT, env={"CLICKMILL_DATA": "from-environment"})
    t.equal(made(), {"from-environment"}, "with the environment as well")
    t.clickmill(*words, "--data", "from-command-line", stdin=EVENT,
                env={"CLICKMILL_DATA": "from-environment"})
    t.equal(made(), {"from-command-line"}, "with all three")
    t.clickmill(*words, stdin=EVENT, env={"CLICKMILL_DATA": ""})
    t.equal(made(), {"from-file"}, "an empty variable is none")
    t.write("other.yaml", '{"data": "from-other"}\n')
    t.clickmill("--config", "other.yaml", *words, stdin=EVENT)
    t.equal(made(), {"from-other"}, "with --config, in JSON")
    os.remove(t.path("clickmill.yaml"))
    t.clickmill(*words, stdin=EVENT)
    t.true(os.path.exists(t.path("data", "clickmill.db")), "the default is not data")


def test_command_keys_in_the_file(t):
    t.write("clickmill.yaml", "produce:\n  count: 7\n  users: 3\nimport:\n  format: jsonl\n")
    t.equal(len(t.clickmill("produce", "--out", "-").out.splitlines()), 7, "lines by the file")
    t.equal(len(t.clickmill("produce", "--out", "-", "--count", 4).out.splitlines()), 4,
            "lines by the command line")
    t.equal(t.clickmill("import", "--json", "-", stdin="{").json["rejected"], 1,
            "the format is known from the file")


def test_wrong_configuration(t):
    cases = [
        ("data: d\nlog_levl: info\n", ["clickmill.yaml:2", "log_levl", "did you mean log_level?"]),
        ("produce:\n  cuont: 7\n", ["clickmill.yaml:2", "produce.cuont",
                                    "did you mean produce.count?"]),
        ("colour: red\n", ["clickmill.yaml:1", "unknown key colour"]),
        ("log_level: loud\n", ["clickmill.yaml:1", "log_level", "loud"]),
        ("produce:\n\n  count: many\n", ["clickmill.yaml:3", "produce.count", "many"]),
        ("data: a\ndata: b\n", ["clickmill.yaml:2", "a second time", "line 1"]),
        ("data: [\n", ["clickmill.yaml:", "not YAML"]),
        ("- data\n", ["clickmill.yaml:1", "mapping"]),
        ("produce: 7\n", ["clickmill.yaml:1", "produce"]),
    ]
    for content, words in cases:
        t.write("clickmill.yaml", content)
        # A key of another command is checked as well.
        for command in (["export"], ["produce", "--count", "1", "--out", "-"]):
            t.says(t.clickmill(*command, check=USAGE), *words)
    os.remove(t.path("clickmill.yaml"))
    t.says(t.clickmill("export", "--config", "none.yaml", check=INPUT), "none.yaml", "No such file")


def test_help(t):
    overview = t.clickmill("help").out
    t.equal(t.clickmill("--help").out, overview, "--help")
    t.true(t.clickmill("--version").out.startswith("clickmill "), "--version")
    for command in ("produce", "import", "process", "query", "export", "dead", "serve", "run"):
        t.true("\n  %s " % command in overview, "%s is not in the overview" % command)
        page = t.clickmill("help", command)
        t.equal(page.err, "", "stderr of help " + command)
        t.equal(t.clickmill(command, "--help").out, page.out, command + " --help")
        t.true(page.out.startswith("Usage: clickmill %s" % command), page.out)
        long = [line for line in page.out.splitlines() if len(line) > 80]
        t.equal(long, [], "lines over 80 columns in help " + command)
    for option in ("--count", "--rate", "--users", "--urls", "--countries", "--seed", "--late",
                   "--repeat", "--out"):
        t.true("  %s " % option in t.clickmill("help", "produce").out.replace("-o, ", "  "), option)


def test_accounts_on_the_right_stream(t):
    result = t.clickmill("import", "--format", "jsonl", "-", stdin=EVENT + "\n{\n")
    t.equal(result.out, "", "stdout without --json")
    t.true("read 2 = accepted 1 + rejected 1 + skipped 0" in result.err, result.err)
    result = t.clickmill("process")
    t.equal(result.out, "", "stdout without --json")
    t.true("accepted 1 = events 1 + duplicates 0" in result.err, result.err)
    account = t.clickmill("process", "--json", "--rebuild")
    t.equal(sorted(json.loads(account.out)),
            ["accepted", "cells", "duplicates", "events", "seconds"], "fields of the account")
    t.equal(account.err, "", "stderr with --json")
