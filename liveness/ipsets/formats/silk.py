"""SiLK IPsets as a format of set files: record versions 0 to 4 are read; version 2 is written, which every SiLK reads.

The records, in the byte order that the header names, as SiLK 3.19 documents them in skipset.c:

- up to version 2, 36 bytes for each /24: its base address and 256 bits, the lowest bit of the first word for ``.0``;
- version 3, a radix tree: its nodes, then 8 bytes a leaf: the prefix length, three unused, the base address;
- version 4, a base address and a byte: a prefix length, or 0x81 and 256 bits as in version 2.
"""

from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from liveness.errors import UsageError
from liveness.ipsets.builder import Builder
from liveness.ipsets.formats.codec import Choice
from liveness.ipsets.formats.silk_header import CIDR_BITMAP, RADIX, Header, Records, read_header, write_header
from liveness.ipsets.roaring import CHUNK_ADDRESSES, to_numpy
from liveness.ipsets.source import CHUNK_BYTES, Source

BLOCK_BYTES = 36
BLOCK_ADDRESSES = 256
BITMAP_BYTES = 32
CONTAINS_BITMAP = 0x81
BITMAPS_AT_ONCE = 1 << 13
"""At most two million addresses, which take some 50 MiB while they are listed."""
ADDRESS_BITS = 32


def read_from(source: Source, _: Choice) -> BitMap:
    """Return the set of an IPset file.

    UsageError names what is no IPset, is cut, holds IPv6, or is compressed by a library that is not part of Python.
    """
    header = read_header(source)
    stream = Records(source, header)
    if header.version == RADIX:
        return _read_radix(stream, header, source.name)
    if header.version == CIDR_BITMAP:
        return _read_cidr_bitmap(stream, header, source.name)
    return _read_class_c(stream, header, source.name)


def write_to(out: BinaryIO, addresses: BitMap, style: str, choice: Choice) -> None:  # noqa: ARG001 - a Codec
    """Write an IPset of record version 2, little endian, without compression."""
    write_header(out)
    for base in range(0, 1 << 32, CHUNK_ADDRESSES):
        if not addresses.range_cardinality(base, base + CHUNK_ADDRESSES):
            continue
        members = np.zeros(CHUNK_ADDRESSES, np.bool_)
        members[to_numpy(addresses & BitMap(range(base, base + CHUNK_ADDRESSES))) - np.uint32(base)] = True
        bits = np.packbits(members, bitorder="little").reshape(-1, BITMAP_BYTES)
        held = np.flatnonzero(bits.any(axis=1))
        blocks = np.empty((held.size, BLOCK_BYTES), np.uint8)
        blocks[:, :4] = (held.astype("<u4") * BLOCK_ADDRESSES + np.uint32(base)).view(np.uint8).reshape(-1, 4)
        blocks[:, 4:] = bits[held]
        out.write(blocks.data)


def _whole(content: bytes, size: int, name: str) -> bytes:
    """Return `content` if it is whole records of `size` bytes; UsageError otherwise."""
    if len(content) % size:
        raise UsageError(f"{name}: cut within a record of {size} bytes")
    return content


def _members(base: NDArray[np.uint32], bits: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return the addresses of bitmaps (n, 32), each of the 256 from its base on."""
    block, place = np.nonzero(np.unpackbits(bits, axis=1, bitorder="little"))
    return base[block] + place.astype(np.uint32)


def _add_bitmaps(builder: Builder, base: NDArray[np.uint32], words: NDArray[np.uint8], order: str) -> None:
    """Add the addresses of bitmaps (n, 32), some at a time: 256 times as many may come of them."""
    for part in range(0, len(base), BITMAPS_AT_ONCE):
        rows = slice(part, part + BITMAPS_AT_ONCE)
        members = _members(base[rows], _bitmaps(words[rows], order))
        builder.add(members, members)


def _bitmaps(words: NDArray[np.uint8], order: str) -> NDArray[np.uint8]:
    """Return bitmaps (n, 32) whose lowest bit of the first byte is the lowest address."""
    if order == "<":
        return words
    return np.ascontiguousarray(words).view(">u4").astype("<u4").view(np.uint8).reshape(-1, BITMAP_BYTES)


def _read_class_c(stream: Records, header: Header, name: str) -> BitMap:
    """Read the records of versions up to 2."""
    builder = Builder()
    while content := _whole(stream.read(CHUNK_BYTES // BLOCK_BYTES * BLOCK_BYTES), BLOCK_BYTES, name):
        blocks = np.frombuffer(content, np.uint8).reshape(-1, BLOCK_BYTES)
        base = np.ascontiguousarray(blocks[:, :4]).view(f"{header.order}u4").astype(np.uint32).ravel()
        if (base % BLOCK_ADDRESSES).any():
            raise UsageError(f"{name}: damaged: a record of 256 addresses does not begin at a multiple of 256")
        _add_bitmaps(builder, base, blocks[:, 4:], header.order)
    return builder.finish()


def _read_radix(stream: Records, header: Header, name: str) -> BitMap:
    """Read the leaves of version 3; the nodes before them only lead to them."""
    skipped = header.skipped
    while skipped and (passed := len(stream.read(min(skipped, CHUNK_BYTES)))):
        skipped -= passed
    builder = Builder()
    expected = header.leaves
    first = True
    while content := _whole(stream.read(CHUNK_BYTES), 8, name):
        leaves = np.frombuffer(content, np.dtype([("length", "u1"), ("", "V3"), ("base", f"{header.order}u4")]))
        expected -= leaves.size
        _add_prefixes(builder, leaves["base"][first:].astype(np.uint32), leaves["length"][first:], name)
        first = False  # the first leaf is a placeholder
    if expected:
        raise UsageError(f"{name}: damaged: {header.leaves} leaves announced, {header.leaves - expected} found")
    return builder.finish()


def _add_prefixes(builder: Builder, base: NDArray[np.uint32], length: NDArray[np.uint8], name: str) -> None:
    """Add prefixes; UsageError for one that is none."""
    hosts = ((np.int64(1) << np.maximum(ADDRESS_BITS - length.astype(np.int64), 0)) - 1).astype(np.uint32)
    wrong = np.flatnonzero((length > ADDRESS_BITS) | (base & hosts != 0))
    if wrong.size:
        raise UsageError(f"{name}: damaged: {base[wrong[0]]:#010x}/{length[wrong[0]]} is no prefix")
    builder.add(base, base | hosts)


def _read_cidr_bitmap(stream: Records, header: Header, name: str) -> BitMap:
    """Read the records of version 4, of 5 or 37 bytes each."""
    from liveness.ipsets.formats.silk_records import find_records  # noqa: PLC0415 - the compiler is loaded for this version alone

    builder = Builder()
    kept = b""
    while content := stream.read(CHUNK_BYTES):
        content = kept + content
        data = np.frombuffer(content, np.uint8)
        starts = np.empty(data.size // 5 + 1, np.int64)
        count, at = find_records(data, starts)
        kept = content[at:]
        starts = starts[:count]
        base = data[starts[:, None] + np.arange(4)].view(f"{header.order}u4").astype(np.uint32).ravel()
        length = data[starts + 4]
        with_bits = length == CONTAINS_BITMAP
        _add_prefixes(builder, base[~with_bits], length[~with_bits], name)
        bits = data[starts[with_bits][:, None] + np.arange(5, 5 + BITMAP_BYTES)]
        _add_bitmaps(builder, base[with_bits], bits, header.order)
    if kept:
        raise UsageError(f"{name}: cut within a record")
    return builder.finish()
