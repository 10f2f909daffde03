"""Sets of IPv4 addresses as sorted, merged intervals: the algebra of target lists, vectorised."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from liveness.space.addresses import format_address

ENTRIES_AT_ONCE = 1 << 16
"""How many intervals are turned into text at once."""
ADDRESS_BITS = 32
ADDRESS_SPACE = 1 << 32
"""How many IPv4 addresses there are; counts reach it, so they are 64 bits wide although addresses are 32."""


@dataclass(frozen=True, slots=True, eq=False)
class Intervals:
    """A set of addresses as inclusive bounds in host byte order: sorted, disjoint, and with a gap between neighbours.

    Build one with `from_bounds`, which sorts and merges; the constructor takes arrays that are sorted and merged
    already.
    """

    first: NDArray[np.uint32]
    last: NDArray[np.uint32]

    @classmethod
    def empty(cls) -> Self:
        """Return the empty set."""
        return cls(np.empty(0, np.uint32), np.empty(0, np.uint32))

    @classmethod
    def everything(cls) -> Self:
        """Return the set of all 2**32 addresses."""
        return cls(np.zeros(1, np.uint32), np.full(1, ADDRESS_SPACE - 1, np.uint32))

    @classmethod
    def from_bounds(cls, first: Any, last: Any) -> Self:  # noqa: ANN401 - any array or sequence of integers
        """Sort and merge inclusive bounds, overlapping or not; ValueError for a `first` above its `last`."""
        low = np.atleast_1d(np.asarray(first, dtype=np.uint64))
        high = np.atleast_1d(np.asarray(last, dtype=np.uint64))
        if low.size == 0:
            return cls.empty()
        if bool(np.any(low > high)) or int(high.max()) >= ADDRESS_SPACE:
            raise ValueError("the bounds of an interval must be addresses, the first not above the last")
        pairs = np.sort(low << np.uint64(32) | high)  # one key sorts several times faster than argsort and two gathers
        low = pairs >> np.uint64(32)
        reach = np.maximum.accumulate(pairs & np.uint64(ADDRESS_SPACE - 1))
        opens = np.ones(low.size, np.bool_)
        opens[1:] = low[1:] > reach[:-1] + np.uint64(1)  # neighbours that touch are one interval
        closes = np.append(opens[1:], True)
        return cls(low[opens].astype(np.uint32), reach[closes].astype(np.uint32))

    def __len__(self) -> int:
        return int(self.first.size)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Intervals):
            return NotImplemented
        return np.array_equal(self.first, other.first) and np.array_equal(self.last, other.last)

    __hash__ = None  # type: ignore[assignment]  # it holds arrays

    @property
    def sizes(self) -> NDArray[np.uint64]:
        """Return the number of addresses in each interval."""
        return self.last.astype(np.uint64) - self.first + np.uint64(1)

    @property
    def count(self) -> int:
        """Return the number of addresses, exact up to 2**32."""
        return int(self.sizes.sum(dtype=np.uint64))

    @property
    def cumulative(self) -> NDArray[np.uint64]:
        """Return the number of addresses before each interval: what its first address has as index."""
        totals = np.zeros(len(self), np.uint64)
        np.cumsum(self.sizes[:-1], out=totals[1:])
        return totals

    def complement(self) -> "Intervals":
        """Return every address that is not in here."""
        low = np.append(np.int64(0), self.last.astype(np.int64) + 1)
        high = np.append(self.first.astype(np.int64) - 1, np.int64(ADDRESS_SPACE - 1))
        real = low <= high  # at the ends of the address space nothing may be left
        return Intervals(low[real].astype(np.uint32), high[real].astype(np.uint32))

    def union(self, other: "Intervals") -> "Intervals":
        """Return the addresses in either."""
        return Intervals.from_bounds(np.concatenate((self.first, other.first)), np.concatenate((self.last, other.last)))

    def intersection(self, other: "Intervals") -> "Intervals":
        """Return the addresses in both."""
        # other's intervals that meet one of ours are a run, from the first that ends at or after our start
        start = np.searchsorted(other.last, self.first, side="left")
        stop = np.searchsorted(other.first, self.last, side="right")
        overlaps = np.maximum(stop - start, 0)
        rows = np.repeat(np.arange(len(self)), overlaps)
        other_rows = (
            np.arange(rows.size) - np.repeat(np.cumsum(overlaps) - overlaps, overlaps) + np.repeat(start, overlaps)
        )
        return Intervals(
            np.maximum(self.first[rows], other.first[other_rows]), np.minimum(self.last[rows], other.last[other_rows])
        )

    def difference(self, other: "Intervals") -> "Intervals":
        """Return the addresses in here that are not in `other`."""
        return self.intersection(other.complement())

    def contains(self, addresses: Any) -> NDArray[np.bool_]:  # noqa: ANN401 - any array or sequence of integers
        """Return for each address whether it is in here."""
        wanted = np.atleast_1d(np.asarray(addresses, dtype=np.uint32))
        if len(self) == 0:
            return np.zeros(wanted.shape, np.bool_)
        at = np.searchsorted(self.first, wanted, side="right") - 1
        inside: NDArray[np.bool_] = (at >= 0) & (wanted <= self.last[at])
        return inside

    def address_at(self, indices: Any) -> NDArray[np.uint32]:  # noqa: ANN401 - any array or sequence of integers
        """Return the addresses at these places of the ascending order (0 is the lowest); IndexError outside `count`."""
        wanted = np.atleast_1d(np.asarray(indices))
        if wanted.size and not (int(wanted.min()) >= 0 and int(wanted.max()) < self.count):
            raise IndexError(f"there are {self.count} addresses; an index is outside them")
        if wanted.size == 0:
            return np.empty(wanted.shape, np.uint32)
        wanted = wanted.astype(np.uint64)
        before = self.cumulative
        at = np.searchsorted(before, wanted, side="right") - 1
        return (self.first[at] + (wanted - before[at])).astype(np.uint32)

    def rank(self, bounds: Any) -> NDArray[np.uint64]:  # noqa: ANN401 - any array or sequence of integers
        """Return how many addresses in here lie below each bound (0 to 2**32): the inverse of `address_at`."""
        limits = np.atleast_1d(np.asarray(bounds, dtype=np.uint64))
        if len(self) == 0:
            return np.zeros(limits.shape, np.uint64)
        passed = np.searchsorted(self.first, limits, side="left")  # intervals that begin below the bound
        at = np.maximum(passed - 1, 0)
        inside = np.minimum(limits, self.last[at].astype(np.uint64) + np.uint64(1)) - self.first[at]
        return np.where(passed > 0, self.cumulative[at] + inside, np.uint64(0))

    def prefixes(self) -> list[str]:
        """Return the shortest list of prefixes ``a.b.c.d/len`` that covers exactly these addresses, ascending."""
        base, length = self.prefix_arrays()
        octets = [((base >> np.uint32(shift)) & np.uint32(255)).tolist() for shift in (24, 16, 8, 0)]
        return [f"{a}.{b}.{c}.{d}/{n}" for a, b, c, d, n in zip(*octets, length.tolist(), strict=True)]

    def entries(self) -> Iterator[str]:
        """Yield one entry an interval, as address lists have it: an address, a prefix where it is one, or ``a-b``.

        A list with holes has far fewer intervals than prefixes: all addresses but a million are a million intervals,
        and ten million prefixes.
        """
        for at in range(0, len(self), ENTRIES_AT_ONCE):
            first = self.first[at : at + ENTRIES_AT_ONCE].astype(np.int64)
            last = self.last[at : at + ENTRIES_AT_ONCE].astype(np.int64)
            size = last - first + 1
            is_prefix = (size & (size - 1) == 0) & (first & (size - 1) == 0)
            length = ADDRESS_BITS + 1 - np.frexp(size)[1]
            rows = zip(first.tolist(), last.tolist(), is_prefix.tolist(), length.tolist(), strict=True)
            for low, high, one_prefix, bits in rows:
                if one_prefix:
                    yield format_address(low) if low == high else f"{format_address(low)}/{bits}"
                else:
                    yield f"{format_address(low)}-{format_address(high)}"

    def prefix_arrays(self) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
        """Return what `prefixes` prints as base addresses and prefix lengths."""
        low, end = self.first.astype(np.int64), self.last.astype(np.int64) + 1
        bases: list[NDArray[np.int64]] = []
        bits: list[NDArray[np.int64]] = []
        while low.size:  # every round takes from each interval the largest prefix that starts it: at most 63 rounds
            aligned = np.where(low == 0, ADDRESS_SPACE, low & -low)
            # frexp gives the exponent exactly: these are integers below 2**53
            fits = np.int64(1) << (np.frexp(end - low)[1].astype(np.int64) - 1)
            size = np.minimum(aligned, fits)
            bases.append(low)
            bits.append(np.frexp(size)[1].astype(np.int64) - 1)
            low = low + size
            left = low < end
            low, end = low[left], end[left]
        if not bases:
            return np.empty(0, np.uint32), np.empty(0, np.uint8)
        base, width = np.concatenate(bases), np.concatenate(bits)
        order = np.argsort(base)
        return base[order].astype(np.uint32), (32 - width[order]).astype(np.uint8)


def union(parts: Iterable[Intervals]) -> Intervals:
    """Return the union of all parts."""
    whole = Intervals.empty()
    for part in parts:
        whole = whole.union(part)
    return whole
