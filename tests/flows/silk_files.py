"""SiLK flow files, built byte by byte as SiLK's library lays them out."""

import struct
import zlib
from collections.abc import Sequence

Row = tuple[int, int, int, int, int, int, int, int, int, int]
"""Start in ms, elapsed ms, source port, destination port, protocol, flags, packets, bytes, source, destination."""


def header(record_format: int, version: int, record_bytes: int, compression: int, *, big: bool) -> bytes:
    """Return a file's header, padded so that records begin at a multiple of their size."""
    fixed = struct.pack(
        ">4sBBBBIHH", b"\xde\xad\xbe\xef", int(big), record_format, 16, compression, 3022000, record_bytes, version
    )
    command = struct.pack(">II", 2, 8 + 12) + b"rwcut --x\0\0\0"
    size = len(fixed) + len(command) + 8
    padding = -size % record_bytes
    return fixed + command + struct.pack(">II", 0, 8 + padding) + bytes(padding)


def generic(row: Row, *, big: bool) -> bytes:
    """Return a record of RWGENERIC version 5."""
    start, elapsed, sport, dport, protocol, flags, packets, size, src, dst = row
    order = ">" if big else "<"
    shared = (start, elapsed, sport, dport, protocol, 0, 7, flags, flags & 2, flags, 0, 0, 0)
    return struct.pack(order + "qIHHBBHBBBBHHHHIIIII", *shared, 1, 2, packets, size, src, dst, 0)


def routing(row: Row, version: int, *, big: bool, ipv6: bool = False) -> bytes:
    """Return a record of RWIPV6ROUTING version 1 or 3."""
    start, elapsed, sport, dport, protocol, flags, packets, size, src, dst = row
    order = ">" if big else "<"
    shared = struct.pack(
        order + "qIHHBBHBBBBHH", start, elapsed, sport, dport, protocol, 0, 7, flags, 0, 0, 0x80 if ipv6 else 0, 0, 0
    )
    addresses = b"".join(bytes(12) + struct.pack(order + "I", address) for address in (src, dst, 0))
    if version == 1:
        return shared + struct.pack(order + "HHII", 1, 2, packets, size) + addresses
    return shared + struct.pack(order + "IQQ", 1, packets, size) + addresses + struct.pack(order + "I", 2)


def blocks(records: Sequence[bytes], per_block: int) -> bytes:
    """Return records in blocks compressed with zlib."""
    content = b""
    for first in range(0, len(records), per_block):
        plain = b"".join(records[first : first + per_block])
        packed = zlib.compress(plain)
        content += struct.pack(">II", len(packed), len(plain)) + packed
    return content
