"""The tracker in a real browser, against a collector that answers badly and pages that break it. Most
of it has no part of the program but the tracker, and is marked as slow so that it runs once."""

import json
import time

from browser_support import STUB, UUID, Browser, Web
from harness import slow

TEXT = "text/plain;charset=UTF-8"


HIDE = "Object.defineProperty(document, 'hidden', { value: %s, configurable: true });" \
    "document.dispatchEvent(new Event('visibilitychange'))"


def names(body):
    """The names of the events of a request."""
    return [event.get("name", "pageview") for event in json.loads(body)]


def push(browser, page, *queries):
    for query in queries:
        browser.evaluate(page, "history.pushState({}, '', '?%s')" % query)


def urls(web, *queries):
    return [web.origin + "/" + ("?" + query if query else "") for query in queries]


def settled(t, browser, web, page, wanted):
    """Exactly these page views arrive, each once, in this order, and the page notices nothing."""
    t.until(lambda: len(web.views()) >= len(wanted), "%d page views" % len(wanted))
    time.sleep(0.2)
    t.equal(web.urls(), wanted, "URLs")
    t.equal(browser("errors", page=page), [], "exceptions in the page")


def test_requests(t):
    """One page view: what exactly is sent, and that the browser does not ask before."""
    with Web() as web, Web() as site, Browser(t) as browser:
        page = browser.open(browser.visitor(), site.page(
            "/", '<script defer src="%s/clickmill.js"></script>' % web.origin))
        settled(t, browser, web, page, [site.origin + "/"])
        t.equal([found for found in browser("requests", page=page) if "events" in found[1]],
                [["POST", web.origin + "/v1/events"]], "requests")
        post, event = web.posts[0], web.events()[0]
        t.equal((post["headers"]["Content-Type"], post["headers"]["Origin"]),
                (TEXT, site.origin), "type and origin")
        t.equal(post["body"], json.dumps([event], separators=(",", ":")).encode(), "body")
        t.equal(list(event), ["row_key", "timestamp", "language", "url"], "fields")
        t.equal(event["language"], "en-US", "language")
        t.true(UUID.fullmatch(event["row_key"]), event["row_key"])


@slow
def test_refused_first(t):
    """503, 429 and 500 are tried again, after 1, 2 and 4 seconds; what has come since goes along."""
    with Web() as web, Browser(t) as browser:
        web.answers = [503, 429, 500]
        page = browser.open(browser.visitor(), web.page("/"))
        t.until(lambda: len(web.posts) == 1, "the first attempt")
        push(browser, page, "a", "b")
        settled(t, browser, web, page, urls(web, "", "a", "b"))
        t.until(lambda: len(web.posts) == 4, "the fourth attempt")
        times = [post["time"] for post in web.posts]
        for wait, before, after in zip((1, 2, 4), times, times[1:]):
            t.true(wait - 0.1 < after - before < wait + 2.5,
                   "%.2f s instead of %d" % (after - before, wait))
        bodies = web.bodies()
        t.true(bodies[1].startswith(bodies[0][:-1]), "what is sent again is not the same")
        t.equal(bodies[1:], 3 * [bodies[1]], "what is sent again")
        push(browser, page, "c")  # all is well again: at once and alone
        t.until(lambda: len(web.posts) == 5, "the next event", timeout=5)
        t.equal(names(web.bodies()[4]), ["engagement", "pageview"], "the next request")


@slow
def test_refused_for_good(t):
    """Other errors of ours are not tried again: it would be the same each time."""
    with Web() as web, Browser(t) as browser:
        web.answers = [400, 403, 404, 413]
        page = browser.open(browser.visitor(), web.page("/"))
        queries = ["", "a", "b", "c", "d"]
        for count, query in enumerate(queries, 1):
            if query:
                push(browser, page, query)
            t.until(lambda count=count: len(web.posts) == count, "request %d" % count)
            time.sleep(0.1)
        settled(t, browser, web, page, urls(web, *queries))
        t.equal(len(web.posts), 5, "requests")


