"""Hit rates: the share of probes that are answered, measured alternately at two rates, and the test of a difference."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

FALL_Z: Final = 3.5
"""Standard errors that prove a drop of the hit rate: 1 in 4,300 by chance, because a search tests often."""
HOLDS_Z: Final = 2.0
"""Standard errors that prove that a hit rate holds."""
SHOWN_Z: Final = 1.96
"""Standard errors of the recorded intervals: 95 %."""
MATERIAL: Final = 0.02
"""Share by which a hit rate must drop at least: replies that arrive after their window can cause a smaller drop."""
MIN_FREEDOM: Final = 2
"""Degrees of freedom that are needed to estimate from slices or windows how evenly replies arrive."""

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
    """The measurements at one rate: slices of a fraction of a second, combined into windows. Counts are by probe."""

    rate_pps: float
    sent: Counts
    hits: Counts
    slices: list[tuple[int, int]] = field(default_factory=list)
    """(sent, hits) of each slice, all probes together."""
    windows: list[tuple[int, int]] = field(default_factory=list)
    seconds: float = 0.0
    given_up_s: float = 0.0
    """Time that senders skipped because they could not keep up with the rate."""

    @classmethod
    def at(cls, rate_pps: float, probes: int) -> "Arm":
        """Return an arm without measurements."""
        return cls(rate_pps, np.zeros(probes, np.int64), np.zeros(probes, np.int64))

    def add_slice(self, sent: Counts, hits: Counts, seconds: float, given_up_s: float) -> None:
        """Add the counts of a slice that lasted `seconds`."""
        self.sent += sent
        self.hits += hits
        self.slices.append((int(sent.sum()), int(hits.sum())))
        self.seconds += seconds
        self.given_up_s += given_up_s

    def add_window(self, window: "Arm") -> None:
        """Add a window, which is an arm with slices only."""
        self.sent += window.sent
        self.hits += window.hits
        self.slices += window.slices
        self.windows.append((int(window.sent.sum()), int(window.hits.sum())))
        self.seconds += window.seconds
        self.given_up_s += window.given_up_s

    @property
    def hit_rate(self) -> float:
        """First replies per original sent."""
        return float(self.hits.sum()) / max(1, int(self.sent.sum()))

    @property
    def shortfall(self) -> float:
        """Share of the time that senders skipped because they could not keep up."""
        return self.given_up_s / self.seconds if self.seconds else 0.0

    def hit_rate_interval(self, spread: float) -> Interval:
        """Return the 95 % interval of the hit rate; hits have `spread` times the variance of a Poisson count."""
        hits = float(self.hits.sum()) + 0.5
        factor = math.exp(SHOWN_Z * math.sqrt(spread / hits))
        rate = hits / max(1, int(self.sent.sum()))
        return rate / factor, rate * factor


def design_effect(hits: Counts) -> float:
    """Return the largest ratio of the variance of the sum of hits to that of a Poisson count.

    Targets are a random sample, but the replies of one target to different probes are correlated. The variance of the
    sum is largest if each target that answers a less frequently answered probe also answers all probes that are
    answered more often: it then is the sum of the smaller hit rate over all pairs of probes. The ratio is 1 for a
    single probe, and the number of probes if all have the same hit rate.
    """
    if not hits.sum():
        return float(len(hits))
    descending = np.sort(hits)[::-1]
    return float((descending * (2 * np.arange(len(hits)) + 1)).sum() / descending.sum())


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two hit rates: `ratio` is candidate over reference, `error` the standard error of the logarithm of the ratio.

    `spread` is the assumed ratio of the variance of counts to that of a Poisson count: the design effect of probes to
    the same target, or the dispersion of slices and windows if that is larger.
    """

    ratio: float
    error: float
    spread: float

    @classmethod
    def of(cls, candidate: Arm, reference: Arm) -> "Comparison":
        """Return the comparison of two arms. Half a hit is added to each, so that no hits do not give infinity."""
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
        """Return the bounds of the ratio at `errors` standard errors."""
        factor = math.exp(errors * self.error)
        return self.ratio / factor, self.ratio * factor

    @property
    def fell(self) -> bool:
        """Whether the hit rate at the candidate is lower, by more than MATERIAL and at FALL_Z standard errors."""
        return self.bounds(FALL_Z)[1] < 1 - MATERIAL

    def holds(self, tolerance: float) -> bool:
        """Return whether a drop of the hit rate by more than the share `tolerance` is excluded, at HOLDS_Z."""
        return not self.fell and self.bounds(HOLDS_Z)[0] > 1 - tolerance
