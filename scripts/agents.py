#!/usr/bin/env python3
"""Writes a C file with the rules of uap-core and the rules that recognise bots, for
src/enrich/ua_rules.h.

usage: agents.py OUTPUT REGEXES_YAML CRAWLERS_JSON BOTS_TXT CRAWLERS_TXT

Bots are recognised by the patterns of crawler-user-agents (CRAWLERS_JSON), some of them narrowed by
CRAWLERS_TXT, and by our own rules (BOTS_TXT). This program fails when a rule does not match its
examples: each of our rules has an example, and a narrowed pattern must still match its instances.
The first rule that matches gives a bot its name and kind, so the rules are sorted: a rule that also
matches examples of others comes after them.

Trying thousands of regular expressions on each user agent is slow. So for each of them this program
finds up to three *clauses*: sets of literal strings, of which at least one must occur in every match
of the expression. One automaton (Aho and Corasick, 1975) finds all literals of all clauses in one
pass over the user agent. An expression is tried when all its clauses hold. Literals are in lower
case, like the user agent that is searched. The rule of a bot has one clause. The same input gives
the same bytes.
"""

import bisect
import collections
import itertools
import json
import re
import sys

import yaml

try:
    from re import _constants as op
    from re import _parser as parser
except ImportError:  # before Python 3.11
    import sre_constants as op
    import sre_parse as parser

CLAUSES = 3  # of a rule; more clauses save no time
CROSS = 24  # alternatives that a run of characters may have
UNION = 400  # alternatives that a clause may have
CLASS = 12  # members of a character class that are distinguished
BOT_LITERAL = 10  # characters of a bot's literal: enough to be selective, and the automaton stays small
# Kinds that say how a bot fetches, not who sends it: other kinds are preferred.
TOOLS = ["http-library", "browser-automation"]
WORDS = "other"  # the kind of rules that match usual words for programs

KINDS = [
    ("user_agent_parsers", ["family", "v1", "v2", "v3"]),
    ("os_parsers", ["os", "os_v1", "os_v2", "os_v3", "os_v4"]),
    ("device_parsers", ["device", "brand", "model"]),
]

# As cm_ua_rule_t of src/enrich/ua_rules.h; `clauses` are sets of literals.
Rule = collections.namedtuple("Rule", ["pattern", "caseless", "parts", "clauses", "kind"])


# ---- literals that must occur in a match


def score(texts):
    """How well a clause distinguishes agents: long literals are good, and few of them."""
    return (min(min(map(len, texts)), 8) * 10 - min(len(texts), 60) / 4
            + sum(map(len, texts)) / len(texts))


def cross(first, second):
    if len(first) * len(second) > CROSS:
        return None
    return {a + b for a in first for b in second}


def shortest(heads):
    """Drops those that begin with another."""
    return {a for a in heads if not any(b != a and a.startswith(b) for b in heads)}


class Strings:
    """What is known of the strings that an expression matches: `exact`, all of them, or None when
    they are too many; `heads`, of which each begins with one; and clauses."""

    def __init__(self, exact, heads=None, clauses=()):
        self.exact = exact
        self.heads = exact if heads is None else shortest(heads)
        self.clauses = list(clauses)

    def all_clauses(self):
        """The clauses and the exact strings or heads as one more."""
        return self.clauses + ([self.heads] if "" not in self.heads else [])


def of_sequence(sequence):
    run, heads, clauses = {""}, None, []
    for kind, argument in sequence:
        part = of_one(kind, argument)
        clauses += part.clauses
        longer = cross(run, part.exact) if part.exact is not None else None
        if longer is not None:
            run = longer
            continue
        clauses.append(cross(run, part.heads) or run)
        if heads is None:
            heads = clauses[-1]
        run = part.exact if part.exact is not None else {""}
    if heads is None:
        return Strings(run, run, clauses)
    return Strings(None, heads, [clause for clause in clauses + [run] if "" not in clause])


