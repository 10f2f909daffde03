"""The design of a comparison of vantage points: which run is whose, in which trial, on which targets and probes.

A *trial* has one run of each vantage point, taken at about the same time. A run begins a new trial if its vantage point
has a run in the current one. Where vantage points have several runs, a run that begins long after all runs of the
current trial have ended begins a new one too: it belongs to a trial in which another vantage point has no run. Long is
half the shortest time between the starts of two runs of one vantage point: places may also scan one after the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce
from itertools import pairwise
from math import inf
from typing import Final

from liveness.analysis.across.pairing import LeftOut, Shared, common_to, difference_from
from liveness.analysis.counting.probed import Probed
from liveness.analysis.counting.run import probes_of, vantage_of
from liveness.errors import UsageError, count_of
from liveness.order.sampled import probed_within
from liveness.runs.shards import block_prefix_of, planned_by_all_shards, shard_of
from liveness.space.intervals import Intervals, union

MOST_VANTAGES: Final = 12
"""All subsets of the vantage points are looked at: 4,096 at most."""
MOST_CELLS: Final = 64
"""The runs that saw an address are the bits of one number."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Runs of several vantage points at about the same time: by vantage point, the index of its run, None without."""

    runs: tuple[int | None, ...]
    in_one_order: bool = True
    """Whether all of its runs walked through the same order of targets."""

    @property
    def present(self) -> tuple[int, ...]:
        """The vantage points that have a run in this trial, by index."""
        return tuple(place for place, run in enumerate(self.runs) if run is not None)

    @property
    def compares(self) -> bool:
        """Whether two vantage points or more have a run in this trial."""
        return len(self.present) > 1

    def run_of(self, vantage: int) -> int:
        """Return the index of the run of a vantage point. Raises ValueError if it has none in this trial."""
        run = self.runs[vantage]
        if run is None:
            raise ValueError(f"vantage point {vantage} has no run in this trial")
        return run


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """Vantage points and trials of a comparison; runs are indices in the order that was given."""

    vantages: tuple[str, ...]
    trials: tuple[Trial, ...]
    shared: Shared
    """The targets and probes that all compared runs have in common."""
    left_out: tuple[LeftOut, ...]
    """Runs that are not compared, and parts of compared runs that are not common to all."""

    part: Intervals | None = None
    """The part of the address space that counts, None for all of it."""

    @property
    def addresses(self) -> Intervals | None:
        """The addresses that count: the common targets; None if the runs record only that they probed the same ones."""
        known = self.shared.addresses if self.shared.listed is None else self.shared.listed
        if self.part is None:
            return known
        return self.part if known is None else known.intersection(self.part)

    @property
    def first(self) -> int:
        """The number of the first trial with runs of two vantage points or more, from 1 on."""
        return next(number for number, trial in enumerate(self.trials, 1) if trial.compares)

    def within(self, part: Intervals) -> "Design":
        """Return the same comparison on a part of the address space."""
        return replace(self, shared=self.shared.within(part), part=part)


def design_of(runs: Sequence[Probed]) -> Design:
    """Return the design of a comparison of these runs, which are given in the order of their starts.

    Runs that are not complete are left out. Raises UsageError if fewer than two vantage points are left, if the runs
    have no target or no probe in common, or if no two vantage points have runs in one trial.
    """
    complete = [place for place, run in enumerate(runs) if run.manifest.status == "complete"]
    left_out = [
        LeftOut(run.manifest.run, f"status {run.manifest.status}: what it did not probe would look missed")
        for place, run in enumerate(runs)
        if place not in complete
    ]
    vantages = tuple(dict.fromkeys(vantage_of(runs[place].manifest) for place in complete))
    _check(vantages, complete, left_out)
    chosen = [runs[place] for place in complete]
    shared = _common(chosen)
    left_out += [found for run in chosen for found in _uncommon(run, shared)]
    gone = union(run.left_out for run in chosen)
    if len(gone):
        shared = _without(shared, gone, chosen)
        left_out += [
            LeftOut(run.manifest.run, f"{count_of(count, 'target')}: no route led there from it")
            for run in chosen
            if (count := _targets_within(run, run.left_out))
        ]
    trials = _trials(runs, complete, vantages)
    if len(trials) * len(vantages) > MOST_CELLS:
        raise UsageError(
            f"--across compares at most {MOST_CELLS} pairs of a vantage point and a trial, and here are {len(vantages)}"
            f" times {len(trials)}: give fewer runs"
        )
    if not any(trial.compares for trial in trials):
        raise UsageError("--across: no two of these runs were taken at about the same time from two vantage points")
    left_out += [
        LeftOut(
            runs[trial.run_of(trial.present[0])].manifest.run,
            f"the only run of trial {number}: not in figures nor next to published values",
        )
        for number, trial in enumerate(trials, 1)
        if not trial.compares
    ]
    left_out += [found for number, trial in enumerate(trials, 1) for found in _in_another_order(runs, number, trial)]
    return Design(vantages, trials, shared, tuple(left_out))


def _check(vantages: Sequence[str], complete: Sequence[int], left_out: Sequence[LeftOut]) -> None:
    """Raise UsageError if these vantage points cannot be compared."""
    if len(vantages) < 2:  # noqa: PLR2004 - a comparison needs two
        of = f", all from {vantages[0]}" if vantages and len(complete) > 1 else ""
        also = f"; left out: {', '.join(f'{entry.run} ({entry.reason})' for entry in left_out)}" if left_out else ""
        here = count_of(len(complete), "complete run")
        raise UsageError(
            f"--across compares several vantage points, and here is {here}{of}{also}: give runs from two or more, each"
            " named by `scan --vantage NAME`"
        )
    if len(vantages) > MOST_VANTAGES:
        raise UsageError(
            f"--across compares at most {MOST_VANTAGES} vantage points, and here are {len(vantages)}: give fewer runs"
        )


