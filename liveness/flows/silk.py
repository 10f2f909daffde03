"""Reads SiLK flow files: RWGENERIC version 5, RWIPV6ROUTING versions 1 and 3, plain or compressed with zlib or LZO.

A header of 16 bytes and entries is followed by records of fixed size, or by compressed blocks of them. Header entries
are padded so that records begin at a multiple of their size. Layouts are those of SiLK's libsilk. Numbers of the
header are big-endian; those of records are in the byte order that the header's first flag names.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.errors import UsageError
from liveness.flows.lzo import DamagedError, lzo1x_decompress
from liveness.flows.record import FLOW_DTYPE, Flows, Input, Notes

MAGIC: Final = b"\xde\xad\xbe\xef"
HEADER_BYTES: Final = 16
GENERIC: Final = 0x16
IPV6_ROUTING: Final = 0x0C
COMPRESSIONS: Final = {0: "none", 1: "zlib", 2: "lzo1x", 3: "snappy"}
MOST_HEADER_BYTES: Final = 1 << 20
MOST_BLOCK_BYTES: Final = 1 << 20
"""SiLK packs 64 KiB a block."""
BATCH_RECORDS: Final = 1 << 14
_NS_PER_MS: Final = 1_000_000
_IPV6_RECORD: Final = 0x80

_SHARED: Final = [
    ("start_ms", "i8"), ("elapsed_ms", "u4"), ("sport", "u2"), ("dport", "u2"), ("protocol", "u1"), ("type", "u1"),
    ("sensor", "u2"), ("flags", "u1"), ("first_flags", "u1"), ("rest_flags", "u1"), ("tcp_state", "u1"),
    ("application", "u2"), ("memo", "u2"),
]  # fmt: skip
_LAYOUTS: Final = {
    (GENERIC, 5): [
        *_SHARED, ("input", "u2"), ("output", "u2"), ("packets", "u4"), ("bytes", "u4"),
        ("src", "u4"), ("dst", "u4"), ("next_hop", "u4"),
    ],
    (IPV6_ROUTING, 1): [
        *_SHARED, ("input", "u2"), ("output", "u2"), ("packets", "u4"), ("bytes", "u4"),
        ("src6", "V12"), ("src", "u4"), ("dst6", "V12"), ("dst", "u4"), ("next_hop", "V16"),
    ],
    (IPV6_ROUTING, 3): [
        *_SHARED, ("input", "u4"), ("packets", "u8"), ("bytes", "u8"),
        ("src6", "V12"), ("src", "u4"), ("dst6", "V12"), ("dst", "u4"), ("next_hop", "V16"), ("output", "u4"),
    ],
}  # fmt: skip
_COPIED: Final = (
    "sport",
    "dport",
    "protocol",
    "flags",
    "first_flags",
    "input",
    "output",
    "packets",
    "bytes",
    "src",
    "dst",
)


@dataclass(frozen=True, slots=True)
class _Header:
    big: bool
    format: int
    compression: int
    record_bytes: int
    version: int


def recognise(head: bytes) -> bool:
    """Return whether a file begins as SiLK's flow files do."""
    return head[:4] == MAGIC and len(head) >= HEADER_BYTES and head[5] in (GENERIC, IPV6_ROUTING)


def read(source: Input, notes: Notes) -> Iterator[Flows]:
    """Yield the flows of a SiLK file. UsageError for other record formats and compressions, with the way to convert."""
    header = _read_header(source)
    remedy = f"convert it: rwcat --compression=none --ipv4-output {source.name} > NEW"
    layout = _LAYOUTS.get((header.format, header.version))
    if layout is None:
        raise UsageError(
            f"{source.name}: SiLK record format {header.format:#04x}, version {header.version}, is not read: {remedy}"
        )
    dtype = np.dtype(
        [(name, kind if kind.startswith("V") else (">" if header.big else "<") + kind) for name, kind in layout]
    )
    if header.record_bytes not in (0, dtype.itemsize):
        raise UsageError(
            f"{source.name}: records of {header.record_bytes} bytes, {dtype.itemsize} belong to this format"
        )
    if header.compression not in (0, 1, 2):
        name = COMPRESSIONS.get(header.compression, f"number {header.compression}")
        raise UsageError(f"{source.name}: SiLK's compression {name} is not read: {remedy}")
    kept = b""
    for data in _plain(source, notes, header.compression, dtype.itemsize):
        kept += data
        whole = len(kept) // dtype.itemsize
        if whole:
            yield _flows(np.frombuffer(kept, dtype, whole), notes, source.name)
            kept = kept[whole * dtype.itemsize :]
    if kept:
        notes.damage.append(f"{source.name}: ends at byte {source.offset:,} within a record")


