"""The side of a worker: functions that Dask calls at a vantage point. They use nothing but this package's own files."""

import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from liveness.errors import LivenessError, RefusedError
from liveness.fleet.job import Job, Outcome
from liveness.fleet.runner import HELD
from liveness.fleet.workplace import Workplace
from liveness.system.clock_offset import read_clock
from liveness.version import __version__

POLL_S: Final = 0.5

_at_work: set["subprocess.Popen[bytes]"] = set()
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
        while workplace.is_locked():
            time.sleep(POLL_S)
        if _runner(workplace, document) == HELD:
            continue
        outcome = workplace.outcome()
        if outcome is not None:
            return outcome
        message = f"the runner was killed: {workplace.path}/runner.log has its last lines"
        return job.ended("stopped", LivenessError.exit_code, message)


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
        try:
            with suppress(BrokenPipeError):
                process.communicate(document)
            return process.returncode
        finally:
            with _lock:
                _at_work.discard(process)


def stop_runners() -> None:
    """Ask the runners that this process has started to stop: their scans end, and can be resumed."""
    with _lock:
        for process in _at_work:
            with suppress(ProcessLookupError):
                process.terminate()
