"""Censuses whose scans are made up: a scanner that writes populations as runs, or fails as it is told."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest.mock import patch

from msgspec.structs import replace as changed

from liveness.census.cycle import Cycle
from liveness.census.home import Home
from liveness.census.message import Message
from liveness.census.record import Record
from liveness.config.model import Config, Keep, Notify, TargetLists, to_record
from liveness.errors import LivenessError
from liveness.runs.course import Timeline
from liveness.runs.rundir import RunDirectory
from liveness.scan.interruption import Interruption
from liveness.scan.run import Finished
from tests.populations import Population, Reply, town

TOWN = Population(town().replies, name="weekly")


def config_of(folder: Path, keep: Keep | None = None, notify: Notify | None = None) -> Config:
    """Return the config of a census `weekly` below `folder`."""
    return Config(
        name="weekly",
        targets=TargetLists(allow=("10.0.0.0/20",)),
        output=str(folder),
        user="root" if os.geteuid() == 0 else "auto",  # a scan that is made up becomes nobody else
        keep=keep or Keep(),
        notify=notify or Notify(),
    )


def quick_page() -> AbstractContextManager[object]:
    """Return what puts a word in the place of the page, whose figures take seconds."""
    return patch("liveness.census.report.report_page", lambda _: "<p>a page</p>")


@dataclass
class FakeScanner:
    """Writes what the network is said to answer; `interrupted` cuts a run off, `failing` fails before it begins."""

    config: Config
    replies: list[Reply] = field(default_factory=lambda: list(TOWN.replies))
    interrupted: Interruption = field(default_factory=Interruption)
    failing: LivenessError | None = None
    losses: list[str] = field(default_factory=list)
    logs: bool = False
    calls: list[str] = field(default_factory=list)
    midway: Callable[[Path], None] = lambda _: None

    def begin(self, run_id: str) -> Finished:
        self.calls.append(f"begin {run_id}")
        if self.failing is not None:
            raise self.failing
        run = RunDirectory.create(Path(self.config.output), self.config.name, run_id)
        run.write_key(bytes(16))
        run.write_targets(["10.0.0.0/20"])
        return self._finish(run)

    def resume(self, path: Path) -> Finished:
        self.calls.append(f"go on {path.name}")
        if self.failing is not None:
            raise self.failing
        return self._finish(RunDirectory(path))

    def _finish(self, run: RunDirectory) -> Finished:
        population = replace(TOWN, replies=self.replies, run_id=run.path.name, loss_warnings=self.losses)
        complete = self.interrupted.reason is None
        entries = [run.write_set(key, members) for key, members in population.sets().items()] if complete else []
        manifest = changed(
            population.manifest(entries),
            status="complete" if complete else "partial",
            reason=self.interrupted.reason,
            config=to_record(self.config),
            timeline=Timeline(end_s=[28.0]),
        )
        run.write_manifest(manifest)
        if self.logs:
            for folder in ("replies", "pcap"):
                (run.path / folder).mkdir(exist_ok=True)
                (run.path / folder / "0.file").write_bytes(b"logged")
        self.midway(run.path)
        if complete:
            run.remove_traces()
        return Finished(run, manifest, self.interrupted)


@dataclass
class Weekly:
    """A census taken again and again below a folder, with what it warned of and told."""

    folder: Path
    keep: Keep = field(default_factory=Keep)
    notify: Notify = field(default_factory=Notify)
    replies: list[Reply] = field(default_factory=lambda: list(TOWN.replies))
    warnings: list[str] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)

    @property
    def home(self) -> Home:
        return Home(self.folder / "weekly")

    def scanner(self) -> FakeScanner:
        return FakeScanner(config_of(self.folder, self.keep, self.notify), list(self.replies))

    def take(
        self, scanner: FakeScanner | None = None, *, fresh: bool = False, unfinished: bool = False
    ) -> Record | None:
        config = config_of(self.folder, self.keep, self.notify)
        cycle = Cycle(config, self.home, scanner or self.scanner(), self.warnings.append, self.messages.append)
        with quick_page():
            return cycle.run(fresh=fresh, unfinished_only=unfinished)

    def taken(self, scanner: FakeScanner | None = None) -> Record:
        record = self.take(scanner)
        assert record is not None
        return record

    def records(self) -> list[Record]:
        return self.home.records(lambda error: self.warnings.append(str(error)))
