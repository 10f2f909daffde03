"""Capture-recapture: an estimate of the responsive targets that all attempts missed, from those that some found.

The first attempt and all repeats together are two captures of one population. If losses are independent, the targets
that both captures found show which share of all responsive targets each capture finds.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.runs.manifest import Counts, Missed

TAIL: Final = 0.025
"""Probability of each tail outside a 95 % interval."""
STEPS: Final = 80
"""Steps of a bisection, more than the precision of a double needs."""


def missed_targets(patterns: Counts) -> Missed | None:
    """Return the estimate for one probe; `patterns` counts targets by attempts answered, one digit per attempt.

    The estimate is Chapman's estimate of the population (Chapman 1951, as in Seber 1982, section 3.1) less the targets
    found. It is None if there was only one attempt, or if both captures have no target in common, because an estimate
    is then impossible.

    The interval contains the true number of missed targets in at least 95 % of all runs, also for small numbers. Given
    the size of each capture, the number of targets that both found is hypergeometric, and the interval consists of all
    populations that this number does not reject (Seber 1982, section 3.1.4; with exact tails, without an approximation
    for large counts). Its upper end is not rounded to whole targets, so that it is above 0 even if nothing was lost.

    If losses are correlated (a target is unreachable for longer than the queue lasts), the estimate is too low, because
    more targets then miss both captures than independence predicts.
    """
    first = sum(count for digits, count in patterns.items() if digits[0] == "1")
    later = sum(count for digits, count in patterns.items() if "1" in digits[1:])
    both = sum(count for digits, count in patterns.items() if digits[0] == "1" and "1" in digits[1:])
    if both == 0:
        return None
    captures = _Captures(first, later, both)
    estimate = (first - both) * (later - both) / (both + 1)  # Chapman's estimate less first + later - both
    low, high = min(captures.least(), estimate), max(captures.most(), estimate)
    return Missed(estimate=round(estimate, 3), low=round(float(low), 3), high=math.ceil(1000 * high) / 1000)


@dataclass(frozen=True, slots=True)
class _Captures:
    """Two captures of one population: the number of targets that each found, and that both found (at least 1)."""

    first: int
    later: int
    both: int

    @property
    def likeliest(self) -> float:
        """Number missed at which `both` equals its expectation (Lincoln-Petersen estimate)."""
        return (self.first - self.both) * (self.later - self.both) / self.both

    def least(self) -> int:
        """Return the smallest number missed for which at most `both` in common have a probability above TAIL."""
        too_few, enough = -1, math.floor(self.likeliest)
        while enough - too_few > 1:
            middle = (too_few + enough) // 2
            if self._at_most(middle) > TAIL:
                enough = middle
            else:
                too_few = middle
        return enough

    def most(self) -> float:
        """Return the largest number missed for which at least `both` in common have a probability above TAIL."""
        fits = self.likeliest
        too_many = 2 * fits + 1
        while self._at_least(too_many) > TAIL:
            fits, too_many = too_many, 2 * too_many
        for _ in range(STEPS):
            middle = (fits + too_many) / 2
            if self._at_least(middle) > TAIL:
                fits = middle
            else:
                too_many = middle
        return too_many

    def _at_least(self, missed: float) -> float:
        """Return the probability that at least `both` are in common; `missed` is the likeliest number or more."""
        first, later, both = self.first, self.later, self.both

        def ratios(more: NDArray[np.float64]) -> NDArray[np.float64]:
            return (first - both - more) * (later - both - more) / ((both + more + 1) * (missed + more + 1))

        return self._tail(missed, min(first, later) - both, ratios)

    def _at_most(self, missed: int) -> float:
        """Return the probability that at most `both` are in common; `missed` is the likeliest number or less."""
        first, later, both = self.first, self.later, self.both

        def ratios(fewer: NDArray[np.float64]) -> NDArray[np.float64]:
            return (both - fewer) * (missed - fewer) / ((first - both + fewer + 1) * (later - both + fewer + 1))

        return self._tail(missed, min(missed, both), ratios)

    def _tail(self, missed: float, steps: int, ratios: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> float:
        """Return the probability of `both`, and of up to `steps` numbers further away from the expected one.

        `ratios` returns the ratio of each of these probabilities to the previous one. Numbers more than ten standard
        deviations away are left out, because their probability is negligible.
        """
        steps = min(steps, 100 + int(10 * math.sqrt(min(missed, self.both))))
        further = np.cumprod(ratios(np.arange(steps, dtype=np.float64)))
        return math.exp(self._log_chance(missed)) * (1 + float(further.sum()))

    def _log_chance(self, missed: float) -> float:
        """Return the logarithm of the probability that exactly `both` are in common if `missed` were missed."""
        first, later, both = self.first, self.later, self.both
        population = first + later - both + missed
        ways = _log_choose(first, both) + _log_choose(population - first, later - both)
        return min(0.0, ways - _log_choose(population, later))  # rounding must not give a probability above 1


def _log_choose(many: float, few: float) -> float:
    return math.lgamma(many + 1) - math.lgamma(few + 1) - math.lgamma(many - few + 1)
