"""The Internet checksum (RFC 1071): sums of 16-bit words that can be kept, extended and folded."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64
from liveness.packets.bytes import read_be16, read_le16, read_le32, read_le64

WORD: Final = 0xFFFF
"""The largest 16-bit word; what a correct checksum and the words it covers add up to."""


@kernel
def words_sum(frame: NDArray[np.uint8], start: int, end: int) -> int:
    """Return the plain sum of the big-endian 16-bit words in frame[start:end]; an odd last byte is padded with zero."""
    total = 0
    at = start
    while at + 1 < end:
        total += read_be16(frame, at)
        at += 2
    if at < end:
        total += int64(frame[at]) << 8
    return total


@kernel
def sums_to_ones(frame: NDArray[np.uint8], start: int, end: int, more: int) -> bool:
    """Return whether the words in frame[start:end], and others whose plain sum is `more`, add up to all ones.

    They do where the checksum among them is correct. An odd last byte is padded with zero. Words are added four at a
    time and in little-endian order, which gives the sum with its bytes swapped (RFC 1071, section 2(B)): all ones are
    the same in either order.
    """
    total, at = uint64(0), start
    while at + 8 <= end:
        four = read_le64(frame, at)
        total += four
        total += uint64(total < four)  # the carry out of the highest word goes into the lowest
        at += 8
    total = (total >> uint64(32)) + (total & uint64(0xFFFFFFFF))
    if at + 4 <= end:
        total += uint64(read_le32(frame, at))
        at += 4
    if at + 2 <= end:
        total += uint64(read_le16(frame, at))
        at += 2
    if at < end:
        total += uint64(frame[at])
    word = fold(more)
    return fold(int64(total) + (word >> 8) + ((word & 0xFF) << 8)) == WORD


@kernel
def u32_sum(value: int) -> int:
    """Return the sum of the two 16-bit halves of a 32-bit number: what it adds to a checksum."""
    return (value >> 16) + (value & 0xFFFF)


@kernel
def fold(total: int) -> int:
    """Return a sum of up to 2**31 16-bit words as one 16-bit word, carries added back in."""
    total = (total & WORD) + (total >> 16)
    total = (total & WORD) + (total >> 16)
    return (total & WORD) + (total >> 16)


@kernel
def checksum(total: int) -> int:
    """Return the checksum field for a sum of words: the one's complement of the folded sum."""
    return fold(total) ^ 0xFFFF


@kernel
def udp_checksum(total: int) -> int:
    """Return the checksum field of UDP, where a computed zero is sent as all ones (RFC 768)."""
    value = fold(total) ^ 0xFFFF
    return value if value != 0 else 0xFFFF
