"""Coverage by probe family, of addresses and of /24s (Bano et al. 2018, figures 2a and 2b)."""

from dataclasses import dataclass
from typing import Annotated

from pyroaring import BitMap

from liveness.analysis.result import Formula
from liveness.analysis.run import FAMILIES, RunSets
from liveness.ipsets.roaring import mask24


@dataclass(frozen=True, slots=True)
class FamilyCoverage:
    """What one family finds."""

    total: Annotated[
        int, Formula("sources of its replies (echo; SYN-ACK, RST; valid answers) and of errors to its probes")
    ]
    unique: Annotated[int, Formula("total less what the other two families find")]

    @property
    def overlapping(self) -> int:
        """What at least one other family finds too."""
        return self.total - self.unique


@dataclass(frozen=True, slots=True)
class Coverage:
    """What all families find, and each."""

    all: Annotated[int, Formula("the union of the three families")]
    families: dict[str, FamilyCoverage]


def address_coverage(run: RunSets) -> Coverage:
    """Count addresses by family (figure 2a); `all` is IPall."""
    return _coverage({family: run.network_alive(family) for family in FAMILIES})


def prefix_coverage(run: RunSets) -> Coverage:
    """Count /24s by family (figure 2b): each family's set is masked first, differences are taken after."""
    return _coverage({family: mask24(run.network_alive(family)) for family in FAMILIES})


def _coverage(found: dict[str, BitMap]) -> Coverage:
    """Count the members of each family's set, and those no other has."""
    families = {}
    for family, members in found.items():
        others = BitMap.union(BitMap(), *(found[other] for other in found if other != family))
        families[family] = FamilyCoverage(total=len(members), unique=members.difference_cardinality(others))
    return Coverage(all=len(BitMap.union(BitMap(), *found.values())), families=families)
