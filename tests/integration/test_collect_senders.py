"""`clickmill collect`: which senders are allowed, the visitor of an event, and enrichment from
address and agent."""

import json
import os
import re
import time
import uuid

import mmdb
from collect_support import (FIREFOX, GOOGLEBOT, SAFARI, SITE, TIME, Collector, bad, event, good,
                             keyed, refused, request)
from harness import INPUT, patient
from test_collect_http import certificate

PROXIES = ("--proxies", "127.0.0.1")
FORWARDED = "X-Forwarded-For"
NO_USER = "user_id is missing, and so is ip, which could stand for it"


def view(path="/a", **fields):
    """A page view as the tracker sends it: without a user, of this moment, with an id of its own."""
    return {"url": SITE + path, "timestamp": int(time.time() * 1000), "row_key": str(uuid.uuid4()),
            **fields}


def on_one_day(test):
    """Tries again when midnight (UTC) has passed meanwhile."""
    def again(t):
        day = time.gmtime().tm_yday
        try:
            test(t)
        except AssertionError:
            if time.gmtime().tm_yday == day:
                raise
            t.dir = os.path.join(t.dir, "next-day")
            os.mkdir(t.dir)
            test(t)
    again.__doc__ = test.__doc__
    for mark in ("slow", "patient"):
        if hasattr(test, mark):
            setattr(again, mark, True)
    return again


def by_path(events):
    """{path: event} of page views, which have random keys."""
    return {one["url"].removeprefix(SITE): one for one in events}


# ---- sites of pages


def allowed(t, answer, origin, sites="", status=202):
    """The page may read the answer."""
    t.equal(answer.status, status, "status for %s %s" % (origin, answer))
    value = answer.header("Access-Control-Allow-Origin")
    t.true(value == origin or (value == "*" and sites == "*"), "%s for %s" % (value, origin))
    if value != "*":
        t.true("origin" in (answer.header("Vary") or "").lower(), "no Vary: Origin %s" % answer)


def stranger(t, answer, origin):
    refused(t, answer, 403, what="answer to " + origin)
    t.equal(answer.header("Access-Control-Allow-Origin"), origin, "it may read why")


def test_sites(t):
    yes = [SITE, "http://shop.example", "https://shop.example:8443", "https://www.wild.example",
           "http://a.b.wild.example:81", "https://exact.example:8443", "HTTPS://SHOP.EXAMPLE"]
    no = ["https://wild.example", "https://www.shop.example", "https://shop.example.evil.example",
          "https://evilshop.example", "https://xwild.example", "http://exact.example:8443",
          "https://exact.example", "https://exact.example:84430", "null", "https://evil.example",
          "https://shop.example@evil.example", "https://evil.example/shop.example", "file://",
          "https://shop.example, https://evil.example", "shop.example"]
    collector = Collector(t, "--sites", "shop.example,*.wild.example,https://exact.example:8443")
    for number, origin in enumerate(yes):
        allowed(t, good(t, collector.page(view("/%d" % number), origin=origin)), origin)
    for origin in no:
        stranger(t, collector.page(view("/no"), origin=origin), origin)
    t.equal(sorted(by_path(collector.stop())), ["/%d" % number for number in range(len(yes))], "pages")


def test_errors_are_for_the_page_too(t):
    """A page that may send may also read the errors."""
    collector = Collector(t, "--sites", "shop.example", "--max-body", "1k")
    allowed(t, bad(t, collector.page({"timestamp": TIME}), [(1, "url is missing or empty")]), SITE,
            status=400)
    allowed(t, collector.page(b""), SITE, status=400)
    allowed(t, collector.page(view(), kind=("Content-Type", "text/html")), SITE, status=415)
    allowed(t, collector.page(b" " * 1025), SITE, status=413)
    t.equal(collector.stop(), [], "events")


def test_all_sites(t):
    collector = Collector(t, "--sites", "*")
    for origin in (SITE, "http://localhost:3000", "null", "app://x", "https://[2001:db8::1]:8443"):
        allowed(t, good(t, collector.page(view(), origin=origin)), origin, "*")
    t.equal(len(collector.stop()), 5, "events")


def test_same_origin(t):
    """Pages of the collector itself may send; a page of another site whose name resolves to this
    machine is not one of them."""
    collector = Collector(t)
    for name in ("127.0.0.1", "localhost"):
        host = "%s:%d" % (name, collector.port)
        good(t, collector.page(view(), origin="http://" + host, host=host))
    for origin, host in [("http://evil.example:%d" % collector.port, "evil.example:%d" % collector.port),
                         ("http://127.0.0.1:1", "127.0.0.1:%d" % collector.port),
                         (SITE, "127.0.0.1:%d" % collector.port), ("null", "null"),
                         ("http://127.0.0.1:%d" % collector.port, "evil.example")]:
        refused(t, collector.page(view(), origin=origin, host=host), 403, what="answer to " + origin)
    t.equal(len(collector.stop()), 2, "events")


