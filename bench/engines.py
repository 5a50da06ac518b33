"""The peers, written as a user would write them. Run by bench.py in the virtual environment:

    python engines.py ENGINE WORK key=value...

Each work prints one JSON line: the seconds between the first and the last thing that a user waits
for (without starting Python and importing the library), and the peak memory until then.
The contract's time spent: whole seconds to the same user's next event by (timestamp, row_key).
"""

import json
import os
import resource
import sys
import time

FIELDS = ("row_key", "user_id", "timestamp", "url", "country", "city", "browser", "os", "device")
NEEDED = FIELDS[:5]


class Stopwatch:
    """Measures seconds and peak memory up to stop()."""

    def __init__(self):
        self.started = time.perf_counter()

    def stop(self):
        return {"seconds": time.perf_counter() - self.started,
                "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


# ---- DuckDB

DUCKDB_ANSWERS = """
SELECT url, country, count(*) AS clicks, count(DISTINCT user_id) AS users,
       sum(spent)::DOUBLE / count(spent) AS average,
       coalesce(sum(spent), 0)::BIGINT AS total, count(spent) AS gaps
FROM (SELECT url, country, user_id,
             LEAD(timestamp) OVER (PARTITION BY user_id ORDER BY timestamp, row_key) // 1000
             - timestamp // 1000 AS spent
      FROM %s)
GROUP BY url, country
"""


def duckdb_columns(key=""):
    return ", ".join("%s %s%s" % (name, "BIGINT" if name == "timestamp" else "VARCHAR",
                                  key if name == "row_key" else "") for name in FIELDS)


def duckdb_json(path, fields):
    columns = ", ".join("%s: '%s'" % (name, "BIGINT" if name == "timestamp" else "VARCHAR")
                        for name in fields)
    return "read_json('%s', format='newline_delimited', columns={%s})" % (path, columns)


def duckdb_open(options, path=":memory:"):
    import duckdb
    watch = Stopwatch()
    database = duckdb.connect(path, config={
        "threads": int(options["threads"]), "temp_directory": options["temp"],
        # Faster, and less memory: the order of the events is not needed.
        "preserve_insertion_order": False})
    return database, watch


def duckdb_load(options, key="", conflict=""):
    database, watch = duckdb_open(options, options["database"])
    database.execute("CREATE TABLE IF NOT EXISTS events (%s)" % duckdb_columns(key))
    database.execute("INSERT INTO events SELECT * FROM %s%s" % (
        duckdb_json(options["events"], FIELDS), conflict))
    # The commit is durable. The checkpoint of close() is not counted, which favours the peer.
    took = watch.stop()
    database.close()
    return took


def duckdb_load_keyed(options):
    return duckdb_load(options, " PRIMARY KEY", " ON CONFLICT (row_key) DO NOTHING")


def duckdb_process(options):
    database, watch = duckdb_open(options, options["database"])
    database.execute("CREATE OR REPLACE TABLE answer AS " + DUCKDB_ANSWERS % "events")
    took = watch.stop()
    database.execute("COPY answer TO '%s' (FORMAT csv, HEADER)" % options["answers"])
    database.close()
    return took


def duckdb_direct(options):
    database, watch = duckdb_open(options)
    database.execute("COPY (%s) TO '%s' (FORMAT csv, HEADER)" % (
        DUCKDB_ANSWERS % duckdb_json(options["events"], NEEDED), options["answers"]))
    return watch.stop()


# ---- Polars

def polars_direct(options):
    os.environ["POLARS_MAX_THREADS"] = options["threads"]
    import polars
    column = polars.col
    watch = Stopwatch()
    seconds = column("timestamp") // 1000
    after = seconds.shift(-1).over("user_id", order_by=["timestamp", "row_key"])
    frame = polars.scan_ndjson(options["events"], schema={
        name: polars.Int64 if name == "timestamp" else polars.String for name in FIELDS})
    (frame.select(*NEEDED).with_columns(spent=after - seconds).group_by("url", "country")
     .agg(clicks=polars.len(), users=column("user_id").n_unique(), total=column("spent").sum(),
          gaps=column("spent").count())
     .with_columns(average=polars.when(column("gaps") > 0).then(
         column("total").cast(polars.Float64) / column("gaps")))
     .collect(engine="streaming").write_csv(options["answers"]))
    return watch.stop()


# ---- ClickHouse as a library

CHDB_ANSWERS = """
SELECT url, country, count() AS clicks, uniqExact(user_id) AS users,
       sum(spent) / count(spent) AS average, ifNull(sum(spent), 0) AS total, count(spent) AS gaps
FROM (SELECT url, country, user_id,
             intDiv(leadInFrame(toNullable(timestamp)) OVER (
                 PARTITION BY user_id ORDER BY timestamp, row_key
                 ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING), 1000)
             - intDiv(timestamp, 1000) AS spent
      FROM file('%s', 'JSONEachRow', '%s'))
GROUP BY url, country
SETTINGS max_threads = %s, input_format_skip_unknown_fields = 1
"""


def chdb_direct(options):
    import chdb
    watch = Stopwatch()
    columns = ", ".join("%s %s" % (name, "Int64" if name == "timestamp" else "String")
                        for name in NEEDED)
    result = chdb.query(CHDB_ANSWERS % (options["events"], columns, options["threads"]),
                        "CSVWithNames")
    with open(options["answers"], "wb") as file:
        file.write(result.bytes())
    return watch.stop()


WORKS = {
    ("duckdb", "load"): duckdb_load, ("duckdb", "load-keyed"): duckdb_load_keyed,
    ("duckdb", "process"): duckdb_process, ("duckdb", "direct"): duckdb_direct,
    ("polars", "direct"): polars_direct, ("chdb", "direct"): chdb_direct,
}


def main():
    engine, work = sys.argv[1:3]
    options = dict(argument.split("=", 1) for argument in sys.argv[3:])
    print(json.dumps(WORKS[engine, work](options)), flush=True)


if __name__ == "__main__":
    main()
