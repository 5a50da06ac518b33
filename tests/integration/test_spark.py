"""The Spark job: on a cluster of a master and two workers, on OpenSearch, refused, stopped."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import unittest.mock

import documents
import extended_events
import test_answers
from documents import Index
from harness import INPUT, IO, OK, ROOT, USAGE, slow, stretched

JOB = os.path.join(ROOT, "spark", "clickstream_job.py")
LAYOUT = os.path.join(ROOT, "src", "index", "elasticsearch", "layout.c")
sys.path.insert(0, os.path.dirname(JOB))

from clickstream import index as layout, reading  # noqa: E402


class Table:
    """A keyspace for one test, with events in it."""

    def __init__(self, t, name, events, *more):
        self.t, self.stack = t, test_answers.ENGINES.up()
        kafka = ["--brokers", "127.0.0.1:%d" % self.stack.port("kafka"), "--topic", name,
                 "--dead-topic", name + ".dead"]
        self.options = ["--store", "cassandra", "--cassandra-port", self.stack.port("cassandra"),
                        "--cassandra-keyspace", name, *more]
        t.write("events.jsonl", events)
        t.clickmill("import", "--sink", "kafka", *kafka, t.path("events.jsonl"))
        t.clickmill("ingest", "--until-end", *kafka, *self.options, "--cassandra-create")

    def spark(self, index, *more, check=OK, master="local[1]"):
        return self.t.clickmill(
            "process", "--engine", "spark", "--json", "--window", "all,day,hour", *self.options,
            *index.options, *test_answers.spark_options(master), *more, check=check, timeout=400)


@slow
def test_on_a_standalone_cluster(t):
    """One master, two workers; twice: a repetition changes no count. Then a row that is no event."""
    events = test_answers.made(21, 4000)
    table = Table(t, "standalone", events)
    index = Index(table.stack.engine("elasticsearch"), "standalone")
    first = table.spark(index, master=None).json
    expected = documents.wanted(events)
    documents.same(t, index.cells(), expected, "by a master and two workers")
    t.equal((first["accepted"], first["events"], first["duplicates"], first["cells"]),
            (len(test_answers.traffic.distinct(events, test_answers.oracle.row_key)),) * 2
            + (0, len(expected)), "account")
    count = index.count()
    with table.stack.engine("cassandra").connect() as connection:
        connection.query("INSERT INTO standalone.clickstream_events (row_key, user_id, timestamp, "
                         "url) VALUES ('x', '%s', 1772323200000, '/')" % ("u" * 257))
    again = table.spark(index, master=None)
    t.true("1 rows are no events" in again.err, again.err)
    t.equal((again.json["events"], index.count()), (first["events"], count), "a rerun")
    documents.same(t, index.cells(), expected, "after a rerun")

    t.equal((again.json["read"], again.json["rejected"], again.json["removed"]),
            (first["read"] + 1, 1, 0), "account")

    # Documents to which no event leads any more are deleted, also in the totals.
    hour = 3600000
    gone = next(event for event in events if expected[documents.identity(
        event["url"], event.get("country") or "Unknown", "hour",
        event["timestamp"] // hour * hour)]["clicks"] == 1)  # alone in its row
    less = [event for event in events if event["row_key"] != gone["row_key"]]
    with table.stack.engine("cassandra").connect() as connection:
        connection.query("DELETE FROM standalone.clickstream_events WHERE row_key = '%s'"
                         % gone["row_key"])
    removed = table.spark(index, master=None).json["removed"]
    t.true(removed > 0, "nothing was removed")
    events, expected = less, documents.wanted(less)
    documents.same(t, index.cells(), expected, "after a row was deleted")
    check_totals(t, test_answers.without_freshness(index), events)

    # A rebuild moves the aliases to the indices that it has filled.
    before = set(index.request("GET", "/_alias/" + index.alias))
    table.spark(index, "--rebuild")
    after = set(index.request("GET", "/_alias/" + index.alias))
    t.equal((len(after), after & before), (1, set()), "indices behind the alias")
    documents.same(t, index.cells(), expected, "after a rebuild")


def indices(index):
    """All indices of both aliases, whether an alias leads to them or not."""
    return set(index.request("GET", "/%s-*,%s-*?expand_wildcards=all" % (
        index.alias, index.totals)))


# Runs instead of Spark: writes a document and then fails.
FAILS = """#!/usr/bin/env python3
import json, sys, urllib.request
settings = json.load(open(sys.argv[-1]))
name = settings["output"]["elasticsearch"]["cells_index"]
urllib.request.urlopen(urllib.request.Request(
    "%s/%s/_doc/1?refresh=true" % (settings["elastic"]["hosts"][0], name), b'{"window": "all"}',
    {"Content-Type": "application/json"}, method="PUT"))
