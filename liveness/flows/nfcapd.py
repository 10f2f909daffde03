"""Reads the files of nfcapd, nfpcapd and nfdump 1.7 (layout 2).

A file is a header of 40 bytes and blocks; a block holds records, compressed as a whole; a record is a list of elements.
The layout is that of nfdump's nffileV2.h and nfxV3.h. Numbers are in the writer's byte order, which the magic shows.
"""

import bz2
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import lz4.block
import numpy as np
import zstandard
from numpy.typing import NDArray

from liveness.errors import UsageError
from liveness.flows.lzo import DamagedError, lzo1x_decompress
from liveness.flows.record import MARK_REVERSE, PROTOCOL_ICMP, Flow, Flows, Input, Notes, empty, icmp_answer
from liveness.kernel import int64, kernel
from liveness.packets.bytes import read_16, read_32

MAGIC: Final = 0xA50C
LITTLE_MAGIC: Final = MAGIC.to_bytes(2, "little")
BIG_MAGIC: Final = MAGIC.to_bytes(2, "big")
HEADER: Final = "HHIQBBHIQII"
HEADER_BYTES: Final = 40
BLOCK: Final = "IIHH"
BLOCK_BYTES: Final = 12
MAX_BLOCK_BYTES: Final = 64 << 20
"""nfdump writes blocks of 1 MiB (4 MiB at most); what claims more is no block."""
LAYOUT: Final = 2

_RECORDS_BLOCKS: Final = (3, 4)
_NOT_COMPRESSED: Final = 1
_RECORD_HEADER_BYTES: Final = 12
_SMALLEST_RECORD_BYTES: Final = 4
_FLOW_RECORDS: Final = (11, 16)
_EXPORTER_RECORD: Final = 7
_EXPORTER_BYTES: Final = 4 + 4 + 16 + 2 + 2
_IPV4_FAMILY: Final = 2

_GENERIC, _IPV4, _IPV6, _MISC, _COUNTERS = 1, 2, 3, 4, 5
_ELEMENT_BYTES: Final = 4
_GENERIC_BYTES: Final = 4 + 48
_IPV4_BYTES: Final = 4 + 8
_MISC_BYTES: Final = 4 + 8
_COUNTERS_BYTES: Final = 4 + 24
_NS_PER_MS: Final = 1_000_000

WRITTEN, EXPORTERS, IPV6, NO_ADDRESSES, OTHER, DAMAGED_AT = range(6)
"""Places in what a block's decoding returns: records written, exporter records met, records passed over by reason, and
where the block is damaged (-1: nowhere)."""


@kernel
def u64(data: NDArray[np.uint8], at: int, big: bool) -> int:
    """Return the 64-bit number at byte `at`; what does not fit 63 bits comes out negative."""
    high, low = read_32(data, at if big else at + 4, big), read_32(data, at + 4 if big else at, big)
    return int64(high << 32 | low)


@kernel
def _elements(data: NDArray[np.uint8], element: int, stop: int, big: bool) -> tuple[int, int, int, int, bool]:
    """Return where a record's elements begin: generic, IPv4, misc, counters, 0 for none; and whether it is of IPv6."""
    generic = addresses = misc = counters = 0
    ipv6 = False
    while stop - element >= _ELEMENT_BYTES:
        length = read_16(data, element + 2, big)
        if length < _ELEMENT_BYTES or length > stop - element:
            break
        which = read_16(data, element, big)
        if which == _GENERIC and length >= _GENERIC_BYTES:
            generic = element + _ELEMENT_BYTES
        elif which == _IPV4 and length >= _IPV4_BYTES:
            addresses = element + _ELEMENT_BYTES
        elif which == _IPV6:
            ipv6 = True
        elif which == _MISC and length >= _MISC_BYTES:
            misc = element + _ELEMENT_BYTES
        elif which == _COUNTERS and length >= _COUNTERS_BYTES:
            counters = element + _ELEMENT_BYTES
        element += length
    return generic, addresses, misc, counters, ipv6


