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


def shares_of(strata: Sequence[str]) -> NDArray[np.float64]:
    """Return, for each block, the part that its policy has in an estimate of the whole population.

    The three policies draw from the same /24s, or nearly so: each of them estimates the whole by itself. The estimate
    is the mean of theirs, weighted by their numbers of blocks. Any other stratum is a population of its own.
    """
    counts = {policy: list(strata).count(policy) for policy in POLICIES}
    drawn = sum(counts.values())
    return np.array([counts[stratum] / drawn if stratum in counts else 1.0 for stratum in strata])


def total(values: NDArray[np.float64], weights: NDArray[np.float64], strata: Sequence[str]) -> Estimate:
    """Return the estimated sum over all eligible blocks of a number that is known for the blocks drawn."""
    if len(values) == 0:
        return Estimate(None, None, None)
    weighted = values * weights
    return _around(float(weighted.sum()), _variance(weighted, weights, strata), low=0.0)


def ratio(
    numerators: NDArray[np.float64],
    denominators: NDArray[np.float64],
    weights: NDArray[np.float64],
    strata: Sequence[str],
    high: float = math.inf,
) -> Estimate:
    """Return the estimated ratio of two sums, such as mean A over ever-responsive addresses."""
    below = float((denominators * weights).sum())
    if len(numerators) == 0 or below == 0:
        return Estimate(None, None, None)
    value = float((numerators * weights).sum()) / below
    residuals = weights * (numerators - value * denominators) / below
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
