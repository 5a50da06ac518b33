"""Processes, ports and memory of this machine, read from /proc.

A process is identified by its id, its start time (ticks since boot) and the id of the boot: so an id
that another process has got since, or had before a reboot, is never mistaken for it.
"""

import errno
import os
import signal
import socket
import subprocess
import time

PROC = "/proc"


def read(path):
    """The text of a file of /proc, None when it is gone or may not be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return None


def boot():
    return (read(PROC + "/sys/kernel/random/boot_id") or "").strip()


def started(pid):
    """The start time of a process in ticks since boot; None when there is none, or a zombie."""
    text = read("%s/%d/stat" % (PROC, pid))
    if text is None:
        return None
    # The name is in parentheses and may contain anything; the state is the first field after it.
    fields = text[text.rindex(")") + 2:].split()
    # The first thread may have ended while other threads run or release memory.
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
    """True while the identified process runs or is stopped by a signal."""
    return (process["start"] is not None and process["boot"] == boot()
            and started(process["pid"]) == process["start"])


def paused(process):
    text = read("%s/%d/stat" % (PROC, process["pid"])) or ") ?"
    return text[text.rindex(")") + 2:][:1] == "T"


def send(process, number):
    """Sends a signal to the identified process; False when it is gone."""
    if not alive(process):
        return False
    try:
        os.kill(process["pid"], number)
    except ProcessLookupError:
        return False
    return True


def end(processes, timeout):
    """Ends processes: SIGTERM to all, up to `timeout` seconds of waiting, SIGKILL.

    Returns those that had to be killed.
    """
    for process in processes:
        send(process, signal.SIGTERM)
        send(process, signal.SIGCONT)  # a stopped process does not receive SIGTERM
    if wait_gone(processes, timeout):
        return []
    late = [process for process in processes if send(process, signal.SIGKILL)]
    wait_gone(late, 10)
    return late


def wait_gone(processes, timeout):
    until = time.monotonic() + timeout
    while any(alive(process) for process in processes):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def wait_paused(processes, want, timeout):
    """Waits until the processes are stopped or continued, which is after kill() has returned."""
    until = time.monotonic() + timeout
    while any(alive(process) and paused(process) != want for process in processes):
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def resident(pid):
    """Resident memory of a process in bytes, 0 when it is gone."""
    for line in (read("%s/%d/status" % (PROC, pid)) or "").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def available():
    """Available memory without swapping, in bytes; None when the kernel does not report it."""
    for line in (read(PROC + "/meminfo") or "").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def spawn(argv, log, cwd, environment):
    """Starts a process in its own session, with its output in a file. Returns the Popen."""
    if os.path.exists(log):
        os.replace(log, log + ".1")
    with open(log, "wb") as output:
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output,
                                stderr=subprocess.STDOUT, cwd=cwd, env=environment,
                                start_new_session=True)


def taken(port, host="127.0.0.1"):
    """True when a server cannot listen there."""
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
    """The sockets that listen there or at all addresses."""
    known = {"%08X" % int.from_bytes(socket.inet_aton(host), "little"), "00000000"}
    inodes = set()
    for table in ("tcp", "tcp6"):
        for line in (read("%s/net/%s" % (PROC, table)) or "").splitlines()[1:]:
            fields = line.split()
            address, _, number = fields[1].rpartition(":")
            # An IPv6 address ends with the IPv4 address that it contains.
            if fields[3] == "0A" and int(number, 16) == port and address[-8:] in known:
                inodes.add("socket:[%s]" % fields[9])
    return inodes


def holder(port, host="127.0.0.1"):
    """(pid, program) of the process that listens on a port; None for another user's process."""
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
    """The name of a process: the program, and for Java also the main class."""
    words = (read("%s/%d/cmdline" % (PROC, pid)) or "").split("\0")
    name = os.path.basename(words[0]) or (read("%s/%d/comm" % (PROC, pid)) or "?").strip()
    if name == "java":
        classes = [word for word in words[1:] if word.count(".") >= 2 and "/" not in word
                   and not word.startswith("-") and "=" not in word]
        name += " " + classes[0] if classes else ""
    return name
