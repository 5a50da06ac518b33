"""The parts of Cassandra's native protocol (v4) that log in and run a query.

Formats are those of native_protocol_v4.spec in Cassandra's doc/ folder.
"""

import socket
import struct

ERROR, STARTUP, READY, AUTHENTICATE, OPTIONS, SUPPORTED = 0x00, 0x01, 0x02, 0x03, 0x05, 0x06
QUERY, RESULT, AUTH_RESPONSE, AUTH_SUCCESS = 0x07, 0x08, 0x0F, 0x10
ROWS = 2
BAD_CREDENTIALS = 0x0100
ONE = 0x0001


class CqlError(Exception):
    """Cassandra answers with an error; `code` is its number."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


def text(value):
    raw = value.encode()
    return struct.pack(">H", len(raw)) + raw


def string_at(body, at):
    size = struct.unpack_from(">H", body, at)[0]
    return body[at + 2:at + 2 + size].decode(), at + 2 + size


class Connection:
    """A connection to one node. `tls` is an ssl.SSLContext or None, `login` (user name, password)
    or None."""

    def __init__(self, host, port, timeout=5, tls=None, login=None):
        self.socket = socket.create_connection((host, port), timeout)
        try:
            if tls is not None:
                self.socket = tls.wrap_socket(self.socket, server_hostname=host)
            self.options = self.ask(OPTIONS, b"", SUPPORTED)
            opcode, _ = self.exchange(STARTUP, b"\0\1" + text("CQL_VERSION") + text("3.0.0"))
            if opcode == AUTHENTICATE:
                if login is None:
                    raise CqlError(BAD_CREDENTIALS, "a user name and a password are required")
                token = ("\0%s\0%s" % login).encode()
                self.ask(AUTH_RESPONSE, struct.pack(">i", len(token)) + token, AUTH_SUCCESS)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def exchange(self, opcode, body):
        self.socket.sendall(struct.pack(">BBhBi", 4, 0, 0, opcode, len(body)) + body)
        _, _, _, answer, size = struct.unpack(">BBhBi", self.receive(9))
        body = self.receive(size)
        if answer == ERROR:
            raise CqlError(struct.unpack_from(">i", body)[0], string_at(body, 4)[0])
        return answer, body

    def ask(self, opcode, body, wanted):
        answer, body = self.exchange(opcode, body)
        if answer != wanted:
            raise ConnectionError("opcode %d was expected, got %d" % (wanted, answer))
        return body

    def receive(self, size):
        raw = b""
        while len(raw) < size:
            more = self.socket.recv(size - len(raw))
            if not more:
                raise ConnectionError("the node closed the connection")
            raw += more
        return raw

    def query(self, statement):
        """Runs a statement. Returns rows as lists of bytes (None for null), of simple types only."""
        raw = statement.encode()
        body = self.ask(QUERY, struct.pack(">i", len(raw)) + raw + struct.pack(">HB", ONE, 0),
                        RESULT)
        return rows(body) if struct.unpack_from(">i", body)[0] == ROWS else []


def rows(body):
    flags, columns = struct.unpack_from(">ii", body, 4)
    at = 12
    if flags & 1:  # keyspace and table once for all columns
        for _ in range(2):
            _, at = string_at(body, at)
    for _ in range(columns):
        for _ in range(1 if flags & 1 else 3):
            _, at = string_at(body, at)
        if struct.unpack_from(">H", body, at)[0] >= 0x20:
            raise ValueError("a column of a collection type")
        at += 2
    count = struct.unpack_from(">i", body, at)[0]
    at += 4
    found = []
    for _ in range(count):
        row = []
        for _ in range(columns):
            size = struct.unpack_from(">i", body, at)[0]
            row.append(None if size < 0 else body[at + 4:at + 4 + size])
            at += 4 + max(size, 0)
        found.append(row)
    return found
