"""What the documents say is typed and compared, in the order of the text."""

import base64
import json
import os
import subprocess
import urllib.error
import urllib.request
import uuid

import ports
from harness import ROOT, slow
from pages import Page, Reader

LOGS = "/var/log/nginx/access.log*"


def reads(t, *changes):
    """A reader with a free port instead of 8080."""
    port = str(ports.one())
    reader = Reader(t, [("8080", port), *changes])
    reader.environment["CLICKMILL_LISTEN"] = "127.0.0.1:" + port
    return reader, port


def fix_visitors(t, reader):
    """Gives the data directory a key of its visitors that is always the same: lines of one second are
    put in order by row keys, which follow from it, and so do a few times and entrances."""
    reader.type("build/clickmill import --no-process --format jsonl /dev/null")
    t.write("clone/data/secret.key", b"cm-key-1" + bytes(32))


def fetch(port, path):
    with urllib.request.urlopen("http://127.0.0.1:%s%s" % (port, path), timeout=20) as reply:
        return reply.read().decode("utf-8")


def read_with(t, port, name):
    """The status of the dashboard with the password of that file, and without."""
    def status(*headers):
        request = urllib.request.Request("http://127.0.0.1:%s/" % port, headers=dict(headers))
        try:
            with urllib.request.urlopen(request, timeout=20) as reply:
                return reply.status
        except urllib.error.HTTPError as error:
            return error.code
    with open(t.path("clone", name), encoding="utf-8") as file:
        word = base64.b64encode(b"ann:" + file.read().strip().encode()).decode()
    return status(("Authorization", "Basic " + word)), status()


def answers(port):
    try:
        return fetch(port, "/healthz") != ""
    except OSError:
        return False


@slow
def test_readme(t):
    """README from its first line to its last, as a newcomer types it."""
    reader, port = reads(t, (LOGS, t.shared("data", "apache_logs")))
    page = Page(reader, "README.md")

    demo = page.begin("make run\n")
    t.until(lambda: "rejected  http" in demo.text, "a line of status", process=demo, timeout=60)
    t.true("<title>" in fetch(port, "/demo/"), "the shop is there")
    page.alike("clickmill 0.1.0: ", demo.interrupt())
    page.passes("make test\n", "that is what runs here")

    fix_visitors(t, reader)
    page.run("build/clickmill import --site")
    page.output("read 10,000 = ")
    page.run("sqlite3 data/clickmill.db")
    t.equal(page.printed.splitlines()[0], "https://www.example.com/projects/xdotool/|210|178",
            "the page with most clicks")

    page.run("(umask 077;")
    site = page.begin("make run ARGS=")
    t.until(lambda: answers(port), "it answers", process=site, timeout=60)
    page.passes("<script", "it belongs into a page")
    t.true("<title>" in fetch(port, "/snippet"), "the page with that line is there")
    t.equal(read_with(t, port, "reader.password"), (200, 401), "with the password, and without")
    t.true("sendBeacon" in fetch(port, "/clickmill.js"), "the tracker is there")
    t.equal(page.run("echo "), '{"accepted":1,"skipped":0}\n', "what the collector answers")
    site.interrupt()
    t.true("jane_doe" in reader.type("build/clickmill export"), "the event is in the store")

    event = page.passes('{"user_id": "jane_doe"', "imported below").text
    t.equal(t.clickmill("import", "--data", "contract", "--json", "--format", "jsonl", "-",
                        stdin=event).json["accepted"], 1, "accepted of the contract's example")
    page.passes("make stack-up", "test_stack.py types it")
    page.passes("build/clickmill process --config", "test_answers.py, test_verify.py/cluster")
    page.end()


def read_row_key(t, page):
    """The example of the contract: the row key of an event that is no page view."""
    event = " ".join(page.passes('{"user_id": "ann"', "imported here").text.split())
    name = page.passes("ann_1772359200000_8:purchase", "hashed here").text.strip()
    t.ingest(event, data="row-key")
    key = json.loads(t.clickmill("export", "--data", "row-key").out)["row_key"]
    t.equal(key, str(uuid.uuid5(uuid.NAMESPACE_DNS, name)), "row key of the contract's example")
    with open(os.path.join(ROOT, "docs", "contract.md"), encoding="utf-8") as file:
        t.true(key in file.read(), "the contract has this row key")


def read_answers(t, reader):
    page = Page(reader, "docs/answers.md")
    page.run("clickmill query pages")
    page.talk("$ clickmill query --country germany")
    page.passes("clickmill process --store cassandra", "test_docs_cluster.py, test_answers.py")
    page.passes("clickmill process --every 5m", "test_answers.py, test_kill.py")
    page.passes("# /etc/systemd", "a service of the machine")
    page.passes("*/5 * * * *", "a table of the machine")
    page.passes("clickmill process --follow", "test_answers.py, follow_latency")
    page.passes("clickmill verify --store cassandra", "test_verify.py, cluster")
    page.end()


