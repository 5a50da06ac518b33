"""The documents, read as a stranger does: from the top, typing what stands there.

A Page is one Markdown file and the place in it. Each of its blocks (indented by four spaces, or
fenced) is taken in the order of the text: run(), output(), talk(), settings() or passes(). A block
that a test does not expect there fails it, so that no command is added that nothing runs.
"""

import os
import re
import signal
import subprocess
import time

from harness import ROOT, diff, shorten

# What differs from run to run in what commands print: how long it took, how old something is, and
# lines of progress.
DURATION = re.compile(r"\b(in|within|after) [0-9.,]+ (ms|s|min|h)\b")
PROGRESS = re.compile(r"^(producing|importing|reading|processing) .*\n", re.M)
UPDATED = re.compile(r'"updated_at":"[^"]*"')


class Block:
    """Lines of a code block without their indentation, and where they stand."""

    def __init__(self, number, language, lines):
        self.number, self.language, self.lines = number, language, lines

    @property
    def text(self):
        return "\n".join(self.lines) + "\n"


def blocks(text):
    """Every code block of a Markdown text."""
    block, fenced, before, found = None, False, "", []
    for number, line in enumerate(text.split("\n"), 1):
        if fenced:
            if line.startswith("```"):
                block, fenced = None, False
            else:
                block.lines.append(line)
        elif line.startswith("```"):
            block, fenced = Block(number, line[3:], []), True
            found.append(block)
        elif line.startswith("    ") and (block is not None or before.strip() == ""):
            if block is None:
                block = Block(number, "", [])
                found.append(block)
            block.lines.append(line[4:])
        elif line == "" and block is not None:
            block.lines.append("")
        else:
            block = None
        before = line
    for block in found:
        while block.lines and block.lines[-1] == "":
            block.lines.pop()
    return found


def commands(lines):
    """Lines of a shell joined to commands: a backslash, an open quotation or deeper lines go on."""
    joined = []
    for line in lines:
        open_quote = joined and (joined[-1].count("'") % 2 or joined[-1].count('"') % 2)
        if joined and (joined[-1].endswith("\\") or open_quote or line.startswith("  ")):
            joined[-1] += "\n" + line
        elif line:
            joined.append(line)
    return joined


def exchange(lines):
    """(command, output) pairs of a block whose commands begin with `$ `."""
    pairs = []
    for line in lines:
        if line.startswith("$ "):
            pairs.append([line[2:], []])
        elif pairs and (pairs[-1][0].endswith("\\") and not pairs[-1][1]):
            pairs[-1][0] += "\n" + line
        elif pairs:
            pairs[-1][1].append(line)
    return [(command, "\n".join(output) + "\n") for command, output in pairs]


def settled(text):
    text = PROGRESS.sub("", text)
    return UPDATED.sub('"updated_at":T', DURATION.sub(r"\1 T", text))


class Reader:
    """A user's shell in a directory that looks like a clone. `changes` are (text, replacement)
    pairs: addresses of this test instead of the documents'."""

    def __init__(self, t, changes=()):
        self.t, self.changes = t, list(changes)
        self.home = t.path("clone")
        os.makedirs(os.path.join(self.home, "bin"))
        for name in os.listdir(ROOT):
            if name not in (".git", "data", "bin"):
                os.symlink(os.path.join(ROOT, name), os.path.join(self.home, name))
        os.symlink(t.program, os.path.join(self.home, "bin", "clickmill"))
        t.write("clone/.curlrc", "silent\n")  # as on a terminal, where it shows no progress
        self.environment = t.environment({
            "CURL_HOME": self.home, "PATH": os.path.join(self.home, "bin") + os.pathsep + os.environ["PATH"]})

    def changed(self, command):
        for text, replacement in self.changes:
            command = command.replace(text, replacement)
        return command

    def restored(self, text):
        """What was printed, with the documents' addresses in it."""
        for original, replacement in self.changes:
            text = text.replace(replacement, original)
        return text

    def type(self, command, check=0, timeout=120):
        """What a command prints, both ways, in its order."""
        done = subprocess.run(["bash", "-c", self.changed(command)], cwd=self.home,
                              env=self.environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout)
        text = self.restored(done.stdout.decode("utf-8", "replace"))
        if check is not None and done.returncode != check:
            raise AssertionError("$ %s\nexit status %d, expected %d\n%s" % (
                self.changed(command), done.returncode, check, shorten(text)))
        return text

    def begin(self, command):
        """Starts a command that goes on; it is ended with the test."""
        return Running(self, command)


