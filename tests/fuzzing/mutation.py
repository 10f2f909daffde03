"""Mutations of frames by drawn numbers: the same numbers give the same frame, compiled or not."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel

LONGEST: Final = 512
"""Bytes that a mutated frame may have."""
DRAWS: Final = 16
"""Numbers (uint32) that one mutation takes."""
MAC_BYTES: Final = 12
MANY_CHANGES: Final = 4
_EXTREMES: Final = (0x00, 0x01, 0x7F, 0x80, 0xFF, 0x45, 0x4F, 0x06, 0x11)
_LENGTH_FIELDS: Final = (16, 18, 38, 42, 44, 46)
"""Where frames without tags and options have lengths, offsets and header lengths: IP, TCP, UDP, ICMP, quotes."""


@kernel
def _insert(frame: NDArray[np.uint8], length: int, at: int, count: int, draw: int) -> int:
    count = min(count, LONGEST - length)
    for i in range(length - 1, at - 1, -1):
        frame[i + count] = frame[i]
    for i in range(count):
        frame[at + i] = (draw >> (i % 24)) & 0xFF
    return length + count


@kernel
def _delete(frame: NDArray[np.uint8], length: int, at: int, count: int) -> int:
    count = min(count, length - at)
    for i in range(at, length - count):
        frame[i] = frame[i + count]
    return length - count


@kernel
def _splice(frame: NDArray[np.uint8], length: int, at: int, other: NDArray[np.uint8], other_length: int) -> int:
    if other_length <= at:
        return length
    for i in range(at, other_length):
        frame[i] = other[i]
    return other_length


@kernel
def _change(  # noqa: C901 - one branch for each kind of change
    frame: NDArray[np.uint8],
    length: int,
    what: int,
    where: int,
    value: int,
    seeds: NDArray[np.uint8],
    lengths: NDArray[np.int64],
) -> int:
    """Change a frame of more than MAC_BYTES once; return its new length."""
    at = MAC_BYTES + where % (length - MAC_BYTES)
    if what < 4:
        frame[at] = int64(frame[at]) ^ (1 << (value % 8))
    elif what < 6:
        frame[at] = _EXTREMES[value % len(_EXTREMES)]
    elif what < 8:
        frame[at] = value & 0xFF
        if at + 1 < length:
            frame[at + 1] = (value >> 8) & 0xFF
    elif what == 8:
        length = at if value % 3 == 0 else max(length - value % 10, 0)
    elif what == 9:
        length = _insert(frame, length, at, 1 + value % 24, where)
    elif what == 10:
        length = _delete(frame, length, at, 1 + value % 24)
    elif what < 14:  # a length that lies, a little or much
        field = _LENGTH_FIELDS[where % len(_LENGTH_FIELDS)]
        if field + 1 < length:
            number = (int64(frame[field]) << 8) + int64(frame[field + 1]) + value % 33 - 16
            number = value & 0xFFFF if value % 5 == 0 else number & 0xFFFF
            frame[field] = number >> 8
            frame[field + 1] = number & 0xFF
    elif what == 14:  # header lengths, of the packet and of what it quotes
        header = 14 if value % 2 == 0 else 42
        if header < length:
            frame[header] = 0x40 | (where & 15)
    else:
        other = value % len(lengths)
        length = _splice(frame, length, at, seeds[other], int64(lengths[other]))
    return length


@kernel
def mutate(
    frame: NDArray[np.uint8],
    draws: NDArray[np.uint32],
    seeds: NDArray[np.uint8],
    lengths: NDArray[np.int64],
) -> int:
    """Write a seed with one to four changes behind its Ethernet addresses into `frame`; return its length.

    `frame` is LONGEST bytes, `draws` DRAWS numbers, `seeds` (seeds, LONGEST) with their `lengths`.
    """
    seed = int64(draws[0]) % len(lengths)
    length = int64(lengths[seed])
    for i in range(length):
        frame[i] = seeds[seed, i]
    for change in range(1 + int64(draws[1]) % MANY_CHANGES):
        if length > MAC_BYTES:
            at = 2 + 3 * change
            what, where, value = int64(draws[at]) % 16, int64(draws[at + 1]), int64(draws[at + 2])
            length = _change(frame, length, what, where, value, seeds, lengths)
    return length
