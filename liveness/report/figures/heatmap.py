"""A square heat map of shares: figure 5, conditional activity."""

from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from liveness.analysis.figures import Heatmap
from liveness.analysis.numbers import percent
from liveness.reference.published import Published
from liveness.report.figures.drawing import panel
from liveness.report.figures.style import INK, PALE, SEQUENTIAL

CELL_IN: Final = 0.56
EDGE_IN: Final = 1.5
MARGIN_IN: Final = 0.14
LIGHT: Final = 0.55
"""Numbers are dark on colours above this value, white on those below."""


def draw_heatmap(content: Heatmap) -> Figure:
    """Draw one matrix: a row for each given X, a column for each Y; published values are in parentheses."""
    labels = list(content.labels)
    values = np.array([[np.nan if cell is None else cell for cell in row] for row in content.values])
    side_in = max(len(labels), 4) * CELL_IN + EDGE_IN
    figure, axes = panel(side_in + 0.8, side_in)
    colours = mpl.colormaps[SEQUENTIAL].with_extremes(bad=PALE)
    image = axes.imshow(values, vmin=0, vmax=1, cmap=colours, gid="matrix")
    for row, cells in enumerate(content.values):
        for column, value in enumerate(cells):
            theirs = content.published.get((row, column))
            light = value is None or value > LIGHT
            axes.text(
                column, row, _text(value) + (f"\n({_published(theirs)})" if theirs else ""), ha="center",
                va="center", fontsize=8.5 if theirs is None else 7.0, color=INK if light else "white",
            )  # fmt: skip
    axes.set_xticks(range(len(labels)), labels)
    axes.set_yticks(range(len(labels)), labels)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.set_xlabel(content.x_label)
    axes.set_ylabel(content.y_label)
    bar = figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03, format=mpl.ticker.PercentFormatter(1.0))
    bar.set_label(content.scale_label)
    bar.outline.set_linewidth(0.6)
    _without_bands(figure)
    return figure


def _without_bands(figure: Figure) -> None:
    """Reduce a figure's height to what its square matrix needs, so that no empty bands remain."""
    figure.draw_without_rendering()
    outside = figure.get_tightbbox()
    figure.set_figheight(outside.height + 2 * MARGIN_IN)


def _text(value: float | None) -> str:
    """Return a share as whole percent."""
    if value is None:
        return "-"
    return percent(value, 0).removesuffix("%")


def _published(value: Published) -> str:
    """Return a published share as whole percent."""
    low, high = value.range
    return f"{100 * low:.0f}" if high == low else f"{100 * low:.0f}+"
