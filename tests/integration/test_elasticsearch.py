"""Answers on real Elasticsearch 7.17 and 8.19 and OpenSearch 2.19: how the index is made, and that
reading there is the same as reading the embedded index, byte for byte."""

import os
import re
import subprocess
import threading
from urllib.parse import quote

import elasticsearch_support as support
import traffic
from elasticsearch_support import SECURE, SHARED, Place
from harness import AWAY, BUILD, INPUT, IO, OK, USAGE, patient, slow
from test_run import free_port, get, start

SORTS = ("clicks unique_user_count average_time_spent time_spent_sum time_spent_count "
         "average_time_on_page entrances exits url country window").split()
WINDOWS = ("all", "day", "hour")
EVENTS = 24000

# Texts that mean something to a pattern, a query or JSON, or that sort differently by other rules.
HOSTILE = ["/a\\b", "/a\\", "\\", "/a[1]", "/a*b", "/a?b", "/a\"b", "/a,b", "/日本/語", "/\U0001f600",
           "/\uff5e", "/Z", "/z", "/é", "/e\u0301", "/a b", "/a\tb", "{\"a\":1}", "/" + "x" * 2047,
           "/%2a", "/a/", "/a"]
PATTERNS = ["*", "/a*", "/a?b", "/a\\b", "/a\\*", "\\", "*\\*", "/a[1]", "/a[*", "*\"*", "/?", "/??",
            "*語", "/\U0001f600", "https://*/page/?", "*page*1*", "*/page/1", "/nowhere", "", "{*}",
            "/" + "x" * 2000 + "*", "/*" + "x" * 1000 + "?" * 40, "*a" + "?" * 25 + "*", "??????",
            "*e*" + "?" * 30, "https://*.example?com/pa??/?*?" + "?" * 3, "*?" * 20, "/????????*b"]

# Exactly what GET _mapping shows, beside `_meta`.
LONGS = ("clicks unique_user_count time_spent_sum time_spent_count time_on_page_sum "
         "time_on_page_count entrances exits").split()
CELLS = {"URL": {"type": "alias", "path": "url"},
         **{name: {"type": "keyword"} for name in ("url", "country", "window")},
         **{name: {"type": "long"} for name in LONGS},
         **{name: {"type": "double"} for name in ("average_time_spent", "average_time_on_page")},
         **{name: {"type": "date", "format": "epoch_millis"}
            for name in ("window_start", "updated_at")}}
TOTALS = {**CELLS, "dimension": {"type": "keyword"},
          **{name: {"type": "long"} for name in
             "accepted processed events duplicates cells dead".split()}}
MAPPINGS = {"index": {"dynamic": "false", "properties": CELLS},
            "totals": {"dynamic": "false", "properties": TOTALS}}


def version_name(version):
    return "t_" + re.sub(r"[^a-z0-9]", "_", version)


# ---- how it is made

def tool(t, place, *args, check=OK):
    """Runs elastic_index; returns what it prints as words, or its sentence."""
    done = subprocess.run([os.path.join(BUILD, "tests", "elastic_index"), place.hosts, place.index,
                           place.totals, *args], capture_output=True, text=True, timeout=120,
                          check=False)
    t.equal((done.returncode, done.stderr if check == OK else ""), (check, ""), " ".join(args))
    return done.stdout.split() if check == OK else done.stderr


def mapping(place, name):
    (found,) = place.ask("GET", "/%s/_mapping" % name).values()
    return found["mappings"]


def check_layout(t, version):
    place = Place(t, version_name(version) + "_layout", SHARED[version])
    place.clear()
    said = t.clickmill("doctor", *place.options).out
    t.true("not both there" in said, said)
    said = place.prepare()
    t.true("fixed  elasticsearch  %s leads to %s-000001" % (place.index, place.index) in said, said)
    for part, alias in (("index", place.index), ("totals", place.totals)):
        t.equal(mapping(place, alias), MAPPINGS[part], "mapping of " + alias)
        found = place.ask("GET", "/_index_template/" + alias)["index_templates"][0]["index_template"]
        t.equal((found["index_patterns"], found["priority"], found["composed_of"]),
                ([alias + "-*"], 500, [alias]), "template of " + alias)
        # A program that makes an index of the pattern gets the mapping, too.
        place.ask("PUT", "/%s-other" % alias, {})
        t.equal(mapping(place, alias + "-other"), MAPPINGS[part], "mapping by the template")
    t.true("right  elasticsearch  " + place.index in place.prepare(), "a second --fix")
    check_rebuild(t, place)
    check_races(t, place)
    check_wrong_mapping(t, place)
    check_in_the_way(t, place)
    place.clear()


