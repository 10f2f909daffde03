"""Matching: one kernel that finds the protocol of a service by its first data, in a table of conditions.

Work is bounded: each condition looks at a few bytes, or searches the first SEARCHED bytes for a short text. Nothing is
tried twice.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.applications.fingerprints.conditions import (
    SEARCHED,
    Among,
    Bytes,
    Condition,
    Counts,
    Holds,
    Length,
    Printable,
    Text,
)
from liveness.applications.fingerprints.table import PROTOCOLS
from liveness.kernel import int64, kernel

_BYTES, _TEXT, _HOLDS, _AMONG, _COUNTS, _LENGTH, _PRINTABLE = range(7)
_NUMBER, _LAST, _WHAT, _AT, _LOW, _HIGH, _BEGIN, _SIZE, _COLUMNS = range(9)
"""Columns of the table: number of the protocol, whether the condition is the last of its pattern, what it is, where it
looks, its two numbers, and where its text is among all texts."""

_CASE, _A, _Z, _TAB, _CARRIAGE_RETURN, _SPACE, _TILDE = 32, 65, 90, 9, 13, 32, 126


def _row(condition: Condition, texts: bytearray) -> tuple[int, ...]:
    """Return what, at, low, high, begin and size of a condition; its text is added to `texts`."""
    begin = len(texts)
    match condition:
        case Bytes(at, text) | Text(at, text):
            what = _BYTES if isinstance(condition, Bytes) else _TEXT
            texts += text if what == _BYTES else text.lower()
            return what, at, 0, 0, begin, len(text)
        case Holds(text):
            texts += text.lower()
            return _HOLDS, 0, 0, 0, begin, len(text)
        case Among(at, low, high):
            return _AMONG, at, low, high, 0, 1
        case Counts(at, size, more, order, exact):
            return _COUNTS, at, more, int(exact), int(order == "little"), size
        case Length(low, high):
            return _LENGTH, 0, low, high, 0, 0
        case Printable(size):
            return _PRINTABLE, 0, size, 0, 0, 0


def _rows(texts: bytearray) -> Iterator[tuple[int, ...]]:
    for number, protocol in enumerate(PROTOCOLS, 1):
        for pattern in protocol.patterns:
            for place, condition in enumerate(pattern, 1):
                yield number, int(place == len(pattern)), *_row(condition, texts)


_texts = bytearray()
_TABLE: Final[NDArray[np.int64]] = np.array(list(_rows(_texts)), np.int64)
_TEXTS: Final[NDArray[np.uint8]] = np.frombuffer(bytes(_texts), np.uint8).copy()


@kernel
def _lower(byte: int) -> int:
    return byte + _CASE if _A <= byte <= _Z else byte


@kernel
def _has_text(frame: NDArray[np.uint8], at: int, end: int, begin: int, size: int, fold: bool) -> bool:
    """Return whether frame[at:end] begins with the text at _TEXTS[begin:begin + size]."""
    if end - at < size:
        return False
    for i in range(size):
        byte = int64(frame[at + i])
        if (_lower(byte) if fold else byte) != int64(_TEXTS[begin + i]):
            return False
    return True


@kernel
def _counts(frame: NDArray[np.uint8], at: int, size: int, little: bool) -> int:
    """Return the unsigned number of `size` bytes at frame[at]."""
    number = 0
    for i in range(size):
        number = number << 8 | int64(frame[at + (size - 1 - i if little else i)])
    return number


@kernel
def _is_printable(frame: NDArray[np.uint8], at: int, size: int) -> bool:
    """Return whether frame[at:at + size] is printable ASCII, tabs and ends of lines."""
    for i in range(size):
        byte = int64(frame[at + i])
        if not (_SPACE <= byte <= _TILDE or _TAB <= byte <= _CARRIAGE_RETURN):
            return False
    return True


@kernel
def _has_within(frame: NDArray[np.uint8], at: int, length: int, begin: int, size: int) -> bool:
    """Return whether the text at _TEXTS[begin:begin + size] is in the first SEARCHED bytes, in upper or lower case."""
    searched = min(length, SEARCHED)
    for i in range(searched - size + 1):  # noqa: SIM110 - a kernel: Numba compiles no generator expressions
        if _has_text(frame, at + i, at + searched, begin, size, True):
            return True
    return False


@kernel
def _holds(  # noqa: PLR0911 - one branch for each kind of condition
    condition: NDArray[np.int64], frame: NDArray[np.uint8], start: int, length: int
) -> bool:
    """Return whether a condition holds for frame[start:start + length]."""
    what, low, high = condition[_WHAT], condition[_LOW], condition[_HIGH]
    begin, size = condition[_BEGIN], condition[_SIZE]
    at, end = start + condition[_AT], start + length
    if what == _LENGTH:
        return bool(low <= length <= high)
    if what == _PRINTABLE:
        return _is_printable(frame, start, min(low, length))
    if what == _HOLDS:
        return _has_within(frame, start, length, begin, size)
    if end - at < size:
        return False
    if what == _AMONG:
        return bool(low <= int64(frame[at]) <= high)
    if what == _COUNTS:
        number = _counts(frame, at, size, begin == 1) + low
        return bool(number == length if high == 1 else number <= length)
    return _has_text(frame, at, end, begin, size, what == _TEXT)


@kernel
def protocol_of(frame: NDArray[np.uint8], at: int, length: int) -> int:
    """Return the number of the protocol whose fingerprint the data frame[at:at + length] fits first; 0 if none."""
    fits = True
    for i in range(len(_TABLE)):
        condition = _TABLE[i]
        fits = fits and _holds(condition, frame, at, length)
        if condition[_LAST] == 1:
            if fits and length > 0:
                return int64(condition[_NUMBER])
            fits = True
    return 0
