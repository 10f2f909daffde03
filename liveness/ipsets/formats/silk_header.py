"""The parts around the records of a SiLK file: its header, and its compressed blocks.

As SiLK 3.19 documents it in skheader.h: magic, a byte of flags (1: big endian), the file format, the file version, the
compression; from file version 16 on, in network order, the version of SiLK, the record length and the record version,
and a list of entries (type, length, content) that a type of 0 ends.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from liveness.errors import UsageError
from liveness.ipsets.formats.table import SILK_MAGIC
from liveness.ipsets.source import Source

IPSET_FORMAT = 0x1D
ENTRIES_FROM_FILE_VERSION = 16
CLASS_C, RADIX, CIDR_BITMAP, SLASH64 = 2, 3, 4, 5  # record versions; 0 and 1 are version 2 by older names
IPSET_ENTRY = 7  # the header entry that describes the records of versions 3 and 4
LEAF_BYTES = {RADIX: 8, CIDR_BITMAP: 4}  # in that entry, of IPv4 sets
NONE, ZLIB = 0, 1
COMPRESSIONS = {2: "lzo1x", 3: "snappy"}
ENTRY_HEAD_BYTES = 8
LARGEST_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Header:
    """What the header says of the records. `skipped` are the bytes of a radix tree's nodes."""

    order: str
    version: int
    compression: int
    leaves: int = 0
    skipped: int = 0


def read_header(source: Source) -> Header:
    """Read the header and check that we can read what follows."""
    name = source.name
    magic, flags, file_format, file_version, compression = struct.unpack(">4sBBBB", _exactly(source, 8))
    if magic != SILK_MAGIC:
        raise UsageError(f"{name}: not a SiLK file: name what it is with --from FORMAT")
    if file_format != IPSET_FORMAT:
        raise UsageError(f"{name}: a SiLK file of format {file_format:#04x}, not an IPset: make one of it with rwset")
    entries: dict[int, bytes] = {}
    version = file_version
    if file_version >= ENTRIES_FROM_FILE_VERSION:
        _, _, version = struct.unpack(">IHH", _exactly(source, 8))
        entries = _read_entries(source)
    if compression not in (NONE, ZLIB):
        method = COMPRESSIONS.get(compression, f"method {compression}")
        raise UsageError(f"{name}: compressed by {method}: rwsettool --union --compression-method=none makes it plain")
    order = ">" if flags & 1 else "<"
    if version <= CLASS_C:
        return Header(order, version, compression)
    if version == SLASH64:
        raise UsageError(f"{name}: an IPset of IPv6 addresses: this tool knows IPv4 alone")
    if version not in LEAF_BYTES:
        raise UsageError(f"{name}: an IPset of record version {version}: make version 2 of it with rwsettool --union")
    if len(entries.get(IPSET_ENTRY, b"")) != struct.calcsize(">6I"):
        raise UsageError(f"{name}: damaged: its header does not describe its records")
    _, leaves, leaf_size, nodes, node_size, _ = struct.unpack(">6I", entries[IPSET_ENTRY])
    if leaf_size != LEAF_BYTES[version]:
        raise UsageError(f"{name}: an IPset of IPv6 addresses: this tool knows IPv4 alone")
    return Header(order, version, compression, leaves, nodes * node_size)


def _read_entries(source: Source) -> dict[int, bytes]:
    """Read the header entries up to the one that ends them."""
    entries: dict[int, bytes] = {}
    while True:
        kind, length = struct.unpack(">II", _exactly(source, ENTRY_HEAD_BYTES))
        if not ENTRY_HEAD_BYTES <= length <= LARGEST_BLOCK:
            raise UsageError(f"{source.name}: damaged: a header entry of {length} bytes")
        content = _exactly(source, length - ENTRY_HEAD_BYTES)
        if kind == 0:
            return entries
        entries[kind] = content


def _exactly(source: Source, size: int) -> bytes:
    """Return so many bytes; UsageError if the file ends before."""
    content = source.read(size)
    if len(content) < size:
        raise UsageError(f"{source.name}: cut within the header of a SiLK file")
    return content


def write_header(out: BinaryIO) -> None:
    """Write the header of an IPset of record version 2, little endian, without compression."""
    out.write(struct.pack(">4sBBBBIHH", SILK_MAGIC, 0, IPSET_FORMAT, ENTRIES_FROM_FILE_VERSION, NONE, 0, 1, CLASS_C))
    out.write(struct.pack(">II", 0, ENTRY_HEAD_BYTES))  # above, SiLK's version is 0: none wrote this


def _inflated(source: Source) -> Iterator[bytes]:
    """Yield the blocks of a compressed file: the length of each in the file, its length in full, the block."""
    while sizes := source.read(8):
        compressed, full = struct.unpack(">II", sizes.ljust(8, b"\0"))
        if compressed == 0:
            return
        opened = zlib.decompressobj()
        content = source.read(compressed) if compressed <= LARGEST_BLOCK else b""
        try:
            block = opened.decompress(content, min(full, LARGEST_BLOCK) + 1)  # no more than it says
        except zlib.error as problem:
            raise UsageError(f"{source.name}: damaged: a compressed block cannot be opened: {problem}") from None
        if len(block) <= full and not opened.eof:
            raise UsageError(f"{source.name}: damaged: a compressed block cannot be opened: it is cut, or too large")
        if len(block) != full:
            raise UsageError(f"{source.name}: damaged: a block of {len(block)} bytes where {full} were announced")
        yield block


class Records:
    """The bytes of the records, stored plainly or in compressed blocks."""

    def __init__(self, source: Source, header: Header) -> None:
        self._source = source
        self._blocks = _inflated(source) if header.compression == ZLIB else None
        self._kept = b""

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes; fewer only at the end."""
        if self._blocks is None:
            return self._source.read(size)
        parts, found = [self._kept], len(self._kept)
        while found < size and (block := next(self._blocks, b"")):
            parts.append(block)
            found += len(block)
        content = b"".join(parts)
        self._kept = content[size:]
        return content[:size]