print(json.dumps({"failure": name + " was made to fail"}))
sys.exit(1)
"""


@slow
def test_opensearch(t):
    """elasticsearch-hadoop refuses OpenSearch; the job writes the same documents as the mill."""
    engine = test_answers.node("opensearch-2.19")
    events = test_answers.made(26, 3000)
    table = Table(t, "sparkopen", events)
    index, mill = Index(engine, "sparkopen"), Index(engine, "millopen")
    account = table.spark(index).json
    expected = documents.wanted(events)
    t.equal((account["events"], account["cells"], account["removed"]), (
        len(test_answers.traffic.distinct(events, test_answers.oracle.row_key)), len(expected), 0),
        "account")
    documents.same(t, index.cells(), expected, "by Spark")
    t.clickmill("process", "--window", "all,day,hour", *table.options, *mill.options)
    t.equal(index.cells(), mill.cells(), "documents by Spark and by the mill")
    t.equal(test_answers.without_freshness(index), test_answers.without_freshness(mill), "totals")
    t.clickmill("verify", *table.options, *index.options)
    test_answers.NODES["opensearch-2.19"].down()


@slow
def test_a_job_that_fails(t):
    """It fails midway: a first run leaves no index, a rebuild changes neither indices nor aliases."""
    events = test_answers.made(27, 300)
    table = Table(t, "sparkfail", events)
    submit = t.write("fails", FAILS)
    os.chmod(submit, 0o755)
    for version in ("7.17", "opensearch-2.19"):
        index = Index(test_answers.node(version), "sparkfail")

        def fails(number, *options):
            failed = t.clickmill(
                "process", "--engine", "spark", *table.options, *index.options, "--spark-submit",
                submit, "--spark-packages", "none", *options, check=IO)
            t.equal(failed.err, "clickmill: the Spark job: sparkfail-%06d was made to fail\n" % number)

        fails(1)
        t.equal(indices(index), set(), "indices after a first run on " + version)
        t.says(t.clickmill("query", *index.options, check=INPUT), "there are no answers yet")
        t.clickmill("process", "--rebuild", *table.options, *index.options)
        before, cells = indices(index), index.cells()
        t.equal(before, {"sparkfail-000001", "sparkfail_totals-000001"}, "indices of the mill")
        fails(2, "--rebuild")
        t.equal((indices(index), index.cells()), (before, cells), "after a rebuild on " + version)
        t.clickmill("verify", *table.options, *index.options)
        # Existing indices stay, whatever the job has written.
        fails(1)
        t.equal(indices(index), before, "after a run on " + version)


BULK = """
import json, pickle, sys
sys.path.insert(0, sys.argv[1])
from clickstream import server as module
from clickstream.errors import JobError
from clickstream.index import Indices
host, name = sys.argv[2:]
server = pickle.loads(pickle.dumps(module.Server({"elastic": {"hosts": ["http://127.0.0.1:1", host]}})))
said = {}
def attempt(what, *arguments):
    try:
        said[what] = arguments[0](*arguments[1:])
    except JobError as error:
        said[what] = str(error)
def lines(*sources):
    return ['{"index":{"_id":"%d"}}\\n%s\\n' % pair for pair in enumerate(sources)]
module.BULK_BYTES = 60  # one or two documents in a request
attempt("written", server.write, name, lines(*['{"clicks":%d}' % n for n in range(5)]))
attempt("refused", server.write, name, lines('{"clicks":"many"}'))
module.BULK_WAITS = (0.1, 0.1)
server.bases = ["http://127.0.0.1:1"]
attempt("away", server.write, name, lines("{}"))
server.bases = [host]
indices = Indices({"index": name + "-a", "totals": name + "-b"}, server)
indices.begin()
said["made"] = sorted(indices.created)
server.expect_ok("PUT", "/%s/_mapping" % indices.totals,
                 {"_meta": {"clickmill": {"epoch": "0" * 32}}})
