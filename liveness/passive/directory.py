"""The directory of a passive run: how it is made, held by one process, and found fit to be resumed."""

from pathlib import Path
from typing import Final

from liveness.errors import RefusedError, UsageError
from liveness.files import locks
from liveness.files.directory import Directory
from liveness.flows.record import encodable
from liveness.passive.config import Config
from liveness.passive.gates import Gates
from liveness.passive.inputs import check_named, required_files
from liveness.passive.manifest import Manifest, ended_status, load_manifest
from liveness.passive.partitions import Partitions
from liveness.runs.rundir import check_names

WORK: Final = "work"
LOGS: Final = "logs"
LOCK: Final = "lock"


def make_directory(config: Config, run_id: str) -> Path:
    """Make a new run directory. UsageError if there is one of that name, or if the inputs cannot be those of a run."""
    check_named(config.inputs)
    if not config.follow:
        required_files(config.inputs)
    if encodable(config.output) != config.output:
        raise UsageError(f"{config.output}: this name is no UTF-8: give another folder for runs")
    check_names(config.name, run_id)
    path = Path(config.output) / config.name / run_id
    try:
        with Directory.make(path.parent) as above, above.make_directory(path.name, exist_ok=False) as made:
            made.make_directory("sets").close()
            made.make_directory(f"{WORK}/{LOGS}").close()
    except FileExistsError as error:
        raise UsageError(f"{path}: this run exists already: give another run id") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot make this run directory: {error.strerror}") from error
    return path


def resumable(path: Path) -> Manifest:
    """Return the manifest of a run that can be resumed. RefusedError if it is complete, UsageError for another one."""
    manifest = load_manifest(path)
    with Directory.open(path) as folder:
        has_work = folder.is_directory(WORK)
    if manifest.status == "complete" and not has_work:
        raise RefusedError(f"{path}: this run is complete: start another one")
    if not has_work and not (manifest.status == "running" and ended_status(path)):
        raise UsageError(f"{path}: cannot be resumed: it has no folder {WORK}")
    return manifest


def check_work(path: Path) -> None:
    """Refuse a run whose records lie where a link leads: another user would choose what is removed and cut there."""
    try:
        with Directory.open(path) as folder:
            folder.directory(f"{WORK}/{LOGS}").close()
    except OSError as error:
        raise UsageError(f"{path}: cannot be resumed: {error.strerror or error}") from error


def hold(path: Path) -> int:
    """Take the lock of a run, and return its descriptor. RefusedError if another process has it."""
    with Directory.open(path) as folder:
        return locks.take(folder, LOCK, path, "another process is at work on this run", "wait for it, or end it")


def partitions_of(config: Config, path: Path, *, forced: bool) -> Partitions:
    """Return the records of the run at `path`, before any is read."""
    gates = Gates.of(config.local_space, config.own_space, config.exclude)
    return Partitions(path / WORK, gates, config.interval_ns, forced)
