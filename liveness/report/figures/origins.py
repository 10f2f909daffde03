"""Figures of several vantage points: gain curves, and hit rates along the order with bursts."""

from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from liveness.analysis.figures import GainCurves, RelativeRates
from liveness.report.figures.bars import legend, share_axis
from liveness.report.figures.drawing import WIDTH_IN, panel
from liveness.report.figures.style import COLOURS, GREY, INK, drawable

HEIGHT_IN: Final = 3.4
SPREAD: Final = 0.28
"""Curves are drawn side by side within this distance, so that their bars do not cover each other."""
DASHES: Final[tuple[Any, ...]] = ("-", (0, (4, 2)), (0, (1, 1)), (0, (6, 2, 1, 2)))
MARKERS: Final = "osD^vPX"
HIGHEST_RATE: Final = 2.0
"""Larger relative rates are drawn at the upper edge: the others were silent there."""
COLUMNS: Final = 4


def draw_gain_curves(content: GainCurves) -> Figure:
    """Draw the mean coverage by number, bars from the least to the most, and published ranges as grey boxes."""
    figure, axes = panel(WIDTH_IN, HEIGHT_IN)
    colours = list(COLOURS.values())
    for number, (low, high) in content.published.items():
        top = 1.0 if high is None else high
        axes.fill_between(
            [number - 0.4, number + 0.4], low, top, color=GREY, alpha=0.4, linewidth=0, gid="published",
            label=content.published_name if number == min(content.published) else None,
        )  # fmt: skip
    count = len(content.curves)
    for place, curve in enumerate(content.curves):
        shift = SPREAD * ((place + 0.5) / count - 0.5)
        numbers = [number + shift for number in range(1, len(curve.mean) + 1)]
        below = [mean - low for mean, low in zip(curve.mean, curve.low, strict=True)]
        above = [high - mean for mean, high in zip(curve.mean, curve.high, strict=True)]
        drawn = axes.errorbar(
            numbers, curve.mean, yerr=(below, above), color=colours[place % len(colours)], capsize=2, markersize=4,
            marker=MARKERS[place % len(MARKERS)], linestyle=DASHES[place % len(DASHES)], linewidth=1.3,
            label=drawable(curve.name),
        )  # fmt: skip
        drawn.lines[0].set_gid(f"gain:{curve.name}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(content.x_label)
    axes.set_ylabel(content.y_label)
    axes.set_ylim(top=1.005)
    share_axis(axes)
    _legend(axes)
    return figure


def draw_relative_rates(content: RelativeRates) -> Figure:
    """Draw a line of steps for each vantage point, and shade bursts: in its colour, in grey those of all of them."""
    figure, axes = panel(WIDTH_IN, HEIGHT_IN)
    colours = dict(zip(content.rates, [*COLOURS.values()] * (1 + len(content.rates) // len(COLOURS)), strict=False))
    for name, begin, end in content.bursts:
        axes.axvspan(begin, end, color=colours.get(name, GREY), alpha=0.3, linewidth=0, gid=f"burst:{name or 'all'}")
    for place, (name, rates) in enumerate(content.rates.items()):
        heights = [float("nan") if rate is None else min(rate, HIGHEST_RATE) for rate in rates]
        axes.stairs(
            heights, content.edges, baseline=None, color=colours[name], linewidth=1.2,
            linestyle=DASHES[place % len(DASHES)], label=drawable(name), gid=f"rate:{name}",
        )  # fmt: skip
    axes.axhline(1, color=INK, linewidth=0.6)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.05 * HIGHEST_RATE if _highest(content) > 1.5 else 1.5)  # noqa: PLR2004 - usual rates are near 1
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
    axes.set_xlabel(content.x_label)
    axes.set_ylabel(content.y_label)
    _legend(axes)
    return figure


def _highest(content: RelativeRates) -> float:
    return max([rate for rates in content.rates.values() for rate in rates if rate is not None], default=0.0)


def _legend(axes: Axes) -> None:
    """Put the legend above the axes, in rows of a few entries."""
    legend(axes, columns=min(COLUMNS, max(1, len(axes.get_legend_handles_labels()[0]))))
