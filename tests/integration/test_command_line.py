#!/usr/bin/env python3
"""The program's front: finding the command, where options come from, sentences and exit codes."""
import os
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CLICKMILL = os.environ.get("CLICKMILL", os.path.join(ROOT, "build/clickmill"))


class CommandLine(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.addCleanup(self.dir.cleanup)

    def run_it(self, *args, env=None, stdout=subprocess.PIPE):
        environment = {k: v for k, v in os.environ.items() if k != "CLICKMILL_DATA"}
        environment.update(env or {})
        return subprocess.run([CLICKMILL, *args], text=True, cwd=self.dir.name, stdout=stdout,
                              stderr=subprocess.PIPE, env=environment, timeout=60, check=False)

    def write(self, name, text):
        with open(os.path.join(self.dir.name, name), "w") as f:
            f.write(text)

    def assert_fails(self, code, sentence, *args, **more):
        done = self.run_it(*args, **more)
        self.assertEqual((done.returncode, done.stdout, done.stderr),
                         (code, "", f"clickmill: {sentence}\n"))

    def data_of(self, *args, **more):
        """Which data directory `query` looks for and does not find."""
        done = self.run_it("query", *args, **more)
        self.assertEqual((done.returncode, done.stdout), (3, ""))
        named = [d for d in ("data", "from-file", "from-env", "from-line") if d in done.stderr]
        return named[-1]

    def test_version(self):
        done = self.run_it("--version")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "clickmill 0.1.0\n", ""))

    def test_every_way_to_help_is_the_same(self):
        expected = self.run_it("help", "query").stdout
        self.assertTrue(expected.startswith("Usage: clickmill query [OPTIONS] [answers|pages|countries|"
                                            "summary]\n"))
        for args in (["query", "--help"], ["--help", "query"], ["query", "-h"], ["-h", "query"],
                     ["query", "--limit", "3", "--help"]):
            done = self.run_it(*args)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, expected, ""), args)
        self.assertEqual(self.run_it("help").stdout, self.run_it("--help").stdout)

    def test_no_command_is_a_usage_error_with_the_list(self):
        done = self.run_it()
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertEqual(done.stderr, self.run_it("help").stdout +
                         "clickmill: no command is given; the list is above\n")

    def test_misspelt(self):
        self.assert_fails(2, "unknown command qurey; did you mean query?", "qurey")
        self.assert_fails(2, "unknown option --limti; did you mean --limit?", "query", "--limti=3")
        self.assert_fails(2, "unknown option --dta; did you mean --data?", "--dta", "x", "query")
        self.assert_fails(2, "unknown command qurey; did you mean query?", "help", "qurey")
        self.assert_fails(2, "process takes no arguments, but was given \"x\"; see `clickmill help "
                             "process`", "process", "x")
        self.assert_fails(2, "query knows answers, pages, countries and summary, not \"page\"; did "
                             "you mean pages?", "query", "page")

    def test_help_forms_exclude_each_other(self):
        self.assert_fails(2, "--man, --markdown and --completion exclude each other; choose one",
                          "help", "--man", "--markdown")
        self.assert_fails(2, "--markdown and --completion are about all commands; leave out query",
                          "help", "query", "--completion=zsh")

    def test_where_a_value_comes_from(self):
        env = {"CLICKMILL_DATA": "from-env"}
        self.assertEqual(self.data_of(), "data")
        self.write("clickmill.yaml", "data: from-file\n")
        self.assertEqual(self.data_of(), "from-file")
        self.assertEqual(self.data_of(env=env), "from-env")
        self.assertEqual(self.data_of("--data=from-line", env=env), "from-line")
        self.write("other.json", '{"data": "from-line"}')
        self.assertEqual(self.data_of("--config", "other.json"), "from-line")
        done = self.run_it("--data", "from-line", "query")
        self.assertIn("from-line", done.stderr)

    def test_configuration_errors(self):
        self.assert_fails(3, "cannot read the configuration none.yaml: No such file or directory",
                          "query", "--config", "none.yaml")
        self.write("clickmill.yaml", "data: x\nlog_levle: info\n")
        self.assert_fails(2, "clickmill.yaml:2: unknown key log_levle; did you mean log_level?",
                          "query")
        self.write("clickmill.yaml", "memory: much\n")
        self.assert_fails(2, "clickmill.yaml:1: memory wants a size in bytes (such as 64k, 512m or "
                             "2g) of at least 64k, not \"much\"", "query")
        self.assertEqual(self.run_it("help").returncode, 0)
        self.assertEqual(self.run_it("query", "--help").returncode, 0)

    def test_stdout_that_cannot_be_written(self):
        with open("/dev/full", "w") as full:
            done = self.run_it("help", stdout=full)
        self.assertEqual((done.returncode, done.stderr),
                         (4, "clickmill: cannot write to standard output: No space left on "
                             "device\n"))

    def test_a_reader_that_leaves_is_no_failure(self):
        read, write = os.pipe()
        os.close(read)
        done = self.run_it("help", stdout=write)
        os.close(write)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_completion_in_bash(self):
        script = ('. <("$0" help --completion bash); COMP_WORDS=("${@}"); '
                  'COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _clickmill; echo "${COMPREPLY[*]}"')
        for words, expected in ((["clickmill", "--data", "x", "que"], "query"),
                                (["clickmill", "query", "--window", "d"], "day"),
                                (["clickmill", "help", "pro"], "produce process"),
                                (["clickmill", "query", "--lim"], "--limit"),
                                (["clickmill", "--log-level", "w"], "warn")):
            done = subprocess.run(["bash", "-c", script, CLICKMILL, *words], text=True,
                                  capture_output=True, check=True)
            self.assertEqual(done.stdout.strip(), expected, words)

    def test_the_reference_is_what_the_program_says(self):
        with open(os.path.join(ROOT, "docs/reference.md"), encoding="utf-8") as reference:
            self.assertEqual(self.run_it("help", "--markdown").stdout, reference.read(),
                             "write it again: build/clickmill help --markdown > docs/reference.md")

    def test_manual_page_has_no_roff_warnings(self):
        for command in ([], ["query"]):
            page = self.run_it("help", "--man", *command).stdout
            done = subprocess.run(["groff", "-man", "-ww", "-Tascii"], input=page, text=True,
                                  capture_output=True, check=True)
            self.assertEqual(done.stderr, "")
            self.assertIn("EXIT STATUS", page)


if __name__ == "__main__":
    unittest.main()
