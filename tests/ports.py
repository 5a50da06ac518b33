"""Free ports for tests that run in parallel, also with those of another run on this machine.

A port that was found free is taken by the first process that asks. So each is held, from when it is found
until it is let go or the process ends, by a socket of an abstract name, which leaves no file. They
lie below those that the kernel gives to clients.
"""

import random
import socket

FIRST, LAST = 10500, 32500
chance = random.SystemRandom()
held = {}


def hold(ports):
    """Reserves these ports for this process; False when another process has reserved one."""
    taken = []
    for port in ports:
        mark = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            mark.bind("\0clickmill-test-port-%d" % port)
        except OSError:
            mark.close()
            let_go(taken)
            return False
        held[port] = mark
        taken.append(port)
    return True


def let_go(ports):
    for port in ports:
        if port in held:
            held.pop(port).close()


def free(port):
    """Whether no program listens there, or has just done so, on any address."""
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def one():
    """A port that is free, and stays so for this process."""
    for _ in range(1000):
        port = chance.randrange(FIRST, LAST)
        if hold([port]):
            if free(port):
                return port
            let_go([port])
    raise AssertionError("no free port")


def offset(usual):
    """A number that makes all the usual ports, moved by it, free; they stay so for this process."""
    for _ in range(1000):
        moved = chance.randrange(FIRST - min(usual), LAST - max(usual))
        ports = [port + moved for port in set(usual)]
        if hold(ports):
            if all(map(free, ports)):
                return moved
            let_go(ports)
    raise AssertionError("no free ports")
