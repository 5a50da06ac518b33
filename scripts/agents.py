#!/usr/bin/env python3
"""Writes a C file with the rules of uap-core and the rules that recognise bots, for
src/enrich/ua_rules.h.

usage: agents.py OUTPUT REGEXES_YAML CRAWLERS_JSON BOTS_TXT CRAWLERS_TXT

Bots are recognised by the patterns of crawler-user-agents (CRAWLERS_JSON), some of them narrowed by
CRAWLERS_TXT, and by our own rules (BOTS_TXT). This program fails when a rule does not match its
examples: each of our rules has an example, and a narrowed pattern must still match its instances.

Trying thousands of regular expressions on each user agent is slow. So for each of them this program
finds up to three *clauses*: sets of literal strings, of which at least one must occur in every match
of the expression. One automaton (Aho and Corasick, 1975) finds all literals of all clauses in one
pass over the user agent and shows which expressions must be tried. Literals are in lower case, like
the user agent that is searched. The rule of a bot has one clause, and is tried when it is found. The
same input gives the same bytes.
"""

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
START = "\2"  # precedes the first character of a user agent

KINDS = [
    ("user_agent_parsers", ["family", "v1", "v2", "v3"]),
    ("os_parsers", ["os", "os_v1", "os_v2", "os_v3", "os_v4"]),
    ("device_parsers", ["device", "brand", "model"]),
]


# ---- literals that must occur in a match


def score(texts):
    """How well a clause distinguishes agents: long literals are good, and few of them."""
    return (min(min(map(len, texts)), 8) * 10 - min(len(texts), 60) / 4
            + sum(map(len, texts)) / len(texts))


def cross(first, second):
    if len(first) * len(second) > CROSS:
        return None
    return {a + b for a in first for b in second}


def of_sequence(sequence):
    """(texts, clauses): all strings it can match, or None when they are too many, and the clauses."""
    run, whole, clauses = {""}, True, []
    for kind, argument in sequence:
        texts, inner = of_one(kind, argument)
        clauses += inner
        longer = cross(run, texts) if texts is not None else None
        if longer is not None:
            run = longer
            continue
        whole = False
        clauses.append(run)
        run = texts if texts is not None else {""}
    if whole:
        return run, clauses
    return None, [clause for clause in clauses + [run] if "" not in clause]


def of_branches(branches):
    texts, best = set(), set()
    for branch in branches:
        exact, clauses = of_sequence(branch)
        if exact is None or texts is None:
            texts = None
        else:
            texts |= exact
        if exact is not None and "" not in exact:
            clauses = clauses + [exact]
        best = best | max(clauses, key=score) if clauses and best is not None else None
    if texts is not None and len(texts) <= UNION:
        return texts, []
    return None, [best] if best is not None and len(best) <= UNION else []


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
            return None, []
    return (texts, []) if len(texts) <= CLASS else (None, [])


def of_repeat(low, high, inner):
    texts, clauses = of_sequence(inner)
    if low == high == 1:
        return texts, clauses
    if low == 0:
        return (texts | {""} if high == 1 and texts is not None else None), []
    return None, clauses + ([texts] if texts is not None and "" not in texts else [])


def of_one(kind, argument):
    if kind is op.LITERAL:
        return {chr(argument).lower()}, []
    if kind is op.AT or kind is op.ASSERT_NOT or kind is op.ASSERT:
        return {""}, []
    if kind is op.SUBPATTERN:
        return of_sequence(argument[3])
    if kind is op.BRANCH:
        return of_branches(argument[1])
    if kind is op.IN:
        return of_class(argument)
    if kind is op.MAX_REPEAT or kind is op.MIN_REPEAT:
        return of_repeat(*argument)
    return None, []


def without_longer(texts):
    """Drops literals that contain another literal of the clause: they add nothing."""
    return frozenset(a for a in texts if not any(b != a and b in a for b in texts))


