"""What stands in an index of Elasticsearch, read by plain HTTP; and what must stand there, from the
independent oracle."""

import base64
import hashlib
import http.client
import json
import struct

import oracle

WINDOWS = ("all", "day", "hour")
INTEGERS = ("clicks", "unique_user_count", "time_spent_sum", "time_spent_count", "entrances", "exits")


class Index:
    """A node, and the pair of aliases of a test's own."""

    def __init__(self, engine, name):
        self.engine, self.alias, self.totals = engine, name, name + "_totals"

    @property
    def options(self):
        """Options that lead there."""
        return ["--index", "elasticsearch", *self.where]

    @property
    def where(self):
        scheme = "https" if self.engine.secure else "http"
        return ["--elasticsearch-hosts", "%s://127.0.0.1:%d" % (scheme, self.engine.port()),
                "--elasticsearch-index", self.alias, "--elasticsearch-totals", self.totals]

    def request(self, method, path, body=None, kind="application/json", check=200):
        """The answer as an object; fails unless its status is `check` (None: any)."""
        headers = {"Content-Type": kind} if body is not None else {}
        if self.engine.secure:
            connection = http.client.HTTPSConnection("127.0.0.1", self.engine.port(), timeout=60,
                                                     context=self.engine.context())
            headers["Authorization"] = "Basic " + base64.b64encode(
                ("%s:%s" % self.engine.login()).encode()).decode()
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.engine.port(), timeout=60)
        text = json.dumps(body) if isinstance(body, (dict, list)) else body
        try:
            connection.request(method, path, text, headers)
            answer = connection.getresponse()
            status, said = answer.status, answer.read()
        finally:
            connection.close()
        if check is not None and status != check:
            raise AssertionError("%s %s: %d\n%s" % (method, path, status, said.decode()))
        return json.loads(said) if said else None

    def documents(self, alias=None):
        """All documents by _id, once they are visible."""
        name = alias or self.alias
        self.request("POST", "/%s/_refresh" % name)
        found = {}
        page = self.request("POST", "/%s/_search?scroll=1m" % name,
                            {"size": 5000, "sort": ["_doc"]})
        while page["hits"]["hits"]:
            for hit in page["hits"]["hits"]:
                found[hit["_id"]] = hit["_source"]
            page = self.request("POST", "/_search/scroll",
                                {"scroll": "1m", "scroll_id": page["_scroll_id"]})
        self.request("DELETE", "/_search/scroll", {"scroll_id": page["_scroll_id"]}, check=None)
        return found

    def cells(self):
        """The documents of the answers without `updated_at`, averages as their bits."""
        return {name: exact(source) for name, source in self.documents().items()}

    def count(self):
        return self.request("GET", "/%s/_count" % self.alias)["count"]

    def remove(self):
        """Forgets everything."""
        for alias in (self.alias, self.totals):
            for name in self.request("GET", "/%s-*" % alias, check=None):
                self.request("DELETE", "/" + name)


def exact(source):
    """A document as it is compared: to the last bit, without the time of its last change."""
    kept = {name: value for name, value in source.items() if name != "updated_at"}
    for name, value in kept.items():
        if name.startswith("average"):
            kept[name] = struct.pack(">d", float(value)).hex()
    return kept


def identity(url, country, window, start):
    """The contract's _id."""
    name = window if window == "all" else "%s:%d" % (window, start)
    return hashlib.sha1("\x1f".join((url, country, name)).encode()).hexdigest()


def wanted(events, windows=WINDOWS):
    """The documents that the events must give, as Index.cells() has them, except for
    time_on_page_sum and time_on_page_count, which the oracle has only as an average."""
    database = oracle.load(events)
    found = {}
    for window in windows:
        for start, url, country, clicks, users, average, total, count, on_page, entrances, exits in (
                oracle.answers(database, window)):
            document = {"url": url, "country": country, "window": window, "clicks": clicks,
                        "unique_user_count": users, "time_spent_sum": total,
                        "time_spent_count": count, "entrances": entrances, "exits": exits}
            if window != "all":
                document["window_start"] = start
            if average is not None:
                document["average_time_spent"] = average
            if on_page is not None:
                document["average_time_on_page"] = on_page
            found[identity(url, country, window, start)] = document
    database.close()
    return found


def same(t, got, expected, what):
    """Fails with the first differences unless both have the same documents."""
    rest = {name: {key: value for key, value in document.items()
                   if key not in ("time_on_page_sum", "time_on_page_count") or key in
                   expected.get(name, {})} for name, document in got.items()}
    if rest == expected:
        return
    names = [name for name in {**rest, **expected} if rest.get(name) != expected.get(name)]
    raise AssertionError("%s: %d documents instead of %d, %d differ\n%s" % (
        what, len(rest), len(expected), len(names), "\n".join(
            "%s\n  wanted %s\n  got    %s" % (name, expected.get(name), rest.get(name))
            for name in names[:5])))
