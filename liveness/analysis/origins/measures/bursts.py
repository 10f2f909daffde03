"""Bursts: intervals in which a vantage point got fewer replies than the others, or all of them fewer than around.

All runs of a trial walk through the same order, or it has no bursts. The order is divided into intervals of equal
length, and the hit rate of each vantage point in each interval (accepted replies a probe sent) follows from the
timeline of its run. The vantage points probe the same targets in an interval, so that the targets explain no difference
between them: if only some dip, the outage is theirs; if all dip, it is one of the targets.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Annotated, Final

import numpy as np
from numpy.typing import NDArray

from liveness.analysis.figures import Figure, RelativeRates
from liveness.analysis.formula import Formula, formulas
from liveness.analysis.numbers import named_formulas, percent, seconds
from liveness.analysis.origins.counts import OriginCounts
from liveness.analysis.origins.design import Trial
from liveness.analysis.origins.measure import OriginMeasure
from liveness.analysis.origins.rates import SILENT, Course, Rates, relative_rates
from liveness.analysis.tables import Cell, Column, Marked, Share, Table, Worded
from liveness.errors import count_of
from liveness.runs.course import Timeline

MOST_INTERVALS: Final = 200
LEAST_INTERVALS: Final = 8
REPLIES_EACH: Final = 100
"""Replies an interval should have on average: chance then moves its hit rate by a tenth."""
DEVIATIONS: Final = 3.0
"""Wan et al. take two standard deviations; with hundreds of intervals that would report chance."""
LEAST_DEPTH: Final = 0.1
"""The least share of its replies that a vantage point lacks in a burst."""
NEIGHBOURS: Final = 4
"""Intervals on each side whose median an interval of all vantage points is compared with."""
NORMAL: Final = 1.4826
"""Standard deviations in a median absolute deviation of normal numbers."""


@dataclass(frozen=True, slots=True)
class Burst:
    """A stretch of the order in which replies are missing."""

    vantage: str | None
    """None if all vantage points lack replies there."""
    begin: Annotated[float, Formula("share of the order before the stretch")]
    end: Annotated[float, Formula("share of the order up to its end")]
    from_s: float | None
    """Since the start of the vantage point's run."""
    to_s: float | None
    lacking: Annotated[float, Formula("share of the expected replies that is missing")]
    replies: Annotated[float, Formula("number of missing replies, estimated")]
    silent_to_end: bool = False
    """Whether the vantage point got hardly any reply from here to the end of the order."""


@dataclass(frozen=True, slots=True)
class TrialBursts:
    """The bursts of one trial."""

    trial: int
    intervals: int
    bursts: list[Burst]
    hit_rates: Annotated[dict[str, float], Formula("accepted replies / frames sent, of all probes, over the whole run")]
    relative: dict[str, list[float | None]] = field(default_factory=dict)
    """By interval: the hit rate over what the other vantage points make expect; None where that is nothing."""


def bursts(counts: OriginCounts) -> list[TrialBursts] | None:
    """Return the bursts of every trial whose runs have timelines; None if there is no such trial.

    The runs of the trial must have one order: a place of it says nothing about the targets of another one.
    """
    found = [
        trial
        for number, entry in enumerate(counts.design.trials, 1)
        if (trial := _trial(counts, number, entry)) is not None
    ]
    return found or None


