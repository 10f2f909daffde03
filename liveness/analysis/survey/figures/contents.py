"""Kinds of figures that surveys have: numbers and texts, drawn by `liveness.report.figures`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.analysis.figures import Colour

NOT_SENT: Final = 0
SILENT: Final = 1
POSITIVE: Final = 2
NEGATIVE: Final = 3
LATE: Final = 4
WITHDRAWN: Final = 5
STATES: Final = ("not sent", "silent", "positive", "negative", "late", "withdrawn")
"""The states of a round of an address, by their number."""


def figure_id(subject: str, probe: str) -> str:
    """Return the id of a probe's figure, which is its file name: ``density-tcp-80``."""
    return f"{subject}-{probe}".replace("/", "-")


@dataclass(frozen=True, slots=True)
class Density:
    """Numbers of addresses by two shares: `counts` is (bins of x, bins of y), each axis from 0 to 1."""

    counts: NDArray[np.int64]
    x_label: str
    y_label: str
    scale_label: str


@dataclass(frozen=True, slots=True)
class Curve:
    """One cumulative distribution: `shares` of all that have at most the value `values`, which ascend."""

    name: str
    values: Sequence[float]
    shares: Sequence[float]
    colour: Colour
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """A published value in a figure: a point of a cumulative distribution."""

    value: float
    share: float


@dataclass(frozen=True, slots=True)
class Curves:
    """Cumulative distributions over one axis, of shares or of durations."""

    curves: Sequence[Curve]
    marks: Sequence[Mark]
    marks_name: str
    x_label: str
    y_label: str
    durations: bool = False
    """Whether values are seconds, on a logarithmic axis; otherwise shares."""


@dataclass(frozen=True, slots=True)
class Rounds:
    """The times of a figure's rounds: the start of round 0 since the epoch, the length of a round, their number."""

    start_ns: int
    interval_s: float
    count: int


@dataclass(frozen=True, slots=True)
class Activity:
    """A share by round, NaN in rounds without a probe, and the wave that was fitted to it, if any."""

    rounds: Rounds
    shares: NDArray[np.float64]
    fitted: NDArray[np.float64] | None
    y_label: str


@dataclass(frozen=True, slots=True)
class BlockRaster:
    """Every round of every address of a /24: `states` is (256, rounds); above it the addresses active by round."""

    rounds: Rounds
    states: NDArray[np.uint8]
    active: NDArray[np.float64]
    """Active addresses by round, NaN in rounds without a probe."""
    fitted: NDArray[np.float64] | None


@dataclass(frozen=True, slots=True)
class OutageRaster:
    """Blocks with outages in the order in which these began: `levels` is (blocks, rounds), 0 to `full`."""

    rounds: Rounds
    levels: NDArray[np.uint8]
    full: int
    unknown: int
    """The level of rounds without a probe."""
    names: Sequence[str]


@dataclass(frozen=True, slots=True)
class Downtime:
    """Shares of blocks that are down, by round: a line for each way to find outages."""

    rounds: Rounds
    lines: Sequence[tuple[str, Colour, NDArray[np.float64]]]
    published: float
    published_name: str
    y_label: str


@dataclass(frozen=True, slots=True)
class SpaceMap:
    """Values of cells of the address space, drawn along a Hilbert curve.

    A cell is a prefix of length 2 x `order`; `cells` are their numbers (address >> 32 - 2 x order). The square that is
    drawn is the prefix of length 2 x `square_order` with number `square`, which has all cells.
    """

    order: int
    square_order: int
    square: int
    cells: NDArray[np.int64]
    values: NDArray[np.float64]
    """NaN for a cell that was surveyed but has no value."""
    low: float
    high: float
    is_cyclic: bool
    """Whether `low` and `high` are the same, as 0 and 24 hours are."""
    scale_label: str
    empty_label: str
    """The meaning of a cell that was surveyed but has no value."""
