"""The columns of the optional fields in a real Cassandra: with them, without them, and in between."""

import csv
import io
import json
import subprocess

import cluster
import oracle
from extended_events import is_view, key_of, mixed, nine
from harness import DIFFER, OK, USAGE, slow
from oracle import EXTRA, canonical
from test_cassandra import OnlyWriter, Place, lines

EXTENDED = "--cassandra-extended"

# The optional columns as another client finds them, by row key; an absent one may be null or empty.
READ_BACK = """
import json, sys
from cassandra.cluster import Cluster
session = Cluster([sys.argv[1]], port=int(sys.argv[2])).connect(sys.argv[3])
names = sys.argv[4].split()
for row in session.execute("SELECT row_key, %s FROM clickstream_events" % ", ".join(names), timeout=60):
    found = {name: dict(value) if name == "props" and value is not None else value
             for name, value in zip(names, row[1:])}
    print(json.dumps([row[0], {name: value for name, value in found.items() if value or value == 0}]))
"""


class Table:
    """A topic and a keyspace, and the events that are sent into them."""

    def __init__(self, t, name):
        self.t, self.place = t, Place(t, name)

    def send(self, events):
        self.t.write("events.jsonl", "".join(json.dumps(event, ensure_ascii=False) + "\n"
                                             for event in events))
        self.t.clickmill("import", "--sink", "kafka", *self.place.kafka, self.t.path("events.jsonl"))

    def exported(self, *more):
        return lines(self.t.clickmill("export", "--store", "cassandra", *self.place.cassandra, *more).out)

    def read_back(self):
        done = subprocess.run(
            [cluster.python(), "-c", READ_BACK, "127.0.0.1", str(self.place.stack.port("cassandra")),
             self.place.name, " ".join(EXTRA)], capture_output=True, timeout=180, check=False)
        self.t.equal((done.returncode, done.stderr.decode()), (0, ""), "the other client")
        return dict(map(json.loads, done.stdout.splitlines()))

    def query(self, text):
        with self.place.stack.engine("cassandra").connect() as connection:
            return connection.query(text)


def row_of(event):
    """The optional columns of an event's row: values of props are JSON as they were written."""
    row = oracle.extras(event)
    if "props" in row:
        row["props"] = {name: oracle.json_text(value) for name, value in event["props"].items()}
    return row


@slow
def test_all_fields(t):
    """Every field of every event comes back, to us and to another client; and a later event replaces the
    whole row, also by one with fewer fields."""
    table = Table(t, "wide")
    events = mixed(61, 3000)
    table.send(events)
    account = table.place.ingest(EXTENDED)
    t.equal((account["accepted"], account["rejected"], account.get("lost_fields")), (len(events), 0, None))
    table.place.same(table.exported(EXTENDED), lines("\n".join(map(canonical, events))))
    t.equal(table.read_back(), {key_of(event): row_of(event) for event in events}, "columns")

    # CSV has the same, props as JSON.
    rows = list(csv.DictReader(io.StringIO(t.clickmill(
        "export", "--format", "csv", "--store", "cassandra", *table.place.cassandra, EXTENDED).out)))
    t.equal({row["row_key"]: {name: row[name] for name in EXTRA} for row in rows},
            {key_of(event): {name: str(oracle.extras(event).get(name, "")) for name in EXTRA}
             for event in events}, "CSV")
    # Who does not know the columns reads page views of nine fields, as ever.
    table.place.same(table.exported(), lines("\n".join(canonical(nine(event)) for event in events)))

    # Each key again with other fields or with none: nothing is left of the event before.
    later = [dict(nine(event), **({} if number % 3 else {"name": "later", "props": {"only": number}}))
             for number, event in enumerate(events)]
    table.send(later)
    table.place.ingest(EXTENDED)
    table.place.same(table.exported(EXTENDED), lines("\n".join(map(canonical, later))))
    # A message of a plain producer has nine fields, and some of them only.
    plain = {"user_id": "plain", "timestamp": 1747476303000, "url": "/plain"}
    table.send([plain])
    table.place.ingest(EXTENDED)
    t.true(canonical(plain) in table.exported(EXTENDED), "the plain producer's event")