def test_preflight(t):
    asks = (("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", "content-type,content-encoding"))
    collector = Collector(t, "--sites", "shop.example")

    def ask(origin):
        return collector.ask(b"", ("Origin", origin), *asks, method="OPTIONS")
    answer = ask(SITE)
    t.true(answer.status in (200, 204) and answer.body == b"", str(answer))
    allowed(t, answer, SITE, status=answer.status)
    methods = answer.header("Access-Control-Allow-Methods").upper().replace(" ", "").split(",")
    t.true("POST" in methods and set(methods) <= {"POST", "OPTIONS"}, "methods %s" % methods)
    names = answer.header("Access-Control-Allow-Headers").lower().replace(" ", "").split(",")
    t.true({"content-type", "content-encoding"} <= set(names), "headers %s" % names)
    t.true(int(answer.header("Access-Control-Max-Age")) >= 60, str(answer))
    for origin in ("https://evil.example", "null"):
        answer = ask(origin)
        t.equal((answer.status, answer.header("Access-Control-Allow-Origin")), (403, None),
                "answer to " + origin)
    t.equal(collector.stop(), [], "events")


# ---- servers


def server_token(t):
    """The value of --token for the server whose token is `token-of-a-server`."""
    return "a=file:" + t.write("server-token", "token-of-a-server\n")


def test_tokens(t):
    secret, other = "s3cret-of-web-server", "another-of-the-app"
    t.write("web", secret + "\n")
    t.write("app", other)
    collector = Collector(t, "--token", "web=file:web", "--token", "app=file:app", "--sites",
                          "shop.example")
    good(t, collector.ask(keyed(1), ("Authorization", "Bearer " + secret)))
    good(t, collector.ask(keyed(2), ("authorization", "bearer " + other)))
    good(t, collector.page(view()))
    good(t, collector.page(view(), ("Authorization", "Bearer " + secret), origin=SITE))
    for value in (None, "", "Bearer", "Bearer ", "Bearer " + secret[:-1], "Bearer " + secret + "x",
                  "Bearer web=" + secret, "Bearer web", "Basic " + secret, secret,
                  "Bearer " + secret.upper(), "Bearer " + secret + " " + other):
        headers = [("Authorization", value)] if value is not None else []
        answer = refused(t, collector.ask(keyed(0), *headers), 401, what="answer to %s" % value)
        t.true((answer.header("WWW-Authenticate") or "").startswith("Bearer"), str(answer))
        t.true(secret not in str(answer), "the secret is told")
    events = collector.stop()
    t.equal(len(events), 4, "events")
    t.true(secret not in collector.process.err, "the secret is logged")


def test_tokens_by_configuration(t):
    t.write("clickmill.yaml", "collect:\n  sites: shop.example\n  tokens:\n    web: from-the-file-1\n"
            "  max_body: 1k\n")
    collector = Collector(t)
    good(t, collector.ask(keyed(1), ("Authorization", "Bearer from-the-file-1")))
    refused(t, collector.ask(keyed(0)), 401)
    good(t, collector.page(view()))
    refused(t, collector.ask(b" " * 1025, ("Authorization", "Bearer from-the-file-1")), 413)
    t.equal(len(collector.stop()), 2, "events")


def test_servers_without_tokens(t):
    """Only where no other client can connect: on loopback and not behind a proxy."""
    for options, listen in [(PROXIES, "127.0.0.1"), ((), "0.0.0.0")]:
        collector = Collector(t, *options, listen=listen, data="data" + listen)
        answer = refused(t, collector.ask(keyed(0)), 401)
        t.true(answer.header("WWW-Authenticate") is not None, str(answer))
        t.equal(collector.stop(), [], "events")


def test_a_server_says_whose_click_it_was(t):
    own = own_database(t)
    collector = Collector(t, "--geoip", own)
    about = {"ip": "192.0.2.1", "user_agent": FIREFOX}
    good(t, collector.ask([keyed(1, **about), dict(keyed(2, **about), user_id=None),
                           dict(keyed(3, ip="192.0.2.1", user_agent=SAFARI), user_id="")]), 3)
    # Its own agent and address are not a visitor's.
    good(t, collector.ask(keyed(4), ("User-Agent", SAFARI)))
    bad(t, collector.ask(dict(keyed(0), user_id=None), ("User-Agent", SAFARI)), [(1, NO_USER)])
    good(t, collector.ask(keyed(0, ip="192.0.2.1", user_agent=GOOGLEBOT)), 0, 1)
    good(t, collector.ask(keyed(5), ("User-Agent", "curl/8.5.0")))
    good(t, collector.ask(keyed(6, country="Chile", os="Plan 9", **about)))
    events = {one["row_key"]: one for one in collector.stop()}
    names = ("country", "city", "browser", "os")
    t.equal({key: tuple(one[name] for name in names) for key, one in events.items()},
            {"key-1": ("Germany", "Cologne", "Firefox", "Linux"),
             "key-2": ("Germany", "Cologne", "Firefox", "Linux"),
             "key-3": ("Germany", "Cologne", "Mobile Safari", "iOS"),
             "key-4": ("Unknown",) * 4, "key-5": ("Unknown",) * 4,
             "key-6": ("Chile", "Cologne", "Firefox", "Plan 9")}, "events")
    t.equal(events["key-1"]["user_id"], "user-1", "a user with a name")
    visitors = {events["key-2"]["user_id"], events["key-3"]["user_id"]}
    t.true(len(visitors) == 2 and all(visitors), "visitors %s" % visitors)


