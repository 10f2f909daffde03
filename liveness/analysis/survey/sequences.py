"""Sequences of the rounds of each address, and the figures of availability from them (Heidemann et al. 2008).

The sequence of an address is its sent rounds in order, 1 if a positive reply came within the interval. A round that was
not sent neither ends nor lengthens an up period.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import kernel
from liveness.planes.blocks import BLOCK_ADDRESSES
from liveness.planes.matrix import Planes

PLAIN: Final = 0
REPAIRED: Final = 1
READINGS: Final = 2
"""Every figure has two readings: from the sequence as it is, and with each single 0 between two 1s replaced by 1."""

ALL: Final = 0
BEGUN_EARLY: Final = 1
ENDED: Final = 2
RUNNING: Final = 3
HISTOGRAMS: Final = 4
"""Up periods by length: all; those that begin in the first half of the sequence but not with its first round; and
those whose beginning was seen, by whether their end was seen (for the Kaplan-Meier estimate)."""


class AddressFigures(NamedTuple):
    """Figures by address; arrays (addresses, 2) have the plain and the repaired reading."""

    sent: NDArray[np.uint32]
    positive: NDArray[np.uint32]
    negative: NDArray[np.uint32]
    late: NDArray[np.uint32]
    ones: NDArray[np.uint32]
    periods: NDArray[np.uint32]
    median_rounds: NDArray[np.float64]  # NaN without an up period

    @classmethod
    def empty(cls, addresses: int) -> "AddressFigures":
        """Return figures for `addresses` addresses, all zero."""
        sent, positive, negative, late = np.zeros((4, addresses), np.uint32)
        ones, periods = np.zeros((2, addresses, READINGS), np.uint32)
        return cls(sent, positive, negative, late, ones, periods, np.full((addresses, READINGS), np.nan))

    def rows(self, first: int, count: int) -> "AddressFigures":
        """Return the figures of a range of addresses, as views."""
        return AddressFigures._make(column[first : first + count] for column in self)


def histograms_for(blocks: int, rounds: int) -> NDArray[np.int64]:
    """Return empty histograms of up periods by length in rounds: (blocks, 2 readings, 4 kinds, rounds + 1)."""
    return np.zeros((blocks, READINGS, HISTOGRAMS, rounds + 1), np.int64)


@kernel
def _bits_in(row: NDArray[np.uint8], rounds: int) -> int:
    """Return the number of set bits among a row's first `rounds`."""
    count = 0
    for r in range(rounds):
        count += (row[r >> 3] >> (r & 7)) & 1
    return count


@kernel
def _is_empty(row: NDArray[np.uint8]) -> bool:
    return not row.any()


@kernel
def _sequence(sent: NDArray[np.uint8], positive: NDArray[np.uint8], rounds: int, sequence: NDArray[np.uint8]) -> int:
    """Write the sequence of an address to `sequence`; return its length."""
    length = 0
    for r in range(rounds):
        if (sent[r >> 3] >> (r & 7)) & 1:
            sequence[length] = (positive[r >> 3] >> (r & 7)) & 1
            length += 1
    return length


@kernel
def repair(sequence: NDArray[np.uint8], length: int) -> None:
    """Replace every single 0 between two 1s by 1, all at once: no repair enables another."""
    before = 0  # the value before any repair
    for i in range(length):
        value = sequence[i]
        if value == 0 and before == 1 and i + 1 < length and sequence[i + 1] == 1:
            sequence[i] = 1
        before = value


@kernel
def count_periods(
    sequence: NDArray[np.uint8], length: int, lengths: NDArray[np.int32], histograms: NDArray[np.int64]
) -> tuple[int, int]:
    """Count the up periods of a sequence into histograms (4, rounds + 1); return (ones, periods).

    The length of each period is written to `lengths`, in order.
    """
    ones = periods = 0
    i = 0
    while i < length:
        if sequence[i] == 0:
            i += 1
            continue
        begin = i
        while i < length and sequence[i] == 1:
            i += 1
        run = i - begin
        ones += run
        lengths[periods] = run
        periods += 1
        histograms[ALL, run] += 1
        if begin > 0:  # the beginning of a period that includes the first round was not seen
            if 2 * begin < length:
                histograms[BEGUN_EARLY, run] += 1
            histograms[ENDED if i < length else RUNNING, run] += 1
    return ones, periods


@kernel
def _median(lengths: NDArray[np.int32], count: int) -> float:
    ordered = np.sort(lengths[:count])
    middle = count // 2
    if count % 2 == 1:
        return float(ordered[middle])
    return float(ordered[middle - 1] + ordered[middle]) / 2.0


@kernel
def count_sequences(
    sent: NDArray[np.uint8],
    positive: NDArray[np.uint8],
    negative: NDArray[np.uint8],
    late: NDArray[np.uint8],
    rounds: int,
    figures: AddressFigures,
    histograms: NDArray[np.int64],
) -> None:
    """Write the figures of every address (a row of the planes), and the histograms of its block."""
    sequence = np.zeros(rounds, np.uint8)
    lengths = np.zeros(rounds + 1, np.int32)
    for address in range(len(sent)):
        figures.sent[address] = _bits_in(sent[address], rounds)
        if not _is_empty(negative[address]):
            figures.negative[address] = _bits_in(negative[address], rounds)
        if not _is_empty(late[address]):
            figures.late[address] = _bits_in(late[address], rounds)
        if _is_empty(positive[address]):  # most addresses never answer
            continue
        length = _sequence(sent[address], positive[address], rounds, sequence)
        for reading in range(READINGS):
            if reading == REPAIRED:
                repair(sequence, length)
            block = histograms[address // BLOCK_ADDRESSES, reading]
            ones, periods = count_periods(sequence, length, lengths, block)
            figures.ones[address, reading] = ones
            figures.periods[address, reading] = periods
            if periods > 0:
                figures.median_rounds[address, reading] = _median(lengths, periods)
        figures.positive[address] = figures.ones[address, PLAIN]


def figures_of(planes: Planes, histograms: NDArray[np.int64]) -> AddressFigures:
    """Return the figures of all addresses of whole blocks, and add their up periods to `histograms`."""
    figures = AddressFigures.empty(len(planes.sent))
    count_sequences(planes.sent, planes.positive, planes.negative, planes.late, planes.rounds, figures, histograms)
    return figures


def availability(figures: AddressFigures, reading: int) -> NDArray[np.float64]:
    """Return A of each address: ones / sent; 0 if no round was sent."""
    return figures.ones[:, reading] / np.maximum(figures.sent, 1)


def mean_up(figures: AddressFigures, reading: int) -> NDArray[np.float64]:
    """Return U of each address: A / number of up periods, 0 without one (mean length as a share of the survey)."""
    return availability(figures, reading) / np.maximum(figures.periods[:, reading], 1)
