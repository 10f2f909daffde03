"""A funnel of layers: figure 1 of the paper."""

from typing import Final

from matplotlib.figure import Figure

from liveness.analysis.figures import Layers
from liveness.report.figures.bars import MARK, published_key
from liveness.report.figures.drawing import panel
from liveness.report.figures.style import BLUE, GREEN, HATCHES, INK, ORANGE, PURPLE, RED, SKY, YELLOW

COLOURS: Final = (SKY, BLUE, GREEN, ORANGE, PURPLE, YELLOW, RED)
COLUMN_ENDS: Final = (0.84, 1.06, 1.30)
"""Right ends of the columns of numbers next to the bars."""


def draw_layers(content: Layers) -> Figure:
    """Draw the layers as bars whose width is their share, with columns of numbers to the right."""
    figure, axes = panel()
    columns = dict(zip(content.columns, COLUMN_ENDS, strict=True))
    for place, (name, share) in enumerate(zip(content.ids, content.shares, strict=True)):
        width = share or 0.0
        bar = axes.barh(
            place, width, 0.66, left=-width / 2, color=COLOURS[place % len(COLOURS)], edgecolor=INK, linewidth=0.7,
            hatch=HATCHES[place % len(HATCHES)],
        )  # fmt: skip
        bar.patches[0].set_gid(f"layer:{name}")
        for heading, at in columns.items():
            axes.text(at, place, content.columns[heading][place], ha="right", va="center", fontsize=8.5)
    for heading, at in columns.items():
        axes.text(at, -0.75, heading, ha="right", va="center", fontsize=8.5)
    for row, width in content.published.items():
        axes.plot([-width / 2, width / 2], [row, row], marker="D", gid="published", zorder=5, **MARK)
    axes.set_yticks(range(len(content.layers)), list(content.layers))
    axes.tick_params(length=0)
    axes.set_ylim(len(content.layers) - 0.4, -1.1)
    axes.set_xlim(-0.53, COLUMN_ENDS[-1])
    axes.set_xticks([])
    axes.grid(visible=False)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.set_xlabel(content.x_label)
    axes.legend(handles=[published_key(content.published_name)], loc="lower left", bbox_to_anchor=(-0.02, 0.86))
    return figure
