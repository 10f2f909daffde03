"""The start that all shards have agreed on: waiting for it, and its record."""

import time
from collections.abc import Callable
from typing import Final

import msgspec

from liveness.runs.manifest import Manifest, Shard
from liveness.scan.plan import Plan
from liveness.scan.shared import Shared

START_LEAD_S: Final = 2.0
"""Time before an agreed start at which the processes of a scan are started."""
START_POLL_S: Final = 1.0
"""A clock that is set while a scan waits takes effect within this time."""


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


def await_start(plan: Plan, on_notice: Callable[[str], None]) -> bool:
    """Wait until shortly before the agreed start of a run, and return whether it has one; senders wait for the rest."""
    start = plan.config.start_at
    if start is None:
        return False
    left_s = start.seconds - time.time()
    if left_s < 0:
        on_notice(f"the agreed start was {-left_s:,.1f} s ago ({start}): sending begins at once")
    elif left_s > START_LEAD_S:
        on_notice(f"waiting until {start}")
    while (left_s := start.seconds - time.time()) > START_LEAD_S:
        time.sleep(min(START_POLL_S, left_s - START_LEAD_S))
    return True
