"""Directory of a census, `<output>/<name>/`: its lock, its runs, and the reports that are kept after the runs."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from liveness.census.record import Record, decode_record, encode_record
from liveness.clock import utc
from liveness.errors import LivenessError
from liveness.files import locks
from liveness.files.directory import Directory
from liveness.files.reading import MIB, read_below
from liveness.runs.manifest import Manifest
from liveness.runs.rundir import CHECKPOINT_FILE, MANIFEST_FILE, RunDirectory, is_run_id, new_run_id
from liveness.space.addresses import shown

LOCK_FILE: Final = "census.lock"
REPORTS: Final = "reports"
RECORD_FILE: Final = "census.json"
TABLES_FILE: Final = "report.txt"
PAGE_FILE: Final = "report.html"
DOCUMENT_FILE: Final = "report.json"
RECORD_BYTES: Final = MIB


@dataclass(frozen=True, slots=True)
class Home:
    """Directory of one census. It has no state except its path."""

    path: Path

    @property
    def name(self) -> str:
        """Name of the census."""
        return self.path.name

    def lock(self) -> int:
        """Lock the census and return the lock's descriptor. Raises RefusedError if another process holds it."""
        try:
            with Directory.make(self.path) as directory:
                return locks.take(directory, LOCK_FILE, self.path, "this census is running already", "wait for its end")
        except OSError as problem:
            raise LivenessError(f"{self.path}: cannot lock this census: {problem.strerror}") from problem

    def run(self, run_id: str) -> RunDirectory:
        """Return the directory of a run, which need not exist."""
        return RunDirectory(self.path / run_id, self.path)

    def files(self) -> Directory:
        """Open this directory; operations below it do not follow links. Raises OSError."""
        return Directory.open(self.path)

    def report(self, run_id: str) -> Path:
        """Return the directory of a run's report."""
        return self.path / REPORTS / run_id

    def records(self, damaged: Callable[[LivenessError], None]) -> list[Record]:
        """Return the records of all runs of this census, oldest first.

        For a record that cannot be read, `damaged` is called and the record is rebuilt from the files of the run.
        """
        records, lost = [], []
        for run_id in self._noted():
            try:
                records.append(self._record(run_id))
            except LivenessError as error:
                damaged(error)
                lost.append(run_id)
        rebuilt = [self._rebuilt(run_id, records) for run_id in lost]
        return sorted(records + rebuilt, key=lambda record: (record.number, record.begun, record.run_id))

    def _noted(self) -> list[str]:
        """Return the run ids that have a record. Raises LivenessError if the reports cannot be read."""
        try:
            with self.files() as directory:
                if directory.status(REPORTS) is None:
                    return []
                names = [name for name in directory.names(REPORTS) if is_run_id(name)]
                reports = [name for name in names if directory.is_directory(f"{REPORTS}/{name}")]
                return [name for name in reports if directory.is_file(f"{REPORTS}/{name}/{RECORD_FILE}")]
        except FileNotFoundError:
            return []
        except OSError as problem:
            raise LivenessError(f"{self.path / REPORTS}: cannot read these reports: {problem.strerror}") from problem

    def _record(self, run_id: str) -> Record:
        """Return the record of a run. Raises LivenessError that names the file, also if it is another run's record."""
        path = self.report(run_id) / RECORD_FILE
        try:
            with self.files() as directory:
                content = read_below(directory, f"{REPORTS}/{run_id}/{RECORD_FILE}", RECORD_BYTES)
        except OSError as problem:
            raise LivenessError(f"{path}: cannot read this record: {problem.strerror}") from problem
        record = decode_record(content, path)
        if record.run_id != run_id:
            raise LivenessError(f"{path}: $.run_id: {shown(record.run_id)}: not the run of this folder")
        return record

    def _rebuilt(self, run_id: str, others: Sequence[Record]) -> Record:
        report = self.report(run_id)
        manifest = self.manifest(run_id)
        begun = utc(report.stat().st_mtime_ns, 0) if manifest is None else manifest.started
        gone = not self.run(run_id).path.is_dir()
        reported = (report / DOCUMENT_FILE).is_file()
        return Record(
            number=max((other.number for other in others if other.begun <= begun), default=0),
            run_id=run_id,
            state="removed" if gone else "reported" if reported else "begun",
            begun=begun,
            notified=True,
        )

    def last_complete(self, records: Sequence[Record], number: int) -> Record | None:
        """Return the newest run before `number` that is complete, reported and still on disk.

        A run that found no address is used only if there is no other: compared with it, every address would be born.
        """
        earlier = [record for record in reversed(records) if record.number < number and record.state == "reported"]
        earlier.sort(key=lambda record: record.alive == 0)  # stable: the newest run stays first
        return next((record for record in earlier if self.is_complete(record.run_id)), None)

    def write(self, record: Record) -> None:
        """Write a record. Raises LivenessError that names the file that cannot be written."""
        self.write_report(record.run_id, RECORD_FILE, encode_record(record))

    def write_report(self, run_id: str, file: str, content: bytes) -> None:
        """Replace a file of a run's report by rename. Raises LivenessError that names the file if that fails."""
        try:
            with self.files() as directory, directory.make_directory(f"{REPORTS}/{run_id}") as folder:
                folder.write(file, content)
        except OSError as problem:
            raise LivenessError(f"{self.report(run_id) / file}: cannot write: {problem.strerror}") from problem

    def forget(self, run_id: str) -> None:
        """Remove the record of a run that never began."""
        with suppress(OSError), self.files() as directory:
            directory.remove_tree(f"{REPORTS}/{run_id}")

    def free_run_id(self) -> str:
        """Return the current UTC time as a run id, with a number appended if that run id is in use."""
        first = new_run_id()
        run_id, number = first, 2
        while self.run(run_id).path.exists() or self.report(run_id).exists():
            run_id, number = f"{first}-{number}", number + 1
        return run_id

    def exists(self, run_id: str) -> bool:
        """Return whether a run has a manifest or a checkpoint, so that it can be resumed."""
        path = self.run(run_id).path
        return any((path / file).is_file() for file in (MANIFEST_FILE, CHECKPOINT_FILE))

    def is_complete(self, run_id: str) -> bool:
        """Return whether a run's manifest can be read and its status is complete."""
        return (manifest := self.manifest(run_id)) is not None and manifest.status == "complete"

    def manifest(self, run_id: str) -> Manifest | None:
        """Return a run's manifest, or None if there is none or it cannot be read."""
        try:
            return self.run(run_id).read_manifest()
        except LivenessError:
            return None
