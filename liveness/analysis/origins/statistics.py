"""Statistics of paired observations and of populations that several captures have in common."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, exp, lgamma, log, sqrt
from typing import Final

import numpy as np

from liveness.analysis.sampling import Z95

TAIL: Final = 0.025
REACH: Final = 12.0
"""Standard deviations beyond which the probability of a number is negligible."""
LARGE: Final = 20_000.0
"""Estimates above it are continuous to within a hundredth of their interval."""


def chi_squared_tail(value: float, degrees: int) -> float:
    """Return the probability of at least this value of a chi-squared variable (Abramowitz, Stegun 26.4.4 and 26.4.5).

    Probabilities below the smallest double are 0.
    """
    half = value / 2
    if half <= 0:
        return 1.0
    odd = degrees % 2
    tail = erfc(sqrt(half)) if odd else 0.0
    for step in range(degrees // 2):
        power = step + odd / 2
        tail += exp(min(0.0, power * log(half) - half - lgamma(power + 1)))
    return min(tail, 1.0)


def mcnemar(only_one: int, only_other: int) -> tuple[float | None, float | None]:
    """Return McNemar's chi-squared and its probability, from the addresses that one of two saw alone; None without any.

    There is no correction for continuity.
    """
    if only_one + only_other == 0:
        return None, None
    value = (only_one - only_other) ** 2 / (only_one + only_other)
    return value, chi_squared_tail(value, 1)


def cochran(seen: Sequence[int], exactly: Sequence[int]) -> tuple[float | None, float | None]:
    """Return Cochran's Q and its probability; None if all vantage points saw the same addresses.

    `seen` are the addresses that each saw, `exactly` those that exactly one, two, ... saw.
    """
    size = len(seen)
    rows = sum(number * addresses for number, addresses in enumerate(exactly, 1))
    squares = sum(number * number * addresses for number, addresses in enumerate(exactly, 1))
    variance = size * rows - squares
    if variance == 0:
        return None, None
    value = (size - 1) * (size * sum(part * part for part in seen) - sum(seen) ** 2) / variance
    return value, chi_squared_tail(value, size - 1)


@dataclass(frozen=True, slots=True)
class Unseen:
    """The estimated number of addresses that no vantage point saw, and its variance."""

    number: float = 0.0
    variance: float = 0.0
    """Of the estimate, by the delta method; the true number scatters too, as a Poisson number does."""
    floor: float = 0.0
    """The same estimate with half an address added to each count, for the interval of an estimate of 0."""

    def __add__(self, other: "Unseen") -> "Unseen":
        """Return the sum over two strata."""
        return Unseen(self.number + other.number, self.variance + other.variance, self.floor + other.floor)

    def interval(self) -> tuple[float, float]:
        """Return the 95 % interval of the number that none saw.

        The number is Poisson, and its mean is known with the variance of the estimate: as a gamma variable, so that the
        number is negative binomial. Large numbers are log-normal, as in Chao 1987.
        """
        centre = self.number or self.floor
        if centre <= 0:
            return 0.0, 0.0
        if centre > LARGE:
            factor = exp(Z95 * sqrt(log(1 + (self.variance + centre) / centre**2)))
            return min(centre / factor, self.number), max(centre * factor, self.number)
        low, high = _negative_binomial(centre, self.variance)
        return min(low, self.number), max(high, self.number)


def unseen(exclusive: Sequence[int], exactly_two: int) -> Unseen:
    """Return the estimate from the addresses that each vantage point saw alone, and those that exactly two saw.

    It is the sum of x_i x_j over all pairs, over the number that exactly two saw plus 1. For two vantage points that is
    the estimate of Chapman (1951) less what was seen. For more it is the lower bound of Chao (1987), in the form for
    captures with unequal chances: with x_1 + x_2 + ... = f_1, the sum is (f_1^2 - x_1^2 - x_2^2 - ...) / 2, which is
    f_1^2 (V - 1) / 2 V if all are equal. If the misses of different vantage points are independent, its expectation is
    the number that none saw. If some addresses are harder to see from everywhere, it is too low.

    """
    once = sum(exclusive)
    scale = exactly_two + 1
    number = (once * once - sum(part * part for part in exclusive)) / 2 / scale
    # What the estimate gains from one address more in each count, squared, times the variance of the count.
    variance = sum(((once - part) / scale) ** 2 * part for part in exclusive)
    variance += (number / scale) ** 2 * exactly_two
    raised = [part + 0.5 for part in exclusive]
    floor = (sum(raised) ** 2 - sum(part * part for part in raised)) / 2 / scale
    if number == 0:
        variance = sum(((sum(raised) - part) / scale) ** 2 * part for part in raised)
        variance += (floor / scale) ** 2 * exactly_two
    return Unseen(number, variance, floor)


def _negative_binomial(mean: float, variance: float) -> tuple[int, int]:
    """Return the 2.5 % and 97.5 % quantiles of a Poisson variable whose mean is gamma with this mean and variance."""
    shape = mean * mean / max(variance, 1e-9 * mean)
    deviation = sqrt(mean + variance)
    first = max(0, int(mean - REACH * deviation))
    numbers = np.arange(first, int(mean + REACH * deviation + REACH) + 1)
    # Probability of k over that of k - 1: (shape + k - 1) / k * mean / (shape + mean).
    steps = np.log((shape + numbers[1:] - 1) / numbers[1:] * (mean / (shape + mean)))
    logs = np.concatenate(([0.0], np.cumsum(steps)))
    chances = np.exp(logs - logs.max())
    below = np.cumsum(chances / chances.sum())
    last = len(numbers) - 1
    low, high = (int(np.searchsorted(below, tail)) for tail in (TAIL, 1 - TAIL))
    return int(numbers[min(low, last)]), int(numbers[min(high, last)])
