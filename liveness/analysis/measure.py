"""A measure: one number or group of numbers of a run, with its tables, figures and comparisons."""

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
    """One number of a run and its published value."""

    name: str
    formula: str
    ours: float | None
    published: Published
    unit: Literal["share", "seconds"] = "share"

    @property
    def difference(self) -> float | None:
        """Signed distance of our number from the published range: 0 inside it, negative below it."""
        if self.ours is None:
            return None
        low, high = self.published.range
        if self.ours < low:
            return self.ours - low
        return self.ours - high if high is not None and self.ours > high else 0.0


def plain(result: object) -> object:
    """Return a result as JSON types; ports become strings, as keys in JSON must be."""
    return msgspec.to_builtins(result, str_keys=True)


def _nothing(value: object, run: "RunResults") -> tuple[()]:
    del value, run
    return ()


@dataclass(frozen=True, slots=True, eq=False)
class Measure(Generic[T]):
    """The computation of a value of a run under an id, and its presentation.

    A measure whose value is None, because nothing is known about it for this run, is left out of all output.
    """

    id: str
    """The id is also the key in the JSON document."""
    compute: Callable[[RunStates], T]
    tables: Callable[[T, "RunResults"], Iterable[Table]] = _nothing
    figures: Callable[[T, "RunResults"], Iterable[Figure]] = _nothing
    comparisons: Callable[[T, "RunResults"], Iterable[Comparison]] = _nothing
    document: Callable[[T], object] | None = plain
    """The measure's part in the JSON document; None if it has none."""


AnyMeasure = Measure[Any]


@dataclass(frozen=True, slots=True)
class RunResults:
    """The values of all measures of one run, and their basis."""

    manifest: Manifest
    targets: int | None
    """The number of probed addresses that count; None if the run does not record it."""
    opted_out: int
    """The number of targets that have opted out since the run began, and are not counted."""
    within: Within | None
    """The part of the address space that counts, None for all of it; with a part, counts of packets are left out."""
    ipall: int
    """The number of addresses that any service probe found: IPall of the paper."""
    sampling: Sampling
    measures: tuple[AnyMeasure, ...] = ()
    values: Mapping[str, object] = field(default_factory=dict)
    """Values by the id of the measure."""
    alive24: NDArray[np.uint16] | None = field(default=None, repr=False)
    """By /24 (address >> 8), the number of its addresses in IPall; None unless the scope requests it (last run)."""
    probed24: NDArray[np.bool_] | None = field(default=None, repr=False)
    """By /24, whether any target was in it; None if that is not known."""

    def __getitem__(self, measure: Measure[T]) -> T:
        """Return the value of a measure."""
        return cast("T", self.values[measure.id])

    def sampled(self, part: int, whole: int | None, of: str = "") -> Share:
        """Return a share of addresses that were sampled as targets, with its interval if the run took a sample."""
        return self.sampling.share(part, whole, of)

    def sampling_notes(self) -> list[str]:
        """Return the note on the intervals of a table, or on the reason why it has none."""
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
        """Yield every number that has a published value."""
        for measure in self.measures:
            if (value := self.values[measure.id]) is not None:
                yield from measure.comparisons(value, self)


def evaluate(measures: Iterable[AnyMeasure], states: RunStates) -> dict[str, object]:
    """Return the value of each measure by its id. Raises ValueError if two measures have the same id."""
    values: dict[str, object] = {}
    for measure in measures:
        if measure.id in values:
            raise ValueError(f"two measures have the id {measure.id!r}")
        values[measure.id] = states.value(measure.id, measure.compute)
    return values
