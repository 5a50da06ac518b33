"""A writer of the MaxMind DB format (version 2.0 of its specification), as small as it can be."""

import ipaddress
import struct

MARK = b"\xab\xcd\xefMaxMind.com"
SEPARATOR = b"\0" * 16
TEXT, DOUBLE, UINT16, UINT32, MAP, UINT64, ARRAY = 2, 3, 5, 6, 7, 9, 11


def control(kind, size):
    assert size < 285
    first = (kind << 5 if kind < 8 else 0) | min(size, 29)
    return bytes([first]) + (bytes([kind - 7]) if kind >= 8 else b"") + (
        bytes([size - 29]) if size >= 29 else b"")


def number(kind, value):
    data = value.to_bytes(8, "big").lstrip(b"\0")
    return control(kind, len(data)) + data


def encode(value):
    if isinstance(value, str):
        data = value.encode()
        return control(TEXT, len(data)) + data
    if isinstance(value, float):
        return control(DOUBLE, 8) + struct.pack(">d", value)
    if isinstance(value, int):
        return number(UINT32, value)
    if isinstance(value, list):
        return control(ARRAY, len(value)) + b"".join(map(encode, value))
    assert isinstance(value, dict)
    return control(MAP, len(value)) + b"".join(encode(key) + encode(entry)
                                               for key, entry in value.items())


def build(networks, version=6):
    """The bytes of a database from {"192.0.2.0/24": record}; IPv4 lies at ::/96 of an IPv6 tree."""
    nodes, data, offsets = [[None, None]], b"", {}
    for text, record in networks.items():
        network = ipaddress.ip_network(text)
        bits, length = int(network.network_address), network.prefixlen
        width = 32 if network.version == 4 else 128
        if version == 6 and width == 32:
            width, length = 128, length + 96
        encoded = encode(record)
        if encoded not in offsets:
            offsets[encoded] = len(data)
            data += encoded
        node = 0
        for depth in range(length):
            bit = bits >> (width - 1 - depth) & 1
            if depth == length - 1:
                nodes[node][bit] = ("data", offsets[encoded])
            else:
                if nodes[node][bit] is None:
                    nodes.append([None, None])
                    nodes[node][bit] = len(nodes) - 1
                node = nodes[node][bit]
    tree = b"".join(entry(target, len(nodes)) for node in nodes for target in node)
    meta = (control(MAP, 9) + encode("node_count") + number(UINT32, len(nodes))
            + encode("record_size") + number(UINT16, 32) + encode("ip_version")
            + number(UINT16, version) + encode("database_type") + encode("Test")
            + encode("languages") + encode(["en"])
            + encode("binary_format_major_version") + number(UINT16, 2)
            + encode("binary_format_minor_version") + number(UINT16, 0)
            + encode("build_epoch") + number(UINT64, 1431857114)
            + encode("description") + encode({"en": "test"}))
    return tree + SEPARATOR + data + MARK + meta


def entry(target, count):
    if target is None:
        target = count
    elif isinstance(target, tuple):
        target = count + len(SEPARATOR) + target[1]
    return target.to_bytes(4, "big")
