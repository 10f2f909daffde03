"""The runs that are compared: vantage points, trials, how far apart they started, and the lag between their probes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

import numpy as np

from liveness.analysis.across.pairing import LeftOut
from liveness.analysis.formula import Formula, formulas
from liveness.analysis.numbers import ABSENT, seconds, signed
from liveness.analysis.origins.counts import OriginCounts
from liveness.analysis.origins.design import Trial
from liveness.analysis.origins.measure import OriginMeasure
from liveness.analysis.tables import Column, Table, Worded
from liveness.errors import count_of
from liveness.runs.course import PERCENTILE
from liveness.runs.manifest import BlockStart, Clock, Manifest, Vantage

FIRST_ATTEMPT: Final = 0
CLOCK_OFF_MS: Final = 50.0
"""A clock that is further from true time is named."""
SHOWN: Final = {"after": "after_s", "clock": "clock_offset_ms", "late": "unsynchronised_blocks"}
"""Columns of the table, and their fields."""


@dataclass(frozen=True, slots=True)
class TrialRun:
    """The run of one vantage point in a trial."""

    vantage: str
    run: str
    started: str
    after_s: Annotated[float | None, Formula("start of the run less the earliest start of its trial")]
    clock_offset_ms: Annotated[float | None, Formula("by how much its clock was ahead of true time, if it was known")]
    unsynchronised_blocks: Annotated[int, Formula("blocks that began too late to end before the next one was to begin")]


@dataclass(frozen=True, slots=True)
class TrialRuns:
    """The runs of one trial, and the lag between the first probes that different vantage points sent to one target."""

    trial: int
    runs: list[TrialRun]
    lag_max_s: float | None
    """None if the runs recorded no common target."""
    lag_p80_s: float | None


@dataclass(frozen=True, slots=True)
class Compared:
    """All runs that are compared, and what they have in common."""

    vantages: list[str]
    trials: list[TrialRuns]
    targets: int | None
    probes: list[str]
    left_out: list[LeftOut]


def runs(counts: OriginCounts) -> Compared:
    """Return the runs by trial."""
    design = counts.design
    return Compared(
        vantages=list(design.vantages),
        trials=[_trial(counts, number, trial) for number, trial in enumerate(design.trials, 1)],
        targets=design.shared.targets,
        probes=list(design.shared.probes),
        left_out=list(design.left_out),
    )


def _trial(counts: OriginCounts, number: int, trial: Trial) -> TrialRuns:
    manifests = {counts.name(place): counts.runs[trial.run_of(place)].manifest for place in trial.present}
    starts = {name: _start_s(manifest) for name, manifest in manifests.items()}
    known = [start for start in starts.values() if start is not None]
    found = []
    for name, manifest in manifests.items():
        start = starts[name]
        after_s = None if start is None else round(start - min(known), 6)
        found.append(
            TrialRun(name, manifest.run, manifest.started, after_s, _clock_offset_ms(manifest), _late_blocks(manifest))
        )
    lags = _lags(list(manifests.values())) if trial.in_one_order else []
    return TrialRuns(
        number,
        found,
        round(max(lags), 6) if lags else None,
        round(float(np.percentile(lags, PERCENTILE)), 6) if lags else None,
    )


def _clock_offset_ms(manifest: Manifest) -> float | None:
    """Return the largest known offset of the clock, before the run and before its blocks."""
    known = [block.start.clock_offset_ms for block in manifest.blocks if isinstance(block.start, BlockStart)]
    if isinstance(manifest.vantage, Vantage) and isinstance(manifest.vantage.clock, Clock):
        known.append(manifest.vantage.clock.offset_ms)
    return max((offset for offset in known if offset is not None), key=abs, default=None)


def _late_blocks(manifest: Manifest) -> int:
    return sum(isinstance(block.start, BlockStart) and not block.start.synchronised for block in manifest.blocks)


def warnings(value: Compared, counts: OriginCounts) -> Iterator[str]:
    """Yield a sentence for each run whose times, or whose replies, cannot be compared with those of the others."""
    for number, trial in enumerate(counts.design.trials, 1):
        if not trial.compares:
            [place] = trial.present
            name, alone = counts.name(place), counts.runs[trial.run_of(place)].manifest.run
            yield (
                f"{alone}: trial {number} has no run of another vantage point than {name}, and does not show what"
                f" {name} missed"
            )
    resumed = {run.manifest.run for run in counts.runs if run.manifest.resumed}
    for run in (run for trial in value.trials for run in trial.runs):
        if run.run in resumed:
            yield f"{run.run}: it was interrupted and resumed: {run.vantage} probed what followed later than others did"
        if run.clock_offset_ms is not None and abs(run.clock_offset_ms) > CLOCK_OFF_MS:
            yield f"{run.run}: the clock of {run.vantage} was {run.clock_offset_ms:+,.0f} ms off true time"
        if run.unsynchronised_blocks:
            blocks = count_of(run.unsynchronised_blocks, "block")
            yield f"{run.run}: {blocks} of {run.vantage} began too late to be at one time with those of the others"


def _start_s(manifest: Manifest) -> float | None:
    return _time_s(manifest.started)


def _time_s(time: str) -> float | None:
    try:
        return datetime.fromisoformat(time).timestamp()
    except ValueError:
        return None


def _lags(manifests: Sequence[Manifest]) -> list[float]:
    """Return for each recorded target the time between the first and the last vantage point's first probe to it."""
    passed = []
    for manifest in manifests:
        # The record of a resumed run counts from its last session; older and united ones have no time of their own.
        start = _time_s(manifest.lag.began or manifest.started)
        lanes: dict[tuple[str, str], list[float | None]] = {}
        for lane in manifest.lag.lanes:
            if lane.attempt == FIRST_ATTEMPT and start is not None:
                lanes[lane.block, lane.probe] = [None if at is None else start + at for at in lane.passed_s]
        passed.append(lanes)
    found = []
    if len({manifest.lag.every_targets for manifest in manifests}) == 1 and len(manifests) > 1:
        for name in passed[0]:
            for times in zip(*(lanes.get(name, []) for lanes in passed), strict=False):
                known = [at for at in times if at is not None]
                if len(known) == len(manifests):
                    found.append(max(known) - min(known))
    return found


