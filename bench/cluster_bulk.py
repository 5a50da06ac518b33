"""Compares bulk indexing of the answers with a bare libcurl loop that sends the same bytes, and with
Python's helpers.bulk. For cluster.py."""

import http.client
import http.server
import itertools
import json
import os
import shutil
import threading

import cluster_peers as peers
from cluster_answers import ALIAS, TOTALS, WINDOWS, request
from stack import cache

CLIENTS = ("elasticsearch==7.17.12",)
SMALL = 300000      # events, in addition to the size of the other stages
HELPERS_SHARE = 10  # Python gets 1/10 of the documents, but no fewer than
HELPERS_LEAST = 50000

# How the Python notebook writes its answers.
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


class Recorder:
    """A proxy between a client and Elasticsearch that records the bodies of bulk requests."""

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
                    with open(os.path.join(folder, "%06d" % number), "wb") as file:
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


def short(count):
    """300000 as 300k, 1000000 as 1M."""
    for unit, name in ((1000000, "M"), (1000, "k")):
        if count % unit == 0:
            return "%d%s" % (count // unit, name)
    return str(count)


class Bulk:
    """The documents of a number of events. The keys of its figures end with `suffix`."""

    def __init__(self, answers, events, suffix):
        self.answers, self.bench, self.suffix = answers, answers.bench, suffix
        self.events, self.port = events, answers.port
        self.work = os.path.join(answers.work, "bulk" + suffix)
        self.bodies = os.path.join(self.work, "bodies")
        self.data = os.path.join(self.work, "data")
        os.makedirs(self.work)

    def process(self, *options):
        return self.answers.run("process", "--data", self.data, *WINDOWS, *options)

    def prepare(self):
        """The documents: in the embedded index, as bulk bodies, and as lines of JSON."""
        self.bench.say("making documents of %d events" % self.events)
        events = os.path.join(self.work, "events.jsonl")
        with open(self.bench.file, "rb") as every, open(events, "wb") as some:
            some.writelines(itertools.islice(every, self.events))
        self.answers.run("import", "--no-process", "--data", self.data, events)
        os.remove(events)
        self.process()
        recorder = Recorder(self.port, self.bodies)
        try:
            self.answers.forget()
            account = self.process(*self.answers.index(recorder.port))
        finally:
            recorder.close()
        self.documents = account["index"]["sent"]
        self.share = min(max(self.documents // HELPERS_SHARE, HELPERS_LEAST), self.documents)
        self.concrete = {alias: next(iter(request(self.port, "GET", "/_alias/" + alias)))
                         for alias in (ALIAS, TOTALS)}
        self.bench.checks["documents of %s events" % short(self.events)] = self.documents
        self.answers.run("verify", "--data", self.data, *self.answers.index())
        self.lines()

    def lines(self):
        """A part of the documents for Python, with their ids."""
        left = self.share
        page = request(self.port, "POST", "/%s,%s/_search?scroll=1m" % (ALIAS, TOTALS),
                       {"size": 5000, "sort": ["_doc"]})
        with open(os.path.join(self.work, "documents.jsonl"), "w", encoding="utf-8") as file:
            while page["hits"]["hits"] and left > 0:
                for hit in page["hits"]["hits"]:
                    file.write(json.dumps(dict(hit["_source"], _id=hit["_id"])) + "\n")
                left -= len(page["hits"]["hits"])
                page = request(self.port, "POST", "/_search/scroll",
                               {"scroll": "1m", "scroll_id": page["_scroll_id"]})

    def counted(self, what, wanted):
        request(self.port, "POST", "/%s-*,%s-*/_refresh" % (ALIAS, TOTALS))
        found = request(self.port, "GET", "/%s-*,%s-*/_count" % (ALIAS, TOTALS))["count"]
        if found != wanted:
            raise RuntimeError("%s: %d documents instead of %d" % (what, found, wanted))

    def make_indices(self):
        """Creates the indices that the recorded bodies name, by the template."""
        self.answers.forget()
        for alias, name in self.concrete.items():
            request(self.port, "PUT", "/" + name, {"aliases": {alias: {}}})

    def round(self, number):
        """The order changes from round to round."""
        first, second = (self.bare, self.ours) if number % 2 == 0 else (self.ours, self.bare)
        first()
        second()
        self.helpers()

    def bare(self):
        self.make_indices()
        peers.settle()
        found = json.loads(peers.output(
            [self.bench.BARE["elastic_bare"],
             "http://127.0.0.1:%d/_bulk?filter_path=errors" % self.port, "2", self.bodies],
            "elastic_bare"))
        self.bench.note("curl_bare" + self.suffix, per_second=self.documents / found["seconds"],
                        cpu_us=found["cpu_us"] / self.documents)
        self.counted("the bare loop", self.documents)

    def ours(self):
        self.answers.forget()
        peers.settle()
        took = self.process(*self.answers.index())["took"]
        self.bench.note("bulk" + self.suffix, per_second=self.documents / took["seconds"],
                        cpu_us=took["cpu"] * 1e6 / self.documents,
                        peak_mb=took["peak_bytes"] / 1e6)
        self.counted("bulk", self.documents)

    def helpers(self):
        self.make_indices()
        peers.settle()
        python = os.path.join(cache.python_packages("bench-elasticsearch", CLIENTS,
                                                    self.bench.say), "bin", "python3")
        text = peers.output([python, "-c", HELPERS, str(self.port), self.concrete[ALIAS],
                             os.path.join(self.work, "documents.jsonl"), str(self.share)],
                            "helpers.bulk")
        self.bench.note("helpers_bulk" + self.suffix, rows=self.share,
                        per_second=float(text.split()[-1]))


def sizes(answers, events):
    """The measured sizes: a small one, which shows fixed costs, and the whole."""
    both = [Bulk(answers, events, "")]
    if events > SMALL:
        both.insert(0, Bulk(answers, SMALL, "_" + short(SMALL)))
    return both
