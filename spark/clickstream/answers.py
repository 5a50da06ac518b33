"""Computes the answers.

The events are shuffled once, by user. Within a user's events, ordered by (timestamp, row_key), the
neighbours give time spent and sessions; of several copies of an event, the one that counts is the
last (docs/contract.md, "Copies"). Then the events of one user and one row are combined, and in
another order of the same partition the first row of each user in a url or a country is marked. So
users are counted by adding up, and what remains is a small exchange of sums by (window, url,
country).
"""

from pyspark.sql import Observation, Window
from pyspark.sql import functions as f

from clickstream.contract import LENGTHS, OPTIONAL, RULES, SUMS, TIME_END, windows_of
from clickstream.fields import are_valid, first_stated, has, is_view, other_key, present

# What JSON escapes, as `clickmill export` escapes it.
ESCAPES = (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t"), *(
    (chr(code), "\\u%04x" % code) for code in range(32) if chr(code) not in "\n\r\t"))
TASKS = 8  # per core
DIMENSIONS = ("cell", "url", "country", "site")
NAMESPACE = "6ba7b8109dad11d180b400c04fd430c8"  # of derived row keys: DNS
RFC_3339 = ("^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?"
            "([Zz]|[+-][0-9]{2}:[0-9]{2})$")


# ---- events
def checked(raw, unique):
    """The columns that the answers are computed from; `valid` says whether the event keeps the
    rules. Unless row keys are unique, also the number of optional fields that are `stated`."""
    types = dict(raw.dtypes)
    valid = f.col("time_ms").between(1, TIME_END - 1)
    for name, (least, most) in RULES.items():
        if name in types:
            fits = f.octet_length(f.col(name)) <= most
            valid = valid & (fits & (f.col(name) != "") if least else f.coalesce(fits, f.lit(True)))
    columns = raw.withColumn("time_ms", milliseconds(types["timestamp"])).withColumn(
        "valid", f.coalesce(valid & are_valid(types, unique), f.lit(False)))
    kept = ["row_key", "user_id", "time_ms", "url", "valid", known("country").alias("country")]
    if "name" in types:
        kept.append(is_view(types).alias("view"))
    if not unique:
        kept += of_copies(types)
    return columns.select(*kept)


def known(name):
    return f.when(f.col(name) != "", f.col(name)).otherwise("Unknown")


def of_copies(types):
    """What decides which of several copies counts, beside url and country. Where one of them may be no
    page view, these are the fields up to the first one in which the two differ."""
    stated = [f.when((f.col(name) != "") & (f.col(name) != "Unknown"), 1).otherwise(0)
              for name in OPTIONAL if name in types]
    stated += [f.when(has(name, types), 1).otherwise(0) for name in present(types)]
    columns = [sum(stated, f.lit(0)).alias("stated")]
    if "name" in types:
        columns += [known(name).alias(name) for name in OPTIONAL[1:] if name in types]
        columns += ["name", first_stated(types).alias("first"), other_key(types).alias("other_key")]
    return columns


def milliseconds(kind):
    """The column `timestamp` in ms. It is a Spark timestamp, an integer, or a string that contains
    an integer or RFC 3339."""
    if kind == "timestamp":
        return f.expr("unix_millis(timestamp)")
    number = f.col("timestamp").cast("long")
    if kind != "string":
        return number
    written = f.col("timestamp").rlike(RFC_3339)
    return f.when(written, f.expr("unix_millis(cast(upper(timestamp) as timestamp))")).when(
        f.col("timestamp").rlike("^[0-9]{1,15}$"), number)


def derived_key():
    """The row key of an event that has none: the UUIDv5 of user and time."""
    digest = f.sha1(f.concat(f.unhex(f.lit(NAMESPACE)), f.encode(
        f.concat_ws("_", "user_id", f.col("time_ms").cast("string")), "UTF-8")))

    def part(at, length):
        return f.substring(digest, at, length)

    return f.concat_ws("-", part(1, 8), part(9, 4), f.concat(f.lit("5"), part(14, 3)), f.concat(
        f.translate(part(17, 1), "0123456789abcdef", "89ab" * 4), part(18, 3)), part(21, 12))


def in_json(name):
    """The value of a column as the event's JSON contains it, with the closing quote: copies are
    compared by these bytes."""
    text = f.col(name)
    for plain, escaped in ESCAPES:
        text = f.replace(text, f.lit(plain), f.lit(escaped))
    special = f.col(name).rlike(r'[\x00-\x1f"\\]')
    return f.concat(f.when(special, text).otherwise(f.col(name)), f.lit('"'))


