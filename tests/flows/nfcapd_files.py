"""Files of nfdump 1.7 (layout 2), built byte by byte as nffileV2.h and nfxV3.h lay them out."""

from __future__ import annotations

import bz2
import ipaddress
import struct
from typing import TYPE_CHECKING, Final, Protocol

import lz4.block
import zstandard

if TYPE_CHECKING:
    from collections.abc import Sequence

NONE, LZO, BZ2, LZ4, ZSTD = range(5)
COMPRESSIONS: Final = (NONE, LZ4, BZ2, ZSTD)
PER_BLOCK: Final = 100


class Record(Protocol):
    """What a record of these files says; times in ns."""

    start: int
    end: int
    src: str
    dst: str
    sport: int
    dport: int
    protocol: int
    packets: int
    bytes: int
    flags: int
    exporter: str


def packed(compression: int, content: bytes) -> bytes:
    """Return the content of a block as it is stored."""
    if compression == BZ2:
        return bz2.compress(content)
    if compression == LZ4:
        plain: bytes = lz4.block.compress(content, store_size=False)
        return plain
    return zstandard.compress(content) if compression == ZSTD else content


def exporter_record(number: int, order: str) -> bytes:
    """Return the record of an exporter of NetFlow v9 whose address is 192.0.2.<number>."""
    address = struct.pack(order + "QQ", 0, int(ipaddress.ip_address(f"192.0.2.{number}")))
    return struct.pack(order + "HHI", 7, 32, 9) + address + struct.pack(order + "HHI", 2, number, 0)


def flow_record(record: Record, number: int, order: str) -> bytes:
    """Return a record of the three elements that every flow has."""
    ms = 10**6
    generic = struct.pack(
        order + "HHQQQQQHHBBBB", 1, 52, record.start // ms, record.end // ms, record.end // ms, record.packets,
        record.bytes, record.sport, record.dport, record.protocol, record.flags, 0, 0,
    )  # fmt: skip
    ends = (int(ipaddress.ip_address(address)) for address in (record.src, record.dst))
    elements = generic + struct.pack(order + "HHII", 2, 12, *ends)
    return struct.pack(order + "HHHBBHBB", 11, 12 + len(elements), 2, 0, 0, number, 0, 9) + elements


def written(records: Sequence[Record], compression: int = NONE, *, big: bool = False) -> bytes:
    """Return a file of flows and of the exporters that saw them, in blocks."""
    order = ">" if big else "<"
    names = {name: number for number, name in enumerate(dict.fromkeys(each.exporter for each in records), 1)}
    rows = [exporter_record(number, order) for number in names.values()]
    rows += [flow_record(each, names[each.exporter], order) for each in records]
    blocks = []
    for first in range(0, len(rows), PER_BLOCK):
        part = rows[first : first + PER_BLOCK]
        content = packed(compression, b"".join(part))
        blocks.append(struct.pack(order + "IIHH", len(part), len(content), 3, 0) + content)
    head = struct.pack(
        order + "HHIQBBHIQII", 0xA50C, 2, 0x01070100, 0, compression, 0, 0, 0, 0, 1 << 20, len(blocks)
    )  # fmt: skip
    return head + b"".join(blocks)
