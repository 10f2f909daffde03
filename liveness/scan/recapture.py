"""Recapture: how many responsive targets every attempt missed, estimated from those that some attempts found.

Two captures of one population: the first attempt, and all repeats together. If a reply is lost or not independently of
whether another was, the targets that both found tell which share of all targets each of them finds.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.runs.manifest import Counts, Missed

TAIL: Final = 0.025
"""The chance of each side of a 95 % interval."""
STEPS: Final = 80
"""Of a bisection: more than doubles can tell apart."""


def missed_targets(patterns: Counts) -> Missed | None:
    """Return the estimate for one probe; `patterns` counts targets by attempts answered, one digit an attempt.

    The estimate is Chapman's of the population (Chapman 1951, as in Seber 1982, section 3.1) less the targets found.
    None where there was one attempt only, or no target that both captures found: then nothing can be said.

    The interval holds the number that was really missed in 95 % of all runs at least, however few that are: given what
    each capture found, the number that both found is hypergeometric, and the interval has every population that this
    number does not refute (Seber 1982, section 3.1.4; the tails are exact, no approximation for large counts). Its
    upper end is not rounded to whole targets, so that it is above 0 even where nothing was lost.

    It is an estimate from below where losses come together (a target out of reach for longer than the queue lasts), for
    those who miss both attempts are then more than independence predicts.
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
    """Two captures of one population: what each found, and what both did, which is more than nothing."""

    first: int
    later: int
    both: int

    @property
    def likeliest(self) -> float:
        """The number missed at which `both` is just what is expected (Lincoln and Petersen)."""
        return (self.first - self.both) * (self.later - self.both) / self.both

    def least(self) -> int:
        """Return the fewest missed with which so few found by both are not too unlikely."""
        too_few, enough = -1, math.floor(self.likeliest)
        while enough - too_few > 1:
            middle = (too_few + enough) // 2
            if self._at_most(middle) > TAIL:
                enough = middle
            else:
                too_few = middle
        return enough

    def most(self) -> float:
        """Return the most missed with which so many found by both are not too unlikely."""
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
        """Return the chance that at least `both` are found by both; `missed` are as many as is likeliest, or more."""
        first, later, both = self.first, self.later, self.both

        def ratios(more: NDArray[np.float64]) -> NDArray[np.float64]:
            return (first - both - more) * (later - both - more) / ((both + more + 1) * (missed + more + 1))

        return self._tail(missed, min(first, later) - both, ratios)

    def _at_most(self, missed: int) -> float:
        """Return the chance that at most `both` are found by both; `missed` are as many as is likeliest, or fewer."""
        first, later, both = self.first, self.later, self.both

        def ratios(fewer: NDArray[np.float64]) -> NDArray[np.float64]:
            return (both - fewer) * (missed - fewer) / ((first - both + fewer + 1) * (later - both + fewer + 1))

        return self._tail(missed, min(missed, both), ratios)

    def _tail(self, missed: float, steps: int, ratios: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> float:
        """Return the chance of exactly `both`, and of all numbers up to `steps` further away from what is expected.

        `ratios` are those of each of these chances to the one before. Ten standard deviations away they are nothing.
        """
        steps = min(steps, 100 + int(10 * math.sqrt(min(missed, self.both))))
        further = np.cumprod(ratios(np.arange(steps, dtype=np.float64)))
        return math.exp(self._log_chance(missed)) * (1 + float(further.sum()))

    def _log_chance(self, missed: float) -> float:
        """Return the logarithm of the chance that exactly `both` are found by both, where so many were missed."""
        first, later, both = self.first, self.later, self.both
        population = first + later - both + missed
        ways = _log_choose(first, both) + _log_choose(population - first, later - both)
        return min(0.0, ways - _log_choose(population, later))  # rounding must not make it more than certain


def _log_choose(many: float, few: float) -> float:
    return math.lgamma(many + 1) - math.lgamma(few + 1) - math.lgamma(many - few + 1)