def check_rebuild(t, place):
    """Next indices, left-overs, the swap, the epoch."""
    old = [place.index + "-000001", place.totals + "-000001"]
    t.equal(tool(t, place, "find"), old, "find")
    t.equal(tool(t, place, "epoch", *old, "0123456789abcdef" * 2), old + ["0123456789abcdef" * 2],
            "epoch")
    t.equal(mapping(place, place.index)["properties"], CELLS, "mapping beside the epoch")
    place.put(old[0], [("x", {"url": "/old"})])
    left = tool(t, place, "next")
    t.equal(left, [place.index + "-000002", place.totals + "-000002"], "next")
    place.put(left[0], [("x", {"url": "/left"})])
    new = tool(t, place, "next")  # deletes what the first has left
    t.equal(new, [place.index + "-000003", place.totals + "-000003"], "next again")
    t.equal(sorted(place.ask("GET", "/%s-0*/_alias" % place.index)), [old[0], new[0]], "indices")
    place.put(new[0], [("x", {"url": "/new"})])
    for _ in range(2):  # the second time all is done already
        t.equal(tool(t, place, "swap", *new), new, "swap")
        t.equal(sorted(place.ask("GET", "/%s-0*/_alias" % place.index)), [new[0]], "what is left")
        hits = place.ask("POST", "/%s/_search" % place.index, {})["hits"]["hits"]
        t.equal([hit["_source"]["url"] for hit in hits], ["/new"], "visible")
    settings = place.ask("GET", "/%s/_settings" % new[0])[new[0]]["settings"]["index"]
    t.equal((settings["number_of_shards"], settings["number_of_replicas"]), ("2", "0"), "settings")


def check_races(t, place):
    """Several make the index at once, beside a left-over that has its number."""
    place.clear()
    place.ask("PUT", "/%s-000001" % place.index, {})
    made, threads = [], []
    for _ in range(4):
        threads.append(threading.Thread(target=lambda: made.append(tool(t, place, "prepare"))))
        threads[-1].start()
    for thread in threads:
        thread.join()
    t.equal(made, [tool(t, place, "find")] * 4, "what each has found")


def check_wrong_mapping(t, place):
    place.clear()
    wrong = {name: dict(rule) for name, rule in CELLS.items()}
    wrong["clicks"], wrong["window_start"] = {"type": "text"}, {"type": "date"}
    del wrong["URL"], wrong["exits"]
    place.ask("PUT", "/%s-000001" % place.index, {"mappings": {"properties": wrong},
                                                  "aliases": {place.index: {}}})
    result = t.clickmill("doctor", "--fix", *place.options, check=USAGE)
    for words in ("clicks has type text instead of long", "window_start lacks its format",
                  "exits lacks its type long and 1 more", "--rebuild"):
        t.true(words in result.out, "%s\n%s" % (words, result))


def check_in_the_way(t, place):
    """An index where the alias must be, and an alias that leads to two."""
    place.clear()
    place.ask("PUT", "/" + place.index, {})
    for command in ("doctor", "query", "serve"):
        result = t.clickmill(command, *place.options, check=USAGE)
        t.true("an index has the name of the alias" in result.out + result.err, str(result))
        t.true("--rebuild" in result.out + result.err, str(result))
    t.true("an index has the name of the alias" in tool(t, place, "find", check=USAGE), "find")
    place.ask("PUT", "/foreign_%s" % place.index, {"aliases": {place.totals: {}}})
    new = tool(t, place, "next")
    t.equal(tool(t, place, "swap", *new), new, "swap")
    t.equal(list(place.ask("GET", "/%s/_alias" % place.index)), [new[0]], "instead of it")
    t.equal(place.ask("GET", "/foreign_%s/_alias" % place.index),
            {"foreign_" + place.index: {"aliases": {}}}, "what is not ours only loses the alias")
    place.ask("POST", "/_aliases", {"actions": [{"add": {
        "index": "foreign_" + place.index, "alias": place.index}}]})
    result = t.clickmill("query", *place.options, check=USAGE)
    t.says(result, "leads to 2 indices", place.index)
    place.ask("DELETE", "/foreign_" + place.index)


