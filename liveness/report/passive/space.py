"""The local addresses of a passive run, as its report takes them."""

from dataclasses import dataclass

from pyroaring import BitMap

from liveness.space.intervals import Intervals


@dataclass(frozen=True, slots=True, eq=False)
class LocalSpace:
    """The local addresses of a run, and the sets of those that were seen. `one_way` contains `grey`."""

    local: Intervals
    two_way: BitMap
    one_way: BitMap
    grey: BitMap
