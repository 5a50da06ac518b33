"""The answers on the cluster: the mill and Spark from Cassandra, and bulk indexing beside a bare
libcurl loop that sends the same bytes and Python's helpers.bulk. For cluster.py."""

import http.client
import http.server
import json
import os
import shutil
import threading

import cluster_peers as peers
import measure
from stack import cache

CLIENTS = ("elasticsearch==7.17.12",)
SPARK_TIMES = 10  # times the events, for the shapes of a Spark job
HELPERS_SHARE = 10  # Python gets so many times fewer documents
ALIAS, TOTALS = "clickstream_data_index", "clickstream_totals_index"
WINDOWS = ("--window", "all,hour")

# What the Python notebook does with its answers.
HELPERS = """
import json, sys, time
from elasticsearch import Elasticsearch, helpers
port, index, path, count = sys.argv[1:]
client = Elasticsearch("http://127.0.0.1:" + port, timeout=120)
with open(path, encoding="utf-8") as lines:
    documents = [json.loads(next(lines)) for _ in range(int(count))]
actions = [{"_index": index, "_id": document.pop("_id"), "_source": document}
           for document in documents]
started = time.monotonic()
done, _ = helpers.bulk(client, actions)
assert done == len(actions)
print(done / (time.monotonic() - started))
"""


