"""Frames as flat buffers of bytes, and copies between them."""

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from liveness.kernel import kernel
from liveness.packets.bytes import copy_bytes


@kernel
def copy(to: NDArray[np.uint8], at: int, source: NDArray[np.uint8], begin: int, end: int) -> int:
    """Copy source[begin:end] to to[at:] and return the index after its last byte in `to`."""
    copy_bytes(source, begin, end - begin, to, at)
    return at + end - begin


def flat_bytes(frames: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
    """Return a ring's frames (slots, bytes) as flat bytes, with gaps between rows, and the bytes from row to row."""
    step = frames.strides[0]
    return as_strided(frames, ((len(frames) - 1) * step + frames.shape[1],), (1,)), step
