"""Runs one program and measures wall seconds, CPU seconds and peak memory.

The peak is ru_maxrss of the child. The kernel counts in it what the parent held when it started the
child, so a program that calls run() has to stay small itself: big answers are compared as sorted
files, never read into memory.
"""

import os
import statistics
import subprocess
import tempfile
import time


class Failed(Exception):
    """A program ended with an exit status other than 0; the text has its last lines."""


def run(args, stdout=os.devnull, env=None, cwd=None):
    """Runs a program to its end, with its stdout in a file. Returns a dict of the measurements."""
    os.sync()  # writes of an earlier program must not slow this one down
    with open(stdout, "wb") as out, tempfile.TemporaryFile() as err:
        started = time.perf_counter()
        process = subprocess.Popen([str(arg) for arg in args], stdin=subprocess.DEVNULL, stdout=out,
                                   stderr=err, env=env, cwd=cwd)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:  # interrupted: end the program
            process.kill()
            process.wait()
            raise
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            err.seek(0)
            raise Failed("exit status %d of: %s\n%s" % (
                process.returncode, " ".join(map(str, args)),
                err.read().decode(errors="replace")[-2000:]))
    return {"seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime,
            "peak_bytes": usage.ru_maxrss * 1024}


def median(runs, field):
    """The median of a field of the runs; None when no run has it."""
    values = [run[field] for run in runs if run.get(field) is not None]
    return statistics.median(values) if values else None


def disk_bytes(path):
    """The bytes of a file, or of all files of a directory."""
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(os.path.join(parent, name))
               for parent, _, names in os.walk(path) for name in names)
