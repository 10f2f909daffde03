"""The starts that vantage points have agreed on, of a run and of its blocks: waiting for them, and their record.

Block b of a census begins at `start_at` + b * `slot`, and `start_offset` of this machine later. Blocks are counted over
the whole census, so those in which a shard has no target count too.
"""

import time
from collections.abc import Callable
from typing import Final

import msgspec
import numpy as np

from liveness.config.schedule import block_spans_s
from liveness.errors import UsageError
from liveness.runs.manifest import Clock, Manifest, Shard
from liveness.scan.plan import Plan
from liveness.scan.shared import Shared

START_LEAD_S: Final = 2.0
"""Time before an agreed start at which the processes of a scan are started."""
START_POLL_S: Final = 1.0
"""A clock that is set while a scan waits takes effect within this time."""
CLOCK_OFF_MS: Final = 50.0
"""A clock that is further from true time is reported."""
MS_NS: Final = 1_000_000


def first_start_ns(plan: Plan) -> int | None:
    """Return when this machine is to send its first probe, ns since 1970; None if no start was agreed."""
    config = plan.config
    if config.start_at is None:
        return None
    return round(config.start_at.seconds * 1e3) * MS_NS + config.start_offset.us * 1_000


def block_numbers(plan: Plan) -> list[int]:
    """Return the number of each part of the order among the blocks of the whole census."""
    quotas = plan.config.quotas(plan.targets).tolist()
    blocks = plan.targets.blocks(plan.config.block_prefix)
    names = [block.name for block, quota in zip(blocks, quotas, strict=True) if quota]
    places = {name: number for number, name in enumerate(names)}
    return [places.get(part.name, number) for number, part in enumerate(plan.order.parts)]


def agreed_ns(plan: Plan, part: int) -> int | None:
    """Return when a part of the order is to begin on this machine, ns since 1970; None if it follows the last one."""
    first_ns, slot = first_start_ns(plan), plan.config.slot
    if first_ns is None or (slot is None and part > 0):
        return None
    return first_ns if slot is None else first_ns + block_numbers(plan)[part] * slot.us * 1_000


def slack_s(plan: Plan) -> float:
    """Return by how much a block may be late and still end before the next one is to begin.

    Raises UsageError if the slot is shorter than the longest block with its cooldown, because no later block would be
    in time, or if there is a slot or an offset without a start from which it counts.
    """
    config = plan.config
    for name, value in (
        ("slot", config.slot),
        ("start_offset", config.start_offset if config.start_offset.us else None),
    ):
        if value is not None and config.start_at is None:
            raise UsageError(
                f"config {config.name!r}: $.{name}: {value}: counts from an agreed start: give start_at (--start-at)"
            )
    if config.slot is None:
        return 0.0
    targets = np.array([part.targets for part in plan.order.parts], np.int64)
    longest_s = float(block_spans_s(config, targets, plan.rate_pps).max(initial=0.0))
    if longest_s >= config.slot.seconds:
        raise UsageError(
            f"config {config.name!r}: $.slot: {config.slot}: the longest block takes {longest_s:,.0f} s with its"
            " cooldown: expected a longer slot, or a higher rate"
        )
    return config.slot.seconds - longest_s


def check_slots_kept(whole: Plan, left: Plan) -> None:
    """Raise UsageError if a block of `left`, the plan without targets that have no route, has the slot of another."""
    config = whole.config
    if config.slot is None:
        return
    for before, after in zip(whole.order.parts, left.order.parts, strict=False):
        if before.name != after.name:
            raise UsageError(
                f"config {config.name!r}: $.slot: {config.slot}: without the targets that routes leave out, block"
                f" {after.name} would begin in the slot of {before.name}: give these targets a route, or block them at"
                " all vantage points (targets.block)"
            )


def shard_record(plan: Plan, late: float | None = None) -> Shard | msgspec.UnsetType:
    """Return the record of a shard and of an agreed start; nothing for a whole census that began at once."""
    config = plan.config
    if config.shard.of == 1 and config.start_at is None:
        return msgspec.UNSET
    return Shard(
        index=config.shard.index,
        of=config.shard.of,
        start_at=None if config.start_at is None else str(config.start_at),
        late_ms=late,
        offset_s=config.start_offset.seconds or msgspec.UNSET,
        slot_s=msgspec.UNSET if config.slot is None else config.slot.seconds,
    )


def late_ms(plan: Plan, shared: Shared, first: Manifest) -> float | None:
    """Return the time from the agreed start to the first packet; of a resumed run, that of the session that sent it.

    `first` is the manifest at the beginning of this session. None if no start was agreed, or before the first packet.
    A time before the agreed start is none: older versions recorded it when a run was stopped while it waited.
    """
    start_ns = first_start_ns(plan)
    if start_ns is None:
        return None
    earlier = first.shard.late_ms if first.resumed and isinstance(first.shard, Shard) else None
    if earlier is not None and earlier >= 0:
        return earlier
    return late_after_ms(shared, 0, start_ns)


def late_after_ms(shared: Shared, part: int, agreed: int) -> float | None:
    """Return the time from an agreed one (ns since 1970) to the first packet of a part; None before that packet."""
    began_ns = shared.began_ns[:, part]
    begun = began_ns[began_ns > 0]
    return round((int(begun.min()) - agreed) / MS_NS, 3) if len(begun) else None


def clock_warning(clock: Clock) -> str | None:
    """Return a line about a clock by which no start can be agreed to within CLOCK_OFF_MS; None for a good one."""
    if not clock.synchronised:
        return "nothing synchronises this machine's clock: its agreed starts may be anywhere (run chronyd, say)"
    if clock.offset_ms is not None and abs(clock.offset_ms) > CLOCK_OFF_MS:
        side = "ahead of" if clock.offset_ms > 0 else "behind"
        return f"this machine's clock is {abs(clock.offset_ms):,.0f} ms {side} true time ({clock.source})"
    return None


def await_start(plan: Plan, on_notice: Callable[[str], None]) -> bool:
    """Wait until shortly before the agreed start of a run, and return whether it has one; senders wait for the rest.

    The highest rate within the limits, which may take long to find, is found before.
    """
    start_ns = first_start_ns(plan)
    if start_ns is None:
        return False
    _ = plan.ceiling_pps
    start, start_s = plan.config.start_at, start_ns / 1e9
    offset = plan.config.start_offset
    shown = f"{start} + {offset}" if offset.us else str(start)
    left_s = start_s - time.time()
    if left_s < 0:
        on_notice(f"the agreed start was {-left_s:,.1f} s ago ({shown}): sending begins at once")
    elif left_s > START_LEAD_S:
        on_notice(f"waiting until {shown}")
    while (left_s := start_s - time.time()) > START_LEAD_S:
        time.sleep(min(START_POLL_S, left_s - START_LEAD_S))
    return True