# ---- addresses


def own_database(t):
    germany = {"country": {"iso_code": "DE", "names": {"en": "Germany"}},
               "city": {"names": {"en": "Cologne"}}}
    return t.write("own.mmdb", mmdb.build({
        "192.0.2.0/25": germany, "198.51.100.0/24": {"country": {"iso_code": "PE"}},
        "2001:db8::/32": {"country": {"iso_code": "CL", "names": {"en": "Chile"}}}}))


CHAINS = [  # X-Forwarded-For, and the country of the visitor
    (["192.0.2.1"], "Germany"), (["198.51.100.1, 192.0.2.1"], "Germany"),
    (["192.0.2.1, 198.51.100.1"], "Peru"), (["192.0.2.1,10.1.2.3"], "Germany"),
    (["198.51.100.1, 192.0.2.1, 10.1.2.3 , 127.0.0.1"], "Germany"),
    (["192.0.2.1, 10.2.0.1"], "Unknown"),
    (["198.51.100.1", "192.0.2.1"], "Germany"), (["192.0.2.1:4711"], "Germany"),
    (["2001:db8::5"], "Chile"), (["[2001:db8::5]:443"], "Chile"), (["[2001:db8::5]"], "Chile"),
    (["2001:DB8:0:0::5"], "Chile"), (["::ffff:192.0.2.1"], "Germany"), (["  192.0.2.1\t"], "Germany"),
    (["192.0.2.1, 2001:db8:ffff::1"], "Germany"),
    (["nonsense"], "Unknown"), (["192.0.2.1, nonsense"], "Unknown"), (["192.0.2.1, unknown"], "Unknown"),
    (["192.0.2.999"], "Unknown"), ([""], "Unknown"), (["192.0.2.1,"], "Germany"), ([], "Unknown"),
    (["10.1.2.3, 127.0.0.1"], "Unknown"),
    (["192.0.2.1, " + "10.1.2.3, " * 300 + "10.1.2.3"], "Germany")]


def test_forwarded_for(t):
    """Read from its end, skipping the server's own proxies."""
    collector = Collector(t, "--proxies", "127.0.0.1,10.1.0.0/16,2001:db8:ffff::/48", "--sites",
                          "shop.example", "--geoip", own_database(t))
    for number, (chain, _) in enumerate(CHAINS):
        good(t, collector.page(view("/%d" % number), *((FORWARDED, value) for value in chain)))
    got = by_path(collector.stop())
    for number, (chain, country) in enumerate(CHAINS):
        t.equal(got["/%d" % number]["country"], country, "country by %s" % chain)


def test_forwarded_for_of_strangers_is_nothing(t):
    """A client that is not a proxy may send any header."""
    collector = Collector(t, "--proxies", "10.1.0.0/16", "--sites", "shop.example", "--geoip",
                          own_database(t))
    good(t, collector.page(view("/a"), (FORWARDED, "192.0.2.1")))
    good(t, collector.page(view("/b"), (FORWARDED, "192.0.2.9")))
    good(t, collector.page(view("/c", ip="192.0.2.1", address="192.0.2.1", user_agent=SAFARI)))
    got = by_path(collector.stop())
    t.equal({one["country"] for one in got.values()}, {"Unknown"}, "countries")
    t.equal(len({one["user_id"] for one in got.values()}), 1, "visitors")
    t.equal(got["/c"]["browser"], "Firefox", "a page's browser")


def test_addresses_leave_no_trace(t):
    """Neither in the log, at any level, nor in a file."""
    texts = ["203.0.113.77", "2001:db8:77::1234"]
    collector = Collector(t, *PROXIES, "--sites", "shop.example", "--log-level", "debug", "--token",
                          server_token(t), "--visitor", "cookie", "--rate-limit", "1")
    for address in texts:
        for _ in range(3):
            good(t, collector.page(view(), (FORWARDED, address)))
        refused(t, collector.page(view(), (FORWARDED, address), origin="https://evil.example"), 403)
        collector.page({"url": 5, "ip": address}, (FORWARDED, address))
        collector.page(b"{" + address.encode(), (FORWARDED, address))
        collector.get("/pixel.gif?url=" + SITE, (FORWARDED, address))
        token = ("Authorization", "Bearer token-of-a-server")
        good(t, collector.ask(event(ip=address, user_agent=FIREFOX), token, (FORWARDED, address)))
        # With cookies there is no key with which the address could be hashed.
        bad(t, collector.ask(event(ip=address, user_agent=FIREFOX, user_id=None), token),
            [(1, "user_id is missing, and visitors are known by a cookie, which no server has")])
        answers = [collector.page(view(), (FORWARDED, address)).status for _ in range(30)]
        t.true(429 in answers, "answers %s" % answers)
        collector.raw(b"POST /none HTTP/1.1\r\nHost: x\r\n%s: %s\r\n\r\n" % (
            FORWARDED.encode(), address.encode()))
    collector.complete = False  # the pixel says nothing about events
    events = collector.stop()
    t.true(len(events) > 8, "only %d events" % len(events))
    kept = {"the log": collector.process.err, "stdout": collector.process.out}
    for parent, _, names in os.walk(t.path("data")):
        for name in names:
            with open(os.path.join(parent, name), "rb") as file:
                kept[name] = file.read().decode("latin-1")
    t.true("clickmill.db" in kept, "no store")
    for where, content in kept.items():
        for address in texts:
            t.true(address not in content, "%s is in %s" % (address, where))


