"""Several cumulative distributions on one axis, of shares or of durations, with published points."""

from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from liveness.analysis.survey.figures.contents import Curves
from liveness.report.figures.bars import MARK, legend, published_key, share_axis
from liveness.report.figures.drawing import panel
from liveness.report.figures.style import COLOURS

DURATIONS: Final = {
    0.01: "10 ms", 0.1: "100 ms", 1.0: "1 s", 10.0: "10 s", 60.0: "1 min",
    600.0: "10 min", 3600.0: "1 h", 6 * 3600.0: "6 h", 86400.0: "1 d",
    7 * 86400.0: "1 week", 30 * 86400.0: "30 d", 365 * 86400.0: "1 year",
}  # fmt: skip

ONE_ROW: Final = 4
"""Entries of a legend that fit one row; more have COLUMNS a row."""
COLUMNS: Final = 3
WIDTHS: Final = (3.0, 2.0, 1.7, 1.4)
"""Each curve is narrower than those below it, so that curves that coincide are all visible."""


def draw_curves(content: Curves) -> Figure:
    """Draw each distribution as steps; published points are diamonds."""
    figure, axes = panel()
    for curve, width in zip(content.curves, WIDTHS, strict=False):
        axes.step(
            curve.values, curve.shares, where="post", color=COLOURS[curve.colour], linewidth=width,
            linestyle=(0, (4, 2)) if curve.dashed else "-", label=curve.name, gid=f"curve:{curve.name}",
        )  # fmt: skip
    for mark in content.marks:
        axes.plot([mark.value], [mark.share], marker="D", gid="published", zorder=5, clip_on=False, **MARK)
    values = [value for curve in content.curves for value in curve.values] + [mark.value for mark in content.marks]
    if content.durations:
        _durations(axes, min(value for value in values if value > 0), max(values))
    else:
        axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.03)
    axes.grid(visible=True, axis="both")
    axes.set_xlabel(content.x_label)
    axes.set_ylabel(content.y_label)
    share_axis(axes)
    keys = [published_key(of=content.marks_name)] if content.marks else []
    legend(axes, *keys, columns=COLUMNS if len(content.curves) + len(keys) > ONE_ROW else 0)
    return figure


def _durations(axes: Axes, least: float, most: float) -> None:
    """Make the horizontal axis one of durations."""
    axes.set_xscale("log")
    axes.set_xlim(least / 1.3, most * 1.3)
    axes.xaxis.set_major_locator(FixedLocator(list(DURATIONS)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: DURATIONS.get(round(value, 3), f"{value:g} s")))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
