"""Retention: how many runs and logs of replies a census keeps, always including at least one good run."""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from liveness.census.hit_rate_drop import hit_rates
from liveness.census.home import Home
from liveness.census.record import Record
from liveness.clock import utc_now
from liveness.config.model import Keep
from liveness.errors import LivenessError
from liveness.ipsets.verify import open_verified
from liveness.replylog.runlog import PACKETS, REPLIES
from liveness.runs.rundir import RunDirectory

LEAST_OF_USUAL: Final = 0.1
"""A run whose best probe has less than this share of the usual hit rate does not replace better runs."""


@dataclass(frozen=True, slots=True)
class Held:
    """Run on disk, as retention sees it."""

    run_id: str
    complete: bool


def expendable(runs: Sequence[Held], keep: int, is_good: Callable[[str], bool]) -> list[str]:
    """Return the runs that may be removed, oldest first; `runs` are in order of their starts.

    The newest `keep` complete runs are kept, and all runs that started after the oldest of them. If none of those is
    good (`is_good`: it found addresses, and all its sets match the manifest), the newest good run before them is kept
    too. If there are no more than `keep` complete runs, none is removed.
    """
    complete = [run.run_id for run in runs if run.complete]
    if len(complete) <= keep:
        return []
    staying = complete[-keep:]
    first = [run.run_id for run in runs].index(staying[0])
    going = [run.run_id for run in runs[:first]]
    if any(is_good(run_id) for run_id in reversed(staying)):
        return going
    spared = next((run_id for run_id in reversed(complete[:-keep]) if is_good(run_id)), None)
    return [run_id for run_id in going if run_id != spared]


def verified(run: RunDirectory) -> bool:
    """Return whether a run is complete and all its sets match its manifest."""
    try:
        manifest = run.read_manifest()
        for entry in manifest.sets:
            open_verified(run.path / entry.file, entry.digest)
    except LivenessError:
        return False
    return manifest.status == "complete"


def retain(home: Home, records: Sequence[Record], keep: Keep, warn: Callable[[str], None]) -> list[str]:
    """Remove the runs of a census beyond `keep`; return the run ids of the removed ones.

    Only runs with a record are considered, so that manual scans are never removed. A run that is locked or cannot be
    removed is kept, and `warn` is called. Reports are always kept.
    """
    for record in records:
        if record.state == "removing":
            _remove(home, record, warn)
    settled = [record for record in records if record.state in ("reported", "given-up")]
    on_disk = [record for record in settled if home.run(record.run_id).path.is_dir()]
    held = [Held(record.run_id, home.is_complete(record.run_id)) for record in on_disk]
    poor = poor_runs({record.run_id: _hit_rate(home, record.run_id) for record in held if record.complete})
    going = set(expendable(held, keep.runs, lambda run_id: run_id not in poor and verified(home.run(run_id))))
    gone = [record.run_id for record in on_disk if record.run_id in going and _remove(home, record, warn)]
    with_logs = [
        run.run_id for run in held if run.complete and run.run_id not in going and logs_of(home.run(run.run_id))
    ]
    for run_id in beyond(with_logs, poor, keep.replies):
        _remove_logs(home.run(run_id), warn)
    return gone


def beyond(runs: Sequence[str], poor: Collection[str], keep: int) -> list[str]:
    """Return the runs (oldest first) that are older than the newest `keep` of those that are not poor."""
    good = [run_id for run_id in runs if run_id not in poor]
    staying = (good or list(runs))[-keep:] if keep else []
    return list(runs[: runs.index(staying[0])]) if staying else list(runs)


def poor_runs(hit_rates: Mapping[str, float]) -> set[str]:
    """Return the runs that found no address, or a small share of what is usual: these do not count as good runs."""
    usual = median([rate for rate in hit_rates.values() if rate > 0] or [0.0])
    return {run_id for run_id, rate in hit_rates.items() if rate <= 0 or rate < LEAST_OF_USUAL * usual}


def _hit_rate(home: Home, run_id: str) -> float:
    """Return the hit rate of a run's best probe, 0 if its manifest cannot be read."""
    manifest = home.manifest(run_id)
    return 0.0 if manifest is None else max((rate.share for rate in hit_rates(manifest).values()), default=0.0)


def logs_of(run: RunDirectory) -> list[Path]:
    """Return the existing directories of a run's logs of replies and packets."""
    return [run.path / folder for folder in (REPLIES, PACKETS) if (run.path / folder).is_dir()]


def _remove(home: Home, record: Record, warn: Callable[[str], None]) -> bool:
    """Remove a run. Its record is updated before and after, so that an interrupted removal is continued later."""
    run = home.run(record.run_id)
    try:
        if run.path.is_dir():
            lock = run.lock()
            try:
                home.write(msgspec.structs.replace(record, state="removing"))
                with home.files() as directory:
                    directory.remove_tree(record.run_id)
            finally:
                os.close(lock)
        home.write(msgspec.structs.replace(record, state="removed"))
    except OSError as problem:
        warn(f"{run.path}: this run is beyond keep.runs and cannot be removed: {problem.strerror or problem}")
        return False
    except LivenessError as problem:
        warn(f"{run.path}: this run is beyond keep.runs and stays: {problem}")
        return False
    return True


def _remove_logs(run: RunDirectory, warn: Callable[[str], None]) -> None:
    """Remove a run's logs, after its manifest says so."""
    try:
        manifest = run.read_manifest()
        note = f"removed by keep.replies of the census at {utc_now(0)}"
        log = msgspec.structs.replace(manifest.log, complete=False, problems=[*manifest.log.problems, note], files=[])
        run.write_manifest(msgspec.structs.replace(manifest, log=log))
        with run.files() as directory:
            for folder in (REPLIES, PACKETS):
                directory.remove_tree(folder)
    except OSError as problem:
        warn(f"{run.path}: its replies are beyond keep.replies and cannot be removed: {problem.strerror or problem}")
    except LivenessError as problem:
        warn(f"{run.path}: its replies are beyond keep.replies and stay: {problem}")
