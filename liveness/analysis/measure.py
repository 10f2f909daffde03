"""A measure: one number or group of numbers of a run, with everything that is printed, drawn and compared of it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from liveness.analysis.counting.scope import Within
from liveness.analysis.counting.states import RunStates
from liveness.analysis.figures import Figure
from liveness.analysis.sampling import Sampling
from liveness.analysis.tables import Share, Table
from liveness.reference.published import Published
from liveness.runs.manifest import Manifest

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Comparison:
    """One number of a run next to the published one."""

    name: str
    formula: str
    ours: float | None
    published: Published
    unit: Literal["share", "seconds"] = "share"

    @property
    def difference(self) -> float | None:
        """How far ours is from what was published: 0 within its range, and negative below it."""
        if self.ours is None:
            return None
        low, high = self.published.range
        if self.ours < low:
            return self.ours - low
        return self.ours - high if high is not None and self.ours > high else 0.0


def plain(result: object) -> object:
    """Return a result as JSON's own types; ports become strings, as JSON keys must."""
    return msgspec.to_builtins(result, str_keys=True)


def _nothing(value: object, run: "RunResults") -> tuple[()]:
    del value, run
    return ()


@dataclass(frozen=True, slots=True, eq=False)
class Measure(Generic[T]):
    """What is computed of a run under an id, and how it is shown.

    A measure whose value is None, for a run of which nothing is known about it, is left out of all output.
    """

    id: str
    """Also its key in the JSON document."""
    compute: Callable[[RunStates], T]
    tables: Callable[[T, "RunResults"], Iterable[Table]] = _nothing
    figures: Callable[[T, "RunResults"], Iterable[Figure]] = _nothing
    comparisons: Callable[[T, "RunResults"], Iterable[Comparison]] = _nothing
    document: Callable[[T], object] | None = plain
    """The part in the JSON document; None: it is not part of it."""


AnyMeasure = Measure[Any]


@dataclass(frozen=True, slots=True)
class RunResults:
    """The values of all measures of one run, and what they rest on."""

    manifest: Manifest
    targets: int | None
    """How many addresses were probed, of those that count; None where the run does not record it."""
    opted_out: int
    """How many targets have opted out since the run began, and count nowhere."""
    within: Within | None
    """The part of the address space that counts, None for all of it: counts of packets are left out then."""
    ipall: int
    """The addresses that any service probe found: IPall of the paper."""
    sampling: Sampling
    measures: tuple[AnyMeasure, ...] = ()
    values: Mapping[str, object] = field(default_factory=dict)
    """By the id of the measure."""
    alive24: NDArray[np.uint16] | None = field(default=None, repr=False)
    """By /24 (address >> 8), the addresses of IPall in it; None unless the scope asks for it, in the last run."""
    probed24: NDArray[np.bool_] | None = field(default=None, repr=False)
    """By /24, whether any target was in it; None where that is not known."""

    def __getitem__(self, measure: Measure[T]) -> T:
        """Return the value of a measure."""
        return cast("T", self.values[measure.id])

    def sampled(self, part: int, whole: int | None, of: str = "") -> Share:
        """Return a share of addresses that were sampled as targets: with its interval, if the run took a sample."""
        return self.sampling.share(part, whole, of)

    def sampling_notes(self) -> list[str]:
        """Return the note on intervals for a table that has some where the run took a sample."""
        return [self.sampling.note()]

    def tables(self) -> Iterable[Table]:
        """Yield the tables of all measures, in the order of the registry."""
        for measure in self.measures:
            if (value := self.values[measure.id]) is not None:
                yield from measure.tables(value, self)

    def figures(self) -> Iterable[Figure]:
        """Yield the figures of all measures."""
        for measure in self.measures:
            if (value := self.values[measure.id]) is not None:
                yield from measure.figures(value, self)

    def comparisons(self) -> Iterable[Comparison]:
        """Yield every number that was published too."""
        for measure in self.measures:
            if (value := self.values[measure.id]) is not None:
                yield from measure.comparisons(value, self)


def evaluate(measures: Iterable[AnyMeasure], states: RunStates) -> dict[str, object]:
    """Return the value of each measure by its id. Raises ValueError for two measures of one id."""
    values: dict[str, object] = {}
    for measure in measures:
        if measure.id in values:
            raise ValueError(f"two measures have the id {measure.id!r}")
        values[measure.id] = states.value(measure.id, measure.compute)
    return values
