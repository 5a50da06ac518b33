"""A small schema registry that the tests serve themselves: the few calls of the published API that
serializers and readers use. It can be told to fail, and counts what it is asked."""

import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import ports
from harness import ROOT, Skip

sys.path.insert(0, ROOT)

try:
    from stack import cache
except ImportError:
    cache = None

CLIENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "registry_client.py")
PACKAGES = ("confluent-kafka[avro,json]==2.16.1",)


class Registry:
    """Runs in a thread of the tests. `down`: the status of every answer; 0 for none at all."""

    def __init__(self):
        self.schemas = []   # the id is the place, from 1 on
        self.subjects = {}  # name: ids, the version is the place, from 1 on
        self.asked = []     # paths of GET
        self.down = None
        self.user = None    # the value of Authorization that is wanted
        self.port = ports.one()
        self.server = None
        self.start()

    @property
    def url(self):
        return "http://127.0.0.1:%d" % self.port

    def start(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), type(
            "Handler", (Handler,), {"registry": self}))
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        """Nothing listens any more; start() begins again with the same schemas."""
        self.server.shutdown()
        self.server.server_close()

    def register(self, subject, schema, kind="AVRO", references=()):
        """Returns the id, as the registry's call does: the same schema has the same id."""
        entry = {"schema": schema if isinstance(schema, str) else json.dumps(schema),
                 "references": list(references)}
        if kind != "AVRO":
            entry["schemaType"] = kind
        if entry not in self.schemas:
            self.schemas.append(entry)
        number = self.schemas.index(entry) + 1
        versions = self.subjects.setdefault(subject, [])
        if number not in versions:
            versions.append(number)
        return number


class Handler(BaseHTTPRequestHandler):
    registry = None
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/vnd.schemaregistry.v1+json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def fails(self):
        registry = self.registry
        if registry.down == 0:
            self.close_connection = True
            return True
        if registry.down is not None:
            self.answer(registry.down, {"error_code": registry.down * 100 + 1, "message": "down"})
            return True
        if registry.user is not None and self.headers["authorization"] != registry.user:
            self.answer(401, {"error_code": 401, "message": "Unauthorized"})
            return True
        return False

    def version(self, subject, number):
        ids = self.registry.subjects.get(subject)
        if ids is None:
            return 404, {"error_code": 40401, "message": "Subject not found"}
        if not 1 <= number <= len(ids):
            return 404, {"error_code": 40402, "message": "Version not found"}
        return 200, {"subject": subject, "version": number, "id": ids[number - 1],
                     **self.registry.schemas[ids[number - 1] - 1]}

    def do_GET(self):
        path = urlsplit(self.path).path
        self.registry.asked.append(self.path)
        if self.fails():
            return
        by_id = re.fullmatch(r"/schemas/ids/(\d+)", path)
        by_version = re.fullmatch(r"/subjects/([^/]+)/versions/(\d+)", path)
        if by_id and 1 <= int(by_id[1]) <= len(self.registry.schemas):
            self.answer(200, self.registry.schemas[int(by_id[1]) - 1])
        elif by_id:
            self.answer(404, {"error_code": 40403, "message": "Schema %s not found" % by_id[1]})
        elif by_version:
            self.answer(*self.version(unquote(by_version[1]), int(by_version[2])))
        else:
            self.answer(404, {"error_code": 404, "message": "HTTP 404 Not Found"})

    def do_POST(self):
        given = json.loads(self.rfile.read(int(self.headers["content-length"])))
        path = re.fullmatch(r"/subjects/([^/]+)(/versions)?", urlsplit(self.path).path)
        if self.fails():
            return
        number = self.registry.register(unquote(path[1]), given["schema"],
                                        given.get("schemaType", "AVRO"),
                                        given.get("references", ()))
        versions = self.registry.subjects[unquote(path[1])]
        self.answer(200, {"id": number, "subject": unquote(path[1]), "schema": given["schema"],
                          "version": versions.index(number) + 1})


def send(brokers, topic, registry, kind, schema, values, references=()):
    """Sends values by confluent-kafka's serializer of this kind, "avro" or "json"."""
    if cache is None:
        raise Skip("stack/ is not there, which installs confluent-kafka")
    home = cache.python_packages("confluent-kafka", PACKAGES, lambda text: None)
    content = json.dumps({"schema": schema, "values": values, "references": list(references)})
    done = subprocess.run([os.path.join(home, "bin", "python"), CLIENT, brokers, topic, registry.url,
                           kind], input=content, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=120, check=False)
    if done.returncode != 0:
        raise AssertionError("confluent-kafka fails\n" + done.stderr)
