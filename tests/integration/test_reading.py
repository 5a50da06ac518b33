"""Read access: the dashboard and the answers on addresses that other machines can reach."""

import base64
import json
import socket

from collect_support import Collector, good, keyed, refused
from harness import OK, USAGE

EVENT = '{"user_id": "ann", "timestamp": 1772359200000, "url": "/a"}'
# All paths that show answers, or more of the server than a sender of events needs.
READING = ("/", "/app.js", "/style.css", "/favicon.svg", "/api/answers", "/api/pages",
           "/api/countries", "/api/summary", "/api/series", "/api/answers?format=csv",
           "/api/answers?limit=0", "/api/status", "/api/live", "/api/answers?no=1")
# Paths of a run that collects: for senders and for monitoring.
OPEN = (("/healthz", 200), ("/readyz", 200), ("/clickmill.js", 200), ("/snippet", 200),
        ("/pixel.gif", 400))
CLOSED = ("the dashboard and the answers cannot be read on this address; set http.password (for "
          "browsers) or http.read_token (for programs), or http.public: true to show them to "
          "all clients")
RUN = ("run", "--no-demo")
BEARER = 'Bearer realm="clickmill"'
BASIC = 'Basic realm="clickmill", charset="UTF-8"'


def serving(t, *options, command=RUN, listen="0.0.0.0"):
    return Collector(t, *options, command=command, listen=listen, check=False)


def basic(text):
    return ("Authorization", "Basic " + base64.b64encode(text.encode()).decode())


def bearer(token):
    return ("Authorization", "Bearer " + token)


def challenges(answer):
    return [value for name, value in answer.headers if name == "WWW-Authenticate"]


def read(server, path, *headers):
    """The answer to a GET; of the live stream only its head."""
    return server.get(path, *headers, method="HEAD" if path == "/api/live" else "GET")


def test_an_address_of_others_is_closed(t):
    t.ingest(EVENT)
    t.process()
    for command in (RUN, ("serve",)):
        t.write("token", "s3cret")
        collects = command == RUN
        server = serving(t, *(("--token", "web=file:token") if collects else ()), command=command)
        t.true(CLOSED + "\n" in server.process.err, server.process.err)
        for path in READING:
            for headers in ((), (bearer(""),), (bearer("x"),), (basic(":"),), (basic("a:b"),)):
                answer = read(server, path, *headers)
                t.equal((answer.status, challenges(answer)), (401, [BEARER]), path)
                if path != "/api/live":
                    t.equal(answer.json, {"error": CLOSED}, path)
        t.equal(server.get("/no-such-thing").status, 404, "what is not there")
        t.equal(server.get("/healthz").status, 200, "health")
        if collects:
            for path, status in OPEN:
                t.equal(server.get(path).status, status, path)
            good(t, server.ask(keyed(1), bearer("s3cret")))
        server.process.stop(OK)
    lines = t.clickmill("export").out.splitlines()
    t.equal([json.loads(line)["url"] for line in lines], ["/a", "https://shop.example/a"], "events")


def test_loopback_is_open(t):
    t.ingest(EVENT)
    t.process()
    for command in (RUN, ("serve",)):
        server = serving(t, command=command, listen="127.0.0.1")
        t.true("cannot be read on this address" not in server.process.err, server.process.err)
        for path in READING[:-1]:
            t.equal(read(server, path).status, 200, path)
        server.process.stop(OK)


def check_credentials(t, server, right, wrong, wanted):
    for headers in right:
        for path in READING[:-1]:
            t.equal(read(server, path, headers).status, 200, "%s with %s" % (path, headers))
        t.equal(read(server, READING[-1], headers).status, 400, "a wrong parameter")
    for headers in [(), *((header,) for header in wrong)]:
        for path in READING:
            answer = read(server, path, *headers)
            t.equal((answer.status, challenges(answer)), (401, wanted), "%s %s" % (path, headers))
    t.equal(server.get("/healthz").status, 200, "health")
    t.true("cannot be read on this address" not in server.process.err, server.process.err)


