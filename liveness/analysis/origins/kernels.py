"""Kernels of the comparison of vantage points: which runs saw each address, and counts of addresses by these runs.

The runs that saw an address are bits of a mask: bit t * V + v for vantage point v of V in trial t.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64

SPACE: Final = 1 << 32
ACCESSIBLE, TRANSIENT, LONG_TERM, UNKNOWN = range(4)
"""Classes of an address for a vantage point, over all trials."""
CLASSES: Final = 4
LEAST_NETWORK: Final = 2
"""Addresses of a /24 that must be missed, all of them, to count as a missed network."""
ANY, TWO, SEEN = range(3)
"""Columns of a stratum: seen by any, by exactly two, and from here on by vantage point: seen, seen by it alone; then by
pair: seen by both."""


@kernel
def merge(
    members: NDArray[np.uint32],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    bits: NDArray[np.uint64],
    first: NDArray[np.uint32],
    last: NDArray[np.uint32],
    addresses: NDArray[np.uint32],
    masks: NDArray[np.uint64],
) -> int:
    """Merge ascending lists of addresses into one, with the bits of the lists that have each; return its length.

    List i is members[begins[i]:ends[i]]. Only addresses within the intervals first[k] to last[k] are kept.
    """
    at = begins.copy()
    interval, found = 0, 0
    while True:
        least = SPACE
        for i in range(len(at)):
            if at[i] < ends[i]:
                least = min(least, int64(members[at[i]]))
        if least == SPACE:
            return found
        mask = uint64(0)
        for i in range(len(at)):
            if at[i] < ends[i] and int64(members[at[i]]) == least:
                mask |= bits[i]
                at[i] += 1
        # Addresses and intervals both ascend: an interval that has been passed is never needed again.
        while interval < len(last) and int64(last[interval]) < least:
            interval += 1
        if interval < len(last) and int64(first[interval]) <= least:
            addresses[found] = least
            masks[found] = mask
            found += 1


@kernel
def class_of(mask: int, vantage: int, vantages: int, present: NDArray[np.uint64]) -> int:
    """Return the class of an address for a vantage point, -1 if no trial says anything about it.

    Only trials count in which the vantage point has a run and any vantage point saw the address. `present` has the bits
    of the vantage points that have a run, by trial.
    """
    alive, missed = 0, 0
    for trial in range(len(present)):
        pattern = (mask >> uint64(trial * vantages)) & present[trial]
        if (present[trial] >> uint64(vantage)) & uint64(1) and pattern:
            alive += 1
            missed += 1 - int64((pattern >> uint64(vantage)) & uint64(1))
    if alive == 0:
        return -1
    if missed == 0:
        return ACCESSIBLE
    if alive == 1:
        return UNKNOWN
    return LONG_TERM if missed == alive else TRANSIENT


@kernel
def add_network(
    alive: NDArray[np.int64], seen: NDArray[np.int64], present: NDArray[np.uint64], networks: NDArray[np.int64]
) -> None:
    """Add the addresses of a /24 for each vantage point that saw none of them, and clear the counts of the /24."""
    for trial in range(len(alive)):
        for vantage in range(seen.shape[1]):
            is_present = (present[trial] >> uint64(vantage)) & uint64(1)
            if is_present and seen[trial, vantage] == 0 and alive[trial] >= LEAST_NETWORK:
                networks[trial, vantage] += alive[trial]
    alive[:] = 0
    seen[:] = 0


@kernel
def count_masks(
    addresses: NDArray[np.uint32],
    masks: NDArray[np.uint64],
    present: NDArray[np.uint64],
    patterns: NDArray[np.int64],
    classes: NDArray[np.int64],
    networks: NDArray[np.int64],
) -> None:
    """Count whole /24s of ascending addresses.

    patterns[t, p]: addresses that exactly the vantage points of the bits of p saw in trial t. classes[v, c]: addresses
    of class c for v. networks[t, v]: addresses that v missed in trial t together with all others of their /24.
    """
    trials, vantages = networks.shape
    alive, seen = np.zeros(trials, np.int64), np.zeros((trials, vantages), np.int64)
    for i in range(len(addresses)):
        for trial in range(trials):
            pattern = (masks[i] >> uint64(trial * vantages)) & present[trial]
            patterns[trial, int64(pattern)] += 1
            if pattern:
                alive[trial] += 1
                for vantage in range(vantages):
                    seen[trial, vantage] += int64((pattern >> uint64(vantage)) & uint64(1))
        for vantage in range(vantages):
            found = class_of(masks[i], vantage, vantages, present)
            if found >= 0:
                classes[vantage, found] += 1
        if i + 1 == len(addresses) or int64(addresses[i + 1]) >> 8 != int64(addresses[i]) >> 8:
            add_network(alive, seen, present, networks)


@kernel
def add_to_stratum(pattern: int, vantages: int, row: NDArray[np.int64]) -> None:
    """Add an address that the vantage points of the bits of a pattern saw to the columns of its stratum."""
    row[ANY] += 1
    number, pair = 0, SEEN + 2 * vantages
    for vantage in range(vantages):
        is_seen = (pattern >> vantage) & 1
        number += is_seen
        row[SEEN + vantage] += is_seen
        for other in range(vantage + 1, vantages):
            row[pair] += is_seen & (pattern >> other)
            pair += 1
    if number == 1:
        for vantage in range(vantages):
            row[SEEN + vantages + vantage] += (pattern >> vantage) & 1
    row[TWO] += number == 2  # noqa: PLR2004 - these tell how many none saw


@kernel
def count_strata(
    addresses: NDArray[np.uint32],
    masks: NDArray[np.uint64],
    present: NDArray[np.uint64],
    first: NDArray[np.uint32],
    label: NDArray[np.int32],
    counts: NDArray[np.int64],
    vantages: int,
) -> None:
    """Count ascending addresses by stratum, trial and column: counts[label, trial, column].

    Addresses from first[k] up to first[k + 1] are in the stratum label[k].
    """
    if len(addresses) == 0:
        return
    at = int64(np.searchsorted(first, addresses[0], "right")) - 1
    for i in range(len(addresses)):
        while at + 1 < len(first) and int64(first[at + 1]) <= int64(addresses[i]):
            at += 1
        for trial in range(len(present)):
            pattern = int64((masks[i] >> uint64(trial * vantages)) & present[trial])
            if pattern:
                add_to_stratum(pattern, vantages, counts[label[at], trial])
