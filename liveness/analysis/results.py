"""Results of an analysis: the measures of each run, and the changes from run to run."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

import numpy as np

from liveness.analysis.across import registry as across_registry
from liveness.analysis.across.changes import CHANGES, Change
from liveness.analysis.across.measure import AcrossMeasure, AnyAcrossMeasure
from liveness.analysis.across.not_compared import NOT_COMPARED
from liveness.analysis.across.pairing import NO_COMPARISON, Comparisons, LeftOut, Plan, as_given, by_census, by_vantage
from liveness.analysis.across.retention import RETENTION, Retention
from liveness.analysis.counting.activity import activity_by_cluster
from liveness.analysis.counting.opened import OpenRun, OpenSet, verified_in
from liveness.analysis.counting.probed import Probed
from liveness.analysis.counting.scope import WHOLE, Scope
from liveness.analysis.counting.states import RunStates
from liveness.analysis.counting.walk import Compared, Counted, Walk, threads
from liveness.analysis.figures import Figure
from liveness.analysis.measure import AnyMeasure, RunResults, evaluate
from liveness.analysis.measures import registry
from liveness.analysis.origins.results import OriginResults, compare_origins
from liveness.analysis.tables import Table
from liveness.errors import LivenessError
from liveness.runs.manifest import Manifest, start_of
from liveness.runs.rundir import RunDirectory

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Results:
    """All runs by start time, and the measures of several runs together."""

    runs: list[RunResults]
    values: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """Values of the measures of several runs, by the id of the measure."""
    measures: tuple[AnyAcrossMeasure, ...] = field(default_factory=lambda: across_registry.ACROSS)
    origins: OriginResults | None = None
    """The comparison of vantage points, if it was asked for."""

    def __getitem__(self, measure: AcrossMeasure[T]) -> Sequence[T]:
        """Return the values of a measure of several runs; none if it was not computed."""
        return self.values.get(measure.id, ())

    @property
    def changes(self) -> Sequence[Change]:
        """The changes from run to run."""
        return self[CHANGES]

    @property
    def retention(self) -> Sequence[Retention]:
        """The curves of addresses that are alive in later runs."""
        return self[RETENTION]

    @property
    def left_out(self) -> Sequence[LeftOut]:
        """The runs that are not compared."""
        return self[NOT_COMPARED]

    def tables(self) -> Iterator[Table]:
        """Yield the tables of several runs together: changes from run to run, then the vantage points."""
        yield from self.tables_between_runs()
        if self.origins is not None:
            yield from self.origins.tables()

    def tables_between_runs(self) -> Iterator[Table]:
        """Yield the tables of changes from run to run."""
        for measure in self.measures:
            yield from measure.tables(self[measure])

    def figures(self) -> Iterator[Figure]:
        """Yield the figures of several runs together: changes from run to run, then the vantage points."""
        yield from self.figures_between_runs()
        if self.origins is not None:
            yield from self.origins.figures()

    def figures_between_runs(self) -> Iterator[Figure]:
        """Yield the figures of changes from run to run."""
        for measure in self.measures:
            yield from measure.figures(self[measure], self.runs)


def analyze_run(run: RunStates, measures: tuple[AnyMeasure, ...] | None = None) -> RunResults:
    """Compute the measures of one run, by default those of the registry."""
    chosen = registry.MEASURES if measures is None else measures
    return RunResults(
        manifest=run.manifest,
        targets=run.targets,
        opted_out=run.opted_out,
        within=run.within,
        ipall=run.count(run.all_addresses()),
        sampling=run.sampling,
        measures=chosen,
        values=evaluate(chosen, run),
        alive24=run.alive24,
        probed24=run.probed24,
    )


def analyze_runs(
    runs: Iterable[RunDirectory],
    scope: Scope = WHOLE,
    damaged: Callable[[LivenessError], None] | None = None,
    *,
    across: bool = False,
) -> Results:
    """Analyse runs in the order of their starts, compare those of a census, all in one pass over their sets.

    With `across`, their vantage points are compared too, and changes are those from run to run of each vantage point.
    UsageError if the runs are not comparable.

    If a manifest or a set is missing or damaged, `damaged` is called with the LivenessError that names the file, and
    the analysis continues without the run. The error is raised if `damaged` is None, or if no run is left.
    """
    readable: list[tuple[tuple[datetime, str], OpenRun, Probed]] = []
    problems: list[LivenessError] = []
    with ThreadPoolExecutor(threads()) as pool:
        for run in runs:
            try:
                manifest = run.read_manifest()
                started, probed = _started(manifest, run), Probed.by(manifest, run)
                readable.append((started, OpenRun(manifest, verified_in(run), pool), probed))
            except LivenessError as error:
                if damaged is None:
                    raise
                problems.append(error)
    if problems and not readable:
        raise problems[0]
    if damaged is not None:
        for problem in problems:
            damaged(problem)
    readable.sort(key=lambda entry: entry[0])
    opened = [(run.manifest, run) for _, run, _ in readable]
    targets = [probed for _, _, probed in readable]
    origins = compare_origins([run for _, run, _ in readable], targets, scope) if across else None
    results = analyze_sets(opened, scope, None, targets, by_vantage if across else by_census)
    return replace(results, origins=origins)


def analyze_sets(
    runs: Sequence[tuple[Manifest, OpenSet | OpenRun]],
    scope: Scope = WHOLE,
    targets: Sequence[int | None] | None = None,
    probed: Sequence[Probed] | None = None,
    plan: Plan = as_given,
) -> Results:
    """Analyse runs in the given order, wherever their sets are; `plan` decides which are compared.

    `probed` has the targets of each run, by default those that its manifest records; `targets` are the numbers of
    targets within the scope.
    """
    probed = [Probed.by(manifest) for manifest, _ in runs] if probed is None else probed
    comparisons = plan(probed)
    states, compared = count_runs(runs, scope, targets, probed, comparisons)
    measures = across_registry.ACROSS
    return Results(
        runs=[analyze_run(run) for run in states],
        values={measure.id: measure.compute(states, compared) for measure in measures},
        measures=measures,
    )


def count_runs(
    runs: Sequence[tuple[Manifest, OpenSet | OpenRun]],
    scope: Scope = WHOLE,
    targets: Sequence[int | None] | None = None,
    probed: Sequence[Probed] | None = None,
    comparisons: Comparisons = NO_COMPARISON,
) -> tuple[list[RunStates], Compared]:
    """Pass over the sets of runs; return the states of each run, and the counts of runs together."""
    workers = threads()
    probed = [Probed.by(manifest) for manifest, _ in runs] if probed is None else probed
    part = None if scope.within is None else scope.within.intervals
    if part is not None:
        comparisons = comparisons.within(part)
    with ThreadPoolExecutor(workers) as pool:
        opened = [sets if isinstance(sets, OpenRun) else OpenRun(manifest, sets, pool) for manifest, sets in runs]
        walk = Walk(opened, scope, comparisons, [entry.opted_out for entry in probed])
        walk.run_all(pool, workers)
    if targets is None:
        targets = [entry.targets if part is None else entry.targets_within(part) for entry in probed]
    states = [
        _states(run, counted, scope, count, entry)
        for run, counted, count, entry in zip(opened, walk.counted, targets, probed, strict=True)
    ]
    return states, walk.compared


def _states(run: OpenRun, counted: Counted, scope: Scope, targets: int | None, probed: Probed) -> RunStates:
    """Return the states of one run, from the occupied slots of its table."""
    taken = counted.table.taken[: int(counted.table.used[0])]
    return RunStates(
        manifest=run.manifest,
        layout=run.layout,
        states=counted.table.slots[taken, 1:],
        counts=counted.table.slots[taken, 0].astype(np.int64),
        prefixes24=counted.prefixes24,
        within=scope.within,
        targets=targets,
        opted_out=probed.opted_out_targets,
        alive24=counted.alive24 if len(counted.alive24) else None,
        probed24=probed.prefixes24() if len(counted.alive24) else None,
        partition=scope.partition,
        slice_counts=None if scope.partition is None else counted.slice_counts,
        slice_targets=None if scope.partition is None else probed.targets_by_slice(scope.partition, scope.within),
        sampling=probed.sampling,
        clusters=activity_by_cluster(run, probed, scope.within) if probed.sampling.kind == "sample" else None,
    )


def _started(manifest: Manifest, run: RunDirectory) -> tuple[datetime, str]:
    """Return the start time of a run, and its path, which orders runs that started in the same second."""
    return start_of(manifest, run.path), str(run.path)
