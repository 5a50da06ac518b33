"""The tracker in a real browser, against a real collector: what arrived, event by event."""

import gzip
import json
import time
import urllib.request

from browser_support import DESKTOP, PHONE, STUB, UUID, Browser, Web
from harness import patient
from test_run import free_port, healthy

SIZE_MAX = 2048  # bytes, 2 KB
KINDS = {DESKTOP: ("Chrome", "Windows"), PHONE: ("Mobile Safari", "iOS")}


class Collector:
    """A running `clickmill run`, on a port that it keeps: of a site, or where none is named, of the
    demo shop with next to no synthetic traffic."""

    def __init__(self, t, *options):
        self.t, self.options, self.port = t, options, free_port()
        self.origin = "http://127.0.0.1:%d" % self.port
        site = "--sites" in options
        self.data = "data" if site else "data/demo"
        self.kind = ("--no-demo",) if site else ("--rate", "0.001")
        self.start()

    def start(self):
        self.process = self.t.start("run", *self.kind, "--listen", "127.0.0.1:%d" % self.port,
                                    *self.options)
        self.t.until(lambda: healthy(self.port), "it answers", process=self.process)

    def stop(self):
        self.process.stop()

    def everything(self):
        """All events, synthetic ones and engagement too."""
        out = self.t.clickmill("export", "--data", self.data).out
        return [json.loads(line) for line in out.splitlines()]

    def named(self, name):
        """What browsers have sent of that name."""
        return [one for one in self.everything() if one.get("name", "pageview") == name and
                not one["url"].startswith("https://www.example.com/")]

    def stored(self):
        return self.named("pageview")

    def wait(self, count):
        """Waits for so many page views and returns what is stored: no more than these."""
        self.t.until(lambda: len(self.stored()) >= count, "%d events" % count,
                     process=self.process)
        time.sleep(0.3)  # what is too much would come now
        stored = self.stored()
        self.t.equal(len(stored), count, "events of %s" % [event["url"] for event in stored])
        return stored


def check(t, events, urls, agent=DESKTOP):
    """The events are page views of these URLs in this order by one browser; returns its user."""
    t.equal([event["url"] for event in events], urls, "URLs")
    for event in events:
        t.true(UUID.fullmatch(event["row_key"]), "no UUID of version 4: %s" % event)
        t.equal((event["browser"], event["os"]), KINDS[agent], "browser of %s" % event)
    times = [event["timestamp"] for event in events]
    t.equal(times, sorted(times), "order of the timestamps")
    t.true(abs(times[-1] / 1000 - time.time()) < 60, "the last timestamp is not of now")
    users = {event["user_id"] for event in events}
    t.equal(len(users), 1, "visitors in %s" % users)
    return users.pop()


def undisturbed(t, browser, page):
    t.equal(browser("errors", page=page), [], "exceptions in the page")


