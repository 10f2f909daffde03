"""Aggregation: the observations of one interval become rows, one a key, divided into parts by remote address.

All that is known of a remote (its flows, pairs and random walk) lies in one part, so that each part's tables fit a
core's cache, and parts are worked on side by side. Results do not depend on the number of parts.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.errors import LivenessError
from liveness.kernel import int64, kernel, uint64
from liveness.passive.records import (
    FORWARD_IN,
    INBOUND,
    NEVER,
    OBSERVATION_DTYPE,
    OUTBOUND,
    QUOTED_IN,
    QUOTED_OUT,
    ROW_DTYPE,
    Blocks,
    Observations,
    Row,
    Rows,
)
from liveness.passive.tables import mixed, size_for

ROWS_A_PART: Final = 1 << 13
MOST_PARTS: Final = 256
_CHANGED: Final = "the observations of an interval changed while they were read: who else writes in the run's folder?"


def parts_for(observations: int) -> int:
    """Return how many parts suit intervals of so many observations."""
    return min(MOST_PARTS, 1 << max(0, (observations // ROWS_A_PART).bit_length()))


@kernel
def _part_of(remote: int, parts: int) -> int:
    return int64(mixed(uint64(remote), uint64(1)) & uint64(parts - 1))


@kernel
def count_by_part(observations: Observations, parts: int, counts: NDArray[np.int64]) -> None:
    """Add to `counts` how many observations each part has."""
    for at in range(len(observations)):
        counts[_part_of(int64(observations[at]["remote"]), parts)] += 1


@kernel
def place_by_part(
    observations: Observations, parts: int, places: NDArray[np.int64], ends: NDArray[np.int64], out: Observations
) -> bool:
    """Write observations to the places of their parts, which move on; return whether each part had room for its own."""
    for at in range(len(observations)):
        part = _part_of(int64(observations[at]["remote"]), parts)
        if places[part] >= ends[part]:
            return False
        out[places[part]] = observations[at]
        places[part] += 1
    return True


def divided(blocks: Blocks, parts: int) -> list[Observations]:
    """Return the observations of some blocks part by part, in their order. The blocks are read twice.

    LivenessError if they differ.
    """
    counts = np.zeros(parts, np.int64)
    for block in blocks:
        count_by_part(block, parts, counts)
    ends = np.cumsum(counts)
    out = np.empty(int(ends[-1]), OBSERVATION_DTYPE)
    places = ends - counts
    for block in blocks:
        if not place_by_part(block, parts, places, ends, out):
            raise LivenessError(_CHANGED)
    if (places != ends).any():
        raise LivenessError(_CHANGED)
    return np.split(out, ends[:-1])


@kernel
def find(table: NDArray[np.int32], rows: Rows, row: Row) -> int:
    """Return the place of a row's (or observation's) key in a table, or the free place where it belongs."""
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
def aggregate(observations: Observations, rows: Rows, table: NDArray[np.int32]) -> int:
    """Write one row for each key of some observations, and their places into an empty table; return how many."""
    count = 0
    for at in range(len(observations)):
        observation = observations[at]
        slot = find(table, rows, observation)
        if table[slot] < 0:
            table[slot] = count
            row = rows[count]
            row["local"], row["remote"] = observation["local"], observation["remote"]
            row["lport"], row["rport"] = observation["lport"], observation["rport"]
            row["protocol"], row["kind"] = observation["protocol"], observation["kind"]
            row["in_start"], row["out_start"] = NEVER, NEVER
            row["in_packets"], row["in_bytes"], row["out_packets"], row["out_bytes"] = 0, 0, 0, 0
            row["in_flags"], row["out_flags"], row["marks"], row["state"], row["pattern"] = 0, 0, 0, 0, 0
            count += 1
        row = rows[table[slot]]
        marks = int64(observation["marks"])
        row["marks"] |= marks & (INBOUND | OUTBOUND | FORWARD_IN | QUOTED_IN | QUOTED_OUT)
        if marks & INBOUND:
            row["in_packets"] += observation["packets"]
            row["in_bytes"] += observation["bytes"]
            row["in_flags"] |= observation["flags"]
            row["in_start"] = min(int64(row["in_start"]), int64(observation["start_ns"]))
        elif marks & OUTBOUND:
            row["out_packets"] += observation["packets"]
            row["out_bytes"] += observation["bytes"]
            row["out_flags"] |= observation["flags"]
            row["out_start"] = min(int64(row["out_start"]), int64(observation["start_ns"]))
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


def part_of(observations: Observations) -> Part:
    """Return the part of some observations, not paired yet."""
    rows = np.empty(len(observations), ROW_DTYPE)
    table = np.full(size_for(len(observations)), -1, np.int32)
    count = aggregate(observations, rows, table)
    rows = rows[:count].copy()  # without the room of those that became one row
    return Part(rows, table, NO_KEYS, NO_KEYS, NO_TABLE)


def empty_part() -> Part:
    """Return the part of no observations."""
    return part_of(np.empty(0, OBSERVATION_DTYPE))
