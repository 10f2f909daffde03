"""Owns the directory of a census, `<output>/<name>/`: its lock, its runs, and the reports that outlive them."""

import fcntl
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from liveness.census.record import Record, load_record, write_record
from liveness.errors import LivenessError, RefusedError
from liveness.store.manifest import Manifest
from liveness.store.rundir import CHECKPOINT_FILE, MANIFEST_FILE, RunDirectory, new_run_id

LOCK_FILE: Final = "census.lock"
REPORTS: Final = "reports"
RECORD_FILE: Final = "census.json"
TABLES_FILE: Final = "report.txt"
PAGE_FILE: Final = "report.html"
DOCUMENT_FILE: Final = "report.json"


def utc(timestamp: float | None = None) -> str:
    """Return a time in seconds since the epoch, or that of now, as text in UTC."""
    moment = datetime.now(UTC) if timestamp is None else datetime.fromtimestamp(timestamp, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Home:
    """The place of one census; it remembers nothing but its path."""

    path: Path

    @property
    def name(self) -> str:
        """The name of the census."""
        return self.path.name

    def lock(self) -> int:
        """Take the census until this process and its children end; return the lock's descriptor.

        Raises RefusedError if another process has it. The kernel gives the lock back when the last holder is gone,
        however it ended: a stale file is no lock.
        """
        path = self.path / LOCK_FILE
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as problem:
            raise LivenessError(f"{path}: cannot lock this census: {problem.strerror}") from problem
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as problem:
            holder = os.read(descriptor, 20).decode("ascii", "replace").strip()
            os.close(descriptor)
            by = f" (process {holder})" if holder.isdecimal() else ""
            raise RefusedError(f"{self.path}: this census is running already{by}: wait for its end") from problem
        with suppress(OSError):  # a full disk: who holds the lock is told to people only
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        return descriptor

    def run(self, run_id: str) -> RunDirectory:
        """Return the place of a run."""
        return RunDirectory(self.path / run_id)

    def report(self, run_id: str) -> Path:
        """Return the folder of a run's report."""
        return self.path / REPORTS / run_id

    def records(self, damaged: Callable[[LivenessError], None]) -> list[Record]:
        """Return the records of all runs of this census, oldest first.

        A record that cannot be read is told to `damaged` and made anew from what lies there.
        """
        records, lost = [], []
        for path in sorted((self.path / REPORTS).glob(f"*/{RECORD_FILE}")):
            try:
                records.append(load_record(path))
            except LivenessError as error:
                damaged(error)
                lost.append(path.parent)
        rebuilt = [self._rebuilt(report, records) for report in lost]
        return sorted(records + rebuilt, key=lambda record: (record.number, record.begun, record.run_id))

    def _rebuilt(self, report: Path, others: Sequence[Record]) -> Record:
        manifest = self.manifest(report.name)
        begun = utc(report.stat().st_mtime) if manifest is None else manifest.started
        gone = not self.run(report.name).path.is_dir()
        reported = (report / DOCUMENT_FILE).is_file()
        return Record(
            number=max((other.number for other in others if other.begun <= begun), default=0),
            run_id=report.name,
            state="removed" if gone else "reported" if reported else "begun",
            begun=begun,
            told=True,
        )

    def last_complete(self, records: Sequence[Record], number: int) -> Record | None:
        """Return the newest run before that number that is complete, reported and still there."""
        earlier = (record for record in reversed(records) if record.number < number and record.state == "reported")
        return next((record for record in earlier if self.is_complete(record.run_id)), None)

    def write(self, record: Record) -> None:
        """Write a record. Raises LivenessError that names what cannot be written."""
        folder = self.report(record.run_id)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise LivenessError(f"{folder}: cannot make this folder: {problem.strerror}") from problem
        write_record(folder / RECORD_FILE, record)

    def forget(self, run_id: str) -> None:
        """Remove the record of a run that never began."""
        shutil.rmtree(self.report(run_id), ignore_errors=True)

    def free_run_id(self) -> str:
        """Return the UTC time of now as a run id, with a number behind it if there is one of this second already."""
        first = new_run_id()
        run_id, number = first, 2
        while self.run(run_id).path.exists() or self.report(run_id).exists():
            run_id, number = f"{first}-{number}", number + 1
        return run_id

    def exists(self, run_id: str) -> bool:
        """Return whether there is anything of a run to go on with."""
        path = self.run(run_id).path
        return any((path / file).is_file() for file in (MANIFEST_FILE, CHECKPOINT_FILE))

    def is_complete(self, run_id: str) -> bool:
        """Return whether a run's manifest can be read and calls it complete."""
        return (manifest := self.manifest(run_id)) is not None and manifest.status == "complete"

    def manifest(self, run_id: str) -> Manifest | None:
        """Return a run's manifest, None if there is none that can be read."""
        try:
            return self.run(run_id).read_manifest()
        except LivenessError:
            return None
