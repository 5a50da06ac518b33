"""Processes, ports and memory of this machine, as /proc has them.

A process is known by its id, the time it was started (ticks since boot) and the boot: a number
that was given to another process since, or before a reboot, is never taken for ours.
"""

import errno
import os
import signal
import socket
import subprocess
import time

PROC = "/proc"


def read(path):
    """The text of a file of /proc, None when it is gone or not ours to read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return None


def boot():
    return (read(PROC + "/sys/kernel/random/boot_id") or "").strip()


def started(pid):
    """When the process was started, in ticks since boot; None for none and for a zombie."""
    text = read("%s/%d/stat" % (PROC, pid))
    if text is None:
        return None
    # The name stands in parentheses and may hold anything; the state is the first field after it.
    fields = text[text.rindex(")") + 2:].split()
    # The first thread may be gone while others run, or still give back what the process held.
    if fields[0] in ("Z", "X") and threads(pid) <= 1:
        return None
    return int(fields[19])


def threads(pid):
    try:
        return len(os.listdir("%s/%d/task" % (PROC, pid)))
    except OSError:
        return 0


def identify(pid):
    return {"pid": pid, "start": started(pid), "boot": boot()}


def children(pid):
    """Ids of the processes that a process has started."""
    found = []
    for other in filter(str.isdigit, os.listdir(PROC)):
        fields = (read("%s/%s/stat" % (PROC, other)) or ") ? 0").rpartition(")")[2].split()
        if int(fields[1]) == pid:
            found.append(int(other))
    return found


def alive(process):
    """True while the very process that was identified runs (or is stopped by a signal)."""
    return (process["start"] is not None and process["boot"] == boot()
            and started(process["pid"]) == process["start"])


def paused(process):
    text = read("%s/%d/stat" % (PROC, process["pid"])) or ") ?"
    return text[text.rindex(")") + 2:][:1] == "T"


def send(process, number):
    """Sends a signal to that very process; False when it is gone."""
    if not alive(process):
        return False
    try:
        os.kill(process["pid"], number)
    except ProcessLookupError:
        return False
    return True


def end(processes, patience):
    """Ends processes, all at once: asks, waits up to `patience` seconds, kills.

    Returns those that had to be killed.
    """
    for process in processes:
        send(process, signal.SIGTERM)
        send(process, signal.SIGCONT)  # a paused one would never hear of it
    if wait_gone(processes, patience):
        return []
    late = [process for process in processes if send(process, signal.SIGKILL)]
    wait_gone(late, 10)
    return late


def wait_gone(processes, patience):
    until = time.monotonic() + patience
    while any(alive(process) for process in processes):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def wait_paused(processes, want, patience):
    """A stop takes effect when the process is next given time, which is after kill() returns."""
    until = time.monotonic() + patience
    while any(alive(process) and paused(process) != want for process in processes):
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def resident(pid):
    """Memory of a process in bytes, 0 when it is gone."""
    for line in (read("%s/%d/status" % (PROC, pid)) or "").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def available():
    """Memory that can be had without swapping, in bytes; None when the kernel does not say."""
    for line in (read(PROC + "/meminfo") or "").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def spawn(argv, log, cwd, environment):
    """Starts a process in a session of its own, its output in a file. Returns the Popen."""
    if os.path.exists(log):
        os.replace(log, log + ".1")
    with open(log, "wb") as output:
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output,
                                stderr=subprocess.STDOUT, cwd=cwd, env=environment,
                                start_new_session=True)


def taken(port, host="127.0.0.1"):
    """True when a server of ours could not listen there."""
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((host, port))
            tried.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return True
            raise
    return False


def listening_inodes(port, host):
    """Sockets that listen there, or at all addresses."""
    known = {"%08X" % int.from_bytes(socket.inet_aton(host), "little"), "00000000"}
    inodes = set()
    for table in ("tcp", "tcp6"):
        for line in (read("%s/net/%s" % (PROC, table)) or "").splitlines()[1:]:
            fields = line.split()
            address, _, number = fields[1].rpartition(":")
            # An address of IPv4 stands at the end of one of IPv6.
            if fields[3] == "0A" and int(number, 16) == port and address[-8:] in known:
                inodes.add("socket:[%s]" % fields[9])
    return inodes


def holder(port, host="127.0.0.1"):
    """(pid, program) of who listens on a port; None when that is another user's secret."""
    inodes = listening_inodes(port, host)
    for pid in filter(str.isdigit, os.listdir(PROC)) if inodes else ():
        folder = "%s/%s/fd" % (PROC, pid)
        try:
            files = os.listdir(folder)
        except OSError:
            continue
        for file in files:
            try:
                if os.readlink(folder + "/" + file) in inodes:
                    return int(pid), program(int(pid))
            except OSError:
                continue
    return None


def program(pid):
    """What a process calls itself: the program, and of Java the main class."""
    words = (read("%s/%d/cmdline" % (PROC, pid)) or "").split("\0")
    name = os.path.basename(words[0]) or (read("%s/%d/comm" % (PROC, pid)) or "?").strip()
    if name == "java":
        classes = [word for word in words[1:] if word.count(".") >= 2 and "/" not in word
                   and not word.startswith("-") and "=" not in word]
        name += " " + classes[0] if classes else ""
    return name
