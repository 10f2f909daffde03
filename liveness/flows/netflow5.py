"""Decodes NetFlow v5 datagrams: a header of 24 bytes and up to 30 records of 48, all big-endian."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.flows.record import Flows
from liveness.kernel import int64, kernel
from liveness.packets.bytes import read_be16, read_be32

VERSION: Final = 5
HEADER: Final = ">HHIIIIHH"
"""Version, count, uptime in ms, seconds and ns of the clock, sequence (counts flows), engine, sampling."""
HEADER_BYTES: Final = 24
RECORD_BYTES: Final = 48
MOST_RECORDS: Final = 30

_UPTIME, _SECONDS, _NANOSECONDS, _SAMPLING = 4, 8, 12, 22
_SRC, _DST, _INPUT, _OUTPUT, _PACKETS, _OCTETS, _FIRST, _LAST = 0, 4, 12, 14, 16, 20, 24, 28
_SPORT, _DPORT, _FLAGS, _PROTOCOL = 32, 34, 37, 38
_INTERVAL_MASK: Final = 0x3FFF
"""The other two bits of the sampling field are its mode."""
_HALF: Final = 1 << 31
_NS_PER_MS: Final = 1_000_000
_NS_PER_S: Final = 1_000_000_000


@kernel
def _age_ms(uptime: int, stamp: int) -> int:
    """Return how long ago a stamp of the uptime was, which wraps after 49.7 days; a little less than 0 is possible."""
    return ((uptime - stamp + _HALF) & 0xFFFFFFFF) - _HALF


@kernel
def decode(data: NDArray[np.uint8], count: int, exporter: int, out: Flows, row: int) -> None:
    """Write the flows of a datagram's first `count` records, which are there whole, to `out` from `row` on.

    A flow's times are the header's clock less the uptime since.
    """
    uptime = read_be32(data, _UPTIME)
    now_ns = read_be32(data, _SECONDS) * _NS_PER_S + read_be32(data, _NANOSECONDS)
    sampling = read_be16(data, _SAMPLING) & _INTERVAL_MASK
    for i in range(count):
        at = HEADER_BYTES + i * RECORD_BYTES
        flow = out[row + i]
        flow["start_ns"] = now_ns - _age_ms(uptime, read_be32(data, at + _FIRST)) * _NS_PER_MS
        flow["end_ns"] = now_ns - _age_ms(uptime, read_be32(data, at + _LAST)) * _NS_PER_MS
        flow["packets"], flow["bytes"] = read_be32(data, at + _PACKETS), read_be32(data, at + _OCTETS)
        flow["src"], flow["dst"] = read_be32(data, at + _SRC), read_be32(data, at + _DST)
        flow["sport"], flow["dport"] = read_be16(data, at + _SPORT), read_be16(data, at + _DPORT)
        flow["protocol"], flow["flags"] = int64(data[at + _PROTOCOL]), int64(data[at + _FLAGS])
        flow["first_flags"], flow["marks"] = 0, 0
        flow["exporter"], flow["sampling"] = exporter, sampling
        flow["input"], flow["output"] = read_be16(data, at + _INPUT), read_be16(data, at + _OUTPUT)
