"""Differences between vantage points: effect sizes, with McNemar's test for pairs and Cochran's Q for all together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated, Final

from liveness.analysis.formula import Formula, formulas, share
from liveness.analysis.numbers import ABSENT, named_formulas, signed
from liveness.analysis.origins.counts import GroupCounts, OriginCounts, TrialCounts
from liveness.analysis.origins.measure import NAMED, OriginMeasure, table_of_groups
from liveness.analysis.origins.statistics import cochran, mcnemar
from liveness.analysis.tables import Cell, Column, Table, Worded

LEAST_PRINTED: Final = 1e-4


@dataclass(frozen=True, slots=True)
class PairDifference:
    """The difference between two vantage points."""

    vantages: tuple[str, str]
    difference: Annotated[float | None, Formula("coverage of the first less coverage of the second")]
    odds: Annotated[float | None, Formula("only first / only second; none if the second saw nothing alone")]
    only_first: Annotated[int, Formula("addresses that the first saw and the second did not")]
    only_second: Annotated[int, Formula("addresses that the second saw and the first did not")]
    mcnemar: Annotated[float | None, Formula("(only first - only second)^2 / (only first + only second)")]
    p: Annotated[float | None, Formula("probability of such a value without a difference, by chi-squared")]
    p_corrected: Annotated[
        float | None, Formula("p times the number of tests of all groups, trials and pairs, at most 1")
    ]


@dataclass(frozen=True, slots=True)
class Difference:
    """The differences of one group in one trial."""

    probe: str
    kind: str
    trial: int
    range: Annotated[float | None, Formula("largest less smallest coverage of a vantage point")]
    eta_squared: Annotated[float | None, Formula("Q / (any (V - 1)): 0 without a difference, 1 for the largest")]
    cochran: Annotated[float | None, Formula("Cochran's Q over all V vantage points")]
    p: Annotated[float | None, Formula("probability of such a Q without a difference, by chi-squared")]
    p_corrected: Annotated[float | None, Formula("p times the number of tests of all groups and trials, at most 1")]
    pairs: list[PairDifference]


def differences(counts: OriginCounts) -> list[Difference]:
    """Return the differences of every group in every trial with two vantage points or more."""
    trials = [(group, trial) for group in counts.groups for trial in group.trials if len(trial.vantages) > 1]
    tests = len(trials)
    pair_tests = sum(len(list(combinations(trial.vantages, 2))) for _, trial in trials)
    return [_difference(counts, group, trial, tests, pair_tests) for group, trial in trials]


def _difference(
    counts: OriginCounts, group: GroupCounts, trial: TrialCounts, tests: int, pair_tests: int
) -> Difference:
    seen, whole = [trial.seen([vantage]) for vantage in trial.vantages], trial.any
    value, p = cochran(seen, trial.exactly())
    return Difference(
        probe=group.probe,
        kind=group.kind,
        trial=trial.trial,
        range=share(max(seen) - min(seen), whole),
        eta_squared=None if value is None else value / (whole * (len(seen) - 1)),
        cochran=value,
        p=p,
        p_corrected=_corrected(p, tests),
        pairs=[_pair(counts, trial, (one, other), pair_tests) for one, other in combinations(trial.vantages, 2)],
    )


def _pair(counts: OriginCounts, trial: TrialCounts, pair: tuple[int, int], tests: int) -> PairDifference:
    one, other = pair
    both = trial.both(one, other)
    only_one, only_other = trial.seen([one]) - both, trial.seen([other]) - both
    value, p = mcnemar(only_one, only_other)
    whole = trial.any
    return PairDifference(
        vantages=(counts.name(one), counts.name(other)),
        difference=(only_one - only_other) / whole if whole else None,
        odds=share(only_one, only_other),
        only_first=only_one,
        only_second=only_other,
        mcnemar=value,
        p=p,
        p_corrected=_corrected(p, tests),
    )


def _corrected(p: float | None, tests: int) -> float | None:
    """Return a probability with Bonferroni's correction for the number of tests."""
    return None if p is None else min(1.0, p * tests)


def tables(value: Sequence[Difference], counts: OriginCounts) -> Iterator[Table]:
    """Yield the differences over all vantage points, and those of pairs; effect sizes come first."""
    del counts
    at_census_size = "Effect sizes come first: with millions of addresses, any difference is significant."
    yield table_of_groups(
        "origins_differences",
        "Differences between the vantage points",
        (
            *NAMED,
            Column("range", "percentage points"),
            Column("eta squared", "effect size"),
            Column("Q", "chi-squared", key="Cochran's Q"),
            Column("p", "probability"),
            Column("corrected", "probability", key="p corrected"),
        ),
        [
            (
                entry.probe,
                entry.kind,
                str(entry.trial),
                _points(entry.range),
                Worded(entry.eta_squared, _number(entry.eta_squared, ".4f")),
                Worded(entry.cochran, _number(entry.cochran, ",.1f")),
                _probability(entry.p),
                _probability(entry.p_corrected),
            )
            for entry in value
        ],
        [at_census_size, *named_formulas(formulas(Difference)), "any: addresses that any vantage point saw."],
    )
    yield table_of_groups(
        "origins_pairs",
        "Differences between two vantage points",
        (
            *NAMED,
            Column("first"),
            Column("second"),
            Column("difference", "percentage points"),
            Column("odds", "ratio"),
            Column("only first", "addresses"),
            Column("only second", "addresses"),
            Column("McNemar", "chi-squared"),
            Column("corrected p", "probability"),
        ),
        [
            (
                entry.probe,
                entry.kind,
                str(entry.trial),
                *pair.vantages,
                _points(pair.difference),
                Worded(pair.odds, _number(pair.odds, ",.3f")),
                pair.only_first,
                pair.only_second,
                Worded(pair.mcnemar, _number(pair.mcnemar, ",.1f")),
                _probability(pair.p_corrected),
            )
            for entry in value
            for pair in entry.pairs
        ],
        [at_census_size, *named_formulas(formulas(PairDifference))],
    )


def _points(difference: float | None) -> Cell:
    """Return a difference of shares in percentage points."""
    return Worded(
        None if difference is None else 100 * difference, ABSENT if difference is None else signed(100 * difference, 2)
    )


def _number(number: float | None, form: str) -> str:
    return ABSENT if number is None else f"{number:{form}}"


def _probability(p: float | None) -> Cell:
    """Return a probability as readers see it."""
    text = ABSENT if p is None else f"<{LEAST_PRINTED:g}" if p < LEAST_PRINTED else f"{p:.4f}"
    return Worded(p, text)


DIFFERENCES = OriginMeasure("differences", differences, tables)
