"""Merging: from the segments that receivers wrote to the sets and counts of their run."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pyroaring import BitMap

from liveness.store.manifest import Counts, SetEntry
from liveness.store.rundir import RunDirectory
from liveness.store.segment import PartKey, SegmentFile, Tally, write_segment
from liveness.types import ReplyKey, Role, SetKey, roles_of


@dataclass(frozen=True, slots=True)
class Gathered:
    """All that was received in a run: its sets as they lie on disk, its counts, and which attempts were answered."""

    sets: list[SetEntry] = field(default_factory=list)
    attempts: dict[str, Counts] = field(default_factory=dict)
    """Targets that anything answered for, by probe and by the attempts that replies prove: one digit an attempt."""
    duplicates: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    """Accepted replies beyond the first of each target and attempt, by probe, class and attempt; classes with any."""
    tally: Tally = field(default_factory=Tally)


def total(segments: Iterable[SegmentFile]) -> Tally:
    """Return the counts of all segments together."""
    tally = Tally()
    for segment in segments:
        tally.add(segment.tally)
    return tally


def merge(directory: RunDirectory, segments: Sequence[SegmentFile], probes: Sequence[str], attempts: int) -> Gathered:
    """Write the sets that the segments add up to, one at a time, and return what was gathered.

    The entries follow the order of `probes`, then kinds, ICMP types and codes. Raises LivenessError when the disk
    refuses or a segment is damaged; the segments stay.
    """
    keys = {key for segment in segments for key in segment.keys}
    gathered = Gathered(tally=total(segments))
    for probe in probes:
        of_probe = [key for key in keys if key.reply.probe == probe]
        for reply in sorted({key.reply for key in of_probe}, key=_order):
            parts = _Parts(segments, reply, attempts)
            gathered.sets.extend(_write_sets(directory, reply, parts.whole))
            sent = gathered.tally.by_attempt.get(probe, {}).get(reply.label, [0] * attempts)
            duplicates = [messages - once for messages, once in zip(sent[:attempts], parts.answered, strict=True)]
            if any(duplicates):
                gathered.duplicates.setdefault(probe, {})[reply.label] = duplicates
        counts = _patterns(segments, of_probe, attempts)
        if counts:
            gathered.attempts[probe] = counts
    return gathered


class _Parts:
    """The parts of one class of replies: whole, and how many targets each attempt had an answer for."""

    def __init__(self, segments: Sequence[SegmentFile], reply: ReplyKey, attempts: int) -> None:
        self.whole = {part: BitMap() for part in Role}
        self.answered: list[int] = []
        for attempt in range(attempts + 1):  # the last: replies that prove none
            of_attempt = {part: _union(segments, [PartKey(reply, part, attempt)]) for part in Role}
            if attempt < attempts:
                self.answered.append(of_attempt[Role.DIRECT].union_cardinality(of_attempt[Role.TARGET]))
            for part, addresses in of_attempt.items():
                self.whole[part] |= addresses


def compact(segments: Sequence[SegmentFile], path: Path) -> None:
    """Write one segment in place of many, then remove them. Raises LivenessError when the disk refuses.

    Killed at any moment it leaves either the many or the one: the one names those it replaces.
    """
    keys = sorted({key for segment in segments for key in segment.keys}, key=str)
    parts = ((key, _union(segments, [key])) for key in keys)
    write_segment(path, total(segments), parts, [segment.path.name for segment in segments])
    for segment in segments:
        segment.path.unlink(missing_ok=True)


def _order(reply: ReplyKey) -> tuple[int, int, int]:
    return int(reply.kind), reply.icmp_type or 0, reply.icmp_code or 0


def _union(segments: Sequence[SegmentFile], keys: Iterable[PartKey]) -> BitMap:
    union = BitMap()
    for key in keys:
        for segment in segments:
            union |= segment.part(key)
    return union


def _write_sets(directory: RunDirectory, reply: ReplyKey, parts: dict[Role, BitMap]) -> list[SetEntry]:
    """Write the sets of one class of replies; a part that a set needs twice is not copied, for it may be large."""
    direct = parts[Role.DIRECT]
    entries = []
    for role in roles_of(reply.kind):
        others = BitMap() if role is Role.DIRECT else parts[role]
        addresses = (direct | others if direct else others) if others else direct
        if addresses:
            entries.append(directory.write_set(SetKey(reply, role), addresses))
    return entries


def _patterns(segments: Sequence[SegmentFile], keys: Sequence[PartKey], attempts: int) -> Counts:
    """Return how many targets of one probe were answered, by the attempts that the replies prove."""
    answered = [
        _union(segments, (key for key in keys if key.attempt == attempt and key.part is not Role.SOURCE))
        for attempt in range(attempts)
    ]
    counts = {}
    for number in range((1 << attempts) - 1, 0, -1):
        digits = f"{number:0{attempts}b}"
        proven = [addresses for addresses, digit in zip(answered, digits, strict=True) if digit == "1"]
        others = [addresses for addresses, digit in zip(answered, digits, strict=True) if digit == "0"]
        matching = BitMap.intersection(*proven)
        for addresses in others:
            matching -= addresses
        if matching:
            counts[digits] = len(matching)
    return counts
