"""A second writer of SiLK IPsets, in plain Python after the layout that SiLK documents."""

import ipaddress
import struct
import zlib
from collections import defaultdict

from tests.ipsets.support import Range

MAGIC = 0xDEADBEEF
NOTE = struct.pack(">II", 3, 8 + 6) + b"a note"
END = struct.pack(">II", 0, 8)


def class_c(ranges: list[Range], order: str) -> bytes:
    """Return the records of version 2: each /24 with a word for each of its /27s."""
    words: dict[int, list[int]] = defaultdict(lambda: [0] * 8)
    for low, high in ranges:
        for address in range(low, high + 1):
            words[address & ~255][(address & 255) // 32] |= 1 << (address & 31)
    return b"".join(struct.pack(f"{order}9I", base, *words[base]) for base in sorted(words))


def networks(ranges: list[Range]) -> list[ipaddress.IPv4Network]:
    """Return the prefixes of ranges."""
    found = (
        ipaddress.summarize_address_range(ipaddress.IPv4Address(low), ipaddress.IPv4Address(high))
        for low, high in ranges
    )
    return list(ipaddress.collapse_addresses(network for part in found for network in part))


def silk_file(ranges: list[Range], version: int, order: str = "<", *, block: int = 0, note: bytes = NOTE) -> bytes:
    """Return an IPset file of a record version and byte order (``<``, ``>``); `block` compresses so much at a time."""
    entry = b""
    if version <= 2:
        records = class_c(ranges, order)
    elif version == 3:
        leaves = [struct.pack(f"{order}B3xI", net.prefixlen, int(net.network_address)) for net in networks(ranges)]
        records = b"\xee" * (2 * 0x50) + b"".join([bytes(8), *leaves])  # two nodes, which lead nowhere here
        entry = struct.pack(">8I", 7, 32, 16, len(leaves) + 1, 8, 2, 0x50, 1)
    else:
        parts = []
        for net in networks(ranges):
            if net.prefixlen <= 24:
                parts.append(struct.pack(f"{order}IB", int(net.network_address), net.prefixlen))
            else:
                members = [(int(net.network_address), int(net.broadcast_address))]
                parts.append(struct.pack(f"{order}I", members[0][0] & ~255) + b"\x81" + class_c(members, order)[4:])
        records = b"".join(parts)
        entry = struct.pack(">8I", 7, 32, 0, 0, 4, 0, 0, 0)
    flags = 1 if order == ">" else 0
    header = struct.pack(">IBBBBIHH", MAGIC, flags, 0x1D, 16, 1 if block else 0, 3_019_001, 1, version)
    return header + note + entry + END + (blocks(records, block) if block else records)


def blocks(records: bytes, size: int) -> bytes:
    """Return records compressed `size` bytes at a time."""
    result = b""
    for at in range(0, len(records), size):
        part = records[at : at + size]
        packed = zlib.compress(part)
        result += struct.pack(">II", len(packed), len(part)) + packed
    return result
