"""The targets that a run probed, opt-outs excluded, as far as its directory and its config record them."""

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from liveness.analysis.counting.partition import Partition
from liveness.analysis.counting.scope import Within
from liveness.analysis.formula import share
from liveness.analysis.sampling import Sampling
from liveness.runs.left_out import load_left_out
from liveness.runs.manifest import Manifest
from liveness.runs.optout_record import load_opt_outs
from liveness.runs.rundir import TARGETS_FILE, RunDirectory
from liveness.runs.shards import field_of, shard_of
from liveness.space.addresses import parse_entry
from liveness.space.intervals import Intervals
from liveness.space.special import special_purpose


@dataclass(frozen=True, slots=True, eq=False)
class Probed:
    """The targets of one run."""

    manifest: Manifest
    listed: Intervals | None = None
    """Every address that the run could have probed; None if that is not recorded."""
    opted_out: Intervals = field(default_factory=Intervals.empty)
    """Addresses that count in no number of the run."""
    left_out: Intervals = field(default_factory=Intervals.empty)
    """Targets that were not probed, at least not to the end, because no route led to them."""

    @classmethod
    def by(cls, manifest: Manifest, directory: RunDirectory | None = None) -> Self:
        """Return the targets of a run. Raises LivenessError that names a damaged file of its directory."""
        if directory is None:
            return cls(manifest, _of_config(manifest))
        listed = directory.read_targets() if (directory.path / TARGETS_FILE).is_file() else _of_config(manifest)
        return cls(manifest, listed, load_opt_outs(directory.path).withdrawn, load_left_out(directory.path))

    @property
    def intervals(self) -> Intervals | None:
        """The listed addresses without opted-out ones."""
        return None if self.listed is None else self.listed.difference(self.opted_out)

    @property
    def is_sample(self) -> bool:
        """Whether the run was to probe only a part of the listed addresses, the first of its order."""
        return self.listed is not None and self.listed.count != self.manifest.planned

    def same_as(self, other: "Probed") -> bool:
        """Return whether both runs probed the same targets, opt-outs excluded, even if these are not recorded."""
        if self.manifest.planned != other.manifest.planned:
            return False
        if self.listed is None or other.listed is None:
            listed, others = (run.manifest.config.get("targets") for run in (self, other))
            return self.listed is other.listed and bool(listed == others)
        return self.listed == other.listed and (not self.is_sample or self.order == other.order)

    @property
    def order(self) -> object:
        """The parameters that decide which of the listed addresses a sample has."""
        config = self.manifest.config
        limit = field_of(config, "limits.max_targets")
        return self.manifest.seed, config.get("block_prefix"), limit, shard_of(config)

    @property
    def opted_out_targets(self) -> int:
        """The number of targets that have opted out since the run began."""
        return self.manifest.planned - self._left

    @property
    def _left(self) -> int:
        """The number of targets that have not opted out; older manifests count all of them in `targets`."""
        if self.intervals is None or self.is_sample:
            return self.manifest.targets
        return self.intervals.count

    @property
    def targets(self) -> int:
        """The number of probed targets, without opted-out ones; for a partial run an estimate of those reached."""
        manifest = self.manifest
        if manifest.status == "complete":
            return self._left
        reached = max((counts.sent[0] for counts in manifest.probes.values() if counts.sent), default=0)
        return min(self._left, round(reached * (share(self._left, manifest.planned) or 0.0)))

    def targets_within(self, part: Intervals) -> int | None:
        """Return the number of probed targets in a part of the address space, None if the run does not record them."""
        if self.intervals is None or self.is_sample or self.manifest.status != "complete":
            return None
        return self.intervals.intersection(part).count

    @property
    def sampling(self) -> Sampling:
        """Whether the probed targets are all, a random sample, or those reached by a run that stopped early."""
        if self.manifest.status != "complete":
            return Sampling("stopped")
        if _draws_sample(self.manifest.config) and (self.listed is None or self.listed.count > self.manifest.planned):
            return Sampling("sample", self.targets, None if self.listed is None else self.listed.count)
        return Sampling("census", self.targets)

    def targets_by_slice(self, partition: Partition, within: Within | None) -> NDArray[np.int64] | None:
        """Return the number of probed targets by label of a partition; for a sample the expected number.

        None if the run does not record which targets it probed.
        """
        sampled = self.sampling.kind == "sample"
        if self.intervals is None or self.manifest.status != "complete" or self.is_sample != sampled:
            return None
        inside = self.intervals if within is None else self.intervals.intersection(within.intervals)
        below = inside.rank([*partition.first.tolist(), 1 << 32]).astype(np.int64)
        counts = np.zeros(len(partition.names), np.int64)
        np.add.at(counts, partition.label, np.diff(below))
        if sampled:
            counts = np.rint(counts * self.sampling.fraction).astype(np.int64)
        return counts

    def prefixes24(self) -> NDArray[np.bool_] | None:
        """Return by /24 (address >> 8) whether any target may be in it; None if that is not recorded."""
        intervals = self.intervals
        if intervals is None:
            return None
        begins = (intervals.first >> np.uint32(8)).astype(np.int64)
        ends = (intervals.last >> np.uint32(8)).astype(np.int64) + 1
        begins = np.maximum(begins, np.append(0, ends[:-1]))  # two intervals can share a /24
        edges = np.stack((begins, ends), axis=1).ravel()
        lengths = np.diff(edges, prepend=0, append=1 << 24)
        return np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)


def _draws_sample(config: dict[str, Any]) -> bool:
    """Return whether a config draws some of its targets at random: by a limit, or as the shard of one machine."""
    return field_of(config, "limits.max_targets") is not None or shard_of(config)[1] > 1


def _of_config(manifest: Manifest) -> Intervals | None:
    """Return the targets that a config lists; None if it names files, or if their number does not fit the run's."""
    targets: Any = manifest.config.get("targets")
    try:
        allow, block = _entries(targets["allow"]), _entries(targets.get("block") or [])
    except (AttributeError, TypeError, KeyError, ValueError):
        return None
    unblocked = allow.difference(block)
    limited = _draws_sample(manifest.config)
    for listed in (unblocked.difference(special_purpose()), unblocked):  # for a run outside a lab, and in one
        if manifest.planned == listed.count or (limited and manifest.planned < listed.count):
            return listed
    return None


def _entries(texts: list[str]) -> Intervals:
    """Return the addresses of prefixes, ranges and single addresses. Raises ValueError for other texts."""
    bounds = [parse_entry(text) for text in texts]
    return Intervals.from_bounds([first for first, _ in bounds], [last for _, last in bounds])
