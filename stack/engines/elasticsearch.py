"""Elasticsearch 7.17 or 8.19, or OpenSearch 2.19: one node.

The archives are those that the vendors publish for integration tests. The servers refuse to run as
root: started by root, they run as the user 65534.
"""

import base64
import http.client
import json
import os
import shutil
import ssl
import stat
import zipfile

from .. import cache
from ..engine import HOST, Engine, NotYet
from ..files import fill, template, write
from ..errors import UsageError

VERSIONS = {"7.17": "7.17.29", "8.19": "8.19.21", "opensearch-2.19": "2.19.6"}
GROUPS = {"elasticsearch": "org.elasticsearch.distribution.integ-test-zip",
          "opensearch": "org.opensearch.distribution.integ-test-zip"}
UNPRIVILEGED = 65534
# Lines of config/jvm.options that make Java write into the folder of the program.
UNWANTED = ("gc.log", "ErrorFile", "HeapDumpPath")


class Elasticsearch(Engine):
    name = "elasticsearch"
    default_ports = {"client": 9200, "transport": 9300}
    memory = 1000
    forks = True  # 8.19 starts the server from a launcher process

    # ---- product and version

    @property
    def product(self):
        return "opensearch" if self.choice["elasticsearch"].startswith("opensearch") else (
            "elasticsearch")

    def version(self):
        chosen = self.choice["elasticsearch"]
        if chosen not in VERSIONS:
            raise UsageError("unknown Elasticsearch %s; the versions are %s" % (chosen, ", ".join(VERSIONS)))
        if self.product == "opensearch" and self.secure:
            raise UsageError("OpenSearch has no secure profile here: the archive lacks its security "
                         "plugin; choose ELASTICSEARCH=7.17 or 8.19")
        prefix = "opensearch-" if self.product == "opensearch" else ""
        return prefix + VERSIONS[chosen]

    @property
    def number(self):
        return self.version().rpartition("-")[2]

    # ---- fetching

    def fetch(self):
        """The folder of the unpacked program."""
        name = "%s-%s" % (self.product, self.number)
        archive = cache.archive(name, "%s:%s:%s:zip" % (
            GROUPS[self.product], self.product, self.number), self.place.java(),
            self.place.say)
        source = template("elasticsearch/RestRoot.java")
        with cache.item(name + "-home", name + source, self.place.say) as (folder, empty):
            home = os.path.join(folder, name)
            if empty:
                with zipfile.ZipFile(archive) as opened:
                    opened.extractall(folder)
                for program in os.listdir(os.path.join(home, "bin")):
                    os.chmod(os.path.join(home, "bin", program), 0o755)
                for missing in ("plugins", "logs"):
                    os.makedirs(os.path.join(home, missing), exist_ok=True)
                if self.choice["elasticsearch"] == "8.19":
                    self.add_root(folder, home, source)
        return home

    def add_root(self, folder, home, source):
        """Compiles the module that answers GET /."""
        module = os.path.join(home, "modules", "clickmill-stack-root")
        classes = os.path.join(folder, "classes")
        os.makedirs(module)
        write(os.path.join(folder, "RestRoot.java"), source)
        cache.run([os.path.join(self.place.java(), "bin", "javac"), "-nowarn", "-d", classes,
                   "-cp", os.path.join(home, "lib", "*"), os.path.join(folder, "RestRoot.java")],
                  "compiling the handler of GET / (this needs a JDK, a JRE is not enough)")
        with zipfile.ZipFile(os.path.join(module, "clickmill-stack-root.jar"), "w") as jar:
            for parent, _, names in os.walk(classes):
                for name in names:
                    path = os.path.join(parent, name)
                    jar.write(path, os.path.relpath(path, classes))
        write(os.path.join(module, "plugin-descriptor.properties"),
              fill(template("elasticsearch/plugin-descriptor.properties"),
                   {"version": self.version()}))

    # ---- starting

    def prepare(self):
        config = os.path.join(self.fetch(), "config")
        with open(os.path.join(config, "jvm.options"), encoding="utf-8") as file:
            write(os.path.join(self.conf, "jvm.options"), "".join(
                line for line in file if not any(word in line for word in UNWANTED)))
        shutil.copy(os.path.join(config, "log4j2.properties"), self.conf)
        extra = "" if self.product == "opensearch" else template(
            "elasticsearch/%s.yml" % self.choice["profile"])
        if self.choice["elasticsearch"] == "8.19":
            # Otherwise it generates certificates by itself.
            extra += "xpack.security.autoconfiguration.enabled: false\n"
        self.configure("node.yml", self.product + ".yml", extra)
        os.makedirs(os.path.join(self.data, "tmp"), exist_ok=True)
        if self.secure:
            self.prepare_secure(config)
        if os.getuid() == 0:
            for folder in (self.conf, self.log, self.data):
                give(folder, UNPRIVILEGED)

    def prepare_secure(self, config):
        tls = os.path.join(self.conf, "tls")
        os.makedirs(tls, exist_ok=True)
        for name in ("ca.pem", "server.pem", "server.key"):
            shutil.copy(os.path.join(self.place.tls, name), tls)
        if os.path.exists(os.path.join(self.conf, "users")):
            return
        for name in ("roles.yml", "role_mapping.yml", "users", "users_roles"):
            shutil.copy(os.path.join(config, name), self.conf)
        user, password = self.login()
        cache.run([os.path.join(self.fetch(), "bin", "elasticsearch-users"), "useradd", user,
                   "-p", password, "-r", "superuser"], "creating Elasticsearch's user",
                  environment={**os.environ, **self.environment()})

    def environment(self):
        prefix = "OPENSEARCH" if self.product == "opensearch" else "ES"
        return {prefix + "_JAVA_HOME": self.place.java(), prefix + "_PATH_CONF": self.conf,
                prefix + "_TMPDIR": os.path.join(self.data, "tmp"),
                prefix + "_JAVA_OPTS": "-Xms512m -Xmx512m -XX:-UsePerfData",
                "HOME": self.data}

    def commands(self):
        home = self.fetch()
        argv = [os.path.join(home, "bin", self.product)]
        if os.getuid() == 0:
            argv = unprivileged((home, self.conf, self.place.java())) + argv
        return [("elasticsearch", argv, self.environment())]

    # ---- clients

    def login(self):
        """(user name, password) of a client."""
        known = self.place.secrets()
        return known["ELASTICSEARCH_USERNAME"], known["ELASTICSEARCH_PASSWORD"]

    def get(self, path):
        """The JSON object that answers a GET."""
        headers = {}
        if self.secure:
            connection = http.client.HTTPSConnection(HOST, self.port(), timeout=5,
                                                     context=self.context())
            headers["Authorization"] = "Basic " + base64.b64encode(
                ("%s:%s" % self.login()).encode()).decode()
        else:
            connection = http.client.HTTPConnection(HOST, self.port(), timeout=5)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            body = answer.read()
        except (http.client.HTTPException, ssl.SSLError) as error:
            raise NotYet(repr(error)) from None
        finally:
            connection.close()
        if answer.status != 200:
            raise NotYet("it answers %d" % answer.status)
        return json.loads(body)

    def probe(self):
        health = self.get("/_cluster/health")
        if health["status"] == "red":
            raise NotYet("the cluster's health is red")
        number = self.get("/")["version"]["number"]
        if number != self.number:
            raise NotYet("it reports the version %s" % number)


def give(folder, owner):
    """Gives a folder with all its files to another user."""
    os.chown(folder, owner, owner)
    for parent, folders, files in os.walk(folder):
        for name in folders + files:
            os.chown(os.path.join(parent, name), owner, owner)


def unprivileged(paths):
    """The words before a command that run it as an unprivileged user. Where that user may not read
    the paths, for example below root's home, the program keeps the capability to read all files."""
    argv = ["setpriv", "--reuid=%d" % UNPRIVILEGED, "--regid=%d" % UNPRIVILEGED, "--clear-groups"]
    if not all(open_to_all(path) for path in paths):
        # Java calls access(2) first, which ignores such capabilities without this secure bit.
        argv += ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search",
                 "--securebits=+no_setuid_fixup"]
    return argv


def open_to_all(path):
    path = os.path.realpath(path)
    while path != "/":
        path = os.path.dirname(path)
        if not os.stat(path).st_mode & stat.S_IXOTH:
            return False
    return True
