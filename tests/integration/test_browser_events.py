"""What the tracker sends besides page views, in a real browser: events, marked elements, links, the
page before, and engaged time. Chromium's input is real; its clock is the test's where time counts."""

import json
import time

from browser_support import STUB, Browser, Web
from harness import slow

HIDE = "Object.defineProperty(document, 'hidden', { value: %s, configurable: true });" \
    "document.dispatchEvent(new Event('visibilitychange'))"
MARKED = """
    <button id="plain" data-clickmill-event="signup" data-clickmill-prop-plan="pro"
      data-clickmill-prop-coupon-code="X-1" data-clickmill-prop-none=""><b><svg width="9" height="9">
      <rect id="inner" width="9" height="9"></rect></svg> Sign up</b></button>
    <div data-clickmill-event="outer"><p id="in-outer">text</p>
      <button id="stopped" data-clickmill-event="inner" onclick="event.stopPropagation();
      this.remove()">x</button></div>
    <form data-clickmill-event="search" data-clickmill-prop-in="all" onsubmit="return false">
      <input id="field"><button id="go">go</button></form>
    <a id="named" href="#x" data-clickmill-event="named">a link</a>
    <div id="host"></div><p id="unmarked" data-clickmill-event="">nothing</p>
    <script>host.attachShadow({ mode: "open" }).innerHTML =
      '<button data-clickmill-event="shadow">in the shadow</button>';</script>"""


def body(web, path, html, attributes=""):
    """Adds a page with this body. Its links to other sites are not followed."""
    web.page(path, '<script defer src="/clickmill.js" %s></script>' % attributes)
    headers, text = web.pages[path]
    web.pages[path] = (headers, text.replace("<h1>", html + "<h1>"))
    return web.origin + path


def wait(t, web, count):
    """The events but engagement: so many, and no more."""
    def found():
        return [event for event in web.events() if event.get("name") != "engagement"]
    t.until(lambda: len(found()) >= count, "%d events" % count)
    time.sleep(0.2)
    t.equal(len(found()), count, "events in %s" % found())
    return found()


def short(web, events):
    """Name, URL behind the origin, and props of each."""
    return [(event.get("name"), event["url"].replace(web.origin, ""), event.get("props"))
            for event in events]


def test_events(t):
    """What `clickmill('event')` takes and leaves out, and that events of one moment keep their order."""
    with Web() as web, Browser(t) as browser:
        page = browser.open(browser.visitor(), web.page("/"))
        browser.evaluate(page, """
            clickmill("event", "signup", { plan: "pro", seats: 3, price: 1.50, trial: false });
            clickmill("event", "plain");
            clickmill("event", "odd", { list: [1, 2], none: null, no: undefined, empty: "", "": "x",
              big: 10n, nan: NaN, zero: 0, day: { toString: () => "monday" } });
            clickmill("event", ""); clickmill("event"); clickmill("event", null);
            clickmill("event", "fails", { bad: Symbol("x") });
            clickmill("event", "text", "ab");
            clickmill("event", "last")""")
        events = wait(t, web, 6)
        t.equal(short(web, events), [
            (None, "/", None),
            ("signup", "/", {"plan": "pro", "seats": 3, "price": 1.5, "trial": False}),
            ("plain", "/", {}),
            ("odd", "/", {"list": "1,2", "big": "10", "nan": None, "zero": 0, "day": "monday"}),
            ("text", "/", {"0": "a", "1": "b"}),
            ("last", "/", {})], "events")
        times = [event["timestamp"] for event in events]
        t.equal(times, sorted(set(times)), "a time of its own for each")
        t.equal(browser("errors", page=page), [], "exceptions in the page")


@slow
def test_events_are_cut(t):
    """At the limits of the contract, never inside a character, so that no event is refused."""
    with Web() as web, Browser(t) as browser:
        page = browser.open(browser.visitor(), web.page("/"))
        browser.evaluate(page, """
            const many = {};
            for (let i = 0; i < 40; i++) many[i < 5 ? "empty" + i : "k" + i] = i < 5 ? "" : i;
            clickmill("event", "я".repeat(40), { ["x".repeat(63) + "€"]: "€".repeat(100) });
            clickmill("event", "many", many)""")
        first, many = wait(t, web, 3)[1:]
        t.equal((first["name"], first["props"]), ("я" * 32, {"x" * 63: "€" * 85}), "texts")
        t.equal(many["props"], {"k%d" % i: i for i in range(5, 37)}, "the first 32 props")