indices.discard()
print(json.dumps(said))
"""


@slow
def test_bulk_requests_of_the_job(t):
    """Without Spark: what a task sends, what is refused, a server that does not answer. The job deletes
    the index that it has created, but not one that another writer has taken over."""
    for version in ("7.17", "opensearch-2.19"):
        engine = test_answers.node(version)
        index = Index(engine, "sparkbulk")
        host = "http://127.0.0.1:%d" % engine.port()
        index.request("PUT", "/sparkbulk", {"mappings": {"properties": {
            "clicks": {"type": "long"}}}})
        done = subprocess.run(["python3", "-c", BULK, os.path.dirname(JOB), host, "sparkbulk"],
                              capture_output=True, text=True, check=True)
        said = json.loads(done.stdout)
        index.request("POST", "/sparkbulk/_refresh")
        found = index.request("GET", "/sparkbulk/_search?sort=clicks")["hits"]["hits"]
        t.equal([(hit["_id"], hit["_source"]) for hit in found],
                [(str(number), {"clicks": number}) for number in range(5)], "written")
        t.equal(said["written"], None)
        t.true(said["refused"].startswith(
            "sparkbulk refuses the document 0: {\"type\": \"mapper_parsing_exception\""),
            said["refused"])
        t.true(re.fullmatch(
            r"Elasticsearch at http://127.0.0.1:1 answers nothing \(.*refused.*\) to a bulk request "
            r"for sparkbulk, repeated for 0 minutes", said["away"]), said["away"])
        t.equal(said["made"], ["sparkbulk-a-000001", "sparkbulk-b-000001"], "made")
        t.equal(set(index.request("GET", "/sparkbulk-*")), {"sparkbulk-b-000001"}, "left")
    test_answers.NODES["opensearch-2.19"].down()


STRANGE = BULK[:BULK.index("host, name =")] + """
import http.server, threading, types
asked, moved, answers = [], [], {}
made = {"/lost-000001": None, "/theirs-000001": "theirs", "/third-000003": None}
class Fake(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked.append((self.command, self.path.partition("?")[0], self.headers.get("Authorization")))
        path = asked[-1][1]
        status, text = 200, answers.get(path, "{}")
        if path == "/_aliases":  # done, but the answer is lost; the second time there is no old index
            status, text = (404, '{"error": "no such index [old]"}') if moved else (503, "")
            moved.append(json.loads(body))
        elif path in made:
            self.make(path, body)
            return
        elif path.startswith("/_alias/"):
            text = json.dumps({"new-" + path[8:] if moved else "old-" + path[8:]: {}})
        elif path.startswith("/new-"):
            text = json.dumps({path[1:]: {"aliases": {path[5:]: {}} if moved else {}, "mappings": {}}})
        elif text.startswith("http"):
            status = 302
        self.send_response(status)
        self.send_header("Location", text if status == 302 else "/")
        self.end_headers()
        self.wfile.write(text.encode())
    do_GET = do_PUT = do_DELETE = do_POST
    def make(self, path, body):
        index = made[path]
        if self.command == "PUT" and index == "theirs":  # another process was faster
            made[path] = {"mappings": {"_meta": {"clickmill": {"made": "0" * 32}}}}
        elif self.command == "PUT" and index is None:  # created, but the answer is lost
            made[path] = json.loads(body)
            return
        status, text = (400, '{"error": {"type": "resource_already_exists_exception"}}') if (
            self.command == "PUT") else (200, json.dumps({path[1:]: made[path]}))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())
def serve():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Fake)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return "http://127.0.0.1:%d" % server.server_port
host = serve()
server = module.Server({"elastic": {"hosts": [host]},
                        "secrets": {"elastic": {"username": "u", "password": "p"}}})
said = {"host": host}
def attempt(what, *arguments):
    try:
        said[what] = arguments[0](*arguments[1:])
    except JobError as error:
        said[what] = str(error)
pairs = [b'{"index":{"_id":"0"}}\\n{}\\n']
answers.update({"/empty/_bulk": "", "/page/_bulk": "<html>", "/list/_bulk": "[]",
                "/led/_bulk": serve() + "/elsewhere", "/good/_bulk": '{"errors":false}'})
for name in ("empty", "page", "list", "led", "good"):
    attempt(name, server.bulk, name, pairs)
said["elsewhere"] = [path for _, path, _ in asked if path == "/elsewhere"]
module.time = types.SimpleNamespace(sleep=lambda seconds: None)
indices = Indices({"index": "a", "totals": "b"}, server)
indices.replaces, indices.cells, indices.totals = True, "new-a", "new-b"
indices.created = ["new-a", "new-b"]
attempt("move", indices.move_aliases)
indices.discard()
answers["/third-*/_alias"] = '{"third-000002": {}, "third-other": {}, "third-1x": {}}'
makers = {name: Indices({}, server) for name in ("lost", "theirs", "third")}
for name, maker in makers.items():
    attempt("make " + name, maker.create, name, False, name != "third")
    said["made " + name] = maker.created