def timeline(events, unique, timeout, others):
    """Each page view with what it contributes to its row. `others`: the Observation that counts the
    other events; None: there are none."""
    # Users are separated by a hash first: integers sort faster than user ids.
    events = events.withColumn("user_hash", f.xxhash64("user_id"))
    users = Window.partitionBy("user_hash", "user_id")
    order = users.orderBy("time_ms", "row_key")
    if not unique:
        # Of several copies the one that counts is the last: it states more fields, or its JSON is
        # greater. Among copies with the same url and country the choice makes no difference. The
        # sort compares these columns only for copies, while a window would evaluate them for every
        # row; and a window keeps the order that it finds.
        ties = [in_json(name) for name in ("url", "country", *OPTIONAL[1:], "first", "name")
                if name in events.columns]
        events = events.repartition("user_hash", "user_id").sortWithinPartitions(
            "user_hash", "user_id", "time_ms", "row_key", "stated", *ties)
        copied = (f.lead("time_ms").over(order) == f.col("time_ms")) & (
            f.lead("row_key").over(order) == f.col("row_key"))
        events = events.select("*", copied.alias("copied")).where("copied is not true")
    if others is not None:
        events = events.observe(others, f.count(f.when(~f.col("view"), 1)).alias("others"))
        events = events.where("view")
    events = events.select("*", f.lag("time_ms").over(order).alias("before_time_ms"),
                           f.lead("time_ms").over(order).alias("after_time_ms"))
    continues = f.expr("time_ms div 1000 - before_time_ms div 1000") <= timeout
    return events.select(
        "user_hash", "user_id", "url", "country", "time_ms", "before_time_ms",
        f.expr("after_time_ms div 1000 - time_ms div 1000").alias("spent"),
        (~f.coalesce(continues, f.lit(False))).alias("enters"))


# ---- rows of one user
def count(condition):
    return f.sum(f.when(condition, f.lit(1)).otherwise(f.lit(0)).cast("long"))


def by_user(events, windows, totals, timeout):
    """One row per user, url, country and shortest window. This needs no exchange, because a user's
    events are in one partition. `new_site_day` counts the user's first event of each day."""
    stays = f.coalesce(f.col("spent") <= timeout, f.lit(False))
    sums = {"clicks": f.count(f.lit(1)),
            "time_spent_sum": f.coalesce(f.sum("spent"), f.lit(0)),
            "time_spent_count": f.count("spent"),
            "time_on_page_sum": f.sum(f.when(stays, f.col("spent")).otherwise(f.lit(0))),
            "time_on_page_count": count(stays),
            "entrances": count(f.col("enters")),
            "exits": count(~stays)}
    for window in windows if totals else ():
        sums["new_site_" + window] = count(is_first(window, "before_time_ms", "time_ms"))
    keys = [f.col(name) for name in ("user_hash", "user_id", "url", "country")]
    if windows[0] != "all":
        keys.append(start_of(windows[0]).alias("start"))
    return events.groupBy(*keys).agg(*[column.alias(name) for name, column in sums.items()])


def with_firsts(rows, windows, totals):
    """Marks the first row of each user in each cell, url and country; the sums of these marks are
    the unique users. `new_url_day` is 1 for the user's first row of that day and url, and so on.
    This needs no exchange, but another order for each dimension; rows of the shortest window are
    one per user already and need none."""
    times = windows != ["all"]
    names = {"cell": ("url", "country"), "country": ("country",), "url": ("url",)}
    for dimension in names if totals else ("cell",):
        for window in windows if dimension != "cell" else windows[1:]:
            if "before" not in rows.columns:
                # As with users: the hash first.
                rows = rows.withColumn("row_hash", f.xxhash64(*names[dimension]))
                order = Window.partitionBy("user_hash", "user_id").orderBy(
                    "row_hash", *names[dimension], *(["start"] if times else []))
                same = f.lag("row_hash").over(order) == f.col("row_hash")
                for name in names[dimension]:
                    same = same & (f.lag(name).over(order) == f.col(name))
                rows = rows.withColumn("before", f.when(
                    same, f.lag("start").over(order) if times else f.lit(0)))
            rows = rows.withColumn("new_%s_%s" % (dimension, window), f.when(
                is_first(window, "before", "start"), f.lit(1)).otherwise(f.lit(0)).cast("long"))
        rows = rows.drop("before", "row_hash")
    return rows.withColumn("new_cell_" + windows[0], f.lit(1).cast("long"))


