"""Visitors whose ids live for one UTC day: what a count of different users is called."""

import json

import test_answers
from collect_support import SITE, TIME, Collector, event, good
from documents import Index
from harness import DIFFER, OK, patient, slow
from kafka_support import kafka

DAY = 86_400_000


def visit(number, timestamp=TIME, **fields):
    """A server's event of a visitor without a name."""
    return event(user_id=..., ip="203.0.113.%d" % number, user_agent="curl/8.5.0",
                 row_key="visit-%d-%d" % (number, timestamp), timestamp=timestamp, **fields)


def kinds(collector, count):
    """What the API calls the users of `count` events: over all time, per day, per hour."""
    collector.t.until(
        lambda: collector.get("/api/summary").json["freshness"]["events"] == count,
        "the answers have %d events" % count, process=collector.process)
    return [collector.get("/api/summary?window=" + window).json["visitors"]
            for window in ("all", "day", "hour")]


@patient
def test_recorded_by_the_collector(t):
    """Ids that live for a day make a count over more days one of daily visitors, no other count."""
    run = Collector(t, "--no-demo", "--every", "100ms", "--bots", "keep", command=("run",))
    t.equal(kinds(run, 0), ["users"] * 3, "no events")
    good(t, run.ask([event(row_key="a"), event(row_key="b", timestamp=TIME + DAY)]), 2)
    t.equal(kinds(run, 2), ["users"] * 3, "named users over two days")
    good(t, run.ask([visit(1)]))
    t.equal(kinds(run, 3), ["daily", "users", "users"], "a visitor without a name")
    run.stop()
    again = Collector(t, "--no-demo", "--every", "100ms", command=("run",), check=False)
    t.equal(kinds(again, 3), ["daily", "users", "users"], "after a restart")
    again.process.stop()


@patient
def test_one_day_has_users(t):
    """As long as all events are of one UTC day, each visitor has one id."""
    run = Collector(t, "--no-demo", "--every", "100ms", "--bots", "keep", command=("run",))
    start = TIME - TIME % DAY
    good(t, run.ask([visit(1, start), visit(2, start + DAY - 1)]), 2)
    t.equal(kinds(run, 2), ["users"] * 3, "one day")
    good(t, run.ask([visit(1, start + DAY)]))
    t.equal(kinds(run, 3), ["daily", "users", "users"], "a millisecond later")
    run.stop()


def test_other_ids_are_users(t):
    """Hashes of addresses outlive the day."""
    run = Collector(t, "--no-demo", "--every", "100ms", "--bots", "keep", "--visitor",
                    "address-hash", command=("run",))
    good(t, run.ask([visit(1), visit(1, TIME + DAY)]), 2)
    t.equal(kinds(run, 2), ["users"] * 3, "two days")
    run.stop()


def test_said_by_the_configuration(t):
    """Of events that came from elsewhere the configuration says it."""
    t.write("clickmill.yaml", "visitors: daily\n")
    run = Collector(t, "--no-demo", "--every", "100ms", command=("run",))
    good(t, run.ask([event(row_key="a")]))
    t.equal(kinds(run, 1), ["users"] * 3, "one day")
    good(t, run.ask([event(row_key="b", timestamp=TIME + DAY)]))
    t.equal(kinds(run, 2), ["daily", "users", "users"], "two days")
    run.stop()


NOTE = ("users are daily visitors: one who came on three days counts as three, because ids of "
        "visitors live for one UTC day\n")


def test_query_says_daily_visitors(t):
    """In the table's heading, in each object of JSON, and on stderr; not where a row is one day."""
    collector = Collector(t, "--bots", "keep")
    good(t, collector.ask([visit(1), visit(2), visit(1, TIME + DAY)]), 3)
    collector.stop()
    t.process()
    table = t.clickmill("query", "pages")
    t.equal([name.strip() for name in table.out.splitlines()[0].split("  ") if name.strip()],
            ["url", "clicks", "daily visitors", "time spent", "on page", "entrances", "exits"],
            "headings")
    t.equal(table.err, NOTE, "note below the table")
    rows = t.clickmill("query", "summary", "--json")
    t.equal([(row["unique_user_count"], row["visitors"]) for row in json.loads(rows.out)],
            [(2, "daily")], "JSON")
    t.equal(rows.err, NOTE, "note beside JSON")
    by_users = t.clickmill("query", "--format", "csv", "--sort", "unique_user_count")
    t.equal(t.clickmill("query", "--format", "csv", "--sort", "daily visitors").out, by_users.out,
            "sorted by the heading")
    t.equal(by_users.err, NOTE, "note beside CSV")
    days = t.clickmill("query", "summary", "--window", "day", "--json")
    t.equal((days.err, ["visitors" in row for row in json.loads(days.out)]), ("", [False, False]),
            "days have true visitors")
    t.true("  users  " in t.clickmill("query", "--window", "hour").out.split("\n")[0], "hours")