@slow
def test_nine_columns(t):
    """Without the setting nothing is dropped in silence: fields are counted, other events are dead
    letters until the table has their columns."""
    table = Table(t, "narrow")
    place = table.place
    events = mixed(62, 2000)
    views = [event for event in events if is_view(event)]
    others = [event for event in events if not is_view(event)]
    table.send(events)
    account = place.ingest()
    lost = {name: sum(name in event for event in views) for name in EXTRA if name != "name"}
    t.equal((account["accepted"], account["rejected"]), (len(views), len(others)))
    t.equal(account["lost_fields"], {name: count for name, count in lost.items() if count > 0})
    place.same(table.exported(), lines("\n".join(canonical(nine(event)) for event in views)))
    columns = table.query("SELECT column_name FROM system_schema.columns WHERE keyspace_name = 'narrow'")
    t.equal(len(columns), 9, "columns")

    letters = [json.loads(line) for line in t.clickmill(
        "dead", "list", "--from", "kafka", "--json", *place.kafka).out.splitlines()]
    t.equal(sorted(letter["payload"] for letter in letters), lines("\n".join(map(canonical, others))))
    t.equal({letter["reason"] for letter in letters},
            {"an event with the name %s needs cassandra.extended" % event["name"] for event in others})
    key = json.loads(letters[0]["payload"])["row_key"]
    t.equal(letters[0]["origin"], "narrow.clickstream_events[%s]" % key)
    # As text: one line for all fields.
    table.send(views[:1])
    table.send([dict(views[0], row_key="one more", referrer="r", language="es")])
    told = t.clickmill("ingest", "--store", "cassandra", "--until-end", *place.options)
    t.true("fields for which the table has no columns were left out: " in told.err
           and "referrer of " in told.err and "; cassandra.extended keeps them" in told.err, told.err)

    # The setting alone does not alter the table, also where missing tables may be made.
    refused = t.clickmill("ingest", "--store", "cassandra", "--until-end", *place.options, EXTENDED,
                          check=USAGE)
    t.says(refused, "table narrow.clickstream_events", "has no columns name, referrer, utm_source",
           "`clickmill doctor --fix`")
    for command in ("export", "process"):
        t.says(t.clickmill(command, "--store", "cassandra", *place.cassandra[:4], EXTENDED, check=USAGE),
               "has no columns name", "doctor --fix")
    doctor = ["doctor", "--store", "cassandra", *place.cassandra[:4], EXTENDED]
    t.true("has no columns name" in t.clickmill(*doctor, check=USAGE).out, "doctor")
    t.true("with the columns of the optional fields" in t.clickmill(*doctor, "--fix").out, "doctor --fix")
    t.clickmill(*doctor)

    # Now the letters can be replayed, through the topic.
    before = table.exported(EXTENDED)
    replayed = t.clickmill("dead", "replay", "--from", "kafka", "--json", *place.kafka).json
    t.equal((replayed["accepted"], replayed["rejected"]), (len(others), 0))
    t.equal(place.ingest(EXTENDED)["accepted"], len(others))
    place.same(table.exported(EXTENDED), sorted(before + [canonical(event) for event in others]))


