"""Book of losses: the known losses of a run, the stretches of the order they concern, and what was sent again."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import pairwise
from typing import Final

import msgspec

from liveness.runs.losses import Losses, LossRecord, LostSpan
from liveness.scan.losses.extent import Extent, extent_of
from liveness.scan.losses.intervals import LossInterval
from liveness.scan.losses.order_track import OrderTrack, joined
from liveness.scan.losses.repairs import Stretch
from liveness.scan.plan import Plan
from liveness.scan.recovery.checkpointing import GRACE_S
from liveness.scan.shared import Shared
from liveness.space.intervals import Intervals

MOST_SPANS: Final = 128
"""Stretches kept per sender; above this number the two nearest are joined."""
MOST_RECORDS: Final = 64
"""Losses that are recorded individually."""
NEAR_NS: Final = 5_000_000_000
"""Losses of one cause within this time are recorded as one."""
TOUCHES_NS: Final = 500_000_000
MOST_TRIES: Final = 2
"""Number of times that a stretch is sent again."""
OUTAGE: Final = 0.9
"""Lost share from which a loss is taken for an outage that has ended. Below it, the path does not carry the rate."""
PACE_KEPT: Final = 0.8
"""Share of the rate that came through at which a stretch is sent again."""
LEAST_PACE: Final = 0.1
MOST_PACE: Final = 16.0
"""Largest factor by which ticks pass faster where only few targets are sent to again."""
HALF: Final = 0.5
"""Fewer expected targets than this count as none."""
NS: Final = 1_000_000_000
GROWN: Final = 10
"""A growing loss is reported again each time it has grown by this factor."""


class Certainty(IntEnum):
    """Certainty with which a cause explains a loss. Of overlapping losses, the most certain cause is reported."""

    SILENCE = 0
    COUNTERS = 1
    PATH = 2


@dataclass(slots=True)
class _Entry:
    """Loss of this session, which may still grow. Times are ns of the monotonic clock."""

    start_ns: int
    end_ns: int
    cause: str
    certainty: Certainty
    counted: int
    """Frames, if they were counted; 0 if everything sent in the interval is assumed lost."""
    spans: list[LostSpan]
    whole: bool
    """Whether everything sent in one of its intervals is assumed lost."""
    reported: int = 0
    extent: Extent | None = None
    """Extent of the spans, or None after they have changed."""

    def same_loss(self, other: "_Entry") -> bool:
        """Return whether another entry is part of the same loss.

        It is if it has the same cause and is near in time, or if the two overlap by half of the shorter one. Silence
        is not a cause by itself: if it touches another loss, it is part of that loss.
        """
        apart_ns = max(self.start_ns, other.start_ns) - min(self.end_ns, other.end_ns)
        if self.cause == other.cause:
            return apart_ns <= NEAR_NS
        if Certainty.SILENCE in (self.certainty, other.certainty):
            return apart_ns <= TOUCHES_NS
        shorter_ns = min(self.end_ns - self.start_ns, other.end_ns - other.start_ns)
        return apart_ns < 0 and -2 * apart_ns >= shorter_ns

    def take(self, other: "_Entry") -> None:
        """Merge another entry into this one."""
        sure, vague = (self, other) if self.certainty >= other.certainty else (other, self)
        edge_ns = TOUCHES_NS if vague.certainty is Certainty.SILENCE and vague.certainty < sure.certainty else 0
        start_ns, end_ns = vague.start_ns + edge_ns, vague.end_ns - edge_ns  # silence says only about when it began
        self.start_ns = sure.start_ns if start_ns >= sure.start_ns else min(sure.start_ns, vague.start_ns)
        self.end_ns = sure.end_ns if end_ns <= sure.end_ns else max(sure.end_ns, vague.end_ns)
        if other.certainty > self.certainty:
            self.cause, self.certainty = other.cause, other.certainty
        self.counted += other.counted
        self.whole |= other.whole
        self.reported = max(self.reported, other.reported)
        for span in other.spans:
            _add(self.spans, span)
        self.extent = None


@dataclass(slots=True)
class LossBook:
    """Losses of one session, which starts with the pending losses of earlier sessions."""

    plan: Plan
    shared: Shared
    earlier: Losses
    started_ns: int
    """When the session began, ns of the monotonic clock."""
    after_s: float
    """Duration of the earlier sessions, in seconds."""
    on_notice: Callable[[str], None]
    counters_believed: Callable[[], bool] = lambda: False
    """Return whether the counters of the interface show the losses at it."""
    track: OrderTrack = field(init=False)
    pending: list[LostSpan] = field(init=False)
    changes: int = 0
    """Number of changes of the book."""
    _entries: list[_Entry] = field(default_factory=list)
    _in_hand: dict[int, LostSpan] = field(default_factory=dict)
    _awaited: list[tuple[int, LostSpan]] = field(default_factory=list)
    """Stretches that were sent again, with the time. Their replies are not all on disk yet."""

    def __post_init__(self) -> None:
        """Start with the pending stretches, without what this session sends anyway from its start position on."""
        self.track = OrderTrack(self.plan.senders)
        starts = self.shared.positions_now()
        self.pending = []
        for span in self.earlier.pending:
            start = starts[span.sender]
            if (span.block, span.first - span.margin) < (start.block, start.tick):
                last = min(span.last, start.tick) if span.block == start.block else span.last
                first = min(span.first, last)
                self.pending.append(msgspec.structs.replace(span, first=first, last=last, tries=0))

    def report(
        self,
        loss: LossInterval,
        certainty: Certainty = Certainty.PATH,
        frames: int | None = None,
        *,
        margin_ns: int = 0,
    ) -> None:
        """Record a loss: everything sent in an interval, or `frames` frames of it.

        Probes sent up to `margin_ns` (or `loss.before_ns`) before and after may be lost as well: they are sent again,
        but not counted as lost. A loss that the counters of the interface count is not counted here, because they
        report it separately for the same time.
        """
        margin_ns = max(margin_ns, loss.before_ns)
        share = 1.0
        if loss.targets is not None:
            share = min(1.0, loss.targets.count / max(1, self.plan.target_count))
        spans = self.track.spans(loss.start_ns, loss.end_ns, share, loss.ends_ns)
        after_ns = margin_ns if margin_ns > loss.before_ns else 0  # `before_ns` says nothing about what came after
        wide = []
        if margin_ns:
            ends_ns = tuple(end_ns + after_ns for end_ns in loss.ends_ns)
            wide = self.track.spans(loss.start_ns - margin_ns, loss.end_ns + after_ns, share, ends_ns)
        if frames is not None and spans:
            share = min(1.0, frames / max(1.0, extent_of(spans, self.plan).probes))
            spans = [msgspec.structs.replace(span, share=share) for span in spans]
        if not spans and not wide and not frames:
            return
        self.changes += 1
        counted = loss.counted and self.counters_believed()
        new = _Entry(loss.start_ns, loss.end_ns, loss.cause, certainty, frames or 0, [], frames is None and not counted)
        spans, margins = _with_margins(*(_within(part, loss.targets) for part in (spans, wide)))
        if certainty is Certainty.SILENCE:
            spans = [msgspec.structs.replace(span, edge=span.margin // 2) for span in spans]
        if counted:
            spans, margins = [], [*map(_as_margin, spans), *margins]
        for span in spans:
            _add(new.spans, span)
        for span in (*spans, *margins):
            self._keep(span)
        self._report_growth(self._entered(new))

    def _entered(self, new: _Entry) -> _Entry:
        """Add a loss, and return the entry that it is now part of."""
        for entry in reversed(self._entries):
            if entry.same_loss(new):
                entry.take(new)
                return entry
        self._entries.append(new)
        if len(self._entries) > MOST_RECORDS:
            self._unite()
        return new

    def _unite(self) -> None:
        """Merge the two oldest losses of the same cause, or the two oldest if all causes differ."""
        causes = [entry.cause for entry in self._entries]
        second = next((place for place, cause in enumerate(causes) if cause in causes[:place]), 1)
        first = causes.index(causes[second]) if causes[second] in causes[:second] else 0
        other = self._entries.pop(second)
        self._entries[first].take(other)

    def _keep(self, span: LostSpan) -> None:
        """Keep a stretch for repair. If it was lost while it was being sent again, increase its number of tries."""
        for held in self._in_hand.values():
            if held.sender == span.sender and held.block == span.block and held.first - held.margin <= span.first:
                span = msgspec.structs.replace(span, tries=max(span.tries, held.tries + 1))
        free = [kept for kept in self.pending if kept not in self._in_hand.values()]
        held_now = [kept for kept in self.pending if kept in self._in_hand.values()]
        _add(free, span)
        self.pending = held_now + free

    def _report_growth(self, entry: _Entry) -> None:
        record = self._record(entry)
        if record.probes >= max(1, GROWN * entry.reported):
            entry.reported = record.probes
            self.on_notice(f"loss: {_text(record)}")

    def serve(self, *, settled: bool) -> None:
        """Answer senders that request a stretch to send again; `settled` says that all losses until now are known."""
        for sender in range(self.plan.senders):
            block = self.shared.repairs.requested_block(sender)
            if block is None or not settled:
                continue
            done = self._in_hand.pop(sender, None)
            if done is not None:
                self.pending.remove(done)
                self._awaited.append((time.monotonic_ns(), done))
            self.shared.repairs.answer(sender, self._next(sender, block))

    def _next(self, sender: int, block: int) -> Stretch | None:
        if not self.plan.config.limits.repair:
            return None
        mine = (span for span in self.pending if span.sender == sender and span.block <= block)
        span = min(
            (span for span in mine if span.tries < MOST_TRIES), key=lambda span: (span.block, span.first), default=None
        )
        if span is None:
            return None
        self._in_hand[sender] = span
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
        return any(span.selective for span in self._in_hand.values())

    def remaining(self) -> Extent:
        """Return the extent of the known losses that were not sent again."""
        return extent_of(self.pending, self.plan)

    def losses(self) -> Losses:
        """Return the losses for the manifest and the checkpoint.

        They include stretches that were sent again recently: replies to these may not be on disk yet, and a run that
        resumes from the checkpoint sends them again.
        """
        wait_ns = int((self.plan.cooldown_s + GRACE_S) * NS)
        on_disk_ns = int(self.shared.on_disk_ns.min())
        self._awaited = [awaited for awaited in self._awaited if awaited[0] + wait_ns > on_disk_ns]
        records = [record for record in map(self._record, self._entries) if record.probes]
        awaited = [span for _, span in self._awaited]
        return Losses(records=[*self.earlier.records, *records], pending=[*self.pending, *awaited])

    def _record(self, entry: _Entry) -> LossRecord:
        extent = entry.extent = entry.extent or extent_of(entry.spans, self.plan)
        return LossRecord(
            from_s=round(max(0.0, self.after_s + (entry.start_ns - self.started_ns) / NS), 3),
            to_s=round(self.after_s + (entry.end_ns - self.started_ns) / NS, 3),
            cause=entry.cause,
            probes=round(extent.probes) if entry.whole else entry.counted,
            targets=min(round(extent.affected), self.plan.target_count),
        )

    def warnings(self) -> list[str]:
        """Return a line for each loss of the run, and one that says what was sent again."""
        losses, remaining = self.losses(), self.remaining()
        lines = [_text(record) for record in losses.records]
        if not lines and remaining.affected < HALF and not self.shared.repaired.any():
            return []
        if remaining.affected < HALF:
            lines.append("everything that is known to have been lost was sent again")
        else:
            most = self.plan.target_count
            lines.append(
                f"{round(min(remaining.affected, most)):,} targets were not sent again what was lost;"
                f" {round(min(remaining.missed, most)):,} of them lost every attempt of a probe"
            )
        return lines

    def too_much(self) -> str | None:
        """Return why a run with too much known loss is not complete, or None if it is."""
        missed, limit = self.remaining().missed, self.plan.config.limits.loss
        if missed <= limit * self.plan.target_count or missed < HALF:
            return None
        return (
            f"{round(missed):,} targets ({missed / self.plan.target_count:.2%}) are known to have lost every attempt of"
            f" a probe, more than limits.loss allows ({limit:.2%}): resuming sends to them again"
        )


def _text(record: LossRecord) -> str:
    when = f"between {record.from_s:.1f} s and {record.to_s:.1f} s"
    return f"{record.probes:,} probes to {record.targets:,} targets were lost {when}: {record.cause}"


def _with_margins(spans: list[LostSpan], wide: list[LostSpan]) -> tuple[list[LostSpan], list[LostSpan]]:
    """Return `spans` with margins up to the ends of the `wide` spans around them, and other wide spans as margins."""
    found = []
    for span in spans:
        around = [wider for wider in wide if wider.overlaps(span)]
        margin = max([span.margin, *(max(span.first - wider.first, wider.last - span.last) for wider in around)])
        found.append(msgspec.structs.replace(span, margin=margin))
    apart = [wider for wider in wide if not any(wider.overlaps(span) for span in spans)]
    return found, [_as_margin(wider) for wider in apart]


def _within(spans: list[LostSpan], targets: Intervals | None) -> list[LostSpan]:
    """Return stretches that concern only targets between the first and the last of `targets`; None for all."""
    if targets is None or not len(targets):
        return spans
    lowest, highest = int(targets.first[0]), int(targets.last[-1])
    return [msgspec.structs.replace(span, lowest=lowest, highest=highest) for span in spans]


def _as_margin(span: LostSpan) -> LostSpan:
    """Return a stretch of length 0 whose margin covers `span`: it is sent again, but not counted as lost."""
    middle = (span.first + span.last) // 2
    reach = max(middle - span.first, span.last - middle)
    return msgspec.structs.replace(span, first=middle, last=middle, margin=span.margin + reach)


def _add(spans: list[LostSpan], span: LostSpan) -> None:
    """Add a stretch, joined with one that it touches; above MOST_SPANS, join the two nearest of the sender."""
    for place, other in enumerate(spans):
        if other.overlaps(span):
            spans[place] = joined(other, span)
            return
    spans.append(span)
    mine = sorted(
        (other for other in spans if other.sender == span.sender), key=lambda other: (other.block, other.first)
    )
    if len(mine) <= MOST_SPANS:
        return
    gaps = [
        (later.first - earlier.last, place)
        for place, (earlier, later) in enumerate(pairwise(mine))
        if (earlier.block, earlier.lags, earlier.begins) == (later.block, later.lags, later.begins)
    ]
    if gaps:
        place = min(gaps)[1]
        nearest, other = mine[place], mine[place + 1]
        spans.remove(nearest)
        spans.remove(other)
        spans.append(joined(nearest, other))