# ---- who says it ----

DAYS = [event(row_key="a", user_id="ann"), event(row_key="b", user_id="ben", timestamp=TIME + DAY)]


def users(t, *options):
    """What `query` calls the users: "daily" or "users"; the note is printed only for the first."""
    asked = t.clickmill("query", "summary", "--json", *options)
    called = json.loads(asked.out)[0].get("visitors", "users")
    t.equal(asked.err, NOTE if called == "daily" else "", "stderr")
    return called


def test_said_by_the_program_that_computes(t):
    """The answers carry it to programs whose configuration does not say it."""
    t.ingest(DAYS)
    t.process()
    t.equal(users(t), "users", "no program says it")
    t.equal(users(t, "--visitors", "daily"), "daily", "the one that reads")
    t.clickmill("process", "--visitors", "daily")
    t.equal(users(t), "daily", "the one that computed")
    t.process()
    t.equal(users(t), "users", "computed again without")


def test_cookies_are_users(t):
    """A random id in a cookie outlives the day."""
    run = Collector(t, "--no-demo", "--every", "100ms", "--visitor", "cookie", "--sites",
                    "shop.example", command=("run",))
    good(t, run.page({"url": SITE + "/a"}))
    good(t, run.ask(event(row_key="older", timestamp=TIME - DAY)))
    t.equal(kinds(run, 2), ["users"] * 3, "two days")
    run.stop()


def test_both_kinds_of_ids(t):
    """Named users of two days, and one visitor without a name: the sum is of daily visitors, and no
    page, country or period of more than a day is called otherwise."""
    collector = Collector(t, "--bots", "keep")
    good(t, collector.ask([*DAYS, visit(1)]), 3)
    collector.stop()
    t.process()
    for listing in ("answers", "pages", "countries", "summary"):
        asked = t.clickmill("query", listing)
        t.true("daily visitors" in asked.out.splitlines()[0], listing)
        t.equal(asked.err, NOTE, listing)
    t.ingest(DAYS, data="named")
    t.process(data="named")
    t.equal(users(t, "--data", "named"), "users", "the named users alone")


def test_answers_of_files(t):
    """`import --to-answers` prints CSV, which has no word for users: the note is on stderr."""
    t.write("days.jsonl", DAYS)
    t.write("day.jsonl", DAYS[:1])
    for name, daily in (("days.jsonl", True), ("day.jsonl", False)):
        plain = t.clickmill("import", "--to-answers", t.path(name))
        said = t.clickmill("import", "--to-answers", "--visitors", "daily", t.path(name))
        t.equal(said.out, plain.out, "answers of " + name)
        t.equal((NOTE in said.err, NOTE in plain.err), (daily, False), "note of " + name)


def test_a_topic_does_not_say_it(t):
    """A collector that sends to Kafka says at its start what to configure."""
    note = ("ids of visitors live for one UTC day, which a topic does not say: set `visitors: daily` "
            "in the configuration of the programs that compute and show answers\n")
    cases = {"plain": (True, []), "said": (False, ["--visitors", "daily"]),
             "cookie": (False, ["--visitor", "cookie"]),
             "hash": (False, ["--visitor", "address-hash"])}
    started = {name: t.start("collect", "--listen", "127.0.0.1:0", "--data", name, "--sink", "kafka",
                             "--brokers", "127.0.0.1:1", "--topic", "clicks", *options)
               for name, (_, options) in cases.items()}
    for name, process in started.items():
        t.until(lambda: "taking events on" in process.err, "it starts", process=process)
    t.until(lambda: note in started["plain"].err, "the note", process=started["plain"])
    for name, process in started.items():
        t.equal(note in process.err, cases[name][0], name)
        process.process.kill()  # else it waits for Kafka


def test_recovered(t):
    """`recover` saves what the collector has recorded."""
    collector = Collector(t, "--bots", "keep")
    good(t, collector.ask([visit(1), visit(1, TIME + DAY)]), 2)
    collector.stop()
    t.clickmill("recover", "--to", "saved")
    t.process(data="saved")
    t.equal(users(t, "--data", "saved"), "daily", "saved")


# ---- on the cluster ----