def test_copies_of_a_page_are_the_same(t):
    """A page sends again, from another address, and with a clock that is not trusted."""
    collector = Collector(t, *PROXIES, "--sites", "shop.example")
    sent = event(row_key="one", user_id=..., timestamp=TIME - 10 * 86400000)
    for address in ("203.0.113.1", "203.0.113.2", "203.0.113.3"):
        good(t, collector.page(sent, (FORWARDED, address)))
        time.sleep(0.01)
    good(t, collector.page(dict(sent, row_key="two"), (FORWARDED, "203.0.113.2")))
    collector.process.stop(0)
    got = collector.events()
    t.equal([one["row_key"] for one in got], ["one", "two"], "events, each once")
    t.true(got[0]["user_id"] != got[1]["user_id"], "visitors")


def test_pixel_of_a_stranger(t):
    """A page of another site can send no Referer, and claim to be one of the server's own."""
    collector = Collector(t, "--sites", "shop.example")
    own = "http://127.0.0.1:%d/forged" % collector.port
    for target in ("/pixel.gif?url=" + own, "/pixel.gif?url=https://evil.example/"):
        t.equal(collector.get(target).status, 403, target)
    t.equal(collector.get("/pixel.gif?url=https://shop.example/a").status, 200, "a site")
    answer = collector.ask(b"", ("Referer", "https://shop.example/b"), method="GET",
                           target="/pixel.gif", host="127.0.0.1:%d" % collector.port)
    t.equal(answer.status, 200, "by its Referer")
    collector.complete = False
    t.equal({one["url"] for one in collector.stop()},
            {"https://shop.example/a", "https://shop.example/b"}, "events")


# ---- rates


def test_rate_limit(t):
    """Bursts of ten seconds; each address separately."""
    collector = Collector(t, *PROXIES, "--sites", "shop.example", "--rate-limit", "2")

    def burst(count, address):
        return [collector.page(view(), (FORWARDED, address)) for _ in range(count)]
    begin = time.monotonic()
    answers = burst(60, "203.0.113.1")
    most, states = 21 + 2 * (time.monotonic() - begin), [answer.status for answer in answers]
    t.equal(set(states), {202, 429}, "answers")
    t.equal(set(states[:20]), {202}, "the first 20 answers")
    t.true(states.count(202) <= most, "%d were answered 202" % states.count(202))
    late = next(answer for answer in answers if answer.status == 429)
    t.true(list(late.json) == ["error"] and 1 <= int(late.header("Retry-After")) <= 60, str(late))
    t.equal(late.header("Access-Control-Allow-Origin"), SITE, "the page may read it")
    t.equal({answer.status for answer in burst(20, "203.0.113.2")}, {202}, "another address")
    with t.pace() as pace:
        t.until(lambda: burst(1, "203.0.113.1")[0].status == 202, "it may again")
    pace.check(pace.took, int(late.header("Retry-After")) + 1, "until it may again")
    collector.stop()


def test_rate_limit_spares(t):
    """Senders on loopback that come directly, senders with a token, and all senders with 0."""
    event_of = [request(keyed(number)) for number in range(200)]
    for number, (options, headers) in enumerate([
            (("--rate-limit", "1"), ()),
            ((*PROXIES, "--rate-limit", "1", "--token", server_token(t)),
             ((FORWARDED, "203.0.113.1"), ("Authorization", "Bearer token-of-a-server"))),
            ((*PROXIES, "--rate-limit", "0", "--sites", "*"),
             ((FORWARDED, "203.0.113.1"), ("Origin", SITE), ("User-Agent", FIREFOX)))]):
        collector = Collector(t, *options, data="data%d" % number)
        with collector.connect() as connection:
            connection.send(b"".join(request(keyed(i), *headers) for i in range(len(event_of))))
            for _ in event_of:
                good(t, collector.count(connection.answer()))
        t.equal(len(collector.stop()), len(event_of), "events with %s" % (options,))


# ---- visitors


