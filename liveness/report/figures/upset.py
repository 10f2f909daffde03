"""An UpSet plot of the largest membership patterns: which probes an address answers together, and how many do.

After Lex, Gehlenborg, Strobelt, Vuillemot, Pfister, "UpSet: Visualization of Intersecting Sets", 2014.
"""

from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from liveness.analysis.formula import formulas, share
from liveness.analysis.measures.patterns import Patterns
from liveness.report.figures.bars import share_axis
from liveness.report.figures.drawing import Drawing
from liveness.report.figures.style import BLUE, GREEN, INK, PALE, styled
from liveness.report.layout import count, percent

SHOWN: Final = 20
WIDTH_IN: Final = 8.4
ROW_IN: Final = 0.26
HEADROOM: Final = 1.3
"""The height of the axis, in that of the tallest bar: its number fits below the upper end."""
UPRIGHT: Final = 12
"""Of more bars the numbers are turned."""


def upset_figure(patterns: Patterns) -> Drawing:
    """Draw the largest exclusive patterns by replies, falling, each a column of dots under its bar."""
    whole = sum(patterns.replies.values())
    largest = sorted(patterns.replies.items(), key=lambda entry: (-entry[1], entry[0]))[:SHOWN]
    members = [
        sum(size for digits, size in patterns.replies.items() if digits[place] == "1")
        for place in range(len(patterns.probes))
    ]
    with styled():
        rows_in = ROW_IN * max(len(patterns.probes), 1)
        figure = Figure(figsize=(WIDTH_IN, 2.9 + rows_in))
        grid = figure.add_gridspec(2, 2, width_ratios=(1, 4), height_ratios=(2.4, rows_in), hspace=0.02, wspace=0.02)
        top, dots, left = figure.add_subplot(grid[0, 1]), figure.add_subplot(grid[1, 1]), figure.add_subplot(grid[1, 0])
        _sizes(top, largest, whole)
        _dots(dots, largest, patterns.probes)
        _members(left, members, whole)
        shown = sum(size for _, size in largest)
        figure.text(
            0.01, 0.985, f"{len(largest)} largest of {len(patterns.replies)}\npatterns: "
            f"{percent(share(shown, whole))} of\n{count(whole)} active", ha="left", va="top", fontsize=8.5,
        )  # fmt: skip
    told = "; ".join(
        f"{' '.join(_answered(patterns.probes, digits))}: {percent(share(size, whole))}" for digits, size in largest[:5]
    )
    return Drawing(
        name="patterns",
        title="Membership patterns",
        alt=f"UpSet plot of {len(largest)} patterns of {count(whole)} active addresses. The largest: {told}.",
        notes=[
            f"Bars: shares of the {count(whole)} addresses active for any probe; {formulas(Patterns)['replies']}.",
            "Dots: the probes of a pattern. Bars to the left: all addresses active for a probe, same denominator.",
        ],
        figure=figure,
    )


def _answered(probes: list[str], digits: str) -> list[str]:
    return [probe for probe, digit in zip(probes, digits, strict=True) if digit == "1"]


def _sizes(axes: Axes, largest: list[tuple[str, int]], whole: int) -> None:
    """Draw the sizes of the patterns."""
    for place, (digits, size) in enumerate(largest):
        height = share(size, whole) or 0.0
        axes.bar(place, height, 0.66, color=BLUE, edgecolor=INK, linewidth=0.6).patches[0].set_gid(f"pattern:{digits}")
        axes.annotate(
            percent(height), (place, height), xytext=(0, 3), textcoords="offset points", ha="center", va="bottom",
            fontsize=7.0, rotation=90 if len(largest) > UPRIGHT else 0, gid=f"number:{digits}",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},  # no grid through a number
        )  # fmt: skip
    axes.set_xlim(-0.6, max(len(largest), 1) - 0.4)
    axes.set_ylim(0, HEADROOM * max((share(size, whole) or 0.0 for _, size in largest), default=1.0))
    axes.set_xticks([])
    axes.set_ylabel("share of active")
    share_axis(axes)


def _dots(axes: Axes, largest: list[tuple[str, int]], probes: list[str]) -> None:
    """Draw which probes each pattern has."""
    for row in range(0, len(probes), 2):
        axes.axhspan(row - 0.5, row + 0.5, color="#F3F3F3", linewidth=0, zorder=0)
    for place, (digits, _) in enumerate(largest):
        rows = [row for row, digit in enumerate(digits) if digit == "1"]
        axes.plot([place] * len(probes), range(len(probes)), "o", color=PALE, markersize=6, zorder=1)
        axes.plot([place] * len(rows), rows, "o-", color=INK, markersize=6, linewidth=1.4, zorder=2)
    axes.set_xlim(-0.6, max(len(largest), 1) - 0.4)
    axes.set_ylim(len(probes) - 0.5, -0.5)
    axes.set_yticks(range(len(probes)), probes)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.grid(visible=False)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)


def _members(axes: Axes, members: list[int], whole: int) -> None:
    """Draw how many are active for each probe, growing to the left."""
    for row, size in enumerate(members):
        axes.barh(row, share(size, whole) or 0.0, 0.66, color=GREEN, edgecolor=INK, linewidth=0.6)
    axes.set_xlim(1.0, 0)
    axes.set_ylim(max(len(members), 1) - 0.5, -0.5)
    axes.set_yticks([])
    axes.set_xticks([1.0, 0.5, 0.0])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f}%"))
    axes.set_xlabel("active for the probe")
    axes.grid(visible=True, axis="x")
    axes.spines["left"].set_visible(False)