@slow
def test_layout_7_17(t):
    check_layout(t, "7.17")


@slow
def test_layout_8_19(t):
    check_layout(t, "8.19")


@slow
def test_layout_opensearch(t):
    check_layout(t, "opensearch-2.19")


# ---- that it reads the same

def fill(t, place):
    """The same answers here and there."""
    made = traffic.events(77, EVENTS)
    for number, url in enumerate(HOSTILE * 2):
        made.append(traffic.event(traffic.random.Random(number), "hostile%d" % (number % 9),
                                  traffic.START + number * 3600000, 1, set()) | {"url": url})
    t.ingest(made)
    t.clickmill("import", "--format", "jsonl", "-", stdin="no event\n", check=None)  # a dead letter
    t.process()
    place.clear()
    place.prepare()
    place.copy()


def same_query(t, place, *options):
    wanted = t.clickmill("query", *options)
    got = t.clickmill("query", *options, *place.options)
    if got.raw != wanted.raw or got.err != wanted.err:
        raise AssertionError("query %s: it is not the same\n%s\n%s" % (
            " ".join(map(str, options)), wanted, got))
    return wanted.out


def check_queries(t, place):
    rows = same_query(t, place, "--window", "hour", "--format", "csv").count("\n")
    t.true(rows > 12000, "%d rows are not enough for a scroll" % rows)
    for window in WINDOWS:
        for sort in SORTS:
            for reverse in ((), ("--reverse",)):
                # All of them once; else the front is enough, and the tail of the other direction.
                limit = 300 if window == "hour" else 0
                same_query(t, place, "--window", window, "--sort", sort, *reverse, "--limit", limit,
                           "--format", "csv")
    for limit in (1, 9999, 10000, 10001, 12000):
        same_query(t, place, "--window", "hour", "--limit", limit, "--sort", "window", "--json")
    for pattern in PATTERNS:
        same_query(t, place, "--url", pattern, "--sort", "url", "--format", "json")
        same_query(t, place, "--window", "day", "--url", pattern, "--country", "Côte d'Ivoire",
                   "--limit", 12)
    for country in ("日本", "Congo, Dem. Rep.", "Atlantis", "", "*"):
        same_query(t, place, "--country", country)
    same_query(t, place, "--url", b"/\xff*".decode("utf-8", "surrogateescape"))


def paths():
    """Requests of the API, of every endpoint and parameter."""
    for path in ("summary", "pages", "countries", "answers"):
        for window in WINDOWS:
            yield "/api/%s?window=%s" % (path, window)
            yield "/api/%s?window=%s&format=csv&limit=20&offset=3" % (path, window)
        for sort in SORTS[:-1]:
            yield "/api/%s?sort=%s" % (path, sort)
        yield "/api/%s?country=Peru&sort=average_time_spent&order=asc" % path
        yield "/api/%s?url=%s" % (path, quote("/a*"))
    for window in ("day", "hour"):
        yield "/api/series?window=%s" % window
        yield "/api/series?window=%s&country=Chad" % window
        yield "/api/series?window=%s&from=2026-03-02T00:00:00Z&to=2026-03-03T12:00:00Z" % window
        yield "/api/pages?window=%s&from=2026-03-04T00:00:00Z" % window
        yield "/api/answers?window=%s&to=2026-03-02T05:00:00Z&limit=10000" % window
    yield "/api/answers?window=hour&limit=10000&offset=5000&sort=window"
    yield "/api/answers?window=hour&limit=10000&offset=500000"


def check_api(t, place):
    embedded, here = start(t, "serve")
    elastic, there = start(t, "serve", *place.options)
    asked = 0
    for path in paths():
        wanted, got = get(here, path), get(there, path)
        if got != wanted:
            raise AssertionError("%s\n%s\n%s" % (path, wanted, got))
        asked += wanted[0] == 200
    t.true(asked > 70, "only %d of the requests were right" % asked)
    embedded.stop()
    elastic.stop()


def check_reading(t, version):
    place = Place(t, version_name(version) + "_reading", SHARED[version])
    fill(t, place)
    check_queries(t, place)
    check_api(t, place)
    check_each(t, place)
    check_flaws(t, place)
    place.clear()


