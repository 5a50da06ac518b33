"""The parts of Kafka's protocol that log in, list brokers and topics, and create a topic.

A tool in Java needs seconds for these few bytes. Formats are those of
https://kafka.apache.org/protocol, in versions that both Kafka 3.9 and 4.3 understand.
"""

import base64
import hashlib
import hmac
import os
import socket
import struct

API_VERSIONS, METADATA, LIST_OFFSETS, CREATE_TOPICS, HANDSHAKE, AUTHENTICATE = 18, 3, 2, 19, 17, 36
TOPIC_EXISTS, NO_SUCH_TOPIC = 36, 3
# Errors that go away: unknown error, timeout, not enough brokers for the copies, not the controller.
TEMPORARY = (-1, 7, 38, 41)


class KafkaError(Exception):
    """The broker answers with an error; `code` is Kafka's number."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


def text(value):
    if value is None:
        return struct.pack(">h", -1)
    raw = value.encode()
    return struct.pack(">h", len(raw)) + raw


def array(entries):
    return struct.pack(">i", len(entries)) + b"".join(entries)


class Reader:
    def __init__(self, raw):
        self.raw, self.at = raw, 0

    def take(self, layout):
        size = struct.calcsize(">" + layout)
        value = struct.unpack_from(">" + layout, self.raw, self.at)[0]
        self.at += size
        return value

    def bytes(self, layout="i"):
        size = self.take(layout)
        if size < 0:
            return None
        self.at += size
        return self.raw[self.at - size:self.at]

    def text(self):
        raw = self.bytes("h")
        return None if raw is None else raw.decode()

    def array(self, entry):
        return [entry() for _ in range(self.take("i"))]

    def numbers(self):
        return self.array(lambda: self.take("i"))


class Connection:
    """A connection to one broker. `tls` is an ssl.SSLContext or None, `login` (mechanism, user
    name, password) or None."""

    def __init__(self, host, port, timeout=5, tls=None, login=None):
        self.socket = socket.create_connection((host, port), timeout)
        self.count = 0
        try:
            if tls is not None:
                self.socket = tls.wrap_socket(self.socket, server_hostname=host)
            if login is not None:
                self.login(*login)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def ask(self, key, version, body):
        self.count += 1
        message = struct.pack(">hhi", key, version, self.count) + text("stack") + body
        self.socket.sendall(struct.pack(">i", len(message)) + message)
        answer = Reader(self.receive(struct.unpack(">i", self.receive(4))[0]))
        if answer.take("i") != self.count:
            raise ConnectionError("an answer to another request")
        return answer

    def receive(self, size):
        raw = b""
        while len(raw) < size:
            more = self.socket.recv(size - len(raw))
            if not more:
                raise ConnectionError("the broker closed the connection")
            raw += more
        return raw

    # ---- logging in

    def login(self, mechanism, user, password):
        answer = self.ask(HANDSHAKE, 1, text(mechanism))
        code = answer.take("h")
        if code != 0:
            raise KafkaError(code, "the broker supports %s, not %s" % (
                ", ".join(answer.array(answer.text)), mechanism))
        if mechanism == "PLAIN":
            self.authenticate(("\0%s\0%s" % (user, password)).encode())
        else:
            self.scram(mechanism, user, password)

    def authenticate(self, raw):
        answer = self.ask(AUTHENTICATE, 0, struct.pack(">i", len(raw)) + raw)
        code, message = answer.take("h"), answer.text()
        if code != 0:
            raise KafkaError(code, message or "the broker refuses the login")
        return answer.bytes()

    def scram(self, mechanism, user, password):
        """RFC 5802 with the hash of the mechanism."""
        algorithm = mechanism.replace("SCRAM-", "").replace("-", "").lower()

        def mac(key, message):
            return hmac.new(key, message, algorithm).digest()

        nonce = base64.b64encode(os.urandom(18)).decode()
        first = "n=%s,r=%s" % (user.replace("=", "=3D").replace(",", "=2C"), nonce)
        reply = self.authenticate(("n,," + first).encode()).decode()
        fields = dict(part.split("=", 1) for part in reply.split(","))
        if not fields["r"].startswith(nonce):
            raise KafkaError(-1, "the broker answers with a wrong nonce")
        salted = hashlib.pbkdf2_hmac(algorithm, password.encode(), base64.b64decode(fields["s"]),
                                     int(fields["i"]))
        final = "c=biws,r=" + fields["r"]
        signed = ",".join((first, reply, final)).encode()
        client = mac(salted, b"Client Key")
        stored = hashlib.new(algorithm, client).digest()
        proof = bytes(a ^ b for a, b in zip(client, mac(stored, signed)))
        reply = self.authenticate(
            ("%s,p=%s" % (final, base64.b64encode(proof).decode())).encode()).decode()
        if reply != "v=" + base64.b64encode(mac(mac(salted, b"Server Key"), signed)).decode():
            raise KafkaError(-1, "the broker does not know the password it asks for")

    # ---- requests

    def api_versions(self):
        """{request: (oldest, newest version)}"""
        answer = self.ask(API_VERSIONS, 0, b"")
        code = answer.take("h")
        if code != 0:
            raise KafkaError(code, "ApiVersions: error %d" % code)
        rows = answer.array(lambda: (answer.take("h"), answer.take("h"), answer.take("h")))
        return {key: (oldest, newest) for key, oldest, newest in rows}

    def metadata(self, topics=None):
        """{"brokers": {id: (host, port)}, "controller": id, "topics": {name: {...}}}"""
        wanted = struct.pack(">i", -1) if topics is None else array([text(t) for t in topics])
        answer = self.ask(METADATA, 4, wanted + b"\0")
        answer.take("i")
        brokers = answer.array(lambda: (answer.take("i"), answer.text(), answer.take("i"),
                                        answer.text()))
        answer.text()
        controller = answer.take("i")

        def partition():
            code, index, leader = answer.take("h"), answer.take("i"), answer.take("i")
            return index, {"error": code, "leader": leader, "replicas": answer.numbers(),
                           "isr": answer.numbers()}

        def topic():
            code, name, internal = answer.take("h"), answer.text(), answer.take("?")
            return name, {"error": code, "internal": internal,
                          "partitions": dict(sorted(answer.array(partition)))}

        return {"brokers": {row[0]: row[1:3] for row in brokers}, "controller": controller,
                "topics": dict(answer.array(topic))}

    def create_topic(self, name, partitions, replication=1, configuration=None, timeout=20):
        settings = array([text(key) + text(str(value))
                          for key, value in (configuration or {}).items()])
        topic = text(name) + struct.pack(">ih", partitions, replication) + array([]) + settings
        self.socket.settimeout(timeout + 5)
        answer = self.ask(CREATE_TOPICS, 2,
                          array([topic]) + struct.pack(">i?", timeout * 1000, False))
        answer.take("i")
        for _, code, message in answer.array(
                lambda: (answer.text(), answer.take("h"), answer.text())):
            if code != 0:
                raise KafkaError(code, message or "CreateTopics: error %d" % code)

    def offsets(self, name, partitions, time=-1):
        """{partition: offset} of the end (-1) or of the beginning (-2)."""
        rows = array([struct.pack(">iq", partition, time) for partition in partitions])
        answer = self.ask(LIST_OFFSETS, 1, struct.pack(">i", -1) + array([text(name) + rows]))

        def row():
            index, code, _, offset = (answer.take("i"), answer.take("h"), answer.take("q"),
                                      answer.take("q"))
            if code != 0:
                raise KafkaError(code, "ListOffsets of partition %d: error %d" % (index, code))
            return index, offset

        return dict(answer.array(lambda: (answer.text(), dict(answer.array(row))))[0][1])
