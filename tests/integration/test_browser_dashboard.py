"""The dashboard in a real browser: what it shows, on a phone and on a desk, and what it says of itself."""

import json
import urllib.error
import urllib.request

from browser_support import Browser
from test_run import start

DAY = 86400000
MAY_17 = 1431820800000  # 2015-05-17T00:00:00Z
LONG = "/blog/2015/05/a-very-long-title-of-an-article-about-coffee-mills-and-how-to-clean-them-part-%d.html"
SIZES = ((320, 640), (360, 740), (390, 844), (1280, 900))


def event(user, at, url, country="Peru"):
    return {"user_id": user, "timestamp": at, "url": url, "country": country}


def serve(t, events):
    t.ingest(events)
    t.process()
    _, port = start(t, "serve")
    return "http://127.0.0.1:%d/" % port


def answering(changes):
    """A script that gives answers of the API other members: {"summary": {"visitors": "daily"}}."""
    return """
        const changes = %s, before = window.fetch;
        window.fetch = async (url, options) => {
          const path = new URL(url, location).pathname;
          const name = Object.keys(changes).find((key) => path === "/api/" + key);
          if (name === undefined) return before(url, options);
          const reply = await before(url, options);
          const body = reply.ok ? await reply.json() : {};
          return Response.json({ ...body, ...changes[name] });
        };""" % json.dumps(changes)


class Page:
    """The dashboard in one browser window; `when` waits until a script gives a value."""

    def __init__(self, t, browser, url, size=(1280, 900), script=None, **options):
        self.t, self.browser = t, browser
        self.page = browser.open(browser.visitor(
            script=script, viewport={"width": size[0], "height": size[1]}, **options), url)
        self.when("document.querySelector('#account').textContent !== '' || "
                  "!document.querySelector('#start').hidden")

    def value(self, script):
        return self.browser.evaluate(self.page, script)

    def when(self, script, wanted=True):
        got = []

        def reached():
            got[:] = [self.value(script)]
            return got == [wanted]

        try:
            self.t.until(reached, script)
        except AssertionError:
            self.t.equal(got[0], wanted, script)

    def texts(self, selector):
        """The texts of those that are shown, and of tips that wait."""
        return self.value("[...document.querySelectorAll(%s)].filter((e) => "
                          "e.getClientRects().length > 0).map((e) => e.innerText)" %
                          json.dumps(selector))

    def click(self, selector):
        self.browser("click", page=self.page, selector=selector)

    def chart(self):
        return self.value("document.querySelector('#chart').getAttribute('aria-label')")

    def undisturbed(self):
        self.t.equal(self.browser("errors", page=self.page), [], "exceptions in the page")


# ---- names of pages ----

TWO_HOSTS = [("https://www.example.com" + LONG % 1, 5), ("https://www.example.com" + LONG % 2, 4),
             ("https://shop.example.com/", 3), ("http://www.example.com/", 2),
             ("https://www.example.com/", 2), ("app://screen/1", 1)]


def big(rows):
    """Numbers of a busy site, in the answers of the fetch() of the page."""
    return answering({"pages": {"rows": [
        {"url": url, "clicks": 116831 * count, "unique_user_count": 12716 * count,
         "average_time_spent": 300000.5, "average_time_on_page": 3599.0} for url, count in rows]}})


# The texts of a row and its numbers; the boxes of what is written in it must not touch.
ROWS = """[...document.querySelectorAll("#pages tbody tr")].map((row) => {
    const box = (node) => {
      const range = document.createRange();
      range.selectNodeContents(node);
      return range.getBoundingClientRect();
    };
    const cells = [...row.querySelectorAll("td")].map(box);
    const name = row.querySelector(".text").getBoundingClientRect();
    return {
      name: row.querySelector(".text").textContent,
      hosts: [...row.querySelectorAll(".host")].map((e) => e.innerText),
      title: row.querySelector("button").title,
      label: row.querySelector("button").getAttribute("aria-label"),
      numbers: [...row.querySelectorAll("td")].map((e) => e.innerText),
      apart: cells.every((cell, i) => i === 0 || cell.left - cells[i - 1].right >= 8),
      inside: cells.at(-1).right <= innerWidth && name.right <= innerWidth && name.left >= 0,
      beside: name.bottom <= cells[0].top + 4 || name.right + 8 <= cells[0].left,
      start: row.querySelector(".head").getBoundingClientRect().width,
      end: (([tail]) => tail === undefined ||
        tail.getBoundingClientRect().right <= name.right + 1)(row.querySelectorAll(".tail")),
      whole: [...row.querySelectorAll(".host")].every((e) => e.scrollWidth <= e.clientWidth + 1),
    };
  })"""


