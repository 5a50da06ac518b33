"""An index of a test's own on a real Elasticsearch or OpenSearch, filled by Python from an embedded
one, so that what Clickmill reads is not what Clickmill has written."""

import base64
import hashlib
import http.client
import json
import ssl

import cluster

FIELDS = ("url country window window_start clicks unique_user_count average_time_spent "
          "time_spent_sum time_spent_count average_time_on_page time_on_page_sum "
          "time_on_page_count entrances exits updated_at").split()
BATCH = 2000  # documents

SHARED = cluster.NODES
SECURE = cluster.SECURE.part("elasticsearch")


def document_id(url, country, window, start):
    """The contract's, told again."""
    when = window if window == "all" else "%s:%d" % (window, start)
    return hashlib.sha1("\x1f".join((url or "", country or "", when)).encode()).hexdigest()


class Place:
    """A server and two aliases there."""

    def __init__(self, t, name, owner):
        self.t, self.stack = t, owner.up()
        self.index, self.totals = name + "_data", name + "_totals"
        self.port = self.stack.port("elasticsearch")
        self.secure = self.stack.choice["profile"] == "secure"
        self.hosts = "%s://127.0.0.1:%d" % ("https" if self.secure else "http", self.port)
        self.options = ["--index", "elasticsearch", "--elasticsearch-hosts", self.hosts,
                        "--elasticsearch-index", self.index, "--elasticsearch-totals", self.totals]

    # ---- the server

    def ask(self, method, path, body=None, check=200):
        """The server's answer as an object; lists are bodies of _bulk."""
        headers = {"Content-Type": "application/json"}
        if isinstance(body, list):
            body = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in body)
            headers["Content-Type"] = "application/x-ndjson"
        elif body is not None:
            body = json.dumps(body, ensure_ascii=False)
        if self.secure:
            known = self.stack.secrets()
            login = "%s:%s" % (known["ELASTICSEARCH_USERNAME"], known["ELASTICSEARCH_PASSWORD"])
            headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
            trusted = ssl.create_default_context(cafile=self.stack.tls("ca.pem"))
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60,
                                                     context=trusted)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body.encode() if body else None, headers)
            reply = connection.getresponse()
            text = reply.read().decode()
        finally:
            connection.close()
        if check is not None and reply.status != check:
            raise AssertionError("%s %s: %d %s" % (method, path, reply.status, text[:2000]))
        return json.loads(text)

    def prepare(self):
        """Makes templates and indices with the program."""
        return self.t.clickmill("doctor", "--fix", *self.options).out

    def clear(self):
        """Takes away all of a test's own that a run before may have left."""
        for alias in (self.index, self.totals):
            for name in self.ask("GET", "/%s*/_alias" % alias):
                self.ask("DELETE", "/" + name)
            for kind in ("_index_template", "_component_template"):
                self.ask("DELETE", "/%s/%s" % (kind, alias), check=None)

    # ---- documents

    def put(self, alias, documents):
        """Writes (id, document) pairs."""
        for at in range(0, len(documents), BATCH):
            lines = []
            for key, document in documents[at:at + BATCH]:
                lines += [{"index": {"_id": key}}, document]
            answer = self.ask("POST", "/%s/_bulk" % alias, lines)
            failed = [item for item in answer["items"] if item["index"]["status"] >= 300]
            self.t.equal(failed, [], "documents that were refused")

    def copy(self, data="data"):
        """Writes all of an embedded index, and how fresh it is."""
        cells, totals = embedded(self.t, data)
        self.put(self.index, cells)
        self.put(self.totals, totals)
        self.ask("POST", "/%s,%s/_refresh" % (self.index, self.totals))


def embedded(t, data):
    """The documents of both aliases, as pairs of id and document."""
    database = t.database(data)
    select = "SELECT %s FROM " % ", ".join(FIELDS)
    cells, totals = [], []
    for table, into in (("answer", cells), ("rollup", totals)):
        for row in database.execute(select + table):
            document = {name: value for name, value in zip(FIELDS, row) if value is not None}
            if table == "rollup":
                document["dimension"] = ("url" if "url" in document else
                                         "country" if "country" in document else "site")
            into.append((document_id(*row[:4]), document))
    totals += freshness(database)
    database.close()
    return cells, totals


def freshness(database):
    accepted = database.execute("SELECT max(first + count) FROM block").fetchone()[0]
    dead = database.execute("SELECT count(*) FROM dead").fetchone()[0]
    for window, upto, events, cells, updated_at in database.execute(
            "SELECT window, upto, events, cells, updated_at FROM covered"):
        yield ("freshness:" + window, {
            "dimension": "freshness", "window": window, "accepted": accepted, "processed": upto,
            "events": events, "duplicates": upto - events, "cells": cells, "dead": dead,
            "updated_at": updated_at})
