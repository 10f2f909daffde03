"""Figures of several runs: addresses born, died and stayed from each run to the next, and survival of a run's."""

from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from liveness.analysis.figures import Survival, Turnovers
from liveness.report.figures.bars import share_axis
from liveness.report.figures.drawing import WIDTH_IN, panel
from liveness.report.figures.style import BLUE, GREEN, GREY, INK, ORANGE, SKY, drawable

NAMES_SHOWN: Final = 12
"""Names of runs that fit below the bars; of more, every second, third and so on is written."""
NAME_LENGTH: Final = 20
PARTS: Final = {"stayed": (SKY, ""), "born": (GREEN, "////"), "died": (ORANGE, "xxxx")}


def draw_turnovers(content: Turnovers) -> Figure:
    """Draw born, died and stayed from each run to the next, one panel per population."""
    runs, step = content.runs, -(-len(content.runs) // NAMES_SHOWN)
    figure = Figure(figsize=(8.0, 5.6))
    panels = figure.subplots(2, 2, sharex=True).flat
    for axes, (name, turnovers) in zip(panels, content.populations.items(), strict=False):
        _bars(axes, name, turnovers)
        axes.set_xticks(
            range(0, len(runs), step), [_name(run) for run in runs[::step]], rotation=30, ha="right", fontsize=7.5
        )
    handles = figure.axes[0].get_legend_handles_labels()[0]
    figure.legend(handles=handles, loc="outside upper left", ncols=3)
    return figure


def _bars(axes: Axes, name: str, turnovers: Sequence[tuple[int, int, int]]) -> None:
    """Draw one population: born, died and stayed, by change."""
    for place, (born, died, stayed) in enumerate(turnovers):
        for part, height, bottom in (("stayed", stayed, 0), ("born", born, stayed), ("died", -died, 0)):
            colour, hatch = PARTS[part]
            bar = axes.bar(
                place, height, 0.66, bottom=bottom, color=colour, hatch=hatch, edgecolor=INK, linewidth=0.6,
                label=part if place == 0 else None,
            )  # fmt: skip
            bar.patches[0].set_gid(f"{name}:{part}:{place}")
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.set_title("all" if name == "all" else name.upper(), loc="left", fontsize=9)
    axes.set_ylabel("addresses")
    axes.set_xlim(-0.6, max(len(turnovers), 2) - 0.4)
    highest = max([*(stayed + born for born, _, stayed in turnovers), 1])
    axes.set_ylim(-1.08 * max(died for _, died, _ in turnovers) - 0.02 * highest, 1.06 * highest)
    axes.yaxis.set_major_formatter(lambda value, _: _short(value))


def draw_survival(content: Survival) -> Figure:
    """Draw the share of each run's addresses that is alive some days later; the first run is emphasised."""
    figure, axes = panel(WIDTH_IN, 4.0)
    for place, curve in enumerate(content.curves):
        later = [0.0, *curve.days]
        if place == 0:
            _line(axes, "alive, of the first run", later, curve.shares, "o-", BLUE, "alive:0")
            _line(axes, "throughout, of the first run", later, curve.throughout, "s--", ORANGE, "throughout:0")
        else:
            label = "alive, of later runs" if place == 1 else ""
            _line(axes, label, later, curve.shares, ".-", GREY, f"alive:{place}")
    everything = [share for curve in content.curves for share in (*curve.shares, *curve.throughout)]
    least = min([*(share for share in everything if share is not None), 1.0])
    axes.set_ylim(max(0.0, least - 0.1) if least > 0.5 else 0.0, 1.03)  # noqa: PLR2004 - upper half
    axes.set_xlim(left=0)
    axes.set_xlabel("days later")
    axes.set_ylabel(content.y_label)
    axes.grid(visible=True, axis="both")
    share_axis(axes)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0, 1, 0), ncols=3, borderaxespad=0.3)
    return figure


def _line(
    axes: Axes, label: str, days: list[float], shares: Sequence[float | None], form: str, colour: str, gid: str
) -> None:
    """Draw one curve, which begins at 1."""
    values = [1.0, *(float("nan") if share is None else share for share in shares)]
    main = colour != GREY
    axes.plot(
        days, values, form, color=colour, linewidth=1.7 if main else 0.9, markersize=5 if main else 4, gid=gid,
        label=label or None, zorder=4 if main else 2, clip_on=False,
    )  # fmt: skip


def _name(run: str) -> str:
    """Return the id of a run, shortened to fit below a bar."""
    name = drawable(run.rpartition("/")[2])
    return name if len(name) <= NAME_LENGTH else name[: NAME_LENGTH - 1] + "…"


def _short(number: float) -> str:
    """Return a number with k or M and without sign: bars below the axis are counts too."""
    number = abs(number)
    for size, prefix in ((1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:g}{prefix}"
    return f"{number:g}"
