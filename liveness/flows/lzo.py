"""Decompresses LZO1X blocks, which nfdump writes with -z (and wrote by default before lz4).

The stream is a sequence of instructions; each copies earlier output (distance and length) and then some literal bytes.
Every length and distance is checked against both buffers, for the data may be anybody's.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel

_FAR_DISTANCE: Final = 0x4000
_NEAR_DISTANCE: Final = 0x0800
_AFTER_RUN: Final = 4
"""State of the decoder after a run of literals: a short code then means another distance."""


class DamagedError(ValueError):
    """The data is no LZO1X stream, or does not fit."""


def lzo1x_decompress(data: bytes, limit: int) -> bytes:
    """Return what an LZO1X block holds, at most `limit` bytes; DamagedError if it is none or holds more."""
    out = np.empty(limit, np.uint8)
    size = _decompress(np.frombuffer(data, np.uint8), out)
    if size < 0:
        raise DamagedError("no LZO1X data, or more of it than the block can hold")
    return out[:size].tobytes()


@kernel
def _extended(data: NDArray[np.uint8], at: int, base: int) -> tuple[int, int]:
    """Return a length that is continued in following bytes (zeros count 255 each), and where it ends; -1 at the end."""
    length = base
    while at < len(data) and data[at] == 0:
        length += 255
        at += 1
    if at >= len(data):
        return -1, at
    return length + int64(data[at]), at + 1


@kernel
def _copy_literals(data: NDArray[np.uint8], at: int, out: NDArray[np.uint8], n: int, length: int) -> bool:
    """Copy bytes of the stream from `at` on to out[n:]; return False, having copied nothing, if either is too short."""
    if length > len(data) - at or length > len(out) - n:
        return False
    for _ in range(length):
        out[n] = data[at]
        n += 1
        at += 1
    return True


@kernel
def _reference(  # noqa: PLR0911 - one for each form
    data: NDArray[np.uint8], at: int, code: int, state: int
) -> tuple[int, int, int, int]:
    """Decode the instruction `code`, whose other bytes begin at `at`, as a copy of earlier output.

    Returns its length (-1 for a damaged stream) and distance (0 for the end of the stream), where its bytes end, and
    how many literals follow. `state` is that of `_decompress`.
    """
    if code >= 16 and code < 64:
        bits = 31 if code >= 32 else 7
        length = (code & bits) + 2
        if length == 2:
            length, at = _extended(data, at, bits + 2)
        if length < 0 or len(data) - at < 2:
            return -1, 0, at, 0
        pair = int64(data[at]) | int64(data[at + 1]) << 8
        if code >= 32:
            return length, 1 + (pair >> 2), at + 2, pair & 3
        distance = _FAR_DISTANCE + ((code & 8) << 11) + (pair >> 2)
        return length, 0 if distance == _FAR_DISTANCE else distance, at + 2, pair & 3
    if at >= len(data):
        return -1, 0, at, 0
    more = int64(data[at])
    if code >= 64:
        return (code >> 5) + 1, 1 + ((code >> 2) & 7) + (more << 3), at + 1, code & 3
    if state == _AFTER_RUN:  # three bytes from just beyond the near distance
        return 3, _NEAR_DISTANCE + 1 + (code >> 2) + (more << 2), at + 1, code & 3
    return 2, 1 + (code >> 2) + (more << 2), at + 1, code & 3


@kernel
def _decompress(data: NDArray[np.uint8], out: NDArray[np.uint8]) -> int:  # noqa: C901, PLR0911 - every check is one
    """Write the data's content to `out` and return its size; -1 where it is damaged or does not fit."""
    if len(data) < 3:
        return -1
    at = n = 0
    state = 0  # literals that the last instruction copied: 0 none, 1 to 3 few, _AFTER_RUN a run
    first = int64(data[0])
    if first > 17:  # the stream begins with literals
        if not _copy_literals(data, 1, out, 0, first - 17):
            return -1
        n = first - 17
        at = 1 + n
        state = min(_AFTER_RUN, n)
    while at < len(data):
        code = int64(data[at])
        at += 1
        if code < 16 and state == 0:  # a run of literals
            length = code + 3
            if code == 0:
                length, at = _extended(data, at, 18)
            if length < 0 or not _copy_literals(data, at, out, n, length):
                return -1
            at, n, state = at + length, n + length, _AFTER_RUN
            continue
        length, distance, at, state = _reference(data, at, code, state)
        if length >= 0 and distance == 0:
            return n if length == 3 else -1  # the end
        if length < 0 or distance > n or length > len(out) - n:
            return -1
        for _ in range(length):  # byte by byte: a copy may overlap what it writes
            out[n] = out[n - distance]
            n += 1
        if not _copy_literals(data, at, out, n, state):
            return -1
        at, n = at + state, n + state
    return -1
