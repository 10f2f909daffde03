"""Funnels side by side: for each port, how many of those that accept a connection also speak."""

from typing import Final

from matplotlib.figure import Figure

from liveness.analysis.figures import Funnels
from liveness.analysis.numbers import percent
from liveness.report.figures.bars import MARK, legend, published_key, share_axis
from liveness.report.figures.drawing import WIDTH_IN, panel
from liveness.report.figures.style import BLUE, GREEN, HATCHES, INK, ORANGE, SKY

COLOURS: Final = (SKY, ORANGE, BLUE, GREEN)
GROUP_WIDTH: Final = 0.84
"""Width of all bars of a group; the groups are 1 apart."""
GROUPS_A_WIDTH: Final = 5
"""Groups that fit the usual width; with more the figure is wider."""
FOOT: Final = 0.02
"""Height of the numbers, at the foot of each bar, where no published value is."""
LEGEND_COLUMNS: Final = 3


def draw_funnels(content: Funnels) -> Figure:
    """Draw a bar for each group and stage, its share at its foot, and published values as diamonds."""
    figure, axes = panel(WIDTH_IN * max(1.0, len(content.groups) / GROUPS_A_WIDTH))
    width = GROUP_WIDTH / len(content.stages)
    for number, (stage, shares) in enumerate(content.stages.items()):
        for place, (group, share) in enumerate(zip(content.groups, shares, strict=True)):
            left = place - GROUP_WIDTH / 2 + number * width
            bar = axes.bar(
                left, share or 0.0, width, align="edge", color=COLOURS[number % len(COLOURS)], edgecolor=INK,
                linewidth=0.7, hatch=HATCHES[number % len(HATCHES)], label=stage if place == 0 else None,
            )  # fmt: skip
            bar.patches[0].set_gid(f"{stage}:{group}")
            axes.text(
                left + width / 2, FOOT, percent(share, 0), ha="center", va="bottom", fontsize=6.0, zorder=4,
                bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none"},
            )  # fmt: skip
            published = content.published.get(stage, {}).get(place)
            if published is not None:
                axes.plot([left + width / 2], [published], marker="D", gid="published", zorder=5, **MARK)
    axes.set_xticks(range(len(content.groups)), list(content.groups))
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.6, max(len(content.groups), 1) - 0.4)
    axes.set_ylim(0, 1.04)
    axes.set_xlabel(content.x_label)
    axes.set_ylabel(content.y_label)
    share_axis(axes)
    known = any(content.published.values())
    legend(axes, *([published_key(of=content.published_name)] if known else []), columns=LEGEND_COLUMNS)
    return figure
