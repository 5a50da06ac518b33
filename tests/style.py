"""The house style as tests: formatting, sizes, banned calls, no leftovers."""

import glob
import os
import re
import shutil
import subprocess

from harness import ROOT, Skip

CODE = (".c", ".h", ".cc")
SOURCES = CODE + (".py", ".sh", ".js", ".css", ".html", ".build", ".yaml", ".yml")
DIRECTORIES = ("src", "tests", "web", "spark", "stack", "bench", "scripts")
MAX_FILE = 800
MAX_SOURCE = 600  # of a file of the program
MAX_COMMAND = 250  # of a file in src/cmd
MAX_ENGINES = 30  # lines in src/cmd that name an engine's function or type
MAX_FUNCTION = 60

# The risk of each banned call, and its replacement.
BANNED = {
    "sprintf": "snprintf or cm_buf_printf", "vsprintf": "vsnprintf", "strcpy": "cm_buf_add_text",
    "stpcpy": "cm_buf_add_text", "strcat": "cm_buf_add_text", "strncpy": "cm_str_t",
    "strncat": "cm_buf_add_text", "gets": "fgets", "strtok": "strcspn", "strtok_r": "strcspn",
    "atoi": "cm_str_to_i64", "atol": "cm_str_to_i64", "atoll": "cm_str_to_i64",
    "atof": "strtod with its end checked", "scanf": "a parser",
    "fscanf": "a parser", "system": "a function", "popen": "a function", "tmpnam": "mkstemp",
    "mktemp": "mkstemp", "alloca": "an arena", "rand": "cm_random_next", "srand": "cm_random_next",
    "gmtime": "cm_time_format", "localtime": "cm_time_format", "strerror_r": "strerror",
}
BANNED_CALL = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(BANNED))
LEFTOVER = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
NOT_CODE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"' r"|'(?:\\.|[^'\\\n])*'", re.S)


def files(endings):
    for directory in DIRECTORIES:
        for parent, directories, names in os.walk(os.path.join(ROOT, directory)):
            directories[:] = sorted(d for d in directories
                                    if d not in ("node_modules", "__pycache__"))
            for name in sorted(names):
                if name.endswith(endings):
                    yield os.path.relpath(os.path.join(parent, name), ROOT)


def sources(endings):
    """The files of the program itself."""
    return (path for path in files(endings) if path.startswith("src/"))


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def without_comments_and_texts(code):
    """The code with comments and literals replaced by blanks; lines keep their numbers."""
    return NOT_CODE.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), code)


def complain(problems):
    if problems:
        raise AssertionError("\n".join(problems))