def tables(value: Compared, counts: OriginCounts) -> Iterator[Table]:
    """Yield the runs by trial and vantage point, and what is left out."""
    del counts
    yield Table(
        "origins_runs",
        "Vantage points and their runs",
        (
            Column("trial"),
            Column("vantage"),
            Column("run"),
            Column("started"),
            Column("after", "seconds", key="after the first of the trial"),
            Column("clock", "milliseconds", key="clock ahead of true time"),
            Column("late", "blocks", key="unsynchronised blocks"),
            Column("lag, 80%", "seconds", key="lag between vantage points, 80% within"),
            Column("at most", "seconds", key="lag between vantage points, at most"),
        ),
        [
            (
                str(trial.trial),
                run.vantage,
                run.run,
                run.started,
                _time(run.after_s),
                Worded(run.clock_offset_ms, _offset(run.clock_offset_ms)),
                run.unsynchronised_blocks,
                _time(trial.lag_p80_s),
                _time(trial.lag_max_s),
            )
            for trial in value.trials
            for run in trial.runs
        ],
        [
            f"{_targets(value)} and the probes {', '.join(value.probes)} are common to all of these runs.",
            *(f"{name}: {formulas(TrialRun)[field]}" for name, field in SHOWN.items()),
            "lag: time between the first probes of different vantage points to one target, at the recorded targets.",
        ],
    )
    if value.left_out:
        yield Table(
            "origins_left_out",
            "Left out of the comparison of vantage points",
            (Column("run"), Column("what")),
            [(entry.run, entry.reason) for entry in value.left_out],
            ["Complete runs are compared, on the targets and probes of all of them, without opted-out addresses."],
        )


def _targets(value: Compared) -> str:
    return "The targets" if value.targets is None else f"{value.targets:,} targets"


def _offset(offset_ms: float | None) -> str:
    return ABSENT if offset_ms is None else f"{signed(offset_ms)} ms"


def _time(time_s: float | None) -> Worded:
    return Worded(time_s, seconds(time_s))


RUNS = OriginMeasure("runs", runs, tables, warnings=warnings)
