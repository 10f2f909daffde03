"""Reads files of export messages in a row: IPFIX files (RFC 5655), and NetFlow v5 and v9 datagrams."""

import struct
from collections.abc import Iterator
from typing import Final

from liveness.errors import UsageError
from liveness.flows import exports, netflow5
from liveness.flows.exports import Exports
from liveness.flows.record import BATCH_RECORDS, Flows, Input, Notes

VERSIONS: Final = {netflow5.VERSION: "netflow-v5", exports.V9: "netflow-v9", exports.IPFIX: "ipfix"}
LONGEST: Final = 0xFFFF
"""Bytes of a message: its length has 16 bits, or it fits a datagram."""


def version_of(head: bytes) -> int:
    """Return the version of the export message that a file begins with; 0 if it begins with none."""
    version = int.from_bytes(head[:2], "big")
    if version not in VERSIONS:
        return 0
    size = message_bytes(head[:LONGEST], version)
    return version if size else 0


def message_bytes(data: bytes, version: int) -> int:
    """Return how long the message at the beginning of `data` is, more than is there if it is cut; 0 if it is none."""
    if version == netflow5.VERSION and len(data) >= netflow5.HEADER_BYTES:
        count = int.from_bytes(data[2:4], "big")
        return netflow5.HEADER_BYTES + count * netflow5.RECORD_BYTES if 1 <= count <= netflow5.MOST_RECORDS else 0
    if version == exports.IPFIX and len(data) >= exports.IPFIX_HEADER_BYTES:
        length = int.from_bytes(data[2:4], "big")
        return length if length >= exports.IPFIX_HEADER_BYTES else 0
    if version == exports.V9 and len(data) >= exports.V9_HEADER_BYTES:
        return _v9_bytes(data)
    return 0


def _v9_bytes(data: bytes) -> int:
    """Return where a v9 message ends: it states no length, but sets do, and no set has the id 9."""
    at = exports.V9_HEADER_BYTES
    while len(data) - at >= exports.SET_HEADER_BYTES:
        set_id, length = struct.unpack_from(">HH", data, at)
        if set_id == exports.V9:
            break
        if length < exports.SET_HEADER_BYTES or 1 < set_id < exports.FIRST_DATA_SET:
            return 0
        at += length
    return at


def read(source: Input, notes: Notes) -> Iterator[Flows]:
    """Yield the flows of a file of messages. UsageError if it does not begin with one."""
    decoder = Exports(notes)
    data = source.take(LONGEST)
    if version_of(data) == 0:
        raise UsageError(f"{source.name}: no NetFlow v5, v9 or IPFIX message")
    while data:
        version = int.from_bytes(data[:2], "big")
        size = message_bytes(data, version)
        at = source.offset - len(data)
        if size == 0:
            notes.damage.append(f"{source.name}: byte {at:,}: no export message: the rest of the file is left out")
            break
        if size > len(data):
            notes.damage.append(f"{source.name}: ends at byte {source.offset:,} within the message at byte {at:,}")
            break
        decoder.feed(data[:size], source.name)
        data = data[size:] + source.take(LONGEST - (len(data) - size))
        if decoder.ready >= BATCH_RECORDS:
            yield decoder.take()
    decoder.finish()
    if decoder.lost:
        notes.undecoded["missing by sequence numbers"] += decoder.lost
    if decoder.ready:
        yield decoder.take()
