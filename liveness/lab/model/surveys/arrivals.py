"""The probes of a survey as they arrived at the far end, by /24, each matched to its address and round."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.planes.blocks import BLOCK_ADDRESSES, Blocks
from liveness.planes.manifest import SurveyManifest

OCTETS: Final = np.uint32(8)
ROWS_AT_ONCE: Final = 1 << 20
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
    """Probes of one kind to one /24 in the order of address and time. `rows` are their rows of the log.

    `index` is the place of the address in its /24, `late_ns` is by how much the probe missed its slot.
    """

    rows: NDArray[np.void]
    index: NDArray[np.int64]
    number: NDArray[np.int64]
    """The round of each probe."""
    late_ns: NDArray[np.int64]
    strays: int = 0
    """Probes before the first round."""
    after: int = 0
    """Probes after the last round that the planes hold: of a survey that ended early."""


class ProbesByBlock:
    """The log of the far end by /24 of a survey. Only one /24 at a time is matched to rounds: logs have many rows."""

    def __init__(self, rows: NDArray[np.void], blocks: Blocks, schedule: Schedule, numbers: Sequence[int]) -> None:
        """Group rows; `numbers` are those of the probes of the schedule in the log."""
        self._schedule = schedule
        self._numbers = dict(zip(schedule.probes, numbers, strict=True))
        self._due_ns = {probe: schedule.due_ns(probe).reshape(-1, BLOCK_ADDRESSES) for probe in schedule.probes}
        place = np.empty(len(rows), np.uint16 if len(blocks) < np.iinfo(np.uint16).max else np.uint32)
        for at in range(0, len(rows), ROWS_AT_ONCE):
            part = slice(at, at + ROWS_AT_ONCE)
            slash24 = rows["target"][part] >> OCTETS
            found = np.minimum(np.searchsorted(blocks.numbers, slash24), len(blocks) - 1)
            place[part] = np.where(blocks.numbers[found] == slash24, found, len(blocks))
        # of 16 bits by counting, in one pass; rows that lie together are read much faster afterwards
        self._rows = rows[np.argsort(place, kind="stable")]
        self._ends = np.cumsum(np.bincount(place, minlength=len(blocks) + 1))
        self.seen = np.bincount(rows["probe"], minlength=256)
        """By number of the probe: all probes that arrived."""
        self.elsewhere = np.bincount(self._of(len(blocks))["probe"], minlength=256)
        """By number of the probe: those to no address of the survey."""

    def __len__(self) -> int:
        return len(self._ends) - 1

    def _of(self, block: int) -> NDArray[np.void]:
        return self._rows[self._ends[block - 1] if block else 0 : self._ends[block]]

    def of_block(self, block: int, probe: str) -> Arrivals:
        """Match the probes of one kind to one /24 to addresses and rounds."""
        rows = self._of(block)
        if len(self._numbers) > 1:
            rows = rows[rows["probe"] == self._numbers[probe]]
        interval_ns = self._schedule.interval_ns
        index = (rows["target"] & np.uint32(BLOCK_ADDRESSES - 1)).astype(np.int64)
        since_ns = rows["time_ns"] - self._due_ns[probe][block][index]
        number = (since_ns + EARLY_NS) // interval_ns
        late_ns = since_ns - number * interval_ns
        after = number >= self._schedule.rounds
        before = number < 0
        order = _by_address_and_time(index, rows["time_ns"])
        order = order[~(before | after)[order]]
        strays, left_out = int(before.sum()), int(after.sum())
        return Arrivals(rows[order], index[order], number[order], late_ns[order], strays, left_out)

    def closest_ns(self, block: int) -> int | None:
        """Return the shortest time between two probes to one /24, None for fewer than two."""
        times_ns = np.sort(self._of(block)["time_ns"])
        return int(np.diff(times_ns).min()) if len(times_ns) > 1 else None


def _by_address_and_time(index: NDArray[np.int64], times_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the order of probes to one /24 by address and time; most logs are in the order of time already."""
    if (times_ns[1:] >= times_ns[:-1]).all():
        return np.argsort(index.astype(np.uint8), kind="stable")
    return np.lexsort((times_ns, index))


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


@dataclass(slots=True)
class TimingSum:
    """The distances between probes of the /24s that were looked at so far."""

    gaps: int = 0
    within: int = 0
    worst_ns: int = 0

    def add(self, arrivals: Arrivals) -> None:
        """Count the distances of probes to one address in consecutive rounds."""
        follow = (arrivals.index[1:] == arrivals.index[:-1]) & (arrivals.number[1:] == arrivals.number[:-1] + 1)
        off_ns = abs(arrivals.late_ns[1:] - arrivals.late_ns[:-1])[follow]
        self.gaps += len(off_ns)
        self.within += int((off_ns <= TOLERANCE_NS).sum())
        self.worst_ns = max(self.worst_ns, int(off_ns.max(initial=0)))

    def timing(self, probes: ProbesByBlock, schedule: Schedule) -> Timing:
        """Return these distances, and those between any two probes to one /24."""
        found = [probes.closest_ns(block) for block in range(len(probes))]
        closest_ns = min((one for one in found if one is not None), default=None)
        return Timing(
            gaps=self.gaps,
            within_50_ms=self.within / self.gaps if self.gaps else None,
            worst_gap_ms=self.worst_ns / 1e6 if self.gaps else None,
            closest_ms=None if closest_ns is None else closest_ns / 1e6,
            spacing_ms=schedule.spacing_ns / 1e6,
        )