def check_each(t, place):
    """The walk through all documents, which are what they were; then one that is none of ours."""
    cells, totals = support.embedded(t, "data")
    totals = [pair for pair in totals if not pair[0].startswith("freshness:")]
    for alias, wanted in ((place.index, cells), (place.totals, totals)):
        (name,) = place.ask("GET", "/%s/_alias" % alias)
        done = subprocess.run([os.path.join(BUILD, "tests", "elastic_index"), place.hosts,
                               place.index, place.totals, "each", name], capture_output=True,
                              timeout=120, check=True)
        lines = done.stdout.decode().splitlines()
        got = {line.split(" ", 1)[0]: support.json.loads(line.split(" ", 1)[1]) for line in lines}
        t.equal((len(lines), got == dict(wanted)), (len(wanted), True), "documents of " + alias)


def check_flaws(t, place):
    """Documents of others: named where they would be rows, else no matter."""
    place.put(place.index, [("else", {"title": "something else", "clicks": 5, "more": [1, 2]})])
    place.ask("POST", "/%s/_refresh" % place.index)
    same_query(t, place, "--sort", "clicks", "--limit", 5)
    place.put(place.index, [("flaw", {"window": "all", "url": "/", "clicks": 10 ** 9})])
    place.ask("POST", "/%s/_refresh" % place.index)
    t.says(t.clickmill("query", *place.options, check=IO), "document flaw", place.index, "--rebuild")
    t.says(t.clickmill("query", *place.options, "--limit", 5, check=IO), "document flaw")


@slow
def test_reading_7_17(t):
    check_reading(t, "7.17")


@slow
def test_reading_8_19(t):
    check_reading(t, "8.19")


@slow
def test_reading_opensearch(t):
    check_reading(t, "opensearch-2.19")


# ---- what goes wrong

@slow
def test_missing(t):
    """No index yet, then one, then none again under a running server."""
    place = Place(t, "t_missing", SHARED["7.17"])
    place.clear()
    t.says(t.clickmill("query", *place.options, check=INPUT), "no answers yet",
           "clickmill process --index elasticsearch")
    server, port = start(t, "serve", *place.options)
    empty = get(port, "/api/summary")
    t.true(empty[0] == 200 and b'"present":false' in empty[1], empty)
    t.ingest(traffic.events(5, 500))
    t.process()
    place.prepare()
    result = t.clickmill("query", *place.options)
    t.true("run `clickmill process --index elasticsearch`" in result.err, str(result))
    place.copy()
    t.true(b'"present":true' in get(port, "/api/summary")[1], "answers have come")
    place.clear()
    t.equal(get(port, "/api/summary"), empty, "answers have gone")
    place.prepare()
    place.copy()
    t.true(b'"present":true' in get(port, "/api/summary")[1], "answers are back")
    server.stop()


@slow
def test_live_stream(t):
    """The page hears of new answers."""
    place = Place(t, "t_live", SHARED["7.17"])
    place.clear()
    place.prepare()
    t.ingest(traffic.events(5, 500))
    t.process()
    server, port = start(t, "serve", *place.options)
    with subprocess.Popen(["curl", "-sN", "http://127.0.0.1:%d/api/live" % port],
                          stdout=subprocess.PIPE) as stream:
        os.set_blocking(stream.stdout.fileno(), False)
        heard = []

        def says(word):
            heard.append(stream.stdout.read() or b"")
            return word in b"".join(heard)

        t.until(lambda: says(b'"present":false'), "the first message")
        place.copy()
        t.until(lambda: says(b'"present":true'), "the new answers")
        stream.kill()
    server.stop()


@slow
def test_swap_under_readers(t):
    """Readers see all answers, of before or of after, while the aliases move again and again."""
    place = Place(t, "t_swap", SHARED["7.17"])
    place.clear()
    t.ingest(traffic.events(5, 500))
    t.process()
    place.prepare()
    place.copy()
    server, port = start(t, "serve", *place.options)
    paths = ["/api/answers?limit=10000", "/api/pages?window=day", "/api/summary"]
    wanted = [get(port, path) for path in paths] + [(t.clickmill("query", "--json").out, "")]
    problems, ended, read = [], threading.Event(), [0]

    def reader():
        while not ended.is_set() and not problems:
            got = [get(port, path) for path in paths]
            result = t.clickmill("query", "--json", *place.options, check=None)
            got.append((result.out, result.err))
            problems.extend(seen for seen, right in zip(got, wanted) if seen != right)
            read[0] += 1

    thread = threading.Thread(target=reader)
    thread.start()
    cells, totals = support.embedded(t, "data")
    for _ in range(12):
        new = tool(t, place, "next")
        place.put(new[0], cells)
        place.put(new[1], totals)
        t.equal(tool(t, place, "swap", *new), new, "swap")
        if problems:
            break
    ended.set()
    thread.join()
    t.equal(problems[:1], [], "what readers have seen\n" + server.err)
    t.true(read[0] > 4, "only %d readings" % read[0])
    server.stop()


