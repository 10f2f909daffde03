"""Look-ups in sorted intervals, for kernels: the address of an index, and whether an address is within."""

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64


@kernel
def address_of(index: int, first: NDArray[np.uint32], before: NDArray[np.uint64]) -> int:
    """Return the address of a target index: the interval that holds it by binary search, then the distance into it."""
    low, high = 0, len(before)
    while high - low > 1:
        middle = (low + high) >> 1
        if before[middle] <= index:
            low = middle
        else:
            high = middle
    address: int = uint64(first[low]) + (index - before[low])
    return address


@kernel
def is_within(address: int, first: NDArray[np.uint32], last: NDArray[np.uint32]) -> bool:
    """Return whether sorted, disjoint intervals hold an address."""
    low, high = 0, len(first)
    while low < high:
        middle = (low + high) >> 1
        if int64(last[middle]) < address:
            low = middle + 1
        else:
            high = middle
    return low < len(first) and int64(first[low]) <= address