def test_token(t):
    t.ingest(EVENT)
    t.process()
    t.write("secret", "of-the-programs\n")
    for listen in ("0.0.0.0", "127.0.0.1"):
        server = serving(t, "--read-token", "file:secret", command=("serve",), listen=listen)
        check_credentials(
            t, server, [bearer("of-the-programs"), ("authorization", "bearer  of-the-programs ")],
            [bearer("of-the-program"), bearer("of-the-programsx"), bearer("OF-THE-PROGRAMS"),
             bearer(""), basic("of-the-programs:of-the-programs"),
             ("Authorization", "of-the-programs")], [BEARER])
        refused(t, server.get("/api/summary"), 401, "http.read_token", "Bearer")
        server.process.stop(OK)


def test_password(t):
    t.ingest(EVENT)
    t.process()
    t.write("secret", "pass:wörd")
    for listen in ("0.0.0.0", "127.0.0.1"):
        server = serving(t, "--password", "file:secret", listen=listen)
        check_credentials(
            t, server, [basic("ann:pass:wörd"), basic(":pass:wörd"), basic("Jürgen:pass:wörd")],
            [basic("ann:pass"), basic("pass:wörd"), basic("ann:pass:wörd "), basic("ann"),
             basic("ann:" + "x" * 2000), ("Authorization", "Basic"), ("Authorization", "Basic !"),
             ("Authorization", basic("ann:pass:wörd")[1][:-2]), bearer("pass:w")], [BASIC])
        refused(t, server.get("/api/summary"), 401, "http.password", "Basic")
        server.process.stop(OK)


def test_both(t):
    t.ingest(EVENT)
    t.process()
    t.write("clickmill.yaml", "http:\n  read_token: ${TOKEN}\n  password: file:secret\n")
    t.write("secret", "word")
    server = Collector(t, command=("serve",), listen="0.0.0.0", check=False, env={"TOKEN": "token"})
    check_credentials(t, server, [basic("ann:word"), bearer("token")],
                      [basic("ann:token"), bearer("word")], [BASIC, BEARER])
    server.process.stop(OK)