def formatter():
    """clang-format, in the release of scripts/python-packages.txt, changes nothing."""
    release = re.search(r"^clang-format==(\d+)\.", read("scripts/python-packages.txt"), re.M).group(1)
    ours = os.path.join(ROOT, "build", "python", "clang_format", "data", "bin")
    for path in (ours, None):
        program = shutil.which("clang-format", path=path)
        if program and " version %s." % release in subprocess.run(
                [program, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout:
            return program
    raise Skip("there is no clang-format %s: run scripts/setup.sh test" % release)


def check_format(_):
    done = subprocess.run([formatter(), "--dry-run", "-Werror", *files(CODE)], cwd=ROOT,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise AssertionError(done.stdout)


def limit(path):
    if path.startswith("src/cmd/"):
        return MAX_COMMAND
    return MAX_SOURCE if path.startswith(("src/", "spark/", "web/")) else MAX_FILE


def check_file_sizes(_):
    complain(["%s has %d lines, the limit is %d" % (path, count, limit(path))
              for path in files(SOURCES)
              if (count := read(path).count("\n")) > limit(path)])


def check_function_sizes(_):
    problems = []
    for path in files(CODE):
        start = None
        for number, line in enumerate(read(path).splitlines(), 1):
            if line == "{":
                start = number
            elif line.startswith("}") and start is not None:
                if number - start > MAX_FUNCTION:
                    problems.append("%s:%d: a function of %d lines, the limit is %d" % (
                        path, start, number - start, MAX_FUNCTION))
                start = None
    complain(problems)


def check_banned_calls(_):
    complain(["%s:%d: %s is banned, use %s" % (path, number, found.group(1), BANNED[found.group(1)])
              for path in files(CODE)
              for number, line in enumerate(
                  without_comments_and_texts(read(path)).splitlines(), 1)
              for found in BANNED_CALL.finditer(line)])


def check_leftovers(_):
    complain(["%s:%d: %s" % (path, number, line.strip())
              for path in files(SOURCES)
              for number, line in enumerate(read(path).splitlines(), 1)
              if LEFTOVER.search(line)])

# ---- rooms ----

# The order of the rooms (docs/architecture.md): a room includes headers of itself and of the rooms
# before it.
ROOMS = ("base", "event", "cql", "kafka", "cassandra", "elastic", "enrich", "source", "sink",
         "store", "mill", "index", "pipeline", "settings", "serve", "cmd")
INCLUDE = re.compile(r'^#include "([\w/]+)/[\w]+\.h(?:pp)?"', re.M)
TYPE = re.compile(r"^(?:typedef [^;{}]*?\b|\} *)(cm_\w+_t);", re.M)
FUNCTION = re.compile(r"^(?!static|typedef|#|return\b|else\b)\w[\w *]*?\b\*?(cm_[a-z0-9]+)_?\w*\(", re.M)


def room_of(path):
    return path.split("/")[1]


def check_room_order(_):
    problems = []
    for path in sources(CODE):
        own = room_of(path)
        if own not in ROOMS:
            problems.append("%s: src/%s is no room of the list in tests/style.py" % (path, own))
            continue
        for found in INCLUDE.finditer(read(path)):
            other = found.group(1).split("/")[0]
            if other in ROOMS and ROOMS.index(other) > ROOMS.index(own):
                problems.append("%s: %s/ includes a header of %s/, which comes after it" % (
                    path, own, other))
    complain(problems)


# The layers of src/cql (session.h draws them): a file includes headers of its own layer and of those
# before it. A name with an ending is that file alone.
CQL_LAYERS = ("cql", "memory wire crc murmur3 error", "frame decoder encoder", "message parse value",
              "timer tls ring contact", "loop options", "call", "conn handshake socket", "nodes",
              "session.h", "topology", "route", "dispatch", "prepare", "control",
              "request scan writer batch copy session.c")
CQL_INCLUDE = re.compile(r'^#include "cql/(\w+\.h)"', re.M)


def cql_layer(name):
    found = [at for at, layer in enumerate(CQL_LAYERS)
             if name in layer.split() or name.rsplit(".", 1)[0] in layer.split()]
    if len(found) != 1:
        raise AssertionError("src/cql/%s stands in %d layers of CQL_LAYERS" % (name, len(found)))
    return found[0]


def check_cql_layers(_):
    complain(["src/cql/%s includes %s of a later layer" % (name, header)
              for name in sorted(os.listdir(os.path.join(ROOT, "src", "cql")))
              for header in CQL_INCLUDE.findall(read(os.path.join("src", "cql", name)))
              if cql_layer(header) > cql_layer(name)])


CQL_ENDS_PROGRAM = re.compile(r"\b(cm_alloc|cm_alloc_zero|cm_realloc|cm_strdup|cm_buf_reserve|cm_buf_printf"
                              r"|cm_arena_\w+|cm_out_of_memory)\s*\(")


def check_cql_memory(_):
    """src/cql is a library: without memory it returns an error, and never ends the program."""
    complain(["%s:%d: %s ends the program without memory; see src/cql/memory.h" % (
        path, number, found.group(1))
              for path in files(CODE) if path.startswith("src/cql/")
              for number, line in enumerate(
                  without_comments_and_texts(read(path)).splitlines(), 1)
              for found in CQL_ENDS_PROGRAM.finditer(line)])


ENGINE = re.compile(r"\bcm_\w*(?:embedded|cassandra|elastic|kafka)\w*")


def check_engines_in_commands(_):
    """A command composes parts through interfaces: few of its lines depend on the engine."""
    lines = ["%s:%d: %s" % (path, number, line.strip())
             for path in files(CODE) if path.startswith("src/cmd/")
             for number, line in enumerate(without_comments_and_texts(read(path)).splitlines(), 1)
             if ENGINE.search(line)]
    if len(lines) > MAX_ENGINES:
        complain(["%d lines name an engine, the limit is %d" % (len(lines), MAX_ENGINES), *lines])


CHOICE = re.compile(r"^typedef enum cm_\w+_choice \{(.*?)\}", re.M | re.S)


def check_engines_compared(_):
    """Only open.c and the options of a room know which engine is chosen: others ask them what they
    need to know of it, such as cm_store_in_data_dir()."""
    knows = re.compile(r"src/(sink|store|index)/(open|options)\.[ch]")
    names = [name for path in sources((".h",)) if knows.fullmatch(path)
             for values in CHOICE.findall(read(path)) for name in re.findall(r"CM_\w+", values)]
    if len(names) < 6:
        raise AssertionError("the enums of sink, store and index have only %s" % names)
    chosen = re.compile(r"\b(%s)\b" % "|".join(names))
    complain(["%s:%d: depends on %s; ask src/*/open.h or options.h of its room instead" % (
        path, number, found.group())
              for path in sources(CODE) if not knows.fullmatch(path)
              for number, line in enumerate(without_comments_and_texts(read(path)).splitlines(), 1)
              for found in chosen.finditer(line)])


def check_include_guards(_):
    """The guard of a header is its path, so that two headers never share one."""
    problems = []
    for path in sources((".h",)):
        guard = "CM_%s_H" % path[len("src/"):-len(".h")].upper().replace("/", "_")
        if "#ifndef %s\n#define %s\n" % (guard, guard) not in read(path):
            problems.append("%s: the guard is not %s" % (path, guard))
    complain(problems)


OPENING = re.compile(r"/\*.*?\*/", re.S)


def says_threads(header):
    """Whether the comment that a header opens with says which threads may use what it declares."""
    opening = OPENING.match(header)
    return bool(opening and re.search(r"\bthreads?\b", opening.group()))


def check_header_comments(_):
    complain(["%s: the opening comment does not say which threads may use it: \"One thread.\", \"Pure "
              "functions, for any thread.\"" % path
              for path in sources((".h",)) if not says_threads(read(path))])


def check_header_comments_themselves(_):
    """The word counts in the opening comment, not in a name and not further below."""
    headers = {"/* A box. One\n * thread. */\n#ifndef X": True, "/* A box for threads. */": True,
               "/* A box. */\n#ifndef X\n/* For any thread. */": False,
               "/* A cm_box_thread_t. */": False, "#ifndef X\n/* One thread. */": False}
    for header, expected in headers.items():
        if says_threads(header) != expected:
            raise AssertionError("%r: %s expected" % (header, expected))


def check_types(_):
    """A second definition of a type breaks the one-definition rule when C++ sees both."""
    places = {}
    for path in sources(CODE):
        for name in TYPE.findall(without_comments_and_texts(read(path))):
            places.setdefault(name, []).append(path)
    complain(["%s is defined %d times: %s" % (name, len(paths), ", ".join(paths))
              for name, paths in sorted(places.items()) if len(paths) > 1])


def check_prefixes(_):
    """The word after cm_ names a room, or a part of one room."""
    rooms = {}
    for path in sources((".h",)):
        code = without_comments_and_texts(read(path))
        for name in FUNCTION.findall(code) + [n[:-2] for n in TYPE.findall(code)]:
            prefix = "_".join(name.split("_")[:2])
            rooms.setdefault(prefix, {}).setdefault(room_of(path), []).append(path)
    complain(["%s_ stands in %d rooms: %s" % (
        prefix, len(places), ", ".join(sorted({p for paths in places.values() for p in paths})))
              for prefix, places in sorted(rooms.items()) if len(places) > 1])


UNIT_TESTS = os.path.join("tests", "unit")


def is_mirrored(path):
    """Whether a unit test's file test_X.c or test_X_PART.c belongs to a file X in its folder of src/."""
    folder = os.path.join("src", os.path.relpath(os.path.dirname(path), UNIT_TESTS))
    name = os.path.basename(path).removeprefix("test_").rsplit(".", 1)[0] + "_"
    places = [at for at, sign in enumerate(name) if sign == "_"]
    return any(os.path.exists(os.path.join(ROOT, folder, name[:at] + ending))
               for at in places for ending in CODE)


def check_unit_tests_mirror(_):
    complain(["%s: no file of src/ has this name or its beginning" % path
              for path in files(CODE)
              if path.startswith(UNIT_TESTS + os.sep) and
              not path.startswith(os.path.join(UNIT_TESTS, "support")) and not is_mirrored(path)])


# ---- words ----

BAD_WORDS = os.path.join("tests", "badwords.txt")


def bad_words(text):
    """The list as one pattern, with a group for each entry, and the replacements of the entries."""
    entries = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        parts = re.split(r"\t|  +", line.strip(), maxsplit=1)
        if len(parts) != 2:
            raise AssertionError("%s:%d: wants a pattern and a replacement" % (BAD_WORDS, number))
        entries.append((re.sub(r"\((?!\?)", "(?:", parts[0]).replace(" ", " +"), parts[1]))
    return (re.compile(r"\b(?:%s)(?![\w-])" % "|".join("(%s)" % pattern for pattern, _ in entries),
                       re.I), [instead for _, instead in entries])


def documents():
    """Markdown at the root and in docs/."""
    for directory in ("", "docs"):
        for name in sorted(os.listdir(os.path.join(ROOT, directory))):
            if name.endswith(".md"):
                yield os.path.join(directory, name)


def found_bad_words(text, words):
    """(line number, word, replacement); a phrase may cross the end of a line and its comment sign."""
    joined = re.sub(r"\n[ \t]*(?:\*|#|//|\")?[ \t]*", lambda m: "\n" + " " * (len(m.group()) - 1), text)
    line = re.sub(r"\s", " ", joined)
    together, instead = words
    for match in together.finditer(line):
        if line[match.start() - 1:match.start()] != "-":
            yield (text.count("\n", 0, match.start()) + 1, re.sub(" +", " ", match.group()),
                   instead[match.lastindex - 1])


def check_bad_words(_):
    words = bad_words(read(BAD_WORDS))
    complain(["%s:%d: \"%s\": write %s" % (path, number, word, instead)
              for path in [*files(SOURCES), *documents()]
              for number, word, instead in sorted(found_bad_words(read(path), words))])


def check_bad_words_themselves(_):
    """The check ignores case and finds whole words, and phrases over two lines of a comment."""
    words = bad_words("nob" "ody  name it\nin the pl" "ace of  instead of\n")
    text = "/* Nob" "ody, and some" "thing in the\n * pl" "ace of it. nob" "odys */"
    found = [(number, word) for number, word, _ in found_bad_words(text, words)]
    if found != [(1, "Nob" "ody"), (1, "in the pl" "ace of")]:
        raise AssertionError("found %r" % (found,))


# ---- documents that are cited ----

CITED = re.compile(r"(?<![\w./-])((?:\.\./)?[\w-]+(?:/[\w-]+)*\.md)\b(?:#([\w-]+))?|\b(DE" r"SIGN)\b")
WRITTEN = ("results.md", "cluster.md", "hours.md", "questions.md")  # by the benchmarks
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([\w-]+))?\)")
HEADING = re.compile(r"^#+ +(.+)$", re.M)


def anchors(path):
    """The anchors of a document: those that it names, and of its headings, as GitHub makes them."""
    text = read(path)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            for heading in HEADING.findall(text)} | set(re.findall(r'<a id="([\w-]+)">', text))


