"""Reports the results: the rows of the goals, tables in Markdown, and docs/performance.md."""

import measure

NAMES = {"clickmill": "Clickmill", "duckdb": "DuckDB", "duckdb-keyed": "DuckDB with a key",
         "polars": "Polars", "chdb": "ClickHouse (chDB)"}

# title, work, peer, and N: at most 1/N of the peer's time
RATIOS = (
    ("import JSONL durably", "import", "duckdb", 4),
    ("the same, safe for repeated delivery", "import", "duckdb-keyed", 20),
    ("`process` from the store, answers written", "process", "duckdb", 15),
    ("one more `process` after %(new)s new events", "again", "duckdb", 50),
    ("JSONL to answers, nothing stored", "direct", "duckdb", 3),
)
PEAKS = ((10000000, 0.6e9), (100000000, 2e9))  # events, bytes at most
DISK = 5             # DuckDB's file with the key is at least this many times as large as the store
PRODUCE, LOG = 2e6, 1e6   # events and lines per second at least
FLAT = 1.5           # the cost of an event is at most this many times that of the smallest set
OURS = ("import", "process", "direct")


class Results:
    """Medians of the raw runs."""

    def __init__(self, results):
        self.raw = results
        self.size = results["settings"]["size"]
        self.sets = results["data"]

    def runs(self, data, work, engine="clickmill"):
        return [run for run in self.raw["runs"]
                if (run["data"], run["work"], run["engine"]) == (data, work, engine)]

    def seconds(self, data, work, engine="clickmill"):
        return measure.median(self.runs(data, work, engine), "seconds")

    def peak(self, data, works=OURS + ("again",), engine="clickmill"):
        """The largest peak of all runs of these works; None when none was measured."""
        return max((run["peak_bytes"] for work in works for run in self.runs(data, work, engine)),
                   default=None)

    def cost(self, data, works=("import", "process"), engine="clickmill"):
        """Nanoseconds per event of the works together; None when one was not measured."""
        seconds = [self.seconds(data, work, engine) for work in works]
        return None if None in seconds else sum(seconds) / self.sets[data]["events"] * 1e9

    def of_size(self, events):
        """The data set of the usual shape with that number of events."""
        name = "base" if events == self.size else "%d events" % events
        return name if name in self.sets else None

    def by_size(self):
        return [(size, self.of_size(size)) for size in self.raw["settings"]["series"]
                if self.of_size(size)]


def row(work, ours, peer, theirs, ratio, limit, met):
    return {"work": work, "measured": ours, "peer": peer, "peer_measured": theirs, "ratio": ratio,
            "required": limit, "met": {True: "met", False: "NOT MET", None: "not measured"}[met]}


def yardstick(results):
    """Every row of the goals, as dicts of strings."""
    data = Results(results)
    rows = [ratio_row(data, *entry) for entry in RATIOS]
    rows += [peak_row(data, *entry) for entry in PEAKS]
    rows.append(disk_row(data))
    rows.append(speed_row(data, "`produce --out /dev/null`", "produce", PRODUCE, "events/s"))
    rows.append(speed_row(data, "access log import (combined, no look-ups)", "accesslog", LOG,
                          "lines/s"))
    rows += flat_rows(data)
    return rows


def ratio_row(data, title, work, peer, limit):
    title %= {"new": "{:,}".format(data.raw["settings"]["new_events"])}
    ours, theirs = data.seconds("base", work), data.seconds("base", work, peer)
    if ours is None or theirs is None:
        return row(title, seconds(ours), NAMES[peer], seconds(theirs), "", "1/%d" % limit, None)
    return row(title, seconds(ours), NAMES[peer], seconds(theirs), fraction(ours / theirs),
               "1/%d" % limit, ours * limit <= theirs)


def peak_row(data, events, limit):
    name = data.of_size(events)
    ours = data.peak(name) if name else None
    theirs = data.peak(name, ("import", "process", "direct"), "duckdb") if name else None
    return row("peak memory at %s events" % short(events), size(ours), "DuckDB", size(theirs),
               fraction(ours / theirs) if ours and theirs else "", "at most " + size(limit),
               None if ours is None else ours <= limit)


