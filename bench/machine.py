"""Describes this machine for the results."""

import os
import platform
import subprocess


def describe(cores):
    """A dict of the machine; `cores` are the processors that the programs may use."""
    return {"cpu": cpu_model(), "processors": os.cpu_count(), "processors_used": len(cores),
            "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
            "kernel": platform.release(), "system": system(), "architecture": platform.machine()}


def cpu_model():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def system():
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def load():
    """The load average of the last minute, so that readers can recognize a busy machine."""
    return os.getloadavg()[0]


def revision(root):
    """The measured commit, with a + where the files differ from it."""
    try:
        done = subprocess.run(["git", "-C", root, "describe", "--always", "--abbrev=12",
                               "--dirty=+"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True, check=False)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"