@kernel
def _put_forward(data: NDArray[np.uint8], generic: int, addresses: int, misc: int, big: bool, flow: Flow) -> None:
    """Write a record's flow, but for its exporter."""
    flow["start_ns"] = u64(data, generic, big) * _NS_PER_MS
    flow["end_ns"] = u64(data, generic + 8, big) * _NS_PER_MS
    flow["packets"] = u64(data, generic + 24, big)
    flow["bytes"] = u64(data, generic + 32, big)
    flow["sport"] = read_16(data, generic + 40, big)
    flow["dport"] = read_16(data, generic + 42, big)
    flow["protocol"] = data[generic + 44]
    flow["flags"] = data[generic + 45]
    flow["src"] = read_32(data, addresses, big)
    flow["dst"] = read_32(data, addresses + 4, big)
    if misc > 0:
        flow["input"] = read_32(data, misc, big)
        flow["output"] = read_32(data, misc + 4, big)


@kernel
def _put_back(data: NDArray[np.uint8], counters: int, big: bool, flow: Flow, back: Flow) -> None:
    """Write the flow of the opposite direction of a record whose own one is written."""
    back["start_ns"], back["end_ns"] = flow["start_ns"], flow["end_ns"]
    back["packets"] = u64(data, counters + 8, big)
    back["bytes"] = u64(data, counters + 16, big)
    back["sport"], back["dport"] = flow["dport"], flow["sport"]
    back["src"], back["dst"] = flow["dst"], flow["src"]
    if flow["protocol"] == PROTOCOL_ICMP:
        back["sport"], back["dport"] = 0, icmp_answer(int64(flow["dport"]))
    back["protocol"] = flow["protocol"]
    back["marks"] = MARK_REVERSE
    back["exporter"] = flow["exporter"]
    back["input"], back["output"] = flow["output"], flow["input"]


@kernel
def decode_block(
    data: NDArray[np.uint8], big: bool, out: Flows, exporters: NDArray[np.int64], counts: NDArray[np.int64]
) -> None:
    """Write the flows of a block's records to `out`, twice as long as the block can have records.

    `exporters` takes the offsets of exporter records. `out["exporter"]` gets the writer's own number (sysid).
    """
    end = len(data)
    at = 0
    n = 0
    counts[DAMAGED_AT] = -1
    while at < end:
        size = read_16(data, at + 2, big) if end - at >= _SMALLEST_RECORD_BYTES else 0
        if size < _SMALLEST_RECORD_BYTES or size > end - at:
            counts[DAMAGED_AT] = at
            break
        kind = read_16(data, at, big)
        if kind not in _FLOW_RECORDS:
            if kind == _EXPORTER_RECORD and size >= _EXPORTER_BYTES and counts[EXPORTERS] < len(exporters):
                exporters[counts[EXPORTERS]] = at
                counts[EXPORTERS] += 1
            else:
                counts[OTHER] += 1
            at += size
            continue
        generic, addresses, misc, counters, ipv6 = _elements(data, at + _RECORD_HEADER_BYTES, at + size, big)
        if ipv6:
            counts[IPV6] += 1
        elif generic == 0 or addresses == 0:
            counts[NO_ADDRESSES] += 1
        else:
            _put_forward(data, generic, addresses, misc, big, out[n])
            out[n]["exporter"] = read_16(data, at + 8, big)
            n += 1
            if counters > 0 and u64(data, counters + 8, big) > 0:
                _put_back(data, counters, big, out[n - 1], out[n])
                n += 1
        at += size
    counts[WRITTEN] = n


def _bz2(data: bytes, limit: int) -> bytes:
    return bz2.BZ2Decompressor().decompress(data, limit + 1)


def _lz4(data: bytes, limit: int) -> bytes:
    plain: bytes = lz4.block.decompress(data, uncompressed_size=limit)
    return plain


def _zstd(data: bytes, limit: int) -> bytes:
    return zstandard.ZstdDecompressor().decompress(data, max_output_size=limit)


def _plain(data: bytes, _limit: int) -> bytes:
    return data


DECOMPRESS: Final[dict[int, Callable[[bytes, int], bytes]]] = {
    0: _plain,
    1: lzo1x_decompress,
    2: _bz2,
    3: _lz4,
    4: _zstd,
}
_FAILURES: Final = (
    ValueError,
    OSError,
    RuntimeError,
    MemoryError,
    zstandard.ZstdError,
    lz4.block.LZ4BlockError,
    DamagedError,
)


def recognise(head: bytes) -> bool:
    """Return whether a file begins as nfcapd's do."""
    return head[:2] in (LITTLE_MAGIC, BIG_MAGIC) and len(head) >= HEADER_BYTES


@dataclass(frozen=True, slots=True)
class _Header:
    order: str
    compression: int
    limit: int
    """Bytes that a block can unpack to."""
    blocks: int

    @property
    def big(self) -> bool:
        return self.order == ">"