said["aliases"] = [made["/lost-000001"]["aliases"], made["/third-000003"]["aliases"]]
said["moves"], said["gone"] = len(moved), [path for what, path, _ in asked if what == "DELETE"]
print(json.dumps(said))
"""


def test_answers_that_are_none(t):
    """The page of a proxy does not mean that documents were written. A redirect gets no password.
    Aliases that were moved although the answer was lost stay at the new indices. An index that was
    created although the answer was lost is ours, but not one that another process has created
    meanwhile."""
    done = subprocess.run(["python3", "-c", STRANGE, os.path.dirname(JOB)], capture_output=True,
                          text=True, check=False, timeout=60)
    t.equal((done.returncode, done.stderr), (0, ""))
    said = json.loads(done.stdout)
    for name, text in (("empty", "{}"), ("page", '{"error": "<html>"}'), ("list", '{"error": []}')):
        t.equal(said[name], "Elasticsearch at %s answers 200 (%s) to a bulk request for %s" % (
            said["host"], text, name))
    t.true("answers 302 " in said["led"], said["led"])
    t.equal((said["good"], said["elsewhere"]), (None, []))
    t.equal((said["move"], said["moves"], said["gone"]), (None, 2, []), "aliases")
    for name, index in (("lost", "lost-000001"), ("third", "third-000003")):
        t.equal((said["make " + name], said["made " + name]), (index, [index]), name)
    t.equal(said["aliases"], [{"lost": {}}, {}], "aliases of what was made")
    t.true("resource_already_exists_exception" in said["make theirs"], said["make theirs"])
    t.equal(said["made theirs"], [], "created by another process")


def test_spark_without_a_connector(t):
    """Spark 4 has none for Cassandra: exit status 2 before anything is started."""
    def submit(name, banner):
        path = t.write(name, "#!/bin/sh\n[ \"$1\" = --version ] || exit 9\n"
                             "cat >&2 <<'END'\n%s\nEND\n" % banner)
        os.chmod(path, 0o755)
        return path

    process = ["process", "--engine", "spark", "--store", "cassandra", "--index", "elasticsearch",
               "--cassandra-port", 1, "--elasticsearch-hosts", "http://127.0.0.1:1",
               "--spark-submit"]
    four = submit("four", "   /___/ .__/\\_,_/_/ /_/\\_\\   version 4.0.1\n      /_/\n\n"
                          "Using Scala version 2.13.16, OpenJDK 64-Bit Server VM, 17.0.19")
    refused = t.clickmill(*process, four, check=USAGE)
    t.equal(refused.err, "clickmill: %s is Spark 4.0.1 with Scala 2.13, for which there is no "
            "tested connector for Cassandra: install Spark 3.5 (`pip install "
            "pyspark==3.5.7`) and name it with --spark-submit, or name a connector with "
            "--spark-packages, or use --engine mill, which needs no Spark\n" % four)
    # With a named connector, or with Spark 3.5, the settings are checked next.
    more = ["--cassandra-tls", "--cassandra-insecure"]
    named = t.clickmill(*process, four, *more, "--spark-packages", "org.example:own_2.13:1",
                        "--debug", "spark", check=USAGE)
    t.says(named, "always checks Cassandra's certificate")
    t.true('context=spark msg="spark-submit found" path=%s packages=org.example:own_2.13:1 given=yes\n'
           % four in named.err, named.err)
    t.says(t.clickmill(*process, submit("three", "   version 3.5.7\nUsing Scala version 2.12.18, "),
                       *more, check=USAGE), "always checks Cassandra's certificate")
    t.says(t.clickmill(*process, submit("none", "JAVA_HOME is not set"), check=USAGE),
           "--version` does not tell the release of a Spark", "Java 17")


PURE = """
import base64, json, sys
sys.path.insert(0, sys.argv[1])
from clickstream.errors import JobError
from clickstream.server import base_of, cloud_host
from clickstream.tls import trust_store
def cloud(text):
    try:
        return cloud_host(text)
    except JobError as error:
        return str(error)
print(json.dumps({
    "bases": [base_of(host) for host in (
        "es", "es:1", "http://es", "https://es", "https://es:9243/path/", "http://[::1]:92", "[::1]")],
    "clouds": [cloud("mine:" + base64.b64encode(text.encode()).decode()) for text in (
        "eu.example.com$abc$def", "eu.example.com:9243$abc$def", "nothing")],
    "store": trust_store(sys.argv[2], True)}))
"""


@slow
def test_addresses_and_key_store(t):
    """The job reads addresses as clickmill does, and Java reads the job's key store."""
    stack = test_answers.SPARK.up()
    spark = stack.engine("spark")
    spark.fetch()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", t.path("key"), "-out",
                    t.path("ca.pem"), "-subj", "/CN=clickmill test", "-days", "2"], check=True,
                   capture_output=True)
    done = subprocess.run([os.path.join(spark.environment_folder, "bin", "python3"), "-c", PURE,
                           os.path.dirname(JOB), t.path("ca.pem")], check=True,
                          capture_output=True, text=True)
    found = json.loads(done.stdout)
    t.equal(found["bases"], ["http://es:9200", "http://es:1", "http://es:80", "https://es:443",
                             "https://es:9243/path", "http://[::1]:92", "http://[::1]:9200"])
    t.equal(found["clouds"], ["https://abc.eu.example.com:443", "https://abc.eu.example.com:9243",
                              "the cloud_id is not valid: it is NAME:BASE64, as Elastic Cloud shows it"])
    t.equal(found["store"], t.path("ca.pem") + ".clickmill.jks")
    listed = subprocess.run([os.path.join(spark.place.java(), "bin", "keytool"), "-list", "-v", "-keystore",
                             found["store"], "-storetype", "JKS", "-storepass", "clickmill"],
                            check=True, capture_output=True, text=True).stdout
    t.equal(re.findall("Owner: (.*)|Entry type: (.*)", listed),
            [("", "trustedCertEntry"), ("CN=clickmill test", "")], listed)


