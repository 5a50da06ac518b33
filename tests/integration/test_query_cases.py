"""Questions asked with a few events: our own cases (tests/questions), and the shared ones."""

import os
import subprocess
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import question_cases
from harness import ROOT, SHARED

KINDS = ("kind: 18 ", "kind: 19 ")


def case_test(name):
    def test(t):
        question_cases.check(t, os.path.join(question_cases.DIRECTORY, name + ".txt"))
    return test


for _name in question_cases.names():
    globals()["test_" + _name] = case_test(_name)


def test_shared_questions(t):
    """Those of ../shared/questions whose kind begins with 18 or 19."""
    runner, cases = t.shared("questions", "run"), []
    for name in sorted(os.listdir(os.path.dirname(runner))):
        about = os.path.join(SHARED, "questions", name, "about")
        if os.path.exists(about):
            with open(about, encoding="utf-8") as file:
                if any(line.startswith(KINDS) for line in file):
                    cases.append(name)
    t.true(len(cases) >= 17, "only %d cases" % len(cases))
    done = subprocess.run(["bash", runner, *cases], cwd=ROOT, env=t.environment({"CM": t.program}),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False)
    t.equal(done.stdout, "".join("PASS %s\n" % name for name in cases) + "%d passed, 0 failed\n" % len(cases),
            "the shared questions")


def test_today(t):
    """`today` and days ago begin with the zone's dates, whatever the date is elsewhere; hours roll."""
    zones = ("Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kathmandu", "UTC")
    for zone in zones:
        while True:
            now = datetime.now(ZoneInfo(zone))
            ask_relative(t, zone, now)
            if datetime.now(ZoneInfo(zone)).date() == now.date():  # else midnight came between
                break


def ask_relative(t, zone, now):
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    begins = [(midnight - timedelta(days=days)).timestamp() for days in range(4)]
    data = "%s-%d" % (zone.replace("/", "-"), now.timestamp())
    t.ingest([{"user_id": "u", "timestamp": int(begin * 1000) + more, "row_key": "%d%d" % (days, more),
               "url": "/%d%s" % (days, "" if more == 0 else "-before")}
              for days, begin in enumerate(begins) for more in (0, -1)] +
             [{"user_id": "u", "timestamp": int((now.timestamp() - hours * 3600) * 1000), "row_key": "h%d" % hours,
               "url": "/%dh" % hours} for hours in (95, 97)], data=data)

    def ask(*words):
        out = t.clickmill("query", "--data", data, "--by", "url", "--sort", "url", "--measures", "clicks", "--tz",
                          zone, "--format", "csv", *words).out
        return [line.split(",")[0] for line in out.splitlines()[1:]]
    t.equal(ask("--from=today"), ["/0"], "today, " + zone)
    t.equal(ask("--from=-1d"), ["/0", "/0-before", "/1"], "-1d, " + zone)
    t.equal(ask("--from=-2d", "--to=today"), ["/0-before", "/1", "/1-before", "/2"], "-2d to today, " + zone)
    t.equal("/95h" in ask("--from=-96h"), True, "95 hours ago, " + zone)
    t.equal("/97h" in ask("--from=-96h"), False, "97 hours ago, " + zone)
