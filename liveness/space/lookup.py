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
def addresses_of(
    indices: NDArray[np.uint32],
    first: NDArray[np.uint32],
    before: NDArray[np.uint64],
    addresses: NDArray[np.uint32],
) -> None:
    """Write the address of each target index to `addresses`: as `address_of`, for many indices at once.

    All searches take the same steps together, and none has a branch: a processor cannot predict which half holds a
    random index, and a search alone waits for each of its loads, while those of different indices overlap.
    """
    addresses[:] = 0  # during the search: the first interval that may hold the index
    length = len(before)  # so many intervals may hold it, from that one on
    while length > 1:
        half = length >> 1
        for i in range(len(indices)):
            middle = uint64(addresses[i]) + uint64(half)
            addresses[i] = middle if before[middle] <= uint64(indices[i]) else addresses[i]
        length -= half
    for i in range(len(indices)):
        interval = uint64(addresses[i])
        addresses[i] = uint64(first[interval]) + (uint64(indices[i]) - before[interval])


@kernel
def is_within(address: int, first: NDArray[np.uint32], last: NDArray[np.uint32]) -> bool:
    """Return whether sorted, disjoint intervals hold an address.

    The search has no branch that depends on the address: half of such branches would be predicted wrong.
    """
    if len(first) == 0:
        return False
    low, length = uint64(0), uint64(len(first))  # the interval is one of `length` from `low` on
    while length > uint64(1):
        half = length >> uint64(1)
        low += half * uint64(int64(first[low + half]) <= address)
        length -= half
    return (int64(first[low]) <= address) & (address <= int64(last[low]))