def _trial(counts: OriginCounts, number: int, trial: Trial) -> TrialBursts | None:
    if not trial.in_one_order:
        return None
    names = [counts.name(place) for place in trial.present]
    lines = [counts.runs[trial.run_of(place)].manifest.timeline for place in trial.present]
    if len(lines) < 2 or not all(map(_is_usable, lines)):  # noqa: PLR2004 - a comparison
        return None
    replies = max(sum(line.accepted) for line in lines)
    intervals = min(MOST_INTERVALS, replies // REPLIES_EACH, *(len(line.end_s) for line in lines))
    if intervals < LEAST_INTERVALS:
        return None
    courses = [Course.of(line, intervals) for line in lines]
    relative, expected = relative_rates(courses)
    found = [
        burst
        for name, course, rates, rate in zip(names, courses, relative, expected, strict=True)
        for burst in _own(name, course, rates, rate)
    ]
    return TrialBursts(
        trial=number,
        intervals=intervals,
        bursts=[*found, *_common(courses)],
        hit_rates={name: sum(line.accepted) / sum(line.sent) for name, line in zip(names, lines, strict=True)},
        relative={
            name: [None if np.isnan(rate) else round(float(rate), 6) for rate in rates]
            for name, rates in zip(names, relative, strict=True)
        },
    )


def _is_usable(line: Timeline) -> bool:
    """Return whether a manifest's timeline has the counts of every interval, in the order of time."""
    numbers = (*line.sent, *line.accepted)
    return (
        len(line.end_s) == len(line.sent) == len(line.accepted)
        and sum(line.sent) > 0
        and min(numbers) >= 0
        and all(before <= after for before, after in pairwise(line.end_s))
    )


def _least(rates: Rates, accepted: Rates) -> float:
    """Return the rate below which an interval is no chance, from the scatter of the rates and of Poisson counts.

    Only rates above 1 tell the scatter: a long outage would add to that of the others.
    """
    above = rates[rates > 1] - 1
    scatter = NORMAL * float(np.median(above)) if len(above) else 0.0
    poisson = float(np.sqrt(2 / max(float(np.median(accepted)), 1.0)))  # of the rate and of the expected one
    return 1 - max(DEVIATIONS * max(scatter, poisson), LEAST_DEPTH)


def _own(name: str, course: Course, rates: Rates, expected: Rates) -> Iterator[Burst]:
    """Yield the bursts of one vantage point."""
    usual = expected * course.sent
    low = rates < _least(rates, usual)  # False for an interval without expectation
    for begin, stop in _stretches(low):
        lacking = float(usual[begin:stop].sum() - course.accepted[begin:stop].sum())
        share = lacking / float(usual[begin:stop].sum())
        yield Burst(
            vantage=name,
            begin=begin / len(low),
            end=stop / len(low),
            from_s=round(float(course.ends_s[begin - 1]) if begin else 0.0, 3),
            to_s=round(float(course.ends_s[stop - 1]), 3),
            lacking=share,
            replies=lacking,
            silent_to_end=stop == len(low) and share > 1 - SILENT,
        )


def _common(courses: Sequence[Course]) -> Iterator[Burst]:
    """Yield the stretches in which the hit rates of all vantage points are lower than around."""
    low = np.ones(len(courses[0].sent), np.bool_)
    around = []
    for course in courses:
        rates = course.rates
        windows = np.lib.stride_tricks.sliding_window_view(
            np.pad(rates, NEIGHBOURS, mode="reflect"), 2 * NEIGHBOURS + 1
        )
        around.append(np.median(windows, axis=1))
        known = around[-1] > 0
        relative = np.divide(rates, around[-1], out=np.ones(len(rates)), where=known)
        low &= known & (relative < _least(relative, course.accepted))
    for begin, stop in _stretches(low):
        usual = sum(float((rate * course.sent)[begin:stop].sum()) for rate, course in zip(around, courses, strict=True))
        lacking = usual - sum(float(course.accepted[begin:stop].sum()) for course in courses)
        yield Burst(None, begin / len(low), stop / len(low), None, None, lacking / usual, lacking)


def _stretches(chosen: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Yield the first and the one after the last of each run of chosen intervals."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], chosen.astype(np.int8), [0]))))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def warnings_of(value: Sequence[TrialBursts], counts: OriginCounts) -> Iterator[str]:
    """Yield a sentence for each vantage point that fell silent."""
    for trial in value:
        for burst in trial.bursts:
            if burst.vantage is not None and burst.silent_to_end:
                place = counts.design.vantages.index(burst.vantage)
                run = counts.runs[counts.design.trials[trial.trial - 1].run_of(place)].manifest.run
                since = "from the start" if not burst.begin else f"from {seconds(burst.from_s)} after its start"
                yield (
                    f"{run}: vantage point {burst.vantage} was silent {since} to the end, while others got replies:"
                    f" {percent(burst.lacking)} of the expected ones are missing"
                )


def tables(value: Sequence[TrialBursts], counts: OriginCounts) -> Iterator[Table]:
    """Yield the hit rates of all vantage points, and the bursts."""
    del counts
    yield Table(
        "origins_hit_rates",
        "Hit rates by vantage point",
        (
            Column("trial"),
            Column("vantage"),
            Column("hit rate", "share", "frames sent"),
            Column("bursts", "bursts"),
            Column("order in bursts", "share", "order"),
        ),
        [
            (str(trial.trial), name, Share(rate), len(own), Share(sum(burst.end - burst.begin for burst in own)))
            for trial in value
            for name, rate in trial.hit_rates.items()
            for own in [[burst for burst in trial.bursts if burst.vantage == name]]
        ],
        [formulas(TrialBursts)["hit_rates"]],
    )
    found = [(trial, burst) for trial in value for burst in trial.bursts]
    if found:
        yield Table(
            "origins_bursts",
            "Bursts of missing replies",
            (
                Column("trial"),
                Column("vantage"),
                Column("order"),
                Column("from", "seconds"),
                Column("to", "seconds"),
                Column("lacking", "share", "expected replies"),
                Column("replies", "replies"),
            ),
            [_row(trial, burst) for trial, burst in found],
            [
                *named_formulas({name: text for name, text in formulas(Burst).items() if name not in ("begin", "end")}),
                f"Of one: {DEVIATIONS:g} standard deviations and {LEAST_DEPTH:.0%} below what the others make expect.",
                "all: every vantage point has fewer replies than in the intervals around, as in an outage of targets.",
            ],
        )


def _row(trial: TrialBursts, burst: Burst) -> tuple[Cell, ...]:
    name = "all" if burst.vantage is None else burst.vantage
    until = " (silent to the end)" if burst.silent_to_end else ""
    return (
        str(trial.trial),
        Marked(name, "alarm") if burst.silent_to_end else name,
        f"{percent(burst.begin)} to {percent(burst.end)}{until}",
        Worded(burst.from_s, seconds(burst.from_s)),
        Worded(burst.to_s, seconds(burst.to_s)),
        Share(burst.lacking),
        Worded(burst.replies, f"{burst.replies:,.0f}"),
    )


def figures(value: Sequence[TrialBursts], counts: OriginCounts) -> Iterator[Figure]:
    """Yield the relative hit rates along the order, a figure for each trial."""
    del counts
    for trial in value:
        own = [burst for burst in trial.bursts if burst.vantage is not None]
        silent = [burst.vantage for burst in own if burst.silent_to_end]
        ends = f" Silent to the end: {', '.join(name for name in silent if name)}." if silent else ""
        yield Figure(
            "origins-hit-rates" if trial.trial == 1 else f"origins-hit-rates-{trial.trial}",
            f"Hit rates along the order, trial {trial.trial}",
            f"Lines of {count_of(len(trial.relative), 'vantage point')} over {trial.intervals} intervals;"
            f" {count_of(len(own), 'burst')} of single vantage points.{ends}",
            ["1: as many replies as the other vantage points make expect. Shaded: bursts."],
            RelativeRates(
                [place / trial.intervals for place in range(trial.intervals + 1)],
                trial.relative,
                [(burst.vantage or "", burst.begin, burst.end) for burst in trial.bursts],
                "share of the order",
                "hit rate over the expected one",
            ),
            "origins_hit_rates",
        )


BURSTS = OriginMeasure("bursts", bursts, tables, figures, warnings=warnings_of)