def own_address(t):
    """An address of this machine that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # it sends nothing
        except OSError as reason:
            t.skip("this machine has no address but loopback: %s" % reason)
        return probe.getsockname()[0]


def test_guesses(t):
    """Another machine has some attempts; then for a time not even a right password is checked.
    Paths without a password still answer."""
    t.ingest(EVENT)
    t.process()
    t.write("secret", "word")
    server = serving(t, "--password", "file:secret", command=("serve",))
    server.host = own_address(t)
    right, wrong = basic("ann:word"), basic("ann:wrong")
    for _ in range(40):
        t.equal(server.get("/").status, 401, "without a password nothing is guessed")
    t.equal([server.get("/", wrong).status for _ in range(30)], [401] * 30, "guesses")
    for headers in (right, wrong, bearer("x")):
        answer = refused(t, server.get("/api/summary", headers), 429, "too many wrong passwords")
        t.true(1 <= int(answer.header("Retry-After")) <= 10, str(answer))
    t.equal(server.get("/").status, 401, "without a password")
    t.equal(server.get("/healthz").status, 200, "health")
    # A proxy on this machine forwards many clients.
    server.host = "127.0.0.1"
    for _ in range(40):
        t.equal(server.get("/", wrong).status, 401, "from this machine")
    t.equal(server.get("/", right).status, 200, "from this machine")
    server.process.stop(OK)


def test_names_for_unknown_paths(t):
    """A path that this server does not answer has the access of the paths that begin as it does."""
    server = serving(t, command=("serve",), listen="127.0.0.1")
    for path, status in (("/clickmill.js", 404), ("/snippet", 404), ("/snippet.no", 404),
                         ("/demo/", 403), ("/demo/no", 403), ("/readyz", 403), ("/no", 403),
                         ("/v1/events", 403), ("/api/no", 403), ("/healthz%00", 403)):
        t.equal(server.get(path).status, 404, path)
        other = server.raw(b"GET %s HTTP/1.1\r\nHost: other.example\r\n\r\n" % path.encode())
        t.equal(other.status, status, path)
    server.process.stop(OK)


def test_guesses_on_unknown_paths(t):
    """They count where the paths that begin so need a password."""
    t.write("token", "s3cret")
    for path, counted in (("/no", True), ("/v1/events", True), ("/readyz", True),
                          ("/demo/no", False), ("/snippet.no", False), ("/clickmill.js", False)):
        server = serving(t, "--read-token", "file:token", command=("serve",))
        server.host = own_address(t)
        for _ in range(31):
            t.equal(server.get(path, bearer("wrong")).status, 404, path)
        t.equal(server.get("/", bearer("s3cret")).status, 429 if counted else 200, path)
        server.process.stop(OK)


def test_public(t):
    t.ingest(EVENT)
    t.process()
    for command in (RUN, ("serve",)):
        server = serving(t, "--public", command=command)
        t.true("cannot be read on this address" not in server.process.err, server.process.err)
        for path in READING[:-1]:
            t.equal(read(server, path).status, 200, path)
        server.process.stop(OK)


def test_what_contradicts_itself(t):
    t.ingest(EVENT)
    t.write("secret", "word")
    t.write("empty", "\n")
    for command in (RUN, ("serve",)):
        for option in ("--password", "--read-token"):
            t.says(t.clickmill(*command, "--public", option, "file:secret", check=USAGE),
                   "http.public", "http.password", "http.read_token", "leave one or the other out")
            t.says(t.clickmill(*command, option, "file:empty", check=USAGE), "is empty")
            t.says(t.clickmill(*command, option, "file:none", check=USAGE), "cannot read none")


def test_the_shop(t):
    """It shows no answers: it is served by a demonstration only."""
    demo = Collector(t, command=("run", "--rate", "1"), listen="0.0.0.0", check=False)
    for path, status in (("/demo", 301), ("/demo/", 200), ("/demo/cart", 200), ("/", 401)):
        t.equal(demo.get(path).status, status, path)
    demo.process.stop(OK)
    for options in (("--no-demo",), ("--sites", "shop.example")):
        site = Collector(t, *options, command=("run",), check=False)
        for path in ("/demo", "/demo/", "/demo/cart", "/demo/shop.js"):
            t.equal(site.get(path).status, 404, "%s with %s" % (path, options))
        site.process.stop(OK)
    t.write("clickmill.yaml", "run:\n  demo: false\n")
    site = Collector(t, command=("run",), check=False)
    t.equal(site.get("/demo/").status, 404, "as the configuration says")
    site.process.stop(OK)


def test_nosniff_is_everywhere(t):
    """Also when a request is refused, by the server or by the library."""
    server = serving(t, listen="127.0.0.1")
    asked = [("GET", path) for path in READING[:-2] + ("/api/answers?no=1", "/nothing", "/demo/")]
    asked += [("GET", path) for path, _ in OPEN]
    asked += [("HEAD", "/"), ("POST", "/"), ("PUT", "/v1/events"), ("DELETE", "/healthz"),
              ("OPTIONS", "/v1/events"), ("HEAD", "/api/live")]
    for method, path in asked:
        answer = server.get(path, method=method)
        t.equal(answer.header("X-Content-Type-Options"), "nosniff", "%s %s %s" % (
            method, path, answer))
    tag = server.get("/app.js").header("ETag")
    for answer in (server.ask("[", kind=("Content-Type", "text/html")), server.ask(keyed(1)),
                   server.ask("["), server.get("/app.js", ("If-None-Match", tag)),
                   server.get("/" + "x" * 9000), server.get("/", ("Host", "evil.example")),
                   server.raw(b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 60000 + b"\r\n\r\n"),
                   server.raw(b"GET / HTTP/1.1\r\n\r\n"),
                   server.raw(b"GET / HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n"),
                   server.raw(b"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                              b"Transfer-Encoding: chunked\r\n\r\nzz\r\n")):
        t.equal(answer.header("X-Content-Type-Options"), "nosniff", str(answer))
