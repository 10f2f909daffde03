"""Estimates of all addresses, those included that no vantage point saw: Chapman for pairs, Chao for all together.

Where slices are given (autonomous systems, countries, /8s), the estimate is the sum of estimates by slice. A slice in
which one vantage point is blocked outright says nothing about chance: it is dropped, and only what was seen in it
counts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated, Final

import numpy as np
from numpy.typing import NDArray

from liveness.analysis.formula import Formula, formulas
from liveness.analysis.numbers import named_formulas
from liveness.analysis.origins.counts import GroupCounts, OriginCounts, Strata, TrialCounts
from liveness.analysis.origins.measure import NAMED, OriginMeasure, table_of_groups
from liveness.analysis.origins.statistics import Unseen, unseen
from liveness.analysis.tables import Between, Column, Estimate, Share, Table, Worded

LEAST_BLOCKED: Final = 10
"""A vantage point is blocked in a slice if it saw none of at least so many addresses that others saw."""


@dataclass(frozen=True, slots=True)
class Population:
    """An estimate from some vantage points, with its 95 % interval; coverage is the share of it that they saw."""

    vantages: list[str]
    seen: Annotated[int, Formula("addresses that any of these vantage points saw")]
    estimate: Annotated[float, Formula("seen, plus the estimate of what none of them saw, summed over slices")]
    low: float
    high: float
    coverage: Annotated[float | None, Formula("seen / estimate")]
    dropped: Annotated[int, Formula("slices without estimate, because one of these vantage points is blocked there")]
    seen_in_dropped: Annotated[int, Formula("addresses that any of them saw in those slices")]


@dataclass(frozen=True, slots=True)
class Estimates:
    """The estimates of one group in one trial."""

    probe: str
    kind: str
    trial: int
    chao: Population | None
    """By all vantage points; None if there are only two, whose estimate is that of the pair."""
    chapman: list[Population]
    """By every pair."""
    coverage: dict[str, float | None]
    """Of each vantage point: addresses seen over the estimate by all, or by the one pair."""


def estimates(counts: OriginCounts) -> list[Estimates]:
    """Return the estimates of every group in every trial with two vantage points or more."""
    return [
        _estimates(counts, group, trial) for group in counts.groups for trial in group.trials if len(trial.vantages) > 1
    ]


def _estimates(counts: OriginCounts, group: GroupCounts, trial: TrialCounts) -> Estimates:
    strata = counts.strata(group, trial.trial)
    pairs = [_pair(counts, trial, strata, pair) for pair in combinations(trial.vantages, 2)]
    every = _all(counts, trial, strata) if len(trial.vantages) > 2 else None  # noqa: PLR2004 - more than a pair
    whole = (every or pairs[0]).estimate
    coverage = {counts.name(place): trial.seen([place]) / whole if whole else None for place in trial.vantages}
    return Estimates(group.probe, group.kind, trial.trial, every, pairs, coverage)


def _pair(counts: OriginCounts, trial: TrialCounts, strata: Strata | None, pair: tuple[int, int]) -> Population:
    """Return the estimate by two vantage points, regardless of what the others saw."""
    one, other = pair
    if strata is None:
        both = trial.both(one, other)
        columns = np.array([[trial.seen([one]) - both], [trial.seen([other]) - both], [both]])
    else:
        shared = strata.both(one, other)
        columns = np.array([strata.seen(one) - shared, strata.seen(other) - shared, shared])
    seen = columns.sum(axis=0)
    alone, both_saw = columns[:2], columns[2]
    return _population(counts, pair, (seen, alone, both_saw), alone + both_saw, stratified=strata is not None)


def _all(counts: OriginCounts, trial: TrialCounts, strata: Strata | None) -> Population:
    """Return the estimate by all vantage points of a trial."""
    places = trial.vantages
    if strata is None:
        seen = np.array([trial.any])
        alone = np.array([[trial.exclusive(place)] for place in places])
        two = np.array([trial.exactly()[1]])
        each = np.array([[trial.seen([place])] for place in places])
    else:
        seen, two = strata.any, strata.two
        alone = np.array([strata.exclusive(place) for place in places])
        each = np.array([strata.seen(place) for place in places])
    return _population(counts, places, (seen, alone, two), each, stratified=strata is not None)


def _population(
    counts: OriginCounts,
    places: Sequence[int],
    columns: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
    each: NDArray[np.int64],
    *,
    stratified: bool,
) -> Population:
    """Return the estimate from columns by stratum: seen by any, seen alone by each, seen by two; `each` saw so many."""
    seen, alone, two = columns
    blocked = (each == 0).any(axis=0) & (seen >= LEAST_BLOCKED) if stratified else np.zeros(len(seen), np.bool_)
    total = Unseen()
    # A slice of which nothing was missed adds nothing; without slices, the interval of 0 is wanted.
    missing = alone.sum(axis=0) > 0 if stratified else seen > 0
    for place in np.flatnonzero(missing & ~blocked).tolist():
        total += unseen(alone[:, place].tolist(), int(two[place]))
    low, high = total.interval()
    found = int(seen.sum())
    return Population(
        vantages=[counts.name(place) for place in places],
        seen=found,
        estimate=found + total.number,
        low=found + low,
        high=found + high,
        coverage=found / (found + total.number) if found else None,
        dropped=int(blocked.sum()),
        seen_in_dropped=int(seen[blocked].sum()),
    )


def tables(value: Sequence[Estimates], counts: OriginCounts) -> Iterator[Table]:
    """Yield the estimates by all vantage points and by pairs."""
    by = None if counts.partition is None else counts.partition.by
    dropped = (
        "Not sliced: --by asn with --prefix-data keeps networks that block a vantage point out of the estimate."
        if by is None
        else f"Summed over slices by {by}; dropped: those where a vantage point saw none of {LEAST_BLOCKED} or more."
    )
    yield table_of_groups(
        "origins_estimates",
        "Estimates of all addresses, with those that no vantage point saw",
        (
            *NAMED,
            Column("by"),
            Column("vantages"),
            Column("seen", "addresses"),
            Column("estimate", "addresses"),
            Column("95% interval", "addresses"),
            Column("coverage", "share", "estimate"),
            Column("dropped", "slices"),
            Column("seen there", "addresses"),
        ),
        [
            (
                entry.probe,
                entry.kind,
                str(entry.trial),
                by_whom,
                ", ".join(found.vantages),
                found.seen,
                Worded(found.estimate, f"{found.estimate:,.1f}", found.low, found.high),
                Between(Estimate(found.estimate, found.low, found.high)),
                Share(found.coverage),
                found.dropped,
                found.seen_in_dropped,
            )
            for entry in value
            for by_whom, found in (
                *((("Chao", entry.chao),) if entry.chao is not None else ()),
                *(("Chapman", pair) for pair in entry.chapman),
            )
        ],
        [
            *named_formulas(formulas(Population)),
            "What none saw, Chapman: only first x only second / (both + 1).",
            "What none saw, Chao: sum over all pairs of (first alone x second alone) / (seen by exactly two + 1).",
            "Exact on average if misses of different vantage points are independent.",
            "Addresses that are hard to see from everywhere make the estimate too low, and the coverage too high.",
            dropped,
        ],
    )


ESTIMATES = OriginMeasure("estimates", estimates, tables)
