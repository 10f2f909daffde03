"""One call of a recurring census: scan the next run, or resume one that ended early, then report and notify."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from msgspec.structs import replace

from liveness.census.hit_rate_drop import drops_below_median, hit_rate_drops, hit_rates
from liveness.census.home import Home
from liveness.census.message import Message
from liveness.census.ownership import CensusOwner
from liveness.census.record import Record, summary_line
from liveness.census.report import analyze_with, write_report
from liveness.census.retention import retain
from liveness.census.transient import check_readable, may_pass
from liveness.clock import utc_now
from liveness.config.model import Config
from liveness.errors import LivenessError, StoppedEarlyError
from liveness.runs.manifest import Manifest
from liveness.scan.privilege_drop import private_umask
from liveness.scan.recovery.resume import check_resumable
from liveness.scan.run import Finished
from liveness.system.exit_codes import exit_code_of

"""Added to the number of the signal that ended a run, to make the exit code."""


class Scanner(Protocol):
    """Scanner of a census: starts or resumes a run. Both methods raise the errors of `scan.run`."""

    def begin(self, run_id: str) -> Finished:
        """Scan a new run with this run id."""

    def resume(self, path: Path) -> Finished:
        """Resume the run in a directory."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """One call of a census. `warn` is called with warnings as they occur, `notify` with messages; it must not raise."""

    config: Config
    home: Home
    scanner: Scanner
    warn: Callable[[str], None]
    notify: Callable[[Message], None]

    def run(self, *, fresh: bool = False, unfinished_only: bool = False) -> Record | None:
        """Resume an unfinished run, or scan the next one, and return its record. One call ends one run.

        With `fresh`, unfinished runs are given up first. With `unfinished_only`, no new run is started, and None is
        returned if there was nothing to do. Raises RefusedError if another process holds the census, and LivenessError
        or a subclass if a run cannot be started, resumed or reported; the notification has been sent by then.
        """
        umask = os.umask(private_umask(self.config))
        try:
            with self._reporting_failures():
                owner = CensusOwner.of(self.home, self.config)
            lock = self.home.lock()
            try:
                with self._reporting_failures():
                    return self._run(owner, fresh=fresh, unfinished_only=unfinished_only)
            finally:
                os.close(lock)
        finally:
            os.umask(umask)

    @contextmanager
    def _reporting_failures(self) -> Iterator[None]:
        """Send a notification about an error that ends a call."""
        try:
            yield
        except LivenessError as error:
            self.notify(Message.of_failure(self.home.path, str(error), error.exit_code))
            raise
        except Exception as error:  # a bug: notify before the traceback, because nobody may be watching the output
            problem = f"{type(error).__name__}: {error}"
            self.notify(Message.of_failure(self.home.path, problem, LivenessError.exit_code))
            raise

    def _run(self, owner: CensusOwner, *, fresh: bool, unfinished_only: bool) -> Record | None:
        records = self._records()
        for late in records:
            if late.state == "reported" and not late.notified:
                self._notify(late)
        record = self._unfinished(records, fresh=fresh)
        if record is not None:
            if not self.home.is_complete(record.run_id):
                owner.give(self.home)
                return self._scanned(record, self.scanner.resume(self.home.run(record.run_id).path))
            self.home.run(record.run_id).remove_traces()  # a power cut may have left them
            return self._report(self._noted(record, self.home.run(record.run_id).read_manifest()))
        return None if unfinished_only else self._next(records, owner)

    def _records(self) -> list[Record]:
        return self.home.records(lambda error: self.warn(f"{error}: made again from the files of the run"))

    def _unfinished(self, records: list[Record], *, fresh: bool) -> Record | None:
        """Return the oldest run that can be resumed or reported. Others are given up, or forgotten if never begun."""
        for record in records:
            if record.state != "begun":
                continue
            run = self.home.run(record.run_id)
            if not self.home.exists(record.run_id):  # it was interrupted before its first packet
                run.discard()
                self.home.forget(record.run_id)
                continue
            if self.home.is_complete(record.run_id):
                return record
            try:
                check_readable(run.path)
                check_resumable(run.path)
                if not fresh:
                    return record
                self._give_up(record, "left by --fresh")
            except LivenessError as error:
                if may_pass(error) and not fresh:
                    raise LivenessError(f"{error}: the next call tries again; --fresh gives this run up") from error
                self._give_up(record, str(error))
        return None

    def _give_up(self, record: Record, reason: str) -> None:
        self.home.write(replace(record, state="given-up", reason=reason))
        self.warn(f"{self.home.run(record.run_id).path}: given up: {reason}")

    def _next(self, records: list[Record], owner: CensusOwner) -> Record:
        """Scan the next run. Its record is written first, because a run without a record is never touched later."""
        number = max((record.number for record in records), default=0) + 1
        record = Record(number=number, run_id=self.home.free_run_id(), state="begun", begun=utc_now(0))
        self.home.write(record)
        owner.give(self.home)
        try:
            finished = self.scanner.begin(record.run_id)
        except LivenessError:
            if not self.home.exists(record.run_id):
                self.home.forget(record.run_id)
            raise
        return self._scanned(record, finished)

    def _scanned(self, record: Record, finished: Finished) -> Record:
        """Process a run whose scan has ended, completely or early."""
        record = self._noted(record, finished.manifest)
        if finished.manifest.status == "complete":
            return self._report(record)
        number = finished.interruption.signal_number
        code = StoppedEarlyError.exit_code if number is None else exit_code_of(number)
        record = replace(record, exit_code=code, events=["failure", *record.events])
        record = replace(record, summary=f"{self._summary(record, finished.manifest)}; the next call resumes it")
        self.home.write(record)
        self.notify(Message.of_record(self.home.path, record))
        return record

    @staticmethod
    def _noted(record: Record, manifest: Manifest) -> Record:
        """Return the record with values from the manifest."""
        return replace(
            record,
            status=manifest.status,
            reason=manifest.reason,
            finished=manifest.finished,
            targets=manifest.targets,
            took_s=_took_s(manifest),
            sessions=1 + len(manifest.resumed),
            hit_rates={probe: round(rate.share, 6) for probe, rate in hit_rates(manifest).items()},
            alarms=[f"losses: {line}" for line in manifest.loss_warnings],
            events=["drops"] if manifest.loss_warnings else [],
            exit_code=0,
        )

    def _summary(self, record: Record, manifest: Manifest) -> str:
        return summary_line(self.home.name, record, len(manifest.loss_warnings))

    def _report(self, record: Record) -> Record:
        """Analyse a complete run, compare it, write its report, remove old runs, and notify."""
        run = self.home.run(record.run_id)
        records = self._records()
        before = self.home.last_complete(records, record.number)
        try:
            results = analyze_with(run, None if before is None else self.home.run(before.run_id), self.warn)
        except LivenessError as error:
            if not may_pass(error):  # a damaged set stays damaged: the next call must not fail for it again
                self._give_up(record, str(error))
            raise
        write_report(self.home, record.run_id, results)
        record = replace(record, alive=results.runs[-1].ipall)
        manifest = results.runs[-1].manifest
        if before is not None and results.changes:
            change = results.changes[-1].all
            record = replace(record, compared_with=before.run_id, born=change.born, died=change.died)
        alarms = self._hit_rate_alarms(manifest, before, [other for other in records if other.number < record.number])
        if alarms:
            record = replace(record, alarms=[*record.alarms, *alarms], events=[*record.events, "hit_rate"])
        record = replace(record, state="reported", events=["complete", *record.events])
        record = replace(record, summary=self._summary(record, manifest))
        self.home.write(record)
        retain(self.home, self._records(), self.config.keep, self.warn)
        self._notify(record)
        return record

    def _hit_rate_alarms(self, manifest: Manifest, before: Record | None, earlier: list[Record]) -> list[str]:
        """Return an alarm for each probe with a drop of its hit rate since the last run, or below its baseline."""
        threshold = self.config.notify.fall
        last = None if before is None else self.home.manifest(before.run_id)
        drops = [] if before is None or last is None else hit_rate_drops(manifest, last, threshold)
        alarms = [f"{drop} since {before.run_id}" for drop in drops if before is not None]
        dropped = {drop.probe for drop in drops}
        ended = [record for record in earlier if record.state not in ("begun", "given-up")]
        return alarms + [
            str(drop) for drop in drops_below_median(manifest, ended, threshold) if drop.probe not in dropped
        ]

    def _notify(self, record: Record) -> None:
        self.notify(Message.of_record(self.home.path, record))
        self.home.write(replace(record, notified=True))


def _took_s(manifest: Manifest) -> float | None:
    """Return the scanning time of a run in seconds, without the pauses between its sessions; None if unknown."""
    if manifest.timeline.end_s:
        return manifest.timeline.end_s[-1]
    if manifest.finished is None:
        return None
    try:
        return (datetime.fromisoformat(manifest.finished) - datetime.fromisoformat(manifest.started)).total_seconds()
    except (ValueError, TypeError):  # not a time, or only one of them has a time zone
        return None
