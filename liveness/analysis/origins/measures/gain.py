"""The gain curve: the share of all addresses that one, two, three and more vantage points together see."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated, Final

from liveness.analysis.figures import Figure, GainCurve, GainCurves
from liveness.analysis.formula import Formula, formulas, share
from liveness.analysis.numbers import named_formulas, percent
from liveness.analysis.origins.counts import OriginCounts, TrialCounts
from liveness.analysis.origins.measure import NAMED, OriginMeasure, table_of_groups
from liveness.analysis.tables import Column, Share, Table
from liveness.reference.wan_2020 import LABEL, VALUES

CURVES_SHOWN: Final = 7


@dataclass(frozen=True, slots=True)
class Size:
    """The coverage of all subsets of a number of vantage points, as shares of what all of them together saw."""

    size: int
    mean: Annotated[float | None, Formula("mean over all subsets of the vantage points of this size")]
    low: Annotated[float | None, Formula("coverage of the subset that saw least")]
    high: Annotated[float | None, Formula("coverage of the subset that saw most")]
    best: list[str]
    """The subset that saw most; the first in the order of vantage points if several saw as much."""


@dataclass(frozen=True, slots=True)
class Gain:
    """The gain curve of one group in one trial."""

    probe: str
    kind: str
    trial: int
    sizes: list[Size]


def gain(counts: OriginCounts) -> list[Gain]:
    """Return the gain curve of every group in every trial."""
    return [
        Gain(group.probe, group.kind, trial.trial, _sizes(counts, trial))
        for group in counts.groups
        for trial in group.trials
    ]


def _sizes(counts: OriginCounts, trial: TrialCounts) -> list[Size]:
    whole, sizes = trial.any, []
    for size in range(1, len(trial.vantages) + 1):
        subsets = list(combinations(trial.vantages, size))
        seen = [trial.seen(subset) for subset in subsets]
        best = subsets[seen.index(max(seen))]
        sizes.append(
            Size(
                size,
                sum(seen) / len(seen) / whole if whole else None,
                share(min(seen), whole),
                share(max(seen), whole),
                [counts.name(vantage) for vantage in best],
            )
        )
    return sizes


def tables(value: Sequence[Gain], counts: OriginCounts) -> Iterator[Table]:
    """Yield the coverage of subsets by their size."""
    del counts
    published = Column(LABEL, key="published value")
    yield table_of_groups(
        "origins_gain",
        "Coverage by the number of vantage points",
        (
            *NAMED,
            Column("vantages"),
            Column("mean", "share", "any"),
            Column("low", "share", "any"),
            Column("high", "share", "any"),
            Column("by"),
            published,
        ),
        [
            (
                entry.probe,
                entry.kind,
                str(entry.trial),
                str(size.size),
                Share(size.mean),
                Share(size.low),
                Share(size.high),
                ", ".join(size.best),
                _published(entry, size.size),
            )
            for entry in value
            for size in entry.sizes
        ],
        [
            *named_formulas(formulas(Size)),
            "any: addresses that at least one vantage point saw in the trial, so that all of them together have 100%.",
        ],
    )


def _published(entry: Gain, size: int) -> str:
    """Return the published coverage of two and three origins, whose hosts completed a handshake."""
    found = VALUES.get(f"gain.{entry.probe}") if entry.kind == "syn-ack" else None
    return found.words if found is not None and size in (2, 3) else ""


def figures(value: Sequence[Gain], counts: OriginCounts) -> Iterator[Figure]:
    """Yield the curves of positive replies in the first trial of two vantage points or more."""
    kinds = [(group.probe, group.kind) for group in counts.groups if group.is_drawn]
    shown = [entry for entry in value if entry.trial == counts.design.first and (entry.probe, entry.kind) in kinds]
    shown = [entry for entry in shown if entry.sizes and entry.sizes[0].mean is not None][:CURVES_SHOWN]
    if not shown:
        return
    first = shown[0]
    theirs = VALUES["gain.tcp/80"]
    yield Figure(
        "origins-gain",
        "Coverage by the number of vantage points",
        f"Curves of {', '.join(entry.probe for entry in shown)}. One vantage point sees {percent(first.sizes[0].mean)}"
        f" of the addresses that reply to {first.probe}, on average.",
        [
            f"Positive replies of trial {counts.design.first}. Lines: mean over all subsets. Bars: from least to most.",
            f"{LABEL}: HTTP and HTTPS hosts that two or three origins saw.",
        ],
        GainCurves(
            [
                GainCurve(
                    entry.probe,
                    [size.mean or 0.0 for size in entry.sizes],
                    [size.low or 0.0 for size in entry.sizes],
                    [size.high or 0.0 for size in entry.sizes],
                )
                for entry in shown
            ],
            "vantage points",
            "share of addresses that any saw",
            {number: theirs.range for number in (2, 3) if number <= max(len(entry.sizes) for entry in shown)},
            LABEL,
        ),
        "origins_gain",
    )


GAIN = OriginMeasure("gain", gain, tables, figures)
