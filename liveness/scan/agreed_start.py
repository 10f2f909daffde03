"""The record of a shard and of the start that all shards have agreed on."""

import msgspec

from liveness.runs.manifest import Manifest, Shard
from liveness.scan.plan import Plan
from liveness.scan.shared import Shared


def shard_record(plan: Plan, late: float | None = None) -> Shard | msgspec.UnsetType:
    """Return the record of a shard and of an agreed start; nothing for a whole census that began at once."""
    config = plan.config
    if config.shard.of == 1 and config.start_at is None:
        return msgspec.UNSET
    start_at = None if config.start_at is None else str(config.start_at)
    return Shard(index=config.shard.index, of=config.shard.of, start_at=start_at, late_ms=late)


def late_ms(plan: Plan, shared: Shared, first: Manifest) -> float | None:
    """Return the time from the agreed start to the first packet; of a resumed run, that of its first session.

    `first` is the manifest at the beginning of this session. None if no start was agreed, or before the first packet.
    """
    if plan.config.start_at is None:
        return None
    if first.resumed:
        return first.shard.late_ms if isinstance(first.shard, Shard) else None
    began_ns = shared.began_ns[shared.began_ns > 0]
    return round(float(began_ns.min()) / 1e6 - plan.config.start_at.seconds * 1e3, 3) if len(began_ns) else None