@slow
def test_stopped(t):
    """Ctrl-C ends Spark as well, and leaves neither a file with passwords nor an index."""
    table = Table(t, "sparkstop", test_answers.made(22, 500))
    index = Index(table.stack.engine("elasticsearch"), "sparkstop")
    os.mkdir(t.path("tmp"))
    running = t.start("process", "--engine", "spark", *table.options, *index.options,
                      *test_answers.spark_options("local[1]"), env={"TMPDIR": t.path("tmp")})
    child = t.until(lambda: children(running.process.pid), "Spark", 60, running)[0]
    modes = {name: os.stat(os.path.join(parent, name)).st_mode & 0o777
             for parent, _, names in os.walk(t.path("tmp")) for name in names
             if name == "settings.json"}
    t.equal(modes, {"settings.json": 0o600}, "who can read the settings")
    running.process.send_signal(signal.SIGINT)
    running.wait(timeout=40)
    t.until(lambda: not group(child), "the end of Spark's processes", 20)
    t.equal([name for name in os.listdir(t.path("tmp")) if name.startswith("clickmill-")], [],
            "files that are left")
    t.equal(indices(index), set(), "indices that are left")


@slow
def test_where_no_clickmill_has_been(t):
    """The job alone, as on Databricks: it creates the same as `doctor --fix`, and rebuilds."""
    events = test_answers.made(25, 600)
    table = Table(t, "sparkalone", events)
    index = Index(table.stack.engine("elasticsearch"), "sparkalone")
    other = Index(table.stack.engine("elasticsearch"), "bydoctor")
    t.clickmill("doctor", "--fix", *other.options, check=None)
    settings = {
        "input": {"cassandra": {"keyspace": "sparkalone", "table": "clickstream_events"}},
        "windows": ["all", "day", "hour"],
        "output": {"elasticsearch": {"index": index.alias, "totals": index.totals}},
        "options": {"spark.cassandra.connection.port": str(table.stack.port("cassandra"))},
        "elastic": {"hosts": ["http://127.0.0.1:%d" % index.engine.port()]}}
    expected = documents.wanted(events)
    for number, rebuild in ((1, False), (2, True), (2, False)):
        settings["output"]["elasticsearch"]["rebuild"] = rebuild
        account = run_job(t, settings)
        t.equal((account["read"], account["cells"], account["removed"]),
                (len(test_answers.traffic.distinct(events, test_answers.oracle.row_key)),
                 len(expected), 0), "account")
        t.equal(set(index.request("GET", "/_alias/" + index.alias)),
                {"%s-%06d" % (index.alias, number)}, "what the alias leads to")
        documents.same(t, index.cells(), expected, "by the job alone")
    for ours, theirs in ((index.alias, other.alias), (index.totals, other.totals)):
        t.equal(mapping(index, ours), mapping(index, theirs), "mapping")
    t.clickmill("query", *index.options)
    t.clickmill("verify", *table.options, *index.options, "--window", "all,day,hour")


def mapping(index, alias):
    (about,) = index.request("GET", "/%s/_mapping" % alias).values()
    return {name: value for name, value in about["mappings"].items() if name != "_meta"}


def run_job(t, settings, check=0):
    """The account of spark-submit clickstream_job.py."""
    options = test_answers.spark_options("local[1]")
    done = subprocess.run(
        [options[options.index("--spark-submit") + 1], "--master", "local[1]", JOB,
         t.write("settings.json", json.dumps(settings))],
        capture_output=True, text=True, check=False, timeout=stretched(300))
    t.equal(done.returncode, check, done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])["account"]


SECURE = test_answers.cluster.SECURE


