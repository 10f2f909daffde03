"""Entry of the book of losses: one loss of a session, which grows while more of it is reported."""

from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Final

from liveness.runs.losses import LossRecord, LostSpan
from liveness.scan.losses.extent import Extent, extent_of
from liveness.scan.losses.spans import add_span
from liveness.scan.plan import Plan

NEAR_NS: Final = 5_000_000_000
"""Losses of one cause within this time are recorded as one."""
TOUCHES_NS: Final = 500_000_000


class Certainty(IntEnum):
    """Certainty with which a cause explains a loss. Of overlapping losses, the most certain cause is reported."""

    SILENCE = 0
    COUNTERS = 1
    PATH = 2


@dataclass(slots=True)
class Entry:
    """Loss of this session, which may still grow. Times are ns of the monotonic clock."""

    start_ns: int
    end_ns: int
    cause: str
    certainty: Certainty
    counted: int
    """Frames, if they were counted; 0 if everything sent in the interval is assumed lost."""
    whole: bool
    """Whether everything sent in one of its intervals is assumed lost."""
    spans: dict[int, list[LostSpan]] = field(default_factory=dict)
    """What was lost, by the number of the repair that sent it, 0 for the order itself."""
    reported: int = 0
    extent: Extent | None = None
    """Extent of the spans, or None after they have changed."""

    def add(self, repair: int, span: LostSpan) -> None:
        """Add a stretch that was lost in a repair, or in the walk through the order (0)."""
        add_span(self.spans.setdefault(repair, []), span)
        self.extent = None

    def same_loss(self, other: "Entry") -> bool:
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

    def take(self, other: "Entry") -> None:
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
        for repair, spans in other.spans.items():
            for span in spans:
                self.add(repair, span)

    def extent_in(self, plan: Plan) -> Extent:
        """Return the extent of the loss. A probe that was lost again while it was repaired is two lost frames."""
        if self.extent is None:
            extent = extent_of([span for spans in self.spans.values() for span in spans], plan)
            frames = sum(extent_of(spans, plan).probes for spans in self.spans.values())
            self.extent = replace(extent, probes=frames)
        return self.extent


def text_of(record: LossRecord) -> str:
    """Return a loss as one line."""
    when = f"between {record.from_s:.1f} s and {record.to_s:.1f} s"
    return f"{record.probes:,} probes to {record.targets:,} targets were lost {when}: {record.cause}"
