"""An UpSet plot of the largest membership patterns: sets of probes that an address answers, and their sizes.

After Lex, Gehlenborg, Strobelt, Vuillemot, Pfister, "UpSet: Visualization of Intersecting Sets", 2014.
"""

from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from liveness.analysis.figures import UpSet
from liveness.analysis.formula import share
from liveness.analysis.numbers import percent
from liveness.report.figures.bars import share_axis
from liveness.report.figures.style import BLUE, GREEN, INK, PALE

WIDTH_IN: Final = 8.4
ROW_IN: Final = 0.26
HEADROOM: Final = 1.3
"""Height of the axis relative to the tallest bar, so that the number of that bar fits."""
UPRIGHT: Final = 12
"""With more bars than this, numbers are rotated."""


def draw_upset(content: UpSet) -> Figure:
    """Draw the largest exclusive patterns in descending order, each a column of dots below its bar."""
    rows_in = ROW_IN * max(len(content.members), 1)
    figure = Figure(figsize=(WIDTH_IN, 2.9 + rows_in))
    grid = figure.add_gridspec(2, 2, width_ratios=(1, 4), height_ratios=(2.4, rows_in), hspace=0.02, wspace=0.02)
    top, dots, left = figure.add_subplot(grid[0, 1]), figure.add_subplot(grid[1, 1]), figure.add_subplot(grid[1, 0])
    _sizes(top, content.patterns, content.whole)
    _dots(dots, content.patterns, content.members)
    _members(left, content.sizes, content.whole)
    figure.text(0.01, 0.985, content.caption, ha="left", va="top", fontsize=8.5)
    return figure


def _sizes(axes: Axes, largest: Sequence[tuple[str, int]], whole: int) -> None:
    """Draw the sizes of the patterns."""
    for place, (digits, size) in enumerate(largest):
        height = share(size, whole) or 0.0
        axes.bar(place, height, 0.66, color=BLUE, edgecolor=INK, linewidth=0.6).patches[0].set_gid(f"pattern:{digits}")
        axes.annotate(
            percent(height), (place, height), xytext=(0, 3), textcoords="offset points", ha="center", va="bottom",
            fontsize=7.0, rotation=90 if len(largest) > UPRIGHT else 0, gid=f"number:{digits}",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},  # keeps the grid off the number
        )  # fmt: skip
    axes.set_xlim(-0.6, max(len(largest), 1) - 0.4)
    axes.set_ylim(0, HEADROOM * max((share(size, whole) or 0.0 for _, size in largest), default=1.0))
    axes.set_xticks([])
    axes.set_ylabel("share of active")
    share_axis(axes)


def _dots(axes: Axes, largest: Sequence[tuple[str, int]], probes: Sequence[str]) -> None:
    """Draw the probes of each pattern."""
    for row in range(0, len(probes), 2):
        axes.axhspan(row - 0.5, row + 0.5, color="#F3F3F3", linewidth=0, zorder=0)
    for place, (digits, _) in enumerate(largest):
        rows = [row for row, digit in enumerate(digits) if digit == "1"]
        axes.plot([place] * len(probes), range(len(probes)), "o", color=PALE, markersize=6, zorder=1)
        axes.plot([place] * len(rows), rows, "o-", color=INK, markersize=6, linewidth=1.4, zorder=2)
    axes.set_xlim(-0.6, max(len(largest), 1) - 0.4)
    axes.set_ylim(len(probes) - 0.5, -0.5)
    axes.set_yticks(range(len(probes)), list(probes))
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.grid(visible=False)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)


def _members(axes: Axes, members: Sequence[int], whole: int) -> None:
    """Draw the number of addresses that are active for each probe, as bars to the left."""
    for row, size in enumerate(members):
        axes.barh(row, share(size, whole) or 0.0, 0.66, color=GREEN, edgecolor=INK, linewidth=0.6)
    axes.set_xlim(1.0, 0)
    axes.set_ylim(max(len(members), 1) - 0.5, -0.5)
    axes.set_yticks([])
    axes.set_xticks([1.0, 0.5, 0.0])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f}%"))
    axes.set_xlabel("active for the probe")
    axes.grid(visible=True, axis="x")
    axes.spines["left"].set_visible(False)
