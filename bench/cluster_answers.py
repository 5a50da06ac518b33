"""The answers on the cluster: the mill and Spark from Cassandra. For cluster.py; bulk indexing is in
cluster_bulk.py."""

import http.client
import json
import os
import shutil

import cluster_peers as peers
import measure

SPARK_TIMES = 10  # times as many events, for the shapes of a Spark job
FEW = 1000  # events, for the fixed cost of such a job
ALIAS, TOTALS = "clickstream_data_index", "clickstream_totals_index"
WINDOWS = ("--window", "all,hour")


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


class Answers:
    """The stage of a Bench for answers."""

    def __init__(self, bench):
        self.bench, self.work = bench, os.path.join(bench.work, "answers")
        os.makedirs(self.work)

    @property
    def port(self):
        return self.bench.stack.port("elasticsearch")

    def index(self, port=None):
        return ["--index", "elasticsearch", "--elasticsearch-hosts",
                "http://127.0.0.1:%d" % (port or self.port)]

    def forget(self):
        """Deletes the indices, and with them the work that the last run has left to the server."""
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

    # ---- mill and Spark on the table in Cassandra

    def mill(self, number):
        """Directly after the bare scan: the whole table into answers on this machine."""
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
        """Mill and Spark from the same table into an empty index; the answers are compared."""
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

    def submit(self, *arguments):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "spark_shapes.py")
        return measure.run([self.bench.spark_submit(), "--master", "local[2]", "--driver-memory",
                            "3g", script, *arguments])

    def prepare_shapes(self):
        """The events in Parquet, and few of them, for the fixed cost of a job."""
        self.parquet, self.few = [os.path.join(self.work, name + ".parquet")
                                  for name in ("events", "few")]
        self.shaped = self.bench.size * self.bench.spark_times
        events = os.path.join(self.work, "spark.jsonl")
        for count, parquet in ((FEW, self.few), (self.shaped, self.parquet)):
            measure.run([self.bench.CLICKMILL, "produce", "--out", "-", "--count", count,
                         *self.bench.SHAPE], events)
            self.submit("prepare", events, parquet)
        os.remove(events)

    def shapes(self, number):
        """CPU seconds of all of Spark's processes, from start to end; and without the cost of a job of
        few events: the start of Java, of Spark and of its compiler."""
        found = {}
        for shape in ("joined", "job"):
            out = os.path.join(self.work, shape)
            peers.settle()
            start = self.submit(shape, self.few, out)["cpu"]
            peers.settle()
            took = self.submit(shape, self.parquet, out)
            found[shape] = sorted(lines_of(out))
            self.bench.note("spark_" + shape, rows=self.shaped,
                            per_second=self.shaped / took["seconds"],
                            cpu_us=took["cpu"] * 1e6 / self.shaped,
                            own_cpu_us=(took["cpu"] - start) * 1e6 / self.shaped,
                            start_cpu=start, peak_mb=took["peak_bytes"] / 1e6)
        if found["job"] != found["joined"]:
            raise RuntimeError("the two shapes of the Spark job give other answers")


def lines_of(folder):
    """The rows of a folder of JSON files, as comparable strings."""
    for name in os.listdir(folder):
        if name.startswith("part-"):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                for line in file:
                    yield json.dumps(json.loads(line), sort_keys=True)