@slow
def test_locked(t):
    """TLS with a private authority, and passwords, which no command line shows. A wrong password is
    reported in a sentence."""
    stack = SECURE.up()
    known, engine = stack.secrets(), stack.engine("elasticsearch")
    index = Index(engine, "locked")
    t.write("cassandra-password", known["CASSANDRA_PASSWORD"] + "\n")
    t.write("elasticsearch-password", known["ELASTICSEARCH_PASSWORD"] + "\n")
    cassandra = ["--cassandra-port", stack.port("cassandra"), "--cassandra-keyspace", "locked",
                 "--cassandra-tls", "--cassandra-ca", stack.tls("ca.pem"),
                 "--cassandra-username", known["CASSANDRA_USERNAME"]]
    secret = ["--cassandra-password", "file:cassandra-password"]
    elastic = [*index.options, "--elasticsearch-ca", stack.tls("ca.pem"),
               "--elasticsearch-username", known["ELASTICSEARCH_USERNAME"],
               "--elasticsearch-password", "file:elasticsearch-password"]
    command = ["process", "--engine", "spark", "--store", "cassandra", "--json", *cassandra]
    t.clickmill("doctor", "--fix", "--store", "cassandra", *cassandra, *secret, check=None)
    with stack.engine("cassandra").connect() as connection:
        for number in range(3):
            connection.query("INSERT INTO locked.clickstream_events (row_key, user_id, timestamp, "
                             "url) VALUES ('%d', 'u', %d, '/')" % (number, 1772323200000 + number))
    spark = test_answers.spark_options("local[1]")
    running = t.start(*command, *secret, *elastic, *spark)
    shown = t.until(lambda: [arguments(pid) for pid in children(running.process.pid)], "Spark", 60,
                    running)
    t.true(not any(known[name] in text for text in shown for name in (
        "CASSANDRA_PASSWORD", "ELASTICSEARCH_PASSWORD")), "a password is in a command line")
    done = running.wait(OK, timeout=300)
    account = json.loads(done.out)
    t.equal((account["events"], account["cells"]), (3, 1), "account")
    (document,) = index.cells().values()
    t.equal((document["clicks"], document["country"]), (3, "Unknown"), "document")
    t.write("wrong", "not-it")
    wrong = t.clickmill(*command, "--cassandra-password", "file:wrong", *elastic, *spark,
                        check=USAGE)
    t.says(wrong, "refuses the credentials", "CASSANDRA_PASSWORD")
    wrong = t.clickmill(*command, *secret, *elastic, *spark, "--elasticsearch-password",
                        "file:wrong", check=USAGE)
    t.says(wrong, "elasticsearch.password")
    lacking = t.clickmill(*command, *secret, *elastic, *spark, "--cassandra-insecure", check=USAGE)
    t.says(lacking, "cassandra.tls.ca", "--engine mill")


def arguments(pid):
    try:
        with open("/proc/%d/cmdline" % pid, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def children(pid):
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split()]


def group(leader):
    """The processes of a group, without zombies."""
    found = subprocess.run(["ps", "-e", "-o", "pgid=,stat="], capture_output=True, text=True,
                           check=True)
    return [line for line in found.stdout.splitlines()
            if line.split()[0] == str(leader) and not line.split()[1].startswith("Z")]


@slow
def test_what_goes_wrong(t):
    """A job that fails: the reason comes from its log."""
    table = Table(t, "sparkwrong", test_answers.made(23, 100))
    index = Index(table.stack.engine("elasticsearch"), "sparkwrong")
    failed = table.spark(index, "--spark-property", "spark.sql.shuffle.partitions=none", check=None)
    t.equal(failed.code, 4, failed.err)
    t.says(failed, "ended with status", "shuffle.partitions")


def test_no_spark(t):
    """Without spark-submit, and with a store that Spark cannot read."""
    cluster = ["--store", "cassandra", "--index", "elasticsearch"]
    t.says(t.clickmill("process", "--engine", "spark", *cluster, check=USAGE,
                       env={"PATH": "/nowhere", "SPARK_HOME": ""}),
           "spark-submit is not there", "--spark-submit", "--engine mill")
    t.says(t.clickmill("process", "--engine", "spark", check=USAGE), "--store cassandra",
           "--index elasticsearch")


def test_the_job_reads_a_quorum(t):
    """By default the connector reads one replica, which may lack acknowledged events."""
    level = "spark.cassandra.input.consistency.level"
    for options, configured, wanted in (
            ({}, None, {level: "LOCAL_QUORUM"}),
            ({level: "ALL"}, None, {level: "ALL"}),
            ({}, "QUORUM", {})):
        spark = unittest.mock.Mock()
        spark.conf.get = {level: configured}.get
        reading.read(spark, {"input": {"cassandra": {"keyspace": "k", "table": "t"}}, "options": options})
        t.equal(spark.read.format.return_value.options.call_args.kwargs,
                {"keyspace": "k", "table": "t", **wanted}, "options of %r" % options)


def test_the_mapping_of_the_job(t):
    """The index that the job creates has the fields of clickmill's own layout."""
    with open(LAYOUT, encoding="utf-8") as file:
        found = re.findall(r'\{"(\w+)", "(\w+)", (?:NULL|"(\w+)"), (true|false)\}', file.read())
    t.true(len(found) >= 20, "fields of the layout: %s" % found)
    for totals in (False, True):
        wanted = {name: {"type": kind, **({"format": form} if form else {})}
                  for name, kind, form, only in found if totals or only == "false"}
        wanted["URL"] = {"type": "alias", "path": "url"}
        t.equal(layout.mapping(totals), {"dynamic": False, "properties": wanted},
                "fields of the %s" % ("totals" if totals else "cells"))


# ---- optional fields

