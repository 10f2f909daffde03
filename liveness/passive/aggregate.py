"""Aggregation: the sightings of one interval become rows, one a key, divided into parts by remote address.

All that is known of a remote (its flows, pairs and random walk) lies in one part, so that each part's tables fit a
core's cache, and parts are worked on side by side. Results do not depend on the number of parts.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64
from liveness.passive.records import (
    FORWARD_IN,
    INBOUND,
    NEVER,
    OUTBOUND,
    QUOTED_IN,
    QUOTED_OUT,
    ROW_DTYPE,
    SIGHTING_DTYPE,
    Row,
    Rows,
    Sightings,
)
from liveness.passive.tables import mixed, size_for

ROWS_A_PART: Final = 1 << 13
MOST_PARTS: Final = 256


def parts_for(sightings: int) -> int:
    """Return how many parts suit intervals of so many sightings."""
    return min(MOST_PARTS, 1 << max(0, (sightings // ROWS_A_PART).bit_length()))


@kernel
def _part_of(remote: int, parts: int) -> int:
    return int64(mixed(uint64(remote), uint64(1)) & uint64(parts - 1))


@kernel
def divide(sightings: Sightings, parts: int, bounds: NDArray[np.int64], out: Sightings) -> None:
    """Write sightings part by part, in their order; part k lies from bounds[k] to bounds[k + 1]."""
    for at in range(len(sightings)):
        bounds[_part_of(int64(sightings[at]["remote"]), parts) + 1] += 1
    for part in range(parts):
        bounds[part + 1] += bounds[part]
    places = bounds[:parts].copy()
    for at in range(len(sightings)):
        part = _part_of(int64(sightings[at]["remote"]), parts)
        out[places[part]] = sightings[at]
        places[part] += 1


@kernel
def find(table: NDArray[np.int32], rows: Rows, row: Row) -> int:
    """Return the place of a row's (or sighting's) key in a table, or the free place where it belongs."""
    mask = uint64(len(table) - 1)
    local, remote = int64(row["local"]), int64(row["remote"])
    lport, rport = int64(row["lport"]), int64(row["rport"])
    protocol, kind = int64(row["protocol"]), int64(row["kind"])
    slot = mixed(local << 32 | remote, lport << 32 | rport << 16 | protocol << 8 | kind) & mask
    while True:
        at = table[slot]
        if at < 0:
            return int64(slot)
        found = rows[at]
        if (
            int64(found["local"]) == local
            and int64(found["remote"]) == remote
            and int64(found["lport"]) == lport
            and int64(found["rport"]) == rport
            and int64(found["protocol"]) == protocol
            and int64(found["kind"]) == kind
        ):
            return int64(slot)
        slot = (slot + uint64(1)) & mask


@kernel
def aggregate(sightings: Sightings, rows: Rows, table: NDArray[np.int32]) -> int:
    """Write one row for each key of some sightings, and their places into an empty table; return how many."""
    count = 0
    for at in range(len(sightings)):
        sighting = sightings[at]
        slot = find(table, rows, sighting)
        if table[slot] < 0:
            table[slot] = count
            row = rows[count]
            row["local"], row["remote"] = sighting["local"], sighting["remote"]
            row["lport"], row["rport"] = sighting["lport"], sighting["rport"]
            row["protocol"], row["kind"] = sighting["protocol"], sighting["kind"]
            row["in_start"], row["out_start"] = NEVER, NEVER
            row["in_packets"], row["in_bytes"], row["out_packets"], row["out_bytes"] = 0, 0, 0, 0
            row["in_flags"], row["out_flags"], row["marks"], row["state"], row["pattern"] = 0, 0, 0, 0, 0
            count += 1
        row = rows[table[slot]]
        marks = int64(sighting["marks"])
        row["marks"] |= marks & (INBOUND | OUTBOUND | FORWARD_IN | QUOTED_IN | QUOTED_OUT)
        if marks & INBOUND:
            row["in_packets"] += sighting["packets"]
            row["in_bytes"] += sighting["bytes"]
            row["in_flags"] |= sighting["flags"]
            row["in_start"] = min(int64(row["in_start"]), int64(sighting["start_ns"]))
        elif marks & OUTBOUND:
            row["out_packets"] += sighting["packets"]
            row["out_bytes"] += sighting["bytes"]
            row["out_flags"] |= sighting["flags"]
            row["out_start"] = min(int64(row["out_start"]), int64(sighting["start_ns"]))
    return count


@dataclass(slots=True, eq=False)
class Part:
    """The rows of one part of an interval, and what pairing adds."""

    rows: Rows
    table: NDArray[np.int32]
    pairs: NDArray[np.uint64]
    """Set of (local, remote) with a successful two-way flow."""
    clients: NDArray[np.uint64]
    """Set of digests of (service, remote) with a successful two-way flow; `client_rows` distinguishes equal digests."""
    client_rows: NDArray[np.int32]


NO_KEYS: Final = np.zeros(2, np.uint64)
NO_TABLE: Final = np.full(2, -1, np.int32)


def part_of(sightings: Sightings) -> Part:
    """Return the part of some sightings, not paired yet."""
    rows = np.empty(len(sightings), ROW_DTYPE)
    table = np.full(size_for(len(sightings)), -1, np.int32)
    count = aggregate(sightings, rows, table)
    rows = rows[:count].copy()  # without the room of those that became one row
    return Part(rows, table, NO_KEYS, NO_KEYS, NO_TABLE)


def empty_part() -> Part:
    """Return the part of no sightings."""
    return part_of(np.empty(0, SIGHTING_DTYPE))