def is_first(window, before, time):
    """Whether there is no time before, or it lies in another window."""
    first = f.col(before).isNull()
    return first if window == "all" else first | (start_of(window, before) != start_of(window, time))


def start_of(window, time="time_ms"):
    """The start of the window that contains a time."""
    return f.expr("%s - %s %% %dL" % (time, time, LENGTHS[window]))


# ---- sums of all users
def sum_up(rows, windows, totals):
    """Rows of (url, country, window) for the shortest window. Longer windows are sums of these,
    because a day consists of hours; unique users too, since a user is new in one hour of a day."""
    news = ["new_%s_%s" % (dimension, window)
            for dimension in (DIMENSIONS if totals else DIMENSIONS[:1]) for window in windows]
    keys = ["url", "country", *([] if windows[0] == "all" else ["start"])]
    return rows.groupBy(*keys).agg(*[f.sum(name).alias(name) for name in (*SUMS, *news)])


def cells_of(sums, windows):
    """The contract's rows of every window, from the sums of the shortest one."""
    def of(window):
        start = f.lit(None).cast("long") if window == "all" else start_of(window, "start")
        rows = sums.withColumn("window_start", start)
        news = [name for name in sums.columns if name.endswith("_" + window)]
        if window != windows[0]:
            rows = rows.groupBy("url", "country", "window_start").agg(
                *[f.sum(name).alias(name) for name in (*SUMS, *news)])
        return rows.select(f.lit(window).alias("window"), "window_start", "url", "country", *SUMS,
                           *[f.col(name).alias(name[:name.rindex("_")]) for name in news])

    rows = of(windows[0])
    for window in windows[1:]:
        rows = rows.unionByName(of(window))
    return rows.withColumn("unique_user_count", f.col("new_cell"))


def totals_of(cells):
    """The numbers per url, per country and of the site."""
    def roll_up(dimension, *names):
        rows = cells.groupBy("window", "window_start", *names).agg(
            f.sum("new_" + dimension).alias("unique_user_count"),
            *[f.sum(name).alias(name) for name in SUMS])
        for name in ("url", "country"):
            if name not in names:
                rows = rows.withColumn(name, f.lit(None).cast("string"))
        return rows.withColumn("dimension", f.lit(dimension))

    return roll_up("url", "url").unionByName(
        roll_up("country", "country")).unionByName(roll_up("site"))


# ---- all of it
def spread(spark):
    """Sets some tasks per core, so that what each of them sorts fits into memory. Spark combines
    small tasks again."""
    name = "spark.sql.shuffle.partitions"
    try:
        cores = spark.sparkContext.defaultParallelism
    except Exception:  # Spark Connect has no sparkContext; the error differs between releases
        return
    wanted, now = TASKS * cores, int(spark.conf.get(name))
    if now < wanted or now == 200:  # 200 is Spark's default
        spark.conf.set(name, str(wanted))


def answers(raw, settings):
    """The sums of the shortest window (sum_up()), and the Observations of what was read and of the
    events that are no page views (None: there are none)."""
    spread(raw.sparkSession)
    seen = Observation("events")
    unique = "cassandra" in settings["input"]  # its primary key is the row key
    events = checked(raw, unique).observe(
        seen, f.count(f.lit(1)).alias("read"), f.count(f.when(f.col("valid"), 1)).alias("accepted"),
        f.min(f.when(f.col("valid"), f.col("time_ms"))).alias("first_ms"),
        f.max(f.when(f.col("valid"), f.col("time_ms"))).alias("last_ms"))
    events = events.where("valid")
    if not unique:
        derived = derived_key()
        if "view" in events.columns:
            derived = f.when(f.col("view"), derived).otherwise(f.col("other_key"))
        events = events.withColumn("row_key", f.when(
            f.col("row_key") != "", f.col("row_key")).otherwise(derived))
    windows, totals = windows_of(settings), settings.get("totals", True)
    timeout = int(settings.get("session_timeout", 1800))
    others = Observation("others") if "view" in events.columns else None
    rows = by_user(timeline(events, unique, timeout, others), windows, totals, timeout)
    return sum_up(with_firsts(rows, windows, totals), windows, totals), (seen, others)


def account_of(observations):
    """What was read and accepted, how many of these events are no page views (each once), and whether
    the accepted events are of more than one UTC day."""
    seen, others = observations
    account = dict(seen.get)
    times = account.pop("first_ms"), account.pop("last_ms")
    return account, others.get["others"] if others else 0, len({time // LENGTHS["day"] for time in times if time is not None}) > 1
