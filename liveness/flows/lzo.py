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
def _decompress(data: NDArray[np.uint8], out: NDArray[np.uint8]) -> int:  # noqa: C901, PLR0911, PLR0912, PLR0915
    """Write the data's content to `out` and return its size; -1 where it is damaged or does not fit."""
    end, room = len(data), len(out)
    at = 0
    n = 0
    state = 0  # literals that the last instruction copied: 0 none, 1 to 3 few, 4 a run
    if end < 3:
        return -1
    first = int64(data[0])
    if first > 17:
        literals = first - 17
        at = 1
        if literals > end - at or literals > room:
            return -1
        for _ in range(literals):
            out[n] = data[at]
            n += 1
            at += 1
        state = min(4, literals)
    while True:
        if at >= end:
            return -1
        code = int64(data[at])
        at += 1
        if code < 16 and state == 0:  # a run of literals
            length = code + 3
            if code == 0:
                length, at = _extended(data, at, 18)
                if length < 0:
                    return -1
            if length > end - at or length > room - n:
                return -1
            for _ in range(length):
                out[n] = data[at]
                n += 1
                at += 1
            state = 4
            continue
        if code < 16:
            if at >= end:
                return -1
            if state == 4:  # behind a run: three bytes from just beyond the near distance
                length = 3
                distance = _NEAR_DISTANCE + 1 + (code >> 2) + (int64(data[at]) << 2)
            else:
                length = 2
                distance = 1 + (code >> 2) + (int64(data[at]) << 2)
            at += 1
            state = code & 3
        elif code >= 64:
            if at >= end:
                return -1
            length = (code >> 5) + 1
            distance = 1 + ((code >> 2) & 7) + (int64(data[at]) << 3)
            at += 1
            state = code & 3
        else:
            bits = 31 if code >= 32 else 7
            length = (code & bits) + 2
            if length == 2:
                length, at = _extended(data, at, bits + 2)
                if length < 0:
                    return -1
            if end - at < 2:
                return -1
            pair = int64(data[at]) | int64(data[at + 1]) << 8
            at += 2
            state = pair & 3
            if code >= 32:
                distance = 1 + (pair >> 2)
            else:
                distance = _FAR_DISTANCE + ((code & 8) << 11) + (pair >> 2)
                if distance == _FAR_DISTANCE:  # the end
                    return n if length == 3 else -1
        if distance > n or length > room - n:
            return -1
        for _ in range(length):
            out[n] = out[n - distance]
            n += 1
        if state > end - at or state > room - n:
            return -1
        for _ in range(state):
            out[n] = data[at]
            n += 1
            at += 1
