"""The live planes of a survey that is running: the bits of its last rounds, in a file that its processes map.

The sender sets the bit of a probe when it has left, the receiver those of replies. The file outlives the processes, so
a kill loses nothing that was set. It has a header of 64-bit numbers and a circular buffer of rounds; a round has four
planes a probe, each with a bit for every address: bit i % 8, counted from the least significant, of byte i // 8.
"""

import mmap
import os
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from liveness.errors import LivenessError
from liveness.files.directory import Directory
from liveness.planes.blocks import BLOCK_ADDRESSES
from liveness.planes.manifest import MAX_ROUNDS, MAX_START_NS
from liveness.planes.matrix import PLANES

ROUNDS_FOLDER: Final = "rounds"
"""What a survey needs to be resumed."""
NAME: Final = f"{ROUNDS_FOLDER}/live"
BLOCK_BYTES: Final = BLOCK_ADDRESSES // 8
HEADER_WORDS: Final = 512
HEADER_BYTES: Final = 8 * HEADER_WORDS
MAGIC: Final = int.from_bytes(b"liverds1", "little")
MOST_BYTES: Final = 1 << 36

# Places in the header. The number of the round in each place of the buffer follows.
_MAGIC, _BLOCKS, _PROBES, _DEPTH = range(4)
STORED: Final = 4  # rounds that are in the files of rounds
LISTENED_NS: Final = 5  # until when replies were received; ns since 1970
SYNCED_NS: Final = 6  # the same when the file was last written through to the disk
BOOT: Final = 7  # hash of the boot in which the file was last used
START_NS: Final = 8  # start of round 0; 0 until the first sender is started
FIRST_TAG: Final = 16
DEEPEST: Final = HEADER_WORDS - FIRST_TAG
"""Largest number of rounds in the buffer."""

SENT, POSITIVE, NEGATIVE, LATE = range(len(PLANES))
"""Places of the planes of a round."""