def clauses_of(pattern):
    texts, clauses = of_sequence(parser.parse(pattern))
    if texts is not None:
        clauses = clauses + [texts]
    wanted = {without_longer(clause) for clause in clauses if "" not in clause}
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
    with open(path, encoding="utf-8") as file:
        given = yaml.load(file, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    rules = []
    for kind, (key, names) in enumerate(KINDS):
        for rule in given[key]:
            parts = []
            for number, name in enumerate(names):
                device = kind == 2
                group = 1 if device else number + 1
                parts.append(template(rule, name, group, device and name == "brand"))
            rules.append((kind, rule["regex"], rule.get("regex_flag") == "i", parts,
                          clauses_of(rule["regex"])))
    return rules


def rows(path, between):
    """The lines of one of our lists, cut in two; without empty ones and comments."""
    with open(path, encoding="ascii") as file:
        for number, line in enumerate(file, 1):
            line = line.strip()
            if line and not line.startswith("#"):
                left, found, right = line.partition(between)
                if not found:
                    sys.exit("%s:%d: there is no %s" % (path, number, between.strip()))
                yield left.rstrip(), right.lstrip()


def as_pattern(rule):
    """The expression of one of our own rules, and whether it is more than a literal string."""
    if len(rule) > 2 and rule[0] == rule[-1] == "/":
        return rule[1:-1], True
    return ("^" if rule[0] == "^" else "") + re.escape(rule.removeprefix("^")), False


def read_bots(path):
    """Strings and expressions of our own rules, in upper or lower case."""
    texts, patterns = [], []
    for rule, example in rows(path, " | "):
        pattern, is_pattern = as_pattern(rule)
        if not re.search(pattern, example, re.I):
            sys.exit("%s: %s does not match its example %s" % (path, rule, example))
        if is_pattern:
            patterns.append((pattern, True))
        else:
            texts.append(rule.lower().replace("^", START))
    return texts, patterns


def read_crawlers(path, narrower_path):
    with open(path, encoding="utf-8") as file:
        entries = json.load(file)
    narrower = dict(rows(narrower_path, " => "))
    patterns = {}
    for entry in entries:
        pattern = narrower.pop(entry["pattern"], entry["pattern"])
        for instance in entry["instances"]:
            if not re.search(pattern, instance):
                sys.exit("%s: %s does not match %s" % (narrower_path, pattern, instance))
        patterns[pattern, False] = True
    if narrower:
        sys.exit("%s: there is no pattern %s" % (narrower_path, ", ".join(sorted(narrower))))
    return list(patterns)


def bot_clause(pattern):
    clauses = clauses_of(pattern)
    if not clauses:
        sys.exit("agents.py: no text must occur in what %s matches" % pattern)
    return without_longer({text[:BOT_LITERAL] for text in clauses[0]})


def group_bots(patterns):
    """Rules with the same clause are grouped: (clause, [(pattern, caseless)])."""
    groups = {}
    for pattern, caseless in patterns:
        groups.setdefault(bot_clause(pattern), []).append((pattern, caseless))
    return sorted(groups.items(), key=lambda group: sorted(group[0]))


def number_clauses(rules, texts, bots):
    """Clause 0 holds for every agent, 1 for those with the name of a bot; then come the rules', at
    last those of the groups of bots' patterns. Returns the rules' clauses as numbers, the clauses of
    each literal, and the number of the first group."""
    numbers, literals = {}, {}
    for text in texts:
        literals.setdefault(text, set()).add(1)
    of_rules = []
    for _, _, _, _, clauses in rules:
        own = []
        for clause in clauses:
            number = numbers.setdefault(clause, len(numbers) + 2)
            own.append(number)
            for text in clause:
                literals.setdefault(text, set()).add(number)
        of_rules.append(own + [0] * (CLAUSES - len(own)))
    first = len(numbers) + 2
    for number, (clause, _) in enumerate(bots):
        for text in clause:
            literals.setdefault(text, set()).add(first + number)
    return of_rules, literals, first


def write_bots(out, bots, rules, first_clause):
    starts, at = [], len(rules)
    for _, patterns in bots:
        starts.append(at)
        at += len(patterns)
    out.write("const uint16_t cm_ua_bot_clause = %d;\n" % first_clause)
    write_numbers(out, "uint16_t", "cm_ua_bot_first", starts + [at])
    out.write("static_assert(%d <= CM_UA_CLAUSES, \"more clauses than ua_rules.h allows\");\n"
              % (first_clause + len(bots)))


def write_rules(out, rules, numbers, bots):
    out.write("const cm_ua_rule_t cm_ua_rules[] = {\n")
    for (_, pattern, caseless, parts, _), own in zip(rules, numbers):
        out.write("    {%s, {%s}, {%s}, %d},\n" % (
            quoted(pattern), ", ".join(map(quoted, parts)), ", ".join(map(str, own)), caseless))
    patterns = [pattern for _, group in bots for pattern in group]
    for pattern, caseless in patterns:
        out.write("    {%s, {\"\"}, {0}, %d},\n" % (quoted(pattern), caseless))
    out.write("};\n\n")
    first = [sum(1 for rule in rules if rule[0] < kind) for kind in range(len(KINDS) + 1)]
    first.append(len(rules) + len(patterns))
    write_numbers(out, "uint16_t", "cm_ua_first", first)


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
    classes[ord(START)] = 0
    out.write("const uint8_t cm_ua_start = %d;\n" % automaton.classes[START])
    write_numbers(out, "uint8_t", "cm_ua_classes", classes)
    write_numbers(out, "uint16_t", "cm_ua_base", automaton.base)
    write_numbers(out, "uint16_t", "cm_ua_fail", automaton.fail)
    write_numbers(out, "uint16_t", "cm_ua_owner", [owner for owner, _ in automaton.slots])
    write_numbers(out, "uint16_t", "cm_ua_next", [state for _, state in automaton.slots])
    write_numbers(out, "uint16_t", "cm_ua_found", starts)
    write_numbers(out, "uint16_t", "cm_ua_found_clauses", clauses)


def main():
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    rules = read_rules(sys.argv[2])
    texts, patterns = read_bots(sys.argv[4])
    bots = group_bots(patterns + read_crawlers(sys.argv[3], sys.argv[5]))
    numbers, literals, first = number_clauses(rules, texts, bots)
    with open(sys.argv[1], "w", encoding="ascii") as out:
        out.write("/* Made by scripts/agents.py from uap-core and crawler-user-agents. */\n"
                  '#include "enrich/ua_rules.h"\n\n')
        write_rules(out, rules, numbers, bots)
        write_automaton(out, literals)
        write_bots(out, bots, rules, first)


if __name__ == "__main__":
    main()
