"""Reader of Corsaro's FlowTuple files, version 3 (CAIDA): Avro records of what a telescope received in an interval."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.errors import UsageError
from liveness.flows.avro import MAGIC, read_columns, read_schema
from liveness.flows.record import PROTOCOL_ICMP, Flows, Input, Notes, empty

_FIELDS: Final = (
    "time", "src_ip", "dst_ip", "src_port", "dst_port", "protocol", "tcp_flags", "ip_len", "packet_cnt",
)  # fmt: skip
_TIME, _SRC, _DST, _SPORT, _DPORT, _PROTOCOL, _FLAGS, _LENGTH, _PACKETS = range(len(_FIELDS))
_MOST: Final = np.array(
    [(1 << 33) - 1, (1 << 32) - 1, (1 << 32) - 1, 0xFFFF, 0xFFFF, 0xFF, 0xFF, 0xFFFF, (1 << 40) - 1], np.int64
)
"""The largest value of each field that makes sense; the time is in seconds."""
_NS_PER_S: Final = 1_000_000_000
_BYTE: Final = 0xFF


def recognise(head: bytes) -> bool:
    """Return whether a file is an Avro file that names a flowtuple in its header."""
    return head.startswith(MAGIC) and b"flowtuple" in head


def read(source: Input, notes: Notes) -> Iterator[Flows]:
    """Yield the flows of a file; start and end are the interval's start. UsageError for other records.

    A FlowTuple has one IP length, that of its packets: the bytes of a flow are that times its packets. ICMP's ports are
    type and code.
    """
    schema = read_schema(source)
    missing = [name for name in _FIELDS if name not in schema.names]
    if missing:
        kept = " (version 4 keeps /24s instead of addresses)" if "dst_net" in schema.names else ""
        raise UsageError(f"{source.name}: not FlowTuple version 3: no field {missing[0]!r}{kept}")
    exporter = notes.exporter(source.name)
    for rows in read_columns(source, notes, schema, _FIELDS):
        good = ((rows >= 0) & (rows <= _MOST)).all(axis=1)
        if not good.all():
            notes.undecoded["records with impossible values"] += int((~good).sum())
        yield _flows(rows[good], exporter)


def _flows(rows: NDArray[np.int64], exporter: int) -> Flows:
    flows = empty(len(rows))
    flows["start_ns"] = flows["end_ns"] = rows[:, _TIME] * _NS_PER_S
    icmp = rows[:, _PROTOCOL] == PROTOCOL_ICMP
    kind = (rows[:, _SPORT] & _BYTE) << 8 | rows[:, _DPORT] & _BYTE
    flows["sport"] = np.where(icmp, 0, rows[:, _SPORT])
    flows["dport"] = np.where(icmp, kind, rows[:, _DPORT])
    flows["src"], flows["dst"] = rows[:, _SRC], rows[:, _DST]
    flows["protocol"], flows["flags"] = rows[:, _PROTOCOL], rows[:, _FLAGS]
    flows["packets"] = rows[:, _PACKETS]
    flows["bytes"] = rows[:, _PACKETS] * rows[:, _LENGTH]
    flows["exporter"] = exporter
    return flows
