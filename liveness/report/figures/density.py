"""The density of addresses over a plane of two shares, on a logarithmic scale of colours."""

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from liveness.analysis.survey.figures.contents import Density
from liveness.report.figures.drawing import panel
from liveness.report.figures.style import PALE, SEQUENTIAL

SIDE_IN = 4.6


def draw_density(content: Density) -> Figure:
    """Draw a square for each pair of bins with an address in it."""
    figure, axes = panel(SIDE_IN + 1.2, SIDE_IN)
    edges = np.linspace(0, 1, len(content.counts) + 1)
    counts = np.ma.masked_equal(content.counts.T, 0)
    image = axes.pcolormesh(
        edges, edges, counts, cmap=mpl.colormaps[SEQUENTIAL],
        norm=mpl.colors.LogNorm(1, max(2, int(content.counts.max()))), rasterized=True, gid="density",
    )  # fmt: skip
    axes.set_facecolor(PALE)
    axes.set_aspect("equal")
    axes.grid(visible=False)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel(content.x_label)
    axes.set_ylabel(content.y_label)
    bar = figure.colorbar(
        image, ax=axes, fraction=0.046, pad=0.03, label=content.scale_label, format=lambda value, _: f"{value:g}"
    )
    bar.outline.set_linewidth(0.6)
    return figure
