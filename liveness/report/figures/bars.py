"""Stacked bars of shares: parts told apart by colour and hatch, numbers on them, published values as diamonds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from liveness.report.figures.style import HATCHES, INK
from liveness.report.layout import percent
from liveness.report.published import LABEL

BAR_WIDTH: Final = 0.62
LEAST_LABELLED: Final = 0.055
"""Parts smaller than this share of the axis carry no number: the table beside the figure has it."""
NARROW_BARS: Final = 9
"""From so many bars on numbers are written smaller."""

MARK: Final[dict[str, Any]] = {
    "linestyle": "none",
    "markersize": 6,
    "markerfacecolor": "white",
    "markeredgecolor": INK,
    "markeredgewidth": 1.4,
}
"""How published values are marked."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of every bar, from the bottom up; `shares` has one entry a bar, None where there is nothing to share."""

    name: str
    colour: str
    shares: Sequence[float | None]
    dark: bool = False
    """Whether the number on it is written in white."""


def stacked(axes: Axes, bars: Sequence[str], parts: Sequence[Part], *, top: float | None = None) -> None:
    """Draw the bars; each part gets the SVG id ``part:bar`` to find it by. `top` is the upper end of the axis."""
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
                color=part.colour,
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
    """Write a number on a part; on a hatch it stands on a patch of the part's colour."""
    box = None if plain else {"boxstyle": "round,pad=0.15", "facecolor": part.colour, "edgecolor": "none"}
    axes.text(
        x, y, text, ha="center", va="center", fontsize=size, color="white" if part.dark else INK, bbox=box, zorder=4
    )


def share_axis(axes: Axes) -> None:
    """Print the vertical axis as percent."""
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{round(100 * value, 6):g}%"))


def published_marks(axes: Axes, marks: Mapping[float, float], *, marker: str = "D") -> None:
    """Mark published shares, by the place of their bar: at its left edge, where no number stands."""
    if marks:
        places = [place - BAR_WIDTH / 2 - 0.05 for place in marks]
        axes.plot(places, list(marks.values()), marker=marker, gid="published", zorder=5, clip_on=False, **MARK)


def published_key(name: str = "", marker: str = "D") -> Line2D:
    """Return the legend's entry for published values."""
    return Line2D([], [], marker=marker, label=f"{LABEL}{f': {name}' if name else ''}", **MARK)


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