@slow
def test_in_elasticsearch(t):
    """A document of the freshness carries what the store has recorded, as soon as it is recorded."""
    index = Index(test_answers.node("7.17"), "daily")
    collector = Collector(t, "--bots", "keep")
    good(t, collector.ask(DAYS), 2)
    collector.stop()

    def documents():
        """`visitors` of the three documents of freshness."""
        totals = index.documents(index.totals)
        return [totals["freshness:" + window].get("visitors") for window in ("all", "day", "hour")]

    def follow(wanted, called, *options):
        t.clickmill("process", "--window", "all,day,hour", *index.options, *options)
        t.equal(documents(), wanted, "documents")
        t.equal(users(t, *index.options), called, "query")
        t.clickmill("verify", *index.options, *options)

    follow([None] * 3, "users")
    t.equal(users(t, *index.options, "--visitors", "daily"), "daily", "said by the reader")
    follow(["daily", "users", "users"], "daily", "--visitors", "daily")
    follow([None] * 3, "users")
    collector = Collector(t, "--bots", "keep")
    good(t, collector.ask([visit(1)]))
    collector.stop()
    follow(["daily", "users", "users"], "daily")
    # Another writer's document, which does not say it.
    index.request("POST", "/%s/_update/freshness:all?refresh=true" % index.totals,
                  {"doc": {"visitors": "users"}})
    t.equal(users(t, *index.options), "users", "the wrong document")
    wrong = t.clickmill("verify", "--window", "all", *index.options, check=DIFFER)
    t.true(wrong.err.split(" s, ")[1].startswith(
        "1 differs: 1 with the wrong word for the users of all time\n") and
        "the index calls the users of all time users, but by the events they are daily visitors\n"
        in wrong.err, wrong.err)
    t.equal(json.loads(t.clickmill("verify", "--json", "--window", "all", *index.options,
                                   check=DIFFER).out)["visitors"],
            {"index": "users", "events": "daily"}, "JSON")
    t.clickmill("process", "--rebuild", "--window", "all", *index.options)
    t.clickmill("verify", "--window", "all", *index.options)


@slow
def test_through_kafka_and_cassandra(t):
    """Neither keeps the record: the configuration of what computes says it, for the mill and for
    Spark, and the answers carry it."""
    stack = test_answers.ENGINES.up()
    kafka = ["--brokers", "127.0.0.1:%d" % stack.port("kafka"), "--topic", "daily", "--dead-topic",
             "daily.dead", "--group", "daily"]
    cassandra = ["--store", "cassandra", "--cassandra-port", stack.port("cassandra"),
                 "--cassandra-keyspace", "daily"]
    mill, spark = (Index(stack.engine("elasticsearch"), name) for name in ("dailymill", "dailyspark"))

    def send(timestamp):
        collector = Collector(t, "--sink", "kafka", *kafka[:4], "--bots", "keep")
        good(t, collector.ask([visit(1, timestamp), visit(2, timestamp)]), 2)
        collector.process.stop(OK, timeout=60)
        t.clickmill("ingest", "--until-end", *kafka, *cassandra, "--cassandra-create", timeout=180)

    def compute(called):
        said = ("--visitors", "daily")
        by_spark = ["--engine", "spark", *test_answers.spark_options("local[1]")]
        for index, options in ((mill, []), (spark, by_spark)):
            t.clickmill("process", "--window", "all,day", *cassandra, *index.options, *said, *options,
                        timeout=400)
            totals = index.documents(index.totals)
            t.equal([totals["freshness:" + window].get("visitors") for window in ("all", "day")],
                    [called, "users"], "documents of " + index.alias)
            t.equal(users(t, *index.options), called, "query of " + index.alias)
            t.clickmill("verify", *cassandra, *index.options, *said, timeout=180)
        t.equal(users(t), called, "the copy of the mill")

    send(TIME)
    compute("users")
    send(TIME + DAY)
    compute("daily")
    t.clickmill("process", "--window", "all,day", *cassandra, *mill.options, timeout=180)
    t.equal((users(t, *mill.options), users(t)), ("users", "users"), "computed without saying it")
    wrong = t.clickmill("verify", *cassandra, *mill.options, "--visitors", "daily", timeout=180)
    t.true("none differs" in wrong.err, wrong.err)  # with this configuration it is read so


@slow
def test_run_gets_them_back(t):
    """`run` records it although its events go through a topic."""
    topic = kafka().topic()
    run = Collector(t, "--no-demo", "--every", "100ms", "--bots", "keep", "--sink", "kafka",
                    *topic.options, command=("run",))
    good(t, run.ask(DAYS), 2)
    t.equal(kinds(run, 2), ["users"] * 3, "named users")
    good(t, run.ask([visit(1)]))
    t.equal(kinds(run, 3), ["daily", "users", "users"], "a visitor without a name")
    run.process.stop(OK, timeout=60)
    t.equal(users(t), "daily", "the record")
