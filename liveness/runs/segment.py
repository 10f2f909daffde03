"""A segment: what one receiver gathered since its last segment, in one file whose damage is detected.

Receivers write segments while they run, so that their memory stays bounded and what came before a crash is on disk.
Segments of all receivers add up: sets by union, counts by sum.
"""

import os
import re
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from msgspec import Struct, field
from pyroaring import BitMap

from liveness.errors import LivenessError
from liveness.files.atomic import replaced
from liveness.files.reading import MIB, open_regular
from liveness.probes.registry import is_probe
from liveness.replies import VERDICTS, Kind, ReplyKey, Role
from liveness.runs.logstream import LogEnd
from liveness.runs.plausible import is_label, odd_numbers

MAGIC: Final = b"liveness segment 1\n"
_TAIL: Final = struct.Struct(f"<QI{len(MAGIC)}s")
"""The end of a segment: length and CRC-32 of the index before it. The parts come first, in order of arrival."""

_SEGMENT_NAME: Final = re.compile(r"[0-9]+-(?:level[0-9]+-)?[0-9]+\.segment")
INDEX_BYTES: Final = 64 * MIB
MOST_ATTEMPTS: Final = 255
MOST_PROTOCOLS: Final = 255
_NO_PACKETS: Final = frozenset(kind.label for kind in VERDICTS)

Counts = dict[str, int]
K = TypeVar("K", str, int)


@dataclass(frozen=True, slots=True)
class PartKey:
    """A part of the sets of one class of replies, by the attempt that they prove.

    The part `direct` holds those that replied for themselves, who are source and target at once; `source` and `target`
    only the addresses of other replies. So no address is kept twice. Replies that prove no attempt have the number
    after the last attempt.
    """

    reply: ReplyKey
    part: Role
    attempt: int
    protocol: int = 0
    """Number of the protocol by fingerprint; parts of 0 are of all protocols together."""


class Tally(Struct, kw_only=True):
    """Counts of packets: by probe and class accepted (and those that rest on weak evidence), by reason rejected.

    `by_attempt` splits the accepted ones by the attempt they prove, the last number for none; `top_sources` are the
    addresses that sent by far the most, each with the least number of packets that it sent.
    """

    messages: dict[str, Counts] = field(default_factory=dict)
    weak: dict[str, Counts] = field(default_factory=dict)
    by_attempt: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    top_sources: dict[int, int] = field(default_factory=dict, name="busiest")
    rejected: Counts = field(default_factory=dict)
    packets: int = 0
    kernel_packets: int = 0
    """Packets that passed the filter, by the kernel's count; those it dropped are among them."""
    kernel_drops: int = 0
    log: LogEnd = field(default_factory=LogEnd)
    talk: Counts = field(default_factory=dict)
    """Counts of the talks with TCP services, by name."""

    @property
    def accepted(self) -> int:
        """Accepted packets of all probes and classes; what no packet of its own shows is none."""
        return sum(n for counts in self.messages.values() for label, n in counts.items() if label not in _NO_PACKETS)

    def add(self, other: "Tally") -> None:
        """Add the counts of another tally."""
        for mine, theirs in ((self.messages, other.messages), (self.weak, other.weak)):
            for probe, counts in theirs.items():
                _add_counts(mine.setdefault(probe, {}), counts)
        _add_counts(self.rejected, other.rejected)
        _add_counts(self.talk, other.talk)
        _add_counts(self.top_sources, other.top_sources)
        for probe, labels in other.by_attempt.items():
            for label, counted in labels.items():
                sums = self.by_attempt.setdefault(probe, {}).setdefault(label, [])
                sums[:] = [mine + theirs for mine, theirs in zip_longest(sums, counted, fillvalue=0)]
        self.packets += other.packets
        self.kernel_packets += other.kernel_packets
        self.kernel_drops += other.kernel_drops
        self.log.add(other.log)


def _add_counts(counts: dict[K, int], more: Mapping[K, int]) -> None:
    for label, count in more.items():
        counts[label] = counts.get(label, 0) + count


class _Entry(Struct, frozen=True, array_like=True):
    """Where one part lies in the file, and the CRC-32 of its bytes."""

    probe: str
    kind: int
    icmp_type: int | None
    icmp_code: int | None
    part: Role
    attempt: int
    offset: int
    length: int
    crc32: int
    protocol: int = 0

    @property
    def key(self) -> PartKey:
        reply = ReplyKey(self.probe, Kind(self.kind), self.icmp_type, self.icmp_code)
        return PartKey(reply, self.part, self.attempt, self.protocol)


class _Index(Struct, frozen=True):
    tally: Tally
    parts: list[_Entry]
    replaces: list[str] = field(default_factory=list)


