"""Fetching of the runs of a fleet: shards are merged into one ordinary run, replicas stay apart."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from liveness.config.load import read_entries
from liveness.errors import UsageError
from liveness.files.atomic import write_atomically
from liveness.files.directory import Directory
from liveness.fleet import layout, opt_outs
from liveness.fleet.download import download
from liveness.fleet.job import Outcome
from liveness.fleet.plan import Plan, PlannedJob
from liveness.fleet.store import Store
from liveness.fleet.stored_run import Identity, identity_of, unite_runs
from liveness.optouts.redaction import redact_run
from liveness.runs.rundir import RunDirectory

MERGED: Final = "merged"
SHARDS: Final = "shards"
OPT_OUTS: Final = "opt-outs.txt"


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was fetched: the merged run or the runs of all vantage points, and the jobs that have none."""

    runs: Sequence[RunDirectory]
    missing: Sequence[str]

    @property
    def cut(self) -> Sequence[str]:
        """The directories of runs that are not complete."""
        return [str(run.path) for run in self.runs if identity_of(run.path).status != "complete"]


def fetch(store: Store, plan: Plan, output: Path, *, partial: bool, note: Callable[[str], None]) -> Fetched:
    """Fetch the runs of a plan into `output`, without what has opted out by now, and merge shards.

    A run that was fetched before is kept, after its opt-outs are brought up to date. Raises UsageError if a run is
    missing or not complete, unless `partial`, if another run is there, or if the shards were merged there already.
    """
    results = {}
    for planned in plan.jobs:
        job = layout.of_job(plan.census, plan.run, planned.job)
        result = store.document(f"{job}/{layout.RESULT}", Outcome)
        if result is not None and result.place:
            results[planned.job] = result
    missing = [planned.job for planned in plan.jobs if planned.job not in results]
    cut = [job for job, result in results.items() if result.state != "complete"]
    _check(plan, missing, cut, partial=partial)
    merged = output / MERGED
    if plan.mode == "split" and merged.exists():
        raise UsageError(f"{merged}: exists already: give another directory with -o")
    runs = []
    for planned in plan.jobs:
        if planned.job not in results:
            continue
        result = results[planned.job]
        path = output / SHARDS / str(planned.shard) if plan.mode == "split" else output / planned.vantage
        if path.exists():
            _check_same(path, plan, planned, result)
            runs.append(RunDirectory(path))
            continue
        runs.append(download(store, layout.of_job(plan.census, plan.run, planned.job), result, path))
        note(f"{planned.job}: {path}")
    _without_opted_out(store, plan, runs, output)
    if plan.mode == "replicate":
        return Fetched(runs, missing)
    return Fetched([unite_runs([run.path for run in runs], merged, partial=partial)], missing)


def _check(plan: Plan, missing: Sequence[str], cut: Sequence[str], *, partial: bool) -> None:
    """Raise UsageError if there is too little to fetch."""
    name = f"{plan.census}/{plan.run}"
    if len(missing) == len(plan.jobs):
        raise UsageError(f"{name}: no run of it is stored yet: `liveness fleet status` shows how far they are")
    if (missing or cut) and not partial:
        reasons = [f"missing: {', '.join(missing)}"] * bool(missing) + [f"cancelled: {', '.join(cut)}"] * bool(cut)
        raise UsageError(f"{name}: {'; '.join(reasons)}: wait for them, or give --partial to fetch the rest")


def _check_same(path: Path, plan: Plan, planned: PlannedJob, result: Outcome) -> None:
    """Raise UsageError if a run that was fetched before is not the one of this job."""
    found = identity_of(path)
    wanted = Identity(plan.census, plan.run, result.vantage, planned.shard, planned.shards, found.status)
    if found != wanted:
        raise UsageError(f"{path}: another run, {found.label}: give another directory with -o")


def _without_opted_out(store: Store, plan: Plan, runs: Sequence[RunDirectory], output: Path) -> None:
    """Remove what has opted out by now from all runs, so that all of them are without the same addresses."""
    content = opt_outs.published(store, plan.census)
    if not content:
        return
    with Directory.make(output):
        listed = output / OPT_OUTS
        write_atomically(listed, content)
    blocked = read_entries([str(listed)])
    for run in runs:
        redact_run(run, blocked, [listed])