def check_rows(t, rows, width):
    t.equal([(row["name"], row["hosts"], row["numbers"]) for row in rows], [
        (LONG % 1, ["www.example.com"], ["584,155", "63,580", "59m 59s"]),
        (LONG % 2, ["www.example.com"], ["467,324", "50,864", "59m 59s"]),
        ("/", ["shop.example.com"], ["350,493", "38,148", "59m 59s"]),
        ("/", ["http", "www.example.com"], ["233,662", "25,432", "59m 59s"]),
        ("/", ["www.example.com"], ["233,662", "25,432", "59m 59s"]),
        ("app://screen/1", [], ["116,831", "12,716", "59m 59s"])], "rows at %d" % width)
    t.equal([row["title"] for row in rows], ["%s – show only this" % url for url, _ in TWO_HOSTS],
            "titles")
    t.equal([row["label"] for row in rows][2:5], [
        "/ shop.example.com", "/ http www.example.com", "/ www.example.com"], "labels")
    for row in rows:
        for what in ("apart", "inside", "beside", "end", "whole"):
            t.true(row[what], "at %d px not %s: %s" % (width, what, row))
        t.true(row["start"] > (60 if len(row["name"]) > 40 else 0), "no room for %s" % row)


def test_names_of_pages(t):
    url = serve(t, [event("u", MAY_17 + i, page) for i, (page, _) in enumerate(TWO_HOSTS)])
    with Browser(t) as browser:
        for size in SIZES:
            page = Page(t, browser, url, size, big(TWO_HOSTS))
            page.when("document.querySelectorAll('#pages tbody tr').length", 6)
            check_rows(t, page.value(ROWS), size[0])
            t.equal(page.value("document.documentElement.scrollWidth"), size[0], "width")
            page.undisturbed()
            browser("close", page=page.page)


def test_one_host(t):
    """Without a badge; and with it as soon as the store has a second host, shown or not."""
    many = [event("u", MAY_17 + i, "https://www.example.com/%02d" % i) for i in range(20)]
    url = serve(t, many)
    with Browser(t) as browser:
        page = Page(t, browser, url)
        t.equal(page.texts("#pages .text")[:2], ["/00", "/01"], "names")
        t.equal(page.texts("#pages .host"), [], "badges")
        t.ingest([event("u", MAY_17 + 90, "https://zzz.example.com/last")])
        t.process()
        page.when("document.querySelectorAll('#pages .host').length", 10)
        t.equal(page.texts("#pages .host")[:2], ["www.example.com"] * 2, "badges")


HOSTILE = ["https://x.example/<img src=x onerror=window.hacked=1>", "https://x.example/\"onclick=\"hacked=1",
           "javascript:window.hacked=1", "https://x.example/\u202egnp.exe", "<script>window.hacked=1</script>",
           "https://<b>host</b>/"]


def test_hostile_texts(t):
    countries = ["<img src=x onerror=window.hacked=1>", "</td><b>x", "\u202eurep"]
    url = serve(t, [event("u%d" % i, MAY_17 + i, page, countries[i % 3])
                    for i, page in enumerate(HOSTILE)])
    refused = {"requests": 2, "others": 0, "origins": [
        {"origin": "https://<img src=x onerror=window.hacked=1>", "reason": "<b>odd</b>", "requests": 2,
         "option": "--sites '<i>'"}]}
    with Browser(t) as browser:
        page = Page(t, browser, url, script=answering({"status": {"refused": refused}}))
        shown = page.value("[...document.querySelectorAll('#pages tbody button')]"
                           ".map((e) => e.dataset.name).sort()")
        t.equal(shown, sorted(HOSTILE), "pages")
        t.equal(sorted(page.texts("#countries .text")), sorted(countries), "countries")
        for name in range(1, 7):
            page.click("#pages tbody tr:nth-child(%d) button" % name)
            page.when("document.querySelectorAll('#filters .chip').length", 1)
            page.when("document.querySelectorAll('#pages tbody tr').length", 1)
            page.value("history.back()")
            page.when("document.querySelectorAll('#pages tbody tr').length", 6)
        page.when("document.querySelector('#refused').hidden", False)
        t.equal(page.value("[window.hacked ?? null, document.querySelectorAll('img, main b, main i, "
                           "main script').length]"), [None, 0], "what came of the texts")
        page.undisturbed()


