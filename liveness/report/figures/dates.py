"""Axes of time: the rounds of a survey, and dates in UTC."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from numpy.typing import NDArray

from liveness.analysis.survey.figures.contents import Rounds

DAY_NS: Final = 86_400 * 10**9
FEWEST_TICKS: Final = 3
MOST_TICKS: Final = 8
"""With three as the least, every length of time has an interval of ticks; with more, matplotlib may find none."""


def edges_of(rounds: Rounds) -> NDArray[np.float64]:
    """Return the starts of rounds and the end of the last one, in matplotlib's unit: days since the epoch."""
    days: NDArray[np.float64] = (
        rounds.start_ns + np.arange(rounds.count + 1) * round(rounds.interval_s * 1e9)
    ) / DAY_NS
    return days


def date_axis(axes: Axes, edges: Sequence[float] | NDArray[np.float64]) -> None:
    """Show the horizontal axis as dates, from the first edge to the last."""
    locator: Any = AutoDateLocator(minticks=FEWEST_TICKS, maxticks=MOST_TICKS)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.set_xlim(float(edges[0]), float(edges[-1]))
    axes.set_xlabel("UTC")
