"""The probes of a survey as they arrived at the far end, each matched to its address and round."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.planes.blocks import BLOCK_ADDRESSES, Blocks
from liveness.planes.manifest import SurveyManifest

OCTETS: Final = np.uint32(8)
EARLY_NS: Final = 20_000_000
"""How much before its slot a probe may arrive: slots on disk are cut to milliseconds, clocks are read apart."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When the rounds of a survey were due, ns since the epoch."""

    start_ns: int
    interval_ns: int
    rounds: int
    probes: tuple[str, ...]
    phases_ms: NDArray[np.uint32]

    @classmethod
    def of(cls, manifest: SurveyManifest, phases_ms: NDArray[np.uint32]) -> "Schedule":
        """Return the schedule of a run."""
        interval_ns = round(manifest.interval_s * 1e9)
        return cls(manifest.start_ns, interval_ns, manifest.rounds, tuple(manifest.probes), phases_ms)

    @property
    def spacing_ns(self) -> float:
        """Time between two probes to one /24, and between two probes to one address."""
        return self.interval_ns / (BLOCK_ADDRESSES * len(self.probes))

    def due_ns(self, probe: str) -> NDArray[np.int64]:
        """Return when each address is due in round 0: its phase, and a spacing more for each probe before this one."""
        later_ns = round(self.probes.index(probe) * self.spacing_ns)
        return self.start_ns + self.phases_ms.astype(np.int64) * 1_000_000 + later_ns


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Probes of one kind in the order of address and time. `rows` are their rows of the log.

    `index` is the place of the address among all of the survey, `late_ns` is by how much the probe missed its slot.
    """

    rows: NDArray[np.void]
    index: NDArray[np.int64]
    number: NDArray[np.int64]
    """The round of each probe."""
    late_ns: NDArray[np.int64]
    strays: int = 0
    """Probes to other addresses, or before the first round."""
    after: int = 0
    """Probes after the last round that the planes hold: of a survey that ended early."""

    def of_block(self, block: int) -> "Arrivals":
        """Return the probes to the addresses of one block."""
        low, high = np.searchsorted(self.index, [block * BLOCK_ADDRESSES, (block + 1) * BLOCK_ADDRESSES]).tolist()
        part = slice(low, high)
        return Arrivals(
            self.rows[part], self.index[part] - block * BLOCK_ADDRESSES, self.number[part], self.late_ns[part]
        )


def arrivals_of(rows: NDArray[np.void], blocks: Blocks, schedule: Schedule, probe: str) -> Arrivals:
    """Match rows of the log, all of one probe, to addresses and rounds of a survey."""
    block = np.searchsorted(blocks.numbers, rows["target"] >> OCTETS)
    block = np.minimum(block, len(blocks) - 1)
    known = blocks.numbers[block] == rows["target"] >> OCTETS
    index = block.astype(np.int64) * BLOCK_ADDRESSES + (rows["target"] & np.uint32(BLOCK_ADDRESSES - 1))
    since_ns = rows["time_ns"] - schedule.due_ns(probe)[index]
    number = (since_ns + EARLY_NS) // schedule.interval_ns
    known &= number >= 0
    after = known & (number >= schedule.rounds)
    known &= ~after
    late_ns = since_ns - number * schedule.interval_ns
    order = np.flatnonzero(known)
    order = order[np.lexsort((rows["time_ns"][order], index[order]))]
    left_out = int(after.sum())
    strays = len(rows) - len(order) - left_out
    return Arrivals(rows[order], index[order], number[order], late_ns[order], strays, left_out)


@dataclass(frozen=True, slots=True)
class Timing:
    """How exactly a survey kept its schedule, as the far end saw it."""

    gaps: int
    """Pairs of probes to one address in consecutive rounds."""
    within_50_ms: float | None
    """Share of them whose distance differs from the interval by at most 50 ms."""
    worst_gap_ms: float | None
    closest_ms: float | None
    """Shortest time between two probes to one /24."""
    spacing_ms: float
    """The time that the schedule has between them."""


TOLERANCE_NS: Final = 50_000_000


def timing_of(rows: NDArray[np.void], arrivals: list[Arrivals], schedule: Schedule) -> Timing:
    """Return the distances between all probes of a survey."""
    off_ns = np.concatenate([_gaps_ns(one) for one in arrivals]) if arrivals else np.zeros(0, np.int64)
    order = np.lexsort((rows["time_ns"], rows["target"] >> OCTETS))
    block, times_ns = (rows["target"] >> OCTETS)[order], rows["time_ns"][order]
    apart_ns = np.diff(times_ns)[block[1:] == block[:-1]]
    return Timing(
        gaps=len(off_ns),
        within_50_ms=float((abs(off_ns) <= TOLERANCE_NS).mean()) if len(off_ns) else None,
        worst_gap_ms=float(abs(off_ns).max()) / 1e6 if len(off_ns) else None,
        closest_ms=float(apart_ns.min()) / 1e6 if len(apart_ns) else None,
        spacing_ms=schedule.spacing_ns / 1e6,
    )


def _gaps_ns(arrivals: Arrivals) -> NDArray[np.int64]:
    """Return, for probes to one address in consecutive rounds, by how much their distance misses the interval."""
    follow = (np.diff(arrivals.index) == 0) & (np.diff(arrivals.number) == 1)
    missed: NDArray[np.int64] = np.diff(arrivals.late_ns)[follow]
    return missed