def read(source: Input, notes: Notes) -> Iterator[Flows]:
    """Yield the flows of an nfcapd file, a batch a block. UsageError for other layouts and for encrypted files."""
    header = _read_header(source)
    known = np.full(1 << 16, -1, np.int64)  # exporter's sysid in the file -> its number in notes
    for number in range(1, header.blocks + 1):
        where = f"block {number} of {header.blocks} at byte {source.offset:,}"
        head = source.take(BLOCK_BYTES)
        _, size, kind, flags = struct.unpack(header.order + BLOCK, head) if len(head) == BLOCK_BYTES else (0, 0, 0, 0)
        if size > MAX_BLOCK_BYTES:
            notes.damage.append(f"{source.name}: {where} claims {size:,} bytes: the rest is left out")
            return
        packed = source.take(size)
        if len(head) < BLOCK_BYTES or len(packed) < size:
            notes.damage.append(f"{source.name}: ends at byte {source.offset:,}, within {where}")
            return
        if kind not in _RECORDS_BLOCKS:
            notes.undecoded[f"block type {kind}"] += 1
            continue
        compression = 0 if flags & _NOT_COMPRESSED else header.compression
        try:
            plain = DECOMPRESS[compression](packed, header.limit)
            if len(plain) > header.limit:
                raise DamagedError(f"it holds more than {header.limit:,} bytes")
        except _FAILURES as error:
            notes.damage.append(f"{source.name}: {where} cannot be unpacked: {error}")
            continue
        flows = _flows_of(plain, header.big, known, source.name, where, notes)
        if len(flows):
            yield flows


def _read_header(source: Input) -> _Header:
    head = source.take(HEADER_BYTES)
    if not recognise(head):
        raise UsageError(f"{source.name}: not an nfcapd file")
    order = ">" if head[:2] == BIG_MAGIC else "<"
    _, layout, _, _, compression, encryption, _, _, _, block_bytes, blocks = struct.unpack(order + HEADER, head)
    if layout != LAYOUT:
        raise UsageError(
            f"{source.name}: nfcapd layout {layout}, written by nfdump 1.6 or older: convert it with nfdump 1.7: "
            f"nfdump -r {source.name} -w NEW"
        )
    if encryption:
        raise UsageError(f"{source.name}: encrypted: decrypt it with the nfdump that wrote it")
    if compression not in DECOMPRESS:
        raise UsageError(f"{source.name}: compression {compression} is unknown: nfdump -r {source.name} -y -w NEW")
    return _Header(order, compression, min(max(block_bytes, 1 << 20) * 2, MAX_BLOCK_BYTES), blocks)


def _flows_of(plain: bytes, big: bool, known: NDArray[np.int64], name: str, where: str, notes: Notes) -> Flows:
    data = np.frombuffer(plain, np.uint8)
    out = empty(2 * (len(data) // _RECORD_HEADER_BYTES + 1))
    exporters = np.zeros(256, np.int64)
    counts = np.zeros(6, np.int64)
    decode_block(data, big, out, exporters, counts)
    for at in exporters[: counts[EXPORTERS]].tolist():
        sysid, text = _exporter(plain[at:], big)
        known[sysid] = notes.exporter(text)
    for place, reason in (
        (IPV6, "IPv6 records"),
        (NO_ADDRESSES, "records without addresses"),
        (OTHER, "other records"),
    ):
        if counts[place]:
            notes.undecoded[reason] += int(counts[place])
    if counts[DAMAGED_AT] >= 0:
        notes.damage.append(f"{name}: {where}: damaged {int(counts[DAMAGED_AT]):,} bytes into it: the rest is left out")
    flows = out[: counts[WRITTEN]]
    for sysid in np.unique(flows["exporter"]).tolist():
        if known[sysid] < 0:
            known[sysid] = notes.exporter(f"{name}#{sysid}" if sysid else name)
    flows["exporter"] = known[flows["exporter"]]
    return flows


def _exporter(record: bytes, big: bool) -> tuple[int, str]:
    """Return an exporter record's number in the file, and the exporter's address."""
    order = ">" if big else "<"
    high, low, family, sysid = struct.unpack_from(order + "QQHH", record, 8)
    if family == _IPV4_FAMILY:
        return sysid, ".".join(str(byte) for byte in (low & 0xFFFFFFFF).to_bytes(4, "big"))
    return sysid, f"{(high << 64 | low):032x}"