def _read_header(source: Input) -> _Header:
    head = source.take(HEADER_BYTES)
    if not recognise(head):
        raise UsageError(f"{source.name}: not a SiLK flow file")
    flags, record_format, file_version, compression, _, record_bytes, version = struct.unpack(">BBBBIHH", head[4:])
    if file_version != HEADER_BYTES:
        raise UsageError(f"{source.name}: SiLK file version {file_version}: version 16 (SiLK 3) is read")
    while True:
        entry = source.take(8)
        if len(entry) < 8 or source.offset > MOST_HEADER_BYTES:
            raise UsageError(f"{source.name}: its header does not end")
        kind, length = struct.unpack(">II", entry)
        if length < 8 or length > MOST_HEADER_BYTES:
            raise UsageError(f"{source.name}: header entry {kind} claims {length:,} bytes")
        if len(source.take(length - 8)) < length - 8:
            raise UsageError(f"{source.name}: its header does not end")
        if kind == 0:
            return _Header(bool(flags & 1), record_format, compression, record_bytes, version)


def _plain(source: Input, notes: Notes, compression: int, record_bytes: int) -> Iterator[bytes]:
    """Yield the records' bytes, unpacked."""
    if compression == 0:
        while data := source.take(BATCH_RECORDS * record_bytes):
            yield data
        return
    while head := source.take(8):
        at = source.offset - len(head)
        packed_bytes, plain_bytes = struct.unpack(">II", head) if len(head) == 8 else (0, 0)
        if not 0 < packed_bytes <= MOST_BLOCK_BYTES or not 0 < plain_bytes <= MOST_BLOCK_BYTES:
            notes.damage.append(f"{source.name}: byte {at:,}: no compressed block: the rest is left out")
            return
        packed = source.take(packed_bytes)
        try:
            if compression == 1:
                plain = zlib.decompressobj().decompress(packed, plain_bytes + 1)
            else:
                plain = lzo1x_decompress(packed, plain_bytes)
        except (zlib.error, DamagedError) as error:
            notes.damage.append(
                f"{source.name}: the block at byte {at:,} cannot be unpacked: {error}: the rest is left out"
            )
            return
        if len(packed) < packed_bytes or len(plain) != plain_bytes:
            notes.damage.append(f"{source.name}: the block at byte {at:,} is cut short or not what it says")
            return
        yield plain


def _flows(rows: NDArray[np.void], notes: Notes, name: str) -> Flows:
    if rows.dtype.names is not None and "src6" in rows.dtype.names:
        six = (rows["tcp_state"] & _IPV6_RECORD) != 0
        if six.any():
            notes.undecoded["IPv6 records"] += int(six.sum())
            rows = rows[~six]
    flows = np.zeros(len(rows), FLOW_DTYPE)
    for column in _COPIED:
        flows[column] = rows[column]
    flows["start_ns"] = rows["start_ms"].astype(np.int64) * _NS_PER_MS
    flows["end_ns"] = flows["start_ns"] + rows["elapsed_ms"].astype(np.int64) * _NS_PER_MS
    for sensor in np.unique(rows["sensor"]).tolist():
        flows["exporter"][rows["sensor"] == sensor] = notes.exporter(f"{name}#{sensor}" if sensor else name)
    return flows
