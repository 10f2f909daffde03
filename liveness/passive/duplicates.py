"""Duplicates: the same flow seen by several exporters counts once, with the larger of each count.

A record is a copy if an earlier record of its key and direction that was kept comes from another exporter and overlaps
it in time, ends included. Records that last beyond an interval are remembered for the next ones.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64
from liveness.passive.aggregate import Part, find
from liveness.passive.records import INBOUND, OBSERVATION_DTYPE, OUTBOUND, Observations, Row

COPY_DTYPE = np.dtype([("kept", np.uint32), ("copy", np.uint32), ("later_ns", np.int64)])
"""Of a copy: the exporter of the record that was kept, its own, and by how much it starts later."""
_KEY = ("local", "remote", "lport", "rport", "protocol", "kind")


@kernel
def _same(row: Row, other: Row) -> bool:
    """Return whether two observations have the same key and direction."""
    same: bool = (
        row["local"] == other["local"]
        and row["remote"] == other["remote"]
        and row["lport"] == other["lport"]
        and row["rport"] == other["rport"]
        and row["protocol"] == other["protocol"]
        and row["kind"] == other["kind"]
        and int64(row["marks"]) & 3 == int64(other["marks"]) & 3
    )
    return same


@kernel
def drop_copies(
    observations: Observations,
    old: NDArray[np.bool_],
    kept: NDArray[np.bool_],
    grown: NDArray[np.int64],
    found: NDArray[np.void],
) -> int:
    """Mark which of some sorted observations are kept; return how many are copies.

    `old` marks those of earlier intervals, which are kept already. A kept one takes the larger counts; `grown` gets by
    how many packets and bytes. `found` takes the copies.
    """
    copies = 0
    first = 0
    for at in range(len(observations)):
        if not _same(observations[first], observations[at]):
            first = at
        kept[at] = True
        if old[at] or not int64(observations[at]["marks"]) & (INBOUND | OUTBOUND):  # a quote is no record
            continue
        observation = observations[at]
        # the first ones that ended before this one starts have ended before all later ones start as well
        while first < at and int64(observations[first]["end_ns"]) < int64(observation["start_ns"]):
            first += 1
        for earlier in range(first, at):
            other = observations[earlier]
            if (
                kept[earlier]
                and other["exporter"] != observation["exporter"]
                and int64(other["end_ns"]) >= int64(observation["start_ns"])
            ):
                kept[at] = False
                found[copies]["kept"], found[copies]["copy"] = other["exporter"], observation["exporter"]
                found[copies]["later_ns"] = int64(observation["start_ns"]) - int64(other["start_ns"])
                copies += 1
                more = int64(observation["packets"]) - int64(other["packets"])
                if more > 0:
                    grown[earlier, 0] += more
                    other["packets"] = uint64(observation["packets"])
                more = int64(observation["bytes"]) - int64(other["bytes"])
                if more > 0:
                    grown[earlier, 1] += more
                    other["bytes"] = uint64(observation["bytes"])
                other["flags"] |= observation["flags"]
                break
    return copies


@kernel
def _grow_rows(
    observations: Observations, grown: NDArray[np.int64], rows: Observations, table: NDArray[np.int32]
) -> None:
    """Add to rows what the observations of theirs have grown by."""
    for at in range(len(observations)):
        place = table[find(table, rows, observations[at])]
        if place < 0:
            continue
        row = rows[place]
        if int64(observations[at]["marks"]) & INBOUND:
            row["in_packets"] += uint64(grown[at, 0])
            row["in_bytes"] += uint64(grown[at, 1])
        elif int64(observations[at]["marks"]) & OUTBOUND:
            row["out_packets"] += uint64(grown[at, 0])
            row["out_bytes"] += uint64(grown[at, 1])


def _none() -> Observations:
    return np.empty(0, OBSERVATION_DTYPE)


@dataclass(slots=True, eq=False)
class Lasting:
    """The observations of a part that last beyond their interval, with the interval each began in."""

    observations: Observations = field(default_factory=_none)
    intervals: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    def without_copies(
        self, observations: Observations, interval: int, end_ns: int, before: Part, several: bool
    ) -> tuple[Observations, NDArray[np.void]]:
        """Return the observations of an interval without copies, and the copies as COPY_DTYPE.

        `end_ns` is the interval's end; `before` holds the rows of the interval before, which grow where a copy of
        theirs has larger counts. `several` is whether there was more than one exporter yet.
        """
        if not several or not len(observations):
            lasting = observations[observations["end_ns"] >= end_ns]
            self._keep(
                np.concatenate((self.observations, lasting)),
                np.concatenate((self.intervals, np.full(len(lasting), interval))),
                end_ns,
            )
            return observations, np.empty(0, COPY_DTYPE)
        joined = np.concatenate((self.observations, observations))
        intervals = np.concatenate((self.intervals, np.full(len(observations), interval)))
        names = ("exporter", "end_ns", "start_ns")
        direction = joined["marks"] & np.uint8(3)
        order = np.lexsort((*(joined[name] for name in names), direction, *(joined[name] for name in _KEY)))
        joined, intervals = joined[order], intervals[order]
        kept, grown = np.zeros(len(joined), np.bool_), np.zeros((len(joined), 2), np.int64)
        old = intervals < interval
        found = np.empty(len(joined), COPY_DTYPE)
        copies = drop_copies(joined, old, kept, grown, found)
        changed = (intervals == interval - 1) & grown.any(axis=1)
        if changed.any():
            _grow_rows(joined[changed], grown[changed], before.rows, before.table)
        fresh = joined[kept & ~old]
        self._keep(joined[kept], intervals[kept], end_ns)
        return fresh, found[:copies].copy()

    def _keep(self, observations: Observations, intervals: NDArray[np.int64], end_ns: int) -> None:
        """Remember what lasts beyond an interval."""
        lasting = observations["end_ns"] >= end_ns
        self.observations, self.intervals = observations[lasting], intervals[lasting]
