"""Runner of a job at its vantage point: ``python -m liveness.fleet.runner DIRECTORY``, with the job on standard input.

It is a process of its own: if the worker or the scheduler dies, it goes on. It takes the lease of the job, executes the
ordinary scan as a child, resumes it where it stopped, stores the run, and writes how the job ended.
"""

import hashlib
import os
import secrets
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final, TypeVar

import msgspec

from liveness.config.load import read_entries
from liveness.errors import LivenessError, RefusedError, StoppedEarlyError, explain
from liveness.fleet import layout, marks
from liveness.fleet.job import FINAL, Job, Outcome, State
from liveness.fleet.lease import Holder, LostError
from liveness.fleet.liaison import Liaison
from liveness.fleet.scans import PAUSES_S, Scans, StopError, note
from liveness.fleet.store import Store, StoreError
from liveness.fleet.upload import Upload, remove_others
from liveness.fleet.workplace import BLOCKS, OPT_OUTS, OUTCOME, READABLE, TARGETS, Workplace
from liveness.optouts.redaction import redact_run
from liveness.runs.rundir import RunDirectory

T = TypeVar("T")

HELD: Final = RefusedError.exit_code
"""Exit code if another runner has the job on this machine."""
SIGNALLED: Final = (128 + signal.SIGINT, 128 + signal.SIGTERM)