def of_branches(branches):
    parts = [of_sequence(branch) for branch in branches]
    heads = set().union(*(part.heads for part in parts))
    if all(part.exact is not None for part in parts):
        exact = set().union(*(part.exact for part in parts))
        if len(exact) <= UNION:
            return Strings(exact)
    choices = [sorted(part.all_clauses(), key=score, reverse=True) for part in parts]
    if not all(choices):
        return Strings(None, heads)
    # Any choice of one clause from each branch is a clause.
    clauses = [set().union(*(choice[min(rank, len(choice) - 1)] for choice in choices))
               for rank in range(CLAUSES)]
    return Strings(None, heads, [clause for clause in clauses if len(clause) <= UNION])


def of_class(members):
    texts = set()
    for kind, argument in members:
        if kind is op.LITERAL:
            texts.add(chr(argument).lower())
        elif kind is op.RANGE and argument[1] - argument[0] < CLASS:
            texts |= {chr(code).lower() for code in range(argument[0], argument[1] + 1)}
        elif kind is op.CATEGORY and argument is op.CATEGORY_DIGIT:
            texts |= set("0123456789")
        else:
            return Strings(None, {""})
    return Strings(texts) if len(texts) <= CLASS else Strings(None, {""})


def of_repeat(low, high, inner):
    part = of_sequence(inner)
    if low == 0:
        return Strings(part.exact | {""} if high == 1 and part.exact is not None else None, {""})
    if part.exact is None:
        return Strings(None, part.heads, part.clauses)
    texts = part.exact
    for _ in range(low - 1):
        longer = cross(texts, part.exact)
        if longer is None:
            return Strings(None, texts, part.clauses + [texts])
        texts = longer
    return Strings(texts if low == high else None, texts, part.clauses + [texts])


def of_one(kind, argument):
    if kind is op.LITERAL:
        return Strings({chr(argument).lower()})
    if kind is op.AT or kind is op.ASSERT_NOT:
        return Strings({""})
    if kind is op.ASSERT:
        return Strings({""}, {""}, of_sequence(argument[1]).all_clauses())
    if kind is op.SUBPATTERN:
        return of_sequence(argument[3])
    if kind is op.BRANCH:
        return of_branches(argument[1])
    if kind is op.IN:
        return of_class(argument)
    if kind is op.MAX_REPEAT or kind is op.MIN_REPEAT:
        return of_repeat(*argument)
    return Strings(None, {""})


def without_longer(texts):
    """Drops literals that contain another literal of the clause: they add nothing."""
    return frozenset(a for a in texts if not any(b != a and b in a for b in texts))


def clauses_of(pattern):
    wanted = {without_longer(clause) for clause in of_sequence(parser.parse(pattern)).all_clauses()}
    wanted = [clause for clause in wanted if min(map(len, clause)) >= 2]
    wanted = [clause for clause in wanted if all(text.isascii() for text in clause)]
    return sorted(wanted, key=lambda clause: (-score(clause), sorted(clause)))[:CLAUSES]


# ---- the automaton


def lowest_zero(bits):
    """The position of the lowest bit that is not set."""
    return (~bits & (bits + 1)).bit_length() - 1