@on_one_day
def test_daily_visitors(t):
    options = (*PROXIES, "--sites", "*", "--visitor", "daily")
    collector = Collector(t, *options)
    first = "203.0.113.1"
    views = {"/same": (first, FIREFOX, SITE), "/again": (first, FIREFOX, SITE),
             "/agent": (first, SAFARI, SITE), "/address": ("203.0.113.2", FIREFOX, SITE),
             "/six": ("2001:db8::1", FIREFOX, SITE),
             "/host": (first, FIREFOX, "https://other.example")}

    def send(path, address, agent, site):
        good(t, collector.page(view(path, url=site + path), (FORWARDED, address), agent=agent))
    for path, who in views.items():
        send(path, *who)
    good(t, collector.page(view("/named", user_id="customer-7"), (FORWARDED, first)))
    collector.stop()
    collector = Collector(t, *options)
    send("/restart", first, FIREFOX, SITE)
    collector.process.kill()
    collector = Collector(t, *options)
    send("/killed", first, FIREFOX, SITE)
    users = {"/" + one["url"].rsplit("/", 1)[1]: one["user_id"] for one in collector.stop()}
    t.equal(users.pop("/named"), "customer-7", "user with a name")
    same = users["/same"]
    t.equal([users.pop(path) for path in ("/same", "/again", "/restart", "/killed")], [same] * 4, "users")
    t.equal(len({same, *users.values()}), 5, "different users of %s" % users)
    for user in (same, *users.values()):
        t.true(re.fullmatch("[0-9a-f]{32}", user), "user %s" % user)
    # With another key the same visitor has another id.
    collector = Collector(t, *options, data="elsewhere")
    send("/same", first, FIREFOX, SITE)
    t.true(collector.stop()[0]["user_id"] != same, "the key is not random")


def test_address_hash_is_that_of_import(t):
    """A visitor in an access log and on a page is the same one, whichever was first."""
    line = '%s - - [17/May/2015:10:05:03 +0000] "GET /log HTTP/1.1" 200 17 "-" "%s"\n'
    who = [("203.0.113.9", FIREFOX), ("2001:db8::9", SAFARI), ("203.0.113.10", FIREFOX)]

    def by_log(data):
        t.clickmill("import", "--data", data, "--format", "combined", "-",
                    stdin="".join(line % one for one in who))

    for data in ("log-first", "page-first"):
        if data == "log-first":
            by_log(data)
        collector = Collector(t, *PROXIES, "--sites", "*", "--visitor", "address-hash", data=data)
        for address, agent in who:
            good(t, collector.page(view("/page"), (FORWARDED, address), agent=agent))
        collector.stop()
        if data == "page-first":
            by_log(data)
        users = {}
        for one in collector.events():
            users.setdefault(one["url"].removeprefix(SITE), set()).add(one["user_id"])
        t.equal(len(users["/log"]), 3, "visitors of the log")
        t.equal(users["/page"], users["/log"], "visitors of page and log, " + data)


def cookie_of(t, answer, secure=False):
    """The cookie's value, after a check of its attributes."""
    first, *rest = [part.strip() for part in answer.header("Set-Cookie").split(";")]
    name, value = first.split("=", 1)
    given = {key.lower(): entry for key, _, entry in (part.partition("=") for part in rest)}
    t.equal(name, "clickmill_visitor", "name of the cookie")
    age = int(given.pop("max-age"))
    t.true(390 * 86400 <= age <= 400 * 86400, "13 months are not %d s" % age)
    given.pop("expires", None)
    wanted = {"path": "/", "httponly": "", "samesite": "None" if secure else "Lax"}
    t.equal(given, dict(wanted, secure="") if secure else wanted, "attributes of the cookie")
    t.true(re.fullmatch("[0-9A-Za-z_-]{16,64}", value), "value %s" % value)
    return value


def test_cookies(t):
    collector = Collector(t, *PROXIES, "--sites", "shop.example", "--visitor", "cookie", "--token",
                          server_token(t))

    def send(path, *cookies, agent=FIREFOX, address="203.0.113.1"):
        return good(t, collector.page(view(path), *(("Cookie", cookie) for cookie in cookies),
                                      (FORWARDED, address), agent=agent))
    answer = send("/first")
    one = cookie_of(t, answer)
    t.equal(answer.header("Access-Control-Allow-Origin"), SITE, "origin")
    t.equal(answer.header("Access-Control-Allow-Credentials"), "true", "cookies are let through")
    other = cookie_of(t, send("/second"))
    t.true(one != other, "two visitors have one cookie")
    again = send("/again", "clickmill_visitor=" + one, agent=SAFARI, address="203.0.113.2")
    if again.header("Set-Cookie") is not None:
        t.equal(cookie_of(t, again), one, "the cookie that was sent")
    send("/among", "a=b; clickmill_visitor=%s; c=d" % one)
    odd = {}
    for number, value in enumerate(("", "x" * 300, "../../a", "a b", "\xff\xfe", one + "x" * 60)):
        odd["/odd%d" % number] = cookie_of(t, send("/odd%d" % number, "clickmill_visitor=" + value))
    good(t, collector.page(view("/named", user_id="customer-7"),
                           ("Cookie", "clickmill_visitor=" + one)))
    server = good(t, collector.ask(keyed(1), ("Authorization", "Bearer token-of-a-server")))
    t.equal(server.header("Set-Cookie"), None, "a cookie for a server")
    preflight = collector.ask(b"", ("Origin", SITE), ("Access-Control-Request-Method", "POST"),
                              method="OPTIONS")
    t.equal(preflight.header("Access-Control-Allow-Credentials"), "true", "preflight")
    users = {path: entry["user_id"] for path, entry in by_path(collector.stop()).items()}
    wanted = dict({"/first": one, "/again": one, "/among": one, "/second": other,
                   "/named": "customer-7", "/a": "user-1"}, **odd)
    t.equal(users, wanted, "users")
    t.equal(len(set(odd.values()) | {one, other}), len(odd) + 2, "visitors")


