"""Owns what a census keeps of its runs: how many, how many logs of replies, and never less than one good run."""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from liveness.census.hit_rate_drop import hit_rates
from liveness.census.home import Home, utc
from liveness.census.record import Record
from liveness.config.model import Keep
from liveness.errors import LivenessError
from liveness.ipsets.verify import open_verified
from liveness.replylog.runlog import PACKETS, REPLIES
from liveness.runs.rundir import RunDirectory

LEAST_OF_USUAL: Final = 0.1
"""A run whose best probe has less than this share of the usual hit rate displaces none that found more."""


@dataclass(frozen=True, slots=True)
class Held:
    """A run that still lies on disk, as retention sees it."""

    run_id: str
    complete: bool


def expendable(runs: Sequence[Held], keep: int, is_good: Callable[[str], bool]) -> list[str]:
    """Return the runs that may go, oldest first; `runs` are in the order of their starts.

    The newest `keep` complete runs stay, and all that began after the oldest of them. Where none of those is good
    (`is_good`: it found something, and every set is what the manifest says), the newest good one of the others stays
    too. Before there are `keep` complete runs nothing goes.
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
    """Return whether a run is complete and every set in it is what its manifest says."""
    try:
        manifest = run.read_manifest()
        for entry in manifest.sets:
            open_verified(run.path / entry.file, entry.digest)
    except LivenessError:
        return False
    return manifest.status == "complete"


def retain(home: Home, records: Sequence[Record], keep: Keep, warn: Callable[[str], None]) -> list[str]:
    """Remove what is beyond `keep` of a census' own runs; return the run ids of those that went.

    Only runs with a record are looked at: one that was scanned by hand is nobody else's to remove. A run that is
    locked, or that the disk does not let go, stays, and `warn` is told. Reports stay in any case.
    """
    for record in records:
        if record.state == "removing":
            _remove(home, record, warn)
    settled = [record for record in records if record.state in ("reported", "given-up")]
    lying = [record for record in settled if home.run(record.run_id).path.is_dir()]
    held = [Held(record.run_id, home.is_complete(record.run_id)) for record in lying]
    poor = poor_runs({one.run_id: _hit_rate(home, one.run_id) for one in held if one.complete})
    going = set(expendable(held, keep.runs, lambda run_id: run_id not in poor and verified(home.run(run_id))))
    gone = [record.run_id for record in lying if record.run_id in going and _remove(home, record, warn)]
    with_logs = [
        run.run_id for run in held if run.complete and run.run_id not in going and logs_of(home.run(run.run_id))
    ]
    for run_id in beyond(with_logs, poor, keep.replies):
        _remove_logs(home.run(run_id), warn)
    return gone


def beyond(runs: Sequence[str], poor: Collection[str], keep: int) -> list[str]:
    """Return the runs, oldest first, that are older than the newest `keep` of those that found something."""
    good = [run_id for run_id in runs if run_id not in poor]
    staying = (good or list(runs))[-keep:] if keep else []
    return list(runs[: runs.index(staying[0])]) if staying else list(runs)


def poor_runs(hit_rates: Mapping[str, float]) -> set[str]:
    """Return the runs that found nothing, or next to nothing of what the others find: a blind run is no good one."""
    usual = median([rate for rate in hit_rates.values() if rate > 0] or [0.0])
    return {run_id for run_id, rate in hit_rates.items() if rate <= 0 or rate < LEAST_OF_USUAL * usual}


def _hit_rate(home: Home, run_id: str) -> float:
    """Return the hit rate of a run's best probe."""
    manifest = home.manifest(run_id)
    return 0.0 if manifest is None else max((rate.share for rate in hit_rates(manifest).values()), default=0.0)


def logs_of(run: RunDirectory) -> list[Path]:
    """Return the folders of a run's logs of replies and packets that exist."""
    return [run.path / folder for folder in (REPLIES, PACKETS) if (run.path / folder).is_dir()]


def _remove(home: Home, record: Record, warn: Callable[[str], None]) -> bool:
    """Remove a run; its record says so before and after, so that one cut off in between is no run any more."""
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
    """Remove a run's logs; its manifest says so first."""
    try:
        manifest = run.read_manifest()
        note = f"removed by keep.replies of the census at {utc()}"
        log = msgspec.structs.replace(manifest.log, complete=False, problems=[*manifest.log.problems, note], files=[])
        run.write_manifest(msgspec.structs.replace(manifest, log=log))
        with run.files() as directory:
            for folder in (REPLIES, PACKETS):
                directory.remove_tree(folder)
    except OSError as problem:
        warn(f"{run.path}: its replies are beyond keep.replies and cannot be removed: {problem.strerror or problem}")
    except LivenessError as problem:
        warn(f"{run.path}: its replies are beyond keep.replies and stay: {problem}")