class LivePlanes:
    """The live planes, mapped. `bits` is (depth, probes, planes, bytes) and `tags` the round in each place."""

    def __init__(self, descriptor: int, path: Path, blocks: int, probes: int, depth: int, *, new: bool) -> None:
        self.path = path
        self.depth = depth
        self._descriptor = descriptor
        shape = depth, probes, len(PLANES), blocks * BLOCK_BYTES
        size = live_bytes(blocks, probes, depth)
        try:
            if new:
                os.posix_fallocate(descriptor, 0, size)  # a hole would end the processes once the disk is full
            self._mapping = mmap.mmap(descriptor, size)
        except (OSError, ValueError) as problem:
            os.close(descriptor)
            reason = problem.strerror if isinstance(problem, OSError) else "a damaged file: it has another size"
            raise LivenessError(f"{path}: cannot map it: {reason}") from problem
        words = np.frombuffer(self._mapping, np.int64, HEADER_WORDS)
        self.header: NDArray[np.int64] = words
        self.tags: NDArray[np.int64] = words[FIRST_TAG : FIRST_TAG + depth]
        self.bits: NDArray[np.uint8] = np.frombuffer(self._mapping, np.uint8, offset=HEADER_BYTES).reshape(shape)
        expected = [MAGIC, blocks, probes, depth]
        if new:
            words[: len(expected)] = expected
            self.tags[:] = np.arange(depth)
            return
        try:
            self._check(expected, size)
        except LivenessError:
            os.close(descriptor)
            raise

    def _check(self, expected: list[int], size: int) -> None:
        """Raise LivenessError for a file of another survey, or with numbers that no survey has."""
        header = self.header
        if header[: len(expected)].tolist() != expected or os.fstat(self._descriptor).st_size != size:
            raise LivenessError(f"{self.path}: a damaged file, or one of another survey: restore it from a copy")
        if not 0 <= self.stored <= MAX_ROUNDS:
            raise LivenessError(f"{self.path}: a damaged file: {self.stored} rounds stored")
        for name, place in (("start", START_NS), ("last reply", LISTENED_NS), ("last sync", SYNCED_NS)):
            if not 0 <= header[place] <= MAX_START_NS:
                raise LivenessError(
                    f"{self.path}: a damaged file: {name}: {header[place]} is no time from 1970 to 2200"
                )

    @classmethod
    def create(cls, run: Path, blocks: int, probes: int, depth: int) -> Self:
        """Make the file, with room on the disk for all of it. LivenessError names it if the disk refuses."""
        path = run / NAME
        try:
            with Directory.open(run) as directory:
                directory.make_directory(ROUNDS_FOLDER).close()
                with directory.replaced(NAME, 0o600):
                    pass
        except OSError as problem:
            raise LivenessError(f"{path}: cannot make it: {problem.strerror}") from problem
        return cls(_open(run), path, blocks, probes, depth, new=True)

    @classmethod
    def open(cls, run: Path, blocks: int, probes: int, depth: int) -> Self:
        """Open the file of an earlier session. LivenessError names it if it is missing, damaged or of other blocks."""
        live = cls(_open(run), run / NAME, blocks, probes, depth, new=False)
        live.tidy()
        return live

    @property
    def stored(self) -> int:
        """Number of rounds that are in the files of rounds."""
        return int(self.header[STORED])

    def tidy(self) -> None:
        """Clear places whose round has been stored: a kill may have come between storing and clearing."""
        stale = [number for number in range(self.stored, self.stored + self.depth) if self._tag(number) != number]
        for number in stale:
            self.bits[number % self.depth] = 0
        if stale:
            self._mapping.flush()
        for number in stale:
            self.tags[number % self.depth] = number

    def _tag(self, number: int) -> int:
        return int(self.tags[number % self.depth])

    def of_round(self, number: int) -> NDArray[np.uint8]:
        """Return the planes of a round, (probes, planes, bytes). ValueError if the buffer does not hold it."""
        place = number % self.depth
        if self.tags[place] != number:
            raise ValueError(f"round {number} is not among the live rounds")
        planes: NDArray[np.uint8] = self.bits[place]
        return planes

    def release(self, number: int) -> None:
        """Note that a round, the oldest, is stored, and use its place for a later one.

        Each step is on the disk before the next: after a power failure no place holds less than the round it names, and
        none the bits of another round.
        """
        self.header[STORED] = number + 1
        self._mapping.flush(0, HEADER_BYTES)
        place = number % self.depth
        self.bits[place] = 0
        begin = HEADER_BYTES + place * self.bits[place].nbytes
        page = begin - begin % mmap.PAGESIZE
        self._mapping.flush(page, begin + self.bits[place].nbytes - page)
        self.tags[place] = number + self.depth

    def begin_at(self, number: int) -> None:
        """Note that all rounds before `number` are stored, and use the whole buffer for later ones."""
        self.header[STORED] = number
        self._mapping.flush(0, HEADER_BYTES)
        self.tidy()

    def sync(self) -> None:
        """Write everything through to the disk, and note until when replies were received by then."""
        listened_ns = int(self.header[LISTENED_NS])
        self._mapping.flush()
        self.header[SYNCED_NS] = listened_ns
        self._mapping.flush(0, HEADER_BYTES)

    def close(self) -> None:
        """Close the descriptor. The mapping ends with the last array that refers to it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def live_bytes(blocks: int, probes: int, depth: int) -> int:
    """Return the size of the file."""
    return HEADER_BYTES + depth * probes * len(PLANES) * blocks * BLOCK_BYTES


def _open(run: Path) -> int:
    path = run / NAME
    try:
        with Directory.open(run) as directory:
            return directory.open_to_map(NAME)
    except OSError as problem:
        raise LivenessError(f"{path}: cannot open the rounds of this survey: {problem.strerror}") from problem
