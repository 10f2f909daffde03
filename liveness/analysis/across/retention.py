"""Retention: the addresses of a run that are still alive one, two, three and more runs later."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Final

from liveness.analysis.across.measure import AcrossMeasure
from liveness.analysis.counting.states import RunStates
from liveness.analysis.counting.walk import Compared
from liveness.analysis.figures import Figure, Survival, SurvivalCurve
from liveness.analysis.formula import Formula, formulas, share
from liveness.analysis.measure import RunResults
from liveness.analysis.numbers import count, named_formulas, percent
from liveness.analysis.tables import Cell, Column, Datum, Share, Table
from liveness.errors import count_of

TITLE: Final = "Retention: alive in later runs"
RUNS_SHOWN: Final = 6
"""Later runs that fit 80 columns next to the name of a run."""
DAY_S: Final = 86400.0


@dataclass(frozen=True, slots=True)
class Retention:
    """One run's curve; entry k of each list refers to the k-th run of `later`.

    Runs of one census are followed on their common targets, `targets` in number, by the probes that all of them sent.
    """

    run: str
    addresses: Annotated[int, Formula("IPall of the run, on the targets and by the probes of all runs compared")]
    alive: Annotated[list[int], Formula("of these, network alive in the later run")]
    share: Annotated[list[float | None], Formula("alive / addresses")]
    throughout: Annotated[list[int], Formula("of these, network alive in the later run and in all between")]
    throughout_share: Annotated[list[float | None], Formula("throughout / addresses")]
    later: list[str] = field(default_factory=list)
    targets: int | None = None


def retention(runs: Sequence[RunStates], compared: Compared) -> list[Retention]:
    """Return the curve of every run of a chain but the last, in the order of comparison."""
    curves = []
    for chain, followed in zip(compared.comparisons.chains, compared.chains, strict=True):
        names = [runs[place].manifest.run for place in chain.places]
        for place, name in enumerate(names[:-1]):
            addresses = int(followed.later[place, place])
            alive = followed.later[place, place + 1 :].tolist()
            throughout = followed.throughout[place, place + 1 :].tolist()
            curves.append(
                Retention(
                    run=name,
                    later=names[place + 1 :],
                    targets=chain.shared.targets,
                    addresses=addresses,
                    alive=alive,
                    share=[share(number, addresses) for number in alive],
                    throughout=throughout,
                    throughout_share=[share(number, addresses) for number in throughout],
                )
            )
    return curves


def by_chain(curves: Sequence[Retention]) -> dict[str, list[Retention]]:
    """Return the curves by chain of runs under a title, which names the census if there are several chains."""
    chains: list[list[Retention]] = []
    for curve in curves:
        follows = bool(chains) and chains[-1][-1].later[:1] in ([curve.run], [])
        if follows:
            chains[-1].append(curve)
        else:
            chains.append([curve])
    if len(chains) == 1:
        return {TITLE: chains[0]}
    return {f"{TITLE} of {chain[0].run.partition('/')[0]}": chain for chain in chains}


def retention_table(curves: Sequence[Retention], title: str = TITLE) -> Table:
    """Return the share of each run's addresses that is alive in later runs."""
    last = max(len(curve.alive) for curve in curves)
    shown = min(RUNS_SHOWN, last)
    rows: list[tuple[Cell, ...]] = []
    for curve in curves:
        blank = [""] * (shown - len(curve.alive))
        rows.append((curve.run, curve.addresses, *map(Share, curve.share[:shown]), *blank))
        rows.append(("  throughout", "", *map(Share, curve.throughout_share[:shown]), *blank))
    more = [f"The first {shown} of {last} later runs; --json has all."] if last > shown else []
    targets = curves[0].targets
    followed = [] if targets is None else [f"On the {count_of(targets, 'target')} that all these runs share."]
    return Table(
        "retention",
        title,
        (
            Column("run"),
            Column("addresses", "addresses"),
            *(Column(f"+{later}", "share", "addresses of the run") for later in range(1, shown + 1)),
        ),
        rows,
        [
            "Column +k: the run k after it. Shares of the run's addresses.",
            *followed,
            *named_formulas(formulas(Retention)),
            *more,
        ],
        data=[datum for curve in curves for datum in _data(curve)],
    )


def _data(curve: Retention) -> Iterator[Datum]:
    """Yield the numbers of a curve, one later run after the other."""
    yield Datum({"run": curve.run, "later": ""}, "addresses", curve.addresses, "addresses")
    for later, name in enumerate(curve.later):
        keys = {"run": curve.run, "later": name}
        yield Datum(keys, "alive", curve.alive[later], "addresses")
        yield Datum(keys, "alive share", curve.share[later], "share", "addresses of the run", curve.addresses)
        yield Datum(keys, "throughout", curve.throughout[later], "addresses")
        throughout = curve.throughout_share[later]
        yield Datum(keys, "throughout share", throughout, "share", "addresses of the run", curve.addresses)


def tables(curves: Sequence[Retention]) -> Iterator[Table]:
    """Yield a table for each chain of runs."""
    for title, chain in by_chain(curves).items():
        yield retention_table(chain, title)


def figures(curves: Sequence[Retention], runs: Sequence[RunResults]) -> Iterator[Figure]:
    """Yield a figure for each chain: the share of each run's addresses that is alive some days later."""
    started = {run.manifest.run: run.manifest.started for run in runs}
    for number, (title, chain) in enumerate(by_chain(curves).items(), start=1):
        first = chain[0]
        days = [datetime.fromisoformat(started[run]).timestamp() / DAY_S for run in (first.run, *first.later)]
        yield Figure(
            "retention" if number == 1 else f"retention-{number}",
            title,
            f"Curves of {len(chain)} runs. Of the first run's {count(first.addresses)} addresses"
            f" {percent(first.share[-1])} are alive in the last, {percent(first.throughout_share[-1])} in all.",
            ["Shares of the addresses of each run.", *named_formulas(formulas(Retention))],
            Survival(
                [
                    SurvivalCurve([day - days[place] for day in days[place + 1 :]], curve.share, curve.throughout_share)
                    for place, curve in enumerate(chain)
                ],
                "share of the run's addresses",
            ),
            "retention",
        )


RETENTION = AcrossMeasure("retention", retention, tables, figures)