@slow
def test_calls_before_the_script(t):
    """They are made in their order; an event waits for its page view."""
    script = STUB + """clickmill("event", "early", { n: 1 }); clickmill("identify", "u1");
        clickmill("event", "named"); clickmill("page", "/virtual");"""
    with Web() as web, Browser(t) as browser:
        page = browser.open(browser.visitor(script=script), web.page("/"))
        events = wait(t, web, 4)
        t.equal([(event.get("name"), event["url"], event.get("user_id")) for event in events],
                [(None, web.origin + "/", None), ("early", web.origin + "/", None),
                 ("named", web.origin + "/", "u1"), (None, web.origin + "/virtual", "u1")], "events")
        t.equal(browser("errors", page=page), [], "exceptions in the page")


@slow
def test_calls_of_a_page_made_ahead(t):
    """Nothing is sent for a page that is prerendered until it is shown; then all of it."""
    made = "Object.defineProperty(document, 'prerendering', { value: %s, configurable: true });"
    with Web() as web, Browser(t) as browser:
        page = browser.open(browser.visitor(script=made % "true"), web.page("/"))
        browser.evaluate(page, "clickmill('event', 'ahead')")
        time.sleep(0.3)
        t.equal(web.posts, [], "requests before it is shown")
        browser.evaluate(page, made % "false" +
                         "document.dispatchEvent(new Event('prerenderingchange'))")
        t.equal(short(web, wait(t, web, 2)), [(None, "/", None), ("ahead", "/", {})], "events")


@slow
def test_who_is_not_tracked_sends_nothing(t):
    script = STUB + "clickmill('event', 'early');" \
        "Object.defineProperty(navigator, 'globalPrivacyControl', { value: true })"
    with Web() as web, Browser(t) as browser:
        page = browser.open(browser.visitor(script=script),
                            body(web, "/", MARKED, 'data-track="outbound downloads"'))
        browser("click", page=page, selector="#plain")
        browser.evaluate(page, "clickmill('event', 'x'); clickmill('page', '/y')")
        browser.evaluate(page, HIDE % "true")
        time.sleep(0.3)
        t.equal(web.posts, [], "requests")
        t.equal(browser("errors", page=page), [], "exceptions in the page")


def test_marked_elements(t):
    """A click on an element or inside it is one event, wherever the element is and whatever the page
    does with the click."""
    with Web() as web, Browser(t) as browser:
        page = browser.open(browser.visitor(), body(web, "/", MARKED))
        for selector in ("#plain", "#inner", "#stopped", "#in-outer", "#named", "#host button",
                         "#unmarked", "#field"):
            browser("click", page=page, selector=selector)
        browser("click", page=page, selector="#plain", options={"button": "middle"})
        browser("click", page=page, selector="#named", options={"button": "right"})
        browser("click", page=page, selector="#go")
        signup = ("signup", "/", {"plan": "pro", "coupon-code": "X-1"})
        t.equal(short(web, wait(t, web, 8))[1:], [
            signup, signup, ("inner", "/", {}), ("outer", "/", {}), ("named", "/", {}),
            ("shadow", "/", {}), ("search", "/", {"in": "all"})], "events")
        t.equal(browser("errors", page=page), [], "exceptions in the page")


LINKS = """<a id="out" href="https://Other.example/a?b=1#c" target="x">out</a>
    <a id="long" href="https://other.example/%s" target="x">long</a>
    <a id="own" href="/own" onclick="return false">own</a>
    <a id="www" href="http://www.127.0.0.1.example/" onclick="return false">www</a>
    <a id="mail" href="mailto:a@other.example" onclick="return false">mail</a>
    <a id="pdf" href="/files/Price%%20list.PDF?token=secret#page=2" onclick="return false">pdf</a>
    <a id="far" href="https://other.example/a.zip?x" onclick="return false">far</a>
    <a id="blob" download="list.bin" onclick="return false">blob</a>
    <a id="given" href="/export" download onclick="return false">export</a>
    <a id="both" href="https://other.example/b.pdf" onclick="return false"
      data-clickmill-event="brochure">both</a>
    <a id="empty">empty</a>
    <svg width="50" height="20"><a id="drawn" href="https://other.example/svg" onclick="return false">
      <text y="15">drawn</text></a></svg>
    <script>blob.href = URL.createObjectURL(new Blob(["x"]));</script>""" % ("x" * 300)