def read_api(t, reader):
    """Of the log that README has imported."""
    page = Page(reader, "docs/api.md")
    serving = reader.begin("build/clickmill serve")
    t.until(lambda: answers(dict(reader.changes)["8080"]), "it answers", process=serving, timeout=30)
    page.talk("$ curl 'http://127.0.0.1:8080/api/pages?limit=1'")
    page.talk("$ curl -G http://127.0.0.1:8080/api/v1/query")
    page.passes("$ curl http://127.0.0.1:8080/api/status", "test_hold.py refuses such a page")
    page.end()
    serving.interrupt()


def read_collect(t, reader):
    page = Page(reader, "docs/collect.md")
    page.passes("<script", "README's test looks at such a line")
    page.passes("<button", "test_browser_events.py clicks on such an element")
    page.settings("collect:\n  script:")
    page.passes("<script", "test_browser.py loads such a script")
    page.passes("import { event, init }", "test_npm.py calls these functions")
    page.passes("<img", "test_collect_http.py asks for it")
    collecting = reader.begin("clickmill collect --data collected")
    t.until(lambda: "taking events" in collecting.text, "it listens", process=collecting)
    page.talk("$ curl -H 'Content-Type: application/json'")
    collecting.interrupt()
    page.settings("# clickmill.yaml\ncollect:", BACKEND_TOKEN="secret")
    page.passes("read 150 = ", "test_collect_kafka.py has such accounts")
    page.end()


def read_enrichment(t, reader):
    page = Page(reader, "docs/enrichment.md")
    page.talk("$ echo 8.8.8.8 | clickmill enrich address")
    page.passes("read 10,000 = ", "README's test compares these two lines")
    page.passes("4 referrers that are too long", "test_accesslog.py has such an account")
    page.settings("# clickmill.yaml\nsites:")
    page.end()


def read_store(t, reader):
    page = Page(reader, "docs/store.md")
    for line in page.next("data/clickmill.db ").lines:
        t.true(line.startswith("data/"), "%r names a file" % line)
    page.run("clickmill recover")
    page.run("sqlite3 data/clickmill.db")
    page.passes("sqlite3 data/clickmill.db", "of published answers: test_docs_cluster.py types it")
    page.end()


def read_cql(t, reader):
    """The example is compiled; it needs three nodes to run."""
    page = Page(reader, "docs/cql.md")
    source = t.write("example.c", page.passes("#include", "compiled below").text)
    subprocess.run(["cc", "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
                    "-I" + os.path.join(ROOT, "src"), source], check=True)
    page.passes("ninja -C build bench/cql_bare", "make bench-cluster types it")
    page.end()


def test_every_document_is_read(t):
    """A document that is added is read by a test as well."""
    here = os.path.dirname(__file__)
    text = "".join(open(os.path.join(here, name), encoding="utf-8").read()
                   for name in ("test_docs.py", "test_docs_cluster.py", "test_command_line.py"))
    missing = [name for name in os.listdir(os.path.join(ROOT, "docs"))
               if name.endswith(".md") and name != "performance.md"  # written by bench/
               and "docs/" + name not in text]
    t.equal(missing, [], "documents that no test reads")


@slow
def test_questions(t):
    """Each example of the page, from the same events."""
    reader, _ = reads(t)
    page = Page(reader, "docs/questions.md")
    page.run("clickmill produce --fields all")
    for _ in range(7):
        page.talk("$ clickmill query ")
    page.end()


@slow
def test_documents_without_engines(t):
    collector = str(ports.one())
    reader, _ = reads(t, ("8081", collector))
    reader.environment["CLICKMILL_COLLECT_LISTEN"] = "127.0.0.1:" + collector
    log = t.shared("data", "apache_logs")
    fix_visitors(t, reader)
    reader.type("build/clickmill import --site https://www.example.com " + log)
    read_answers(t, reader)
    read_api(t, reader)
    read_collect(t, reader)
    read_enrichment(t, reader)
    read_store(t, reader)
    read_cql(t, reader)
    page = Page(reader, "docs/contract.md")
    page.passes("read = accepted", "a rule, which every account here keeps")
    read_row_key(t, page)
    page.settings("event:")
    page.end()
    page = Page(reader, "CONTRIBUTING.md")
    page.passes("make build", "what runs here was built so, and this is make test")
    page.passes("python3 tests/run.py --list", "the runner runs this test")
    printed = reader.type(page.next("build/clickmill help --markdown").text.partition(">")[0])
    with open(os.path.join(ROOT, "docs", "reference.md"), encoding="utf-8") as file:
        t.equal(printed, file.read(), "docs/reference.md")
    page.end()
    Page(reader, "docs/README.md").end()  # nothing to type
    page = Page(reader, "docs/architecture.md")
    page.passes("source ", "a drawing")
    page.passes("clickmill import --data data --debug", "test_debug.py reads such lines")
    page.end()
