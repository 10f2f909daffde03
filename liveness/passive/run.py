"""A passive run on disk: directory, manifest, sets, and the way from inputs to results; to be resumed and followed."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
from pyroaring import BitMap

from liveness.clock import utc
from liveness.errors import LivenessError, RefusedError, StoppedEarlyError, UsageError, count_of
from liveness.files import locks
from liveness.files.atomic import write_atomically
from liveness.files.directory import Directory
from liveness.files.documents import decoded
from liveness.files.reading import read_bytes
from liveness.flows.formats import Options, read_all
from liveness.ipsets.roaring import from_numpy, serialized
from liveness.passive.aggregate import parts_for
from liveness.passive.clients import EventLog
from liveness.passive.config import Config, recorded_config, to_document
from liveness.passive.engine import Engine, Finished
from liveness.passive.gates import Counts, Gates
from liveness.passive.history import SEEN_ONE_WAY_IN, SEEN_SENDING, SEEN_TWO_WAY
from liveness.passive.inputs import flow_files
from liveness.passive.kept_flows import KeptFlows
from liveness.passive.partitions import InputRecord, Partitions
from liveness.passive.results import KIND, SCHEMA, Results
from liveness.passive.rules import load_rules
from liveness.runs.kinds import check_directory, check_kind
from liveness.runs.rundir import MANIFEST_FILE, PASSIVE_FILE, RunDirectory, check_names, new_run_id
from liveness.version import __version__

WORK: Final = "work"
LOGS: Final = "logs"
LOCK: Final = "lock"
DOCUMENT_BYTES: Final = 1 << 30
POLL_S: Final = 1.0
SETTLED_NS: Final = 2 * 10**9
"""A file that was written to so lately may still grow: it is not read yet."""
FOLLOWED_PARTS: Final = 16
"""Into how many parts intervals are divided whose size is not known before."""
Note = Callable[[str], None]


class SetRecord(msgspec.Struct, kw_only=True):
    """One set of local addresses."""

    probe: str
    kind: str
    role: str
    file: str
    cardinality: int
    sha256: str


class Manifest(msgspec.Struct, kw_only=True):
    """What a passive run was."""

    schema: int
    kind: str
    name: str
    run_id: str
    status: str
    version: str
    config: dict[str, Any]
    started: str
    finished: str | None = None
    forced: bool = False
    inputs: list[InputRecord] = []
    exporters: dict[str, int] = {}
    sampling: dict[str, int] = {}
    undecoded: dict[str, int] = {}
    damage: list[str] = []
    sets: list[SetRecord] = []


SETS: Final = (
    ("two-way", SEEN_TWO_WAY, 0),
    ("one-way", SEEN_ONE_WAY_IN, SEEN_TWO_WAY),
    ("grey", SEEN_ONE_WAY_IN, SEEN_SENDING),
)
"""Sets of local addresses: with two-way flows; with inbound one-way flows and no two-way ones; with such that sent
nothing."""


@dataclass(slots=True, eq=False)
class PassiveRun:
    """A run that is open, and locked for this process."""

    path: Path
    manifest: Manifest
    config: Config
    note: Note
    partitions: Partitions
    results: Results
    stopping: bool = False
    """Set from outside: ends following after the file that is being read."""
    _engine: Engine | None = None
    _events: EventLog | None = None
    _kept: KeptFlows | None = None
    _lock: int = -1
    _changed: set[Path] = field(default_factory=set)

    @classmethod
    def create(cls, config: Config, run_id: str | None, *, forced: bool, note: Note) -> "PassiveRun":
        """Make a new run directory. UsageError if there is one of that name."""
        rules = load_rules(config.rules)
        if not config.follow:
            _inputs(config.inputs)
        run_id = new_run_id() if run_id is None else run_id
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
        manifest = Manifest(
            schema=SCHEMA, kind=KIND, name=config.name, run_id=run_id, status="running", version=__version__,
            config=to_document(config), started=utc(time.time_ns()), forced=forced,
        )  # fmt: skip
        run = None
        try:
            run = cls(path, manifest, config, note, _partitions(config, path, forced), Results(config, rules))
            run._hold()
            run.write_manifest()
        except BaseException:
            if run is not None:
                run.release()
            RunDirectory(path).discard()
            raise
        return run

    @classmethod
    def resume(cls, path: Path, *, forced: bool, note: Note) -> "PassiveRun":
        """Open a run that did not end, to read on. RefusedError if it is complete."""
        manifest = load_manifest(path)
        if manifest.status == "complete":
            raise RefusedError(f"{path}: this run is complete: start another one")
        if not (path / WORK).is_dir():
            raise UsageError(f"{path}: cannot be resumed: it has no folder {WORK}")
        config = recorded_config(manifest.config, path / MANIFEST_FILE)
        forced = forced or manifest.forced
        manifest.forced, manifest.status = forced, "running"
        run = cls(
            path, manifest, config, note, _partitions(config, path, forced), Results(config, load_rules(config.rules))
        )
        run._hold()
        try:
            run.partitions.resume()
        except BaseException:
            run.release()
            raise
        return run

    def _hold(self) -> None:
        with Directory.open(self.path) as folder:
            self._lock = locks.take(
                folder, LOCK, self.path, "another process is at work on this run", "wait for it, or end it"
            )

    # ---- the way of the data

    def go(self, extra: Sequence[str], *, follow: bool) -> None:
        """Read the inputs, or those that come until `stopping`, and write results.

        StoppedEarlyError if an input was damaged, RefusedError for a capture that is one-sided or sampled. UsageError
        for a file that holds no flows; if it is the first one, nothing is left of the run.
        """
        try:
            if follow:
                self._follow([*self.config.inputs, *extra])
            else:
                self._read_all([*self.config.inputs, *extra])
            self._complete()
        except RefusedError:
            self._end("refused")
            raise
        except UsageError:
            if self.partitions.journal.inputs:
                self._end("partial")
            else:
                self.release()
                RunDirectory(self.path).discard()
            raise
        except BaseException:
            self._end("partial")
            raise
        finally:
            if self._engine is not None:
                self._engine.close()
        if self.partitions.notes.damage:
            raise StoppedEarlyError(self.partitions.notes.damage[-1])

    def _read_all(self, entries: Sequence[str]) -> None:
        for file in self._unread(_inputs(entries)):
            self._read(file)
        numbers = self.partitions.intervals
        shorter = not numbers or numbers[-1] - numbers[0] < self.config.intervals_in(self.config.scanners.history)
        self._open_engine(parts_for(self.partitions.largest), nothing_leaves=shorter)
        for number in numbers:
            self._take(number)
        self._drain()

    def _follow(self, entries: Sequence[str]) -> None:
        self._open_engine(FOLLOWED_PARTS)
        done: set[int] = set()
        sizes: dict[Path, int] = {}
        while True:
            found = self._unread(flow_files(entries, waiting=True))
            before_ns = time.time_ns() - SETTLED_NS
            steady = [
                file
                for file, status in found.items()
                if sizes.get(file) == status.st_size and status.st_mtime_ns <= before_ns
            ]
            sizes = {file: status.st_size for file, status in found.items()}
            for file in steady:
                self._read_or_skip(file)
                lateness_ns = self.config.lateness.us * 1000
                # the clock of an exporter may be ahead of ours: such a record closes no interval of the others
                newest_ns = min(self.partitions.journal.newest_ns, time.time_ns())
                newest = (newest_ns - lateness_ns) // self.config.interval_ns - 1
                for number in self.partitions.intervals:
                    if number <= newest and number not in done:
                        self._take(number)
                        done.add(number)
                        self.partitions.closed = number
            if steady:
                self.write_results("running")
            if self.stopping:
                break
            if not steady:
                time.sleep(POLL_S)
        for number in self.partitions.intervals:
            if number not in done:
                self._take(number)
        self._drain()

    def _unread(self, files: Sequence[Path]) -> dict[Path, os.stat_result]:
        """Return the files that the journal does not name as read, with their status.

        A file that has changed since it was read is left out with a warning: its records would count twice.
        """
        read = {record.path: (record.bytes, record.modified_ns) for record in self.partitions.journal.inputs}
        found = {}
        for file in files:
            try:
                status = file.stat()
            except FileNotFoundError:  # rotated away since it was listed
                continue
            before = read.get(str(file))
            if before is None:
                found[file] = status
            elif before != (status.st_size, status.st_mtime_ns) and file not in self._changed:
                self._changed.add(file)
                self.note(f"{file}: has changed since it was read: left out, because its records would count twice")
        return found

    def _read_or_skip(self, file: Path) -> None:
        """Read one input of a run that follows; a file that is no flow file after all does not end the run."""
        try:
            self._read(file)
        except UsageError as error:
            self.note(f"{error}: left out")
            status = file.stat()
            self.partitions.commit(
                InputRecord(path=str(file), bytes=status.st_size, modified_ns=status.st_mtime_ns, records=0)
            )

    def _read(self, file: Path) -> None:
        """Read one input whole."""
        status = file.stat()
        before = int(self.partitions.gates.counts.sum())
        options = Options(tuple(self.config.export_ports), self.config.columns)
        for flows in read_all([str(file)], None, self.partitions.notes, options):
            self.partitions.take(flows)
        count = int(self.partitions.gates.counts.sum()) - before
        self.partitions.commit(
            InputRecord(path=str(file), bytes=status.st_size, modified_ns=status.st_mtime_ns, records=count)
        )
        self.note(f"{file}: {count_of(count, 'record')}")

    def _open_engine(self, parts: int, *, nothing_leaves: bool = False) -> None:
        """Begin with the first interval. `nothing_leaves` is whether the run is shorter than the history."""
        work = self.path / WORK
        for old in (work / LOGS).iterdir():
            old.unlink()
        self._engine = Engine(self.config, parts, None if nothing_leaves else work / LOGS)
        self._events = EventLog(work, parts)
        self._kept = KeptFlows(work, self.results.rules, self.config.interval_ns) if self.config.keep_flows else None

    def _take(self, number: int) -> None:
        assert self._engine is not None  # noqa: S101 - opened before
        partitions = self.partitions
        for finished in self._engine.add(number, partitions.sightings(number), several=partitions.several):
            self._note(finished)

    def _drain(self) -> None:
        assert self._engine is not None  # noqa: S101 - opened before
        for finished in self._engine.finish():
            self._note(finished)

    def _note(self, finished: Finished) -> None:
        assert self._events is not None  # noqa: S101 - opened before
        self.results.add(finished)
        self._events.append(finished.events)
        if self._kept is not None:
            self._kept.append(finished)

    # ---- what is written

    def counts(self) -> Counts:
        """Return what became of the records so far."""
        counts = self.partitions.gates.report()
        counts.late = self.partitions.journal.late
        counts.duplicates = self._engine.duplicates if self._engine is not None else 0
        return counts

    def _complete(self) -> None:
        if self.results.one_sided() and not self.manifest.forced:
            raise RefusedError(
                f"{self.path}: {self.results.unanswered:.0%} of inbound TCP flows with ACK have no outbound flow: the"
                " capture seems to see one direction only, and all is one-way then: give both directions, or take it as"
                " it is with --force"
            )
        status = "partial" if self.partitions.notes.damage else "complete"
        self._write_sets()
        if self._kept is not None:
            self._kept.write(self.path / "flows.parquet")
        self.write_results(status)
        self._end(status)
        with Directory.open(self.path) as folder:
            folder.remove_tree(WORK)

    def write_results(self, status: str) -> None:
        """Write the report document of what is finished."""
        assert self._engine is not None  # noqa: S101 - opened before
        assert self._events is not None  # noqa: S101 - opened before
        run = f"{self.manifest.name}/{self.manifest.run_id}"
        document = self.results.document(run, status, self.counts(), self._engine.services, self._events)
        document["exporters"] = self._exporters()
        write_atomically(self.path / PASSIVE_FILE, msgspec.json.encode(document))

    def _exporters(self) -> list[dict[str, Any]]:
        journal = self.partitions.journal
        return [
            {"exporter": name, "records": count, "sampling": journal.sampling.get(name)}
            for name, count in sorted(journal.exporter_records.items())
        ]

    def _write_sets(self) -> None:
        assert self._engine is not None  # noqa: S101 - opened before
        self.manifest.sets = []
        for kind, seen, unseen in SETS:
            members = from_numpy(self._engine.locals.addresses(seen, unseen))
            if members:
                self._write_set(kind, members)

    def _write_set(self, kind: str, members: BitMap) -> None:
        content, digest = serialized(members)
        file = f"sets/passive.{kind}.source.roaring"
        write_atomically(self.path / file, content)
        self.manifest.sets.append(
            SetRecord(
                probe="passive", kind=kind, role="source", file=file,
                cardinality=digest.cardinality, sha256=digest.sha256,
            )
        )  # fmt: skip

    def _end(self, status: str) -> None:
        self.manifest.status = status
        self.manifest.finished = utc(time.time_ns())
        self.write_manifest()
        self.release()

    def release(self) -> None:
        """Let another process work on this run."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def write_manifest(self) -> None:
        """Write the manifest."""
        journal, notes = self.partitions.journal, self.partitions.notes
        self.manifest.inputs = journal.inputs
        self.manifest.exporters, self.manifest.sampling = journal.exporter_records, journal.sampling
        self.manifest.undecoded, self.manifest.damage = dict(notes.undecoded), list(notes.damage)
        write_atomically(self.path / MANIFEST_FILE, msgspec.json.encode(self.manifest))