def disk_row(data):
    ours, theirs = (data.raw["disk"].get(name) for name in ("clickmill", "duckdb-keyed"))
    known = ours is not None and theirs is not None
    return row("store on disk", size(ours), NAMES["duckdb-keyed"], size(theirs),
               fraction(ours / theirs) if known else "", "1/%d" % DISK,
               ours * DISK <= theirs if known else None)


def speed_row(data, title, work, limit, unit):
    took = data.seconds("base", work)
    if took is None:
        return row(title, "", "-", "", "", "", None)
    return row(title, "%s %s" % (short(data.size / took), unit), "-", "", "",
               "at least %s %s" % (short(limit), unit), data.size / took >= limit)


def flat_rows(data):
    """The cost of an event at the largest size relative to the smallest, and of each shape."""
    sizes = data.by_size()
    made = []
    if len(sizes) > 1:
        made.append(flat_row(data, "cost per event, %s against %s events" % (
            short(sizes[-1][0]), short(sizes[0][0])), sizes[-1][1], sizes[0][1]))
    for name, about in data.sets.items():
        if name == "base" or name == data.of_size(about["events"]):
            continue
        other = data.of_size(about["events"]) or "base"
        made.append(flat_row(data, "cost per event, %s" % describe(name, about), name, other))
    return made


def flat_row(data, title, name, other):
    ours, base = data.cost(name), data.cost(other)
    return row(title, nanoseconds(ours), "Clickmill, %s" % (
        "base" if other == "base" else describe(other, data.sets[other])), nanoseconds(base),
        "%.2f" % (ours / base), "at most %.1f" % FLAT, ours <= FLAT * base)


# ---- formatting

def seconds(value):
    return "-" if value is None else "%.3g s" % value if value < 100 else "%.0f s" % value


def nanoseconds(value):
    return "-" if value is None else "%.0f ns" % value


def size(value):
    if value is None:
        return "-"
    return "%.2f GB" % (value / 1e9) if value >= 1e9 else "%.0f MB" % (value / 1e6)


def fraction(value):
    return "1/%.1f" % (1 / value) if value < 1 else "%.2f" % value


def short(count):
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if count >= unit:
            return "%.4g %s" % (count / unit, name)
    return "%.4g" % count


def describe(name, about):
    return {"few users": "1,000 users", "many users": "ten events a user",
            "heavy user": "one user with a tenth of all events",
            "many pages": "1,000,000 URLs", "random keys": "random row keys",
            "10 M users": "10 M users at %s events" % short(about["events"]),
            "base": "%s events" % short(about["events"])}.get(
                name, "%s events" % short(about["events"]))


def markdown(header, rows, right=()):
    text = ["| %s |" % " | ".join(header),
            "|%s|" % "|".join("---:" if name in right else "---" for name in header)]
    text += ["| %s |" % " | ".join(str(cell) for cell in cells) for cells in rows]
    return "\n".join(text) + "\n"


def rows_table(results):
    return markdown(("work", "Clickmill", "peer", "measured", "ratio", "required", ""),
                    [list(entry.values()) for entry in yardstick(results)],
                    ("Clickmill", "measured", "ratio"))


def engines_table(results):
    """JSONL to answers by engine, for information."""
    data = Results(results)
    rows = [(NAMES[engine], seconds(data.seconds("base", "direct", engine)),
             size(data.peak("base", ("direct",), engine)))
            for engine in ("clickmill", "duckdb", "polars", "chdb")]
    return markdown(("JSONL to answers", "time", "peak memory"), rows, ("time", "peak memory"))


def shapes_table(results):
    data = Results(results)
    rows = []
    for name, about in sorted(data.sets.items(), key=lambda entry: entry[1]["events"]):
        disk = results["disk"].get("clickmill") if name == "base" else about.get("disk")
        rows.append((describe(name, about), short(about["events"]), "{:,}".format(about["cells"]),
                     seconds(data.seconds(name, "import")), seconds(data.seconds(name, "process")),
                     nanoseconds(data.cost(name)), size(disk), size(data.peak(name)),
                     seconds(data.seconds(name, "direct")),
                     seconds(data.seconds(name, "direct", "duckdb"))))
    return markdown(("data", "events", "answers", "import", "process", "both, per event", "store",
                     "peak memory", "JSONL to answers", "the same, DuckDB"), rows,
                    ("events", "answers", "import", "process", "both, per event", "store",
                     "peak memory", "JSONL to answers", "the same, DuckDB"))


