"""Portable-format roaring files, read a range of containers at a time: the index of one, and its bytes.

The format (github.com/RoaringBitmap/RoaringFormatSpec): a cookie, for each container its key (the upper 16 bits of its
addresses) and cardinality, offsets, and the containers: sorted arrays, bitmaps, or runs.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.errors import LivenessError
from liveness.files.reading import open_descriptor

ARRAY, BITMAP, RUNS = range(3)
"""The forms of a container, as kernels know them."""

CONTAINERS: Final = 1 << 16
LARGEST_ARRAY: Final = 4096
BITMAP_BYTES: Final = 8192

COOKIE: Final = 12347
"""In the lower 16 bits of a file with runs; above it the number of containers less 1, then a bit for each."""
COOKIE_WITHOUT_RUNS: Final = 12346
FEWEST_WITH_OFFSETS: Final = 4
"""A file with runs and fewer containers has no offsets."""

Read = Callable[[int, int], bytes]
"""Returns `size` bytes from `offset` on, fewer at the end."""


class BrokenFormatError(ValueError):
    """The bytes are no roaring set in the portable format; the text says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """Where each container of a set lies, ascending by key."""

    keys: NDArray[np.uint16]
    sizes: NDArray[np.int32]
    """Addresses in each."""
    forms: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    """Where each begins, in bytes from the start of the file, and where the last one ends."""

    @property
    def cardinality(self) -> int:
        """The addresses in the set."""
        return int(self.sizes.sum(dtype=np.int64))

    def span(self, octet: int) -> tuple[int, int]:
        """Return the containers of one /8, as the first and the one after the last."""
        first, end = np.searchsorted(self.keys, np.array([octet << 8, (octet + 1) << 8], np.int64))
        return int(first), int(end)


@dataclass(frozen=True, slots=True, eq=False)
class PortableSet:
    """A set in a file or in memory: its index, and its bytes on demand."""

    index: Index
    content: bytes | None = None
    path: Path | None = None
    state: tuple[int, int, int] = (0, 0, 0)
    """Inode, size and time of the last change of the file whose index this is."""

    @classmethod
    def of_bytes(cls, content: bytes) -> "PortableSet":
        """Index a serialized set. Raises BrokenFormatError."""
        return cls(parse_index(lambda offset, size: content[offset : offset + size], len(content)), content)

    @classmethod
    def open(cls, path: Path) -> "PortableSet":
        """Index a file. Raises LivenessError that names it where it cannot be read or is no such set."""
        try:
            descriptor = open_descriptor(path)
            try:
                state = _state(descriptor)
                index = parse_index(lambda offset, size: os.pread(descriptor, size, offset), state[1])
            finally:
                os.close(descriptor)
        except OSError as problem:
            raise LivenessError(f"{path}: cannot read this set: {problem.strerror}") from problem
        except BrokenFormatError as problem:
            raise LivenessError(f"{path}: not a roaring set in the portable format: {problem}") from problem
        return cls(index, path=path, state=state)

    def read_into(self, target: memoryview, first: int, end: int) -> None:
        """Fill `target` with the bytes of the containers from `first` to before `end`.

        Raises LivenessError that names the file if it cannot be read, or is no longer the one that was indexed.
        """
        offset, end = int(self.index.offsets[first]), int(self.index.offsets[end])
        if self.content is not None:
            target[:] = self.content[offset:end]
            return
        try:
            descriptor = open_descriptor(Path(str(self.path)))
            try:
                same = _state(descriptor) == self.state
                done = 0
                while same and done < len(target):
                    count = os.preadv(descriptor, [target[done:]], offset + done)
                    same, done = count > 0, done + count
            finally:
                os.close(descriptor)
        except OSError as problem:
            raise LivenessError(f"{self.path}: cannot read this set: {problem.strerror}") from problem
        if not same:
            raise LivenessError(f"{self.path}: changed while it was read: analyse the run when nothing writes to it")


def _state(descriptor: int) -> tuple[int, int, int]:
    status = os.fstat(descriptor)
    return status.st_ino, status.st_size, status.st_mtime_ns


def parse_index(read: Read, size: int) -> Index:
    """Read the index of a set of `size` bytes and check that its containers fill them to the last one.

    Raises BrokenFormatError.
    """
    count, run_flags, at, has_offsets = _header(read)
    described = np.frombuffer(_exactly(read, at, 4 * count), "<u2").reshape(count, 2)
    keys, sizes = described[:, 0].astype(np.uint16), described[:, 1].astype(np.int32) + 1
    if np.any(keys[1:] <= keys[:-1]):
        raise BrokenFormatError("its containers are out of order")
    at += 4 * count
    forms = np.where(sizes > LARGEST_ARRAY, BITMAP, ARRAY).astype(np.uint8)
    forms[run_flags] = RUNS
    offsets = np.full(count + 1, size, np.int64)
    if has_offsets:
        offsets[:-1] = np.frombuffer(_exactly(read, at, 4 * count), "<u4")
        at += 4 * count
    else:
        offsets[:-1] = _walked(read, at, sizes, forms)
    _check(offsets, at, sizes, forms)
    return Index(keys, sizes, forms, offsets)


def _header(read: Read) -> tuple[int, NDArray[np.bool_], int, bool]:
    """Return the number of containers, which of them are runs, where they are described, and if offsets follow."""
    cookie = int.from_bytes(_exactly(read, 0, 4), "little")
    if cookie & 0xFFFF == COOKIE:
        count = (cookie >> 16) + 1
        flags = np.frombuffer(_exactly(read, 4, (count + 7) // 8), np.uint8)
        runs = np.unpackbits(flags, bitorder="little", count=count).astype(np.bool_)
        return count, runs, 4 + len(flags), count >= FEWEST_WITH_OFFSETS
    if cookie != COOKIE_WITHOUT_RUNS:
        raise BrokenFormatError("it does not begin with a cookie of that format")
    count = int.from_bytes(_exactly(read, 4, 4), "little")
    if count > CONTAINERS:
        raise BrokenFormatError(f"it tells of {count:,} containers, and there are {CONTAINERS:,}")
    return count, np.zeros(count, np.bool_), 8, True


def _exactly(read: Read, offset: int, size: int) -> bytes:
    """Return `size` bytes; raises BrokenFormatError if there are fewer."""
    content = read(offset, size)
    if len(content) != size:
        raise BrokenFormatError("it ends in its header")
    return content


def _walked(read: Read, at: int, sizes: NDArray[np.int32], forms: NDArray[np.uint8]) -> list[int]:
    """Return the offsets of containers, for a file of few containers that lists none, by walking them."""
    offsets = []
    for size, form in zip(sizes.tolist(), forms.tolist(), strict=True):
        offsets.append(at)
        if form == RUNS:
            at += 2 + 4 * int.from_bytes(_exactly(read, at, 2), "little")
        else:
            at += 2 * size if form == ARRAY else BITMAP_BYTES
    return offsets


def _check(offsets: NDArray[np.int64], begin: int, sizes: NDArray[np.int32], forms: NDArray[np.uint8]) -> None:
    """Raise BrokenFormatError unless the containers lie side by side from `begin` to the end, each of its size."""
    taken = np.diff(offsets)
    runs = forms == RUNS
    expected = np.where(forms == BITMAP, BITMAP_BYTES, 2 * sizes.astype(np.int64))
    fits = np.where(runs, (taken > 2) & (taken % 4 == 2), taken == expected)  # noqa: PLR2004 - a count and pairs of 16 bits
    if int(offsets[0]) != begin or not np.all(fits):
        raise BrokenFormatError("its containers are not where they should be")