@slow
def test_run(t):
    """In one process with the embedded store, both have the same events: without the columns page views
    of nine fields, and with them everything."""
    table = Table(t, "runwide")
    events = mixed(67, 500)
    views = [event for event in events if is_view(event)]
    table.send(events)
    for keyspace, more, wanted in (("runwide", [], [nine(event) for event in views]),
                                   ("runwider", [EXTENDED], events)):
        options = [*table.place.options, "--group", keyspace, "--cassandra-keyspace", keyspace, *more]
        running = t.start("run", "--no-demo", "--sink", "kafka", "--store", "cassandra", *options, "--data",
                          keyspace, "--listen", "127.0.0.1:%d" % (table.place.stack.port("cassandra") + 101),
                          "--json")
        t.until(lambda: "%d events, " % len(wanted) in running.err, "all events", 60, running)
        account = json.loads(running.stop().out)
        t.equal((account["accepted"], account["rejected"]), (len(wanted), len(events) - len(wanted)))
        t.equal("lost_fields" in account, not more, "lost fields")
        lines_wanted = lines("\n".join(map(canonical, wanted)))
        table.place.same(lines(t.clickmill("export", "--data", keyspace).out), lines_wanted)
        table.place.same(table.exported("--cassandra-keyspace", keyspace, *more), lines_wanted)


@slow
def test_columns_of_others(t):
    """Columns of these names that are not ours are never read or written without the setting, and refused
    with it."""
    table = Table(t, "foreign")
    place = table.place
    table.query("CREATE KEYSPACE foreign WITH replication = "
                "{'class': 'SimpleStrategy', 'replication_factor': 1}")
    table.query("CREATE TABLE foreign.clickstream_events (row_key text PRIMARY KEY, user_id text, "
                "timestamp timestamp, url text, country text, city text, browser text, os text, "
                "device text, name blob, props text)")
    events = [{"user_id": "u", "timestamp": 1747476303000 + number, "url": "/"} for number in range(20)]
    table.send(events)
    place.ingest()
    table.query("UPDATE foreign.clickstream_events SET name = 0xff, props = 'x' WHERE row_key = '%s'"
                % key_of(events[3]))
    place.same(table.exported(), lines("\n".join(map(canonical, events))))
    for more in ([], ["--fix"]):
        found = t.clickmill("doctor", "--store", "cassandra", *place.cassandra[:4], EXTENDED, *more,
                            check=USAGE)
        t.true("column name is of type blob, not text as cassandra.extended has it" in found.out, found.out)
    t.equal(len(table.query(
        "SELECT column_name FROM system_schema.columns WHERE keyspace_name = 'foreign'")), 11)


@slow
def test_the_copy(t):
    """What has changed is enough also for optional fields, and `verify` looks at them."""
    only = OnlyWriter(t, "onlywide")
    place = only.place
    events = mixed(63, 2000)

    place.options += [EXTENDED]
    only.send(*events)
    place.ingest(*only.option)
    t.equal(only.process(), {"full": True, "rows": len(events),
                             "why": "the data directory has no copy of it yet"})
    # Optional fields that change, come and go; and events that are as they were.
    changed = [dict(event, row_key=key_of(event), referrer="https://b.example/") for event in events[:40]]
    changed += [nine(event) for event in events[40:80]]
    same = [event for event in events[80:100]]
    only.send(*changed, *same)
    place.ingest(*only.option)
    differ = sum(canonical(old) != canonical(new) for old, new in zip(events, changed))
    t.equal(only.process(), {"full": False, "rows": 100, "changed": differ})
    t.true("none differs" in only.verify().err, "what verify says")
    with place.stack.engine("cassandra").connect() as connection:
        for number, sets in enumerate(("name = 'theirs'", "props = {'a': '1'}", "utm_term = 'theirs'")):
            connection.query("UPDATE onlywide.clickstream_events SET %s WHERE row_key = '%s'" % (
                sets, key_of(events[200 + number])))
    found = only.verify(check=DIFFER)
    t.says(found, "3 rows")
    # Without the setting the copy is another one.
    place.options.remove(EXTENDED)
    read = t.clickmill("process", "--store", "cassandra", "--json", "--data", "changes", *place.cassandra,
                       *only.option, check=OK).json["cassandra"]
    t.equal((read["full"], read["why"]), (True, "cassandra.extended was set when it was read"))
