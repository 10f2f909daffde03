"""The side of a worker: functions that Dask calls at a vantage point. They use nothing but this package's own files."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from liveness.errors import LivenessError, RefusedError
from liveness.fleet.bound import holder_of
from liveness.fleet.job import Job, Outcome
from liveness.fleet.runner import HELD
from liveness.fleet.workplace import LOCK, Workplace, path_of
from liveness.system.clock_offset import read_clock
from liveness.version import __version__

POLL_S: Final = 0.5

_at_work: set["subprocess.Popen[bytes]"] = set()
_stopped: Final = threading.Event()
"""Set when this process is to begin no more runners, and to stop those that it waits for."""
_lock: Final = threading.Lock()


def facts() -> dict[str, object]:
    """Return what a coordinator checks before it gives a vantage point work: version, clock, time."""
    return {
        "version": __version__,
        "python": ".".join(map(str, sys.version_info[:3])),
        "offset_ms": read_clock().offset_ms,
        "time_s": time.time(),
    }


def run_job(document: bytes) -> bytes:
    """Do a job, or wait for the end of the runner that is at work on it already; return its outcome as JSON."""
    job = msgspec.json.decode(document, type=Job)
    try:
        outcome = _run(job, document)
    except LivenessError as error:
        outcome = job.ended("failed", error.exit_code, str(error))
    return msgspec.json.encode(outcome)


def _run(job: Job, document: bytes) -> Outcome:
    if job.version != __version__:
        raise RefusedError(
            f"{job.vantage}: liveness {__version__} here, {job.version} where the run was planned: install the same"
        )
    workplace = Workplace.of(job)
    while True:
        _wait_for_other(workplace)
        if _stopped.is_set():
            return job.ended("stopped", 128 + signal.SIGINT, "the command was interrupted")
        if _runner(workplace, document) == HELD:
            continue
        outcome = workplace.outcome()
        if outcome is not None:
            return outcome
        message = f"the runner was killed: {workplace.path}/runner.log has its last lines"
        return job.ended("stopped", LivenessError.exit_code, message)


def _wait_for_other(workplace: Workplace) -> None:
    """Wait for the end of a runner that another process has started, such as a command that was killed."""
    while workplace.is_locked():
        pid = holder_of(workplace.path, LOCK) if _stopped.is_set() else None
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        time.sleep(POLL_S)


def stop_others(jobs: Iterable[Job], patience_s: float) -> list[str]:
    """Stop the runners that another command has begun for jobs, all at once; return the jobs whose have not ended.

    They have `patience_s` together; with 0 they are asked to stop, and not waited for. Nobody waits for a job whose
    directory cannot be opened, but it is returned: a runner may be at work in it.
    """
    everywhere = [Workplace(job, path_of(job)) for job in jobs]
    states = [_is_at_work(workplace) for workplace in everywhere]
    closed = [workplace for workplace, state in zip(everywhere, states, strict=True) if state is None]
    left = [workplace for workplace, state in zip(everywhere, states, strict=True) if state]
    until_s = time.monotonic() + patience_s
    while left:
        for workplace in left:
            pid = holder_of(workplace.path, LOCK)
            if pid is not None:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGTERM)
        if time.monotonic() >= until_s:
            break
        time.sleep(POLL_S)
        left = [workplace for workplace in left if _is_at_work(workplace) is not False]
    return [workplace.job.job for workplace in everywhere if workplace in closed or workplace in left]


def _is_at_work(workplace: Workplace) -> bool | None:
    """Return whether a runner is at work in a directory, which need not exist; None if it cannot be opened."""
    try:
        return workplace.path.is_dir() and workplace.is_locked()
    except (OSError, LivenessError):
        return None


def _runner(workplace: Workplace, document: bytes) -> int:
    """Run a runner in a session of its own, which goes on if this process ends; return its exit code."""
    log = workplace.open_log()
    with subprocess.Popen(
        [sys.executable, "-m", "liveness.fleet.runner", str(workplace.path)],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        start_new_session=True,
        cwd=Path.cwd(),
    ) as process:
        os.close(log)
        with _lock:
            _at_work.add(process)
            if _stopped.is_set():
                process.terminate()
        try:
            with suppress(BrokenPipeError):
                process.communicate(document)
            return process.returncode
        finally:
            with _lock:
                _at_work.discard(process)


def stop_runners() -> None:
    """Ask the runners of this process' jobs to stop, also those of an earlier command. Their scans can be resumed."""
    with _lock:
        _stopped.set()
        for process in _at_work:
            with suppress(ProcessLookupError):
                process.terminate()