def write_segment(
    path: Path, tally: Tally, parts: Iterable[tuple[PartKey, BitMap]], replaces: Sequence[str] = ()
) -> None:
    """Write a segment by rename, one part after the other. Raises LivenessError when the disk refuses.

    `replaces` are the names of segments whose content it holds: they do not count once this segment exists.
    """
    entries: list[_Entry] = []
    offset = 0
    with replaced(path) as file:
        for key, addresses in parts:
            body = addresses.serialize()
            reply, crc = key.reply, zlib.crc32(body)
            words = reply.probe, int(reply.kind), reply.icmp_type, reply.icmp_code, key.part, key.attempt
            entries.append(_Entry(*words, offset, len(body), crc, key.protocol))
            offset += file.write(body)
        index = msgspec.msgpack.encode(_Index(tally, entries, list(replaces)))
        file.write(index)
        file.write(_TAIL.pack(len(index), zlib.crc32(index), MAGIC))


class SegmentFile:
    """A segment that was written: its counts at once, its sets a part at a time."""

    def __init__(self, path: Path) -> None:
        """Read the index. Raises LivenessError that names the file if it cannot be read or is damaged."""
        self.path = path
        try:
            with open_regular(path) as file:
                size = os.fstat(file.fileno()).st_size
        except OSError as problem:
            raise LivenessError(f"{path}: cannot read this segment: {problem.strerror}") from problem
        tail = self._read(max(0, size - _TAIL.size), _TAIL.size)
        if len(tail) < _TAIL.size:
            raise self._damaged()
        length, crc, magic = _TAIL.unpack(tail)
        if magic != MAGIC or length > min(size - _TAIL.size, INDEX_BYTES):
            raise self._damaged()
        index = self._read(size - _TAIL.size - length, length)
        if zlib.crc32(index) != crc:
            raise self._damaged()
        try:
            decoded = msgspec.msgpack.decode(index, type=_Index)
            self._entries = {entry.key: entry for entry in decoded.parts}
        except (msgspec.DecodeError, ValueError, RecursionError) as problem:
            raise self._damaged("its index is none") from problem
        if not _can_be(decoded, size):
            raise self._damaged("its index says what cannot be")
        self.tally = decoded.tally
        self.replaces = decoded.replaces

    @property
    def keys(self) -> list[PartKey]:
        """The parts it holds."""
        return list(self._entries)

    def __contains__(self, key: PartKey) -> bool:
        """Return whether it has this part."""
        return key in self._entries

    def part(self, key: PartKey) -> BitMap:
        """Return one part, an empty set if the segment has none. Raises LivenessError if it is damaged."""
        entry = self._entries.get(key)
        if entry is None:
            return BitMap()
        body = self._read(entry.offset, entry.length)
        if zlib.crc32(body) != entry.crc32:
            raise self._damaged()
        try:
            return BitMap.deserialize(body)
        except (ValueError, IndexError) as problem:
            raise self._damaged("a set in it is none") from problem

    def _read(self, offset: int, length: int) -> bytes:
        try:
            with open_regular(self.path) as file:
                file.seek(offset)
                return file.read(length)
        except OSError as problem:
            raise LivenessError(f"{self.path}: cannot read this segment: {problem.strerror}") from problem

    def _damaged(self, why: str = "its checksum is wrong") -> LivenessError:
        return LivenessError(f"{self.path}: a damaged segment: {why}; move it away to do without")


def _can_be(index: _Index, size: int) -> bool:
    """Return whether an index can be that of a segment of so many bytes: a checksum proves no author."""
    tally = index.tally
    replies = all(
        0 <= entry.offset <= size
        and 0 <= entry.length <= size - entry.offset
        and 0 <= entry.attempt <= MOST_ATTEMPTS
        and 0 <= entry.protocol <= MOST_PROTOCOLS
        and is_probe(entry.probe)
        and is_label(entry.key.reply.label)
        for entry in index.parts
    )
    labelled = (tally.messages, tally.weak, tally.by_attempt)
    names = all(
        is_probe(probe) and all(map(is_label, labels)) for counts in labelled for probe, labels in counts.items()
    )
    lengths = {len(counts) for labels in tally.by_attempt.values() for counts in labels.values()}
    return (
        replies
        and names
        and len(lengths) <= 1
        and all(0 <= source < 1 << 32 for source in tally.top_sources)
        and all(_SEGMENT_NAME.fullmatch(name) for name in index.replaces)
        and not any(odd_numbers(_counts_of(tally)))
    )


def _counts_of(tally: Tally) -> dict[str, object]:
    """Return a tally as a document, sources by texts."""
    tree: dict[str, object] = msgspec.to_builtins(tally, str_keys=True)
    return tree


def total(segments: Iterable[SegmentFile]) -> Tally:
    """Return the counts of all segments together."""
    tally = Tally()
    for segment in segments:
        tally.add(segment.tally)
    return tally
