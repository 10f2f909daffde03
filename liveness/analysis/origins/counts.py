"""The pass of the comparison: addresses by the vantage points that saw them, for each probe and kind of reply."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.analysis.counting.activity import addresses_of
from liveness.analysis.counting.opened import OpenRun
from liveness.analysis.counting.partition import Partition
from liveness.analysis.counting.run import REPLIES
from liveness.analysis.origins.design import Design
from liveness.analysis.origins.kernels import ANY, CLASSES, SEEN, TWO, count_masks, count_strata, merge
from liveness.ipsets.portable_index import PortableSet
from liveness.ipsets.roaring import sorted_unique
from liveness.replies import POSITIVE, Kind, Role
from liveness.space.intervals import Intervals

ALL: Final = ("all", "alive")
"""The group of all addresses that any probe found alive: IPall of each run, by the common probes."""
ALIVE: Final = frozenset(kind.label for kind in (*REPLIES, Kind.ERROR))
PRESENT: Final = frozenset(kind.label for kind in POSITIVE)


@dataclass(frozen=True, slots=True, eq=False)
class TrialCounts:
    """One trial of a group: the number of addresses by the vantage points that saw them."""

    trial: int
    """Its number, from 1 on."""
    vantages: tuple[int, ...]
    """The vantage points that have a run in it, by index."""
    patterns: NDArray[np.int64]
    """Shape (2^V,): addresses that exactly the vantage points of the bits saw; those that none saw are not counted."""
    networks: NDArray[np.int64]
    """By vantage point: addresses that it missed together with all others of their /24, two or more."""

    @property
    def any(self) -> int:
        """The number of addresses that any vantage point saw."""
        return int(self.patterns[1:].sum())

    def seen(self, vantages: Sequence[int]) -> int:
        """Return the number of addresses that at least one of these vantage points saw."""
        mask = sum(1 << place for place in vantages)
        return int(self.patterns[(self._all & mask) != 0].sum())

    def both(self, one: int, other: int) -> int:
        """Return the number of addresses that two vantage points both saw."""
        mask = 1 << one | 1 << other
        return int(self.patterns[(self._all & mask) == mask].sum())

    def exclusive(self, vantage: int) -> int:
        """Return the number of addresses that only one vantage point saw."""
        return int(self.patterns[1 << vantage])

    def exactly(self) -> list[int]:
        """Return the numbers of addresses that exactly one, two, ... vantage points saw."""
        seen_by = np.array([int(pattern).bit_count() for pattern in self._all])
        return [int(self.patterns[seen_by == number].sum()) for number in range(1, len(self.vantages) + 1)]

    @property
    def _all(self) -> NDArray[np.int64]:
        return np.arange(len(self.patterns))


@dataclass(frozen=True, slots=True, eq=False)
class GroupCounts:
    """The counts of one probe and kind of reply."""

    probe: str
    kind: str
    trials: tuple[TrialCounts, ...]
    classes: NDArray[np.int64]
    """By vantage point and class (`kernels.py`), over all trials."""
    strata: NDArray[np.int64] | None = None
    """By slice of the partition, trial and column (`kernels.py`); None without a partition."""

    @property
    def is_positive(self) -> bool:
        """Whether the replies say that the service is there."""
        return self.kind in PRESENT

    @property
    def is_drawn(self) -> bool:
        """Whether figures show it: one kind of positive reply for each probe, of TCP services the SYN-ACK."""
        return self.is_positive and not (self.probe.startswith("tcp/") and self.kind == Kind.ANSWER.label)


@dataclass(frozen=True, slots=True, eq=False)
class Strata:
    """The columns of one trial's strata, each an array by stratum."""

    counts: NDArray[np.int64]
    size: int
    """The number of all vantage points."""

    @property
    def any(self) -> NDArray[np.int64]:
        """Addresses that any vantage point saw."""
        return self.counts[:, ANY]

    @property
    def two(self) -> NDArray[np.int64]:
        """Addresses that exactly two vantage points saw."""
        return self.counts[:, TWO]

    def seen(self, vantage: int) -> NDArray[np.int64]:
        """Addresses that a vantage point saw."""
        return self.counts[:, SEEN + vantage]

    def exclusive(self, vantage: int) -> NDArray[np.int64]:
        """Addresses that only one vantage point saw."""
        return self.counts[:, SEEN + self.size + vantage]

    def both(self, one: int, other: int) -> NDArray[np.int64]:
        """Addresses that two vantage points both saw."""
        pairs = list(combinations(range(self.size), 2))
        return self.counts[:, SEEN + 2 * self.size + pairs.index((one, other))]


@dataclass(frozen=True, slots=True, eq=False)
class OriginCounts:
    """The counts of all groups, and what they rest on."""

    design: Design
    runs: Sequence[OpenRun]
    groups: list[GroupCounts] = field(default_factory=list)
    partition: Partition | None = None

    def strata(self, group: GroupCounts, trial: int) -> Strata | None:
        """Return the strata of a trial, by its number from 1 on; None without a partition."""
        if group.strata is None:
            return None
        return Strata(group.strata[:, trial - 1], len(self.design.vantages))

    def name(self, vantage: int) -> str:
        """Return the name of a vantage point."""
        return self.design.vantages[vantage]


