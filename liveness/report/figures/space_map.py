"""A map of values of prefixes along a Hilbert curve: the whole address space, or the smallest square that has them."""

from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from liveness.analysis.survey.figures.contents import SpaceMap
from liveness.report.figures.drawing import panel
from liveness.report.figures.style import INK, SEQUENTIAL
from liveness.report.map.hilbert import place_of
from liveness.space.addresses import format_address

CYCLIC: Final = "twilight_shifted"
"""Cyclic, with monotonic brightness within each half (matplotlib)."""
EMPTY: Final = "#C4C4C4"
UNKNOWN: Final = "#FFFFFF"
SIDE_IN: Final = 5.6
NAMES_ORDER: Final = {0: 4}
"""How much finer than the square its names are, by the order of the square: /8s in the whole space."""
OTHER_NAMES_ORDER: Final = 2
WHOLE: Final = 0
HOURS: Final = (0, 4, 8, 12, 16, 20, 24)


def draw_space_map(content: SpaceMap) -> Figure:
    """Draw a cell for each surveyed prefix, and names of the squares that divide the map."""
    below = content.order - content.square_order
    side = 1 << below
    places = np.array([place_of(int(cell), content.order) for cell in content.cells], np.int64)
    left, top = corner_of(content.square, content.square_order, side)
    rows, columns = (places >> content.order) - top, (places & ((1 << content.order) - 1)) - left
    values, empty = np.full((side, side), np.nan), np.full((side, side), np.nan)
    values[rows, columns] = content.values
    empty[rows, columns] = np.where(np.isnan(content.values), 0.0, np.nan)
    figure, axes = panel(SIDE_IN + 1.0, SIDE_IN + 0.4)
    shades = mpl.colormaps[CYCLIC if content.is_cyclic else SEQUENTIAL]
    image = axes.imshow(
        values, cmap=shades, vmin=content.low, vmax=content.high, interpolation="nearest", zorder=2, gid="map"
    )
    axes.imshow(empty, cmap=ListedColormap([EMPTY]), interpolation="nearest", zorder=1)
    axes.set_facecolor(UNKNOWN)
    _names(axes, content, side, left, top)
    bar = figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03, label=content.scale_label)
    bar.outline.set_linewidth(0.6)
    if content.is_cyclic:
        bar.set_ticks(list(HOURS))
    keys = [
        Patch(facecolor=EMPTY, edgecolor=INK, linewidth=0.5, label=content.empty_label),
        Patch(facecolor=UNKNOWN, edgecolor=INK, linewidth=0.5, label="not surveyed"),
    ]
    axes.legend(handles=keys, loc="lower left", bbox_to_anchor=(0, 1.0, 1, 0), ncols=2, borderaxespad=0.3)
    return figure


def corner_of(square: int, order: int, side: int) -> tuple[int, int]:
    """Return column and row of the upper left cell of a square that is `side` cells wide."""
    row, column = divmod(int(place_of(square, order)), 1 << order)
    return column * side, row * side


def _names(axes: Axes, content: SpaceMap, side: int, left: int, top: int) -> None:
    """Write the names of the squares that divide the map, with a grid between them."""
    finer = NAMES_ORDER.get(content.square_order, OTHER_NAMES_ORDER)
    finer = min(finer, content.order - content.square_order)
    order = content.square_order + finer
    size = side >> finer
    for part in range(4**finer):
        number = (content.square << (2 * finer)) + part
        column, row = corner_of(number, order, size)
        address = format_address(number << (32 - 2 * order))
        name = address.split(".")[0] if content.square_order == WHOLE else f"{address}/{2 * order}"
        axes.text(
            column - left - 0.5 + 0.06 * size, row - top - 0.5 + 0.06 * size, name, ha="left", va="top", fontsize=5.0
            if content.square_order == WHOLE else 6.5, color=INK, zorder=3, alpha=0.75,
        )  # fmt: skip
    edges = np.arange(0, side + 1, size) - 0.5
    axes.set_xticks(edges, [""] * len(edges))
    axes.set_yticks(edges, [""] * len(edges))
    axes.tick_params(length=0)
    axes.grid(visible=True, axis="both", linewidth=0.5)
    axes.set_axisbelow(False)
    for edge in axes.spines.values():
        edge.set_visible(True)
    axes.set_xlim(-0.5, side - 0.5)
    axes.set_ylim(side - 0.5, -0.5)
