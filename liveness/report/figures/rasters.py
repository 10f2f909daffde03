"""Rasters: every round of every address of a /24, and the rounds of many /24s with outages."""

from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from liveness.analysis.survey.figures.contents import STATES, BlockRaster, OutageRaster
from liveness.report.figures.dates import date_axis, edges_of
from liveness.report.figures.drawing import WIDTH_IN
from liveness.report.figures.style import BLUE, INK, ORANGE, PURPLE, SEQUENTIAL

COLOURS: Final = ("#FFFFFF", "#DDDDDD", BLUE, ORANGE, PURPLE, "#8A8A8A")
"""By state: not sent, silent, positive, negative, late, withdrawn. They differ in brightness too."""
RASTER_WIDTH_IN: Final = 8.0
RASTER_HEIGHT_IN: Final = 5.6
ROW_IN: Final = 0.16
"""Height of a row that has its name next to it."""
NAMED_ROWS: Final = 40
HOST_TICKS: Final = (0, 64, 128, 192, 255)


def draw_block_raster(content: BlockRaster) -> Figure:
    """Draw the states of a /24, and above them how many addresses are active."""
    figure = Figure(figsize=(RASTER_WIDTH_IN, RASTER_HEIGHT_IN))
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(1, 3))
    edges = edges_of(content.rounds)
    upper.stairs(content.active, edges, baseline=None, color=BLUE, linewidth=0.9, gid="active")
    if content.fitted is not None:
        middles = (edges[:-1] + edges[1:]) / 2
        upper.plot(middles, content.fitted, color=ORANGE, linewidth=1.5, linestyle=(0, (4, 2)), gid="fit")
    upper.set_ylim(bottom=0)
    upper.set_ylabel("active")
    rows = len(content.states)
    lower.imshow(
        content.states, cmap=ListedColormap(COLOURS), vmin=-0.5, vmax=len(COLOURS) - 0.5, aspect="auto",
        extent=(float(edges[0]), float(edges[-1]), rows - 0.5, -0.5), interpolation="antialiased",
        interpolation_stage="rgba", gid="raster",
    )  # fmt: skip
    lower.set_ylabel("last octet")
    lower.set_yticks(HOST_TICKS)
    lower.grid(visible=True, axis="x", color=INK, linewidth=0.3, alpha=0.5)
    lower.set_axisbelow(False)
    date_axis(lower, edges)
    shown = np.unique(content.states)
    handles = [
        Patch(facecolor=COLOURS[state], edgecolor=INK, linewidth=0.5, label=STATES[state]) for state in shown.tolist()
    ]
    upper.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1.0, 1, 0), ncols=6, borderaxespad=0.3)
    figure.align_ylabels()
    return figure


def draw_outage_raster(content: OutageRaster) -> Figure:
    """Draw a row for each block, darker where fewer of its addresses are active."""
    rows = len(content.levels)
    named = rows <= NAMED_ROWS
    height_in = max(1.8, ROW_IN * rows + 1.0) if named else RASTER_HEIGHT_IN
    figure = Figure(figsize=(RASTER_WIDTH_IN if named else WIDTH_IN, height_in))
    axes = figure.add_subplot()
    edges = edges_of(content.rounds)
    shares = np.where(content.levels == content.unknown, np.nan, content.levels / content.full)
    image = axes.imshow(
        shares, cmap=mpl.colormaps[SEQUENTIAL].with_extremes(bad="white"), vmin=0, vmax=1, aspect="auto",
        extent=(float(edges[0]), float(edges[-1]), rows - 0.5, -0.5), interpolation="antialiased",
        interpolation_stage="rgba", gid="raster",
    )  # fmt: skip
    if named:
        axes.set_yticks(range(rows), list(content.names), fontsize=7)
    else:
        axes.set_ylabel("/24s, by the start of their first outage")
    axes.grid(visible=False)
    date_axis(axes, edges)
    bar = figure.colorbar(image, ax=axes, label="share active", format=mpl.ticker.PercentFormatter(1.0), pad=0.02)
    bar.outline.set_linewidth(0.6)
    return figure