@patient
def test_away(t):
    """No server listens; and a server takes connections and never answers."""
    options = ["--index", "elasticsearch", "--elasticsearch-hosts"]
    unreachable = "http://127.0.0.1:%d" % free_port()
    with t.pace() as pace:
        t.says(t.clickmill("query", *options, unreachable, check=AWAY), unreachable, "does not answer")
        result = t.clickmill("doctor", *options, unreachable, check=AWAY)
        t.true("does not answer" in result.out, str(result))
        server, port = start(t, "serve", *options, unreachable)
        t.equal(get(port, "/api/summary")[0], 500, "a page view")
    pace.check(pace.took, 20, "to say so three times")
    t.true("does not answer" in server.stop().err, "the log says why")
    silent = traffic_sink()
    t.says(t.clickmill("query", *options, silent[1], "--elasticsearch-timeout", "1s", check=AWAY),
           "does not answer")
    server, port = start(t, "serve", *options, silent[1])
    with t.pace() as pace:
        t.equal(get(port, "/api/summary")[0], 500, "a page view")
    pace.check(pace.took, 15, "a page view")
    server.stop()
    silent[0].close()


def traffic_sink():
    """A socket that takes connections and never says anything, and where it is."""
    listening = support.http.client.socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(64)
    return listening, "http://127.0.0.1:%d" % listening.getsockname()[1]


def test_names(t):
    """Aliases that cannot be, before any server is asked."""
    options = ["--index", "elasticsearch", "--elasticsearch-hosts", "http://127.0.0.1:1"]
    for index, totals, words in (("Clicks", "t", "Clicks cannot be"), ("a b", "t", "a b cannot be"),
                                 ("_a", "t", "_a cannot be"), ("a/b", "t", "a/b cannot be"),
                                 ("", "t", "cannot be"), ("a", "a*", "elasticsearch.totals"),
                                 ("x" * 201, "t", "200"), ("a", "a", "neither"),
                                 ("a", "a-b", "neither"), ("a-b", "a", "neither")):
        t.says(t.clickmill("query", *options, "--elasticsearch-index", index,
                           "--elasticsearch-totals", totals, check=USAGE), words)


@slow
def test_secure(t):
    """TLS and a password: right ones, a wrong one, none, and another authority's certificate."""
    place = Place(t, "t_secure", SECURE)
    known = place.stack.secrets()
    login = ["--elasticsearch-ca", place.stack.tls("ca.pem"), "--elasticsearch-username",
             known["ELASTICSEARCH_USERNAME"], "--elasticsearch-password", "${ES_PASSWORD}"]
    right, wrong = ({"ES_PASSWORD": text} for text in (known["ELASTICSEARCH_PASSWORD"], "mistaken"))
    place.clear()
    t.ingest(traffic.events(5, 500))
    t.process()
    said = t.clickmill("doctor", "--fix", *place.options, *login, env=right).out
    t.true("with a password" in said and known["ELASTICSEARCH_PASSWORD"] not in said, said)
    place.copy()
    t.equal(t.clickmill("query", *place.options, *login, env=right).out,
            t.clickmill("query").out, "answers")
    place.clear()
    t.clickmill("process", *place.options, *login, env=right)
    t.equal(t.clickmill("query", *place.options, *login, env=right).out,
            t.clickmill("query").out, "answers that process has sent")
    t.clickmill("verify", *place.options, *login, env=right)
    for command in ("query", "serve", "doctor", "process", "verify"):
        result = t.clickmill(command, *place.options, *login, env=wrong, check=USAGE)
        t.true("refuses the credentials" in result.out + result.err, str(result))
        t.true("mistaken" not in result.out + result.err, "the password is shown\n%s" % result)
    t.says(t.clickmill("query", *place.options, *login[:2], check=USAGE), "credentials")
    t.says(t.clickmill("query", *place.options, "--elasticsearch-ca",
                       place.stack.tls("foreign-ca.pem"), *login[2:], env=right, check=USAGE), "TLS")
    place.clear()
