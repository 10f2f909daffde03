"""Kernels for the one grammar of entries in text: ``a.b.c.d``, ``a.b.c.d/len`` without host bits, ``a.b.c.d-e.f.g.h``.

They accept what `space.addresses.parse_entry` accepts, which has the last word on all they refuse.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel

Bytes = NDArray[np.uint8]
Bounds = NDArray[np.uint32]

SHORTEST_ENTRY: Final = 8
"""Bytes of the shortest entry with what ends it, ``0.0.0.0`` and a newline: a text holds no more entries than that."""

SPACE, TAB, RETURN, NEWLINE, HASH, QUOTE, COMMA, SLASH, DASH, DOT, ZERO, NINE = b' \t\r\n#",/-.09'
NONE: Final = -1
"""Returned as a place if nothing was found."""

LONGEST_OCTET, LARGEST_OCTET, OCTETS, OCTET_BITS = 3, 255, 4, 8
LONGEST_LENGTH, ADDRESS_BITS = 2, 32


@kernel
def skip_blanks(text: Bytes, at: int) -> int:
    """Return the place of the first byte from `at` on that is not a space, tab or carriage return."""
    while at < text.size and text[at] in (SPACE, TAB, RETURN):
        at += 1
    return at


@kernel
def line_end(text: Bytes, at: int) -> int:
    """Return the place of the newline that ends the line `at` is on, or the text's end."""
    while at < text.size and text[at] != NEWLINE:
        at += 1
    return at


@kernel
def matches(text: Bytes, at: int, word: Bytes) -> bool:
    """Return whether `word` is at `at`."""
    same = at + word.size <= text.size
    index = 0
    while same and index < word.size:
        same = text[at + index] == word[index]
        index += 1
    return same


@kernel
def number_at(text: Bytes, at: int, longest: int) -> tuple[int, int]:
    """Return the decimal number at `at` and the place behind it, `NONE` if it is too long or has leading zeros."""
    value = int64(0)
    start = at
    while at < text.size and at - start <= longest and text[at] >= ZERO and text[at] <= NINE:
        value = value * 10 + int64(text[at]) - ZERO
        at += 1
    digits = at - start
    if digits == 0 or digits > longest or (digits > 1 and text[start] == ZERO):
        return int64(0), NONE
    return value, at


@kernel
def address_at(text: Bytes, at: int) -> tuple[int, int]:
    """Return the dotted quad at `at` and the place behind it, which is `NONE` if there is none."""
    value = int64(0)
    for octet in range(OCTETS):
        if octet:
            if at >= text.size or text[at] != DOT:
                return int64(0), NONE
            at += 1
        part, at = number_at(text, at, LONGEST_OCTET)
        if at == NONE or part > LARGEST_OCTET:
            return int64(0), NONE
        value = (value << OCTET_BITS) | part
    return value, at


@kernel
def entry_at(text: Bytes, at: int) -> tuple[int, int, int]:
    """Return the inclusive bounds of the entry at `at` and the place behind it, which is `NONE` if there is none."""
    low, at = address_at(text, at)
    high = low
    if at != NONE and at < text.size:
        dash = skip_blanks(text, at)
        if text[at] == SLASH:
            length, at = number_at(text, at + 1, LONGEST_LENGTH)
            hosts = (int64(1) << max(ADDRESS_BITS - length, 0)) - 1
            high = low | hosts
            if length > ADDRESS_BITS or low & hosts:
                at = NONE
        elif dash < text.size and text[dash] == DASH:
            high, at = address_at(text, skip_blanks(text, dash + 1))
            if low > high:
                at = NONE
    return low, high, at
