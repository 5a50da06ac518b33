"""The peers of bench/questions.py. Run by it in the virtual environment:

    python question_peers.py duckdb|chdb DIRECTORY

Each line of stdin is a JSON object, and so is the answer on stdout. {"load": FILE} makes the tables: a
peer's plain table has texts, its coded one a number in place of each user id and, in DuckDB, of each
value (ENUM), which needs all values beforehand. {"table", "form", "by", "where", "every", "rows"} asks
(see session_sql.py): the answer has the seconds until the answer is there, and with `rows` the rows.
DuckDB is loaded first; it writes a Parquet file from which ClickHouse makes its tables.
"""

import csv
import datetime
import io
import json
import os
import sys
import time

import session_sql

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(os.path.dirname(HERE), "tests"))

EVENT = ("url", "country", "city", "browser", "device", "name")
SESSION = ("source", "channel", "utm_campaign", "entry_page", "exit_page")
READ = {**{name: "VARCHAR" for name in ("user_id", *EVENT, "referrer", "utm_source", "utm_medium",
                                        "utm_campaign", "utm_term", "utm_content")},
        "timestamp": "BIGINT", "engaged_ms": "BIGINT"}
OWN = ("referrer", "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")
SITE = "https://www.example.com/"
PARQUET = "events.parquet"
THREADS = 2

# The session's columns of every event, as the contract credits them (this takes no time that counts).
DUCKDB_TABLES = """
CREATE TEMP TABLE line AS SELECT e.* EXCLUDE ({own}), e.timestamp // 1000 AS second, o.source AS own_source,
    o.channel AS own_channel, e.utm_campaign AS own_campaign FROM raw e LEFT JOIN origin o ON {same};
CREATE TEMP TABLE view AS SELECT user_id, timestamp, second, url, own_source, own_channel, own_campaign,
    coalesce(second - lag(second) OVER line > {gap}, true) AS begins
    FROM line WHERE name = 'pageview' WINDOW line AS (PARTITION BY user_id ORDER BY timestamp);
CREATE TEMP TABLE numbered AS SELECT *, sum(begins::INTEGER) OVER (
    PARTITION BY user_id ORDER BY timestamp ROWS UNBOUNDED PRECEDING) AS visit FROM view;
CREATE TEMP TABLE visit AS SELECT user_id, visit, arg_min(own_source, timestamp) AS source,
    arg_min(own_channel, timestamp) AS channel, any_value(own_campaign) FILTER (begins) AS utm_campaign,
    arg_min(url, timestamp) AS entry_page, arg_max(url, timestamp) AS exit_page
    FROM numbered GROUP BY user_id, visit;
CREATE TABLE plain AS SELECT l.user_id, l.timestamp, {event}, {session}, l.engaged_ms
    FROM line l ASOF LEFT JOIN numbered n ON l.user_id = n.user_id AND l.timestamp >= n.timestamp
    LEFT JOIN visit v ON v.user_id = n.user_id AND v.visit = n.visit AND l.second - n.second <= {gap}
    ORDER BY l.timestamp;
{enums}
CREATE TABLE coded AS SELECT user_id::user_id_enum AS user_id, timestamp, {coded}, engaged_ms
    FROM plain ORDER BY timestamp;
COPY (SELECT *, enum_code(user_id::user_id_enum)::UINTEGER AS user_number FROM plain ORDER BY timestamp)
    TO '{parquet}' (FORMAT parquet);
CHECKPOINT
"""


