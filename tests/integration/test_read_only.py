"""A data directory that cannot be written is read all the same, and left as it is."""

import json
import os
import shutil
import subprocess

from collect_support import Collector, keyed
from harness import CLICKMILL
from test_run import free_port


def state(directory):
    """All that a reader could have changed."""
    found = [("", os.stat(directory).st_mtime_ns)]
    for name in sorted(os.listdir(directory)):
        info = os.stat(os.path.join(directory, name))
        found.append((name, info.st_mtime_ns, info.st_ctime_ns, info.st_size, info.st_mode))
    return found


def make(t):
    """A store of 100 events that was processed."""
    t.ingest([{"user_id": "u", "timestamp": 1747476303000 + i, "url": "/a"} for i in range(100)])
    t.process()


def ask(t, data, run):
    """Asks everything that reads; `run` runs the program's arguments in the right surroundings."""
    before = state(t.path(data))
    query = run("query", "--data", data, "--format", "csv").out
    t.equal(query.splitlines()[1].split(",")[:3], ["/a", "Unknown", "100"], "query")
    t.equal(len(run("export", "--data", data).out.splitlines()), 100, "export")
    run("verify", "--data", data)
    run("dead", "list", "--data", data)
    t.equal(state(t.path(data)), before, "the directory")


def test_no_rights_to_write(t):
    """As root, whom rights do not stop, and as another user, whom they do."""
    make(t)
    os.chmod(t.path("data"), 0o555)
    ask(t, "data", t.clickmill)
    if os.geteuid() != 0:
        return
    os.chmod(t.dir, 0o755)
    os.chmod(t.path("data"), 0o755)
    os.chmod(t.path("data", "clickmill.db"), 0o644)
    program = t.path("clickmill")
    shutil.copy(CLICKMILL, program)  # where another user may read it
    t.program = program

    def other(*args):
        return t.clickmill(*args, preexec=lambda: (os.setgroups([]), os.setgid(65534),
                                                   os.setuid(65534)))
    ask(t, "data", other)


def mounted(t, data, script):
    """Runs a script of the shell where the directory is mounted for reading only."""
    done = subprocess.run(
        ["unshare", "-m", "sh", "-ec", 'mount --bind "$D" "$D"; mount -o remount,ro,bind "$D"; '
         "test ! -w \"$D\"; " + script],
        env=t.environment({"D": t.path(data), "CM": t.program}), cwd=t.dir, capture_output=True,
        timeout=60)
    t.equal((done.returncode, done.stderr.decode()[-300:] if done.returncode else ""), (0, ""),
            "exit status of " + script)
    return done.stdout.decode()


def need_mounts(t):
    os.mkdir(t.path("try"))
    done = subprocess.run(["unshare", "-m", "sh", "-ec", 'mount --bind "$0" "$0"; '
                           'mount -o remount,ro,bind "$0"', t.path("try")], capture_output=True)
    if done.returncode:
        t.skip("nothing can be mounted here: " + done.stderr.decode().strip())


def test_read_only_mount(t):
    need_mounts(t)
    make(t)
    before = state(t.path("data"))
    out = mounted(t, "data", '"$CM" query --data "$D" --format csv | cut -d, -f1-3; '
                  '"$CM" export --data "$D" | wc -l; "$CM" verify --data "$D" >/dev/null')
    t.equal(out, "url,country,clicks\n/a,Unknown,100\n100\n", "answers")
    port = free_port()
    out = mounted(t, "data", '"$CM" serve --data "$D" --listen 127.0.0.1:%d >/dev/null 2>&1 & '
                  'P=$!; for i in $(seq 200); do curl -sf "http://127.0.0.1:%d/api/pages?window=all" '
                  "&& break; sleep 0.05; done; kill $P; wait $P" % (port, port))
    t.true('"clicks":100' in out.replace(" ", ""), "no answers from serve: %r" % out)
    t.equal(state(t.path("data")), before, "the directory")


def test_left_by_a_crash(t):
    """What was acknowledged is in the log alone; it is read from there."""
    need_mounts(t)
    collector = Collector(t, check=False)
    collector.ask([keyed(number) for number in range(50)])
    # As a disk is left by a loss of power; a socket is no file to copy.
    shutil.copytree(t.path("data"), t.path("copy"), ignore=shutil.ignore_patterns("*.sock"))
    collector.stop()
    t.true(os.path.getsize(t.path("copy", "clickmill.db-wal")) > 0, "the log is empty")
    for without in ("", "clickmill.db-shm"):
        if without:
            os.remove(t.path("copy", without))
        before = state(t.path("copy"))
        out = mounted(t, "copy", '"$CM" export --data "$D"')
        t.equal(sorted(json.loads(line)["row_key"] for line in out.splitlines()),
                sorted("key-%d" % number for number in range(50)), "events")
        t.equal(state(t.path("copy")), before, "the directory")


def test_beside_a_writer(t):
    """The writer has the directory elsewhere: its commits are seen as they come."""
    need_mounts(t)
    collector = Collector(t, check=False)
    for count in (10, 20):
        collector.ask([keyed(number) for number in range(count - 10, count)])
        out = mounted(t, "data", '"$CM" export --data "$D" | wc -l')
        t.equal(out, "%d\n" % count, "events")
    t.equal(len(collector.stop()), 20, "events in the end")
