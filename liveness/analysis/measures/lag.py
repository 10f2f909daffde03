"""The time between the probes to one target, from the manifest's record of targets (section 3)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from liveness.analysis.counting.states import RunStates
from liveness.analysis.figures import Cumulative, Figure
from liveness.analysis.formula import Formula, formulas
from liveness.analysis.measure import Comparison, Measure, RunResults
from liveness.analysis.numbers import count, seconds
from liveness.reference.bano_2018 import VALUES
from liveness.runs.manifest import Manifest


@dataclass(frozen=True, slots=True)
class LagCurve:
    """The distribution of the lag between the first attempts of all probes to one target."""

    every_targets: int
    """One in this number of targets was recorded."""
    lags_s: Annotated[
        list[float], Formula("time between the first and the last probe's first attempt to one target, ascending")
    ]


def lag_curve(manifest: Manifest) -> LagCurve:
    """Return the lags that a manifest records; targets that not all probes have reached do not count."""
    blocks: dict[str, list[list[float | None]]] = {}
    for lane in manifest.lag.lanes:
        if lane.attempt == 0:
            blocks.setdefault(lane.block, []).append(lane.passed_s)
    lags = []
    for lanes in blocks.values():
        for passed in zip(*lanes, strict=False):
            known = [at for at in passed if at is not None]
            if len(known) == len(passed):
                lags.append(max(known) - min(known))
    return LagCurve(manifest.lag.every_targets, sorted(lags))


def figures(value: LagCurve, run: RunResults) -> Iterator[Figure]:
    """Yield the cumulative curve of a whole run that recorded any lag."""
    lags = value.lags_s
    if run.within is not None or not lags:
        return
    middle, last = lags[(len(lags) - 1) // 2], lags[-1]
    yield Figure(
        "lag",
        "Lag between probes (section 3)",
        f"Cumulative curve of the lag, {count(len(lags))} recorded: half within {seconds(middle)},"
        f" all within {seconds(last)}.",
        [
            f"{formulas(LagCurve)['lags_s']}.",
            f"Every {count(value.every_targets)}th target of each block is recorded: {count(len(lags))} in all.",
        ],
        Cumulative(
            lags,
            x_label="lag between the probes to one target, first attempts",
            y_label=f"share of the targets recorded, {count(len(lags))}",
            published={VALUES["lag.p80_s"].value: 0.8, VALUES["lag.max_s"].value: 1.0},
            published_name="80% within 10 min, all within 25 min",
        ),
    )


def comparisons(value: LagCurve, run: RunResults) -> Iterator[Comparison]:
    """Yield the longest lag, and the one within which 80% of the targets are."""
    del value
    lag = run.manifest.lag
    if run.within is None and lag.max_s is not None:
        yield Comparison("lag between probes, at most", "by target", lag.max_s, VALUES["lag.max_s"], "seconds")
        yield Comparison("lag, 80% within", "by target", lag.p80_s, VALUES["lag.p80_s"], "seconds")


def _of_run(run: RunStates) -> LagCurve:
    return lag_curve(run.manifest)


LAG = Measure("lag", _of_run, figures=figures, comparisons=comparisons, document=None)
