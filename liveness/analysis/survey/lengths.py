"""Lengths of up periods from their histograms: medians, and the Kaplan-Meier estimate for censored periods."""

import numpy as np
from numpy.typing import NDArray

HALF = 0.5


def median_of(histogram: NDArray[np.int64]) -> float | None:
    """Return the median of the lengths that a histogram counts, the mean of the middle two; None if it is empty."""
    total = int(histogram.sum())
    if total == 0:
        return None
    below = np.cumsum(histogram)
    low = int(np.searchsorted(below, (total - 1) // 2, side="right"))
    high = int(np.searchsorted(below, total // 2, side="right"))
    return (low + high) / 2


def survival(ended: NDArray[np.int64], running: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return S(n), the share of up periods that last longer than n rounds, for n = 0, 1, … (Kaplan and Meier 1958).

    `ended` counts periods by length whose end was seen, `running` those censored by the end of the survey, which are at
    risk up to their length.
    """
    both = ended + running
    at_risk = both[::-1].cumsum()[::-1]
    factors = 1.0 - ended / np.maximum(at_risk, 1)
    return np.cumprod(factors, dtype=np.float64)


def surviving_median(ended: NDArray[np.int64], running: NDArray[np.int64]) -> float | None:
    """Return the smallest length by which at least half of the up periods have ended; None if fewer ever do."""
    if not (ended.any() or running.any()):
        return None
    reached = np.flatnonzero(survival(ended, running) <= HALF)
    return float(reached[0]) if len(reached) else None