def count_origins(runs: Sequence[OpenRun], design: Design, partition: Partition | None = None) -> OriginCounts:
    """Count the addresses of each probe and kind, and of all together, by the vantage points that saw them.

    Addresses are sources of replies, among the common targets of all runs. Raises LivenessError that names a set that
    can no longer be read.
    """
    counted = Intervals.everything() if design.addresses is None else design.addresses
    found = [
        (probe, kind.label)
        for probe in design.shared.probes
        for kind in Kind
        if any(_sets_of(runs[run], (probe, kind.label), design) for run in _chosen(design))
    ]
    found.sort(key=lambda name: name[1] not in PRESENT)  # positive replies first, otherwise in the order of the config
    groups = [_group(runs, design, name, counted, partition) for name in (ALL, *found)]
    return OriginCounts(design, runs, groups, partition)


def _chosen(design: Design) -> list[int]:
    return [trial.run_of(vantage) for trial in design.trials for vantage in trial.present]


def _sets_of(run: OpenRun, group: tuple[str, str], design: Design) -> list[PortableSet]:
    """Return the sets of a run whose members are in a group."""
    return [
        found
        for entry, found in zip(run.entries, run.sets, strict=True)
        if entry.role == Role.SOURCE
        and entry.probe in design.shared.probes
        and ((entry.probe, entry.kind) == group or (group == ALL and entry.kind in ALIVE))
    ]


def _group(
    runs: Sequence[OpenRun],
    design: Design,
    name: tuple[str, str],
    counted: Intervals,
    partition: Partition | None,
) -> GroupCounts:
    """Count one group, a /8 at a time, so that memory is bounded."""
    vantages, trials = len(design.vantages), len(design.trials)
    places = [(trial, vantage) for trial in range(trials) for vantage in design.trials[trial].present]
    sets = [_sets_of(runs[design.trials[trial].run_of(vantage)], name, design) for trial, vantage in places]
    bits = np.array([1 << (trial * vantages + vantage) for trial, vantage in places], np.uint64)
    present = np.array([sum(1 << place for place in trial.present) for trial in design.trials], np.uint64)
    patterns = np.zeros((trials, 1 << vantages), np.int64)
    classes = np.zeros((vantages, CLASSES), np.int64)
    networks = np.zeros((trials, vantages), np.int64)
    columns = SEEN + 2 * vantages + vantages * (vantages - 1) // 2
    strata = None if partition is None else np.zeros((len(partition.names), trials, columns), np.int64)
    for octet in _octets(sets):
        parts = [_united([addresses_of(members, octet) for members in of_run]) for of_run in sets]
        addresses, masks = _merged(parts, bits, counted)
        count_masks(addresses, masks, present, patterns, classes, networks)
        if partition is not None and strata is not None:
            count_strata(addresses, masks, present, partition.first, partition.label, strata, vantages)
    patterns[:, 0] = 0  # what none of a trial saw depends on the other trials
    counts = tuple(
        TrialCounts(trial + 1, design.trials[trial].present, patterns[trial], networks[trial])
        for trial in range(trials)
    )
    return GroupCounts(*name, counts, classes, strata)


def _octets(sets: list[list[PortableSet]]) -> list[int]:
    """Return the /8s that any of these sets has members in, ascending."""
    keys = [np.zeros(0, np.uint16), *(members.index.keys for of_run in sets for members in of_run)]
    octets: list[int] = np.unique(np.concatenate(keys) >> np.uint16(8)).tolist()
    return octets


def _united(parts: list[NDArray[np.uint32]]) -> NDArray[np.uint32]:
    """Return the union of ascending arrays."""
    kept = [part for part in parts if len(part)]
    if len(kept) == 1:
        return kept[0]
    return sorted_unique(np.concatenate(kept)) if kept else np.zeros(0, np.uint32)


def _merged(
    parts: list[NDArray[np.uint32]], bits: NDArray[np.uint64], counted: Intervals
) -> tuple[NDArray[np.uint32], NDArray[np.uint64]]:
    """Return the addresses of all parts that count, each once, and the bits of the parts that have it."""
    sizes = np.array([len(part) for part in parts], np.int64)
    ends = np.cumsum(sizes)
    members = np.concatenate([np.zeros(0, np.uint32), *parts])
    addresses, masks = np.zeros(len(members), np.uint32), np.zeros(len(members), np.uint64)
    if len(members):
        # Intervals before the first address are skipped at once: a blocklist may have a million of them.
        least = min(int(part[0]) for part in parts if len(part))
        begin = int(np.searchsorted(counted.last, least))
        size = merge(members, ends - sizes, ends, bits, counted.first[begin:], counted.last[begin:], addresses, masks)
        addresses, masks = addresses[:size], masks[:size]
    return addresses, masks