def test_one_request_at_a_time(t):
    with Web() as web, Browser(t) as browser:
        web.gate.clear()
        page = browser.open(browser.visitor(), web.page("/"))
        t.until(lambda: len(web.posts) == 1, "the first request")
        push(browser, page, "a", "b", "c")
        time.sleep(0.3)
        t.equal(len(web.posts), 1, "requests in flight")
        web.gate.set()
        settled(t, browser, web, page, urls(web, "", "a", "b", "c"))
        t.equal([names(body) for body in web.bodies()],
                [["pageview"], 3 * ["engagement", "pageview"]], "events in requests")


@slow
def test_limits_of_what_waits(t):
    """At most 100 events, and no more than a browser sends for a page that is gone. Each of these
    pages is left at once, so that half of the events are engagement."""
    with Web() as web, Browser(t) as browser:
        for length, most in ((1, 100), (2000, 21)):
            web.gate.clear()
            web.posts.clear()
            page = browser.open(browser.visitor(), web.page("/"))
            browser.evaluate(page, "for (let i = 1; i < 130; i++)"
                             "history.pushState({}, '', '?' + i + 'x'.repeat(%d))" % length)
            web.gate.set()
            t.until(lambda: len(web.posts) == 2, "both requests")
            time.sleep(0.2)
            t.true(most - 5 < len(web.events()) <= most, "%d events" % len(web.events()))
            found = web.urls()
            t.equal(found[1:], [web.origin + "/?%d%s" % (i, "x" * length)
                                for i in range(1, len(found))], "URLs")
            t.true(max(map(len, web.bodies())) < 64 * 1024, "a body of more than 64 KiB")
            t.equal(browser("errors", page=page), [], "exceptions in the page")
            browser("close", page=page)


def leave_unconfirmed(t, browser, web, script):
    """A page with two events goes before the collector has answered; the requests after that."""
    web.gate.clear()
    web.posts.clear()
    page = browser.open(browser.visitor(script=script), web.page("/"))
    t.until(lambda: len(web.posts) == 1, "the first request")
    push(browser, page, "last")
    browser("go", page=page, url="about:blank")
    t.until(lambda: len(web.posts) >= 2, "a request for the page that is gone")
    web.gate.set()
    settled(t, browser, web, page, urls(web, "", "last"))
    first, *later = web.bodies()
    for body in later:
        t.true(body.startswith(first[:-1] + b","), "the first event is not the same again")
    t.equal({post["headers"]["Content-Type"] for post in web.posts}, {TEXT}, "types")
    return later


# Before Firefox 133 a request ends with its page, so that a beacon must be sent. It is the second
# choice, because where the page's policy of referrers is no-referrer or same-origin (as Django's
# is), its origin is "null" in browsers that follow the standard, and the collector refuses it.
OLD = "delete Request.prototype.keepalive;"


@slow
def test_page_is_left(t):
    with Web() as web, Browser(t) as browser:
        for script, mode in (
                (None, "cors"), (OLD, "no-cors"),
                (OLD + "Navigator.prototype.sendBeacon = undefined", "cors"),
                (OLD + "Navigator.prototype.sendBeacon = () => false", "cors"),
                (OLD + "Navigator.prototype.sendBeacon = () => { throw new Error('blocked'); }",
                 "cors")):
            t.equal(len(leave_unconfirmed(t, browser, web, script)), 1, "requests, %s" % script)
            t.equal(web.posts[-1]["headers"]["Sec-Fetch-Mode"], mode, "its mode, %s" % script)


