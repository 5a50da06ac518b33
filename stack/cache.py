"""Downloads: jars and archives by Maven, Python packages by pip.

They lie under ${XDG_CACHE_HOME:-$HOME/.cache}/clickmill/stack, one folder per item, which is complete
when it contains the file `complete`. The name of a folder contains a hash of what it is made from, and
a complete folder never changes, because engines may run from it. Two processes that need the same
item at the same time share the download: one waits.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile

from .errors import Missing, StackError

DEPENDENCY_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1"
JAVA = (17, 21)  # in this order; docs/stack.md lists the engines that start on each


def root():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "clickmill", "stack")


def java_release(program):
    """The feature release of a java program, None when it cannot be run."""
    try:
        done = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)
    except OSError:
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', done.stderr + done.stdout)
    return int(found.group(1)) if found else None


def java_home():
    """The home of a Java 17, else of a Java 21: from JAVA_HOME, PATH or Debian's directory."""
    candidates = []
    if os.environ.get("JAVA_HOME"):
        candidates.append(os.path.join(os.environ["JAVA_HOME"], "bin", "java"))
    candidates.append(shutil.which("java"))
    if os.path.isdir("/usr/lib/jvm"):
        candidates += ["/usr/lib/jvm/%s/bin/java" % name
                       for name in sorted(os.listdir("/usr/lib/jvm")) if re.search("17|21", name)]
    releases = [(java_release(candidate), candidate) for candidate in candidates if candidate]
    for wanted in JAVA:
        for release, candidate in releases:
            if release == wanted:
                return os.path.dirname(os.path.dirname(os.path.realpath(candidate)))
    raise Missing("the engines need Java 17 or 21, which is neither in JAVA_HOME nor in PATH: run "
                  "scripts/setup.sh stack, or install a JDK 17 and set JAVA_HOME")


@contextlib.contextmanager
def item(name, recipe, say):
    """The folder of an item, and whether it must be filled. `recipe` says what it is made from."""
    key = hashlib.sha256(recipe.encode()).hexdigest()[:8]
    folder = os.path.join(root(), "%s-%s" % (name, key))
    mark = os.path.join(folder, "complete")
    os.makedirs(root(), exist_ok=True)
    with open(folder + ".lock", "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process downloads %s; waiting" % name)
            fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(mark):
            yield folder, False
            return
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        yield folder, True
        open(mark, "w", encoding="ascii").close()


def run(argv, what, cwd=None, environment=None, raises=StackError):
    """Runs a helper program and returns its output; its last lines are the reason of an error."""
    try:
        done = subprocess.run(argv, cwd=cwd, env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", check=False)
    except OSError as error:
        raise Missing("%s needs %s, which cannot be run (%s): run scripts/setup.sh stack"
                      % (what, argv[0], error.strerror)) from None
    if done.returncode != 0:
        lines = [line for line in done.stdout.splitlines() if line.strip()][-8:]
        raise raises("%s failed:\n  %s" % (what, "\n  ".join(lines)))
    return done.stdout


def maven(arguments, what, cwd, java):
    repository = os.path.join(root(), "maven")
    with open(repository + ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two processes must not write one repository
        run(["mvn", "-q", "-B", "-ntp", "-Dmaven.repo.local=" + repository, *arguments], what,
            cwd, dict(os.environ, JAVA_HOME=java), Missing)


def jars(name, pom, java, say):
    """A folder with the jars of a pom and of all its dependencies."""
    with item(name, pom, say) as (folder, empty):
        libraries = os.path.join(folder, "libs")
        if empty:
            say("%s: downloading its jars" % name)
            with open(os.path.join(folder, "pom.xml"), "w", encoding="utf-8") as file:
                file.write(pom)
            maven([DEPENDENCY_PLUGIN + ":build-classpath", "-DincludeScope=runtime",
                   "-Dmdep.outputFile=classpath"], "downloading " + name, folder, java)
            os.mkdir(libraries)
            with open(os.path.join(folder, "classpath"), encoding="utf-8") as file:
                for jar in file.read().strip().split(os.pathsep):
                    os.link(jar, os.path.join(libraries, os.path.basename(jar)))
        return libraries


def archive(name, artifact, java, say):
    """The path of a zip, by its Maven coordinates GROUP:NAME:VERSION:zip."""
    with item(name, artifact, say) as (folder, empty):
        group, artifact_name, version, kind = artifact.split(":")
        path = os.path.join(folder, "%s-%s.%s" % (artifact_name, version, kind))
        if empty:
            say("%s: downloading" % name)
            maven([DEPENDENCY_PLUGIN + ":get", "-Dtransitive=false", "-Dartifact=" + artifact],
                  "downloading " + name, folder, java)
            os.link(os.path.join(root(), "maven", *group.split("."), artifact_name, version,
                                 os.path.basename(path)), path)
            with zipfile.ZipFile(path) as opened:
                if opened.testzip() is not None:
                    raise Missing("%s is damaged: remove %s and try again" % (path, folder))
        return path


def python_packages(name, packages, say):
    """A virtual environment with these packages, pinned."""
    with item(name, " ".join(packages), say) as (folder, empty):
        if empty:
            say("%s: installing %s" % (name, " ".join(packages)))
            run([sys.executable, "-m", "venv", folder], "making a virtual environment",
                raises=Missing)
            run([os.path.join(folder, "bin", "pip"), "install", "-q", *packages],
                "installing " + " ".join(packages), raises=Missing)
        return folder
