"""Random samples of a set: all subsets of the wanted size are equally likely."""

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from liveness.ipsets.roaring import as_array, sorted_unique, to_numpy
from liveness.ipsets.runs import runs
from liveness.space.intervals import Intervals

DRAWN_AT_ONCE = 1 << 20


def sample(addresses: BitMap, size: int, seed: int) -> BitMap:
    """Return `size` members, drawn without replacement; all of them if there are no more.

    The same set, size and seed give the same members on any machine: only the raw output of PCG64 is used, which numpy
    keeps as it is from version to version.
    """
    members = len(addresses)
    if size >= members:
        return addresses.copy()
    if 2 * size > members:  # drawing the addresses to leave out is faster
        return addresses - sample(addresses, members - size, seed)
    ranks = _ranks(members, size, np.random.PCG64(seed))
    chosen = BitMap()
    before = 0
    for first, last in runs(addresses):  # not all addresses: a dense set has billions
        part = Intervals(first, last)
        held = to_numpy(ranks & BitMap(range(before, before + part.count)))
        chosen.update(as_array(part.address_at(held - np.uint32(before))))
        before += part.count
    return chosen


def _ranks(members: int, size: int, source: np.random.PCG64) -> BitMap:
    """Return `size` different numbers below `members`."""
    ranks = BitMap()
    while (missing := size - len(ranks)) > 0:
        ranks.update(as_array(sorted_unique(_below(members, min(missing, DRAWN_AT_ONCE), source))))
    return ranks


def _below(limit: int, count: int, source: np.random.PCG64) -> NDArray[np.uint32]:
    """Return at most `count` random numbers below `limit`, all equally likely."""
    drawn = source.random_raw(count)
    fair = (1 << 64) // limit * limit  # larger numbers would favour the smallest remainders
    kept = drawn[drawn < fair] if fair < 1 << 64 else drawn
    remainders: NDArray[np.uint32] = (kept % np.uint64(limit)).astype(np.uint32)
    return remainders
