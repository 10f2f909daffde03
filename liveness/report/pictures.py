"""The pictures of results: every figure drawn once, whether it goes to a file, to the page or to both."""

from collections.abc import Sequence
from functools import cached_property

from liveness.analysis.results import Results
from liveness.report.figures.drawers import saved
from liveness.report.figures.drawing import Saved
from liveness.report.map.liveness_map import LivenessMap
from liveness.report.options import Format


class Pictures:
    """Figures and maps of results; each is drawn when it is first needed, in all formats in which it is needed."""

    def __init__(self, results: Results, formats: Sequence[Format]) -> None:
        self._results = results
        self._formats = formats
        self._of_runs: dict[int, list[Saved]] = {}

    def of_run(self, place: int) -> Sequence[Saved]:
        """Return the figures of the run at a place among the results."""
        if place not in self._of_runs:
            self._of_runs[place] = saved(self._results.runs[place].figures(), self._formats)
        return self._of_runs[place]

    @cached_property
    def between_runs(self) -> Sequence[Saved]:
        """The figures of changes from run to run; none of a single run."""
        return saved(self._results.figures_between_runs(), self._formats)

    @cached_property
    def of_origins(self) -> Sequence[Saved]:
        """The figures of vantage points; none if these are not compared."""
        origins = self._results.origins
        return () if origins is None else saved(origins.figures(), self._formats)

    def map_of(self, place: int) -> LivenessMap | None:
        """Return the map of the run at a place; None if it was not counted by /24.

        Only that of the last run is kept: it is drawn into a file too, and a map takes a hundred megabytes.
        """
        return self.last_map if place == len(self._results.runs) - 1 else self._map(place)

    @cached_property
    def last_map(self) -> LivenessMap | None:
        """The map of the last run; None if it was not counted by /24."""
        return self._map(-1)

    def _map(self, place: int) -> LivenessMap | None:
        run = self._results.runs[place]
        return None if run.alive24 is None else LivenessMap(run.manifest.run, run.alive24, run.probed24)
