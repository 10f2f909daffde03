"""Hit rates of vantage points along the order of their targets, and what those of the others make expect."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.runs.course import Timeline

SILENT: Final = 0.1
"""A vantage point with less than this share of its replies is silent."""

Rates = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """Frames sent and replies accepted by one run, by interval of the order."""

    sent: Rates
    accepted: Rates
    ends_s: Rates
    """When each interval ended, seconds since the start."""

    @classmethod
    def of(cls, timeline: Timeline, intervals: int) -> "Course":
        """Return the course of a run; replies after the last frame count in the last interval."""
        sent = np.cumsum([0, *timeline.sent], dtype=np.float64)
        accepted = np.cumsum([0, *timeline.accepted], dtype=np.float64)
        edges = np.linspace(0, sent[-1], intervals + 1)
        at_edges = np.interp(edges, sent, accepted)
        at_edges[0], at_edges[-1] = 0.0, accepted[-1]
        ends = np.interp(edges[1:], sent, [0.0, *timeline.end_s])
        return cls(np.diff(edges), np.diff(at_edges), ends)

    @property
    def rates(self) -> Rates:
        """The hit rate of each interval."""
        return self.accepted / np.maximum(self.sent, 1e-9)


def relative_rates(courses: Sequence[Course]) -> tuple[Rates, Rates]:
    """Return by vantage point and interval the hit rate over the expected one, and the expected one.

    Expected is the median of the others' hit rates, each in units of its own usual rate. A vantage point that is silent
    in an interval says nothing about what to expect there.
    """
    rates = np.array([course.rates for course in courses])
    active = rates > SILENT * rates.max(axis=0)
    usual = np.array(
        [_usual(*each, _median(rates, active), active.all(axis=0)) for each in zip(rates, active, strict=True)]
    )
    of_all = float(np.median(usual[usual > 0])) if usual.any() else 0.0
    usual = np.where(usual > 0, usual, of_all or 1.0)[:, None]
    expected = np.zeros(rates.shape)
    for place in range(len(courses)):
        others = [other for other in range(len(courses)) if other != place]
        expected[place] = _median((rates / usual)[others], active[others])
    expected *= usual
    return np.divide(rates, expected, out=np.full(rates.shape, np.nan), where=expected > 0), expected


def _median(rates: Rates, active: NDArray[np.bool_]) -> Rates:
    """Return by interval the median of the rates of active vantage points, 0 without any."""
    found = [np.median(rates[active[:, at], at]) if active[:, at].any() else 0.0 for at in range(rates.shape[1])]
    return np.array(found)


def _usual(rates: Rates, active: NDArray[np.bool_], middle: Rates, all_active: NDArray[np.bool_]) -> float:
    """Return the usual hit rate of a vantage point over the middle one.

    It is taken from intervals in which all are active, if there are any: the middle of fewer is another one.
    """
    for chosen in (all_active, active, rates > 0):
        compared = chosen & (middle > 0)
        if compared.any():
            return float(np.median(rates[compared] / middle[compared]))
    return 0.0
