"""Stored rounds of a survey: one append-only file for each plane of each probe, a record for each round.

A record has a bit for every address, as in the live planes. Files have no header: how many records count is in the
header of the live planes, and whatever follows them, such as an incomplete record after a power failure, is dropped.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from liveness.errors import LivenessError
from liveness.files.directory import Directory
from liveness.kernel import kernel, uint64
from liveness.planes.live import BLOCK_BYTES, ROUNDS_FOLDER
from liveness.planes.matrix import PLANES, Planes, row_bytes

BLOCKS_AT_ONCE: Final = 128
BYTES_AT_ONCE: Final = 64 << 20
"""Of one plane by round, and as many by address: a survey of many rounds is turned fewer blocks at a time."""


def stored_name(probe: str, plane: str) -> str:
    """Return the name of a file below the run directory."""
    return f"{ROUNDS_FOLDER}/{probe.replace('/', '-')}.{plane}.bits"


class StoredRounds:
    """The files of one survey, open to append and to read. A context manager."""

    def __init__(self, run: Path, probes: Sequence[str], blocks: int, rounds: int) -> None:
        """Open or make the files, and drop what follows the first `rounds` records. LivenessError names a file."""
        self.run = run
        self.probes = tuple(probes)
        self.blocks = blocks
        self.rounds = rounds
        self._files: dict[tuple[int, int], int] = {}
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        size = self.rounds * self.record_bytes
        for at, probe in enumerate(self.probes):
            for plane, label in enumerate(PLANES):
                name = stored_name(probe, label)
                try:
                    with Directory.open(self.run) as directory:
                        self._files[at, plane] = descriptor = directory.open_to_map(name, make=True)
                    found = os.fstat(descriptor).st_size
                    if found > size:
                        os.ftruncate(descriptor, size)
                except OSError as problem:
                    raise LivenessError(f"{self.run / name}: cannot open it: {problem.strerror}") from problem
                if found < size:
                    raise LivenessError(
                        f"{self.run / name}: {found:,} bytes, where {self.rounds:,} rounds take {size:,}: restore it"
                    )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def record_bytes(self) -> int:
        """Bytes of one round in one file."""
        return self.blocks * BLOCK_BYTES

    def append(self, planes: NDArray[np.uint8]) -> None:
        """Append a round, (probes, planes, bytes), to all files, and write it through. LivenessError names a file.

        A plane without a bit is a hole in its file.
        """
        offset = self.rounds * self.record_bytes
        for (at, plane), descriptor in self._files.items():
            record = planes[at, plane]
            try:
                if record.any():
                    _write_all(descriptor, record, offset)
                else:
                    os.ftruncate(descriptor, offset + self.record_bytes)
                os.fdatasync(descriptor)
            except OSError as problem:
                name = stored_name(self.probes[at], PLANES[plane])
                raise LivenessError(f"{self.run / name}: cannot write: {problem.strerror}") from problem
        self.rounds += 1

    def append_nothing(self, rounds: int) -> None:
        """Append so many rounds in which nothing was sent, as a hole in all files. LivenessError names a file."""
        self.rounds += rounds
        for (at, plane), descriptor in self._files.items():
            try:
                os.ftruncate(descriptor, self.rounds * self.record_bytes)
                os.fdatasync(descriptor)
            except OSError as problem:
                name = stored_name(self.probes[at], PLANES[plane])
                raise LivenessError(f"{self.run / name}: cannot write: {problem.strerror}") from problem

    def of_round(self, number: int) -> NDArray[np.uint8]:
        """Return the planes of a stored round, (probes, planes, bytes). LivenessError names a file that ends before."""
        planes = np.empty((len(self.probes), len(PLANES), self.record_bytes), np.uint8)
        for (at, plane), descriptor in self._files.items():
            if os.preadv(descriptor, [planes[at, plane].data], number * self.record_bytes) != self.record_bytes:
                name = stored_name(self.probes[at], PLANES[plane])
                raise LivenessError(f"{self.run / name}: ends before its {self.rounds:,} rounds")
        return planes

    def by_address(self, probe: int, live: Sequence[NDArray[np.uint8]], rounds: int | None = None) -> Iterator[Planes]:
        """Yield the planes of a probe by address, some blocks at a time.

        `live` are the rounds that follow the stored ones, each (probes, planes, bytes). If `rounds` is larger than the
        number of all these, nothing was sent in the rest.
        """
        if rounds is None:
            rounds = self.rounds + len(live)
        at_once = max(1, min(BLOCKS_AT_ONCE, BYTES_AT_ONCE // (8 * row_bytes(rounds) * BLOCK_BYTES)))
        for first in range(0, self.blocks, at_once):
            count = min(at_once, self.blocks - first)
            columns = slice(first * BLOCK_BYTES, (first + count) * BLOCK_BYTES)
            turned = []
            for plane in range(len(PLANES)):
                by_round = np.zeros((8 * row_bytes(rounds), count * BLOCK_BYTES), np.uint8)
                self._read(probe, plane, columns, by_round)
                for later, planes in enumerate(live):
                    by_round[self.rounds + later] = planes[probe, plane, columns]
                by_address = np.empty((8 * by_round.shape[1], row_bytes(rounds)), np.uint8)
                transpose_bits(by_round, by_address)
                turned.append(by_address)
            yield Planes(rounds, *turned)

    def _read(self, probe: int, plane: int, columns: slice, out: NDArray[np.uint8]) -> None:
        """Read some columns of all stored rounds into the first rows of `out`."""
        descriptor = self._files[probe, plane]
        for number in range(self.rounds):
            wanted = columns.stop - columns.start
            if os.preadv(descriptor, [out[number].data], number * self.record_bytes + columns.start) != wanted:
                name = stored_name(self.probes[probe], PLANES[plane])
                raise LivenessError(f"{self.run / name}: ends before its {self.rounds:,} rounds")

    def close(self) -> None:
        """Close the files."""
        while self._files:
            os.close(self._files.popitem()[1])


def _write_all(descriptor: int, record: NDArray[np.uint8], offset: int) -> None:
    view = np.ascontiguousarray(record).data
    done = 0
    while done < len(view):
        done += os.pwrite(descriptor, view[done:], offset + done)


@kernel
def transpose_bits(by_round: NDArray[np.uint8], by_address: NDArray[np.uint8]) -> None:
    """Turn (8 x row bytes rounds, bytes of 8 addresses) into (addresses, row bytes), bits from the least significant.

    Squares of 8 rounds by 8 addresses are transposed in a register (Warren, Hacker's Delight, section 7-3).
    """
    for row in range(by_address.shape[1]):
        for column in range(by_round.shape[1]):
            square = uint64(0)
            for at in range(8):
                square |= uint64(by_round[8 * row + at, column]) << uint64(8 * at)
            swapped = (square ^ (square >> uint64(7))) & uint64(0x00AA00AA00AA00AA)
            square ^= swapped ^ (swapped << uint64(7))
            swapped = (square ^ (square >> uint64(14))) & uint64(0x0000CCCC0000CCCC)
            square ^= swapped ^ (swapped << uint64(14))
            swapped = (square ^ (square >> uint64(28))) & uint64(0x00000000F0F0F0F0)
            square ^= swapped ^ (swapped << uint64(28))
            for at in range(8):
                by_address[8 * column + at, row] = (square >> uint64(8 * at)) & uint64(0xFF)