def test_size_and_headers(t):
    collector = Collector(t)
    asked = urllib.request.Request(collector.origin + "/clickmill.js",
                                   headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(asked, timeout=20) as reply:
        packed = reply.read()
        headers = {name: reply.headers[name] for name in (
            "Content-Encoding", "Content-Type", "Cache-Control", "Cross-Origin-Resource-Policy")}
    t.equal(headers, {
        "Content-Encoding": "gzip", "Content-Type": "text/javascript; charset=utf-8",
        "Cache-Control": "public, max-age=3600", "Cross-Origin-Resource-Policy": "cross-origin"})
    t.true(len(packed) <= SIZE_MAX, "%d bytes, the limit is %d" % (len(packed), SIZE_MAX))
    t.true(b"sendBeacon" in gzip.decompress(packed), "this is not the tracker")


def test_demo_shop(t):
    collector = Collector(t)
    at = collector.origin + "/demo/"
    with Browser(t) as browser:
        page = browser.open(browser.visitor(), at)
        for selector, path in (
                ("a[href='/demo/products']", "products"),
                ("a[href='/demo/coffee-mill']", "coffee-mill"),
                ("[data-finish='oak']", "coffee-mill?finish=oak"),
                ("#add", None),
                ("a[href='/demo/cart']", "cart"),
                ("#order", "thanks")):
            browser("click", page=page, selector=selector)
            if path:
                browser("path", page=page, path="/demo/" + path)
        events = collector.wait(6)
        check(t, events, [at + path for path in (
            "", "products", "coffee-mill", "coffee-mill?finish=oak", "cart", "thanks")])
        t.equal([one.get("referrer") for one in events],
                [None, at, at + "products", at + "coffee-mill", at + "coffee-mill?finish=oak",
                 at + "cart"], "the page before each")
        t.until(lambda: [(one["name"], one["url"], one["props"]) for one in collector.everything()
                         if one.get("name") in ("add_to_cart", "purchase")] == [
            ("add_to_cart", at + "coffee-mill?finish=oak",
             {"finish": "oak", "item": "coffee-mill", "value": 64}),
            ("purchase", at + "thanks", {"items": 1, "value": 64})], "what was ordered")
        clicks = "%d so far" % len([one for one in collector.everything()
                                    if one.get("name", "pageview") == "pageview"])
        t.until(lambda: browser("text", page=page, selector="#clicks") == clicks,
                "%r in the page's hint" % clicks)
        undisturbed(t, browser, page)


def test_single_page_navigation(t):
    collector = Collector(t)
    at = collector.origin + "/demo/products"
    with Browser(t) as browser:
        page = browser.open(browser.visitor(), at)
        script = """
            history.replaceState({}, "", location.href);
            history.pushState({}, "", "/demo/products?a=1");
            history.pushState({}, "", "/demo/products?a=1#part");
            location.hash = "other";
            history.replaceState({}, "", "/demo/products?a=2");
            history.pushState({ deep: 1 }, "", "/demo/deep/er");
            [history.length > 3, history.state.deep]"""
        t.equal(browser.evaluate(page, script), [True, 1], "what history says")
        browser.evaluate(page, "history.back()")
        browser("path", page=page, path="/demo/products?a=2")
        check(t, collector.wait(5), [
            at, at + "?a=1", at + "?a=2", collector.origin + "/demo/deep/er", at + "?a=2"])
        undisturbed(t, browser, page)


def test_campaigns_taken_away(t):
    """A page that tidies its address is still that page; one that shows something else is another."""
    collector = Collector(t)
    at = collector.origin + "/demo/products"
    with Browser(t) as browser:
        page = browser.open(browser.visitor(), at + "?utm_source=news&utm_medium=mail&a=1&gclid=x")
        browser.evaluate(page, """
            history.replaceState({}, "", "?utm_medium=mail&a=1");
            history.replaceState({}, "", "?a=1&fbclid=y#part");
            history.replaceState({}, "", "?a=1");
            history.replaceState({}, "", "?a=1&_gl=1*2&mc_cid=3&msclkid=4&pk_kwd=5");
            history.pushState({}, "", "?a=1&utm_campaign=z");
            history.replaceState({}, "", "?a=1&utmost=1");
            history.replaceState({}, "", location.pathname + "?");
            history.replaceState({}, "", location.pathname)""")
        check(t, collector.wait(3), [at + "?a=1", at + "?a=1&utmost=1", at])
        undisturbed(t, browser, page)


def test_names_are_cut(t):
    """At 256 bytes, never inside of a character; half a character is none."""
    collector = Collector(t)
    with Browser(t) as browser:
        page = browser.open(browser.visitor(script=STUB + "clickmill('identify', 'я'.repeat(200));"),
                            collector.origin + "/demo/")
        browser.evaluate(page, """
            clickmill("identify", "x".repeat(255) + "😀"); history.pushState({}, "", "?1");
            clickmill("identify", "€".repeat(86)); history.pushState({}, "", "?2");
            clickmill("identify", "a\\ud83d-\\ude00z"); history.pushState({}, "", "?3");
            clickmill("identify", ""); history.pushState({}, "", "?4")""")
        users = [event["user_id"] for event in collector.wait(5)]
        t.equal(users[:4], ["я" * 128, "x" * 255, "€" * 85, "a\ufffd-\ufffdz"], "names")
        t.equal(len(users[4]), 32, "the visitor without a name")
        undisturbed(t, browser, page)


@patient
def test_tab_closed_at_once(t):
    collector = Collector(t)
    with Browser(t) as browser:
        visitor = browser.visitor()
        for number in range(1, 4):
            page = browser.open(visitor, collector.origin + "/demo/cart")
            browser.evaluate(page, "history.pushState({}, '', '?last=%d')" % number)
            browser("close", page=page)
        urls = [event["url"] for event in collector.wait(6)]
        t.equal(sorted(urls), sorted(3 * [collector.origin + "/demo/cart"] + [
            collector.origin + "/demo/cart?last=%d" % number for number in (1, 2, 3)]), "URLs")


@patient
def test_visitors(t):
    collector = Collector(t)
    at = collector.origin + "/demo/"
    with Browser(t) as browser:
        for agent in (DESKTOP, PHONE, DESKTOP):  # the third is the first again, with a new profile
            browser.open(browser.visitor(agent), at + "?" + KINDS[agent][1])
            time.sleep(0.1)
        events = collector.wait(3)
    first = check(t, events[:1], [at + "?Windows"])
    other = check(t, events[1:2], [at + "?iOS"], PHONE)
    again = check(t, events[2:], [at + "?Windows"])
    t.true(first != other, "two browsers are one visitor")
    t.equal(again, first, "the visitor who is back")
    t.true("127.0.0.1" not in first + other, "an address is stored")


@patient
def test_visitors_by_cookie(t):
    """Two people with the same browser are two; one who comes back is one. The page sees no cookie."""
    collector = Collector(t, "--visitor", "cookie")
    at = collector.origin + "/demo/"
    with Browser(t) as browser:
        one, other = browser.visitor(), browser.visitor()
        for count, visitor in enumerate((one, other, one, other), 1):
            page = browser.open(visitor, at + "?%d" % count)
            t.equal(browser.evaluate(page, "document.cookie"), "", "cookies for the page")
            events = collector.wait(count)
            browser("close", page=page)
    users = [check(t, [event], [at + "?%d" % count]) for count, event in enumerate(events, 1)]
    t.equal(users[2:], users[:2], "visitors who come back")
    t.true(users[0] != users[1], "two people are one visitor")


@patient
def test_identify(t):
    collector = Collector(t)
    with Browser(t) as browser:
        page = browser.open(browser.visitor(script=STUB + "clickmill('identify', 'früh-1');"),
                            collector.origin + "/demo/")
        browser.evaluate(page, """
            clickmill("identify", 42); history.pushState({}, "", "?1");
            clickmill("nonsense", "x"); history.pushState({}, "", "?2");
            clickmill("identify", null); history.pushState({}, "", "?3");
            clickmill("identify", { toString() { throw new Error("bad"); } }); clickmill()""")
        users = [event["user_id"] for event in collector.wait(4)]
        t.equal(users[:3], ["früh-1", "42", "42"], "names")
        t.true(users[3] not in users[:3], "the visitor without a name has one")
        undisturbed(t, browser, page)


@patient
def test_who_does_not_want_it(t):
    wishes = {"navigator, 'doNotTrack'": "1", "window, 'doNotTrack'": "1",
              "navigator, 'globalPrivacyControl'": True}
    with Browser(t) as browser, Web() as web:
        for where, value in wishes.items():
            script = STUB + "clickmill('identify', 'x'); Object.defineProperty(%s, {value: %s})" % (
                where, json.dumps(value))
            page = browser.open(browser.visitor(script=script), web.page("/"))
            browser.evaluate(page, "history.pushState({}, '', '?1'); clickmill('identify', 'y')")
            browser("go", page=page, url=web.page("/next"))
            undisturbed(t, browser, page)
            t.equal([url for _, url in browser("requests", page=page) if "events" in url], [], where)
            browser("close", page=page)
        browser.open(browser.visitor(script="Object.defineProperty(navigator, 'doNotTrack', "
                                     "{value: '0'})"), web.page("/"))
        t.until(lambda: len(web.posts) > 0, "the page view of one who does not mind")
        t.equal(web.urls(), [web.origin + "/"], "page views")


@patient
def test_what_is_stored(t):
    """Events with their props, the page before, the language and engaged time, as they arrive."""
    link = "https://other.example/a?b=1"
    with Web() as site, Browser(t) as browser:
        collector = Collector(t, "--sites", site.origin)
        at = site.page("/", '<script defer src="%s/clickmill.js" data-track="outbound"></script>'
                       '<a href="%s" onclick="return false">other</a>' % (collector.origin, link))
        page = browser.open(browser.visitor(locale="de-CH"), at + "?x=1")
        browser.evaluate(page, """
            clickmill("event", "purchase", { value: 12.50, plan: "pro", gift: true });
            history.pushState({}, "", "/two")""")
        browser("click", page=page, selector="a")
        browser.evaluate(page, """
            Object.defineProperty(document, "hidden", { value: true });
            document.dispatchEvent(new Event("visibilitychange"))""")
        t.until(lambda: len(collector.named("engagement")) == 2, "engaged time of both pages")
        first, second = collector.wait(2)
        t.equal((first["url"], first.get("referrer"), first["language"]),
                (at + "?x=1", None, "de-CH"), "the first page view")
        t.equal((second["url"], second["referrer"]), (at + "two", at + "?x=1"), "the second")
        purchase, = collector.named("purchase")
        t.equal((purchase["url"], purchase["props"], purchase["user_id"]),
                (at + "?x=1", {"value": 12.5, "plan": "pro", "gift": True}, first["user_id"]),
                "the event")
        click, = collector.named("outbound")
        t.equal((click["url"], click["props"]), (at + "two", {"url": link}), "the link")
        engaged = collector.named("engagement")
        t.equal([one["url"] for one in engaged], [at + "?x=1", at + "two"], "pages in use")
        t.true(all(0 <= one["engaged_ms"] < 60000 and one["user_id"] == first["user_id"]
                   for one in engaged), "engaged time of %s" % engaged)


@patient
def test_own_paths(t):
    """The script and the events under names of the site itself, through its server."""
    collector = Collector(t, "--sites", "127.0.0.1", "--script", "/js/site.js", "--path", "/js/in")
    with Web(upstream=collector.port) as site, Browser(t) as browser:
        at = site.page("/", '<script defer src="/js/site.js"></script>')
        page = browser.open(browser.visitor(), at)
        check(t, collector.wait(1), [at])
        t.equal([post["path"] for post in site.posts], ["/js/in"], "where the events went")
        undisturbed(t, browser, page)
        page = browser.open(browser.visitor(), collector.origin + "/snippet")
        line = '<script defer src="%s/js/site.js"></script>' % collector.origin
        t.until(lambda: browser("text", page=page, selector="#script") == line, line)
        undisturbed(t, browser, page)


@patient
def test_strict_policy_on_another_site(t):
    with Web() as site, Browser(t) as browser:
        collector = Collector(t, "--sites", "shop.example," + site.origin)
        at = site.page("/", '<script defer src="%s/clickmill.js"></script>' % collector.origin, **{
            "Content-Security-Policy": "default-src 'none'; script-src %s; connect-src %s" % (
                collector.origin, collector.origin),
            "Cross-Origin-Embedder-Policy": "require-corp"})
        page = browser.open(browser.visitor(), at)
        collector.wait(1)
        browser.evaluate(page, "history.pushState({}, '', '/two?x=1')")
        check(t, collector.wait(2), [at, at + "two?x=1"])
        undisturbed(t, browser, page)
        t.equal(site.posts, [], "what went to the site")


@patient
def test_another_site_that_is_not_allowed(t):
    with Web() as site, Browser(t) as browser:
        collector = Collector(t, "--sites", "shop.example,http://127.0.0.1:%d" % (site.port + 1))
        page = browser.open(browser.visitor(), site.page(
            "/", '<script defer src="%s/clickmill.js"></script>' % collector.origin))
        browser.evaluate(page, "history.pushState({}, '', '/two')")
        t.until(lambda: [url for method, url in browser("requests", page=page)
                         if method == "POST" and url.startswith(collector.origin)], "a request")
        browser("go", page=page, url=site.origin + "/")
        undisturbed(t, browser, page)
        collector.wait(0)


@patient
def test_collector_away_and_back(t):
    collector = Collector(t)
    at = collector.origin + "/demo/products"
    with Browser(t) as browser:
        page = browser.open(browser.visitor(), at)
        collector.wait(1)
        collector.stop()
        for number in range(1, 6):
            browser.evaluate(page, "history.pushState({}, '', '?%d')" % number)
        time.sleep(1.5)  # attempts fail
        collector.start()
        check(t, collector.wait(6), [at] + [at + "?%d" % number for number in range(1, 6)])
        undisturbed(t, browser, page)


@patient
def test_answer_lost(t):
    """What is sent again is the same, to the byte, and counts once."""
    collector = Collector(t)
    with Web(upstream=collector.port) as web, Browser(t) as browser:
        web.answers = ["lost", "lost", 503]
        page = browser.open(browser.visitor(), web.origin + "/demo/")
        t.until(lambda: len(web.posts) >= 4, "the attempts")
        t.equal(set(web.bodies()), {web.bodies()[0]}, "bodies of the attempts")
        browser.evaluate(page, "history.pushState({}, '', '?then')")
        check(t, collector.wait(2), [web.origin + "/demo/", web.origin + "/demo/?then"])
        undisturbed(t, browser, page)


@patient
def test_snippet_page(t):
    """Its lines work as they are: a page is made of them and counted."""
    with Web() as site, Browser(t) as browser:
        collector = Collector(t, "--sites", site.origin)
        page = browser.open(browser.visitor(), collector.origin + "/snippet")
        lines = {name: browser("text", page=page, selector="#" + name)
                 for name in ("identify", "event", "script", "pixel", "policy")}
        t.equal(lines["script"],
                '<script defer src="%s/clickmill.js"></script>' % collector.origin, "the script")
        t.true('<img src="%s/pixel.gif"' % collector.origin in lines["pixel"], lines["pixel"])
        t.equal(lines["policy"].split(), ["script-src", collector.origin + ";", "connect-src",
                                          collector.origin], "the policy")
        browser.evaluate(page, """
            for (const [id, value] of [["site", 'https://a.example/"&'], ["endpoint", "/x"]]) {
              document.getElementById(id).value = value;
              document.getElementById(id).dispatchEvent(new Event("input"));
            }""")
        t.equal(browser("text", page=page, selector="#script").split(), [
            "<script", "defer", 'src="%s/clickmill.js"' % collector.origin,
            'data-site="https://a.example/&quot;&amp;"', 'data-endpoint="/x"></script>'],
            "the script with both attributes")
        t.equal(browser("text", page=page, selector="#allow"),
                'clickmill run --sites "a.example"', "the option")
        undisturbed(t, browser, page)
        at = site.page("/", lines["identify"] + lines["script"] + lines["event"])
        page = browser.open(browser.visitor(), at)
        t.equal(check(t, collector.wait(1), [at]), "customer-7", "the visitor")
        browser("click", page=page, selector="button")
        t.until(lambda: collector.named("signup"), "the event")
        t.equal([(one["user_id"], one["props"]) for one in collector.named("signup")],
                [("customer-7", {"plan": "pro"})], "events")
