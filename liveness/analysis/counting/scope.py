"""The scope of an analysis: a part of the address space, slices, a map."""

from dataclasses import dataclass
from typing import Final

from liveness.analysis.counting.partition import Partition
from liveness.space.intervals import Intervals


@dataclass(frozen=True, slots=True, eq=False)
class Within:
    """A part of the address space, and how it was named."""

    given: tuple[str, ...]
    intervals: Intervals


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """The question; without any, the whole run and nothing more."""

    within: Within | None = None
    """Only addresses in here count."""
    partition: Partition | None = None
    """Taxonomy and coverage are computed for each of its slices too."""
    alive24: bool = False
    """Whether the last run's network-alive addresses are counted by /24: what a map shows."""


WHOLE: Final = Scope()