def click_all(browser, page, *selectors):
    for selector in selectors:
        browser("click", page=page, selector="#" + selector)


def test_links(t):
    """Only with data-track: links to other hosts, and files; one event a click."""
    with Web() as web, Browser(t) as browser:
        visitor = browser.visitor()
        page = browser.open(visitor, body(web, "/", LINKS, 'data-track="outbound downloads"'))
        click_all(browser, page, "out", "long", "own", "www", "mail", "pdf", "far", "blob", "given",
                  "both", "empty", "drawn")
        browser("click", page=page, selector="#out", options={"button": "middle"})
        browser("click", page=page, selector="#out", options={"button": "right"})
        out = ("outbound", "/", {"url": "https://other.example/a?b=1#c"})
        t.equal(short(web, wait(t, web, 10))[1:], [
            out,
            ("outbound", "/", {"url": "https://other.example/" + "x" * 234}),
            ("outbound", "/", {"url": "http://www.127.0.0.1.example/"}),
            ("download", "/", {"url": web.origin + "/files/Price%20list.PDF"}),
            ("download", "/", {"url": "https://other.example/a.zip"}),
            ("download", "/", {"url": "list.bin"}),
            ("download", "/", {"url": web.origin + "/export"}),
            ("brochure", "/", {}),
            out], "events")
        t.equal(browser("errors", page=page), [], "exceptions in the page")


@slow
def test_links_that_are_not_asked_for(t):
    with Web() as web, Browser(t) as browser:
        for track, wanted in (("", []), ('data-track="downloads"', ["download"]),
                              ('data-track="outbound"', ["outbound"])):
            web.posts.clear()
            page = browser.open(browser.visitor(), body(web, "/", LINKS, track))
            click_all(browser, page, "out", "pdf")
            t.equal([event.get("name") for event in wait(t, web, 1 + len(wanted))],
                    [None] + wanted, track)
            browser("close", page=page)


@slow
def test_links_still_work(t):
    """The tracker changes nothing: the link is followed at once, and the event arrives."""
    with Web() as web, Browser(t) as browser:
        target = web.page("/target", "")
        page = browser.open(browser.visitor(), body(web, "/", """
            <base target="_self"><a id="to" href="%s" data-clickmill-event="to">to</a>""" %
            target.replace("127.0.0.1", "localhost"), 'data-track="outbound"'))
        web.gate.clear()  # the collector does not answer
        browser("click", page=page, selector="#to")
        browser("path", page=page, path="/target")
        web.gate.set()
        t.equal([event.get("name") for event in wait(t, web, 2)], [None, "to"], "events")


def test_the_page_before(t):
    """A page of another site; in an application its own page before; a page of the site is named as
    the site is."""
    with Web() as web, Web() as other, Browser(t) as browser:
        start = other.page("/start?q=1", '<meta name="referrer" content="unsafe-url">')
        other.pages["/start"] = other.pages.pop("/start?q=1")
        web.page("/", '<script defer src="/clickmill.js" data-site="https://shop.example"></script>')
        page = browser.open(browser.visitor(), start)
        browser.evaluate(page, "setTimeout(() => { location.href = '%s/' })" % web.origin)
        browser("path", page=page, path="/")
        wait(t, web, 1)
        browser.evaluate(page, """
            history.pushState({}, "", "?a=1#x");
            clickmill("page", "/virtual?b#c");
            clickmill("page", "https://else.example/d#e");
            clickmill("event", "here");
            clickmill("page")""")
        wait(t, web, 6)
        browser.evaluate(page, "setTimeout(() => { location.href = '/?last' })")
        events = wait(t, web, 7)
        site = "https://shop.example/"
        t.equal([(event["url"], event.get("referrer")) for event in events], [
            (site, other.origin + "/start?q=1"),
            (site + "?a=1", site),
            (site + "virtual?b", site + "?a=1"),
            ("https://else.example/d", site + "virtual?b"),
            ("https://else.example/d", None),  # an event has the page that it happened on
            (site + "?a=1", "https://else.example/d"),
            (site + "?last", site + "?a=1")], "URLs and the pages before")