def broken(path, target, anchor):
    """What is wrong with a reference to a file, from the file at `path`; None: nothing."""
    near = os.path.normpath(os.path.join(os.path.dirname(path), target)) if target else path
    found = [place for place in (near, target, os.path.join("docs", target))
             if place and os.path.exists(os.path.join(ROOT, place))]
    if not found:
        return "%s does not exist" % target
    if anchor and found[0].endswith(".md") and anchor not in anchors(found[0]):
        return "%s has no heading #%s" % (found[0], anchor)
    return None


MAPS = ("docs/architecture.md", "CONTRIBUTING.md")
SOURCE_NAME = re.compile(r"`((?:\w+/)+[\w*-]+\.(?:c|cc|h|py|js|yaml|txt)|(?:\w+/)+)`")


def check_maps(_):
    """Every source file and folder that a map for newcomers names exists."""
    complain(["%s: %s does not exist" % (path, name)
              for path in MAPS for name in SOURCE_NAME.findall(read(path))
              if not re.search(r"\b[A-Z]{4,}\b|_NAME", name) and
              not any(glob.glob(os.path.join(ROOT, place, name))
                      for place in ("", "src", "src/*", "tests"))])


def check_cited_documents(_):
    problems = []
    for path in [*files(SOURCES), *documents()]:
        text = read(path)
        cited = [(m.start(), m.group(1) or m.group(3) + ".md", m.group(2)) for m in CITED.finditer(text)]
        if path.endswith(".md"):
            cited += [(m.start(), m.group(1), m.group(2)) for m in LINK.finditer(text)
                      if "://" not in m.group(1)]
        for start, target, anchor in cited:
            if target not in WRITTEN and (wrong := broken(path, target, anchor)):
                problems.append("%s:%d: %s" % (path, text.count("\n", 0, start) + 1, wrong))
    complain(sorted(set(problems)))


def tests():
    yield "style/clang-format", check_format
    yield "style/file-sizes", check_file_sizes
    yield "style/function-sizes", check_function_sizes
    yield "style/banned-calls", check_banned_calls
    yield "style/leftovers", check_leftovers
    yield "style/room-order", check_room_order
    yield "style/cql-layers", check_cql_layers
    yield "style/cql-memory", check_cql_memory
    yield "style/engines-in-commands", check_engines_in_commands
    yield "style/engines-compared", check_engines_compared
    yield "style/include-guards", check_include_guards
    yield "style/header-comments", check_header_comments
    yield "style/header-comments-are-read", check_header_comments_themselves
    yield "style/types", check_types
    yield "style/prefixes", check_prefixes
    yield "style/unit-tests-mirror", check_unit_tests_mirror
    yield "style/bad-words", check_bad_words
    yield "style/bad-words-are-found", check_bad_words_themselves
    yield "style/cited-documents", check_cited_documents
    yield "style/maps", check_maps
