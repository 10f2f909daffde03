"""Differences by slice: what each vantage point misses in each autonomous system, country or /8."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np

from liveness.analysis.formula import Formula, formulas, share
from liveness.analysis.measures.slices import UNKNOWN
from liveness.analysis.numbers import named_formulas
from liveness.analysis.origins.counts import GroupCounts, OriginCounts
from liveness.analysis.origins.measure import NAMED, OriginMeasure, table_of_groups
from liveness.analysis.tables import Column, Marked, Share, Table
from liveness.errors import count_of

LISTED: Final = 100
"""Slices that are listed for each group: those with most misses."""
SHOWN: Final = 20
CONCENTRATED: Final = 3


@dataclass(frozen=True, slots=True)
class OriginSlice:
    """One slice; an address counts once for each trial in which any vantage point saw it."""

    name: str | None
    any: Annotated[int, Formula("addresses that any vantage point saw, summed over trials")]
    seen: Annotated[dict[str, int], Formula("addresses that the vantage point saw, summed over its trials")]
    missed: Annotated[dict[str, int], Formula("addresses that others saw and it did not, summed over its trials")]
    range: Annotated[float | None, Formula("(most missed by a vantage point - fewest missed by one) / any")]


@dataclass(frozen=True, slots=True)
class SlicedGroup:
    """The slices of one group with most misses, and the sums over the others."""

    probe: str
    kind: str
    slices: list[OriginSlice]
    others: int
    """The number of slices that are not listed."""
    missed: dict[str, int]
    """By vantage point: addresses missed in all slices together."""
    concentration: Annotated[
        dict[str, float | None], Formula("share of a vantage point's misses in the three slices with most of them")
    ]


@dataclass(frozen=True, slots=True)
class OriginSlices:
    """The slices of all groups, and the attribute that defines them."""

    by: str
    groups: list[SlicedGroup]


def slices(counts: OriginCounts) -> OriginSlices | None:
    """Return the slices of every group; None without a partition."""
    if counts.partition is None:
        return None
    return OriginSlices(counts.partition.by, [_group(counts, group) for group in counts.groups])


def _group(counts: OriginCounts, group: GroupCounts) -> SlicedGroup:
    names = [] if counts.partition is None else counts.partition.names
    vantages, size = counts.design.vantages, len(names)
    whole = np.zeros(size, np.int64)
    seen, missed = np.zeros((len(vantages), size), np.int64), np.zeros((len(vantages), size), np.int64)
    for trial in group.trials:
        strata = counts.strata(group, trial.trial)
        if strata is None:
            continue
        whole += strata.any
        for place in trial.vantages:
            seen[place] += strata.seen(place)
            missed[place] += strata.any - strata.seen(place)
    order = sorted(np.flatnonzero(whole).tolist(), key=lambda at: (-int(missed[:, at].sum()), -int(whole[at]), at))
    found = [
        OriginSlice(
            names[at],
            int(whole[at]),
            {name: int(seen[place, at]) for place, name in enumerate(vantages)},
            {name: int(missed[place, at]) for place, name in enumerate(vantages)},
            share(int(missed[:, at].max() - missed[:, at].min()), int(whole[at])),
        )
        for at in order[:LISTED]
    ]
    return SlicedGroup(
        group.probe,
        group.kind,
        found,
        max(0, len(order) - LISTED),
        {name: int(missed[place].sum()) for place, name in enumerate(vantages)},
        {
            name: share(int(np.sort(missed[place])[::-1][:CONCENTRATED].sum()), int(missed[place].sum()))
            for place, name in enumerate(vantages)
        },
    )


def tables(value: OriginSlices, counts: OriginCounts) -> Iterator[Table]:
    """Yield the slices with most misses, a row for each slice, with the coverage of each vantage point."""
    vantages = counts.design.vantages
    yield table_of_groups(
        "origins_slices",
        f"Coverage by {value.by}, most misses first",
        (
            *NAMED[:2],
            Column(value.by),
            Column("any", "addresses"),
            Column("range", "share", "any"),
            *(Column(name, "share", "any", f"coverage of {name}") for name in vantages),
        ),
        [
            (
                group.probe,
                group.kind,
                UNKNOWN if entry.name is None else entry.name,
                entry.any,
                Share(entry.range),
                *(_coverage(entry, name) for name in vantages),
            )
            for group in value.groups
            for entry in group.slices[:SHOWN]
            if any(entry.missed.values())
        ],
        [
            *named_formulas(formulas(OriginSlice)),
            f"The {SHOWN} slices of each group with most misses; --json has {LISTED}. Red: it saw nothing there.",
        ],
    )
    yield table_of_groups(
        "origins_concentration",
        f"Concentration of misses by {value.by}",
        (
            *NAMED[:2],
            Column("vantage"),
            Column("missed", "addresses"),
            Column(f"in {CONCENTRATED}", "share", "missed", f"in the {CONCENTRATED} slices with most"),
        ),
        [
            (group.probe, group.kind, name, group.missed[name], Share(group.concentration[name]))
            for group in value.groups
            for name in vantages
        ],
        [f"{count_of(CONCENTRATED, 'slice')} with most misses of the vantage point; sums over trials."],
    )


def _coverage(entry: OriginSlice, name: str) -> Share | Marked:
    """Return the coverage of a vantage point, marked if it saw nothing; it has none in trials without a run."""
    probed = entry.seen[name] + entry.missed[name]
    found = Share.of_counts(entry.seen[name], probed)
    return Marked(found, "alarm") if probed and not entry.seen[name] else found


SLICES = OriginMeasure("slices", slices, tables)
