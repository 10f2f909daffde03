"""The size of sets as roaring files, estimated from a sample of their members."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from liveness.kernel import kernel
from liveness.lab.model.population.answer import active24s
from liveness.lab.model.population.load import Population
from liveness.space.intervals import Intervals

HEADER: Final = 8
"""Cookie and number of containers of a file without runs (roaring format specification)."""
CONTAINER: Final = 8
"""Key, cardinality and offset of a container."""
LARGEST: Final = 8192
"""A container of more than 4,096 members is a bitmap of 65,536 bits."""


def exact_bytes(members: BitMap) -> int:
    """Return the size in bytes of the file that a run writes for this set."""
    copy = members.copy()
    copy.run_optimize()
    return len(copy.serialize())


class Spread:
    """The distribution of set members over the /16s of targets, proportional to the number of /24s in use."""

    def __init__(self, population: Population, targets: Intervals) -> None:
        used = np.empty(1 << 16, np.int64)
        _fill(population.tables, used)
        bounds = np.arange((1 << 16) + 1, dtype=np.uint64) << np.uint64(16)
        probed = np.diff(targets.rank(bounds).astype(np.int64))
        weights = used * probed.astype(np.float64)
        total = weights.sum()
        self._shares = weights[weights > 0] / total if total else np.zeros(0)

    def bytes_of(self, members: float) -> int:
        """Return the size in bytes of a set with this many members.

        Runs of adjacent members may make the file smaller.
        """
        # A container holds 2 bytes for each member up to a bitmap's size; it exists with probability 1 - exp(-held).
        held = members * self._shares
        sizes = np.minimum(2 * held, LARGEST) + CONTAINER * -np.expm1(-held)
        return math.ceil(HEADER + float(sizes.sum()))


@kernel
def _fill(tables: NDArray[np.uint64], used: NDArray[np.int64]) -> None:
    """Write the number of /24s in use of each /16."""
    for slash16 in range(len(used)):
        used[slash16] = active24s(tables, slash16)
