"""Applies the rules of uap-core one after the other, as its specification says, with Python's re: the
reference for `clickmill enrich agent`. Slow but correct."""

import json
import os
import re

import sys

try:
    import yaml
except ImportError:  # another Python earlier in PATH than Debian's, which has the module
    sys.path.append("/usr/lib/python3/dist-packages")
    import yaml

from harness import ROOT

MODULES = os.path.join(ROOT, "build", "web", "node_modules")
RULES = os.path.join(MODULES, "uap-core", "regexes.yaml")
CRAWLERS = os.path.join(MODULES, "crawler-user-agents", "crawler-user-agents.json")
BOTS = os.path.join(ROOT, "src", "enrich", "bots.txt")
NARROWER = os.path.join(ROOT, "src", "enrich", "crawlers.txt")


def load(path):
    with open(path, encoding="utf-8") as file:
        return yaml.load(file, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def rows(path):
    with open(path, encoding="ascii") as file:
        lines = [line.strip() for line in file]
    return [line for line in lines if line and not line.startswith("#")]


def own_rules():
    """The kind, expression and example of each of our own rules."""
    found, kind = [], None
    for line in rows(BOTS):
        if line.startswith("["):
            kind = line.strip("[]")
            continue
        rule, example = line.split(" | ", 1)
        pattern = (rule[1:-1] if rule[0] == rule[-1] == "/" else
                   ("^" if rule[0] == "^" else "") + re.escape(rule.removeprefix("^")))
        found.append((kind, re.compile(pattern, re.I | re.A), example))
    return found


def crawlers():
    """The entries of crawler-user-agents: pattern, instances and more."""
    with open(CRAWLERS, encoding="utf-8") as file:
        return json.load(file)


def kind_of(entry):
    """The kind of an entry of crawler-user-agents: of several the first, or ai-crawler."""
    return "ai-crawler" if "ai-crawler" in entry["tags"] else entry["tags"][0]


class Bots:
    """The kind of the bot that sends a user agent."""

    def __init__(self):
        narrower = dict(line.split(" => ", 1) for line in rows(NARROWER))
        entries = crawlers()
        self.examples = [entry["instances"] for entry in entries]
        self.known = [(kind_of(entry), re.compile(narrower.get(entry["pattern"], entry["pattern"])))
                      for entry in entries]
        self.listed = len(self.known)
        own = [(kind, pattern) for kind, pattern, _ in own_rules()]
        self.known += [rule for rule in own if rule[0] != "other"]
        self.words = [pattern for kind, pattern in own if kind == "other"]
        self.ranks = {}

    def rank(self, number):
        """Tools come last, of the others the list first, and what matches fewer of its entries."""
        if number not in self.ranks:
            kind, pattern = self.known[number]
            self.ranks[number] = (kind in ("http-library", "browser-automation"),
                                  number >= self.listed,
                                  sum(any(map(pattern.search, texts)) for texts in self.examples),
                                  number)
        return self.ranks[number]

    def kind(self, agent, is_spider):
        found = [number for number, (_, pattern) in enumerate(self.known) if pattern.search(agent)]
        if found:
            return self.known[min(found, key=self.rank) if len(found) > 1 else found[0]][0]
        if is_spider or any(pattern.search(agent) for pattern in self.words):
            return "other"
        return None


def group(match, number):
    return match[number] or None if number <= match.re.groups else None


def replace(text, match):
    return re.sub(r"\$(\d)", lambda found: group(match, int(found[1])) or "", text).strip() or None


def version(parts):
    """The parts of a version in one string, as toVersionString() of the implementation in JavaScript
    joins them; None when there is no major version."""
    text = ""
    for number, part in enumerate(parts):
        if not part:
            break
        text += ("." if number == 1 or number > 1 and part[0] in "0123456789" else "") + part
    return text or None


class Rules:
    def __init__(self):
        given = load(RULES)
        self.kinds = [[(re.compile(rule["regex"], re.I if rule.get("regex_flag") == "i" else 0), rule)
                       for rule in given[key]]
                      for key in ("user_agent_parsers", "os_parsers", "device_parsers")]
        self.bots = Bots()
        self.known = {}

    def first(self, kind, agent):
        for pattern, rule in self.kinds[kind]:
            match = pattern.search(agent)
            if match:
                return match, rule
        return None, None

    def browser(self, agent):
        match, rule = self.first(0, agent)
        if match is None:
            return {"family": "Other", "major": None, "minor": None, "patch": None, "version": None}
        family = rule.get("family_replacement")
        family = family.replace("$1", match[1]) if family and "$1" in family else family or match[1]
        parts = {"family": family}
        for number, name in enumerate(("major", "minor", "patch")):
            given = rule.get("v%d_replacement" % (number + 1))
            parts[name] = given or group(match, number + 2)
        return dict(parts, version=version(list(parts.values())[1:]))

    def os(self, agent):
        match, rule = self.first(1, agent)
        names = ("family", "major", "minor", "patch", "patch_minor")
        if match is None:
            return dict(dict.fromkeys(names), family="Other", version=None)
        keys = ("os_replacement", "os_v1_replacement", "os_v2_replacement", "os_v3_replacement",
                "os_v4_replacement")
        parts = {name: replace(rule.get(key) or "$%d" % (number + 1), match)
                 for number, (name, key) in enumerate(zip(names, keys))}
        return dict(parts, version=version(list(parts.values())[1:]))

    def device(self, agent):
        match, rule = self.first(2, agent)
        if match is None:
            return {"family": "Other", "brand": None, "model": None}
        return {"family": replace(rule.get("device_replacement") or "$1", match),
                "brand": replace(rule.get("brand_replacement") or "", match),
                "model": replace(rule.get("model_replacement") or "$1", match)}

    def parse(self, agent):
        """The object that `clickmill enrich agent` prints, without the name of a bot."""
        if agent not in self.known:
            device = self.device(agent)
            kind = self.bots.kind(agent, device["family"] == "Spider")
            self.known[agent] = {
                "browser": self.browser(agent), "os": self.os(agent), "device": device,
                "bot": kind is not None, "bot_kind": kind}
        return self.known[agent]