# ---- spans of the chart ----

def busy():
    """Two clicks a day in 120 days except 16 May, and one click long ago and one to come."""
    yield event("old", MAY_17 - 4000 * DAY, "https://x.example/old")
    yield event("new", 4000000000000, "https://x.example/new")
    for day in range(120):
        for hour in (8, 20):
            if day != 1:
                yield event("u%d" % day, MAY_17 - day * DAY + hour * 3600000, "https://x.example/")


SHOWN = "[...document.querySelectorAll('#chart-title, #chart-days')].map((e) => e.textContent).join('|')"


def test_spans_of_the_chart(t):
    url = serve(t, busy())
    with Browser(t) as browser:
        page = Page(t, browser, url)
        page.when(SHOWN, "Clicks per day|18 Apr 2015 – 17 May 2015 · 58 clicks")
        t.equal(page.chart(), "Clicks per day, Sat, 18 Apr 2015 to Sun, 17 May 2015, UTC; highest 2 on "
                "Sat, 18 Apr 2015", "chart")
        t.equal(page.texts("#rest-text"), [
            "Not in this chart: older clicks, from 3 Jun 2004 on; later clicks, up to 2 Oct 2096."],
            "what is not in it")
        for span, text in (
                ("7", "Clicks per day|11 May 2015 – 17 May 2015 · 12 clicks"),
                ("90", "Clicks per day|17 Feb 2015 – 17 May 2015 · 178 clicks"),
                ("all", "Clicks per day|3 Jun 2004 – 2 Oct 2096 · 240 clicks")):
            page.click("[data-span='%s']" % span)
            page.when(SHOWN, text)
            t.equal(page.value("location.hash"), "#span=" + span, "address")
            t.equal(page.value("document.querySelector('[data-span=\"%s\"]').ariaPressed" % span),
                    "true", "pressed")
        t.equal(page.value("document.querySelector('#rest').hidden"), True, "rest of all")
        page.value("history.back()")
        page.when(SHOWN, "Clicks per day|17 Feb 2015 – 17 May 2015 · 178 clicks")
        # Totals and tables are of all time, and say so.
        t.equal(page.texts("[data-scope]"), ["All time: 3 Jun 2004 – 2 Oct 2096"] * 3, "scopes")
        t.equal(page.texts(".total .value")[0], "240", "clicks of all time")
        page.undisturbed()


def set_days(page, since, until):
    page.click("[data-span='own']")
    page.when("document.activeElement.id", "since")
    page.value("document.querySelector('#since').value = '%s';"
               "document.querySelector('#until').value = '%s'" % (since, until))
    page.click("#own-span button")


def test_span_of_ones_own(t):
    url = serve(t, busy())
    with Browser(t) as browser:
        page = Page(t, browser, url)
        set_days(page, "2015-05-18", "2015-05-10")  # the wrong way round, and one day too many
        page.when(SHOWN, "Clicks per day|10 May 2015 – 18 May 2015 · 14 clicks")
        t.equal(page.value("location.hash"), "#since=2015-05-10&until=2015-05-18", "address")
        page.click("[data-step='hour']")
        page.when(SHOWN, "Clicks per hour|10 May 2015 – 18 May 2015 · 14 clicks")
        page.value("location.hash = '#since=1999-01-01&until=2001-01-01'")
        page.when("document.querySelector('#chart-empty').innerText",
                  "No clicks: 1 Jan 1999 – 1 Jan 2001.")
        page.value("location.hash = '#since=nonsense&until=2001-01-01'")
        page.when(SHOWN, "Clicks per day|18 Apr 2015 – 17 May 2015 · 58 clicks")
        page.value("location.hash = '#since=2015-01-01&until=2015-05-17'")
        page.when(SHOWN, "Clicks per day|1 Jan 2015 – 17 May 2015 · 238 clicks")
        page.value("document.querySelector('#own-span').hidden || "
                   "document.querySelector('[data-span=own]').click()")
        set_days(page, "2015-05-15", "2015-05-15")  # one day: tables and all
        page.when("document.querySelector('.scope').textContent", "Fri, 15 May 2015")
        page.when(SHOWN, "Clicks per hour|15 May 2015")
        t.equal(page.texts(".total .value")[0], "2", "clicks of the day")
        page.undisturbed()


