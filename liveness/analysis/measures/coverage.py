"""Coverage by probe family, of addresses and of /24s (Bano et al. 2018, figures 2a and 2b)."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from liveness.analysis.counting.run import FAMILIES
from liveness.analysis.counting.states import RunStates
from liveness.analysis.formula import Formula


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


def address_coverage(run: RunStates) -> Coverage:
    """Count addresses by family (figure 2a); `all` is IPall."""
    return coverage_of(run.counts, {family: run.network_alive(family) for family in FAMILIES})


def prefix_coverage(run: RunStates) -> Coverage:
    """Count /24s by family (figure 2b): each family's addresses are masked first, differences are taken after."""
    return coverage_of(run.prefixes24, run.families24())


def coverage_of(counts: NDArray[np.int64], found: dict[str, NDArray[np.bool_]]) -> Coverage:
    """Count the members of each family, and those no other has: `found` chooses among `counts`."""
    by_any = np.sum(list(found.values()), axis=0)
    families = {
        family: FamilyCoverage(total=int(counts[chosen].sum()), unique=int(counts[chosen & (by_any == 1)].sum()))
        for family, chosen in found.items()
    }
    return Coverage(all=int(counts[by_any > 0].sum()), families=families)