@slow
def test_tab_is_hidden_and_shown(t):
    """A beacon a time: with engagement, and with what was not answered, which stays."""
    with Web() as web, Browser(t) as browser:
        page = browser.open(browser.visitor(), web.page("/"))
        settled(t, browser, web, page, urls(web, ""))
        browser.evaluate(page, HIDE % "true")
        browser.evaluate(page, "dispatchEvent(new PageTransitionEvent('pagehide'))")
        time.sleep(0.2)
        t.equal([names(body) for body in web.bodies()], [["pageview"], ["engagement"]], "requests")
        web.gate.clear()
        browser.evaluate(page, HIDE % "false")
        push(browser, page, "a")
        t.until(lambda: len(web.posts) == 3, "the request")
        for _ in range(2):
            browser.evaluate(page, HIDE % "true")
            browser.evaluate(page, "dispatchEvent(new PageTransitionEvent('pagehide'))")
            browser.evaluate(page, HIDE % "false")
        t.until(lambda: len(web.posts) == 5, "two beacons")
        web.gate.set()
        settled(t, browser, web, page, urls(web, "", "a"))
        waiting = json.loads(web.bodies()[2])
        for body in web.bodies()[3:]:
            *kept, engagement = json.loads(body)
            t.equal(kept, waiting, "what was not answered")
            t.equal((engagement["name"], engagement["url"]), ("engagement", web.origin + "/?a"),
                    "the newest event of the beacon")
        # All is answered, and nothing has happened since: the end of the page needs no request.
        browser.evaluate(page, HIDE % "true")
        t.until(lambda: len(web.posts) == 6, "the last beacon")
        browser("go", page=page, url="about:blank")
        time.sleep(0.3)
        t.equal(len(web.posts), 6, "requests")


@slow
def test_browser_without_fetch(t):
    with Web() as web, Browser(t) as browser:
        page = browser.open(browser.visitor(script="delete window.fetch"), web.page("/"))
        t.until(lambda: len(web.posts) == 1, "the page view", timeout=5)
        push(browser, page, "a")
        settled(t, browser, web, page, urls(web, "", "a"))
        time.sleep(1.2)
        t.equal([names(body) for body in web.bodies()],
                [["pageview"], ["engagement", "pageview"]], "events in requests")


@slow
def test_page_restored_by_back(t):
    """A page that was kept alive is shown again: that is a page view."""
    with Web() as web, Browser(t) as browser:
        page = browser.open(browser.visitor(), web.page("/"))
        browser.evaluate(page, "addEventListener('pageshow', (e) => { window.kept = e.persisted; })")
        settled(t, browser, web, page, urls(web, ""))
        browser.evaluate(page, "setTimeout(() => { location.href = '%s' })" % web.page("/next"))
        settled(t, browser, web, page, urls(web, "") + [web.origin + "/next"])
        browser.evaluate(page, "setTimeout(() => history.back())")
        t.until(lambda: len(web.views()) == 3, "the page view of the page that is back")
        t.equal(browser.evaluate(page, "window.kept"), True, "kept alive")
        t.equal([view.get("referrer") for view in web.views()], [None, web.origin + "/", None],
                "the page before is not known to a page that is back")
        t.equal([event["url"] for event in web.named("engagement")],
                [web.origin + "/", web.origin + "/next"], "one engagement event for each page left")
        settled(t, browser, web, page, urls(web, "") + [web.origin + "/next"] + urls(web, ""))


@slow
def test_page_made_ahead(t):
    """A prerendered page counts when it is shown."""
    made = "Object.defineProperty(document, 'prerendering', { value: %s, configurable: true });"
    with Web() as web, Browser(t) as browser:
        page = browser.open(browser.visitor(script=made % "true"), web.page("/"))
        push(browser, page, "a")
        time.sleep(0.5)
        t.equal(web.posts, [], "requests before it is shown")
        browser.evaluate(page, made % "false" +
                         "document.dispatchEvent(new Event('prerenderingchange'))")
        settled(t, browser, web, page, urls(web, "a"))


