"""Numbers in network order, written and copied byte by byte in flat buffers of frames."""

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from liveness.kernel import int64, kernel


@kernel
def put_u16(frame: NDArray[np.uint8], at: int, value: int) -> None:
    """Write the lower 16 bits of `value` at byte `at`."""
    frame[at] = (value >> 8) & 0xFF
    frame[at + 1] = value & 0xFF


@kernel
def put_u32(frame: NDArray[np.uint8], at: int, value: int) -> None:
    """Write the lower 32 bits of `value` at byte `at`."""
    frame[at] = (value >> 24) & 0xFF
    frame[at + 1] = (value >> 16) & 0xFF
    frame[at + 2] = (value >> 8) & 0xFF
    frame[at + 3] = value & 0xFF


@kernel
def copy(to: NDArray[np.uint8], at: int, source: NDArray[np.uint8], begin: int, end: int) -> int:
    """Copy source[begin:end] to to[at:] and return where it ends there."""
    for i in range(end - begin):
        to[at + i] = source[begin + i]
    return at + end - begin


@kernel
def native_u32(block: NDArray[np.uint8], at: int) -> int:
    """Return the number at byte `at` of a structure of the kernel's, little-endian on the machines we run on."""
    return int64(block[at]) | int64(block[at + 1]) << 8 | int64(block[at + 2]) << 16 | int64(block[at + 3]) << 24


@kernel
def put_native_u32(block: NDArray[np.uint8], at: int, value: int) -> None:
    """Write a number into a structure of the kernel's: the inverse of `native_u32`."""
    block[at] = value & 0xFF
    block[at + 1] = (value >> 8) & 0xFF
    block[at + 2] = (value >> 16) & 0xFF
    block[at + 3] = (value >> 24) & 0xFF


def flat_bytes(frames: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
    """Return a ring's frames (slots, bytes), gaps between rows included, as flat bytes, and the bytes a row apart."""
    step = frames.strides[0]
    return as_strided(frames, ((len(frames) - 1) * step + frames.shape[1],), (1,)), step