def test_steps_of_the_chart(t):
    """The page's own reckoning: where the axis begins and ends, and zeros where nothing was clicked."""
    url = serve(t, [event("u", MAY_17 + 9 * 3600000, "https://x.example/"),
                    event("u", MAY_17 + 12 * 3600000, "https://x.example/")])
    with Browser(t) as browser:
        page = Page(t, browser, url)
        page.when("document.querySelector('#chart').getAttribute('aria-label')",
                  "Clicks per hour, Sun, 17 May 2015, 09:00–10:00 to Sun, 17 May 2015, 12:00–13:00, UTC; "
                  "highest 1 on Sun, 17 May 2015, 09:00–10:00")
        got = page.value("""import("/span.js").then(({ chartDays, fillGaps, stepOf, parseDay, dayName }) => {
            const at = (name) => parseDay(name);
            const row = (start, clicks) => ({ window_start: start, clicks, average_time_on_page: 5 });
            const rows = [row("2015-05-01T00:00:00Z", 3), row("2015-05-03T00:00:00Z", 4)];
            const steps = { from: at("2015-05-01"), to: at("2015-05-05"), step: 864e5 };
            const now = at("2015-05-05") - 1;
            const ends = { first: at("2004-01-01"), last: at("2096-01-01"), newest: at("2015-05-01") };
            const days = (choice, live) => {
              const { first, last } = chartDays(choice, ends, live, at("2015-05-20") + 5);
              return `${dayName(first)} ${dayName(last)}`;
            };
            const own = (since, until) => days({ span: "own", since: at(since), until: at(until) }, false);
            const few = { first: at("2015-05-01"), last: at("2015-05-03") };
            const none = { first: 5, last: 4 };
            return {
              clicks: fillGaps(rows, { ...steps, metric: "clicks" }, now).values,
              averages: fillGaps(rows, { ...steps, metric: "average_time_on_page" }, now).values,
              days: [days({ span: "30" }, false), days({ span: "30" }, true), days({ span: "all" }, false),
                own("2000-01-01", "2004-01-02"), own("2015-05-02", "2099-12-31")],
              steps: [stepOf({ step: "" }, few, { day: 1, hour: 1 }), stepOf({ step: "day" }, few, { day: 1, hour: 1 }),
                stepOf({ step: "" }, few, { day: 1, hour: 0 }), stepOf({ step: "" }, none, { day: 1, hour: 1 })],
            };
          })""")
    t.equal(got["clicks"], [3, 0, 4, 0, None], "clicks")
    t.equal(got["averages"], [5, None, 5, None, None], "averages")
    t.equal(got["days"], ["2015-04-02 2015-05-01", "2015-04-21 2015-05-20", "2004-01-01 2096-01-01",
                          "2004-01-01 2004-01-02", "2015-05-02 2096-01-01"], "days")
    t.equal(got["steps"], ["hour", "day", "day", "day"], "steps")


def test_without_hours(t):
    """What `import` leaves: days. Of one there is all but its hours, and the page says so."""
    t.ingest(busy())
    t.process("all", "day")
    _, port = start(t, "serve")
    url = "http://127.0.0.1:%d/" % port
    makes = "There are no answers per hour: `clickmill process --window all,day,hour` makes them"
    with Browser(t) as browser:
        page = Page(t, browser, url)
        page.when(SHOWN, "Clicks per day|18 Apr 2015 – 17 May 2015 · 58 clicks")
        t.equal(page.value("['#step', '#span'].map((name) => document.querySelector(name).hidden)"),
                [True, False], "choices of the chart")
        t.equal(page.value("[...document.querySelectorAll('[data-period]')].map((e) => "
                           "[e.disabled, e.title])"),
                [[False, ""], [False, ""], [True, makes]], "periods")
        page.click("[data-period='day']")
        page.when(SHOWN, "Clicks per day|3 May 2015 – 17 May 2015")
        t.equal(page.texts(".total .value")[0], "2", "clicks of the day")
        page.value("location.hash = '#period=hour'")
        page.when("document.querySelector('#chart-empty').innerText", makes + ".")
        t.equal(page.texts(".empty"), [makes + "."] * 3, "what stands in the tables")
        t.equal(page.texts("#status"), ["live"], "status")
        page.undisturbed()


