"""A passive run: its directory, and the steps from inputs to results, which can be resumed and followed."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Final

import msgspec

from liveness.clock import utc
from liveness.errors import LivenessError, RefusedError, StoppedEarlyError, UsageError
from liveness.files.atomic import write_atomically
from liveness.files.directory import Directory
from liveness.passive.aggregate import parts_for
from liveness.passive.classification import Classification
from liveness.passive.config import DEFAULT_RULES, Config, recorded_config, to_document
from liveness.passive.directory import WORK, check_work, hold, make_directory, partitions_of, resumable
from liveness.passive.gates import Counts
from liveness.passive.inputs import Inputs, required_files
from liveness.passive.manifest import Manifest, ended_status, load_results
from liveness.passive.measured import Measured, measured
from liveness.passive.pace import Pace
from liveness.passive.partitions import Partitions
from liveness.passive.progress import REPORTING, WAITING, Activity, Progress
from liveness.passive.results import KIND, SCHEMA, Results, results_of
from liveness.passive.state import State
from liveness.runs.rundir import MANIFEST_FILE, PASSIVE_FILE, RunDirectory, new_run_id
from liveness.version import __version__

POLL_S: Final = 1.0
FOLLOWED_PARTS: Final = 16
"""Into how many parts intervals are divided whose size is not known before."""
Note = Callable[[str], None]


@dataclass(slots=True, eq=False)
class PassiveRun:
    """A run that is open, and locked for this process."""

    path: Path
    manifest: Manifest
    config: Config
    note: Note
    partitions: Partitions
    results: Results
    measured: Measured = field(default_factory=Measured)
    activity: Activity = field(default_factory=Activity)
    stopping: bool = False
    """Set from outside: ends following after the file that is being read."""
    _classification: Classification | None = None
    _lock: int = -1
    _made: bool = False
    """Whether this process made the directory."""
    on_state: Callable[[State], None] = field(default=lambda _state: None)
    """Called with the state of the run after each input and each report document, and at its end."""
    _ended: str = ""
    """The status of a run whose results are complete on disk: only `work` has to be removed."""
    inputs: Inputs = field(init=False)

    def __post_init__(self) -> None:
        """Prepare the inputs."""
        self.inputs = Inputs(self.config, self.partitions, self.note)

    @classmethod
    def create(cls, config: Config, run_id: str | None, *, forced: bool, note: Note) -> "PassiveRun":
        """Make a new run directory. UsageError if there is one of that name."""
        results = results_of(config)
        found = measured(config.censuses, config.local_space)
        config = msgspec.structs.replace(config, own_probes=tuple(dict.fromkeys((*config.own_probes, *found.sources))))
        run_id = new_run_id() if run_id is None else run_id
        path = make_directory(config, run_id)
        manifest = Manifest(
            schema=SCHEMA, kind=KIND, name=config.name, run_id=run_id, status="running", version=__version__,
            config=to_document(config), started=utc(time.time_ns()), forced=forced,
        )  # fmt: skip
        run = None
        try:
            run = cls(path, manifest, config, note, partitions_of(config, path, forced=forced), results, found)
            run._made = True
            run._lock = hold(path)
            run.write_manifest()
        except BaseException:
            if run is not None:
                run.release()
            RunDirectory(path).discard()
            raise
        return run

    @classmethod
    def resume(cls, path: Path, *, forced: bool, note: Note) -> "PassiveRun":
        """Open a run that did not end, to read on. RefusedError if it is complete.

        A run that was killed after its results were written is open only to be ended by `go`.
        """
        manifest = resumable(path)
        config = recorded_config(manifest.config, path / MANIFEST_FILE)
        forced = forced or manifest.forced
        manifest.forced, manifest.status = forced, "running"
        lock = hold(path)
        try:
            resumable(path)  # another process may have ended it since
            ended = ended_status(path)
            if ended:  # nothing that the results were made from is needed any more: it may be gone
                config = msgspec.structs.replace(config, rules=DEFAULT_RULES, prefix_data={}, censuses=())
            run = cls(
                path, manifest, config, note, partitions_of(config, path, forced=forced), results_of(config),
                measured(config.censuses, config.local_space), _lock=lock, _ended=ended,
            )  # fmt: skip
            if not ended:
                check_work(path)
                run.partitions.resume()
        except BaseException:
            os.close(lock)
            raise
        return run

    def go(self, extra: Sequence[str], *, follow: bool) -> None:
        """Read the inputs, or those that come until `stopping`, and write results.

        StoppedEarlyError if an input was damaged, RefusedError for a capture that is one-sided or sampled. UsageError
        for a file that holds no flows; if it is the first one, nothing is left of a run that is new.
        """
        if self._ended:
            self._finish_ended(extra)
            return
        try:
            if follow:
                classification = self._follow([*self.config.inputs, *extra])
            else:
                classification = self._read_all([*self.config.inputs, *extra])
            self._complete(classification)
        except RefusedError:
            self._end("refused")
            raise
        except UsageError:
            if self.partitions.journal.inputs or not self._made:
                self._end("partial")
            else:
                self.release()
                RunDirectory(self.path).discard()
                self.manifest.status = "partial"
                self._publish()
            raise
        except BaseException:
            self._end("partial")
            raise
        finally:
            if self._classification is not None:
                self._classification.close()
        if self.partitions.notes.damage:
            raise StoppedEarlyError(self.partitions.notes.damage[-1])

    def _read_all(self, entries: Sequence[str]) -> Classification:
        """Read all inputs, then classify their records."""
        self._publish()
        files = list(self.inputs.unread(required_files(entries)))
        for at, file in enumerate(files, 1):
            self.activity.read(str(file), len(files) - at)
            self.inputs.read(file)
            self._publish()
        numbers = self.partitions.intervals
        shorter = not numbers or numbers[-1] - numbers[0] < self.config.intervals_in(self.config.scanners.history)
        classification = self._classify(parts_for(self.partitions.largest), nothing_leaves=shorter)
        classification.take_last(numbers)
        return classification

    def _follow(self, entries: Sequence[str]) -> Classification:
        """Read inputs as they come until `stopping`, and classify intervals as they end."""
        classification = self._classify(FOLLOWED_PARTS)
        self._publish()
        done: set[int] = set()
        pace = Pace()  # while further files wait, documents take a share of the time only
        while True:
            steady = self.inputs.steady(entries)
            for at, file in takewhile(lambda _file: not self.stopping, enumerate(steady, 1)):
                self.activity.read(str(file), len(steady) - at)
                self.inputs.read_or_skip(file)
                lateness_ns = self.config.lateness.us * 1000
                # the clock of an exporter may be ahead of ours: such a record closes no interval of the others
                newest_ns = min(self.partitions.journal.newest_ns, time.time_ns())
                newest = (newest_ns - lateness_ns) // self.config.interval_ns - 1
                for number in self.partitions.intervals:
                    if number <= newest and number not in done:
                        classification.take(number)
                        done.add(number)
                        self.partitions.closed = number
                if at == len(steady) or self.stopping or pace.is_due():
                    with pace:
                        self._write_results(classification, "running")
                self._publish()
            if self.stopping:
                break
            if not steady:
                self.activity.turn_to(WAITING)
                time.sleep(POLL_S)
        classification.take_last([number for number in self.partitions.intervals if number not in done])
        return classification

    def _publish(self) -> None:
        """Call `on_state` with the state of the run."""
        results, journal = self.results, self.partitions.journal
        self.on_state(
            State(
                run=self.manifest.run_id, status=self.manifest.status, inputs=len(journal.inputs),
                counts=self.counts(), newest_ns=journal.newest_ns, interval_ns=self.config.interval_ns,
                newest=max(results.intervals, default=None), intervals=len(results.intervals),
                totals=results.totals(), services=0 if self._classification is None else self._classification.services,
                stretches=results.stretches,
            )
        )  # fmt: skip

    def _classify(self, parts: int, *, nothing_leaves: bool = False) -> Classification:
        """Begin to classify. `nothing_leaves` is whether the run is shorter than the history."""
        self._classification = Classification.open(
            self.config, self.partitions, self.results, self.activity, self.measured, self.path / WORK, parts,
            nothing_leaves=nothing_leaves,
        )  # fmt: skip
        return self._classification

    def progress(self) -> Progress:
        """Return how far the run is; another thread may call it while the run is at work."""
        journal, notes = self.partitions.journal, self.partitions.notes
        return Progress(
            activity=self.activity, inputs=len(journal.inputs), counts=self.counts(),
            undecoded=sum(list(notes.undecoded.values())), damage=len(notes.damage), newest_ns=journal.newest_ns,
            intervals=len(self.results.intervals), interval_ns=self.config.interval_ns,
        )  # fmt: skip

    def counts(self) -> Counts:
        """Return what became of the records so far."""
        counts = self.partitions.gates.report()
        counts.late = self.partitions.journal.late
        counts.duplicates = 0 if self._classification is None else self._classification.duplicates
        return counts

    def _complete(self, classification: Classification) -> None:
        if self.results.one_sided() and not self.manifest.forced:
            raise RefusedError(
                f"{self.path}: {self.results.unanswered:.0%} of inbound TCP flows with ACK have no outbound flow: the"
                " capture seems to see one direction only, and all is one-way then: give both directions, or take it as"
                " it is with --force"
            )
        status = "partial" if self.partitions.notes.damage else "complete"
        self.activity.turn_to(REPORTING)
        self.manifest.sets = classification.write(self.path)
        self.write_manifest()
        self._write_results(classification, status)  # the results are complete now: a resumed run recognises it
        self._remove_work(status)
        self._publish()

    def _remove_work(self, status: str) -> None:
        """Remove the records, which name remote addresses, and only then say that the run has ended."""
        with Directory.open(self.path) as folder:
            folder.remove_tree(WORK)
        self.manifest.status, self.manifest.finished = status, utc(time.time_ns())
        self._save_manifest()
        self.release()

    def _finish_ended(self, extra: Sequence[str]) -> None:
        """End a run that was killed when only its records had to be removed."""
        self._remove_work(self._ended)
        with suppress(LivenessError):  # results that are damaged: there are no numbers to publish
            document = load_results(self.path)
            self.on_state(
                State.of_results(self.manifest.run_id, self.manifest.status, len(self.manifest.inputs), document)
            )
        self.note(f"{self.path}: the results were complete: the records that they were made from are removed")
        if extra:
            raise RefusedError(f"{self.path}: this run is {self._ended}, and takes no further input: start another one")
        if self.manifest.damage:
            raise StoppedEarlyError(self.manifest.damage[-1])

    def _write_results(self, classification: Classification, status: str) -> None:
        """Write the report document of what is finished."""
        run = f"{self.manifest.name}/{self.manifest.run_id}"
        document = classification.document(run, status, self.counts())
        write_atomically(self.path / PASSIVE_FILE, msgspec.json.encode(document))

    def _end(self, status: str) -> None:
        self.manifest.status, self.manifest.finished = status, utc(time.time_ns())
        self.write_manifest()
        self.release()
        self._publish()

    def release(self) -> None:
        """Let another process work on this run."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def write_manifest(self) -> None:
        """Write the manifest."""
        self.manifest.take_inputs(self.partitions)
        self._save_manifest()

    def _save_manifest(self) -> None:
        write_atomically(self.path / MANIFEST_FILE, msgspec.json.encode(self.manifest))
