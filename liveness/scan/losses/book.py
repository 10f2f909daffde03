"""Book of losses: the known losses of a run, the stretches of the order they concern, and what was sent again."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from liveness.runs.losses import Losses, LossRecord, LostSpan
from liveness.scan.losses.entry import Certainty, Entry, text_of
from liveness.scan.losses.extent import Extent, extent_of
from liveness.scan.losses.intervals import LossInterval
from liveness.scan.losses.order_track import OrderTrack, WalkKey
from liveness.scan.losses.repair_list import RepairList, pending_in
from liveness.scan.losses.spans import as_margin, still_lost, with_margins
from liveness.scan.plan import Plan
from liveness.scan.shared import Shared
from liveness.space.intervals import Intervals

MOST_RECORDS: Final = 64
"""Losses that are recorded individually."""
HALF: Final = 0.5
"""Fewer expected targets than this count as none."""
NS: Final = 1_000_000_000
GROWN: Final = 10
"""A growing loss is reported again each time it has grown by this factor."""


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
    repairs: RepairList = field(init=False)
    changes: int = 0
    """Number of changes of the book."""
    _entries: list[Entry] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start with the pending stretches, without what this session sends anyway from its start position on."""
        self.track = OrderTrack(self.plan.senders)
        self.repairs = RepairList(self.plan, self.shared, pending_in(self.earlier.pending, self.shared))

    @property
    def pending(self) -> list[LostSpan]:
        """Stretches that are known to be lost and have not been sent again."""
        return self.repairs.pending

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
        after_ns = margin_ns if margin_ns > loss.before_ns else 0  # `before_ns` says nothing about what came after
        lost = self._concerned(self.track.walks(loss.start_ns, loss.end_ns, loss.ends_ns), loss.targets)
        around: dict[WalkKey, list[LostSpan]] = {}
        if margin_ns:
            ends_ns = tuple(end_ns + after_ns for end_ns in loss.ends_ns)
            wide = self.track.walks(loss.start_ns - margin_ns, loss.end_ns + after_ns, ends_ns)
            around = self._concerned(wide, loss.targets)
        if not lost and not around and not frames:
            return
        lost_share = 1.0
        if frames is not None:
            sent = sum(extent_of(spans, self.plan).probes for spans in lost.values())
            lost_share = min(1.0, frames / max(1.0, sent))
        self.changes += 1
        counted = loss.counted and self.counters_believed()
        new = Entry(loss.start_ns, loss.end_ns, loss.cause, certainty, frames or 0, frames is None and not counted)
        for walk in {**lost, **around}:
            spans, margins = with_margins(lost.get(walk, []), around.get(walk, []))
            if certainty is Certainty.SILENCE:
                spans = [msgspec.structs.replace(span, edge=span.margin // 2) for span in spans]
            if counted:
                spans, margins = [], [*map(as_margin, spans), *margins]
            for span in spans:
                new.add(walk[1], msgspec.structs.replace(span, share=lost_share * span.share))
            for span in (*spans, *margins):
                self.repairs.keep(self._to_repair(walk, span, lost_share, loss.targets))
        self._report_growth(self._entered(new))

    def _concerned(
        self, walks: dict[WalkKey, list[LostSpan]], targets: Intervals | None
    ) -> dict[WalkKey, list[LostSpan]]:
        """Limit what was sent to `targets`, and to those that it was sent to; a share says how many of a block's."""
        found: dict[WalkKey, list[LostSpan]] = {}
        for walk, spans in walks.items():
            repaired = self.repairs.repaired(walk)
            among = targets
            if repaired is not None and repaired.selective:
                sent_to = Intervals.from_bounds([repaired.lowest], [repaired.highest])
                among = sent_to if targets is None else sent_to.intersection(targets)
            if among is None:
                found[walk] = spans
                continue
            for span in spans:
                listed = self.plan.order.parts[span.block].listed
                here = listed.intersection(among)
                if len(here):
                    share = here.count / listed.count
                    bounds = {"lowest": int(among.first[0]), "highest": int(among.last[-1])}
                    found.setdefault(walk, []).append(msgspec.structs.replace(span, share=share, **bounds))
        return found

    def _to_repair(self, walk: WalkKey, span: LostSpan, lost_share: float, targets: Intervals | None) -> LostSpan:
        """Return what has to be sent again for a stretch of which `lost_share` was lost.

        A loss during a repair concerns only what the repair was to mend: the rest of what it sent had arrived before.
        """
        repaired = self.repairs.repaired(walk)
        if repaired is None:
            return msgspec.structs.replace(span, share=lost_share * span.share)
        if targets is None:
            share = repaired.share
        elif repaired.selective:
            share = min(repaired.share, span.share)  # both are shares of targets, and may be the same ones
        else:
            share = repaired.share * span.share
        return still_lost(repaired, span, lost_share * share)

    def _entered(self, new: Entry) -> Entry:
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

    def _report_growth(self, entry: Entry) -> None:
        record = self._record(entry)
        if record.probes >= max(1, GROWN * entry.reported):
            entry.reported = record.probes
            self.on_notice(f"loss: {text_of(record)}")

    def remaining(self) -> Extent:
        """Return the extent of the known losses that were not sent again."""
        return extent_of(self.pending, self.plan)

    def losses(self) -> Losses:
        """Return the losses for the manifest and the checkpoint."""
        records = [record for record in map(self._record, self._entries) if record.probes]
        return Losses(records=[*self.earlier.records, *records], pending=self.repairs.unfinished())

    def _record(self, entry: Entry) -> LossRecord:
        extent = entry.extent_in(self.plan)
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
        lines = [text_of(record) for record in losses.records]
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
