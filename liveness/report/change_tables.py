"""Tables of several runs: what changed from each to the next, and what remains of each."""

from collections.abc import Iterable, Sequence
from typing import Final

from liveness.analysis.across.changes import Change, PortTurnover, Turnover
from liveness.analysis.across.pairing import LeftOut
from liveness.analysis.across.retention import TITLE, Retention
from liveness.analysis.formula import formulas, share
from liveness.errors import count_of
from liveness.report.layout import Section, count, named_formulas, percent

RUNS_SHOWN: Final = 6
"""So many later runs fit 80 columns beside the name of a run."""


def change_table(change: Change) -> Section:
    """Return the turnover between two runs, of IPall and by family."""
    return Section(
        f"Changes from {change.before} to {change.after}",
        ("family", "born", "/ later", "died", "/ earlier", "stayed"),
        _rows((("all", change.all), *change.families.items())),
        [
            *_basis(change),
            *named_formulas(formulas(Turnover)),
            "Shares of the later and of the earlier run's addresses.",
        ],
    )


def _basis(change: Change) -> list[str]:
    """Return on what two runs were compared, and what that leaves out of them."""
    of_both = "targets" if change.targets is None else count_of(change.targets, "target")
    notes = [f"Addresses among the {of_both} of both runs, by the {count_of(len(change.probes), 'probe')} of both."]
    left = change.left_out
    for run, targets, probes in (
        (change.before, left.targets_before, left.probes_before),
        (change.after, left.targets_after, left.probes_after),
    ):
        parts = [count_of(targets, "target")] if targets else []
        parts += [", ".join(probes)] if probes else []
        if parts:
            notes.append(f"Left out of {run}, which the other run did not probe: {'; '.join(parts)}.")
    return notes


def left_out_table(left_out: Sequence[LeftOut]) -> Section:
    """Return the runs that are not compared, and why."""
    return Section(
        "Not compared",
        ("run", "because"),
        [(one.run, one.reason) for one in left_out],
        ["Complete runs of one census are compared, on the targets and probes of both."],
        text_columns=frozenset({0, 1}),
    )


def ports_table(change: Change) -> Section:
    """Return the turnover between two runs on each TCP port that both probed."""
    return Section(
        f"Changes by port from {change.before} to {change.after}",
        ("port", "born", "/ later", "died", "/ earlier", "stayed"),
        _rows((str(port), turnover) for port, turnover in change.ports.items()),
        [
            *named_formulas(formulas(PortTurnover)),
            "Shares of those alive on the port in the later and the earlier run.",
        ],
    )


def retention_table(curves: list[Retention], title: str = TITLE) -> Section:
    """Return the share of each run's addresses that is alive in the runs after it."""
    shown = min(RUNS_SHOWN, max(len(curve.alive) for curve in curves))
    rows = []
    for curve in curves:
        blank = [""] * (shown - len(curve.alive))
        rows.append((curve.run, count(curve.addresses), *map(percent, curve.share[:shown]), *blank))
        rows.append(("  throughout", "", *map(percent, curve.throughout_share[:shown]), *blank))
    last = max(len(curve.alive) for curve in curves)
    more = [f"The first {shown} of {last} later runs; --json has all."] if last > shown else []
    return Section(
        title,
        ("run", "addresses", *(f"+{later}" for later in range(1, shown + 1))),
        rows,
        [
            "Column +k: the run k after it. Shares of the run's addresses.",
            *_followed(curves),
            *named_formulas(formulas(Retention)),
            *more,
        ],
    )


def _followed(curves: list[Retention]) -> list[str]:
    targets = curves[0].targets
    return [] if targets is None else [f"On the {count_of(targets, 'target')} that all these runs share."]


def _rows(turnovers: Iterable[tuple[str, Turnover | PortTurnover]]) -> list[tuple[str, ...]]:
    """Return a row for each turnover."""
    rows: list[tuple[str, ...]] = []
    for name, turnover in turnovers:
        before, after = turnover.died + turnover.stayed, turnover.born + turnover.stayed
        rows.append(
            (
                name,
                count(turnover.born),
                percent(share(turnover.born, after)),
                count(turnover.died),
                percent(share(turnover.died, before)),
                count(turnover.stayed),
            )
        )
    return rows
