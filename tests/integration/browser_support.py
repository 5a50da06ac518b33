"""What the tests of the tracker share: Chromium, driven by tests/browser/driver.js, and web servers
that record what a browser sends and answer as badly as a test wants."""

import http.client
import http.server
import json
import os
import queue
import re
import shutil
import subprocess
import threading
import time

from harness import BUILD, ROOT, stretched

DRIVER = os.path.join(ROOT, "tests", "browser", "driver.js")
MODULES = os.path.join(ROOT, "build", "browser", "node_modules")
NODE = os.path.join(ROOT, "build", "web", "bin")  # where setup.sh leaves it
DESKTOP = ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
           "Chrome/131.0.0.0 Safari/537.36")
PHONE = ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
         "Gecko) Version/17.5 Mobile/15E148 Safari/604.1")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
STUB = ("window.clickmill = window.clickmill ||"
        "function () { (clickmill.q = clickmill.q || []).push(arguments); };")


class Browser:
    """A running Chromium; `with Browser(t) as browser`. Visitors and pages are numbers."""

    def __init__(self, t):
        chromium = shutil.which("chromium")
        node = shutil.which("node") or shutil.which("node", path=NODE)
        if chromium is None:
            t.skip("chromium is not installed (Debian package chromium)")
        if node is None or not os.path.isdir(os.path.join(MODULES, "playwright-core")):
            t.skip("playwright-core is not in build/browser: run scripts/setup.sh test")
        with open(t.path("driver.err"), "wb") as err:
            self.process = subprocess.Popen(
                [node, DRIVER, MODULES, chromium], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=err, text=True, env=t.environment({"HOME": t.dir, "TMPDIR": t.dir}))
        t.started.append(self)
        self.errors_path, self.answers = t.path("driver.err"), queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self._answer()

    def _read(self):
        for line in self.process.stdout:
            self.answers.put(json.loads(line))
        self.answers.put({"error": "the driver of Chromium has ended"})

    def _answer(self):
        try:
            answer = self.answers.get(timeout=stretched(60))
        except queue.Empty:
            answer = {"error": "Chromium does not answer"}
        if "error" in answer:
            with open(self.errors_path, encoding="utf-8", errors="replace") as file:
                raise AssertionError("%s\n%s" % (answer["error"], file.read()))
        return answer["value"]

    def __call__(self, command, **values):
        self.process.stdin.write(json.dumps({"command": command, **values}) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def visitor(self, agent=DESKTOP, script=None, **options):
        return self("visitor", options={"userAgent": agent, **options}, script=script)

    def open(self, visitor, url):
        return self("open", visitor=visitor, url=url)

    def evaluate(self, page, script):
        """What the script gives; once more where the page went to another meanwhile."""
        try:
            return self("evaluate", page=page, script=script)
        except AssertionError as failure:
            if "context was destroyed" not in str(failure):
                raise
            return self("evaluate", page=page, script=script)

    def running(self):
        return self.process.poll() is None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()


class Web:
    """A web server on a free port of 127.0.0.1. It has `pages`, a dict of path to (headers, html);
    it has the tracker; and it records the POSTs to /v1/events, in order, and answers the next of
    them with the next of `answers` and those after with 202:

    a number   that status
    "lost"     takes the request and closes the connection without an answer

    With an `upstream` port all that it does not answer so goes there, and comes back, unchanged.
    """

    def __init__(self, port=0, upstream=None):
        self.pages, self.answers, self.posts, self.upstream = {}, [], [], upstream
        self.gate = threading.Event()  # cleared: POSTs wait for their answers
        self.gate.set()
        self.lock = threading.Lock()
        web = self

        class Handler(Request):
            owner = web

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.origin = "http://127.0.0.1:%d" % self.port
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def page(self, path, snippet='<script defer src="/clickmill.js"></script>', **headers):
        """Adds a page with the snippet in its head; its title is its path."""
        self.pages[path] = (headers, "<!doctype html><html><head><title>%s</title>%s</head>"
                            "<body><h1>%s</h1></body></html>" % (path, snippet, path))
        return self.origin + path

    def bodies(self):
        return [post["body"] for post in list(self.posts)]

    def events(self):
        """The events of all requests, each id once, in order of arrival."""
        found = {}
        for body in self.bodies():
            for event in json.loads(body):
                found.setdefault(event["row_key"], event)
        return list(found.values())

    def views(self):
        return [event for event in self.events() if "name" not in event]

    def urls(self):
        """Those of the page views."""
        return [event["url"] for event in self.views()]

    def named(self, name):
        """The events of that name."""
        return [event for event in self.events() if event.get("name") == name]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A browser that goes is no error."""


class Request(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner = None

    def log_message(self, *_):
        """stderr is the test's."""

    def reply(self, status, headers, body):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def forward(self, body):
        """The upstream's answer as (status, headers, body)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.owner.upstream, timeout=30)
        headers = {name: value for name, value in self.headers.items()
                   if name.lower() not in ("connection", "content-length")}
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        kept = {name: value for name, value in answer.getheaders()
                if name.lower() not in ("connection", "content-length", "transfer-encoding")}
        try:
            return answer.status, kept, answer.read()
        finally:
            connection.close()

    def do_GET(self):
        path = self.path.partition("?")[0]
        if path in self.owner.pages:
            headers, html = self.owner.pages[path]
            self.reply(200, {"Content-Type": "text/html; charset=utf-8", **headers}, html.encode())
        elif self.owner.upstream is not None:
            self.reply(*self.forward(None))
        elif path == "/clickmill.js":
            with open(os.path.join(BUILD, "web", "clickmill.js"), "rb") as file:
                self.reply(200, {"Content-Type": "text/javascript"}, file.read())
        else:
            self.reply(404, {}, b"")

    do_HEAD = do_GET

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.owner.lock:
            self.owner.posts.append({"path": self.path, "headers": self.headers, "body": body,
                                     "time": time.monotonic()})
            answer = self.owner.answers.pop(0) if self.owner.answers else 202
        self.owner.gate.wait(30)
        forwarded = None
        if self.owner.upstream is not None and answer in (202, "lost"):
            forwarded = self.forward(body)
        if answer == "lost":
            self.close_connection = True
            self.connection.shutdown(2)
        elif forwarded is not None:
            self.reply(*forwarded)
        else:
            self.reply(answer, {
                "Access-Control-Allow-Origin": self.headers.get("Origin", "*"),
                "Access-Control-Allow-Credentials": "true"}, b"{}\n")