def test_cookies_over_tls(t):
    cert, key = certificate(t)
    collector = Collector(t, "--tls-cert", cert, "--tls-key", key, "--sites", "shop.example",
                          "--visitor", "cookie", tls=True)
    value = cookie_of(t, good(t, collector.page(view())), secure=True)
    t.equal(collector.stop()[0]["user_id"], value, "user")


def test_no_cookies_unless_wanted(t):
    for number, visitor in enumerate(("daily", "address-hash")):
        collector = Collector(t, "--sites", "shop.example", "--visitor", visitor, data="data%d" % number)
        t.equal(good(t, collector.page(view())).header("Set-Cookie"), None, "cookie with " + visitor)
        collector.stop()


# ---- completed page views


def test_page_views(t):
    """All fields that the browser does not send."""
    collector = Collector(t, *PROXIES, "--sites", "shop.example", "--geoip", own_database(t))
    started = int(time.time() * 1000)
    good(t, collector.page(view("/a?utm_source=x&size=42&gclid=1#top", row_key="id-1"),
                           (FORWARDED, "192.0.2.1"), kind=("Content-Type", "text/plain")))
    good(t, collector.page([view("/b", row_key="id-2", country="Atlantis", city="Ys"),
                            view("/b", row_key="id-4")], (FORWARDED, "192.0.2.1"), agent=SAFARI), 2)
    good(t, collector.page(view("/c", row_key="id-3"), (FORWARDED, "198.51.100.7"), agent="x"))
    events = {one["row_key"]: one for one in collector.stop()}
    names = ("url", "country", "city", "browser", "os", "device")
    t.equal({key: tuple(one[name] for name in names) for key, one in events.items()}, {
        "id-1": (SITE + "/a?size=42", "Germany", "Cologne", "Firefox", "Linux", "Other"),
        "id-2": (SITE + "/b", "Atlantis", "Ys", "Mobile Safari", "iOS", "iPhone"),
        "id-4": (SITE + "/b", "Germany", "Cologne", "Mobile Safari", "iOS", "iPhone"),
        "id-3": (SITE + "/c", "Peru", "Unknown", "Other", "Other", "Other")}, "events")
    for one in events.values():
        t.true(started <= one["timestamp"] <= started + 20000, "timestamp %d" % one["timestamp"])


def test_bots(t):
    for number, (options, kept) in enumerate([((), 0), (("--bots", "keep"), 1),
                                              (("--bots", "drop"), 0)]):
        collector = Collector(t, "--sites", "shop.example", *options, data="data%d" % number)
        for agent in (GOOGLEBOT, "curl/8.5.0"):
            good(t, collector.page(view(), agent=agent), kept, 1 - kept)
        good(t, collector.page([view("/1"), view("/2")], agent=GOOGLEBOT), 2 * kept, 2 - 2 * kept)
        good(t, collector.page(view("/3")))
        bad(t, collector.page([view("/4"), {"url": 5}], agent=GOOGLEBOT), [(2, "url is not a string")],
            kept, 1 - kept)
        events = collector.stop()
        t.equal(len(events), 5 * kept + 1, "events with %s" % (options,))
        t.equal(collector.account.get("bots_by_kind"),
                None if kept else {"http-library": 1, "search-engine": 4}, "kinds")
        t.equal(sorted(event["props"]["bot"] for event in events if "props" in event),
                kept * (["Googlebot"] * 4 + ["curl"]), "bots that are kept")


def test_urls(t):
    url = "/a?utm_source=x&b=2&gclid=3#top"
    for number, (options, wanted) in enumerate([
            ((), "/a?b=2"), (("--url-query", "drop"), "/a"), (("--no-clean-urls",), url)]):
        collector = Collector(t, "--sites", "shop.example", *options, data="data%d" % number)
        good(t, collector.page(view(url)))
        good(t, collector.ask(keyed(1, url=SITE + url)))
        t.equal([one["url"] for one in collector.stop()], [SITE + wanted] * 2, "URLs with %s" % (options,))