class Automaton:
    """States are numbered in the order of a breadth-first walk; 0 is the root.

    The transitions lie in one array, `slots`: that of state s by character class c is
    slots[base[s] + c], if its owner is s; otherwise the failure state of s is used.
    """

    def __init__(self, literals):
        children, ends = [{}], [[]]
        for number, text in enumerate(literals):
            state = 0
            for character in text:
                if character not in children[state]:
                    children[state][character] = len(children)
                    children.append({})
                    ends.append([])
                state = children[state][character]
            ends[state].append(number)
        alphabet = sorted({character for text in literals for character in text})
        self.classes = {character: number + 1 for number, character in enumerate(alphabet)}
        self.walk(children, ends)
        self.pack()

    def walk(self, children, ends):
        order, number = [0], {0: 0}
        for old in order:
            for character in sorted(children[old]):
                number[children[old][character]] = len(order)
                order.append(children[old][character])
        self.next = [{self.classes[character]: number[child]
                      for character, child in children[old].items()} for old in order]
        self.fail, self.found = [0] * len(order), [list(ends[old]) for old in order]
        for state in range(len(order)):  # a failure state is nearer to the root: it is complete
            for character, child in self.next[state].items():
                if state != 0:
                    self.fail[child] = self.step(self.fail[state], character)
                self.found[child] += self.found[self.fail[child]]

    def step(self, state, character):
        while character not in self.next[state] and state != 0:
            state = self.fail[state]
        return self.next[state].get(character, 0)

    def pack(self):
        size = len(self.classes) + 1
        self.base = [0] * len(self.next)
        self.slots = [(0, self.next[0].get(character, 0)) for character in range(size)]
        owners = {}
        taken, first = (1 << size) - 1, size  # a bit for each used slot; the first free one
        for state in sorted(range(1, len(self.next)), key=lambda s: (-len(self.next[s]), s)):
            wanted = self.next[state]
            if not wanted:
                continue
            at, blocked = max(first - min(wanted), 0), 0
            for character in wanted:  # a bit for each position where this character has no free slot
                blocked |= taken >> (at + character)
            at += lowest_zero(blocked)
            for character, child in wanted.items():
                owners[at + character] = (state, child)
                taken |= 1 << (at + character)
            self.base[state] = at
            first += lowest_zero(taken >> first)
        end = max(self.base) + size
        self.slots += [owners.get(at, (0xFFFF, 0)) for at in range(size, end)]


# ---- writing


def quoted(text):
    """A C string literal; '?' and everything unusual is escaped."""
    out = ""
    for byte in text.encode():
        character = chr(byte)
        plain = 32 <= byte < 127 and character not in '"\\?'
        out += character if plain else "\\%03o" % byte
    return '"%s"' % out


def write_numbers(out, kind, name, numbers):
    out.write("const %s %s[] = {\n" % (kind, name))
    for at in range(0, len(numbers), 20):
        out.write("    " + ",".join(map(str, numbers[at : at + 20])) + ",\n")
    out.write("};\n\n")


def template(rule, name, group, brand):
    """The value of a part: the rule's own text, or a group of its expression."""
    given = rule.get(name + "_replacement")
    if given:
        return given
    return "" if brand else "$%d" % group


