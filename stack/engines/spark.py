"""Spark 3.5: a standalone master with two workers, from the Python package.

Its directory contains a `spark-submit` that is configured for this master and has the connectors for
Cassandra, Elasticsearch and Kafka.
"""

import glob
import http.client
import json
import os
import ssl

from .. import cache
from ..engine import HOST, Engine, NotYet
from ..files import fill, template, write

VERSION = "3.5.7"
WORKERS = 2
TLS_OFFSET = 400  # Spark's page with TLS is at the port of the page without TLS plus this


class Spark(Engine):
    name = "spark"
    # By default the master's page is at 8080, which is Clickmill's port.
    default_ports = {"master": 7077, "master_page": 8180,
                     "worker_1": 7078, "worker_1_page": 8181,
                     "worker_2": 7079, "worker_2_page": 8182}
    memory = 900

    def __init__(self, place, choice):
        super().__init__(place, choice)
        if self.secure:
            self.ports.update({use + "_tls": port + TLS_OFFSET
                               for use, port in list(self.ports.items()) if "page" in use})

    def version(self):
        return VERSION

    def fetch(self):
        """The folder of the program."""
        self.environment_folder = cache.python_packages(
            "pyspark-" + VERSION, ("pyspark==" + VERSION,), self.place.say)
        self.jars()
        return glob.glob(os.path.join(self.environment_folder,
                                      "lib/python3*/site-packages/pyspark"))[0]

    def jars(self):
        """The jars of the connectors, separated by commas."""
        pom = fill(template("spark/pom.xml"), {"version": VERSION})
        folder = cache.jars("spark-connectors-" + VERSION, pom, self.place.java(), self.place.say)
        return ",".join(sorted(glob.glob(os.path.join(folder, "*.jar"))))

    # ---- starting

    def prepare(self):
        home = self.fetch()
        self.configure("plain.conf", "spark-defaults.conf",
                       template("spark/secure.conf") if self.secure else "", jars=self.jars())
        # The output of the jobs is more interesting than that of Spark.
        self.configure("log4j2.properties", "log4j2.properties", level="warn")
        daemons = os.path.join(self.conf, "daemons")
        os.makedirs(daemons, exist_ok=True)
        self.configure("plain.conf", "daemons/spark-defaults.conf",
                       template("spark/secure.conf") if self.secure else "", jars="")
        self.configure("log4j2.properties", "daemons/log4j2.properties", level="info")
        script = os.path.join(self.directory, "spark-submit")
        write(script, fill(template("spark/spark-submit"), {
            "java_home": self.place.java(), "spark_home": home, "conf": self.conf, "host": HOST,
            "python": os.path.join(self.environment_folder, "bin", "python3")}), 0o755)

    def commands(self):
        home = self.fetch()
        environment = {"SPARK_HOME": home, "SPARK_CONF_DIR": os.path.join(self.conf, "daemons"),
                       "SPARK_LOCAL_IP": HOST, "SPARK_DAEMON_MEMORY": "512m",
                       "PYSPARK_PYTHON": os.path.join(self.environment_folder, "bin", "python3")}
        program = os.path.join(home, "bin", "spark-class")

        def node(role, kind, *more):
            use = role.replace("-", "_")
            return role, [program, "org.apache.spark.deploy." + kind, "--host", HOST,
                          "--port", str(self.ports[use]),
                          "--webui-port", str(self.ports[use + "_page"]), *more], environment

        return [node("master", "master.Master")] + [
            node("worker-%d" % number, "worker.Worker", "--cores", "1", "--memory", "1g",
                 "--work-dir", os.path.join(self.data, "worker-%d" % number),
                 "spark://%s:%d" % (HOST, self.ports["master"]))
            for number in range(1, WORKERS + 1)]

    # ---- clients

    def master(self):
        """The state of the master as a JSON object."""
        if self.secure:
            connection = http.client.HTTPSConnection(HOST, self.ports["master_page_tls"],
                                                     timeout=5, context=self.context())
        else:
            connection = http.client.HTTPConnection(HOST, self.ports["master_page"], timeout=5)
        try:
            connection.request("GET", "/json/")
            answer = connection.getresponse()
            body = answer.read()
        except (http.client.HTTPException, ssl.SSLError) as error:
            raise NotYet(repr(error)) from None
        finally:
            connection.close()
        if answer.status != 200:
            raise NotYet("the master's page answers %d" % answer.status)
        return json.loads(body)

    def probe(self):
        shown = self.master()
        if shown["status"] != "ALIVE" or shown["aliveworkers"] != WORKERS:
            raise NotYet("the master is %s and has %d of %d workers" % (
                shown["status"], shown["aliveworkers"], WORKERS))
