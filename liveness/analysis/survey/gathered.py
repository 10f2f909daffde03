"""What figures of a survey need besides its results: distributions over addresses, and activity by round."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.analysis.survey.block import BlockResult
from liveness.analysis.survey.results import AddressSink
from liveness.analysis.survey.sequences import PLAIN, READINGS, AddressFigures, availability, mean_up

DENSITY_BINS: Final = 100
SHARE_BINS: Final = 1000
"""Bins of the distributions of A and U: a curve is exact to a thousandth."""
LEVELS: Final = 250
UNKNOWN: Final = 255
"""The level of a round in which no address of a block was probed."""


@dataclass(slots=True)
class ProbeGathered:
    """The distributions and the activity of one probe, over ever-responsive addresses."""

    rounds: int
    density: NDArray[np.int64] = field(init=False)
    """Addresses by bin of A and bin of U, plain: bin i of 100 has the values above i / 100, the first also 0."""
    shares: NDArray[np.int64] = field(init=False)
    """Addresses by bin of A and of U, of 1000: (2 readings, 2, 1000)."""
    active: NDArray[np.int64] = field(init=False)
    """Addresses that answered, by round."""
    probed: NDArray[np.int64] = field(init=False)
    """Addresses that were sent a probe, by round."""
    levels: dict[int, NDArray[np.uint8]] = field(default_factory=dict)
    """Of blocks with a full outage, the share of addresses that answered by round: 0 to LEVELS, or UNKNOWN."""

    def __post_init__(self) -> None:
        self.density = np.zeros((DENSITY_BINS, DENSITY_BINS), np.int64)
        self.shares = np.zeros((READINGS, 2, SHARE_BINS), np.int64)
        self.active, self.probed = np.zeros((2, self.rounds), np.int64)

    def add_addresses(self, figures: AddressFigures) -> None:
        """Count A and U of the addresses that ever answered."""
        ever = np.flatnonzero(figures.ones[:, PLAIN] > 0)
        for reading in range(READINGS):
            a, u = availability(figures, reading)[ever], mean_up(figures, reading)[ever]
            for place, values in enumerate((a, u)):
                self.shares[reading, place] += np.bincount(bins(values, SHARE_BINS), minlength=SHARE_BINS)
            if reading == PLAIN:
                pairs = bins(a, DENSITY_BINS) * DENSITY_BINS + bins(u, DENSITY_BINS)
                counts = np.bincount(pairs, minlength=DENSITY_BINS * DENSITY_BINS)
                self.density += counts.reshape(self.density.shape)

    def add_activity(self, blocks: list[BlockResult], activity: NDArray[np.int32]) -> None:
        """Add the rounds of blocks: `activity` is (blocks, 2, rounds), addresses that answered and that were probed."""
        whole = activity.sum(axis=0, dtype=np.int64)
        self.active += whole[0]
        self.probed += whole[1]
        for result, (active, probed) in zip(blocks, activity, strict=True):
            if result.outages:
                levels = np.round(LEVELS * active / np.maximum(probed, 1)).astype(np.uint8)
                self.levels[result.block] = np.where(probed > 0, levels, np.uint8(UNKNOWN))


@dataclass(slots=True)
class Gathered:
    """What figures need of each probe. Its methods receive the parts of `analyze_survey`."""

    rounds: int
    probes: dict[str, ProbeGathered] = field(default_factory=dict)

    def of(self, probe: str) -> ProbeGathered:
        """Return what was gathered of a probe."""
        return self.probes.setdefault(probe, ProbeGathered(self.rounds))

    def take_addresses(self, probe: str, first: int, figures: AddressFigures) -> None:
        """Receive figures of addresses."""
        del first
        self.of(probe).add_addresses(figures)

    def take_activity(self, probe: str, blocks: list[BlockResult], activity: NDArray[np.int32]) -> None:
        """Receive the rounds of blocks."""
        self.of(probe).add_activity(blocks, activity)


def bins(values: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Return the bin of each value in [0, 1]: bin i has the values in (i / count, (i + 1) / count], bin 0 also 0.

    A value at the edge of two bins belongs to the lower one: the sum of bins is the number of values up to an edge.
    """
    return np.clip(np.ceil(values * count - 1e-9).astype(np.int64) - 1, 0, count - 1)


def all_of(sinks: Sequence[AddressSink | None]) -> AddressSink | None:
    """Return a sink that passes figures of addresses to several, None if there is none."""
    wanted = [sink for sink in sinks if sink is not None]

    def take(probe: str, first: int, figures: AddressFigures) -> None:
        for sink in wanted:
            sink(probe, first, figures)

    return take if wanted else None
