"""Changes between two runs: addresses born, died and stayed, in all, by family and by port."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from liveness.analysis.across.measure import AcrossMeasure
from liveness.analysis.across.pairing import Pair
from liveness.analysis.counting.comparing import BORN, DIED, STAYED
from liveness.analysis.counting.run import FAMILIES, family_probes, port_of, probes_of
from liveness.analysis.counting.states import RunStates
from liveness.analysis.counting.views import ComparedBit, port_bit
from liveness.analysis.counting.walk import Compared
from liveness.analysis.figures import Figure, Turnovers
from liveness.analysis.formula import Formula, formulas
from liveness.analysis.measure import RunResults, plain
from liveness.analysis.numbers import count, named_formulas
from liveness.analysis.tables import Cell, Column, Share, Table
from liveness.errors import count_of


@dataclass(frozen=True, slots=True)
class Turnover:
    """The change of one population of addresses between two runs."""

    born: Annotated[int, Formula("network alive in the later run only")]
    died: Annotated[int, Formula("network alive in the earlier run only")]
    stayed: Annotated[int, Formula("network alive in both runs")]


@dataclass(frozen=True, slots=True)
class PortTurnover:
    """The change of the addresses alive on one TCP port between two runs."""

    born: Annotated[int, Formula("SYN-ACK from the port in the later run only")]
    died: Annotated[int, Formula("SYN-ACK from the port in the earlier run only")]
    stayed: Annotated[int, Formula("SYN-ACK from the port in both runs")]


@dataclass(frozen=True, slots=True)
class Uncompared:
    """Parts of two runs that a comparison leaves out: targets and probes that the other run does not have."""

    targets_before: int | None = None
    targets_after: int | None = None
    probes_before: list[str] = field(default_factory=list)
    probes_after: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Change:
    """The turnover from one run to a later one: of IPall, of each family, of each port.

    Only targets and probes of both runs count: `targets` is their number, `probes` their names.
    """

    before: str
    after: str
    all: Turnover
    families: dict[str, Turnover]
    ports: dict[int, PortTurnover]
    targets: int | None = None
    """None if the runs do not record how many of their targets are in the part of the address space that counts."""
    probes: list[str] = field(default_factory=list)
    left_out: Uncompared = field(default_factory=Uncompared)


def changes(runs: Sequence[RunStates], compared: Compared) -> list[Change]:
    """Return the change between the runs of each compared pair."""
    return [
        _change(runs, pair, dict(zip(compared.bits, counts.tolist(), strict=True)))
        for pair, counts in zip(compared.comparisons.pairs, compared.turnovers, strict=True)
    ]


def _change(runs: Sequence[RunStates], pair: Pair, counts: dict[ComparedBit, list[int]]) -> Change:
    before, after, probes = runs[pair.before], runs[pair.after], pair.shared.probes

    def numbers(bit: ComparedBit) -> dict[str, int]:
        row = counts[bit]
        return {"born": row[BORN], "died": row[DIED], "stayed": row[STAYED]}

    return Change(
        before=before.manifest.run,
        after=after.manifest.run,
        targets=pair.shared.targets,
        probes=list(probes),
        left_out=Uncompared(
            targets_before=_beyond(before.targets, pair.shared.targets),
            targets_after=_beyond(after.targets, pair.shared.targets),
            probes_before=[probe for probe in probes_of(before.manifest) if probe not in probes],
            probes_after=[probe for probe in probes_of(after.manifest) if probe not in probes],
        ),
        all=Turnover(**numbers((probes, "all"))),
        families={family: Turnover(**numbers((probes, family))) for family in FAMILIES},
        ports={port_of(probe): PortTurnover(**numbers(port_bit(probe))) for probe in family_probes(probes, "tcp")},
    )


def _beyond(targets: int | None, shared: int | None) -> int | None:
    return None if targets is None or shared is None else targets - shared


def change_table(change: Change) -> Table:
    """Return the turnover between two runs, of IPall and by family."""
    return Table(
        "changes",
        f"Changes from {change.before} to {change.after}",
        _columns("family"),
        _rows((("all", change.all), *change.families.items())),
        [
            *_basis(change),
            *named_formulas(formulas(Turnover)),
            "Shares of the later and of the earlier run's addresses.",
        ],
        keys={"from": change.before, "to": change.after},
    )


def ports_table(change: Change) -> Table:
    """Return the turnover between two runs on each TCP port that both probed."""
    return Table(
        "changes_by_port",
        f"Changes by port from {change.before} to {change.after}",
        _columns("port"),
        _rows((str(port), turnover) for port, turnover in change.ports.items()),
        [
            *named_formulas(formulas(PortTurnover)),
            "Shares of those alive on the port in the later and the earlier run.",
        ],
        keys={"from": change.before, "to": change.after},
    )


def tables(changes: Sequence[Change]) -> Iterator[Table]:
    """Yield the tables of every change."""
    for change in changes:
        yield change_table(change)
        if change.ports:
            yield ports_table(change)


def figures(changes: Sequence[Change], runs: Sequence[RunResults]) -> Iterator[Figure]:
    """Yield born, died and stayed from each run to the next: all addresses, and by family; none without a change."""
    del runs
    if not changes:
        return
    populations = {"all": [change.all for change in changes]}
    populations |= {family: [change.families[family] for change in changes] for family in changes[0].families}
    last = changes[-1].all
    yield Figure(
        "turnover",
        "Born, died and stayed from run to run",
        f"Bars of {len(changes)} changes. The last: {count(last.born)} born, {count(last.died)} died,"
        f" {count(last.stayed)} stayed.",
        [
            "A bar a run, against the one before; those who died hang below the axis.",
            *named_formulas(formulas(Turnover)),
        ],
        Turnovers(
            [change.after for change in changes],
            {
                name: [(turnover.born, turnover.died, turnover.stayed) for turnover in turnovers]
                for name, turnovers in populations.items()
            },
        ),
    )


def _columns(what: str) -> tuple[Column, ...]:
    return (
        Column(what),
        Column("born", "addresses"),
        Column("/ later", "share", "the later run", "born share"),
        Column("died", "addresses"),
        Column("/ earlier", "share", "the earlier run", "died share"),
        Column("stayed", "addresses"),
    )


def _rows(turnovers: Iterable[tuple[str, Turnover | PortTurnover]]) -> list[tuple[Cell, ...]]:
    """Return a row for each turnover."""
    return [
        (
            name,
            turnover.born,
            Share.of_counts(turnover.born, turnover.born + turnover.stayed),
            turnover.died,
            Share.of_counts(turnover.died, turnover.died + turnover.stayed),
            turnover.stayed,
        )
        for name, turnover in turnovers
    ]


def _basis(change: Change) -> list[str]:
    """Return notes on the common targets and probes of two runs, and on those left out."""
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


def documented(entry: Change) -> dict[str, object]:
    """Return one comparison: its runs, common targets and probes, turnovers, and what is left out."""
    return {
        "from": entry.before,
        "to": entry.after,
        "targets": entry.targets,
        "probes": entry.probes,
        "born": entry.all.born,
        "died": entry.all.died,
        "stayed": entry.all.stayed,
        "by_family": plain(entry.families),
        "by_port": plain(entry.ports),
        "left_out": {
            "targets": {"from": entry.left_out.targets_before, "to": entry.left_out.targets_after},
            "probes": {"from": entry.left_out.probes_before, "to": entry.left_out.probes_after},
        },
    }


CHANGES = AcrossMeasure("changes", changes, tables, figures, documented)