@slow
def test_optional_fields(t):
    """Answers are those of the page views alone, with the columns and, where the setting does not say that
    they are ours, without; rows whose optional fields break a rule are left out."""
    events = extended_events.mixed(64, 4000)
    table = Table(t, "sparkwide", events, "--cassandra-extended")
    index = Index(table.stack.engine("elasticsearch"), "sparkwide")
    account = table.spark(index).json
    documents.same(t, index.cells(), documents.wanted(events), "page views alone")
    t.equal([account[name] for name in ("read", "accepted", "events", "duplicates", "rejected")],
            [len(events), len(events), len(events), 0, 0], "account")
    check_totals(t, test_answers.without_freshness(index), events)
    mill = Index(table.stack.engine("elasticsearch"), "millwide")
    account = test_answers.process(t, mill, *table.options).json
    t.equal((account["events"], account["duplicates"]), (len(events), 0), "account of the mill")
    t.equal(index.cells(), mill.cells(), "documents by Spark and by the mill")
    t.equal(test_answers.without_freshness(index), test_answers.without_freshness(mill), "totals")
    t.clickmill("verify", *table.options, *index.options)

    # Nulls, as another program leaves them, are page views; so is the name that says it.
    bad = {"props": "{'a': '{}'}", "name": "'%s'" % ("n" * 65), "language": "'%s'" % ("l" * 65)}
    with table.stack.engine("cassandra").connect() as connection:
        for number, (name, value) in enumerate({**bad, "referrer": "null", "utm_term": "'x'"}.items()):
            connection.query(
                "INSERT INTO sparkwide.clickstream_events (row_key, user_id, timestamp, url, name, %s) "
                "VALUES ('more%d', 'more', %d, '/more', 'pageview', %s)" % (
                    name, number, 1772323200000 + number, value)
                if name != "name" else
                "INSERT INTO sparkwide.clickstream_events (row_key, user_id, timestamp, url, name) "
                "VALUES ('more%d', 'more', %d, '/more', %s)" % (number, 1772323200000 + number, value))
    again = table.spark(index).json
    t.equal([again[name] for name in ("read", "rejected")], [len(events) + 5, len(bad)], "account")
    more = [{"row_key": "more%d" % number, "user_id": "more", "timestamp": 1772323200000 + number,
             "url": "/more"} for number in (3, 4)]
    documents.same(t, index.cells(), documents.wanted(events + more), "rows of another program")

    # Without the setting every row is a page view, as in the first edition.
    table.options.remove("--cassandra-extended")
    t.equal(table.spark(index).json["rejected"], 0, "without the setting")
    plain = [extended_events.nine(event) for event in events]
    plain += [dict(more[0], row_key="more%d" % number, timestamp=1772323200000 + number)
              for number in range(5)]
    documents.same(t, index.cells(), documents.wanted(plain), "without the setting")


@slow
def test_optional_fields_of_a_file(t):
    """The same from JSON, where several events have one row key, and one that is no page view may be the
    one that counts; and lines whose optional fields break a rule."""
    events = extended_events.mixed(65, 3000)
    chance = random.Random(66)
    shared = []
    for number in range(2000):
        event = {"row_key": "shared%d" % (number % 700), "user_id": "shared", "url": "/%d" % (number % 3),
                 "timestamp": 1772323200000 + number % 700 * 1000, "country": "Chile"}
        event.update({name: "%s%d" % (name[0], chance.randrange(2)) for name in chance.sample(
            ("city", "browser", "name", "referrer", "browser_version", "language", "region"), 2)})
        if chance.randrange(3) == 0:
            event["props"] = {"a": chance.randrange(2)}
        shared.append(event)
    broken = ({"name": "n" * 65}, {"referrer": "r" * 2049}, {"utm_term": "t" * 257}, {"region": "r" * 65},
              {"name": "engagement"}, {"name": "other", "engaged_ms": 1}, {"engaged_ms": 1},
              {"name": "engagement", "engaged_ms": 86400001}, {"props": {"a": {"b": 1}}},
              {"props": {"a": [1]}}, {"props": {"k" * 65: 1}}, {"props": {"a": "v" * 257}},
              {"props": {"": 1}}, {"props": {str(key): 1 for key in range(33)}})
    right = ({"name": None}, {"name": ""}, {"props": None}, {"props": ""}, {"props": {}},
             {"props": {"a": None, "": ""}}, {"props": {"k" * 64: "v" * 256}},
             {"props": {str(key): 1 for key in range(32)}})
    bad = [{"user_id": "bad", "timestamp": 1772323200000, "url": "/bad", **fields} for fields in broken]
    good = [{"row_key": "good%d" % number, "user_id": "good", "timestamp": 1772323200000 + number,
             "url": "/good", **fields} for number, fields in enumerate(right)]
    found = alone(t, "".join(json.dumps(event, ensure_ascii=False) + "\n"
                             for event in events + shared + good + bad), "all", "day", "hour")
    read = events + shared + good
    got, totals = {}, {}
    for row in found["rows"]:
        kept = {name: value for name, value in row.items()
                if value is not None and name not in ("document_id", "updated_at")}
        (totals if "dimension" in kept else got)[row["document_id"]] = documents.exact(kept)
    documents.same(t, got, documents.wanted(read), "cells")
    check_totals(t, totals, read)
    t.equal(found["account"], {"read": len(read + bad), "accepted": len(read), "rejected": len(bad)})


