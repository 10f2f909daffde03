"""Numbers in byte arrays, read and written by kernels: `be` is big-endian (network order), `le` little-endian.

Headers of packets are big-endian. The kernel's structures in a receive block and our own capture files are
little-endian, as every machine is that this package runs on; capture files of others may be either.
"""

import sys
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64

_SWAP: Final = sys.byteorder == "little"


@kernel
def _byte(data: NDArray[np.uint8], at: int, more: int) -> int:
    """Return the byte at `at` + `more`.

    The index is unsigned: no check for a negative one runs, and LLVM makes one load of neighbouring bytes.
    """
    return int64(data[uint64(at) + uint64(more)])


@kernel
def read_be16(data: NDArray[np.uint8], at: int) -> int:
    """Return the big-endian 16-bit number at byte `at`."""
    return _byte(data, at, 0) << 8 | _byte(data, at, 1)


@kernel
def read_be32(data: NDArray[np.uint8], at: int) -> int:
    """Return the big-endian 32-bit number at byte `at`."""
    return _byte(data, at, 0) << 24 | _byte(data, at, 1) << 16 | _byte(data, at, 2) << 8 | _byte(data, at, 3)


@kernel
def read_le16(data: NDArray[np.uint8], at: int) -> int:
    """Return the little-endian 16-bit number at byte `at`."""
    return _byte(data, at, 0) | _byte(data, at, 1) << 8


@kernel
def read_le32(data: NDArray[np.uint8], at: int) -> int:
    """Return the little-endian 32-bit number at byte `at`."""
    return _byte(data, at, 0) | _byte(data, at, 1) << 8 | _byte(data, at, 2) << 16 | _byte(data, at, 3) << 24


@kernel
def read_le64(data: NDArray[np.uint8], at: int) -> int:
    """Return the little-endian 64-bit number at byte `at`, as uint64."""
    return uint64(read_le32(data, at)) | uint64(read_le32(data, at + 4)) << uint64(32)


@kernel
def read_16(data: NDArray[np.uint8], at: int, big: bool) -> int:
    """Return the 16-bit number at byte `at`, big-endian if `big`, else little-endian."""
    return read_be16(data, at) if big else read_le16(data, at)


@kernel
def read_32(data: NDArray[np.uint8], at: int, big: bool) -> int:
    """Return the 32-bit number at byte `at`, big-endian if `big`, else little-endian."""
    return read_be32(data, at) if big else read_le32(data, at)


@kernel
def put_be16(data: NDArray[np.uint8], at: int, value: int) -> None:
    """Write the lower 16 bits of `value` at byte `at`, big-endian."""
    data[at] = (value >> 8) & 255
    data[at + 1] = value & 255


@kernel
def put_be32(data: NDArray[np.uint8], at: int, value: int) -> None:
    """Write the lower 32 bits of `value` at byte `at`, big-endian."""
    data[at] = (value >> 24) & 255
    data[at + 1] = (value >> 16) & 255
    data[at + 2] = (value >> 8) & 255
    data[at + 3] = value & 255


@kernel
def put_le16(data: NDArray[np.uint8], at: int, value: int) -> None:
    """Write the lower 16 bits of `value` at byte `at`, little-endian."""
    data[at] = value & 255
    data[at + 1] = (value >> 8) & 255


@kernel
def put_le32(data: NDArray[np.uint8], at: int, value: int) -> None:
    """Write the lower 32 bits of `value` at byte `at`, little-endian."""
    data[at] = value & 255
    data[at + 1] = (value >> 8) & 255
    data[at + 2] = (value >> 16) & 255
    data[at + 3] = (value >> 24) & 255


@kernel
def set_be16(words: NDArray[np.uint16], frame: int, byte: int, value: int) -> None:
    """Write a 16-bit number, big-endian, at an even byte of the frame that begins at words[frame].

    One store in place of two: frames that are sent are arrays of words. A word has the machine's byte order.
    """
    if _SWAP:
        words[frame + (byte >> 1)] = ((value & 0xFF) << 8) | ((value >> 8) & 0xFF)
    else:
        words[frame + (byte >> 1)] = value & 0xFFFF


@kernel
def set_be32(words: NDArray[np.uint16], frame: int, byte: int, value: int) -> None:
    """Write a 32-bit number, big-endian, at an even byte of a frame."""
    set_be16(words, frame, byte, (value >> 16) & 0xFFFF)
    set_be16(words, frame, byte + 2, value & 0xFFFF)


@kernel
def copy_bytes(source: NDArray[np.uint8], at: int, count: int, target: NDArray[np.uint8], to: int) -> None:
    """Copy source[at:at + count] to target[to:to + count]."""
    for i in range(count):
        target[to + i] = source[at + i]
