"""The targets that the shards of a census left out together: each shard's file names those of all shards."""

from collections.abc import Sequence
from functools import reduce

from liveness.order.sampled import probed_addresses
from liveness.runs.left_out import load_left_out
from liveness.runs.shards import ShardRun, block_prefix_of, planned_by_all_shards, shard_of
from liveness.space.intervals import Intervals, union


def united_left_out(runs: Sequence[ShardRun], listed: Intervals) -> Intervals:
    """Return the targets that no shard probed because no route led to them from the shard that has them.

    A target that one machine alone had no route to is left out if it is that machine's: another one's was probed.
    Raises LivenessError that names a damaged file.
    """
    each = [load_left_out(run.path) for run in runs]
    common = reduce(Intervals.intersection, each)
    own = [_own(run, listed, mine.difference(common)) for run, mine in zip(runs, each, strict=True)]
    return union([common, *own])


def _own(run: ShardRun, listed: Intervals, part: Intervals) -> Intervals:
    """Return those of some targets that a shard has."""
    if not len(part):
        return part
    manifest = run.manifest
    index, shards = shard_of(manifest.config)
    planned = planned_by_all_shards(manifest, listed)
    return probed_addresses(listed, planned, manifest.seed, block_prefix_of(manifest), part, index=index, shards=shards)
