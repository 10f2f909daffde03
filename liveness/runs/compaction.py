"""Compaction: one segment in place of many, so that a run of days has dozens of segments and not thousands."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pyroaring import BitMap

from liveness.errors import LivenessError
from liveness.files.directory import Directory
from liveness.runs.rundir import RunDirectory
from liveness.runs.segment import SegmentFile, total, write_segment

FAN: Final = 16
"""Segments of one level that become one of the next: what is received is written once more for each level."""


@dataclass(frozen=True, slots=True)
class Compaction:
    """The segments to be replaced, and the path of the one that replaces them."""

    segments: Sequence[SegmentFile]
    path: Path

    def run(self) -> None:
        """Write the new segment, then remove the old ones. Raises LivenessError for a full disk or a damaged segment.

        The new segment names those that it replaces, so a kill at any moment leaves either all old segments or the new
        one.
        """
        keys = sorted({key for segment in self.segments for key in segment.keys}, key=str)
        parts = ((key, BitMap.union(*(segment.part(key) for segment in self.segments))) for key in keys)
        write_segment(self.path, total(self.segments), parts, [segment.path.name for segment in self.segments])
        _remove(segment.path for segment in self.segments)


def compaction_due(directory: RunDirectory) -> Compaction | None:
    """Return what is to be compacted next in a run that is being written, or None. Raises LivenessError for damage.

    Only segments of one receiver and level come together. The new one gets their highest number, which no other segment
    of that receiver and level ever has: a replaced name must not be used again.
    """
    levels: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for receiver, level, number in directory.segment_names():
        levels[receiver, level].append(number)
    for (receiver, level), numbers in sorted(levels.items()):
        if len(numbers) >= FAN:
            oldest = sorted(numbers)[:FAN]
            segments = [SegmentFile(directory.segment_path(receiver, number, level)) for number in oldest]
            return Compaction(segments, directory.segment_path(receiver, oldest[-1], level + 1))
    return None


def compact_all(directory: RunDirectory) -> None:
    """Leave one segment of a run that nobody writes. Raises LivenessError when the disk refuses or one is damaged."""
    remove_replaced(directory)  # their replacement is removed here, and with it the record that they do not count
    segments = directory.segments()
    if len(segments) > 1:
        Compaction(segments, directory.segment_path(0, directory.next_segment())).run()


def remove_replaced(directory: RunDirectory) -> None:
    """Remove the segments that another replaces, where a compaction was killed before it could.

    Raises LivenessError when the disk refuses; nothing may be compacted then.
    """
    found = directory.segments(lambda *_: None)
    _remove(segment.path.with_name(name) for segment in found for name in segment.replaces)


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        try:
            with Directory.open(path.parent.parent, path.parent.name) as folder:
                folder.remove(path.name)
        except OSError as problem:
            raise LivenessError(f"{path}: cannot remove this segment: {problem.strerror}") from problem
