"""Scans of a job at its vantage point: child processes, one after the other until the run is complete."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from liveness.clock import utc_now
from liveness.errors import LivenessError, RefusedError, StoppedEarlyError, UnsupportedError, UsageError
from liveness.fleet.bound import signal_scan
from liveness.fleet.job import Job
from liveness.fleet.liaison import Liaison
from liveness.fleet.workplace import LOG, Workplace
from liveness.runs.rundir import MANIFEST_FILE

POLL_S: Final = 0.2
PAUSES_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Pauses before a request or a scan is tried again; the last one repeats for requests."""
LASTING: Final = (UsageError.exit_code, UnsupportedError.exit_code, RefusedError.exit_code, StoppedEarlyError.exit_code)
"""Exit codes of a scan that another try would end with, too."""


class StopError(Exception):
    """The runner was asked to stop by a signal."""


@dataclass(slots=True)
class Scans:
    """The scans of one job. `signalled` is set when a signal has asked the runner to stop."""

    job: Job
    workplace: Workplace
    signalled: threading.Event

    def run(self, liaison: Liaison) -> tuple[int, str]:
        """Run scans until the run is complete; return the exit code and the last line of the one that ends it."""
        tries = 0
        while True:
            if self._await_left(liaison) and self.signalled.is_set():
                raise StopError
            liaison.check_reached()
            if self.workplace.is_complete() or liaison.stop.is_set():
                return 0, ""
            self.workplace.discard_unbegun()
            before = self.workplace.share()
            code, message = self._child(liaison)
            if self._is_to_end(liaison) or self.workplace.is_complete():
                self._await_left(liaison)
                return code, message
            if self.workplace.is_scanned():
                continue
            if code in LASTING or tries == len(PAUSES_S):
                return code, message
            note(f"the scan ended with exit code {code}: {message}: it is tried again")
            tries = 0 if self.workplace.share() != before else tries + 1
            self._pause(PAUSES_S[min(tries, len(PAUSES_S) - 1)], liaison)

    def conclude(self, liaison: Liaison) -> None:
        """Have the sets of a run written whose scan was killed: a scan resumes it, and is stopped when it has begun.

        LivenessError if the planes of a survey could not be written: without them there is nothing to store.
        """
        before = self._running()
        if before is None:
            return
        code, message = self._child(liaison, lambda: self._running() != before)
        self._await_left(liaison)
        if self._running() is None:
            return
        why = f"the scan that was to write them ended with {code}: {message}"
        if self.job.kind == "survey":
            if self.signalled.is_set():
                raise StopError
            raise LivenessError(
                f"the survey was cancelled, and is not stored, because its planes could not be written: {why}"
            )
        note(f"the run is stored without its sets: {why}")

    def _running(self) -> tuple[int, int] | None:
        """Return what distinguishes the manifest of a scan at work from a later one; None if the scan has ended."""
        try:
            found = (self.workplace.run.path / MANIFEST_FILE).stat()
        except OSError:
            return None
        if self.workplace.status() != "running":
            return None
        return found.st_ino, found.st_mtime_ns

    def _is_to_end(self, liaison: Liaison) -> bool:
        """Return whether the scan is to end, for any reason."""
        liaison.check_reached()
        return liaison.stop.is_set() or self.signalled.is_set()

    def _await_left(self, liaison: Liaison) -> bool:
        """Wait for the end of a scan that was left to itself; stop it if it is to end. Return whether there was one."""
        left = asked = False
        while self.workplace.is_scanned():
            left = True
            if not asked and self._is_to_end(liaison):
                asked = signal_scan(self.workplace.run.path, signal.SIGINT)
            time.sleep(POLL_S)
        return left

    def _child(self, liaison: Liaison, may_end: Callable[[], bool] = lambda: True) -> tuple[int, str]:
        """Execute one scan, and wait for its end; return its exit code and the last line of its errors.

        It is not stopped before it `may_end`.
        """
        log = self.workplace.open_log()
        begin = os.fstat(log).st_size
        bound = [sys.executable, "-m", "liveness.fleet.bound", str(os.getpid()), str(self.workplace.run.path)]
        try:
            child = subprocess.Popen(
                [*bound, *self.workplace.words()], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        finally:
            os.close(log)
        asked = False
        while (code := child.poll()) is None:
            if not asked and self._is_to_end(liaison) and may_end():
                child.send_signal(signal.SIGINT)
                asked = True
            time.sleep(POLL_S)
        return (128 - code if code < 0 else code), self._last_line(begin)

    def _last_line(self, begin: int) -> str:
        lines = (self.workplace.read(LOG) or b"")[begin:].decode("utf-8", "replace").splitlines()
        return next((line for line in reversed(lines) if line.strip()), "")

    def _pause(self, pause_s: float, liaison: Liaison) -> None:
        if self.signalled.wait(0):
            raise StopError
        liaison.stop.wait(pause_s)


def note(text: str) -> None:
    """Write a line to the log of the runner."""
    sys.stderr.write(f"{utc_now()} runner: {text}\n")
    sys.stderr.flush()