def test_clocks_of_pages(t):
    """A clock more than 5 minutes ahead or a day behind is not trusted."""
    minute, day = 60000, 86400000
    believed = {"/behind": -day + minute, "/hours": -3 * 3600000, "/ahead": 5 * minute - 2000}
    doubted = {"/long ago": -day - minute, "/future": 5 * minute + 5000, "/1970": -TIME, "/far": day}
    collector, now = Collector(t, "--sites", "shop.example"), int(time.time() * 1000)
    for path, offset in {**believed, **doubted}.items():
        stamp = max(now + offset, 1000)
        good(t, collector.page(view(path.replace(" ", "-"), timestamp=stamp, user_id="bob")))
    for path in ("/none", "/none-again"):
        good(t, collector.page({"url": SITE + path, "user_id": "bob"}))
    good(t, collector.page(view("/text", timestamp=time.strftime(
        "%Y-%m-%dT%H:%M:%SZ", time.gmtime(now / 1000)))))
    bad(t, collector.page(view(timestamp="soon")), [
        (1, 'timestamp "soon" is neither an integer of milliseconds nor RFC 3339')])
    later, got = int(time.time() * 1000), by_path(collector.stop())
    for path, offset in believed.items():
        t.equal(got.pop(path)["timestamp"], now + offset, "time of " + path)
    t.equal(got.pop("/text")["timestamp"], now // 1000 * 1000, "time as a text")
    t.equal(len(got), len(doubted) + 2, "the others")
    for path, one in got.items():
        t.true(now <= one["timestamp"] <= later, "%s has the time %d" % (path, one["timestamp"] - now))


def test_a_body_moves_as_a_whole(t):
    """A clock that is wrong keeps the order and the gaps of its events; sent again they are the same."""
    minute, now = 60000, int(time.time() * 1000)
    collector = Collector(t, "--sites", "shop.example")

    def body(name, *offsets, **more):
        return [view("/%s-%d" % (name, number), row_key="%s-%d" % (name, number),
                     timestamp=now + offset, user_id=name, **more)
                for number, offset in enumerate(offsets)]
    bodies = [body("fast", 58 * minute, 59 * minute, 60 * minute),
              body("slow", -2881 * minute, -2880 * minute),
              body("set", 58 * minute, 60 * minute, -minute, 0),
              body("right", -minute, 0)]
    for entries in bodies + bodies[:1]:
        good(t, collector.page(entries), len(entries))
    good(t, collector.page("".join(json.dumps(entry) + "\n" for entry in body("lines", 59 * minute,
                                                                             60 * minute))), 2)
    collector.complete = False
    got = by_path(collector.stop())

    def times(name):
        return [got["/%s-%d" % (name, number)]["timestamp"] for number in range(9)
                if "/%s-%d" % (name, number) in got]
    for name, gaps in (("fast", [minute, minute]), ("slow", [minute]), ("lines", [minute]),
                       ("set", [2 * minute, 1, minute]), ("right", [minute])):
        found = times(name)
        t.equal([later - one for one, later in zip(found, found[1:])], gaps, "gaps of " + name)
        t.true(0 <= found[-1] - now < 30000, "%s ends %d ms late" % (name, found[-1] - now))
    t.equal(times("right"), [now - minute, now], "times of a clock that is right")


def test_long_names_of_pages(t):
    """They are cut, so that the page view is not lost; a server gets an error."""
    collector = Collector(t, "--sites", "shop.example", check=False)
    for number, name in enumerate(("я" * 200, "x" * 255 + "😀", "x" * 256, "😀" * 65)):
        good(t, collector.page(view("/%d" % number, user_id=name)))
    bad(t, collector.ask(keyed(1, user_id="x" * 257)),
        [(1, "user_id is 257 bytes long, the limit is 256")])
    got = by_path(collector.stop())
    t.equal([got["/%d" % number]["user_id"] for number in range(4)],
            ["я" * 128, "x" * 255, "x" * 256, "😀" * 64], "names")


def test_sites_in_other_letters(t):
    collector = Collector(t, "--sites", "MÜNCHEN.de.")
    ours = "https://xn--mnchen-3ya.de"
    good(t, collector.page({"url": ours + "/a"}, origin=ours))
    good(t, collector.page({"url": "https://münchen.de/b"}, origin=ours))
    refused(t, collector.page({"url": ours + "/c"}, origin="https://munchen.de"), 403)
    t.equal(len(collector.stop()), 2, "events")


# ---- the image


def is_pixel(t, answer):
    t.equal((answer.status, answer.header("Content-Type")), (200, "image/gif"), "pixel %s" % answer)
    t.true("no-store" in answer.header("Cache-Control"), "pixel %s" % answer)
    body = answer.body
    t.equal((body[:10], body[-1:]), (b"GIF89a\1\0\1\0", b";"), "a GIF of one pixel")
    t.equal(body[body.index(b"\x2c"):][:10], b"\x2c\0\0\0\0\1\0\1\0\0", "its only image")
    t.true(len(body) <= 43 and body[13 + 6 * (body[10] >> 7)] == 0x21, "it is transparent")
    t.equal(answer.header("Cross-Origin-Resource-Policy") in (None, "cross-origin"), True,
            "other sites may show it")
    return answer


def test_pixel(t):
    collector = Collector(t, *PROXIES, "--sites", "shop.example", "--geoip", own_database(t),
                          check=False)

    def ask(query="", *headers, agent=FIREFOX):
        return is_pixel(t, collector.get("/pixel.gif" + query, ("User-Agent", agent),
                                         (FORWARDED, "192.0.2.1"), *headers))
    bodies = {ask("", ("Referer", SITE + "/referer?utm_source=x")).body,
              ask("?url=https%3A%2F%2Fshop.example%2Fparameter%3Fa%3Db%2526",
                  ("Referer", SITE + "/b")).body,
              ask("?x=1&url=https://shop.example/plain").body,
              ask("", ("Referer", SITE + "/dnt"), ("DNT", "1")).body,
              ask("", ("Referer", SITE + "/gpc"), ("Sec-GPC", "1")).body,
              ask("", ("Referer", SITE + "/dnt0"), ("DNT", "0"), ("Sec-GPC", "0")).body,
              ask("", ("Referer", SITE + "/bot"), agent=GOOGLEBOT).body, ask("", ("DNT", "1")).body,
              ask("", ("Referer", SITE + "/again")).body}
    t.equal(len(bodies), 1, "images")
    answer = collector.get("/pixel.gif", ("Referer", SITE + "/head"), ("User-Agent", FIREFOX),
                           method="HEAD")
    t.equal(answer.status, 200, "HEAD")
    refused(t, collector.get("/pixel.gif", ("User-Agent", FIREFOX)), 400, "Referer", "url")
    for target in ("/pixel.gif", "/pixel.gif?url=https://evil.example/parameter",
                   "/pixel.gif?url=%FF%FE", "/pixel.gif?url="):
        answer = collector.get(target, ("Referer", "https://evil.example/page"), ("User-Agent", FIREFOX))
        t.true(answer.status in (200, 400, 403), "an image of a stranger %s" % answer)
    now, got = int(time.time() * 1000), by_path(collector.stop())
    t.equal(sorted(got), ["/again", "/dnt0", "/parameter?a=b%26", "/plain", "/referer"], "pages")
    t.equal(len({one["user_id"] for one in got.values()}), 1, "visitors")
    for one in got.values():
        t.equal((one["country"], one["browser"]), ("Germany", "Firefox"), "of the visitor")
        t.true(abs(now - one["timestamp"]) < 20000, "timestamp %d" % one["timestamp"])


def test_pixel_of_an_event(t):
    """Name and props of the address; what breaks a rule is refused with its reason."""
    collector = Collector(t, "--sites", "shop.example", check=False)

    def ask(query):
        return collector.get("/pixel.gif?" + query, ("User-Agent", FIREFOX), ("Referer", SITE + "/a"))
    is_pixel(t, ask("name=opened&props.list=news%20letter&props.value=12.50&props.a=1&props.a=2"
                    "&props.none=&props=x&propsx.b=1&name2=y&user_id=u1"))
    is_pixel(t, ask("name=&props.n=%C3%A4%22"))
    is_pixel(t, ask("name=pageview"))
    is_pixel(t, ask("&".join("props.k%02d=%d" % (i, i) for i in range(32)) + "&props.empty=&name=most"))
    for query, wanted in (
            ("name=" + "x" * 65, "name"), ("name=%FF", "name"), ("name=engagement", "engaged_ms"),
            ("props.=1", "props"), ("props.a=" + "x" * 257, "props"), ("props.a=%FF", "props"),
            ("props." + "k" * 65 + "=1", "props"),
            ("&".join("props.k%d=1" % i for i in range(33)), "props")):
        answer = ask(query)
        t.equal(answer.status, 400, query[:80])
        t.true(wanted in answer.json["errors"][0]["reason"], str(answer.json))
    stored = collector.stop()
    t.equal({(one.get("name"), json.dumps(one.get("props"), ensure_ascii=False)) for one in stored},
            {("opened", '{"a": "2", "list": "news letter", "value": "12.50"}'),
             (None, '{"n": "ä\\""}'), (None, "null"),
             ("most", json.dumps({"k%02d" % i: str(i) for i in range(32)}))}, "events")
    t.equal([one["user_id"] for one in stored if one.get("name") == "opened"], ["u1"], "user")


def test_pixel_with_cookies(t):
    collector = Collector(t, "--sites", "shop.example", "--visitor", "cookie", check=False)

    def ask(*headers):
        return is_pixel(t, collector.get("/pixel.gif", ("User-Agent", FIREFOX), *headers))
    value = cookie_of(t, ask(("Referer", SITE + "/a")))
    ask(("Referer", SITE + "/b"), ("Cookie", "clickmill_visitor=" + value))
    silent = ask(("Referer", SITE + "/c"), ("DNT", "1"))
    t.equal(silent.header("Set-Cookie"), None, "a cookie for who does not want to be tracked")
    users = {path: one["user_id"] for path, one in by_path(collector.stop()).items()}
    t.equal(users, {"/a": value, "/b": value}, "users")


# ---- databases


@patient
def test_the_database_changes(t):
    """A new GeoIP file counts without a restart."""
    own_database(t)
    collector = Collector(t, *PROXIES, "--sites", "shop.example", "--geoip", t.path("own.mmdb"))

    def country(number):
        good(t, collector.page(view("/%d" % number), (FORWARDED, "192.0.2.1")))
        return by_path(collector.events())["/%d" % number]["country"]
    t.equal(country(0), "Germany", "country")
    t.write("new.mmdb", mmdb.build({"192.0.2.0/24": {"country": {"iso_code": "PE"}}}))
    os.replace(t.path("new.mmdb"), t.path("own.mmdb"))
    numbers = iter(range(1, 1000))
    t.until(lambda: country(next(numbers)) == "Peru", "the new file counts", process=collector.process)
    collector.stop()


def test_no_database(t):
    failed = t.clickmill("collect", "--listen", "127.0.0.1:0", "--geoip", "none.mmdb", check=INPUT,
                         timeout=20)
    t.says(failed, "none.mmdb")
