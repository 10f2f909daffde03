"""Repair list: the stretches that are still to be sent again, and what was lost while a stretch was sent again."""

import time
from dataclasses import dataclass, field
from typing import Final

import msgspec

from liveness.runs.losses import LostSpan
from liveness.scan.losses.order_track import WalkKey
from liveness.scan.losses.repairs import Stretch
from liveness.scan.losses.spans import add_span
from liveness.scan.plan import Plan
from liveness.scan.recovery.checkpointing import GRACE_S
from liveness.scan.shared import Shared

MOST_TRIES: Final = 2
"""Number of times that a stretch is sent again."""
MOST_KNOWN: Final = 4_096
"""Repairs of which the list remembers what they were for."""
OUTAGE: Final = 0.9
"""Lost share from which a loss is taken for an outage that has ended. Below it, the path does not carry the rate."""
PACE_KEPT: Final = 0.8
"""Share of the rate that came through at which a stretch is sent again."""
LEAST_PACE: Final = 0.1
MOST_PACE: Final = 16.0
"""Largest factor by which ticks pass faster where only few targets are sent to again."""
NS: Final = 1_000_000_000


@dataclass(slots=True)
class RepairList:
    """Repair list of one session."""

    plan: Plan
    shared: Shared
    pending: list[LostSpan]
    in_hand: dict[int, LostSpan] = field(default_factory=dict)
    """The stretch that each sender sends again now. It is also pending until it has been sent."""
    _repairs: dict[WalkKey, LostSpan] = field(default_factory=dict)
    """What each repair was for."""
    _awaited: list[tuple[int, LostSpan]] = field(default_factory=list)
    """Stretches that were sent again, with the time. Their replies are not all on disk yet."""

    def keep(self, span: LostSpan) -> None:
        """Keep a stretch until it is sent again. Stretches that are being sent again now are not joined with it."""
        free = [kept for kept in self.pending if kept not in self.in_hand.values()]
        held_now = [kept for kept in self.pending if kept in self.in_hand.values()]
        add_span(free, span)
        self.pending = held_now + free

    def repaired(self, walk: WalkKey) -> LostSpan | None:
        """Return the stretch that a walk sends again; None for a walk through the order, or a repair of long ago."""
        return self._repairs.get(walk)

    def serve(self, *, settled: bool) -> None:
        """Answer senders that request a stretch to send again; `settled` says that all losses until now are known."""
        for sender in range(self.plan.senders):
            block = self.shared.repairs.requested_block(sender)
            if block is None or not settled:
                continue
            done = self.in_hand.pop(sender, None)
            if done is not None:
                self.pending.remove(done)
                self._awaited.append((time.monotonic_ns(), done))
            span = self._next(sender, block)
            number = self.shared.repairs.answer(sender, None if span is None else self._stretch(span))
            if span is not None:
                self.in_hand[sender] = self._repairs[sender, number] = span
                if len(self._repairs) > MOST_KNOWN:
                    del self._repairs[next(iter(self._repairs))]

    def _next(self, sender: int, block: int) -> LostSpan | None:
        """Return the first stretch of blocks up to `block` that a sender can send again."""
        if not self.plan.config.limits.repair:
            return None
        mine = (span for span in self.pending if span.sender == sender and span.block <= block)
        return min(
            (span for span in mine if span.tries < MOST_TRIES), key=lambda span: (span.block, span.first), default=None
        )

    def _stretch(self, span: LostSpan) -> Stretch:
        if span.selective:
            pace = self._selective_pace(span)
        else:
            pace = 1.0 if span.share >= OUTAGE else max(LEAST_PACE, PACE_KEPT * (1 - span.share))
        first = max(0, span.first - span.margin)
        pace /= 2**span.tries
        bounds = span.lowest, span.highest
        return Stretch(span.block, first, span.last + span.margin, span.lags, span.begins, pace, *bounds)

    def _selective_pace(self, span: LostSpan) -> float:
        """Return how much faster ticks pass if those of the block's other targets take no packets.

        Where `limits.max_pps_per_24` is set they pass as fast as before, because faster ones bring each /24 more
        packets per second.
        """
        if self.plan.config.limits.max_pps_per_24 is not None:
            return 1.0
        listed = self.plan.order.parts[span.block].listed
        below, up_to = (int(rank) for rank in listed.rank([span.lowest, span.highest + 1]))
        return min(MOST_PACE, listed.count / max(1, up_to - below))

    @property
    def selective(self) -> bool:
        """Whether a sender sends only to some targets again: their hit rate is not that of the block."""
        return any(span.selective for span in self.in_hand.values())

    def unfinished(self) -> list[LostSpan]:
        """Return what a run that resumes now has to send again.

        It includes stretches that were sent again recently, since replies to these may not be on disk yet.
        """
        wait_ns = int((self.plan.cooldown_s + GRACE_S) * NS)
        on_disk_ns = int(self.shared.on_disk_ns.min())
        self._awaited = [awaited for awaited in self._awaited if awaited[0] + wait_ns > on_disk_ns]
        return [*self.pending, *(span for _, span in self._awaited)]


def pending_in(spans: list[LostSpan], shared: Shared) -> list[LostSpan]:
    """Return pending stretches of earlier sessions, without what this session sends anyway from its start on."""
    starts = shared.positions_now()
    pending = []
    for span in spans:
        start = starts[span.sender]
        if (span.block, span.first - span.margin) < (start.block, start.tick):
            last = min(span.last, start.tick) if span.block == start.block else span.last
            first = min(span.first, last)
            pending.append(msgspec.structs.replace(span, first=first, last=last, tries=0))
    return pending