# ---- what numbers mean ----

def test_meanings(t):
    """Time on page leads; the other is explained at the mouse and at the keyboard's focus."""
    url = serve(t, [event("u", MAY_17, "https://x.example/"), event("u", MAY_17 + 12000, "https://x.example/"),
                    event("u", MAY_17 + 2 * DAY, "https://x.example/")])
    visible = "getComputedStyle(document.querySelector('#hint-spent')).visibility"
    with Browser(t) as browser:
        page = Page(t, browser, url)
        t.equal(page.texts(".total .label"),
                ["Clicks", "Unique users", "Avg. time on page", "Avg. time spent"], "names")
        t.equal(page.texts(".total .value"), ["3", "1", "12s", "1d 00h"], "totals")
        t.equal(page.texts("#pages thead th"), ["Page", "Clicks", "Users", "On page"], "headings")
        t.equal(page.texts("#pages td"), ["3", "1", "12s"], "row")
        t.equal(page.value(visible), "hidden", "the tip before")
        page.value("document.querySelector('[data-metric=average_time_spent]').focus()")
        page.when(visible, "visible")
        tip = page.texts("#hint-spent")[0]
        t.true("nights and weeks" in tip and "longer than the time on page" in tip, tip)
        page.value("dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape' }))")
        page.when(visible, "hidden")
        t.equal(page.value("document.querySelector('[data-metric=average_time_spent]')"
                           ".getAttribute('aria-describedby')"), "hint-spent", "its description")
        page.click(".meanings summary")
        t.true("30 minutes" in page.texts(".meanings dl")[0], "the list says what a session is")
        page.undisturbed()


def test_daily_visitors(t):
    t.write("clickmill.yaml", "visitors: daily\n")
    url = serve(t, [event("u", MAY_17, "https://x.example/"), event("v", MAY_17 + DAY, "https://x.example/")])
    with Browser(t) as browser:
        page = Page(t, browser, url)
        t.equal(page.texts(".total .label")[1], "Daily visitors", "total")
        for table in ("#pages", "#countries"):
            t.equal(page.texts(table + " thead th")[2], "Daily visitors", "heading of " + table)
        t.true("Daily visitors: 2," in page.value("document.querySelector('#spoken').textContent"),
               "what a screen reader says")
        t.true("two days counts twice" in page.value(
            "document.querySelector('#hint-users').textContent"), "the tip")
        page.click("[data-metric='unique_user_count']")
        page.when("document.querySelector('#chart-title').innerText", "Unique users per hour")
        page.click("[data-period='day']")  # of one day they are users
        page.when("document.querySelectorAll('.total .label')[1].innerText", "Unique users")
        t.equal(page.texts("#pages thead th")[2], "Users", "heading of a day")
        page.undisturbed()
        browser("close", page=page.page)
        t.ingest([event("u", MAY_17, "https://x.example/")], data="day")
        t.process(data="day")
        _, port = start(t, "serve", "--data", "day")
        page = Page(t, browser, "http://127.0.0.1:%d/" % port)
        t.equal((page.texts(".total .label")[1], page.texts("#pages thead th")[2]),
                ("Unique users", "Users"), "events of one day")


# ---- what the server says of itself ----

REFUSED = {"requests": 1203, "others": 1200, "origins": [
    {"origin": "https://shop.example", "reason": "site", "requests": 2, "option": "--sites shop.example"},
    {"origin": None, "reason": "token", "requests": 1, "option": "--token NAME=TOKEN"}]}


