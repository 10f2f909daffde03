"""Everything the analysis knows: all results of each run, and the changes from run to run."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from liveness.analysis.changes import Change, Population, change, population
from liveness.analysis.conditional import Conditional, conditional
from liveness.analysis.coverage import Coverage, address_coverage, prefix_coverage
from liveness.analysis.error_categories import (
    ErrorCategories,
    ErrorSources,
    error_categories,
    error_messages,
    error_sources,
)
from liveness.analysis.error_only import ErrorOnly, error_only
from liveness.analysis.gains import Gains, gains
from liveness.analysis.loss import Loss, loss
from liveness.analysis.patterns import Patterns, patterns
from liveness.analysis.reply_types import ReplyTypes, reply_types
from liveness.analysis.run import RunSets
from liveness.analysis.tarpits import Tarpits, tarpits
from liveness.analysis.taxonomy import Taxonomy, taxonomy
from liveness.analysis.transport import Transport, transport
from liveness.errors import LivenessError
from liveness.store.manifest import Manifest
from liveness.store.rundir import RunDirectory


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


@dataclass(frozen=True, slots=True)
class Results:
    """All runs by start time, and the changes between each and the next."""

    runs: list[RunResults]
    changes: list[Change]


def analyze_run(run: RunSets) -> RunResults:
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
        loss=loss(run.manifest),
    )


def analyze_runs(runs: Iterable[RunDirectory]) -> Results:
    """Analyse runs in the order of their starts, each compared with the one before; one run's sets in memory at a time.

    Raises LivenessError that names the file where a manifest or a set is missing or damaged.
    """
    results: list[RunResults] = []
    changes: list[Change] = []
    before: Population | None = None
    for manifest, run in sorted(((run.read_manifest(), run) for run in runs), key=_started):
        sets = RunSets(manifest, run.read_set)
        results.append(analyze_run(sets))
        after = population(sets)
        if before is not None:
            changes.append(change(before, after))
        before = after
    return Results(results, changes)


def _started(opened: tuple[Manifest, RunDirectory]) -> tuple[datetime, str]:
    """Return when a run began; its path decides between runs of the same second."""
    manifest, run = opened
    try:
        started = datetime.fromisoformat(manifest.started)
    except ValueError as problem:
        raise LivenessError(f"{run.path}: $.started: {manifest.started!r}: not an ISO 8601 time") from problem
    if started.tzinfo is None:
        raise LivenessError(f"{run.path}: $.started: {manifest.started!r}: a time without its zone: UTC ends in Z")
    return started, str(run.path)
