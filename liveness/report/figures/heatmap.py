"""Figure 5: conditional activity, a square for every two probes."""

from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from liveness.analysis.formula import formulas
from liveness.analysis.measures.conditional import Conditional, Matrix
from liveness.report import published
from liveness.report.figures.drawing import Drawing, panel
from liveness.report.figures.style import INK, PALE, SEQUENTIAL, styled
from liveness.report.layout import percent

CELL_IN: Final = 0.56
EDGE_IN: Final = 1.5
MARGIN_IN: Final = 0.14
LIGHT: Final = 0.55
"""Numbers are dark on colours above, white on those below."""


def conditional_figures(conditional: Conditional) -> list[Drawing]:
    """Draw P(Y | X) on both bases; the paper's numbers stand in parentheses in the cells that it names."""
    named = formulas(Conditional)
    return [
        _matrix(conditional.replies, "replies", named["replies"], beside=True),
        _matrix(conditional.with_errors, "replies and errors", named["with_errors"], beside=False),
    ]


def _matrix(matrix: Matrix, basis: str, formula: str, *, beside: bool) -> Drawing:
    """Draw one matrix: a row a given X, a column a Y."""
    probes = list(matrix)
    values = np.array([[np.nan if (cell := matrix[x][y]) is None else cell for y in probes] for x in probes])
    side_in = max(len(probes), 4) * CELL_IN + EDGE_IN
    with styled():
        figure, axes = panel(side_in + 0.8, side_in)
        colours = mpl.colormaps[SEQUENTIAL].with_extremes(bad=PALE)
        image = axes.imshow(values, vmin=0, vmax=1, cmap=colours, gid="matrix")
        for row, given in enumerate(probes):
            for column, probe in enumerate(probes):
                value = matrix[given][probe]
                theirs = published.CONDITIONAL_SHARES.get((given, probe)) if beside else None
                light = value is None or value > LIGHT
                axes.text(
                    column, row, _text(value) + (f"\n({_published(theirs)})" if theirs else ""), ha="center",
                    va="center", fontsize=8.5 if theirs is None else 7.0, color=INK if light else "white",
                )  # fmt: skip
        labels = [probe.removeprefix("tcp/") for probe in probes]
        axes.set_xticks(range(len(probes)), labels)
        axes.set_yticks(range(len(probes)), labels)
        axes.tick_params(length=0)
        axes.grid(visible=False)
        axes.set_xlabel("Y: active for")
        axes.set_ylabel("X: given active for")
        bar = figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03, format=mpl.ticker.PercentFormatter(1.0))
        bar.set_label("P(Y | X)")
        bar.outline.set_linewidth(0.6)
        _without_bands(figure)
    known = [(matrix[x][y] or 0.0, x, y) for x in probes for y in probes if x != y and matrix[x][y] is not None]
    high, low = max(known, default=None), min(known, default=None)
    told = (
        f" Highest: {high[2]} given {high[1]}, {percent(high[0])}. Lowest: {low[2]} given {low[1]}, {percent(low[0])}."
        if high and low
        else ""
    )
    notes = [f"Row X, column Y, percent: {formula}."]
    if beside:
        notes.append(f"In parentheses: {published.LABEL}, where its text names a number.")
    return Drawing(
        name=f"figure-5-conditional-{basis.replace(' ', '-')}",
        title=f"Conditional activity by {basis} (figure 5)",
        alt=f"Heat map of the probability that an address active for one probe is active for another.{told}",
        notes=notes,
        figure=figure,
    )


def _without_bands(figure: Figure) -> None:
    """Make a figure as high as its square matrix needs: the rest would be empty bands."""
    figure.draw_without_rendering()
    outside = figure.get_tightbbox()
    figure.set_figheight(outside.height + 2 * MARGIN_IN)


def _text(value: float | None) -> str:
    """Return a share as whole percent."""
    if value is None:
        return "-"
    return percent(value, 0).removesuffix("%")


def _published(between: published.Range) -> str:
    """Return a published share as whole percent."""
    low, high = between
    return f"{100 * low:.0f}" if high == low else f"{100 * low:.0f}+"
