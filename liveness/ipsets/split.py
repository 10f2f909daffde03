"""The kernel that cuts runs of addresses into prefixes."""

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel

ADDRESS_BITS = 32


@kernel
def split_runs(
    first: NDArray[np.uint32], last: NDArray[np.uint32], base: NDArray[np.uint32], length: NDArray[np.uint8]
) -> int:
    """Write the shortest list of prefixes that covers the runs; return how many. With empty outputs it only counts."""
    count = 0
    for index in range(first.size):
        low = int64(first[index])
        end = int64(last[index]) + 1
        while low < end:
            bits = 0
            while bits < ADDRESS_BITS and (low >> bits) & 1 == 0 and low + (int64(2) << bits) <= end:
                bits += 1
            if base.size:
                base[count] = low
                length[count] = ADDRESS_BITS - bits
            count += 1
            low += int64(1) << bits
    return count
