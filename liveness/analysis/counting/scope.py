"""The scope of an analysis: a part of the address space, slices, and counts for a map."""

from dataclasses import dataclass
from typing import Final

from liveness.analysis.counting.partition import Partition
from liveness.space.intervals import Intervals


@dataclass(frozen=True, slots=True, eq=False)
class Within:
    """A part of the address space, and the words that the user gave for it."""

    given: tuple[str, ...]
    intervals: Intervals


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """Requests of the user; by default the whole run and no more."""

    within: Within | None = None
    """Only addresses in this part count."""
    partition: Partition | None = None
    """Taxonomy and coverage are also computed for each of its slices."""
    alive24: bool = False
    """Whether the last run's network-alive addresses are counted by /24, as a map needs."""


WHOLE: Final = Scope()
