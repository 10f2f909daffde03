"""Decodes NetFlow v5 datagrams: a header of 24 bytes and up to 30 records of 48, all big-endian."""

from typing import Final

import numpy as np

from liveness.flows.record import FLOW_DTYPE, Flows

VERSION: Final = 5
HEADER_BYTES: Final = 24
RECORD_BYTES: Final = 48
MOST_RECORDS: Final = 30

HEADER_DTYPE: Final = np.dtype(
    [
        ("version", ">u2"),
        ("count", ">u2"),
        ("uptime_ms", ">u4"),
        ("unix_s", ">u4"),
        ("unix_ns", ">u4"),
        ("sequence", ">u4"),  # counts flows
        ("engine_type", "u1"),
        ("engine_id", "u1"),
        ("sampling", ">u2"),  # two bits of mode, fourteen of interval
    ]
)
RECORD_DTYPE: Final = np.dtype(
    [
        ("src", ">u4"),
        ("dst", ">u4"),
        ("next_hop", ">u4"),
        ("input", ">u2"),
        ("output", ">u2"),
        ("packets", ">u4"),
        ("bytes", ">u4"),
        ("first_ms", ">u4"),  # of the exporter's uptime
        ("last_ms", ">u4"),
        ("sport", ">u2"),
        ("dport", ">u2"),
        ("pad", "u1"),
        ("flags", "u1"),
        ("protocol", "u1"),
        ("tos", "u1"),
        ("rest", "V8"),
    ]
)
_COPIED: Final = ("src", "dst", "input", "output", "packets", "bytes", "sport", "dport", "flags", "protocol")
_NS_PER_MS: Final = 1_000_000
_NS_PER_S: Final = 1_000_000_000
_INTERVAL_MASK: Final = 0x3FFF


def decode(datagrams: bytes, count: int, exporter: int) -> Flows:
    """Return the flows of `count` records at the beginning of a datagram, which is whole.

    Times are the header's clock less the uptime plus the flow's. An uptime that wrapped (49.7 days) between flow and
    header is seen by a flow that would lie in the future: differences are taken modulo 2^32.
    """
    header = np.frombuffer(datagrams, HEADER_DTYPE, 1)[0]
    rows = np.frombuffer(datagrams, RECORD_DTYPE, count, HEADER_BYTES)
    flows = np.zeros(count, FLOW_DTYPE)
    for name in _COPIED:
        flows[name] = rows[name]
    now_ns = int(header["unix_s"]) * _NS_PER_S + int(header["unix_ns"])
    for name, column in (("start_ns", "first_ms"), ("end_ns", "last_ms")):
        # signed: an exporter may stamp a flow a little later than the datagram
        age_ms = (np.uint32(header["uptime_ms"]) - rows[column].astype(np.uint32)).astype(np.int32).astype(np.int64)
        flows[name] = now_ns - age_ms * _NS_PER_MS
    flows["exporter"] = exporter
    flows["sampling"] = int(header["sampling"]) & _INTERVAL_MASK
    return flows