class Running:
    """A command in the background, in a process group of its own as in a terminal."""

    def __init__(self, reader, command):
        self.reader = reader
        self.path = reader.t.path("running-%d" % time.monotonic_ns())
        with open(self.path, "wb") as out:
            self.process = subprocess.Popen(
                ["bash", "-c", reader.changed(command)], cwd=reader.home, env=reader.environment,
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                start_new_session=True)
        reader.t.started.append(self)

    @property
    def text(self):
        with open(self.path, encoding="utf-8", errors="replace") as file:
            return self.reader.restored(file.read())

    @property
    def err(self):
        return self.text

    def running(self):
        return self.process.poll() is None

    def wait(self, timeout=60):
        self.process.wait(timeout)
        return self.text

    def kill(self):
        """Ends the whole group: what the harness calls when the test ends."""
        if self.running():
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def interrupt(self):
        """Ctrl-C: a signal to the whole group. Returns what was printed."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.wait()


class Page:
    """A document and the place in it."""

    def __init__(self, reader, path):
        self.reader, self.t, self.path = reader, reader.t, path
        with open(os.path.join(ROOT, path), encoding="utf-8") as file:
            self.left = blocks(file.read())
        self.printed = ""

    def next(self, beginning):
        """The next block, which begins as given."""
        if not self.left:
            raise AssertionError("%s has no block left that begins %r" % (self.path, beginning))
        block = self.left.pop(0)
        if not block.text.startswith(beginning):
            raise AssertionError("%s:%d: a block that begins %r was expected, this begins %r" % (
                self.path, block.number, beginning, block.lines[0] if block.lines else ""))
        return block

    def run(self, beginning, **how):
        """Types the commands of the next block, one after the other."""
        block = self.next(beginning)
        self.printed = "".join(self.reader.type(command, **how)
                               for command in commands(block.lines))
        return self.printed

    def script(self, beginning, **how):
        """Types the next block as a whole, in one shell."""
        self.printed = self.reader.type("set -e\n" + self.next(beginning).text, **how)
        return self.printed

    def begin(self, beginning):
        """Types the next block's one command, which goes on."""
        block = self.next(beginning)
        self.t.equal(len(commands(block.lines)), 1, "commands of %s:%d" % (self.path, block.number))
        return self.reader.begin(block.text)

    def output(self, beginning, printed=None):
        """The next block is what was printed, durations aside."""
        block = self.next(beginning)
        printed = self.printed if printed is None else printed
        if settled(printed) != settled(block.text):
            raise AssertionError("%s:%d: this is what is printed\n%s" % (
                self.path, block.number, diff(settled(block.text), settled(printed))))

    def alike(self, beginning, printed):
        """The next block is what was printed, numbers aside."""
        block = self.next(beginning)

        def bare(text):
            return re.sub(r"[0-9][0-9.,]*", "9", text)
        if bare(printed) != bare(block.text):
            raise AssertionError("%s:%d: this is what is printed\n%s" % (
                self.path, block.number, diff(bare(block.text), bare(printed))))

    def talk(self, beginning, **how):
        """The next block has commands behind `$ ` and what they print."""
        block = self.next(beginning)
        for command, output in exchange(block.lines):
            printed = self.reader.type(command, **how)
            # Long lines are folded in the documents.
            if settled(printed).replace("\n", "") != settled(output).replace("\n", ""):
                raise AssertionError("%s:%d: this is what is printed\n%s" % (
                    self.path, block.number, diff(settled(output), settled(printed))))

    def settings(self, beginning, **environment):
        """The next block is a configuration that the program reads."""
        block = self.next(beginning)
        self.t.write("page.yaml", block.text)
        if not os.path.exists(self.t.path("settings")):
            self.t.ingest([{"user_id": "u", "timestamp": 1, "url": "/"}], data="settings")
        self.t.clickmill("--config", self.t.path("page.yaml"), "dead", "list", "--data", "settings",
                         env=environment)

    def passes(self, beginning, reason):
        """The next block is nothing to type here; `reason` says why."""
        if not reason:
            raise AssertionError("a block is passed over without a reason")
        return self.next(beginning)

    def end(self):
        if self.left:
            raise AssertionError("%s:%d: no test takes this block, which begins %r" % (
                self.path, self.left[0].number, self.left[0].lines[0]))
