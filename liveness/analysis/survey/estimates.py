"""Estimates for all eligible blocks from the blocks of a survey, with intervals for a sample of blocks.

A block is drawn with some probability, whose inverse is its weight. Addresses of one block are correlated, so that the
block is the sampling unit: strata are the policies, and the variance is that of weighted block totals within each
stratum (linearised for ratios), as for any stratified cluster sample.
"""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Z: Final = 1.959963984540054
"""Quantile for a two-sided interval of 95 %."""


POLICIES: Final = ("random", "spaced", "novel")
"""Policies that draw from the same population: each gives its part of one estimate."""


class Estimate(NamedTuple):
    """A value with its 95 % interval; `low` and `high` are None if a stratum has too few blocks."""

    value: float | None
    low: float | None
    high: float | None


class _Parts(NamedTuple):
    """What each block counts for: `drawn` as one of a sample, `known` as one whose value is known for certain."""

    drawn: NDArray[np.float64]
    known: NDArray[np.float64]


def _parts(weights: NDArray[np.float64], strata: Sequence[str]) -> _Parts:
    """Return the weights of blocks in an estimate of the whole population.

    The three policies draw from the same /24s, each from those that the policies before it left. So each estimates the
    whole by itself, from its own blocks and those drawn before, which are known. The estimate is the mean of theirs,
    weighted by their numbers of blocks. Any other stratum is a population of its own.
    """
    counts = {policy: list(strata).count(policy) for policy in POLICIES}
    total_count = max(1, sum(counts.values()))
    shares = {policy: count / total_count for policy, count in counts.items()}
    later = {policy: sum(shares[name] for name in POLICIES[place + 1 :]) for place, policy in enumerate(POLICIES)}
    drawn = np.array([shares.get(stratum, 1.0) for stratum in strata]) * weights
    return _Parts(drawn, np.array([later.get(stratum, 0.0) for stratum in strata]))


def total(values: NDArray[np.float64], weights: NDArray[np.float64], strata: Sequence[str]) -> Estimate:
    """Return the estimated sum over all eligible blocks of a number known for the blocks drawn."""
    if len(values) == 0:
        return Estimate(None, None, None)
    parts = _parts(weights, strata)
    value = float((values * (parts.drawn + parts.known)).sum())
    return _around(value, _variance(values * parts.drawn, weights, strata), low=0.0)


def ratio(
    numerators: NDArray[np.float64],
    denominators: NDArray[np.float64],
    weights: NDArray[np.float64],
    strata: Sequence[str],
    high: float = math.inf,
) -> Estimate:
    """Return the estimated ratio of two sums, such as mean A over ever-responsive addresses."""
    parts = _parts(weights, strata)
    whole = parts.drawn + parts.known
    below = float((denominators * whole).sum())
    if len(numerators) == 0 or below == 0:
        return Estimate(None, None, None)
    value = float((numerators * whole).sum()) / below
    residuals = parts.drawn * (numerators - value * denominators) / below
    return _around(value, _variance(residuals, weights, strata), low=0.0, high=high)


def _variance(weighted: NDArray[np.float64], weights: NDArray[np.float64], strata: Sequence[str]) -> float | None:
    """Return the variance of a sum of weighted block values; None if a stratum has one block that represents several.

    A stratum of which every block was drawn (weights of 1) has no variance.
    """
    names = np.array(strata)
    variance = 0.0
    for name in sorted(set(strata)):
        inside = names == name
        count, mean_weight = int(inside.sum()), float(weights[inside].mean())
        left_out = max(0.0, 1 - 1 / mean_weight) if mean_weight > 0 else 0.0  # finite population correction
        if left_out == 0:
            continue
        if count == 1:
            return None
        variance += left_out * count * float(weighted[inside].var(ddof=1))
    return variance


def _around(value: float, variance: float | None, low: float, high: float = math.inf) -> Estimate:
    if variance is None:
        return Estimate(value, None, None)
    margin = Z * math.sqrt(variance)
    upper = min(high, value + margin)
    return Estimate(value, max(low, value - margin), upper)