@dataclass(slots=True)
class Runner:
    """One job, from its lease to its outcome."""

    job: Job
    workplace: Workplace
    store: Store
    signalled: threading.Event = field(default_factory=threading.Event, init=False)
    scans: Scans = field(init=False)

    def __post_init__(self) -> None:
        """Prepare the scans of the job."""
        self.scans = Scans(self.job, self.workplace, self.signalled)

    def run(self) -> Outcome:
        """Do the job, and return how it ended."""
        holder = Holder(
            self.store,
            self.job.prefix,
            self.job.vantage,
            self.workplace.machine,
            secrets.token_hex(8),
            os.uname().nodename,
            os.getpid(),
            self.job.lease_s,
        )
        outcome = self._outcome(holder)
        if holder.lease is not None and outcome.state != "lost":
            with suppress(LivenessError):  # it expires by itself
                holder.renew("done" if outcome.state in FINAL else "stopped", self.workplace.share(), outcome.message)
        return outcome

    def _outcome(self, holder: Holder) -> Outcome:
        """Do the job, and return how it ended, also if that is an error."""
        try:
            return self._run(holder)
        except StopError:
            return self.job.ended("stopped", SIGNALLED[0], "the runner was interrupted")
        except LostError as error:
            return self.job.ended("lost", error.exit_code, str(error))
        except RefusedError as error:
            return self.job.ended("refused", error.exit_code, str(error))
        except LivenessError as error:
            return self.job.ended("failed", error.exit_code, str(error))

    def _run(self, holder: Holder) -> Outcome:
        stored = self._patiently(self._stored)
        if stored is not None:
            return stored
        mark = self._patiently(lambda: marks.drained(self.store, self.job.census, self.job.vantage))
        if mark is not None:
            return self.job.ended("stopped", 0, f"{self.job.vantage} is drained: it begins no job")
        self._patiently(holder.take)
        self._fetch_targets()
        liaison = Liaison(self.workplace, self.store, holder, note)
        self._patiently(liaison.begin)
        try:
            return self._scan_and_store(liaison, holder)
        finally:
            liaison.end()

    def _stored(self) -> Outcome | None:
        return self.store.document(f"{self.job.prefix}/{layout.RESULT}", Outcome)

    def _fetch_targets(self) -> None:
        """Fetch the targets, whose order all vantage points must have in common, and write the config."""
        self._fetch_file(TARGETS, self.job.targets_sha256)
        if self.job.kind == "survey":
            self._fetch_file(BLOCKS, self.job.blocks_sha256)
        self.workplace.write_config()

    def _fetch_file(self, file: str, digest: str) -> None:
        """Fetch a file of the plan, unless it is here already. LivenessError if it is not as it was planned."""
        kept = self.workplace.read(file)
        if kept is not None and hashlib.sha256(kept).hexdigest() == digest:
            return
        name = layout.of_run(self.job.census, self.job.run, file)
        content = self._patiently(lambda: self.store.get(name))
        if content is None or hashlib.sha256(content).hexdigest() != digest:
            raise LivenessError(f"{self.store.url}: {name}: not the {file} of the plan: its SHA-256 differs")
        self.workplace.write(file, content, READABLE)

    def _scan_and_store(self, liaison: Liaison, holder: Holder) -> Outcome:
        liaison.renew_now("scanning")
        code, message = self.scans.run(liaison)
        state: State
        if self.workplace.is_complete():
            state = "complete"
        elif liaison.reason == "cancelled":
            self.scans.conclude(liaison)
            state = "partial"
        elif liaison.reason == "lost":
            return self.job.ended("lost", RefusedError.exit_code, liaison.message)
        else:
            state = "stopped" if liaison.reason or code in (StoppedEarlyError.exit_code, *SIGNALLED) else "failed"
            return self.job.ended(state, code, liaison.message or message)
        liaison.renew_now("storing")
        return self._store(state, holder)

    def _store(self, state: State, holder: Holder) -> Outcome:
        """Store the run, without what has opted out of it by now, and say that it is whole."""
        run = self.workplace.run
        outcome = self.job.ended(state, 0, "")
        if run.path.is_dir():
            place = layout.stored_name(holder.generation)
            upload = Upload(self.store, f"{self.job.prefix}/{place}")
            lists = self._without_opted_out(run)
            digest = self._patiently(lambda: upload.store(run))
            outcome = msgspec.structs.replace(outcome, place=place, manifest_sha256=digest, opt_outs_sha256=lists)
        else:
            outcome = msgspec.structs.replace(outcome, message="cancelled before it began")
        self._patiently(holder.check)
        if not self._patiently(lambda: self.store.create_document(f"{self.job.prefix}/{layout.RESULT}", outcome)):
            raise LostError(f"{self.job.prefix}: another worker has stored this job")
        try:
            remove_others(self.store, self.job.prefix, outcome.place)
        except StoreError as error:
            note(f"{error}: what earlier owners of this job stored is still there")
        return outcome

    def _without_opted_out(self, run: RunDirectory) -> str:
        """Remove what has opted out by now from the run; return the digest of the lists."""
        content = self.workplace.read(OPT_OUTS) or b""
        lists = [self.workplace.path / OPT_OUTS]
        blocked = read_entries([str(path) for path in lists])
        if len(blocked):
            redact_run(run, blocked, lists)
        return hashlib.sha256(content).hexdigest()

    def _patiently(self, request: Callable[[], T]) -> T:
        """Make a request to the store until it can be reached. Raises StopError if a signal says so."""
        tries = 0
        while True:
            try:
                return request()
            except StoreError as error:
                if not tries:
                    note(f"{error}: it is tried again until it works")
                if self.signalled.wait(PAUSES_S[min(tries, len(PAUSES_S) - 1)]):
                    raise StopError from error
                tries += 1


def main(path: Path, document: bytes) -> int:
    """Do the job in a directory; return 0 if there is an outcome, HELD if another runner is at work on it."""
    job = msgspec.json.decode(document, type=Job)
    workplace = Workplace(job, path)
    try:
        lock = workplace.lock()
    except RefusedError:
        return HELD
    workplace.remove(OUTCOME)
    try:
        runner = Runner(job, workplace, Store.open(job.store))

        def interrupted(_number: int, _frame: FrameType | None) -> None:
            runner.signalled.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, interrupted)
        outcome = runner.run()
    except LivenessError as error:
        outcome = job.ended("failed", error.exit_code, str(error))
    except Exception as error:
        outcome = job.ended("failed", LivenessError.exit_code, explain(error))
        workplace.write_outcome(outcome)
        raise
    note(f"{outcome.state}{': ' if outcome.message else ''}{outcome.message}")
    workplace.write_outcome(outcome)
    os.close(lock)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.stdin.buffer.read()))
