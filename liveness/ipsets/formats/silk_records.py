"""The kernel that finds the records of a SiLK IPset of version 4, whose lengths differ."""

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import kernel

SHORT, LONG, CONTAINS_BITMAP = 5, 37, 0x81


@kernel
def find_records(data: NDArray[np.uint8], starts: NDArray[np.int64]) -> tuple[int, int]:
    """Write where each whole record begins; return how many there are, and where the first that is not whole begins.

    A record is 4 bytes of address and one that is a prefix length or, as 0x81, announces 32 more.
    """
    count, at = 0, 0
    while at + SHORT <= data.size:
        size = LONG if data[at + SHORT - 1] == CONTAINS_BITMAP else SHORT
        if at + size > data.size:
            break
        starts[count] = at
        count += 1
        at += size
    return count, at
