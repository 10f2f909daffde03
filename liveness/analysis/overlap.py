"""Overlaps of several methods of observation: the addresses of a common scope that each sees, alone or with others.

The table of Heidemann et al. 2008 compares ICMP, TCP and passive observation of one campus.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

from pyroaring import BitMap

METHODS: Final = ("icmp", "tcp", "udp", "passive")
"""Methods in the order of tables; the first three are active probing."""
PASSIVE: Final = "passive"


@dataclass(frozen=True, slots=True)
class Overlap:
    """Counts of addresses in a scope that all methods observed."""

    scope: int
    observed: dict[str, int]
    """By method."""
    any: int
    probed: int | None
    """Seen by a method that probes; None without one."""
    exactly: list[tuple[tuple[str, ...], int]]
    """Seen by exactly these methods, for every combination of them."""

    @property
    def silent(self) -> int:
        """Addresses that no method saw."""
        return self.scope - self.any

    def only(self, method: str) -> int:
        """Return how many addresses no other method saw."""
        return next(count for methods, count in self.exactly if methods == (method,))

    def document(self) -> dict[str, Any]:
        """Return the counts as a document for other tools."""
        return {
            "scope": self.scope,
            "any": self.any,
            "silent": self.silent,
            "probed": self.probed,
            "observed": self.observed,
            "only": {method: self.only(method) for method in self.observed},
            "exactly": [{"methods": list(methods), "addresses": count} for methods, count in self.exactly],
        }


def overlap_of(found: Mapping[str, BitMap], scope: BitMap) -> Overlap:
    """Return the overlaps of what each method found, within the scope."""
    inside = {method: found[method] & scope for method in METHODS if method in found}
    probing = [addresses for method, addresses in inside.items() if method != PASSIVE]
    exactly = []
    for size in range(1, len(inside) + 1):
        for methods in combinations(inside, size):
            seen = BitMap.intersection(*(inside[method] for method in methods))
            others = [inside[method] for method in inside if method not in methods]
            exactly.append((methods, len(seen - BitMap.union(*others)) if others else len(seen)))
    return Overlap(
        scope=len(scope),
        observed={method: len(addresses) for method, addresses in inside.items()},
        any=len(BitMap.union(*inside.values())) if inside else 0,
        probed=len(BitMap.union(*probing)) if probing else None,
        exactly=exactly,
    )