@slow
def test_attributes(t):
    cases = {
        'data-site="https://www.shop.example/"': ("https://www.shop.example/p?q=1", "/v1/events"),
        'data-site="https://shop.example/en" data-endpoint="/c/e?k=1"':
            ("https://shop.example/en/p?q=1", "/c/e?k=1"),
        'data-site="" data-endpoint=""': (None, "/v1/events"),
    }
    with Web() as web, Web() as site, Browser(t) as browser:
        for attributes, (url, path) in cases.items():
            web.posts.clear()
            site.page("/p", '<base href="https://elsewhere.example/"><script defer '
                      'src="%s/clickmill.js" %s></script>' % (web.origin, attributes))
            page = browser.open(browser.visitor(), site.origin + "/p?q=1#part")
            settled(t, browser, web, page, [url or site.origin + "/p?q=1"])
            t.equal(web.posts[0]["path"], path, "path of the endpoint")
            t.equal(site.posts, [], "what went to the site")


@slow
def test_included_twice(t):
    line = '<script defer src="/clickmill.js"></script>'
    with Web() as web, Browser(t) as browser:
        page = browser.open(browser.visitor(script=STUB), web.page("/", line + line))
        push(browser, page, "a")
        settled(t, browser, web, page, urls(web, "", "a"))


BROKEN = {
    "crypto is missing": "Object.defineProperty(window, 'crypto', { value: undefined })",
    "fetch throws": "window.fetch = () => { throw new Error('blocked'); };"
                    "Navigator.prototype.sendBeacon = window.fetch",
    "fetch is odd": "window.fetch = () => undefined",
    "neither fetch nor beacon": "delete window.fetch; delete Navigator.prototype.sendBeacon",
    "frozen history": "Object.freeze(history)",
    "history without pushState": "History.prototype.pushState = undefined",
    "addEventListener throws": "window.addEventListener = () => { throw new Error('blocked'); }",
    "a strange stub": "window.clickmill = { q: [null, 'x', [], ['toString'], ['event']] }",
    "a stub that lists nothing": "window.clickmill = { q: 7 }",
    "no address of a blob": "URL.createObjectURL = undefined",
    "no TextEncoder": "window.TextEncoder = undefined",
    "time stands still": "Date.now = () => 0",
}
STILL_COUNTED = ("crypto is missing", "frozen history", "history without pushState",
                 "addEventListener throws", "a strange stub", "a stub that lists nothing")


@slow
def test_what_pages_break(t):
    with Web() as web, Browser(t) as browser:
        for what, script in BROKEN.items():
            web.posts.clear()
            page = browser.open(browser.visitor(script=script), web.page("/"))
            push(browser, page, *([] if "without" in what else ["a"]))
            t.equal(browser.evaluate(page, "clickmill('identify', 'x'); typeof history.pushState"),
                    "undefined" if "without" in what else "function", what)
            browser("go", page=page, url=web.page("/next"))
            if what in STILL_COUNTED:
                t.until(lambda: {web.origin + "/", web.origin + "/next"} <= set(web.urls()), what)
            time.sleep(0.1)
            t.equal(browser("errors", page=page), [], what)
            browser("close", page=page)


@slow
def test_history_keeps_its_own_ways(t):
    """What it returns, what it throws, and what a page has put there instead."""
    script = "const own = History.prototype.pushState; history.pushState = function (...values) " \
        "{ own.apply(this, values); return values.length; }"
    with Web() as web, Browser(t) as browser:
        page = browser.open(browser.visitor(script=script), web.page("/"))
        t.equal(browser.evaluate(page, "history.pushState({ x: 1 }, '', '?a')"), 3, "returned")
        t.equal(browser.evaluate(page, "history.state.x"), 1, "state")
        t.equal(browser.evaluate(page, """
            try { history.pushState({}, "", "https://elsewhere.example/"); } catch (e) { e.name }"""),
            "SecurityError", "thrown")
        settled(t, browser, web, page, urls(web, "", "a"))
