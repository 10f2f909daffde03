"""A set whose members are networks, as ipset's hash:net: they may overlap, and are removed as they were added."""

from dataclasses import dataclass, field

import numpy as np
from pyroaring import BitMap

from liveness.ipsets.builder import Bounds, Builder
from liveness.ipsets.formats.named import NamedSet
from liveness.space.intervals import Intervals

Network = tuple[int, int]
"""Inclusive bounds."""


@dataclass(slots=True)
class NetSet(NamedSet):
    """A set of networks: removing one leaves those within it and around it. A range counts as its prefixes."""

    _ranges: list[tuple[Bounds, Bounds]] = field(default_factory=list)
    """Ranges that were added and are wider than an address, while none was removed."""
    _networks: set[Network] = field(default_factory=set)
    """The same after the first removal, each prefix once."""
    _removed: bool = False

    def add(self, low: Bounds, high: Bounds) -> None:
        """Add inclusive bounds; the arrays are copied."""
        single = low == high
        NamedSet.add(self, low[single], high[single])
        if not single.all():
            self._ranges.append((low[~single], high[~single]))
        if self._removed:
            self._split()

    def remove(self, low: int, high: int) -> bool:
        """Remove the networks of bounds; return False, and remove nothing, if any is not in the set."""
        self._removed = True
        self._split()
        networks = _networks_of(low, high)
        wide = {network for network in networks if network[0] != network[1]}
        single = [network for network in networks if network not in wide]
        members = NamedSet.finish(self)
        if not wide <= self._networks or not all(network[0] in members for network in single):
            return False
        self._networks -= wide
        for first, last in single:
            NamedSet.remove(self, first, last)
        return True

    def clear(self) -> None:
        """Remove everything."""
        NamedSet.clear(self)
        self._ranges, self._networks = [], set()

    def finish(self) -> BitMap:
        """Return the members of all networks."""
        every = Builder()
        for low, high in self._ranges:
            every.add(low, high)
        if self._networks:
            bounds = np.array(list(self._networks), np.uint32)
            every.add(bounds[:, 0], bounds[:, 1])
        return every.finish() | NamedSet.finish(self)

    def _split(self) -> None:
        """Turn ranges into networks."""
        for low, high in self._ranges:
            for first, last in zip(low.tolist(), high.tolist(), strict=True):
                networks = _networks_of(first, last)
                self._networks.update(network for network in networks if network[0] != network[1])
                for address, _ in (network for network in networks if network[0] == network[1]):
                    alone = np.array([address], np.uint32)
                    NamedSet.add(self, alone, alone)
        self._ranges = []


def _networks_of(low: int, high: int) -> list[Network]:
    """Return the prefixes of a range as bounds."""
    size = high - low + 1
    if size & (size - 1) == 0 and low & (size - 1) == 0:
        return [(low, high)]
    bases, lengths = Intervals.from_bounds([low], [high]).prefix_arrays()
    return [
        (base, base + (1 << (32 - length)) - 1) for base, length in zip(bases.tolist(), lengths.tolist(), strict=True)
    ]