def _inputs(entries: Sequence[str]) -> list[Path]:
    """Return the flow files of a run that does not follow. UsageError if there are none."""
    if not entries:
        raise UsageError("no input: name files or folders of flows in the config or on the command line")
    return flow_files(entries)


def _partitions(config: Config, path: Path, forced: bool) -> Partitions:
    gates = Gates.of(config.local_space, config.own_space, config.exclude)
    return Partitions(path / WORK, gates, config.interval_ns, forced)


def load_manifest(path: Path) -> Manifest:
    """Return the manifest of a passive run. UsageError if there is none or one of another kind; LivenessError."""
    check_directory(path, KIND)
    file = path / MANIFEST_FILE
    try:
        content = read_bytes(file, DOCUMENT_BYTES)
    except OSError as error:
        raise LivenessError(f"{file}: cannot read this manifest: {error.strerror}") from error
    check_kind(content, path, KIND)
    return decoded(content, Manifest, file, "a damaged manifest")


def load_results(path: Path) -> dict[str, Any]:
    """Return the report document of a run. UsageError if it has none yet."""
    manifest = load_manifest(path)
    file = path / PASSIVE_FILE
    try:
        content = read_bytes(file, DOCUMENT_BYTES)
    except OSError as error:
        raise UsageError(
            f"{path}: no results yet: the run is {manifest.status}: liveness passive run --resume {path}"
        ) from error
    document = decoded(content, dict[str, Any], file, "damaged results")
    decoded(content, _Results, file, "damaged results")  # of the report's shape
    return document


class _Results(msgspec.Struct):
    """The keys of the report document, and their shapes: what tables, page and figures rely on."""

    schema: int
    records: dict[str, Any]
    totals: dict[str, dict[str, Any]]
    intervals: list[dict[str, Any]]
    services: list[dict[str, Any]]
    outages: list[dict[str, Any]]
    symmetry: dict[str, Any]
