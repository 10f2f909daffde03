"""The blocks of a survey: whole /24s in address order, each with the policy that chose it and its weight."""

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from liveness.errors import UsageError
from liveness.files.reading import MIB, read_named
from liveness.space.addresses import format_address, parse_entry, shown
from liveness.space.intervals import Intervals

if TYPE_CHECKING:
    from _csv import Reader

HEADER: Final = ("block", "policy", "weight")
BLOCK_ADDRESSES: Final = 256
FILE_BYTES: Final = 128 * MIB
"""Three million /24s: a hundred times those of a large survey."""
POLICY_CHARS: Final = 64


@dataclass(frozen=True, slots=True)
class Blocks:
    """/24s as their number, address >> 8, ascending; `policies` and `weights` have an entry for each."""

    numbers: NDArray[np.uint32]
    policies: tuple[str, ...]
    weights: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def addresses(self) -> NDArray[np.uint32]:
        """Every address of every block, ascending: (256 x blocks)."""
        octets = np.arange(BLOCK_ADDRESSES, dtype=np.uint32)
        return ((self.numbers[:, None] << np.uint32(8)) | octets[None, :]).ravel()

    @property
    def intervals(self) -> Intervals:
        """The addresses of all blocks."""
        first = self.numbers << np.uint32(8)
        return Intervals.from_bounds(first, first | np.uint32(BLOCK_ADDRESSES - 1))

    def name(self, index: int) -> str:
        """Return a block as a prefix, such as ``192.0.2.0/24``."""
        return f"{format_address(int(self.numbers[index]) << 8)}/24"

    def chosen(self, indices: NDArray[np.int64]) -> "Blocks":
        """Return some of the blocks; `indices` ascend."""
        policies = tuple(self.policies[index] for index in indices.tolist())
        return Blocks(self.numbers[indices], policies, self.weights[indices])

    @classmethod
    def of(cls, numbers: NDArray[np.uint32], policy: str = "given") -> "Blocks":
        """Return blocks of one policy with weight 1; `numbers` may be in any order and repeat."""
        unique = np.unique(numbers).astype(np.uint32)
        return cls(unique, (policy,) * len(unique), np.ones(len(unique)))


def encode_blocks(blocks: Blocks) -> bytes:
    """Return blocks as CSV with a header line."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for index in range(len(blocks)):
        writer.writerow((blocks.name(index), blocks.policies[index], repr(float(blocks.weights[index]))))
    return text.getvalue().encode()


def read_blocks(path: Path) -> Blocks:
    """Read a CSV file with the header ``block,policy,weight``.

    UsageError names the file, the line and the value: not a /24, a /24 given twice, a weight that is no positive
    number. The order of lines is free.
    """
    try:
        text = read_named(path, FILE_BYTES).decode("utf-8-sig")
    except OSError as problem:
        raise UsageError(f"{path}: cannot read: {problem.strerror}") from problem
    except UnicodeDecodeError as problem:
        raise UsageError(f"{path}: not UTF-8 text: byte {problem.start}") from problem
    rows = csv.reader(io.StringIO(text))
    try:
        found = _rows(rows, path)
    except csv.Error as problem:
        raise UsageError(f"{path}:{rows.line_num}: {problem}") from problem
    if not found:
        raise UsageError(f"{path}: no block in it: write a /24 a line below the header {','.join(HEADER)}")
    ordered = sorted(found)
    numbers = np.array([number for number, _, _ in ordered], np.uint32)
    weights = np.array([found[entry] for entry in ordered], np.float64)
    twice = np.flatnonzero(numbers[1:] == numbers[:-1])
    if len(twice):
        line = max(ordered[int(twice[0])][1], ordered[int(twice[0]) + 1][1])
        raise UsageError(f"{path}:{line}: {format_address(int(numbers[twice[0]]) << 8)}/24 is in the file twice")
    return Blocks(numbers, tuple(policy for _, _, policy in ordered), weights)


def _rows(rows: "Reader", path: Path) -> dict[tuple[int, int, str], float]:
    """Return the weight of each (block number, line, policy)."""
    header = next(rows, None)
    if header is None or tuple(cell.strip().lower() for cell in header) != HEADER:
        raise UsageError(f"{path}:1: the first line is not the header {','.join(HEADER)}")
    found: dict[tuple[int, int, str], float] = {}
    for row in rows:
        line = rows.line_num
        if not row or (len(row) == 1 and not row[0].strip()):
            continue
        if len(row) != len(HEADER):
            raise UsageError(f"{path}:{line}: {len(row)} values, where the header has {len(HEADER)}")
        found[_block_number(row[0], path, line), line, row[1].strip()[:POLICY_CHARS]] = _weight(row[2], path, line)
    return found


def _block_number(text: str, path: Path, line: int) -> int:
    try:
        first, last = parse_entry(text)
    except ValueError as problem:
        raise UsageError(f"{path}:{line}: {problem}") from None
    if first & 0xFF or last - first != BLOCK_ADDRESSES - 1:
        raise UsageError(f"{path}:{line}: {shown(text)} is no /24: surveys probe whole /24s")
    return first >> 8


def _weight(text: str, path: Path, line: int) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not 0 < weight < math.inf:
        raise UsageError(f"{path}:{line}: weight {shown(text)} is not a positive number")
    return weight
