"""The two indices of the answers and their aliases (docs/elasticsearch.md). Where no clickmill has
run before, the job creates them itself."""

import json
import re
import sys
import uuid

from clickstream.contract import SUMS
from clickstream.errors import JobError

PARTS = {"index": False, "totals": True}  # the settings' name of an alias: whether it is of totals
COUNTS = ("accepted", "processed", "events", "duplicates", "cells", "dead")  # of freshness


def mapping(totals):
    """The fields of an index and their types."""
    date = {"type": "date", "format": "epoch_millis"}
    kinds = {"keyword": ["url", "country", "window"],
             "long": ["unique_user_count", *SUMS],
             "double": ["average_time_spent", "average_time_on_page"]}
    if totals:
        kinds["keyword"].append("dimension")
        kinds["long"].extend(COUNTS)
    return {"dynamic": False, "properties": {
        "URL": {"type": "alias", "path": "url"}, "window_start": date, "updated_at": date,
        **{name: {"type": kind} for kind, names in kinds.items() for name in names}}}


class Indices:
    """The indices that one run writes: those given by name, else those behind the aliases, else new
    ones. A run calls begin(), writes, and calls end(); after an error it calls discard().

    The epoch in the mapping names the writer of an index: each writer sets its own. A writer that finds
    another epoch must compare everything."""

    def __init__(self, given, server):
        self.given, self.server = given, server
        self.cells, self.totals = given.get("cells_index"), given.get("totals_index")
        self.created, self.epoch = [], None

    # ---- a run
    def begin(self):
        """Finds or creates the two indices and sets the epoch, so that an earlier writer notices the
        new one."""
        self.replaces = self.cells is None and bool(self.given.get("rebuild"))
        # The epoch of a new index is compared when the index is finished: it must not change.
        self.marks_at_end = not self.given.get("rebuild")
        if self.cells is not None:  # the caller has created and marked them
            self.epoch = self.epochs().pop()
            return
        self.cells, self.totals = [
            (not self.replaces and self.behind(self.given[part])) or self.create(
                self.given[part], totals, not self.replaces) for part, totals in PARTS.items()]
        self.mark()

    def end(self, windows, now, totals):
        """Makes the documents visible and deletes the documents of these windows that this run has
        not written: no event leads to them any more. Returns their number."""
        self.server.expect_ok("POST", "/%s,%s/_refresh" % (self.cells, self.totals))
        if self.replaces:
            self.move_aliases()
            return 0
        removed = sum(self.delete_stale(index, windows, now)
                      for index in (self.cells, self.totals)[:1 + totals])
        if self.marks_at_end:
            self.mark()
        return removed

    def discard(self):
        """Deletes the indices that this run has created, unless another writer has taken them over
        or the aliases already lead to them: a failed run must leave no index without an alias."""
        for name in self.created:
            try:
                found = self.server.expect_ok("GET", "/" + name)[name]
                ours = epoch_of(found["mappings"]) in (None, self.epoch)
                if ours and not (self.replaces and found["aliases"]):
                    self.server.expect_ok("DELETE", "/" + name)
            except JobError as error:
                print("the index %s, which was created for this run, stays: %s" % (name, error),
                      file=sys.stderr)

    # ---- indices and aliases
    def put_templates(self, alias, totals):
        given = {"shards": 1, **self.given}
        settings = {"number_of_" + n: given[n] for n in ("shards", "replicas") if n in given}
        self.server.expect_ok("PUT", "/_component_template/" + alias, {"template": {
            "settings": settings, "mappings": mapping(totals)}})
        self.server.expect_ok("PUT", "/_index_template/" + alias, {
            "index_patterns": [alias + "-*"], "priority": 500, "composed_of": [alias],
            "_meta": {"made_by": "clickmill"}})

    def behind(self, alias):
        """The index that the alias leads to; None where there is no such alias."""
        status, found = self.server.request("GET", "/_alias/" + alias)
        if status == 404:
            return None
        if status != 200:
            raise JobError("Elasticsearch answers %d to a request for the alias %s" % (status, alias))
        if len(found) != 1:
            raise JobError("the alias %s leads to %d indices, it must lead to one" % (
                alias, len(found)))
        return next(iter(found))

    def create(self, alias, totals, aliased):
        """Creates the next index, ALIAS-000001 and so on, and returns its name."""
        self.put_templates(alias, totals)
        _, found = self.server.request("GET", "/%s-*/_alias?expand_wildcards=all" % alias)
        numbers = re.findall("^%s-([0-9]+)$" % re.escape(alias), "\n".join(found), re.M)
        name = "%s-%06d" % (alias, max(map(int, numbers), default=0) + 1)
        ours = {"_meta": {"clickmill": {"made": uuid.uuid4().hex}}}
        try:
            self.server.expect_ok("PUT", "/" + name, {
                "mappings": ours, "aliases": {alias: {}} if aliased else {}})
        except JobError:  # only the answer may be lost: then the index exists and has our mark
            _, found = self.server.request("GET", "/" + name)
            if found.get(name, {}).get("mappings", {}).get("_meta") != ours["_meta"]:
                raise
        self.created.append(name)
        return name

    def move_aliases(self):
        """Moves both aliases to the new indices and deletes the old ones, in one step."""
        actions = []
        for part, name in (("index", self.cells), ("totals", self.totals)):
            old = self.behind(self.given[part])
            actions.append({"add": {"index": name, "alias": self.given[part]}})
            if old is not None:
                actions.append({"remove_index": {"index": old}})
        try:
            self.server.expect_ok("POST", "/_aliases", {"actions": actions})
        except JobError:
            # Only the answer may be lost: then the aliases have moved, and a repetition fails.
            if [self.behind(self.given[part]) for part in PARTS] != [self.cells, self.totals]:
                raise

    # ---- epochs
    def mark(self):
        """Sets a new epoch. A writer that took the indices over during this run has not seen all of
        its documents, and compares everything when it finds this epoch."""
        self.epoch = uuid.uuid4().hex
        self.server.expect_ok("PUT", "/%s,%s/_mapping" % (self.cells, self.totals),
                              {"_meta": {"clickmill": {"epoch": self.epoch}}})

    def epochs(self):
        """The epochs of the two indices. One that is not ours belongs to a writer that has begun
        since."""
        found = self.server.expect_ok("GET", "/%s,%s/_mapping" % (self.cells, self.totals))
        return {epoch_of(about["mappings"]) for about in found.values()}

    def delete_stale(self, index, windows, now):
        query = {"size": 5000, "_source": False, "query": {"bool": {
            "filter": [{"terms": {"window": windows}}],
            "must_not": [{"term": {"updated_at": now}}]}}}
        removed = 0
        while True:
            hits = self.server.expect_ok("POST", "/%s/_search" % index, query)["hits"]["hits"]
            if not hits or self.epochs() != {self.epoch}:
                return removed
            lines = [json.dumps({"delete": {"_index": index, "_id": hit["_id"]}}) for hit in hits]
            answer = self.server.expect_ok("POST", "/_bulk?refresh=true",
                                           ("\n".join(lines) + "\n").encode(),
                                           "application/x-ndjson")
            if any(item["delete"]["status"] not in (200, 404) for item in answer["items"]):
                raise JobError("Elasticsearch does not delete from %s: %s" % (
                    index, json.dumps(answer["items"][0])[:500]))
            removed += len(hits)


def epoch_of(mappings):
    return mappings.get("_meta", {}).get("clickmill", {}).get("epoch")
