"""Pairs of runs to compare, with their common targets and probes, and runs that are not compared.

Complete runs of one census are compared, each with the newest one before it that probed any of the same targets with
any of the same probes. Only addresses that are targets of both count, and only replies to probes of both.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from liveness.analysis.counting.probed import Probed
from liveness.analysis.counting.run import probes_of, vantage_of
from liveness.runs.manifest import Manifest
from liveness.space.intervals import Intervals

LEAST_SHARED: Final = 0.5
"""The share of the newest run's targets that a run must have to take part in retention."""


@dataclass(frozen=True, slots=True, eq=False)
class Shared:
    """Targets and probes that several runs have in common."""

    addresses: Intervals | None
    """The addresses that count: the common targets. None for all, if every run probed the same ones: then routers that
    answered for targets count too, as in the numbers of each run."""
    targets: int | None
    probes: tuple[str, ...]
    listed: Intervals | None = None
    """The common targets, None if the runs do not record which these are."""

    def within(self, part: Intervals) -> "Shared":
        """Return the part that lies in a part of the address space."""
        return replace(self, targets=None if self.listed is None else self.listed.intersection(part).count)


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Two runs to compare, by their indices in the given order."""

    before: int
    after: int
    shared: Shared


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """The runs of one census whose addresses are followed from run to run, by their indices."""

    places: tuple[int, ...]
    shared: Shared


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A run that is not compared, and the reason."""

    run: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Comparisons:
    """All comparisons to make, and the runs left out."""

    pairs: Sequence[Pair] = ()
    chains: Sequence[Chain] = ()
    left_out: Sequence[LeftOut] = ()

    def within(self, part: Intervals) -> "Comparisons":
        """Return the same comparisons on a part of the address space."""
        pairs = [replace(pair, shared=pair.shared.within(part)) for pair in self.pairs]
        chains = [replace(chain, shared=chain.shared.within(part)) for chain in self.chains]
        return replace(self, pairs=pairs, chains=chains)


NO_COMPARISON: Final = Comparisons()
Plan = Callable[[Sequence[Probed]], Comparisons]


def by_census(runs: Sequence[Probed]) -> Comparisons:
    """Return the comparisons of complete runs with the same census name, given in the order of their starts."""
    return _within_groups(runs, lambda manifest: (manifest.name,))


def by_vantage(runs: Sequence[Probed]) -> Comparisons:
    """Return the comparisons of complete runs of one census from the same vantage point, in the order of their starts.

    What two vantage points see at the same time is no change.
    """
    return _within_groups(runs, lambda manifest: (manifest.name, vantage_of(manifest)))


def _within_groups(runs: Sequence[Probed], group_of: Callable[[Manifest], tuple[str, ...]]) -> Comparisons:
    """Return the comparisons of complete runs of the same group."""
    pairs, chains, left_out = [], [], []
    if len(runs) > 1:
        left_out = [
            LeftOut(run.manifest.run, f"status {run.manifest.status}")
            for run in runs
            if run.manifest.status != "complete"
        ]
    groups: dict[tuple[str, ...], list[int]] = {}
    for place, run in enumerate(runs):
        if run.manifest.status == "complete":
            groups.setdefault(group_of(run.manifest), []).append(place)
    for places in groups.values():
        for number, place in enumerate(places):
            found = next((pair for earlier in places[:number][::-1] if (pair := _pair(runs, earlier, place))), None)
            if found is not None:
                pairs.append(found)
            elif number:
                earlier = runs[places[number - 1]].manifest.run
                reason = difference_from(runs[place], f"{earlier} or any run before it")
                left_out.append(LeftOut(runs[place].manifest.run, reason))
        chains += _chain(runs, places)
    return Comparisons(sorted(pairs, key=lambda pair: pair.after), chains, left_out)


def as_given(runs: Sequence[Probed]) -> Comparisons:
    """Return the comparisons of runs that a user named: each with the one before it, regardless of name and status.

    Runs without a common target or probe are left out: the zeros of their comparison would say nothing of addresses.
    """
    pairs, left_out = [], []
    for place in range(1, len(runs)):
        pair = _pair(runs, place - 1, place)
        if pair is not None:
            pairs.append(pair)
        else:
            earlier = runs[place - 1].manifest.run
            left_out.append(LeftOut(runs[place].manifest.run, difference_from(runs[place], earlier)))
    return Comparisons(pairs, _chain(runs, range(len(runs))) if runs else [], left_out)


def _pair(runs: Sequence[Probed], before: int, after: int) -> Pair | None:
    """Return two runs as a pair, None if they have no target or no probe in common."""
    shared = common_to([runs[before], runs[after]])
    return None if shared is None or shared.targets == 0 or not shared.probes else Pair(before, after, shared)


def _chain(runs: Sequence[Probed], places: Iterable[int]) -> list[Chain]:
    """Return the chain of one census: the runs that share most targets with its newest run."""
    *earlier, newest = places
    kept = []
    for place in earlier:
        shared = common_to([runs[place], runs[newest]])
        if shared is not None and shared.probes and (shared.targets or 0) >= LEAST_SHARED * runs[newest].targets:
            kept.append(place)
    if not kept:
        return []
    members = (*kept, newest)
    shared = common_to([runs[place] for place in members])
    return [] if shared is None or not shared.probes else [Chain(members, shared)]


def common_to(runs: Sequence[Probed]) -> Shared | None:
    """Return the common targets and probes of runs; None if they are not known."""
    probes = tuple(probe for probe in probes_of(runs[-1].manifest) if all(probe in probes_of(r.manifest) for r in runs))
    common = Intervals.everything()
    for run in runs:
        common = common.difference(run.opted_out) if run.intervals is None else common.intersection(run.intervals)
    if all(run.intervals is not None and not run.is_sample for run in runs):
        is_same = all(run.intervals == common for run in runs)
        return Shared(None if is_same else common, common.count, probes, common)
    if not all(run.same_as(runs[-1]) for run in runs):
        return None
    is_same = all(run.opted_out == runs[-1].opted_out for run in runs)
    return Shared(None if is_same else common, min(run.targets for run in runs), probes)


def difference_from(run: Probed, earlier: str) -> str:
    """Return why a run cannot be compared with `earlier`, one run or several."""
    if run.intervals is None:
        return f"it does not tell what it probed, nor are its config's targets those of {earlier}"
    if run.is_sample:
        return f"it probed another sample of targets than {earlier}"
    return f"no target or no probe in common with {earlier}"