def test_notices(t):
    url = serve(t, [event("u", MAY_17, "https://x.example/")])
    with Browser(t) as browser:
        page = Page(t, browser, url)
        t.equal(page.value("['#refused', '#synthetic', '#start', '#count-link', '#shop-link']"
                           ".map((name) => document.querySelector(name).hidden)"), [True] * 5,
                "what `serve` does not show")
        told = {"status": {"refused": REFUSED, "synthetic": True, "collector": True, "shop": False}}
        page = Page(t, browser, url, (320, 640), answering(told))
        page.when("document.querySelector('#refused').hidden", False)
        t.equal(page.texts("#refused")[0].split("\n"), [
            "1,203 requests were refused: their clicks are not counted",
            "https://shop.example: 2 requests, because its pages are not among the counted sites. "
            "This option allows it: --sites shop.example",
            "A program: 1 request, because it has no valid token of this server. "
            "This option allows it: --token NAME=TOKEN",
            "Others: 1,200 requests."], "what was refused")
        t.equal(page.texts("#synthetic"), ["synthetic demo data"], "mark")
        t.equal(page.texts(".links a"), ["Download as CSV", "Count your pages"], "links")
        t.equal(page.value("document.documentElement.scrollWidth"), 320, "width")
        page.undisturbed()


def test_refused_by_the_collector(t):
    """From the collector to the page: a page of a site that is not allowed, while the dashboard is open."""
    _, port = start(t, "run", "--sites", "a.example")
    url = "http://127.0.0.1:%d/" % port
    with Browser(t) as browser:
        page = Page(t, browser, url)
        t.equal(page.texts("#refused"), [], "notices before")
        t.equal(page.texts("#steps pre")[0], '<script defer src="%sclickmill.js"></script>' % url, "step")
        t.equal(page.texts(".links a"), ["Count your pages"], "links")
        asked = urllib.request.Request(
            url + "v1/events", b'{"url":"https://shop.example/"}',
            {"Origin": "https://shop.example", "Content-Type": "text/plain"})
        try:
            urllib.request.urlopen(asked, timeout=20)
        except urllib.error.HTTPError as error:
            t.equal(error.code, 403, "status")
        page.when("document.querySelector('#refused').hidden", False)
        t.equal(page.texts("#refused")[0].split("\n"), [
            "1 request was refused: its clicks are not counted",
            "https://shop.example: 1 request, because its pages are not among the counted sites. "
            "This option allows it: --sites 'a.example,shop.example'"], "what was refused")
        page.undisturbed()


def test_demonstration(t):
    """Its data are marked; its directory is named where there are none."""
    process, port = start(t, "run", "--rate", "100")
    with Browser(t) as browser:
        page = Page(t, browser, "http://127.0.0.1:%d/" % port)
        page.when("document.querySelector('#synthetic').innerText", "synthetic demo data")
        page.when("[...document.querySelectorAll('.links a')].map((a) => a.hidden).join()",
                  "false,false,false")
        browser("close", page=page.page)
        process.stop()
        _, port = start(t, "serve")
        page = Page(t, browser, "http://127.0.0.1:%d/" % port)
        t.equal(page.texts("#synthetic"), [], "mark")
        t.equal(page.texts("#steps pre"), [
            "clickmill run --sites www.example.com", "clickmill import access.log",
            "clickmill serve --data data/demo"], "steps")
        page.undisturbed()


def test_nothing_yet(t):
    _, port = start(t, "serve")
    url = "http://127.0.0.1:%d/" % port
    with Browser(t) as browser:
        page = Page(t, browser, url)
        t.equal(page.texts("#steps pre"), ["clickmill run --sites www.example.com",
                                           "clickmill import access.log"], "steps")
        t.equal(page.texts("#start-title"), ["No clicks yet"], "title")
        page = Page(t, browser, url, (320, 640), answering({"status": {"collector": True}}))
        t.equal(page.texts("#steps pre"), [
            '<script defer src="http://127.0.0.1:%d/clickmill.js"></script>' % port,
            "clickmill import access.log"], "steps where events are taken")
        t.equal(page.texts("#start a"), ["More about this line, and about pages of other addresses"], "links")
        t.equal(page.value("document.documentElement.scrollWidth"), 320, "width")
        t.ingest([event("u", MAY_17, "https://x.example/")])
        t.process()
        page.when("document.querySelector('#start').hidden", True)
        page.when("document.querySelector('.total .value').innerText", "1")
        page.undisturbed()
