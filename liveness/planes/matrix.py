"""Bit planes of a survey by address: a row of bits for each address, a bit for each round.

Round r is bit r % 8, counted from the least significant, of byte r // 8 of the row. Files have no header: the manifest
says how many addresses and rounds they hold, and a file of another size is refused.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from liveness.errors import LivenessError
from liveness.files.directory import Directory
from liveness.planes.blocks import BLOCK_ADDRESSES
from liveness.planes.verdicts import verdicts_name

PLANES: Final = ("sent", "positive", "negative", "late")
"""A late positive reply has its bit in `late` alone, a timely one in `positive` alone; likewise for negatives."""
FOLDER: Final = "matrix"
PHASES: Final = f"{FOLDER}/phases.ms"
ONES: Final = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1, dtype=np.uint8)
"""Number of bits that are set in each byte."""


def row_bytes(rounds: int) -> int:
    """Return how many bytes the rounds of one address take."""
    return (rounds + 7) // 8


def set_bits(planes: NDArray[np.uint8]) -> int:
    """Return how many bits are set."""
    return int(ONES[planes].sum(dtype=np.int64))


def plane_name(probe: str, plane: str) -> str:
    """Return the name of a plane's file below the run directory."""
    return f"{FOLDER}/{probe.replace('/', '-')}.{plane}.bits"


@dataclass(frozen=True, slots=True)
class Planes:
    """The four planes of one probe: each (addresses, row bytes) of uint8."""

    rounds: int
    sent: NDArray[np.uint8]
    positive: NDArray[np.uint8]
    negative: NDArray[np.uint8]
    late: NDArray[np.uint8]

    def block(self, index: int, count: int = 1) -> "Planes":
        """Return the planes of `count` blocks from a block's index on: views."""
        rows = slice(index * BLOCK_ADDRESSES, (index + count) * BLOCK_ADDRESSES)
        return Planes(self.rounds, self.sent[rows], self.positive[rows], self.negative[rows], self.late[rows])

    @classmethod
    def empty(cls, addresses: int, rounds: int) -> "Planes":
        """Return planes in memory without a bit set."""
        return cls(rounds, *(np.zeros((addresses, row_bytes(rounds)), np.uint8) for _ in PLANES))

    def put(self, plane: str, addresses: NDArray[np.int64], rounds: NDArray[np.int64]) -> None:
        """Set the bits of pairs of address index and round in one plane."""
        bits = (1 << (rounds & 7)).astype(np.uint8)
        np.bitwise_or.at(getattr(self, plane), (addresses, rounds >> 3), bits)


class Matrix:
    """The planes of a survey on disk, read a range of blocks at a time: memory stays bounded. A context manager.

    Reading is by position, so several threads may read at once.
    """

    def __init__(self, run: Path, blocks: int, rounds: int) -> None:
        self._run = run
        self._blocks = blocks
        self._rounds = rounds
        self._open: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._open:
            os.close(self._open.popitem()[1])

    def open_probe(self, probe: str) -> None:
        """Open the planes of a probe. LivenessError if a file is missing or has another size."""
        for plane in PLANES:
            self._descriptor(plane_name(probe, plane), row_bytes(self._rounds))

    def planes(self, probe: str, first: int, count: int) -> Planes:
        """Read the planes of `count` blocks from the block `first` on."""
        width = row_bytes(self._rounds)
        return Planes(self._rounds, *(self._read(plane_name(probe, plane), width, first, count) for plane in PLANES))

    def phases_ms(self) -> NDArray[np.uint32]:
        """Return when in a round each address is probed: ms after the round's start."""
        return self._read(PHASES, 4, 0, self._blocks).view("<u4").reshape(-1)

    def verdicts(self, probe: str, first: int, count: int) -> NDArray[np.uint8]:
        """Read the verdicts about `count` blocks from the block `first` on: (blocks, rounds)."""
        return self._read(verdicts_name(probe), self._rounds, first, count, rows_a_block=1)

    def _descriptor(self, name: str, width: int, rows_a_block: int = BLOCK_ADDRESSES) -> int:
        if name in self._open:
            return self._open[name]
        path = self._run / name
        try:
            with Directory.open(self._run) as directory:
                descriptor = directory.open_file(name)
        except OSError as problem:
            raise LivenessError(f"{path}: cannot read: {problem.strerror}") from problem
        self._open[name] = descriptor
        size, expected = os.fstat(descriptor).st_size, self._blocks * rows_a_block * width
        if size != expected:
            raise LivenessError(f"{path}: {size:,} bytes, where the manifest's blocks and rounds take {expected:,}")
        return descriptor

    def _read(
        self, name: str, width: int, first: int, count: int, rows_a_block: int = BLOCK_ADDRESSES
    ) -> NDArray[np.uint8]:
        rows = count * rows_a_block
        content = np.empty((rows, width), np.uint8)
        view = content.reshape(-1).data
        descriptor, at, done = self._descriptor(name, width, rows_a_block), first * rows_a_block * width, 0
        while done < len(view):
            read = os.preadv(descriptor, [view[done:]], at + done)
            if read == 0:
                raise LivenessError(f"{self._run / name}: ends before its time: somebody cuts it while it is read")
            done += read
        return content


def write_planes(run: Path, probe: str, parts: Iterator[Planes]) -> None:
    """Write the planes of a probe from parts that follow each other in the order of addresses.

    Each file is written whole or not at all. LivenessError if the disk refuses.
    """
    try:
        with Directory.open(run) as directory:
            directory.make_directory(FOLDER).close()
            names = [plane_name(probe, plane) for plane in PLANES]
            with (
                directory.replaced(names[0]) as sent,
                directory.replaced(names[1]) as positive,
                directory.replaced(names[2]) as negative,
                directory.replaced(names[3]) as late,
            ):
                for part in parts:
                    for file, plane in zip((sent, positive, negative, late), PLANES, strict=True):
                        file.write(np.ascontiguousarray(getattr(part, plane)).data)
    except OSError as problem:
        raise LivenessError(f"{run / FOLDER}: cannot write: {problem.strerror}") from problem


def write_phases(run: Path, phases_ms: NDArray[np.uint32]) -> None:
    """Write when in a round each address is probed."""
    try:
        with Directory.open(run) as directory:
            directory.make_directory(FOLDER).close()
            with directory.replaced(PHASES) as file:
                file.write(phases_ms.astype("<u4").tobytes())
    except OSError as problem:
        raise LivenessError(f"{run / PHASES}: cannot write: {problem.strerror}") from problem
