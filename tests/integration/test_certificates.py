"""TLS: versions and ciphers that are accepted, and certificates that are renewed."""

import os
import shutil
import signal
import ssl
import time
import warnings

from collect_support import Collector, Connection, good, keyed
from harness import OK
from test_collect_http import certificate
from test_run import free_port

HSTS = "max-age=31536000"
SERVERS = (("collect",), ("run", "--no-demo"), ("serve",))
EVENT = '{"user_id": "ann", "timestamp": 1772359200000, "url": "/a"}'


def start(t, command, *options, tls=True):
    return Collector(t, *options, command=command, tls=tls, check=False, data="data")


def shown(server):
    """The certificate that a new connection is shown."""
    with server.connect() as connection:
        return connection.socket.getpeercert(True)


def der(path):
    with open(path, encoding="ascii") as file:
        return ssl.PEM_cert_to_DER_cert(file.read())


def handshake(server, version, ciphers):
    """The (version, cipher) of a client with at most these abilities; None: no connection."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a warning that the version is old
        context.minimum_version = context.maximum_version = version
    context.set_ciphers(ciphers)
    with Connection(server.port) as connection:
        try:
            with context.wrap_socket(connection.socket) as wrapped:
                return wrapped.version(), wrapped.cipher()[0]
        except (ssl.SSLError, ConnectionResetError):
            return None


def test_what_is_spoken(t):
    cert, key = certificate(t)
    server = start(t, ("collect",), "--tls-cert", cert, "--tls-key", key)
    old, new = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
    for name in ("AES256-GCM-SHA384", "CHACHA20-POLY1305", "AES128-GCM-SHA256"):
        name = "ECDHE-ECDSA-" + name
        t.equal(handshake(server, old, name), ("TLSv1.2", name), name)
    t.equal(handshake(server, new, "ALL")[0], "TLSv1.3", "TLS 1.3")
    # Ciphers that encrypt and authenticate separately, or without forward secrecy.
    for name in ("ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA384", "ECDHE-ECDSA-AES128-SHA",
                 "ECDHE-ECDSA-AES256-SHA", "AES128-GCM-SHA256", "AES128-SHA"):
        t.equal(handshake(server, old, name + ":@SECLEVEL=0"), None, name)
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        t.equal(handshake(server, version, "ALL:@SECLEVEL=0"), None, str(version))
    server.process.stop(OK)


def test_clear_words_are_not_wanted(t):
    """Strict-Transport-Security in every answer over TLS, and in no other."""
    cert, key = certificate(t)
    t.ingest(EVENT)
    t.process()
    server = start(t, ("run", "--no-demo"), "--tls-cert", cert, "--tls-key", key)
    plain = start(t, ("serve",), tls=False)
    paths = ("/", "/api/summary", "/api/answers?format=csv", "/api/answers?no=1", "/healthz",
             "/readyz", "/nothing", "/pixel.gif", "/clickmill.js", "/api/status")
    for path in paths:
        t.equal(server.get(path).header("Strict-Transport-Security"), HSTS, path)
        t.equal(plain.get(path).header("Strict-Transport-Security"), None, path + " without TLS")
    for answer in (server.ask(keyed(1)), server.ask("["), server.get("/api/live", method="HEAD"),
                   server.get("/" + "x" * 9000)):
        t.equal(answer.header("Strict-Transport-Security"), HSTS, str(answer))
    for one in (server, plain):
        one.process.stop(OK)


def renew(t, server, cert, key):
    """Replaces the files and sends SIGHUP."""
    for source, name in ((cert, "now.crt"), (key, "now.key")):
        shutil.copy(source, t.path("new"))
        os.replace(t.path("new"), t.path(name))
    server.process.signal(signal.SIGHUP)


def test_certificates_are_read_again(t):
    first, second = certificate(t, "first"), certificate(t, "second")
    t.ingest(EVENT)
    t.process()
    for command in SERVERS:
        for source, name in zip(first, ("now.crt", "now.key")):
            shutil.copy(source, t.path(name))
        server = start(t, command, "--tls-cert", "now.crt", "--tls-key", "now.key")
        t.equal(shown(server), der(first[0]), "at first")
        with server.connect() as connection:
            t.equal(connection.ask(method="GET", target="/healthz").status, 200, "before")
            renew(t, server, *second)
            t.until(lambda: shown(server) == der(second[0]), "the new one is shown",
                    process=server.process)
            t.equal(connection.ask(method="GET", target="/healthz").status, 200,
                    "on a connection that was there")
            # An unusable certificate leaves the old one in use.
            for wrong in ((second[0], first[1]), (t.write("text", "x"), second[1]),
                          (t.write("none", ""), second[1])):
                before = server.process.err.count("the certificate is not renewed")
                renew(t, server, *wrong)
                t.until(lambda: server.process.err.count("the certificate is not renewed") > before,
                        "it is said", process=server.process)
                t.equal(shown(server), der(second[0]), "after " + str(wrong))
            renew(t, server, *first)
            t.until(lambda: shown(server) == der(first[0]), "the first one again",
                    process=server.process)
            if command[0] != "serve":
                good(t, connection.ask(keyed(1)))
        server.process.stop(OK)


def test_a_hangup_ends_no_server(t):
    """Without TLS there is nothing to read again, and SIGHUP has no other effect."""
    t.ingest(EVENT)
    t.process()
    for command in SERVERS:
        server = start(t, command, tls=False)
        for _ in range(3):
            server.process.signal(signal.SIGHUP)
            time.sleep(0.3)
            t.equal(server.get("/healthz").status, 200, "after SIGHUP")
        server.process.stop(OK)


def test_a_hangup_ends_other_commands(t):
    t.ingest(EVENT)
    process = t.start("process", "--every", "1s")
    t.until(lambda: "accepted" in process.err, "it works", process=process)
    process.signal(signal.SIGHUP)
    process.wait(OK)


def test_a_terminal_that_goes(t):
    """SIGHUP from the kernel, when the terminal is closed, ends a server, unless it ignores the
    signal."""
    for ignored in (False, True):
        port = free_port()
        pid, terminal = os.forkpty()
        if pid == 0:
            if ignored:
                signal.signal(signal.SIGHUP, signal.SIG_IGN)
            os.chdir(t.dir)
            os.environ.pop("CLICKMILL_LISTEN", None)
            os.execv(t.program, [t.program, "run", "--no-demo", "--listen", "127.0.0.1:%d" % port])
        said = b""
        while b"dashboard and API on" not in said:
            said += os.read(terminal, 4096)
        os.close(terminal)
        if ignored:
            time.sleep(1)
            t.equal(os.waitpid(pid, os.WNOHANG), (0, 0), "a program that was told")
            os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + 20
        done, status = 0, 0
        while done == 0 and time.monotonic() < end:
            done, status = os.waitpid(pid, os.WNOHANG)
            time.sleep(0.05)
        if done == 0:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        t.equal((done, os.waitstatus_to_exitcode(status)), (pid, OK), "its end")