def read_rules(path):
    """The rules of uap-core, and where those of each kind end."""
    with open(path, encoding="utf-8") as file:
        given = yaml.load(file, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    rules, ends = [], []
    for kind, (key, names) in enumerate(KINDS):
        for rule in given[key]:
            parts = []
            for number, name in enumerate(names):
                device = kind == 2
                group = 1 if device else number + 1
                parts.append(template(rule, name, group, device and name == "brand"))
            rules.append(Rule(rule["regex"], rule.get("regex_flag") == "i", parts,
                              clauses_of(rule["regex"]), "none"))
        ends.append(len(rules))
    return rules, ends


def lines_of(path):
    """The lines of one of our lists with their numbers; without empty ones and comments."""
    with open(path, encoding="ascii") as file:
        for number, line in enumerate(file, 1):
            line = line.strip()
            if line and not line.startswith("#"):
                yield number, line


def split(path, number, line, between):
    left, found, right = line.partition(between)
    if not found:
        sys.exit("%s:%d: there is no %s" % (path, number, between.strip()))
    return left.rstrip(), right.lstrip()


def as_pattern(rule):
    """The expression of one of our own rules."""
    if len(rule) > 2 and rule[0] == rule[-1] == "/":
        return rule[1:-1]
    return ("^" if rule[0] == "^" else "") + re.escape(rule.removeprefix("^"))


def name_in(matched):
    """The name of a bot: what its expression matches, up to a version or a remark."""
    start = re.sub(r"^[ (+]*(https?://)?", "", matched)
    return re.split(r"[/;(]", start.strip(" /"))[0].strip(" ,.@)-")


def name_of(entry):
    """The name of an entry of crawler-user-agents: its usual spelling, of equals the one with more
    capitals."""
    found = [name_in(re.search(entry["pattern"], instance)[0]) for instance in entry["instances"]]
    if not found:
        return name_in(re.sub(r"[\\^$]", "", entry["pattern"]))
    return max(sorted(set(found)), key=lambda name: (
        found.count(name), sum(map(str.isupper, name))))


def bot_rule(pattern, caseless, name, kind):
    clauses = clauses_of(pattern)
    if not clauses:
        sys.exit("agents.py: no text must occur in what %s matches" % pattern)
    clause = without_longer({text[:BOT_LITERAL] for text in clauses[0]})
    return Rule(pattern, caseless, [name], [clause], kind)


def read_bots(path):
    """Our own rules, in upper or lower case. The name is group 1 of the expression, if it has one."""
    rules, kind = [], None
    for number, line in lines_of(path):
        if line[0] == "[" and line[-1] == "]":
            kind = line[1:-1]
            continue
        rule, example = split(path, number, line, " | ")
        pattern = as_pattern(rule)
        match = re.search(pattern, example, re.I)
        if not match or not kind:
            sys.exit("%s:%d: the rule %s" % (path, number, "does not match its example" if kind
                                             else "is in no section [KIND]"))
        rules.append(bot_rule(pattern, True, "$1" if match.re.groups else name_in(match[0]), kind))
    return rules


def kind_of(entry):
    """The kind of an entry of crawler-user-agents; some have several."""
    return "ai-crawler" if "ai-crawler" in entry["tags"] else entry["tags"][0]


def read_crawlers(path, narrower_path):
    """The rules of crawler-user-agents, and its examples."""
    with open(path, encoding="utf-8") as file:
        entries = json.load(file)
    narrower = dict(split(narrower_path, number, line, " => ")
                    for number, line in lines_of(narrower_path))
    rules = []
    for entry in entries:
        pattern = narrower.pop(entry["pattern"], entry["pattern"])
        for instance in entry["instances"]:
            if not re.search(pattern, instance):
                sys.exit("%s: %s does not match %s" % (narrower_path, pattern, instance))
        rules.append(bot_rule(pattern, False, name_of(entry), kind_of(entry)))
    if narrower:
        sys.exit("%s: there is no pattern %s" % (narrower_path, ", ".join(sorted(narrower))))
    return rules, Examples([entry["instances"] for entry in entries])


class Examples:
    """The examples of all entries of crawler-user-agents."""

    def __init__(self, of_entries):
        self.texts = [(entry, text) for entry, texts in enumerate(of_entries) for text in texts]
        lines = [text.lower() + "\n" for _, text in self.texts]
        self.lower = "".join(lines)
        self.starts = [0, *itertools.accumulate(map(len, lines))]

    def with_literal(self, literal):
        at = self.lower.find(literal)
        while at >= 0:
            number = bisect.bisect(self.starts, at) - 1
            yield self.texts[number]
            at = self.lower.find(literal, self.starts[number + 1])

    def entries_matched(self, rule):
        """How many entries have an example that the rule matches."""
        expression = re.compile(rule.pattern, re.I if rule.caseless else 0)
        return len({entry for literal in rule.clauses[0]
                    for entry, text in self.with_literal(literal) if expression.search(text)})


def sort_bots(listed, own, examples):
    """The rules of bots in the order in which they are tried. A rule that matches examples of more
    entries says less about the bot. Rules of usual words keep their order and come last."""
    known = [(rule.kind in TOOLS, is_own, examples.entries_matched(rule), number, rule)
             for is_own, rules in enumerate([listed, own])
             for number, rule in enumerate(rules) if rule.kind != WORDS]
    return [entry[-1] for entry in sorted(known)], [rule for rule in own if rule.kind == WORDS]


def number_clauses(rules):
    """Clause 0 holds for every agent; the others are numbered as they come. Returns the rules'
    clauses as numbers, those of the fewest rules first, and the clauses of each literal."""
    uses = collections.Counter(clause for rule in rules for clause in rule.clauses)
    numbers, literals, of_rules = {}, {}, []
    for rule in rules:
        own = []
        for clause in sorted(rule.clauses, key=uses.get):
            number = numbers.setdefault(clause, len(numbers) + 1)
            own.append(number)
            for text in clause:
                literals.setdefault(text, set()).add(number)
        of_rules.append(own + [0] * (CLAUSES - len(own)))
    return of_rules, literals


def write_rules(out, rules, numbers, first):
    out.write("const cm_ua_rule_t cm_ua_rules[] = {\n")
    for (pattern, caseless, parts, _, kind), own in zip(rules, numbers):
        out.write("    {%s, {%s}, {%s}, %d, CM_BOT_%s},\n" % (
            quoted(pattern), ", ".join(map(quoted, parts)), ", ".join(map(str, own)), caseless,
            kind.upper().replace("-", "_")))
    out.write("};\n\n")
    write_numbers(out, "uint16_t", "cm_ua_first", first)
    of_clause = [[] for _ in range(max(map(max, numbers)) + 1)]
    for rule, own in enumerate(numbers):
        of_clause[own[0]].append(rule)
    write_numbers(out, "uint16_t", "cm_ua_clause_first",
                  [sum(map(len, of_clause[:clause])) for clause in range(len(of_clause) + 1)])
    write_numbers(out, "uint16_t", "cm_ua_clause_rules", [rule for own in of_clause for rule in own])
    out.write("static_assert(%d <= CM_UA_RULES && %d <= CM_UA_CLAUSES,\n"
              "              \"more rules or clauses than ua_rules.h allows\");\n\n"
              % (len(rules), len(of_clause)))


def write_automaton(out, literals):
    texts = sorted(literals)
    automaton = Automaton(texts)
    clauses, starts, lists = [], [], {}
    for state, found in enumerate(automaton.found):
        own = tuple(sorted({number for text in found for number in literals[texts[text]]}))
        if own not in lists:
            lists[own] = len(clauses)
            clauses += [len(own), *own]
        starts.append(lists[own])
    if max(len(automaton.slots), len(clauses), len(starts)) > 0xFFFE:
        sys.exit("agents.py: the rules have outgrown 16 bits")
    classes = [automaton.classes.get(chr(code).lower(), 0) if code < 128 else 0
               for code in range(256)]
    write_numbers(out, "uint8_t", "cm_ua_classes", classes)
    write_numbers(out, "uint16_t", "cm_ua_base", automaton.base)
    write_numbers(out, "uint16_t", "cm_ua_fail", automaton.fail)
    write_numbers(out, "cm_ua_slot_t", "cm_ua_slots", [
        "{%d,%d,%d,%d}" % (owner, state, automaton.base[state], starts[state])
        for owner, state in automaton.slots])
    write_numbers(out, "uint16_t", "cm_ua_found_clauses", clauses)


def main():
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    rules, ends = read_rules(sys.argv[2])
    listed, examples = read_crawlers(sys.argv[3], sys.argv[5])
    for bots in sort_bots(listed, read_bots(sys.argv[4]), examples):
        rules += bots
        ends.append(len(rules))
    numbers, literals = number_clauses(rules)
    with open(sys.argv[1], "w", encoding="ascii") as out:
        out.write("/* Made by scripts/agents.py from uap-core and crawler-user-agents. */\n"
                  '#include "enrich/ua_rules.h"\n\n')
        write_rules(out, rules, numbers, [0] + ends)
        write_automaton(out, literals)


if __name__ == "__main__":
    main()