def memory_table(results):
    data = Results(results)
    little = results["settings"]["little_memory"]
    rows = [("`--memory %s`" % name, seconds(data.seconds("base", work)),
             size(data.peak("base", (work,))))
            for name, work in (("1g", "rebuild"), (little, "rebuild-" + little))]
    return markdown(("`process --rebuild`", "time", "peak memory"), rows, ("time", "peak memory"))


def setting(results):
    about, versions = results["machine"], results["versions"]
    text = ("%s, %s; %s, %d of its %d processors used, %.0f GB of memory; %s, kernel %s. "
            % (results["date"][:10], about["architecture"], about["cpu"], about["processors_used"],
               about["processors"], about["memory_bytes"] / 1e9, about["system"],
               about["kernel"]))
    return text + "%s (commit %s), compared with DuckDB %s, Polars %s and chDB %s." % (
        versions["clickmill"], versions["commit"], versions["duckdb"], versions["polars"],
        versions["chdb"])


def shape(results):
    base = results["data"]["base"]
    return ("%s events, %s users, 1,000 URLs, 60 countries, %s of JSON lines" % (
        "{:,}".format(base["events"]), "{:,}".format(max(1000, base["events"] // 50)),
        size(base["bytes"])))


def not_measured(results):
    sizes = results["settings"]["series"]
    notes = list(results["not_measured"])
    if max(sizes) < PEAKS[-1][0]:
        notes.append("more than %s events (`make bench SERIES=full` measures up to 100 M)"
                     % short(max(sizes)))
    return notes


def busy(results):
    """A warning when other programs used the machine: its load was much higher than ours."""
    loads = sorted(run["load"] for run in results["runs"])
    middle = loads[len(loads) // 2]
    if middle <= results["settings"]["threads"] + 0.5:
        return ""
    return ("\nOther programs used the machine (its load was %.1f, two threads were measured), "
            "so times are longer than on an idle one.\n" % middle)


def table(results):
    """The output of `make bench`."""
    notes = not_measured(results)
    return "%s\n\n%s.\n%s\n%s\n%s\n%s\n%s%s" % (
        setting(results), shape(results), busy(results), rows_table(results),
        engines_table(results), shapes_table(results), memory_table(results),
        "".join("\nNot measured: %s.\n" % note for note in notes))


DOCUMENT = """# Performance

Measured by `make bench` and written by `python3 bench/bench.py --doc`; do not edit by hand. Another
machine gives other times but nearly the same ratios, so compare the columns of one run.

{setting}
{busy}
![Time by engine, and cost per event by size](performance.svg)

## Compared with other engines

{shape}.

{rows}
The ratio is Clickmill's time (memory, bytes) divided by the peer's. *required* is the limit that the
project sets for itself.

{engines}
## Size and shape

The cost per event should not depend on the number of events or on their distribution over users
and pages.

{shapes}
When the events do not fit in the allowed memory, they are computed in ranges of users, with the same
answers:

{memory}
## Questions

{questions}
## On real engines

{cluster}
## Events over HTTP

{collect}
## Pages of hours

{hours}
## How it is measured

- Every engine gets the same file, the same {threads} processors and {threads} threads, in the same run. The engines
  run in turn. A time is the median of {runs} runs; there is one run above 20 M events, for DuckDB in the
  table of size and shape, and when a run takes longer than 100 s. Every file is read once directly
  before each run, so that it is in the page cache, as far as it fits.
- Before a time counts, the answers are compared with DuckDB's: every URL and country, with clicks,
  distinct users, sum and count of the time spent, and every bit of the average. One difference ends
  the benchmark with an error. The whole file is also imported a second time, and no answer may
  change.
- Clickmill's time is that of the whole process, from its start to its end, with everything on disk.
  A peer's time leaves out the start of Python, the import of its library and, for DuckDB, the
  checkpoint when the database is closed. Peers use their fastest known settings: DuckDB without
  insertion order and with declared columns, Polars with its streaming engine and a schema, chDB with
  declared columns. Each reads only the columns it needs.
- "Safe for repeated delivery" needs a key in DuckDB (`PRIMARY KEY (row_key)`, `ON CONFLICT DO NOTHING`).
  Clickmill's store finds copies when it processes.
- Clickmill's `process` also computes values that the peers do not compute: average time on page,
  entrances, exits, and every value per URL, per country and in total.
- Peak memory is `ru_maxrss` of the whole process, the largest of its runs, with mapped files. The
  smallest possible value is the memory of the benchmark when it starts the process (about 30 MB).
- The row keys of the data set are derived from user and time, as in the contract, so Clickmill does
  not store them. "random row keys" has the same events with keys that it must store.

## What was not measured

- A cold page cache, other file systems, other processors, more than {threads} threads.
- Parquet: its readers skip most of the work that is measured here, and click events do not arrive in
  this format.
- Data over a network: clients and servers of Kafka and Cassandra are on one machine.
{notes}"""


NO_QUESTIONS = """Not measured in this run. `make bench-questions` measures it, and its results are then written here.
"""

QUESTIONS = """A warm `clickmill serve`, asked over HTTP, compared with DuckDB and ClickHouse (chDB), each from its own
table, warm too. The time of a question is from its request to the last byte of its rows (10,000 at most, a peer's
all). Each peer's query has two forms, with sets of distinct values and with groups in several levels; its time is
the median of the faster one. DuckDB's table is in the order of time, ClickHouse's in the order of timelines
(`ORDER BY (user_id, timestamp)`, merged into one part, texts as LowCardinality). *Coded* tables have a number in
place of each user id and, in DuckDB, of each value (ENUM): then all users and values must be known before the
first event is stored. *ratio* and *required* are of the faster peer without them, *to coded, too* of the fastest of
all four. The columns of the session (`source`) are ready columns of the peers' tables. Every row and every
counter of each form is compared before a time counts; averages and rates are checked against the counters.

%s"""

NO_CLUSTER = """Not measured in this run. `make bench-cluster` measures it, and its results are then written here.
"""

CLUSTER = """Kafka, Cassandra, Elasticsearch and Spark, as `make bench-cluster` starts them, on the same processors as
their clients, compared with minimal clients and the usual tools. Before a time counts, the contents of
topic, table and index are compared with the events that were sent. Rates are compared within one run.

%s"""


NO_COLLECT = """Not measured in this run. `make bench-collect` measures it, and its results are then written here.
"""

COLLECT = """`clickmill collect` compared with nginx, which answers 204 to every request and ignores the body, and so
shows the cost of HTTP alone. Both get the same events, each with its own row key, from `wrk` on the
same processors, in turn. The answer 202 is sent when the event is on the disk. Before a time counts,
the events in the store are counted.

%s"""


NO_HOURS = """Not measured in this run. `make bench-hours` measures it, and its results are then written here.
"""

HOURS = """Pages of `/api/answers?window=hour`, 100 rows unless the table says more. Each is asked of a `serve`
that was just started; "warm" is one that has shown another page of all hours before.

%s"""


def document(results, questions, cluster, collect, hours):
    """The text of docs/performance.md. The others are the results of `make bench-questions`,
    `make bench-cluster`, `make bench-collect` and `make bench-hours`; None when they were not run."""
    settings = results["settings"]
    return DOCUMENT.format(
        setting=setting(results), busy=busy(results), shape=shape(results),
        rows=rows_table(results), engines=engines_table(results), shapes=shapes_table(results),
        memory=memory_table(results),
        questions=QUESTIONS % questions if questions else NO_QUESTIONS,
        cluster=CLUSTER % cluster if cluster else NO_CLUSTER,
        collect=COLLECT % collect if collect else NO_COLLECT,
        hours=HOURS % hours if hours else NO_HOURS,
        threads=settings["threads"], runs=settings["runs"],
        notes="".join("- %s.\n" % (note[0].upper() + note[1:]) for note in not_measured(results)))
