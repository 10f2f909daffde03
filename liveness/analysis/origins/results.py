"""Results of a comparison of vantage points: the values of all measures, with their tables, figures and document."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from liveness.analysis.counting.opened import OpenRun
from liveness.analysis.counting.probed import Probed
from liveness.analysis.counting.scope import Scope
from liveness.analysis.figures import Figure
from liveness.analysis.origins.counts import OriginCounts, count_origins
from liveness.analysis.origins.design import design_of
from liveness.analysis.origins.measure import AnyOriginMeasure
from liveness.analysis.origins.measures.registry import ORIGINS
from liveness.analysis.tables import Table


@dataclass(frozen=True, slots=True)
class OriginResults:
    """The values of all measures of several vantage points, by the id of the measure."""

    counts: OriginCounts
    values: Mapping[str, Any]
    measures: tuple[AnyOriginMeasure, ...] = ORIGINS

    def _known(self) -> Iterator[tuple[AnyOriginMeasure, Any]]:
        for measure in self.measures:
            if (value := self.values[measure.id]) is not None:
                yield measure, value

    def tables(self) -> Iterator[Table]:
        """Yield the tables of all measures, in the order of the registry."""
        for measure, value in self._known():
            yield from measure.tables(value, self.counts)

    def figures(self) -> Iterator[Figure]:
        """Yield the figures of all measures."""
        for measure, value in self._known():
            yield from measure.figures(value, self.counts)

    def warnings(self) -> Iterator[str]:
        """Yield what a reader must know first: a vantage point that fell silent."""
        for measure, value in self._known():
            yield from measure.warnings(value, self.counts)

    def document(self) -> dict[str, Any]:
        """Return every measure under its id; null if nothing is known about it."""
        return {measure.id: measure.document(self.values[measure.id]) for measure in self.measures}


def compare_origins(runs: Sequence[OpenRun], probed: Sequence[Probed], scope: Scope) -> OriginResults:
    """Compare the vantage points of runs, which are given in the order of their starts.

    Raises UsageError if they cannot be compared, LivenessError that names a set that can no longer be read.
    """
    within = None if scope.within is None else scope.within.intervals
    design = design_of(probed)
    if within is not None:
        design = design.within(within)
    counts = count_origins(runs, design, scope.partition)
    return OriginResults(counts, {measure.id: measure.compute(counts) for measure in ORIGINS})
