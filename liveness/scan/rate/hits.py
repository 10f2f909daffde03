"""Hit rates: the share of probes that are answered, measured at two rates in turn, and how surely they differ."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

FALL_Z: Final = 3.5
"""Standard errors that make a fall: 1 in 4,300 by chance, and a search looks often."""
HOLDS_Z: Final = 2.0
"""Standard errors within which a hit rate holds."""
SHOWN_Z: Final = 1.96
"""Those of the intervals that are recorded: 95 %."""
MATERIAL: Final = 0.02
"""A fall must be sure to be larger: so much may come of replies that are later than the time left for them."""
MIN_FREEDOM: Final = 2
"""Fewer pieces, beyond one an arm, say nothing about how evenly replies come in."""

Interval = tuple[float, float]
Counts = NDArray[np.int64]


def _excess(pieces: Sequence[tuple[int, int]]) -> tuple[float, int]:
    """Return the chi-square of (sent, hits) pieces against one common hit rate, and its degrees of freedom."""
    sent, hits = (np.array(column, float) for column in zip(*pieces, strict=True))
    expected = sent * hits.sum() / sent.sum()
    if not expected.sum():
        return 0.0, 0
    return float((((hits - expected) ** 2)[expected > 0] / expected[expected > 0]).sum()), len(pieces) - 1


@dataclass(slots=True)
class Arm:
    """What was measured at one rate: slices of a fraction of a second, gathered into windows. Counts are by probe."""

    rate_pps: float
    sent: Counts
    hits: Counts
    slices: list[tuple[int, int]] = field(default_factory=list)
    """(sent, hits) of each, all probes together."""
    windows: list[tuple[int, int]] = field(default_factory=list)
    seconds: float = 0.0
    given_up_s: float = 0.0
    """Time that senders could not keep up with the rate."""

    @classmethod
    def at(cls, rate_pps: float, probes: int) -> "Arm":
        """Return an arm with nothing measured yet."""
        return cls(rate_pps, np.zeros(probes, np.int64), np.zeros(probes, np.int64))

    def add_slice(self, sent: Counts, hits: Counts, seconds: float, given_up_s: float) -> None:
        """Add what was counted in a fraction of a second."""
        self.sent += sent
        self.hits += hits
        self.slices.append((int(sent.sum()), int(hits.sum())))
        self.seconds += seconds
        self.given_up_s += given_up_s

    def add_window(self, window: "Arm") -> None:
        """Add a window: an arm of slices alone."""
        self.sent += window.sent
        self.hits += window.hits
        self.slices += window.slices
        self.windows.append((int(window.sent.sum()), int(window.hits.sum())))
        self.seconds += window.seconds
        self.given_up_s += window.given_up_s

    @property
    def hit_rate(self) -> float:
        """First replies for each original sent."""
        return float(self.hits.sum()) / max(1, int(self.sent.sum()))

    @property
    def shortfall(self) -> float:
        """The share of the time that senders could not keep up with."""
        return self.given_up_s / self.seconds if self.seconds else 0.0

    def hit_rate_interval(self, spread: float) -> Interval:
        """Return the 95 % interval of the hit rate, whose variance is `spread` times that of a Poisson count."""
        hits = float(self.hits.sum()) + 0.5
        factor = math.exp(SHOWN_Z * math.sqrt(spread / hits))
        rate = hits / max(1, int(self.sent.sum()))
        return rate / factor, rate * factor


def design_effect(hits: Counts) -> float:
    """Return how much larger the variance of hits can be than a Poisson count's, for probes to one target go together.

    Targets are a random sample, but one that answers a probe answers others too. The variance of the sum is largest
    where whoever answers a rarer probe answers all more frequent ones: then it is the sum over pairs of probes of the
    smaller hit rate. 1 for a single probe, the number of probes where all have the same hit rate.
    """
    if not hits.sum():
        return float(len(hits))
    descending = np.sort(hits)[::-1]
    return float((descending * (2 * np.arange(len(hits)) + 1)).sum() / descending.sum())


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two hit rates: `ratio` is the candidate's to the reference's, `error` the standard error of its logarithm.

    `spread` is how much larger the variance of counts is taken to be than a Poisson count's: what probes to one target
    can cause, or what slices and windows show if that is more.
    """

    ratio: float
    error: float
    spread: float

    @classmethod
    def of(cls, candidate: Arm, reference: Arm) -> "Comparison":
        """Return the comparison of two arms; half a hit more for each, so that none at all is no infinity."""
        spread = max(1.0, design_effect(candidate.hits + reference.hits))
        for pieces in ((candidate.slices, reference.slices), (candidate.windows, reference.windows)):
            found = [_excess(part) for part in pieces if part]
            freedom = sum(number for _, number in found)
            if freedom >= MIN_FREEDOM:
                spread = max(spread, sum(excess for excess, _ in found) / freedom)
        hits = float(candidate.hits.sum()) + 0.5, float(reference.hits.sum()) + 0.5
        sent = max(1, int(candidate.sent.sum())), max(1, int(reference.sent.sum()))
        return cls(hits[0] / sent[0] / (hits[1] / sent[1]), math.sqrt(spread * (1 / hits[0] + 1 / hits[1])), spread)

    def bounds(self, errors: float) -> Interval:
        """Return the ratio less and more so many standard errors."""
        factor = math.exp(errors * self.error)
        return self.ratio / factor, self.ratio * factor

    @property
    def fell(self) -> bool:
        """Whether the hit rate is surely lower at the candidate."""
        return self.bounds(FALL_Z)[1] < 1 - MATERIAL

    def holds(self, tolerance: float) -> bool:
        """Return whether the hit rate at the candidate is surely not lower by more than `tolerance`, a share."""
        return not self.fell and self.bounds(HOLDS_Z)[0] > 1 - tolerance