class Duckdb:
    words, tables = session_sql.DUCKDB, ("plain", "coded")

    def __init__(self, directory):
        import duckdb
        self.directory = directory
        self.database = duckdb.connect(os.path.join(directory, "peer.db"), config={
            "threads": THREADS, "temp_directory": os.path.join(directory, "temp"),
            "preserve_insertion_order": True})  # the tables are in the order of time

    def load(self, path):
        columns = ", ".join("%s: '%s'" % column for column in READ.items())
        run = self.database.execute
        run("CREATE TEMP TABLE raw AS SELECT * REPLACE (coalesce(name, 'pageview') AS name) FROM "
            "read_json('%s', format = 'newline_delimited', columns = {%s})" % (path, columns))
        self.origins()
        names = ("user_id", *EVENT, *SESSION)
        run_all(run, DUCKDB_TABLES.format(
            own=", ".join(OWN), same=" AND ".join("o.%s IS NOT DISTINCT FROM e.%s" % (name, name) for name in OWN),
            gap=session_sql.GAP, event=", ".join("l." + name for name in EVENT),
            session=", ".join("v." + name for name in SESSION), parquet=os.path.join(self.directory, PARQUET),
            enums="\n".join("CREATE TYPE %s_enum AS ENUM (SELECT DISTINCT %s FROM plain WHERE %s IS NOT NULL "
                            "ORDER BY 1);" % (name, name, name) for name in names),
            coded=", ".join("%s::%s_enum AS %s" % (name, name, name) for name in names[1:])))
        for name in ("raw", "line", "view", "numbered", "visit"):
            run("DROP TABLE " + name)
        # From now on, faster: the order of an answer is not needed.
        run("SET preserve_insertion_order = false")
        return run("SELECT count(*) FROM plain").fetchone()[0]

    def origins(self):
        """Source and channel of each way to come, by the tests' second reading of the contract."""
        import attribution
        run = self.database.execute
        odd, = run("SELECT count(*) FROM raw WHERE NOT starts_with(url, '%s') OR contains(url, '?')"
                   % SITE).fetchone()
        assert odd == 0, "%d events are not of %s" % (odd, SITE)
        rows = run("SELECT DISTINCT %s FROM raw WHERE name = 'pageview'" % ", ".join(OWN)).fetchall()
        run("CREATE TEMP TABLE origin (%s, source VARCHAR, channel VARCHAR)" % ", ".join(
            name + " VARCHAR" for name in OWN))
        self.database.executemany("INSERT INTO origin VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [
            (*row, *attribution.origin(SITE, row[0], row[1:])) for row in rows])

    def ask(self, sql):
        return self.database.execute(sql).fetchall()

    def rows(self, answer):
        return answer


class Chdb:
    words, tables = session_sql.CLICKHOUSE, ("bench.plain", "bench.coded")

    def __init__(self, directory):
        from chdb import session
        self.parquet = os.path.join(directory, PARQUET)
        self.session = session.Session(os.path.join(directory, "chdb"))

    def load(self, _):
        """Both tables are in the order of timelines, which saves the windows the sorting, in one part."""
        columns = ", ".join("%s LowCardinality(%s)" % (
            name, "Nullable(String)" if name in SESSION else "String") for name in (*EVENT, *SESSION))
        self.session.query("CREATE DATABASE bench ENGINE = Atomic")
        for table, user, kind in (("plain", "user_id", "String"), ("coded", "user_number", "UInt32")):
            self.session.query("CREATE TABLE bench.%s (user_id %s, timestamp Int64, %s, engaged_ms Nullable(Int32)) "
                               "ENGINE = MergeTree ORDER BY (user_id, timestamp)" % (table, kind, columns))
            self.session.query("INSERT INTO bench.%s SELECT %s, timestamp, %s, engaged_ms FROM file('%s')" % (
                table, user, ", ".join((*EVENT, *SESSION)), self.parquet))
            self.session.query("OPTIMIZE TABLE bench.%s FINAL" % table)
        return int(self.session.query("SELECT count() FROM bench.plain", "CSV").bytes())

    def ask(self, sql):
        return self.session.query("%s SETTINGS max_threads = %d, join_use_nulls = 1" % (sql, THREADS),
                                  "CSV").bytes()

    def rows(self, answer):
        return [[None if cell == "\\N" else cell for cell in row]
                for row in csv.reader(io.StringIO(answer.decode(), newline=""))]


def run_all(run, text):
    for statement in text.split(";\n"):
        run(statement)


def label(column, value):
    """A day is counted from 1970 in SQL."""
    if column != "day" or value is None:
        return value
    return str(datetime.date(1970, 1, 1) + datetime.timedelta(days=int(value)))


def answer(peer, request):
    """Asks once; the rows are the values of the dimensions, then whole numbers."""
    if "load" in request:
        return {"events": peer.load(request["load"])}
    by = request["by"]
    sql = session_sql.forms(peer.words, peer.tables[request["table"] == "coded"], by, request.get("where", ()),
                            request.get("every", False))[request["form"]]
    started = time.perf_counter()
    found = peer.ask(sql)
    took = {"seconds": time.perf_counter() - started}
    if request.get("rows"):
        took["rows"] = [[label(*pair) for pair in zip(by, row)] + [int(cell) for cell in row[len(by):]]
                        for row in peer.rows(found)]
    return took


def main():
    engine, directory = sys.argv[1:3]
    peer = {"duckdb": Duckdb, "chdb": Chdb}[engine](directory)
    for line in sys.stdin:
        print(json.dumps(answer(peer, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
