"""Lines over the rounds of a survey: activity with its daily fit, and the share of blocks that are down."""

from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from liveness.analysis.survey.figures.contents import Activity, Downtime
from liveness.report.figures.bars import MARK, legend, published_key, share_axis
from liveness.report.figures.dates import date_axis, edges_of
from liveness.report.figures.drawing import panel
from liveness.report.figures.style import BLUE, COLOURS, ORANGE

HEIGHT_IN: Final = 3.0
LINES: Final[dict[str, Any]] = {"blue": "-", "green": (0, (1, 1)), "orange": (0, (4, 2))}
"""Styles of lines by colour: they differ without colours too."""


def draw_activity(content: Activity) -> Figure:
    """Draw the share by round, and the daily wave that was fitted to it."""
    figure, axes = panel(height_in=HEIGHT_IN)
    edges = edges_of(content.rounds)
    axes.stairs(content.shares, edges, baseline=None, color=BLUE, linewidth=1.0, label="measured", gid="measured")
    if content.fitted is not None:
        middles = (edges[:-1] + edges[1:]) / 2
        axes.plot(
            middles, content.fitted, color=ORANGE, linewidth=1.6, linestyle=LINES["orange"], label="fit", gid="fit"
        )
    _from_zero(axes)
    axes.set_ylabel(content.y_label)
    share_axis(axes)
    date_axis(axes, edges)
    legend(axes)
    return figure


def draw_downtime(content: Downtime) -> Figure:
    """Draw the shares that are down, and the published share at the left edge."""
    figure, axes = panel(height_in=HEIGHT_IN)
    edges = edges_of(content.rounds)
    for name, colour, shares in content.lines:
        axes.stairs(
            shares, edges, baseline=None, color=COLOURS[colour], linewidth=1.2, linestyle=LINES[colour], label=name,
            gid=f"line:{name}",
        )  # fmt: skip
    axes.plot([edges[0]], [content.published], marker="D", gid="published", zorder=5, clip_on=False, **MARK)
    _from_zero(axes)
    axes.set_ylabel(content.y_label)
    share_axis(axes)
    date_axis(axes, edges)
    legend(axes, published_key(of=content.published_name))
    return figure


def _from_zero(axes: Axes) -> None:
    """Begin the vertical axis with 0, and leave room above the highest line."""
    axes.margins(y=0.08)
    axes.set_ylim(bottom=0)
