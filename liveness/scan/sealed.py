"""Seals of what one process publishes to others in shared memory: a checksum that a reader verifies.

What is relied on, on machines whose stores may be seen in another order than they were made in (aarch64, RISC-V):

- One aligned number of 8 bytes or less is read as it was written, whole: flags, counters and generations are such.
- Nothing else. A reader that sees a new generation may still see old content, or parts of both. So content is published
  with a checksum over it and its generation, and a reader takes only a copy that fits: whatever the order in which
  stores arrive, a copy that fits is that generation's. A copy that does not fit is on its way: the reader looks again.

A checksum of 32 bits is wrong once in four thousand million torn copies; one is torn for some nanoseconds, and only
where a list is published while it is read. Rings that are shared with the kernel have fences instead (`kernel.fence`).
"""

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray


def seal(generation: int, *parts: NDArray[Any]) -> int:
    """Return the checksum of what is published as this generation."""
    checksum = zlib.crc32(generation.to_bytes(8, "little"))
    for part in parts:
        checksum = zlib.crc32(np.ascontiguousarray(part).data.cast("B") if part.size else b"", checksum)
    return checksum