def _common(runs: Sequence[Probed]) -> Shared:
    """Return the common targets and probes of all runs. Raises UsageError that names two runs without any."""
    for other in runs[1:]:
        pair = common_to([runs[0], other])
        if pair is None or pair.targets == 0 or not pair.probes:
            first = runs[0].manifest.run
            raise UsageError(f"{other.manifest.run} and {first}: not comparable: {difference_from(other, first)}")
    shared = common_to(runs)
    if shared is None or shared.targets == 0 or not shared.probes:
        raise UsageError("--across: no target or no probe is common to all of these runs: give fewer of them")
    if shared.addresses is None and shared.listed is None:
        gone = [run.opted_out for run in runs if run.opted_out]
        everything = Intervals.everything()
        return replace(shared, addresses=reduce(Intervals.difference, gone, everything)) if gone else shared
    return shared


def _without(shared: Shared, gone: Intervals, runs: Sequence[Probed]) -> Shared:
    """Return the common targets of runs without some. Raises UsageError if none is left.

    How many are left is not known if the runs do not record what they could have probed.
    """
    known = shared.addresses if shared.listed is None else shared.listed
    left = (Intervals.everything() if known is None else known).difference(gone)
    if shared.listed is not None:
        targets: int | None = left.count
    elif shared.targets is None or runs[0].listed is None:
        targets = None
    else:  # all runs probed one sample
        counted = gone.difference(union(run.opted_out for run in runs))
        targets = max(0, shared.targets - _targets_within(runs[0], counted))
    if targets == 0:
        raise UsageError("--across: to no target a route led in all of these runs: give fewer of them")
    return replace(shared, addresses=left, targets=targets, listed=None if shared.listed is None else left)


def _targets_within(run: Probed, part: Intervals) -> int:
    """Return how many targets of a run lie in a part of what it lists; all addresses of it unless it is a sample."""
    if run.listed is None or not run.is_sample:
        return part.count
    manifest = run.manifest
    index, shards = shard_of(manifest.config)
    planned = manifest.planned if shards == 1 else planned_by_all_shards(manifest, run.listed)
    prefix = block_prefix_of(manifest)
    return probed_within(run.listed, planned, manifest.seed, prefix, part, index=index, shards=shards)


def _uncommon(run: Probed, shared: Shared) -> list[LeftOut]:
    """Return what is left out of one run because other runs did not probe it."""
    beyond = 0 if shared.targets is None else run.targets - shared.targets
    probes = [probe for probe in probes_of(run.manifest) if probe not in shared.probes]
    parts = [count_of(beyond, "target")] if beyond > 0 else []
    parts += [", ".join(probes)] if probes else []
    return [LeftOut(run.manifest.run, f"{part}: not probed by all runs") for part in parts]


def _trials(runs: Sequence[Probed], complete: Sequence[int], vantages: Sequence[str]) -> tuple[Trial, ...]:
    """Return the trials of runs, which are in the order of their starts."""
    long_s = _shortest_return_s(runs, complete) / 2
    trials: list[list[int | None]] = []
    ends: list[str] = []
    for place in complete:
        manifest = runs[place].manifest
        vantage = vantages.index(vantage_of(manifest))
        is_later = bool(ends) and all(_from_to_s(end, manifest.started) > long_s for end in ends)
        if not trials or trials[-1][vantage] is not None or is_later:
            trials.append([None] * len(vantages))
            ends = []
        trials[-1][vantage] = place
        ends.append(manifest.finished or "")
    return tuple(Trial(tuple(trial), _in_one_order(runs, trial)) for trial in trials)


def _in_one_order(runs: Sequence[Probed], trial: Sequence[int | None]) -> bool:
    orders = [_order(runs[run]) for run in trial if run is not None]
    return all(order == orders[0] for order in orders)


def _order(run: Probed) -> object:
    """Return what decides which targets a run probes at which place of its order."""
    return run.order, run.manifest.targets_sha256


def _in_another_order(runs: Sequence[Probed], number: int, trial: Trial) -> list[LeftOut]:
    """Return what is left out of a trial because runs walked through another order than its first vantage point."""
    first, *others = (runs[trial.run_of(place)] for place in trial.present)
    name = first.manifest.run
    reason = f"lag and bursts of trial {number}: its order of targets is not that of {name}"
    return [LeftOut(other.manifest.run, reason) for other in others if _order(other) != _order(first)]


def _shortest_return_s(runs: Sequence[Probed], complete: Sequence[int]) -> float:
    """Return the shortest time between the starts of two runs of one vantage point; infinite if none has two."""
    starts: dict[str, list[str]] = {}
    for place in complete:
        manifest = runs[place].manifest
        starts.setdefault(vantage_of(manifest), []).append(manifest.started)
    return min((_from_to_s(*pair) for of_one in starts.values() for pair in pairwise(of_one)), default=inf)


def _from_to_s(earlier: str, later: str) -> float:
    """Return the seconds from one time to another; 0 if they are not recorded."""
    try:
        return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()
    except (ValueError, TypeError):
        return 0.0
