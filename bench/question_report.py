"""Reports the results of bench/questions.py as Markdown."""

import measure
import report

NAMES = {"duckdb": "DuckDB", "chdb": "ClickHouse (chDB)"}
COLUMNS = ("duckdb plain", "duckdb coded", "chdb plain", "chdb coded")
HEADS = ("DuckDB", "DuckDB, coded", "ClickHouse", "ClickHouse, coded")
TOGETHER, ONE_BY_ONE = {10000000: 0.3, 1000000: 0.05}, {10000000: 0.6}  # seconds at most
PEAK = {10000000: 0.6e9, 100000000: 2e9}  # bytes at most
SPAN = 2  # times the time of the smaller store at most


def ms(value):
    return "-" if value is None else "%.1f ms" % (value * 1000) if value < 0.1 else "%.0f ms" % (value * 1000)


def ratio(row, names):
    """Our time divided by that of the fastest of these peers."""
    fastest = min((row["peers"][name] for name in names if name in row["peers"]), default=None)
    return None if fastest is None else row["clickmill"] / fastest


def verdict(met):
    return "met" if met else "NOT MET"


def line(row):
    """A row of the table while it is measured."""
    return "%-36s %10s | %s | 1/%.1f, goal 1/%d" % (row["question"], ms(row["clickmill"]), " ".join(
        "%s %s" % (name, ms(value)) for name, value in row["peers"].items()),
        1 / (ratio(row, COLUMNS) or 1), row["goal"])


def dashboard_line(title, taken):
    return "%s: %s in one request, %s one by one" % (title, *(ms(measure.statistics.median(taken[name]))
                                                             for name in ("together", "one by one")))


def questions_table(results):
    rows = []
    for row in results["rows"]:
        plain, fastest = ratio(row, COLUMNS[::2]), ratio(row, COLUMNS)
        rows.append((row["question"], "{:,}".format(row["groups"]), ms(row["clickmill"]),
                     *(ms(row["peers"].get(name)) for name in COLUMNS),
                     report.fraction(plain), report.fraction(fastest), "1/%d" % row["goal"],
                     verdict(plain * row["goal"] <= 1)))
    return report.markdown(("question", "groups", "Clickmill", *HEADS, "ratio", "to coded, too", "required", ""), rows,
                           ("groups", "Clickmill", *HEADS, "ratio", "to coded, too"))


def dashboard_table(results):
    size, rows = results["settings"]["size"], []
    for title, taken in (("", results["dashboard"]), (", while 1,000 events/s come in", results.get("live", {}))):
        for name, goals in (("together", TOGETHER), ("one by one", ONE_BY_ONE)):
            if name not in taken:
                continue
            middle, goal = measure.statistics.median(taken[name]), goals.get(size)
            rows.append(("twelve questions %s%s" % ({"together": "in one request"}.get(name, name), title),
                         ms(middle), ms(max(taken[name])), "at most " + ms(goal) if goal else "",
                         verdict(middle <= goal) if goal else ""))
    return report.markdown(("dashboard", "median", "slowest", "required", ""), rows, ("median", "slowest"))


def span_table(results):
    rows = []
    for row in results["span"]:
        whole, part = (measure.statistics.median(row[name]) for name in ("whole", "part"))
        rows.append((row["question"], report.short(row["size"]), ms(whole), ms(part), "%.2f" % (whole / part),
                     "at most %d" % SPAN, verdict(whole <= SPAN * part)))
    return report.markdown(("last 7 of 360 days", "events", "all 360 days", "a store of 7 days", "ratio",
                            "required", ""), rows, ("events", "all 360 days", "a store of 7 days", "ratio"))


def peaks_table(results):
    limit = PEAK.get(results["settings"]["size"])
    return report.markdown(("peak memory", "measured", "required", ""), [
        (name, report.size(peak), "at most " + report.size(limit) if limit else "",
         verdict(peak <= limit) if limit else "") for name, peak in results["peaks"].items()], ("measured",))


def table(results):
    settings, about = results["settings"], results["machine"]
    text = ("%s events, %s users, 30 days, 1,000 URLs, 60 countries, all fields. %s, commit %s, %s, %d processors; "
            "medians of %d rounds.\n" % (
                "{:,}".format(settings["size"]), "{:,}".format(max(1000, settings["size"] // 50)),
                results["date"][:10], results["commit"], about["cpu"], about["processors_used"], settings["rounds"]))
    for name, made in (("rows", questions_table), ("dashboard", dashboard_table), ("span", span_table), ("peaks", peaks_table)):
        if results[name] or (name == "dashboard" and results.get("live")):
            text += "\n" + made(results)
    return text