@slow
def test_manual_page_views(t):
    """With data-track="manual" only the page says what a page view is, for example of a hash."""
    with Web() as web, Browser(t) as browser:
        page = browser.open(browser.visitor(), web.page(
            "/", '<script defer src="/clickmill.js" data-track="manual"></script>'))
        browser.evaluate(page, """
            clickmill("event", "before");
            history.pushState({}, "", "/not-counted"); location.hash = "#/cart";
            clickmill("page", location.hash.slice(1)); clickmill("event", "after")""")
        t.equal(short(web, wait(t, web, 3)), [
            ("before", "/", {}), (None, "/cart", None), ("after", "/cart", {})], "events")


class Reader:
    """A page whose clock the test moves."""

    def __init__(self, t, browser, web):
        self.t, self.browser, self.web = t, browser, web
        visitor = browser.visitor()
        browser("stop", visitor=visitor)
        self.page = browser.open(visitor, web.page("/"))
        self.after(1)  # the tracker sends when its timer has run
        self.seen = 0

    def after(self, ms):
        self.browser("pass", page=self.page, ms=ms)

    def read(self, seconds):
        """Reads and moves the mouse every 10 s, first at once."""
        for second in range(0, seconds, 10):
            self.use(second)
            self.after(1000 * min(10, seconds - second))

    def use(self, number):
        self.browser("move", page=self.page, x=50 + number % 7, y=50 + number % 11)

    def engaged(self, *wanted):
        """The engagement events since the last call."""
        def found():
            return [(event["url"].replace(self.web.origin, ""), event["engaged_ms"])
                    for event in self.web.named("engagement")][self.seen:]
        def arrived():
            self.after(0)  # for the timer with which the tracker goes on when it has an answer
            return len(found()) >= len(wanted)
        self.t.until(arrived, "engagement events %s" % (wanted,))
        time.sleep(0.2)
        self.t.equal(found(), list(wanted), "engagement events")
        self.seen += len(wanted)


@slow
def test_engaged_time_is_sent(t):
    """At 15 s, 45 s, 2 min, 5 min, then every 5 min: cumulative, with the URL of the page."""
    with Web() as web, Browser(t) as browser:
        reader = Reader(t, browser, web)
        reader.read(15)
        reader.engaged(("/", 15000))
        reader.read(29)
        reader.engaged()
        reader.read(2)
        reader.engaged(("/", 45000))
        reader.read(75)
        reader.engaged(("/", 120000))
        reader.read(180)
        reader.engaged(("/", 300000))
        reader.read(300)
        reader.engaged(("/", 600000))
        reader.read(298)
        reader.engaged()
        reader.read(2)
        reader.engaged(("/", 900000))


@slow
def test_engaged_time_needs_input(t):
    """Without input for 60 s it pauses; the mouse, keys and the wheel go on with it; what the page
    does itself does not."""
    with Web() as web, Browser(t) as browser:
        reader = Reader(t, browser, web)
        reader.after(600000)
        reader.engaged(("/", 15000), ("/", 45000))  # 60 s count
        browser.evaluate(reader.page, "scrollTo(0, 9); document.title = 'new';"
                         "history.replaceState({}, '', location.href)")
        reader.after(60000)
        browser.evaluate(reader.page, HIDE % "true")
        reader.engaged(("/", 60000))
        browser.evaluate(reader.page, HIDE % "false")  # to show it is an act of the reader
        reader.after(30000)
        browser("press", page=reader.page, key="a")
        reader.after(30000)  # 120 s
        reader.engaged(("/", 120000))
        browser.evaluate(reader.page, "addEventListener('wheel', () => { window.turned = true })")
        reader.use(1)
        reader.after(1000)  # so that the wheel is told from the mouse
        browser("wheel", page=reader.page, y=5)
        t.until(lambda: browser.evaluate(reader.page, "window.turned"), "the wheel")
        reader.after(90000)
        browser.evaluate(reader.page, HIDE % "true")
        reader.engaged(("/", 181000))