# ---- the job alone

ALONE = """
import json, sys
sys.path.insert(0, sys.argv[1])
from clickstream import job
from clickstream.contract import windows_of
with open(sys.argv[2]) as file:
    settings = json.load(file)
spark = job.session(settings)
sums, _ = job.answers(job.read(spark, settings), settings)
cells = job.documents(job.cells_of(sums, windows_of(settings)[:1]), 0)
plan = cells._jdf.queryExecution().toString()
account = job.run(settings, spark)
rows = [row.asDict() for row in spark.read.parquet(settings["output"]["parquet"]).collect()]
rows += [row.asDict() for row in job.documents(job.totals_of(job.cells_of(
    sums, windows_of(settings))), 0).collect()]
print(json.dumps({"plan": plan[plan.index("== Physical Plan =="):], "account": account,
                  "rows": rows}))
"""


def alone(t, lines, *windows):
    """The job's results for lines of JSON, in a small Spark without connectors."""
    settings = {"input": {"json": t.write("events.jsonl", lines)}, "windows": windows,
                "output": {"parquet": t.path("out.parquet")},
                "options": {"spark.sql.shuffle.partitions": "3"}}
    options = test_answers.spark_options("local[1]")
    done = subprocess.run(
        [options[options.index("--spark-submit") + 1], "--master", "local[1]", "--conf",
         "spark.jars=", t.write("alone.py", ALONE), os.path.dirname(JOB),
         t.write("settings.json", json.dumps(settings))],
        capture_output=True, text=True, check=False, timeout=stretched(300))
    t.equal(done.returncode, 0, done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


@slow
def test_the_job_alone(t):
    """Late, repeated and tied events, some without a row key, 10,000 keys that different events share,
    and lines that are no events: every row equals the oracle's, the totals too. Spark exchanges the
    events once and joins nothing."""
    events = test_answers.traffic.events(24, 5000, users=400)
    events += test_answers.traffic.shared(25, 10000)
    more = [{"user_id": "when", "timestamp": time, "url": "/time"}
            for time in ("1772323200000", "2026-03-01T00:00:00.500Z", "2026-03-01T01:00:01+01:00")]
    bad = ["not json", '{"user_id": "", "timestamp": 1, "url": "/"}',
           '{"user_id": "u", "timestamp": 0, "url": "/"}',
           '{"user_id": "u", "timestamp": "2026-03-01", "url": "/"}',
           '{"user_id": "u", "timestamp": 1, "url": "/", "city": "%s"}' % ("c" * 257)]
    lines = [json.dumps(event, ensure_ascii=False) for event in events + more] + bad
    found = alone(t, "\n".join(lines) + "\n", "all", "day", "hour")
    read = events + [dict(event, timestamp=1772323200000 + late)
                     for event, late in zip(more, (0, 500, 1000))]
    got, totals = {}, {}
    for row in found["rows"]:
        kept = {name: value for name, value in row.items()
                if value is not None and name not in ("document_id", "updated_at")}
        (totals if "dimension" in kept else got)[row["document_id"]] = documents.exact(kept)
    documents.same(t, got, documents.wanted(read), "cells")
    check_totals(t, totals, read)
    t.equal(found["account"], {"read": len(lines), "accepted": len(read), "rejected": len(bad)})
    plan = found["plan"]
    t.equal((plan.count("Exchange "), len(re.findall("Join", plan))), (2, 0),
            "exchanges (of events, of sums) and joins of\n" + plan)
    t.equal(len(re.findall(r"Sort \[user_hash[^\n]*time_ms", plan)), 1, "sorts of events of\n" + plan)
    t.true(plan.index("HashAggregate") < plan.rindex("Exchange hashpartitioning(user_hash"),
           "the exchange by user is not the first thing\n" + plan)


def check_totals(t, totals, events):
    """Compares the totals per url, per country and of the site with the oracle: a total equals the
    cells when the missing dimension is the same for all events."""
    for dimension, same in (("url", ["country"]), ("country", ["url"]), ("site", ["url", "country"])):
        database = test_answers.oracle.load(events)
        for name in same:
            database.execute("UPDATE timeline SET %s = ''" % name)
        for window in documents.WINDOWS:
            for row in test_answers.oracle.answers(database, window):
                start, url, country, clicks, users, average, total, count, on_page = row[:9]
                got = totals.pop(documents.identity(url, country, window, start))
                t.equal((got["dimension"], got.get("url", ""), got.get("country", "")),
                        (dimension, url, country))
                t.equal((got["clicks"], got["unique_user_count"], got.get("average_time_spent"),
                         got["time_spent_sum"], got["time_spent_count"],
                         got.get("average_time_on_page"), got["entrances"], got["exits"]),
                        (clicks, users, average, total, count, on_page, *row[9:]), "%s %s" % (
                            dimension, row[:3]))
        database.close()
    t.equal(totals, {}, "totals that nothing leads to")
