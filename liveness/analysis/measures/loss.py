"""Measured loss: targets found by the first attempt, recovered by repeats, found by both, and missed by all.

A target is found by a positive reply: routers and hosts limit the rate of errors and RSTs, so that a repeat that
is answered by one proves no loss. Manifests without `attempts_by_kind` have replies of all kinds together.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from liveness.analysis.counting.states import RunStates
from liveness.analysis.formula import Formula, formulas
from liveness.analysis.measure import Measure, RunResults
from liveness.analysis.numbers import named_formulas
from liveness.analysis.tables import Between, Cell, Column, Counts, Estimate, Table
from liveness.runs.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Loss:
    """One probe's targets by the attempts that found them, and its duplicate replies.

    `missed` and its interval are None if they cannot be estimated: with one attempt, or if no target was found by two.
    """

    first_only: Annotated[int, Formula("targets with positive replies to the first attempt alone")]
    both: Annotated[int, Formula("targets with positive replies to the first attempt and to a repeat")]
    recovered: Annotated[int, Formula("targets with positive replies to repeats alone")]
    missed: Annotated[float | None, Formula("first only x recovered / (both + 1), by capture and recapture (Chapman)")]
    missed_low: float | None
    missed_high: float | None
    duplicates: Annotated[list[int], Formula("replies beyond the first of a target and kind, by attempt")]


def loss(manifest: Manifest) -> dict[str, Loss]:
    """Return the loss of every probe of a run."""
    return {probe: _loss(manifest, probe) for probe in manifest.probes}


def _loss(manifest: Manifest, probe: str) -> Loss:
    patterns = manifest.found_by_attempts(probe)
    first = sum(count for digits, count in patterns.items() if digits.startswith("1"))
    first_only = sum(count for digits, count in patterns.items() if digits.startswith("1") and "1" not in digits[1:])
    estimate = manifest.missed.get(probe)
    counted = manifest.duplicates.get(probe, {}).values()
    return Loss(
        first_only=first_only,
        both=first - first_only,
        recovered=sum(patterns.values()) - first,
        missed=None if estimate is None else estimate.estimate,
        missed_low=None if estimate is None else estimate.low,
        missed_high=None if estimate is None else estimate.high,
        duplicates=[sum(attempt) for attempt in zip(*counted, strict=True)] or [0] * len(manifest.probes[probe].sent),
    )


def tables(value: dict[str, Loss], run: RunResults) -> Iterator[Table]:
    """Yield each probe's targets by the attempts that found them, with an estimate of those that no attempt found."""
    if run.within is not None:
        return
    rows: list[tuple[Cell, ...]] = []
    for probe, found in value.items():
        missed = Estimate(found.missed, found.missed_low, found.missed_high)
        rows.append(
            (probe, found.first_only, found.both, found.recovered, missed, Between(missed), Counts(found.duplicates))
        )
    yield Table(
        "loss",
        "Loss, by the attempt each reply proves",
        (
            Column("probe"),
            Column("first only", "targets"),
            Column("both", "targets"),
            Column("recovered", "targets"),
            Column("missed", "targets"),
            Column("95% interval", "targets"),
            Column("duplicates", "packets"),
        ),
        rows,
        [
            *named_formulas(formulas(Loss)),
            "missed is too low where losses come together: a target may be gone for longer than the queue lasts.",
        ],
    )


def _of_whole_run(run: RunStates) -> dict[str, Loss]:
    """Return the loss of every probe; empty for a part of the address space, since a run counts loss as a whole."""
    return {} if run.within is not None else loss(run.manifest)


LOSS = Measure("loss", _of_whole_run, tables)