@slow
def test_engaged_time_needs_a_page_in_sight(t):
    """What is hidden does not count, not even with input; each hiding sends what there is so far."""
    with Web() as web, Browser(t) as browser:
        reader = Reader(t, browser, web)
        reader.after(5000)
        browser.evaluate(reader.page, HIDE % "true")
        reader.engaged(("/", 5001))
        reader.after(3600000)
        browser.evaluate(reader.page, HIDE % "false")
        reader.after(2000)
        browser.evaluate(reader.page, HIDE % "true")
        reader.engaged(("/", 7001))
        browser.evaluate(reader.page, HIDE % "true")
        reader.use(1)
        reader.after(100000)
        browser.evaluate(reader.page, HIDE % "true")
        reader.engaged()


@slow
def test_engaged_time_of_an_application(t):
    """Each page view has its own; it ends with the next one, also of the same URL. The user is that of
    the page view."""
    with Web() as web, Browser(t) as browser:
        reader = Reader(t, browser, web)
        reader.after(9999)
        browser.evaluate(reader.page, "clickmill('identify', 'u1');"
                         "history.pushState({}, '', '/two')")
        reader.after(16000)
        browser.evaluate(reader.page, "clickmill('page', '/two')")
        reader.after(3000)
        browser.evaluate(reader.page, "clickmill('page', '/two')")
        reader.engaged(("/", 10000), ("/two", 15000), ("/two", 16000), ("/two", 3000))
        events = web.events()
        t.equal([(event.get("name"), event.get("user_id")) for event in events], [
            (None, None), ("engagement", None), (None, "u1"), ("engagement", "u1"),
            ("engagement", "u1"), (None, "u1"), ("engagement", "u1"), (None, "u1")], "users")
        times = [event["timestamp"] for event in events]
        t.equal(times, sorted(set(times)), "engagement comes before the next page view")


@slow
def test_engaged_time_of_a_clock_that_is_set(t):
    """An hour forward is at most a minute of use, an hour back is none."""
    with Web() as web, Browser(t) as browser:
        page = browser.open(browser.visitor(script="""
            const now = Date.now; window.shift = 0; Date.now = () => now() + shift;"""), web.page("/"))
        wait(t, web, 1)
        browser.evaluate(page, "shift = 3600000;" + HIDE % "true")
        t.until(lambda: len(web.named("engagement")) == 1, "the first engagement event")
        t.equal(web.named("engagement")[0]["engaged_ms"], 60000, "forward")
        browser.evaluate(page, HIDE % "false" + "; shift = 0;" + HIDE % "true")
        time.sleep(0.3)
        t.true(web.named("engagement")[-1]["engaged_ms"] < 60100, "%s" % web.named("engagement"))


@slow
def test_many_tabs_in_the_background(t):
    """A page that was never in sight is a page view with no engaged time."""
    with Web() as web, Browser(t) as browser:
        page = browser.open(browser.visitor(
            script="Object.defineProperty(document, 'hidden', { value: true })"), web.page("/"))
        wait(t, web, 1)
        browser("go", page=page, url="about:blank")
        t.until(lambda: web.named("engagement"), "the engagement event")
        t.equal([event["engaged_ms"] for event in web.named("engagement")], [0], "engaged time")
        t.equal(json.loads(web.bodies()[-1])[-1]["url"], web.origin + "/", "its page")


@slow
def test_pages_without_an_origin(t):
    """A file and a sandboxed frame: the URL is that of the page, and nothing is thrown."""
    with Web() as web, Browser(t) as browser:
        line = '<script defer src="%s/clickmill.js"></script>' % web.origin
        t.write("page.html", "<!doctype html>%s<p>a file" % line)
        page = browser.open(browser.visitor(), "file://%s?a=1#b" % t.path("page.html"))
        browser.evaluate(page, "clickmill('event', 'x'); clickmill('page', 'other.html')")
        events = wait(t, web, 3)
        t.equal([event["url"] for event in events], [
            "file://" + t.path("page.html") + "?a=1", "file://" + t.path("page.html") + "?a=1",
            "file://" + t.path("other.html")], "URLs of a file")
        t.equal(browser("errors", page=page), [], "exceptions in the file")
        web.posts.clear()
        web.page("/framed")
        page = browser.open(browser.visitor(), web.page(
            "/", '<body><iframe sandbox="allow-scripts" src="/framed"></iframe>'))
        t.equal([(event["url"], event["referrer"]) for event in wait(t, web, 1)],
                [(web.origin + "/framed", web.origin + "/")], "the frame")
        t.equal(web.posts[0]["headers"]["Origin"], "null", "its origin")
        t.equal(browser("errors", page=page), [], "exceptions in the frame")
