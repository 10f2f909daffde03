"""Memory that forked children share with their parent, and checksums of what one process publishes there to others.

On machines with a weak memory model (aarch64, RISC-V), other processes may see stores in another order than they were
made in. The code relies only on this:

- An aligned number of at most 8 bytes is read as a whole, as it was written. Flags, counters and generations are such.
- Larger content is not safe by itself. A reader that sees a new generation may still see old content, or parts of both.
  Content is therefore published with a checksum over it and its generation, and a reader accepts only a copy that
  matches. A copy that matches belongs to that generation, in whatever order stores arrive. If a copy does not match,
  stores are still under way, and the reader tries again.

A checksum of 32 bits accepts one in four thousand million torn copies. A copy is torn only for some nanoseconds, and
only if a list is read while it is published. Rings that are shared with the kernel use memory fences instead
(`kernel.fence`).
"""

import mmap
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray


def shared_zeros(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:  # noqa: ANN401 - whatever numpy takes as a dtype
    """Return an array of zeros in anonymous memory that forked children share. Unused pages take no memory."""
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if size == 0:
        return np.zeros(shape, dtype)
    return np.frombuffer(mmap.mmap(-1, size), dtype).reshape(shape)


def seal(generation: int, *parts: NDArray[Any]) -> int:
    """Return the checksum of a generation and of the arrays `parts` published with it."""
    checksum = zlib.crc32(generation.to_bytes(8, "little"))
    for part in parts:
        checksum = zlib.crc32(np.ascontiguousarray(part).data.cast("B") if part.size else b"", checksum)
    return checksum
