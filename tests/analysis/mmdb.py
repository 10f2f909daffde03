"""Writes small MaxMind databases by the format's description (version 2.0), for tests of what reads them."""

from ipaddress import IPv4Network, IPv6Network
from typing import Any

UINT16, UINT32, UINT64 = 5, 6, 9
Network = IPv4Network | IPv6Network


def encoded(value: Any) -> bytes:  # noqa: ANN401 - whatever a record holds
    """Return a value of the data section: maps, text, lists, and numbers with their kind or as uint32."""
    if isinstance(value, dict):
        return _control(7, len(value)) + b"".join(encoded(key) + encoded(entry) for key, entry in value.items())
    if isinstance(value, str):
        return _control(2, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return _control(11, len(value)) + b"".join(map(encoded, value))
    kind: int
    number: int
    kind, number = value if isinstance(value, tuple) else (UINT32, value)
    size = (number.bit_length() + 7) // 8
    return _control(kind, size) + number.to_bytes(size, "big")


def _control(kind: int, size: int) -> bytes:
    assert size < 29
    return bytes([kind << 5 | size]) if kind < 8 else bytes([size, kind - 7])


def node(sides: list[int], record_bits: int) -> bytes:
    """Return a node of the tree: two numbers, which share a byte where they have 28 bits."""
    if record_bits == 28:
        left, right = sides
        shared = left >> 24 << 4 | right >> 24
        return (left & 0xFFFFFF).to_bytes(3, "big") + bytes([shared]) + (right & 0xFFFFFF).to_bytes(3, "big")
    return b"".join(side.to_bytes(record_bits // 8, "big") for side in sides)


def database(networks: dict[Network, Any], *, version: int = 4, record_bits: int = 24) -> bytes:
    """Return a database of these networks; in one of version 6, IPv4 lies in ::/96."""
    nodes: list[list[Any]] = [[None, None]]
    for network, record in networks.items():
        bits, length = int(network.network_address), network.prefixlen
        if version == 6 and network.version == 4:
            length += 96
        width = 128 if version == 6 else 32
        at = 0
        for depth in range(length):
            side = bits >> (width - 1 - depth) & 1
            if depth == length - 1:
                nodes[at][side] = ("data", record)
            else:
                if nodes[at][side] is None:
                    nodes.append([None, None])
                    nodes[at][side] = len(nodes) - 1
                at = nodes[at][side]
    data, tree = b"", b""
    for sides in nodes:
        numbers = []
        for side in sides:
            if side is None:
                numbers.append(len(nodes))
            elif isinstance(side, tuple):
                numbers.append(len(nodes) + 16 + len(data))
                data += encoded(side[1])
            else:
                numbers.append(side)
        tree += node(numbers, record_bits)
    metadata = {
        "node_count": len(nodes),
        "record_size": (UINT16, record_bits),
        "ip_version": (UINT16, version),
        "database_type": "Test",
        "languages": ["en"],
        "binary_format_major_version": (UINT16, 2),
        "binary_format_minor_version": (UINT16, 0),
        "build_epoch": (UINT64, 1),
        "description": {"en": "test"},
    }
    return tree + bytes(16) + data + b"\xab\xcd\xefMaxMind.com" + encoded(metadata)
