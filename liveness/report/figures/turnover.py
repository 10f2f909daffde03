"""Figures of several runs: who was born, died and stayed from each to the next, and what remains of a run later."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from liveness.analysis.across.changes import Change, Turnover
from liveness.analysis.across.retention import TITLE, Retention
from liveness.analysis.formula import formulas
from liveness.analysis.results import RunResults
from liveness.report.figures.bars import share_axis
from liveness.report.figures.drawing import WIDTH_IN, Drawing, panel
from liveness.report.figures.style import BLUE, GREEN, GREY, INK, ORANGE, SKY, drawable, styled
from liveness.report.layout import count, named_formulas, percent

DAY_S: Final = 86400.0
NAMES_SHOWN: Final = 12
"""So many names of runs fit below the bars; of more, every second, third … is written."""
NAME_LENGTH: Final = 20
PARTS: Final = {"stayed": (SKY, ""), "born": (GREEN, "////"), "died": (ORANGE, "xxxx")}


def turnover_figure(changes: Sequence[Change]) -> Drawing:
    """Draw born, died and stayed from each run to the next: all addresses, and by family."""
    views = {"all": [change.all for change in changes]}
    views |= {family: [change.families[family] for change in changes] for family in changes[0].families}
    step = -(-len(changes) // NAMES_SHOWN)
    with styled():
        figure = Figure(figsize=(8.0, 5.6))
        panels = figure.subplots(2, 2, sharex=True).flat
        for axes, (name, turnovers) in zip(panels, views.items(), strict=False):
            _bars(axes, name, turnovers)
            axes.set_xticks(
                range(0, len(changes), step), [_name(change.after) for change in changes[::step]], rotation=30,
                ha="right", fontsize=7.5,
            )  # fmt: skip
        handles = figure.axes[0].get_legend_handles_labels()[0]
        figure.legend(handles=handles, loc="outside upper left", ncols=3)
    last = changes[-1].all
    return Drawing(
        name="turnover",
        title="Born, died and stayed from run to run",
        alt=f"Bars of {len(changes)} changes. The last: {count(last.born)} born, {count(last.died)} died,"
        f" {count(last.stayed)} stayed.",
        notes=[
            "A bar a run, against the one before; those who died hang below the axis.",
            *named_formulas(formulas(Turnover)),
        ],
        figure=figure,
    )


def _bars(axes: Axes, name: str, turnovers: list[Turnover]) -> None:
    """Draw one population."""
    for place, turnover in enumerate(turnovers):
        for part, height, bottom in (
            ("stayed", turnover.stayed, 0),
            ("born", turnover.born, turnover.stayed),
            ("died", -turnover.died, 0),
        ):
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
    highest = max([*(turnover.stayed + turnover.born for turnover in turnovers), 1])
    axes.set_ylim(-1.08 * max(turnover.died for turnover in turnovers) - 0.02 * highest, 1.06 * highest)
    axes.yaxis.set_major_formatter(lambda value, _: _short(value))


def retention_figure(
    curves: Sequence[Retention], runs: Sequence[RunResults], title: str = TITLE, number: int = 1
) -> Drawing:
    """Draw the share of each run's addresses that is alive so many days later; the first run's stand out."""
    first = curves[0]
    started = {run.manifest.run: datetime.fromisoformat(run.manifest.started).timestamp() / DAY_S for run in runs}
    days = [started[run] for run in (first.run, *first.later)]
    with styled():
        figure, axes = panel(WIDTH_IN, 4.0)
        for place, curve in enumerate(curves):
            later = [0.0, *(day - days[place] for day in days[place + 1 :])]
            if place == 0:
                _line(axes, "alive, of the first run", later, curve.share, "o-", BLUE, "alive:0")
                _line(
                    axes, "throughout, of the first run", later, curve.throughout_share, "s--", ORANGE, "throughout:0"
                )
            else:
                label = "alive, of later runs" if place == 1 else ""
                _line(axes, label, later, curve.share, ".-", GREY, f"alive:{place}")
        shown = [share for curve in curves for share in (*curve.share, *curve.throughout_share) if share is not None]
        axes.set_ylim(max(0.0, min([*shown, 1.0]) - 0.1) if min([*shown, 1.0]) > 0.5 else 0.0, 1.03)  # noqa: PLR2004 - upper half
        axes.set_xlim(left=0)
        axes.set_xlabel("days later")
        axes.set_ylabel("share of the run's addresses")
        axes.grid(visible=True, axis="both")
        share_axis(axes)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0, 1, 0), ncols=3, borderaxespad=0.3)
    return Drawing(
        name="retention" if number == 1 else f"retention-{number}",
        title=title,
        alt=f"Curves of {len(curves)} runs. Of the first run's {count(first.addresses)} addresses"
        f" {percent(first.share[-1])} are alive in the last, {percent(first.throughout_share[-1])} in all.",
        notes=["Shares of the addresses of each run.", *named_formulas(formulas(Retention))],
        figure=figure,
    )


def _line(
    axes: Axes, label: str, days: list[float], shares: list[float | None], form: str, colour: str, gid: str
) -> None:
    """Draw one curve, which begins at everybody."""
    values = [1.0, *(float("nan") if share is None else share for share in shares)]
    main = colour != GREY
    axes.plot(
        days, values, form, color=colour, linewidth=1.7 if main else 0.9, markersize=5 if main else 4, gid=gid,
        label=label or None, zorder=4 if main else 2, clip_on=False,
    )  # fmt: skip


def _name(run: str) -> str:
    """Return the id of a run, short enough to stand below a bar."""
    name = drawable(run.rpartition("/")[2])
    return name if len(name) <= NAME_LENGTH else name[: NAME_LENGTH - 1] + "…"


def _short(number: float) -> str:
    """Return a number with k or M, without its sign: what hangs below the axis is a count too."""
    number = abs(number)
    for size, prefix in ((1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:g}{prefix}"
    return f"{number:g}"
