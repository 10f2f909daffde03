"""Endpoints of peers: local ports from 1024 on whose remotes come from about as many ports (Karagiannis 2004).

A server's clients come from more ports than they are, as each opens several connections; a peer's remotes connect once
each. Looked for an interval at a time, in two passes: a table of counters by hash finds those that can have enough.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.flows.record import PROTOCOL_TCP, PROTOCOL_UDP
from liveness.kernel import int64, kernel, uint64
from liveness.passive.history import HIGH_PORT
from liveness.passive.records import INBOUND, Row, Rows
from liveness.passive.services import service_key
from liveness.passive.tables import mixed, set_of

LEAST_REMOTES: Final = 10
TOLERANCE: Final = 0.1
"""Remotes and ports may differ by this share of the remotes."""
COUNTERS: Final = 1 << 20
PEER_DTYPE: Final = np.dtype([("endpoint", np.uint64), ("remote", np.uint32), ("rport", np.uint16)])


@kernel
def _counts(row: Row) -> bool:
    high = int64(row["lport"]) >= HIGH_PORT and int64(row["marks"]) & INBOUND != 0
    return high and int64(row["protocol"]) in (PROTOCOL_TCP, PROTOCOL_UDP)


@kernel
def _counter_of(row: Row) -> int:
    return int64(mixed(uint64(service_key(row)), uint64(4)) & uint64(COUNTERS - 1))


@kernel
def _count(rows: Rows, counters: NDArray[np.uint8]) -> None:
    for at in range(len(rows)):
        if _counts(rows[at]):
            place = _counter_of(rows[at])
            counters[place] = min(255, int64(counters[place]) + 1)


@kernel
def _collect(rows: Rows, counters: NDArray[np.uint8], out: NDArray[np.void]) -> int:
    count = 0
    for at in range(len(rows)):
        row = rows[at]
        if _counts(row) and int64(counters[_counter_of(row)]) >= LEAST_REMOTES:
            out[count]["endpoint"] = uint64(service_key(row))
            out[count]["remote"] = row["remote"]
            out[count]["rport"] = row["rport"]
            count += 1
    return count


def peer_endpoints(parts: list[Rows]) -> NDArray[np.uint64]:
    """Return the table of the endpoints of peers in an interval, whose rows come in parts."""
    counters = np.zeros(COUNTERS, np.uint8)
    for rows in parts:
        _count(rows, counters)
    if not len(counters) or int(counters.max()) < LEAST_REMOTES:
        return set_of(np.empty(0, np.uint64))
    found = []
    for rows in parts:
        out = np.empty(len(rows), PEER_DTYPE)
        found.append(out[: _collect(rows, counters, out)].copy())
    peers = np.concatenate(found)
    remotes, ports = _distinct(peers, "remote"), _distinct(peers, "rport")
    wanted = [
        endpoint
        for endpoint, count in remotes.items()
        if count >= LEAST_REMOTES and abs(count - ports[endpoint]) <= TOLERANCE * count
    ]
    return set_of(np.array(wanted, np.uint64))


def _distinct(peers: NDArray[np.void], column: str) -> dict[int, int]:
    """Return how many values of a column each endpoint has."""
    order = np.lexsort((peers[column], peers["endpoint"]))
    endpoint, value = peers["endpoint"][order], peers[column][order]
    new = np.ones(len(order), np.bool_)
    new[1:] = (endpoint[1:] != endpoint[:-1]) | (value[1:] != value[:-1])
    endpoints, counts = np.unique(endpoint[new], return_counts=True)
    return dict(zip(endpoints.tolist(), counts.tolist(), strict=True))
