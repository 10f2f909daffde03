"""The addresses that captured packets are about: kernels that find them in records of our own pcap files."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel
from liveness.packets import headers as hdr
from liveness.packets.bytes import read_be32, read_le32
from liveness.packets.packing import MAX_CAPTURED
from liveness.packets.parse import ipv4_start
from liveness.packets.pcap import RECORD_BYTES
from liveness.probes.icmp import TARGET_AT
from liveness.replies import ERROR_TYPES

ADDRESSES: Final = 5
"""Columns: source and destination of the packet, then those of a packet it quotes, then the target in an echo reply."""

_ERRORS: Final = np.array(ERROR_TYPES, np.int64)


@kernel
def _ip_at(data: NDArray[np.uint8], frame: int, end: int, ethernet: bool) -> int:
    """Return where the IPv4 header of a frame begins, behind at most two VLAN tags; -1 if it has none.

    Without `ethernet` the frame is a packet, which begins with its IP header.
    """
    if not ethernet:
        is_ipv4 = frame + hdr.IPV4_MIN_LENGTH <= end and int64(data[frame]) >> 4 == hdr.IPV4_VERSION
        return frame if is_ipv4 else -1
    ip = ipv4_start(data, frame, end - frame)
    return ip if ip >= 0 and ip + hdr.IPV4_MIN_LENGTH <= end else -1


@kernel
def _note_addresses(data: NDArray[np.uint8], ip: int, end: int, row: NDArray[np.uint32]) -> None:
    row[:] = read_be32(data, ip + hdr.IPV4_SOURCE)
    row[1] = read_be32(data, ip + hdr.IPV4_DESTINATION)
    icmp = ip + (int64(data[ip]) & 15) * 4
    inner = icmp + hdr.ICMP_LENGTH
    if int64(data[ip + hdr.IPV4_PROTOCOL]) != hdr.PROTOCOL_ICMP or inner > end:
        return
    kind = int64(data[icmp])
    for error in _ERRORS:
        if kind == error and inner + hdr.IPV4_MIN_LENGTH <= end:
            row[2] = read_be32(data, inner + hdr.IPV4_SOURCE)
            row[3] = read_be32(data, inner + hdr.IPV4_DESTINATION)
    if kind == hdr.ICMP_ECHO_REPLY and inner + TARGET_AT + 4 <= end:
        row[4] = read_be32(data, inner + TARGET_AT)


@kernel
def index_records(
    data: NDArray[np.uint8], end: int, starts: NDArray[np.int64], addresses: NDArray[np.uint32], ethernet: bool
) -> int:
    """Index the whole records in data[:end], at most len(starts) - 1; return how many, -1 if one cannot be a record.

    `starts` gets where each begins, and after the last one where that ends; `addresses` (records, ADDRESSES) the
    addresses that each packet is about, host order: its source in place of one that it does not have, 0 if it is not
    IPv4. `ethernet` is whether records are Ethernet frames or packets from their IP header on.
    """
    at, count = 0, 0
    while count < len(starts) - 1 and end - at >= RECORD_BYTES:
        captured = read_le32(data, at + 8)
        if captured > MAX_CAPTURED:
            return -1
        following = at + RECORD_BYTES + captured
        if following > end:
            break
        starts[count] = at
        addresses[count, :] = 0
        ip = _ip_at(data, at + RECORD_BYTES, following, ethernet)
        if ip >= 0:
            _note_addresses(data, ip, following, addresses[count])
        count += 1
        at = following
    starts[count] = at
    return count
