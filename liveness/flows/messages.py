"""Reads files of export messages in a row: IPFIX files (RFC 5655), and NetFlow v5 and v9 datagrams."""

import struct
from collections.abc import Iterator
from typing import Final

from liveness.errors import UsageError
from liveness.flows import exports, netflow5
from liveness.flows.exports import Exports
from liveness.flows.record import BATCH_RECORDS, READ_BYTES, Flows, Input, Notes

VERSIONS: Final = {netflow5.VERSION: "netflow-v5", exports.V9: "netflow-v9", exports.IPFIX: "ipfix"}
LONGEST: Final = 0xFFFF
"""Bytes of a message: its length has 16 bits, or it fits a datagram."""


def version_of(head: bytes) -> int:
    """Return the version of the export message that a file begins with; 0 if it begins with none."""
    return int.from_bytes(head[:2], "big") if message_bytes(head, 0) else 0


def message_bytes(data: bytes, at: int) -> int:
    """Return how long the message at a place in `data` is, more than is there if it is cut; 0 if there is none."""
    left = len(data) - at
    version = int.from_bytes(data[at : at + 2], "big")
    size = int.from_bytes(data[at + 2 : at + 4], "big")
    if version == netflow5.VERSION and left >= netflow5.HEADER_BYTES:
        return netflow5.HEADER_BYTES + size * netflow5.RECORD_BYTES if 1 <= size <= netflow5.MOST_RECORDS else 0
    if version == exports.IPFIX and left >= exports.IPFIX_HEADER_BYTES:
        return size if size >= exports.IPFIX_HEADER_BYTES else 0
    return _v9_bytes(data, at) if version == exports.V9 and left >= exports.V9_HEADER_BYTES else 0


def _v9_bytes(data: bytes, start: int) -> int:
    """Return how long a v9 message is: it states no length, but its sets do, and no set has the id 9."""
    at = start + exports.V9_HEADER_BYTES
    while len(data) - at >= exports.SET_HEADER_BYTES and at - start < LONGEST:
        set_id, length = struct.unpack_from(">HH", data, at)
        if set_id == exports.V9:
            break
        if length < exports.SET_HEADER_BYTES or 1 < set_id < exports.FIRST_DATA_SET:
            return 0
        at += length
    return at - start


def read(source: Input, notes: Notes) -> Iterator[Flows]:
    """Yield the flows of a file of messages. UsageError if it does not begin with one."""
    decoder = Exports(notes)
    data = source.take(READ_BYTES)
    if version_of(data) == 0:
        raise UsageError(f"{source.name}: no NetFlow v5, v9 or IPFIX message")
    at = 0
    while at < len(data):
        size = message_bytes(data, at)
        if size == 0:
            where = f"byte {source.offset - len(data) + at:,}"
            notes.damage.append(f"{source.name}: {where}: no export message: the rest is left out")
            break
        if size > len(data) - at:
            notes.damage.append(f"{source.name}: ends at byte {source.offset:,}, within an export message")
            break
        decoder.feed(data[at : at + size], source.name)
        at += size
        if len(data) - at < LONGEST:
            data, at = data[at:] + source.take(READ_BYTES), 0
        if decoder.ready >= BATCH_RECORDS:
            yield decoder.take()
    yield from decoder.rest()
