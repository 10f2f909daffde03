"""Stacked bars of shares: parts differ by colour and hatch and carry numbers; diamonds are published values."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from liveness.analysis.figures import Bars, Part
from liveness.analysis.numbers import percent
from liveness.reference.bano_2018 import LABEL
from liveness.report.figures.drawing import WIDTH_IN, panel
from liveness.report.figures.style import COLOURS, HATCHES, INK

BAR_WIDTH: Final = 0.62
LEAST_LABELLED: Final = 0.055
"""Parts smaller than this share of the axis have no number: the table has it."""
NARROW_BARS: Final = 9
"""The number of bars from which numbers are written smaller."""

MARK: Final[dict[str, Any]] = {
    "linestyle": "none",
    "markersize": 6,
    "markerfacecolor": "white",
    "markeredgecolor": INK,
    "markeredgewidth": 1.4,
}
"""Style of the marks of published values."""


BARS_A_WIDTH: Final = 9
"""Bars that fit the usual width; with more the figure is wider."""


def draw_bars(content: Bars) -> Figure:
    """Draw stacked bars, with a second narrow bar next to each if there is one, and published values as diamonds."""
    figure, axes = panel(WIDTH_IN * max(1.0, len(content.bars) / BARS_A_WIDTH))
    stacked(axes, content.bars, content.parts, top=_top(content))
    if content.side is not None:
        _side(axes, content.bars, content.side)
    for marks in content.marks:
        published_marks(axes, marks.shares, marker=marks.marker)
    if content.x_label:
        axes.set_xlabel(content.x_label)
    axes.set_ylabel(content.y_label)
    keys = [published_key(marks.name, marks.marker) for marks in content.marks]
    legend(axes, *keys, columns=content.legend_columns)
    return figure


def _top(content: Bars) -> float:
    """Return the upper end of the axis: above all bars and all published values."""
    if content.top is not None:
        return content.top
    totals = [sum(part.shares[place] or 0.0 for part in content.parts) for place in range(len(content.bars))]
    return min(1.04, 1.12 * max(*totals, content.at_least, 0.0))


def _side(axes: Axes, bars: Sequence[str], part: Part) -> None:
    """Draw a narrow bar to the right of each bar."""
    for place, (name, share) in enumerate(zip(bars, part.shares, strict=True)):
        drawn = axes.bar(
            place + BAR_WIDTH / 2 + 0.08,
            share or 0.0,
            0.16,
            color=COLOURS[part.colour],
            edgecolor=INK,
            linewidth=0.7,
            hatch="xxxx",
            label=part.name if place == 0 else None,
        )
        drawn.patches[0].set_gid(f"{part.name}:{name}")


def stacked(axes: Axes, bars: Sequence[str], parts: Sequence[Part], *, top: float | None = None) -> None:
    """Draw the bars; each part has the SVG id ``part:bar``. `top` is the upper end of the axis."""
    totals = [sum(part.shares[place] or 0.0 for part in parts) for place in range(len(bars))]
    highest = top if top is not None else 1.12 * max([*totals, 1e-9])
    size = 8.0 if len(bars) < NARROW_BARS else 6.0
    below = [0.0] * len(bars)
    for number, part in enumerate(parts):
        for place, share in enumerate(part.shares):
            height = share or 0.0
            drawn = axes.bar(
                place,
                height,
                BAR_WIDTH,
                bottom=below[place],
                color=COLOURS[part.colour],
                edgecolor=INK,
                linewidth=0.7,
                hatch=HATCHES[number % len(HATCHES)],
                label=part.name if place == 0 else None,
            )
            drawn.patches[0].set_gid(f"{part.name}:{bars[place]}")
            if height >= LEAST_LABELLED * highest:
                _number(axes, place, below[place] + height / 2, percent(height), size, plain=number == 0, part=part)
            below[place] += height
    axes.set_xticks(range(len(bars)), bars)
    axes.tick_params(axis="x", length=0)
    axes.set_ylim(0, highest)
    axes.set_xlim(-0.6, max(len(bars), 1) - 0.4)
    share_axis(axes)


def _number(axes: Axes, x: float, y: float, text: str, size: float, *, plain: bool, part: Part) -> None:
    """Write a number on a part; on a hatch it has a background of the part's colour."""
    box = None if plain else {"boxstyle": "round,pad=0.15", "facecolor": COLOURS[part.colour], "edgecolor": "none"}
    axes.text(
        x, y, text, ha="center", va="center", fontsize=size, color="white" if part.dark else INK, bbox=box, zorder=4
    )


def share_axis(axes: Axes) -> None:
    """Show the vertical axis in percent."""
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{round(100 * value, 6):g}%"))


def published_marks(axes: Axes, marks: Mapping[int, float], *, marker: str = "D") -> None:
    """Mark published shares, by the index of their bar, at its left edge, where no number is."""
    if marks:
        places = [place - BAR_WIDTH / 2 - 0.05 for place in marks]
        axes.plot(places, list(marks.values()), marker=marker, gid="published", zorder=5, clip_on=False, **MARK)


def published_key(name: str = "", marker: str = "D", of: str = LABEL) -> Line2D:
    """Return the legend's entry for published values; `of` is the short name of the publication."""
    return Line2D([], [], marker=marker, label=f"{of}{f': {name}' if name else ''}", **MARK)


def legend(axes: Axes, *more: Line2D, columns: int = 0) -> None:
    """Put the legend above the axes, where it covers nothing."""
    handles = [*axes.get_legend_handles_labels()[0], *more]
    axes.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0, 1.0, 1, 0),
        ncols=columns or len(handles),
        borderaxespad=0.3,
        columnspacing=1.4,
    )