def request(port, method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    try:
        connection.request(method, path, body and json.dumps(body),
                           {"Content-Type": "application/json"} if body else {})
        answer = connection.getresponse()
        said = answer.read()
    finally:
        connection.close()
    if answer.status >= 300 and answer.status != 404:
        raise RuntimeError("%s %s: %d %s" % (method, path, answer.status, said[:300].decode()))
    return json.loads(said) if said else None


class Recorder:
    """Stands between a client and Elasticsearch and keeps the bodies of bulk requests."""

    def __init__(self, port, folder):
        self.folder, self.count, lock = folder, 0, threading.Lock()
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        recorder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
                connection.request(self.command, self.path, body, {
                    name: value for name, value in self.headers.items()
                    if name.lower() in ("content-type", "content-encoding")})
                answer = connection.getresponse()
                said = answer.read()
                connection.close()
                if "/_bulk" in self.path:
                    with lock:
                        number, recorder.count = recorder.count, recorder.count + 1
                    with open(os.path.join(folder, "%06d.gz" % number), "wb") as file:
                        file.write(body)
                self.send_response(answer.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = pass_on

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class Answers:
    """The stage of a Bench that is about answers."""

    def __init__(self, bench):
        self.bench, self.work = bench, os.path.join(bench.work, "answers")
        os.makedirs(self.work)
        self.bodies = os.path.join(self.work, "bodies")
        self.data = os.path.join(self.work, "data")

    @property
    def port(self):
        return self.bench.stack.port("elasticsearch")

    def index(self, port=None):
        return ["--index", "elasticsearch", "--elasticsearch-hosts",
                "http://127.0.0.1:%d" % (port or self.port)]

    def forget(self):
        """Removes the indices, and with them what the last one has left to do."""
        for alias in (ALIAS, TOTALS):
            for name in request(self.port, "GET", "/_alias/" + alias) or ():
                if "error" not in name and name != "status":
                    request(self.port, "DELETE", "/" + name)

    def run(self, *arguments):
        """An account, with wall seconds, CPU seconds and peak memory."""
        path = os.path.join(self.work, "account.json")
        took = measure.run([self.bench.CLICKMILL, *arguments, "--json"], path)
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
        return dict(json.loads(lines[-1]) if lines else {}, took=took)

    # ---- bulk indexing

    def prepare(self):
        """The documents: in the embedded index, as bulk bodies, and as lines of JSON."""
        self.bench.say("making documents")
        self.run("import", "--no-process", "--data", self.data, self.bench.file)
        self.run("process", "--data", self.data, *WINDOWS)
        recorder = Recorder(self.port, self.bodies)
        try:
            self.forget()
            account = self.run("process", "--data", self.data, *WINDOWS, *self.index(recorder.port))
        finally:
            recorder.close()
        self.documents = account["index"]["sent"]
        self.concrete = {alias: next(iter(request(self.port, "GET", "/_alias/" + alias)))
                         for alias in (ALIAS, TOTALS)}
        self.bench.checks["documents of bulk indexing"] = self.documents
        self.run("verify", "--data", self.data, *self.index())

    def counted(self, what, wanted):
        request(self.port, "POST", "/%s-*,%s-*/_refresh" % (ALIAS, TOTALS))
        found = request(self.port, "GET", "/%s-*,%s-*/_count" % (ALIAS, TOTALS))["count"]
        if found != wanted:
            raise RuntimeError("%s: %d documents instead of %d" % (what, found, wanted))

    def make_indices(self):
        """The indices that the recorded bodies name, as the template makes them."""
        self.forget()
        for alias, name in self.concrete.items():
            request(self.port, "PUT", "/" + name, {"aliases": {alias: {}}})

    def bulk(self, number):
        count = self.documents
        self.make_indices()
        peers.settle()
        found = json.loads(peers.output(
            [self.bench.BARE["elastic_bare"], "http://127.0.0.1:%d/_bulk" % self.port, "2",
             self.bodies], "elastic_bare"))
        self.bench.note("curl_bare", per_second=count / found["seconds"],
                        cpu_us=found["cpu_us"] / count)
        self.counted("the bare loop", count)

        self.forget()
        peers.settle()
        took = self.run("process", "--data", self.data, *WINDOWS, *self.index())["took"]
        self.bench.note("bulk", per_second=count / took["seconds"],
                        cpu_us=took["cpu"] * 1e6 / count, peak_mb=took["peak_bytes"] / 1e6)
        self.counted("bulk", count)
        if number == 0:
            self.run("verify", "--data", self.data, *self.index())
            self.lines()

        share = count // HELPERS_SHARE
        self.make_indices()
        peers.settle()
        python = os.path.join(cache.python_packages("bench-elasticsearch", CLIENTS,
                                                    self.bench.say), "bin", "python3")
        text = peers.output([python, "-c", HELPERS, str(self.port), self.concrete[ALIAS],
                             os.path.join(self.work, "documents.jsonl"), str(share)],
                            "helpers.bulk")
        self.bench.note("helpers_bulk", rows=share, per_second=float(text.split()[-1]))

    def lines(self):
        """A share of the documents for Python, with their ids."""
        left = self.documents // HELPERS_SHARE
        page = request(self.port, "POST", "/%s/_search?scroll=1m" % ALIAS,
                       {"size": 5000, "sort": ["_doc"]})
        with open(os.path.join(self.work, "documents.jsonl"), "w", encoding="utf-8") as file:
            while page["hits"]["hits"] and left > 0:
                for hit in page["hits"]["hits"]:
                    file.write(json.dumps(dict(hit["_source"], _id=hit["_id"])) + "\n")
                left -= len(page["hits"]["hits"])
                page = request(self.port, "POST", "/_search/scroll",
                               {"scroll": "1m", "scroll_id": page["_scroll_id"]})

    # ---- mill and Spark on the table in Cassandra

    def mill(self, number):
        """Right after the bare scan: all of the table into answers on this machine."""
        data = os.path.join(self.work, "mill-%d" % number)
        peers.settle()
        done = self.run("process", "--store", "cassandra", "--data", data,
                        *self.bench.cassandra(number))
        if done["events"] + done["duplicates"] != self.bench.size:
            raise RuntimeError("the mill read %d events" % (done["events"] + done["duplicates"]))
        took = done["took"]
        self.bench.note("mill", per_second=self.bench.size / took["seconds"],
                        cpu_us=took["cpu"] * 1e6 / self.bench.size,
                        peak_mb=took["peak_bytes"] / 1e6)
        shutil.rmtree(data)

    def engines(self, number):
        """Both from the same table into an empty index; the answers are compared."""
        for engine, more in (("mill", ()), ("spark", self.bench.spark_options())):
            data = os.path.join(self.work, engine)
            shutil.rmtree(data, ignore_errors=True)
            self.forget()
            peers.settle()
            took = self.run("process", "--store", "cassandra", "--engine", engine, "--data", data,
                            *self.bench.cassandra(number), *self.index(), *more)["took"]
            self.bench.note("engine_" + engine, per_second=self.bench.size / took["seconds"],
                            wall=took["seconds"], cpu_us=took["cpu"] * 1e6 / self.bench.size,
                            peak_mb=took["peak_bytes"] / 1e6)
            if number == 0:
                self.run("verify", "--store", "cassandra", "--data", data,
                         *self.bench.cassandra(number), *self.index())

    # ---- two shapes of a Spark job

    def shapes(self, number):
        """CPU seconds of all of Spark's processes, from start to end."""
        parquet = os.path.join(self.work, "events.parquet")
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "spark_shapes.py")
        submit = [self.bench.spark_submit(), "--master", "local[2]", "--driver-memory", "3g", script]
        if number == 0:
            events = os.path.join(self.work, "spark.jsonl")
            measure.run([self.bench.CLICKMILL, "produce", "--out", "-", "--count", self.bench.size
                         * SPARK_TIMES, *self.bench.SHAPE], events)
            measure.run([*submit, "prepare", events, parquet])
            os.remove(events)
        found = {}
        for shape in ("joined", "job"):
            out = os.path.join(self.work, shape)
            peers.settle()
            took = measure.run([*submit, shape, parquet, out])
            found[shape] = sorted(lines_of(out))
            self.bench.note("spark_" + shape, rows=self.bench.size * SPARK_TIMES,
                            per_second=self.bench.size * SPARK_TIMES / took["seconds"],
                            cpu_us=took["cpu"] * 1e6 / self.bench.size / SPARK_TIMES,
                            peak_mb=took["peak_bytes"] / 1e6)
        if found["job"] != found["joined"]:
            raise RuntimeError("the two shapes of the Spark job give other answers")


def lines_of(folder):
    """The rows of a folder of JSON files, as comparable texts."""
    for name in os.listdir(folder):
        if name.startswith("part-"):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                for line in file:
                    yield json.dumps(json.loads(line), sort_keys=True)
