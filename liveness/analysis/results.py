"""Everything the analysis knows: all results of each run, and the changes from run to run."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from liveness.analysis.across.changes import Change, changes
from liveness.analysis.across.pairing import NO_COMPARISON, Comparisons, LeftOut, Plan, as_given, by_census
from liveness.analysis.across.retention import Retention, retention
from liveness.analysis.counting.opened import OpenRun, OpenSet, verified_in
from liveness.analysis.counting.probed import Probed
from liveness.analysis.counting.scope import WHOLE, Scope, Within
from liveness.analysis.counting.states import RunStates
from liveness.analysis.counting.walk import Compared, Counted, Walk, threads
from liveness.analysis.measures.conditional import Conditional, conditional
from liveness.analysis.measures.coverage import Coverage, address_coverage, prefix_coverage
from liveness.analysis.measures.error_categories import (
    ErrorCategories,
    ErrorSources,
    error_categories,
    error_messages,
    error_sources,
)
from liveness.analysis.measures.error_only import ErrorOnly, error_only
from liveness.analysis.measures.gains import Gains, gains
from liveness.analysis.measures.loss import Loss, loss
from liveness.analysis.measures.patterns import Patterns, patterns
from liveness.analysis.measures.reply_types import ReplyTypes, reply_types
from liveness.analysis.measures.slices import Slices, slices
from liveness.analysis.measures.tarpits import Tarpits, tarpits
from liveness.analysis.measures.taxonomy import Taxonomy, taxonomy
from liveness.analysis.measures.transport import Transport, transport
from liveness.errors import LivenessError
from liveness.runs.manifest import Manifest
from liveness.runs.rundir import RunDirectory


@dataclass(frozen=True, slots=True)
class RunResults:
    """All results of one run, beside the manifest they rest on."""

    manifest: Manifest
    taxonomy: Taxonomy
    addresses: Coverage
    prefixes24: Coverage
    reply_types: dict[str, ReplyTypes]
    error_only: ErrorOnly
    error_categories: dict[str, ErrorCategories]
    error_messages: dict[str, dict[str, int]]
    error_sources: ErrorSources
    transport: Transport
    tarpits: Tarpits
    conditional: Conditional
    patterns: Patterns
    gains: Gains
    loss: dict[str, Loss]
    targets: int | None
    """How many addresses were probed, of those that count; None where the run does not tell."""
    opted_out: int
    """How many targets have opted out since the run began, and count nowhere."""
    within: Within | None
    """The part of the address space that counts, None for all of it: counts of packets are left out then."""
    slices: Slices | None
    alive24: NDArray[np.uint16] | None = field(repr=False)
    """By /24 (address >> 8), the addresses of IPall in it; None unless the scope asks for it, in the last run."""
    probed24: NDArray[np.bool_] | None = field(default=None, repr=False)
    """By /24, whether any target was in it; None where that is not known."""


@dataclass(frozen=True, slots=True)
class Results:
    """All runs by start time, the changes from run to run, who is still there later, and what is not compared."""

    runs: list[RunResults]
    changes: list[Change]
    retention: list[Retention] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def analyze_run(run: RunStates) -> RunResults:
    """Compute every result of one run."""
    addresses = address_coverage(run)
    return RunResults(
        manifest=run.manifest,
        taxonomy=taxonomy(run),
        addresses=addresses,
        prefixes24=prefix_coverage(run),
        reply_types=reply_types(run),
        error_only=error_only(run),
        error_categories=error_categories(run),
        error_messages=error_messages(run),
        error_sources=error_sources(run),
        transport=transport(run),
        tarpits=tarpits(run),
        conditional=conditional(run),
        patterns=patterns(run),
        gains=gains(run, addresses),
        loss={} if run.within is not None else loss(run.manifest),
        targets=run.targets,
        opted_out=run.opted_out,
        within=run.within,
        slices=slices(run),
        alive24=run.alive24,
        probed24=run.probed24,
    )


def analyze_runs(
    runs: Iterable[RunDirectory], scope: Scope = WHOLE, damaged: Callable[[LivenessError], None] | None = None
) -> Results:
    """Analyse runs in the order of their starts, those of a census compared, in one pass over all their sets.

    Where a manifest or a set is missing or damaged, `damaged` gets the LivenessError that names the file, and the
    analysis goes on without the run. It is raised where `damaged` is None, and where no run is left.
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
    readable.sort(key=lambda one: one[0])
    opened = [(run.manifest, run) for _, run, _ in readable]
    return analyze_sets(opened, scope, None, [probed for _, _, probed in readable], by_census)


def analyze_sets(
    runs: Sequence[tuple[Manifest, OpenSet | OpenRun]],
    scope: Scope = WHOLE,
    targets: Sequence[int | None] | None = None,
    probed: Sequence[Probed] | None = None,
    plan: Plan = as_given,
) -> Results:
    """Analyse runs in the order given, wherever their sets are; `plan` decides which are compared.

    `probed` is what they probed, as far as their manifests tell if it is None; `targets` are those within the scope.
    """
    probed = [Probed.by(manifest) for manifest, _ in runs] if probed is None else probed
    comparisons = plan(probed)
    states, compared = count_runs(runs, scope, targets, probed, comparisons)
    return Results(
        runs=[analyze_run(run) for run in states],
        changes=changes(states, compared),
        retention=retention(states, compared),
        left_out=list(comparisons.left_out),
    )


def count_runs(
    runs: Sequence[tuple[Manifest, OpenSet | OpenRun]],
    scope: Scope = WHOLE,
    targets: Sequence[int | None] | None = None,
    probed: Sequence[Probed] | None = None,
    comparisons: Comparisons = NO_COMPARISON,
) -> tuple[list[RunStates], Compared]:
    """Pass over the sets of runs and return the states of each, and what the pass found of them together."""
    workers = threads()
    probed = [Probed.by(manifest) for manifest, _ in runs] if probed is None else probed
    part = None if scope.within is None else scope.within.intervals
    if part is not None:
        comparisons = comparisons.within(part)
    with ThreadPoolExecutor(workers) as pool:
        opened = [sets if isinstance(sets, OpenRun) else OpenRun(manifest, sets, pool) for manifest, sets in runs]
        walk = Walk(opened, scope, comparisons, [one.opted_out for one in probed])
        walk.go(pool, workers)
    if targets is None:
        targets = [one.targets if part is None else one.targets_within(part) for one in probed]
    states = [
        _states(run, counted, scope, count, one)
        for run, counted, count, one in zip(opened, walk.counted, targets, probed, strict=True)
    ]
    return states, walk.compared


def _states(run: OpenRun, counted: Counted, scope: Scope, targets: int | None, probed: Probed) -> RunStates:
    """Return what the pass found of one run, its table without the free slots."""
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
    )


def _started(manifest: Manifest, run: RunDirectory) -> tuple[datetime, str]:
    """Return when a run began; its path decides between runs of the same second."""
    try:
        started = datetime.fromisoformat(manifest.started)
    except ValueError as problem:
        raise LivenessError(f"{run.path}: $.started: {manifest.started!r}: not an ISO 8601 time") from problem
    if started.tzinfo is None:
        raise LivenessError(f"{run.path}: $.started: {manifest.started!r}: a time without its zone: UTC ends in Z")
    return started, str(run.path)
