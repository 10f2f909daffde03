"""A cumulative distribution of durations on a logarithmic axis: the lag between probes."""

from typing import Final

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from liveness.analysis.figures import Cumulative
from liveness.report.figures.bars import MARK, legend, published_key, share_axis
from liveness.report.figures.drawing import panel
from liveness.report.figures.style import BLUE

LEAST_S: Final = 1e-4
"""Shorter durations are drawn at the left edge, since the axis is logarithmic."""


def draw_cumulative(content: Cumulative) -> Figure:
    """Draw the share of durations up to each length."""
    durations = [max(duration, LEAST_S) for duration in content.durations_s]
    shares = [(place + 1) / len(durations) for place in range(len(durations))]
    figure, axes = panel()
    axes.step(
        [durations[0], *durations], [0.0, *shares], where="post", color=BLUE, linewidth=1.8, gid="lag",
        label="this run",
    )  # fmt: skip
    theirs = content.published
    axes.plot(list(theirs), list(theirs.values()), marker="D", gid="published", zorder=5, **MARK)
    axes.set_xscale("log")
    axes.set_xlim(min(durations[0] / 2, 0.05), 2 * max(durations[-1], *theirs))
    axes.set_ylim(0, 1.04)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(visible=True, axis="both")
    axes.set_xlabel(content.x_label)
    axes.set_ylabel(content.y_label)
    share_axis(axes)
    legend(axes, published_key(content.published_name))
    return figure


def _short(duration_s: float) -> str:
    """Return a power of ten of seconds in s or ms."""
    return f"{1000 * duration_s:g} ms" if duration_s < 1 else f"{duration_s:g} s"
