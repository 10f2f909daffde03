"""Coverage by vantage point: addresses that each saw, missed, and saw alone, and those that exactly j of V saw."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from liveness.analysis.figures import Bars, Colour, Figure, Part
from liveness.analysis.formula import Formula, formulas, share
from liveness.analysis.numbers import named_formulas, percent
from liveness.analysis.origins.counts import GroupCounts, OriginCounts, TrialCounts
from liveness.analysis.origins.measure import NAMED, OriginMeasure, table_of_groups
from liveness.analysis.tables import Column, Marked, Share, Table
from liveness.errors import count_of

COLOURS: Final[tuple[Colour, ...]] = ("red", "orange", "yellow", "sky", "blue", "green", "purple")
LEAST_COVERAGE: Final = 0.5
"""A vantage point that saw a smaller share of all alive addresses is marked."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Addresses of one vantage point; shares are of the addresses that any vantage point saw."""

    seen: Annotated[int, Formula("addresses that the vantage point saw, among the common targets")]
    coverage: Annotated[float | None, Formula("seen / addresses that any vantage point saw in the trial")]
    missed: Annotated[int, Formula("addresses that others saw, and it did not")]
    missed_share: float | None
    exclusive: Annotated[int, Formula("addresses that it saw and no other did")]
    exclusive_share: float | None
    missed_networks: Annotated[int, Formula("missed addresses in /24s with two or more, of which it saw none")]


@dataclass(frozen=True, slots=True)
class Coverage:
    """Coverage of one group in one trial."""

    probe: str
    kind: str
    trial: int
    any: int
    exactly: list[int]
    """Addresses that exactly one, two, ... vantage points saw."""
    vantages: dict[str, Seen]


def coverage(counts: OriginCounts) -> list[Coverage]:
    """Return the coverage of every group in every trial."""
    return [_coverage(counts, group, trial) for group in counts.groups for trial in group.trials]


def _coverage(counts: OriginCounts, group: GroupCounts, trial: TrialCounts) -> Coverage:
    whole = trial.any

    def of(vantage: int) -> Seen:
        """Return what one vantage point saw of the addresses that any saw."""
        seen, exclusive = trial.seen([vantage]), trial.exclusive(vantage)
        return Seen(
            seen=seen,
            coverage=share(seen, whole),
            missed=whole - seen,
            missed_share=share(whole - seen, whole),
            exclusive=exclusive,
            exclusive_share=share(exclusive, whole),
            missed_networks=int(trial.networks[vantage]),
        )

    vantages = {counts.name(vantage): of(vantage) for vantage in trial.vantages}
    return Coverage(group.probe, group.kind, trial.trial, whole, trial.exactly(), vantages)


def tables(value: Sequence[Coverage], counts: OriginCounts) -> Iterator[Table]:
    """Yield what each vantage point saw, and how many vantage points saw an address."""
    yield table_of_groups(
        "origins_coverage",
        "What each vantage point saw",
        (
            *NAMED,
            Column("vantage"),
            Column("seen", "addresses"),
            Column("coverage", "share", "any"),
            Column("missed", "addresses"),
            Column("in /24s", "addresses", key="missed in /24s of which it saw none"),
            Column("alone", "addresses", key="seen by it alone"),
            Column("/ any", "share", "any", "alone share"),
        ),
        [
            (
                entry.probe,
                entry.kind,
                str(entry.trial),
                vantage,
                found.seen,
                Marked(Share.of_counts(found.seen, entry.any), "alarm")
                if found.coverage is not None and found.coverage < LEAST_COVERAGE
                else Share.of_counts(found.seen, entry.any),
                found.missed,
                found.missed_networks,
                found.exclusive,
                Share.of_counts(found.exclusive, entry.any),
            )
            for entry in value
            for vantage, found in entry.vantages.items()
        ],
        [
            *named_formulas(formulas(Seen)),
            "Addresses are sources of replies. all, alive: network alive by any of the common probes.",
        ],
    )
    most = len(counts.design.vantages)
    yield table_of_groups(
        "origins_exactly",
        "Addresses by the number of vantage points that saw them",
        (
            *NAMED,
            Column("any", "addresses"),
            *(Column(f"by {number}", "share", "any", f"by exactly {number}") for number in range(1, most + 1)),
        ),
        [
            (
                entry.probe,
                entry.kind,
                str(entry.trial),
                entry.any,
                *(Share.of_counts(number, entry.any) for number in entry.exactly),
                *[""] * (most - len(entry.exactly)),
            )
            for entry in value
        ],
        ["by j: addresses that exactly j vantage points saw. any: addresses that at least one saw."],
    )


def figures(value: Sequence[Coverage], counts: OriginCounts) -> Iterator[Figure]:
    """Yield bars of positive replies by the number of vantage points that saw an address, in one trial."""
    positive = {group.probe for group in counts.groups if group.is_drawn}
    kinds = {(group.probe, group.kind) for group in counts.groups if group.is_drawn}
    shown = [
        entry
        for entry in value
        if entry.trial == counts.design.first and (entry.probe, entry.kind) in kinds and entry.any
    ]
    if not positive or not shown:
        return
    most = max(len(entry.exactly) for entry in shown)
    last = shown[0]
    yield Figure(
        "origins-exactly",
        "Addresses by the number of vantage points that saw them",
        f"Bars of {count_of(len(shown), 'probe')}. Of the addresses that replied to {last.probe},"
        f" {percent(share(last.exactly[-1], last.any))} were seen by all {most} vantage points,"
        f" {percent(share(last.exactly[0], last.any))} by one only.",
        [f"Positive replies of trial {counts.design.first}: echo replies, SYN-ACKs, valid answers (UDP)."],
        Bars(
            [entry.probe for entry in shown],
            [
                Part(
                    f"by {number}",
                    COLOURS[(most - number) % len(COLOURS)] if number < most else "blue",
                    [share(entry.exactly[number - 1], entry.any) for entry in shown],
                    dark=number == most,
                )
                for number in range(most, 0, -1)
            ],
            "",
            "share of addresses that any saw",
        ),
        "origins_exactly",
    )


COVERAGE = OriginMeasure("coverage", coverage, tables, figures)
