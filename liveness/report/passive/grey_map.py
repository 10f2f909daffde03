"""Map of local space along a Hilbert curve: addresses that exchange flows, that only send, and that are grey."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray
from pyroaring import BitMap

from liveness.analysis.figures import Figure as Described
from liveness.analysis.figures import Survival
from liveness.analysis.numbers import count
from liveness.ipsets.roaring import to_numpy
from liveness.report.figures.drawing import WIDTH_IN, Drawing
from liveness.report.figures.style import BLUE, ORANGE, PALE, styled
from liveness.report.map.hilbert import lay_out
from liveness.report.passive.space import LocalSpace
from liveness.space.addresses import format_address
from liveness.space.intervals import Intervals

MOST_SQUARES: Final = 6
"""Squares that are drawn, those with most local addresses."""
LARGEST_ORDER: Final = 9
"""A square has 512 x 512 cells at most: a cell of a larger prefix has several addresses."""
COLUMNS: Final = 3
DARK: Final = "#505050"
"""Of grey cells, which must differ from pale ones."""
OUTSIDE, SILENT, GREY_CELL, ONE_WAY, TWO_WAY = range(5)
"""A cell has the greatest state of its addresses."""
STATES: Final = (
    (TWO_WAY, BLUE, "two-way flows"),
    (ONE_WAY, ORANGE, "one-way flows to it; it sends, or replied to a census"),
    (GREY_CELL, DARK, "grey: one-way flows to it, and it sent nothing"),
    (SILENT, PALE, "no flow to it"),
    (OUTSIDE, "white", "not local"),
)


@dataclass(frozen=True, slots=True)
class Square:
    """A prefix of even length, which is a square on the curve."""

    base: int
    length: int

    @property
    def order(self) -> int:
        """The square has 2 ** order rows and columns of cells."""
        return min(LARGEST_ORDER, (32 - self.length) // 2)

    @property
    def shift(self) -> int:
        """Each cell has 2 ** shift addresses."""
        return 32 - self.length - 2 * self.order

    def __str__(self) -> str:
        return f"{format_address(self.base)}/{self.length}"


def squares_of(local: Intervals) -> list[Square]:
    """Return the smallest squares that contain the intervals, without those inside others, in order of address."""
    found: list[Square] = []
    for first, last in zip(local.first.tolist(), local.last.tolist(), strict=True):
        length = 32 - int(first ^ last).bit_length()
        length -= length % 2
        square = Square(first >> (32 - length) << (32 - length), length)
        while found and found[-1].base >= square.base and found[-1].length >= square.length:
            found.pop()
        if not found or found[-1].base + (1 << (32 - found[-1].length)) <= first:
            found.append(square)
    return found


def cells_of(square: Square, space: LocalSpace) -> NDArray[np.uint16]:
    """Return the state of each cell of a square, in the order of addresses."""
    cells = np.full(1 << (2 * square.order), OUTSIDE, np.uint16)
    end = square.base + (1 << (32 - square.length))
    for first, last in zip(space.local.first.tolist(), space.local.last.tolist(), strict=True):
        low, high = max(first, square.base) - square.base, min(last + 1, end) - square.base
        if low < high:
            cells[low >> square.shift : ((high - 1) >> square.shift) + 1] = SILENT
    for state, members in ((GREY_CELL, space.grey), (ONE_WAY, space.one_way - space.grey), (TWO_WAY, space.two_way)):
        inside = to_numpy(members & BitMap(range(square.base, end)))
        cells[(inside.astype(np.int64) - square.base) >> square.shift] = state
    return cells


def grey_map(space: LocalSpace) -> Drawing | None:
    """Draw the largest squares of local space; None without local space."""
    chosen = _largest(space)
    if not chosen:
        return None
    columns = min(COLUMNS, len(chosen))
    rows = -(-len(chosen) // columns)
    with styled():
        figure = Figure(figsize=(WIDTH_IN, rows * WIDTH_IN / columns + 0.9))
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        colours = ListedColormap([colour for _, colour, _ in reversed(STATES)])
        for axes in grid[len(chosen) :]:
            axes.set_axis_off()
        for axes, square in zip(grid, chosen, strict=False):
            side = 1 << square.order
            places = np.zeros((side, side), np.uint16)
            lay_out(cells_of(square, space), places, square.order)
            axes.imshow(places, cmap=colours, vmin=0, vmax=len(STATES) - 1, interpolation="nearest")
            axes.set_title(str(square) + (f", {1 << square.shift} addresses a cell" if square.shift else ""))
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(True)
        handles = [Patch(facecolor=colour, edgecolor="black", linewidth=0.4, label=text) for _, colour, text in STATES]
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
    numbers = (len(space.two_way), len(space.one_way) - len(space.grey), len(space.grey))
    described = Described(
        "grey-space",
        "Local addresses by what was seen of them",
        f"Hilbert-curve map of {', '.join(map(str, chosen))}: {count(numbers[0])} addresses with two-way flows,"
        f" {count(numbers[1])} with one-way flows that send or replied to a census, {count(numbers[2])} grey ones,"
        f" of {count(space.local.count)}.",
        [
            "Neighbouring prefixes are neighbours on the map.",
            "A cell of several addresses shows the first state of the legend that any of them has.",
        ],
        Survival((), ""),
        "local_addresses",
    )
    return Drawing(described, figure)


def _largest(space: LocalSpace) -> list[Square]:
    """Return the squares with most local addresses, in order of address."""
    squares = squares_of(space.local)
    sizes = dict(zip(squares, _sizes(squares, space.local), strict=True))
    return sorted(sorted(squares, key=lambda each: -sizes[each])[:MOST_SQUARES], key=lambda each: each.base)


def _sizes(squares: list[Square], local: Intervals) -> Iterator[int]:
    """Yield how many local addresses each square has."""
    first, last = local.first.astype(np.int64), local.last.astype(np.int64)
    for square in squares:
        end = square.base + (1 << (32 - square.length))
        yield int(np.maximum(np.minimum(last + 1, end) - np.maximum(first, square.base), 0).sum())
