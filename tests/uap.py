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


def rows(path, between):
    """The lines of one of our lists, each split in two."""
    with open(path, encoding="ascii") as file:
        lines = [line.strip() for line in file]
    return [line.split(between, 1) for line in lines if line and not line.startswith("#")]


def crawlers():
    """The entries of crawler-user-agents: pattern, instances and more."""
    with open(CRAWLERS, encoding="utf-8") as file:
        return json.load(file)


def bot_patterns():
    own = []
    for rule, _ in rows(BOTS, " | "):
        if rule[0] == rule[-1] == "/":
            own.append(rule[1:-1])
        else:
            own.append(("^" if rule[0] == "^" else "") + re.escape(rule.removeprefix("^")))
    narrower = dict(rows(NARROWER, " => "))
    listed = [narrower.get(entry["pattern"], entry["pattern"]) for entry in crawlers()]
    return ([re.compile(pattern, re.I) for pattern in own]
            + [re.compile(pattern) for pattern in listed])


def group(match, number):
    return match[number] or None if number <= match.re.groups else None


def replace(text, match):
    return re.sub(r"\$(\d)", lambda found: group(match, int(found[1])) or "", text).strip() or None


class Rules:
    def __init__(self):
        given = load(RULES)
        self.kinds = [[(re.compile(rule["regex"], re.I if rule.get("regex_flag") == "i" else 0), rule)
                       for rule in given[key]]
                      for key in ("user_agent_parsers", "os_parsers", "device_parsers")]
        self.bots = bot_patterns()
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
            return {"family": "Other", "major": None, "minor": None, "patch": None}
        family = rule.get("family_replacement")
        family = family.replace("$1", match[1]) if family and "$1" in family else family or match[1]
        parts = {"family": family}
        for number, name in enumerate(("major", "minor", "patch")):
            given = rule.get("v%d_replacement" % (number + 1))
            parts[name] = given or group(match, number + 2)
        return parts

    def os(self, agent):
        match, rule = self.first(1, agent)
        names = ("family", "major", "minor", "patch", "patch_minor")
        if match is None:
            return dict(dict.fromkeys(names), family="Other")
        keys = ("os_replacement", "os_v1_replacement", "os_v2_replacement", "os_v3_replacement",
                "os_v4_replacement")
        return {name: replace(rule.get(key) or "$%d" % (number + 1), match)
                for number, (name, key) in enumerate(zip(names, keys))}

    def device(self, agent):
        match, rule = self.first(2, agent)
        if match is None:
            return {"family": "Other", "brand": None, "model": None}
        return {"family": replace(rule.get("device_replacement") or "$1", match),
                "brand": replace(rule.get("brand_replacement") or "", match),
                "model": replace(rule.get("model_replacement") or "$1", match)}

    def is_bot(self, agent):
        return any(pattern.search(agent) for pattern in self.bots)

    def parse(self, agent):
        """The object that `clickmill enrich agent` prints."""
        if agent not in self.known:
            device = self.device(agent)
            self.known[agent] = {
                "browser": self.browser(agent), "os": self.os(agent), "device": device,
                "bot": self.is_bot(agent) or device["family"] == "Spider"}
        return self.known[agent]
