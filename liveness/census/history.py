"""History of censuses: all runs below a directory, including manual scans and removed runs."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from liveness.census.home import RECORD_FILE, REPORTS, Home
from liveness.census.record import Record
from liveness.errors import LivenessError, UsageError
from liveness.files.reading import read_bytes
from liveness.replylog.runlog import PACKETS, REPLIES
from liveness.runs.finding import folders_below
from liveness.runs.kinds import CENSUS, check_kind, kind_of
from liveness.runs.manifest import Manifest
from liveness.runs.rundir import MANIFEST_FILE, RunDirectory

LATEST = "latest"


@dataclass(frozen=True, slots=True)
class PastRun:
    """One run, with its manifest if that exists, and its record if it belongs to a census."""

    home: Home
    run_id: str
    manifest: Manifest | None
    record: Record | None
    damage: str | None = None
    """Why the manifest cannot be read."""

    @property
    def name(self) -> str:
        """Name of the run for users: ``name/run id``."""
        return f"{self.home.name}/{self.run_id}"

    @property
    def run(self) -> RunDirectory:
        """Directory of the run, which may have been removed."""
        return self.home.run(self.run_id)

    @property
    def started(self) -> str:
        """Start of the run as text in UTC, or an empty string if it is unknown."""
        if self.manifest is not None:
            return self.manifest.started
        return self.record.begun if self.record is not None else ""

    @property
    def status(self) -> str:
        """Status of the run: that of its manifest, ``damaged``, ``gone``, or a state from the census record."""
        if self.record is not None and self.record.state in ("given-up", "removing", "removed"):
            return self.record.state
        if self.manifest is not None:
            return self.manifest.status
        return "gone" if self.damage is None else "damaged"

    @property
    def kept(self) -> list[str]:
        """Parts of the run that are on disk, out of ``sets``, ``replies``, ``packets`` and ``report``."""
        path, report = self.run.path, self.home.report(self.run_id)
        there = {
            "sets": self.manifest is not None and (path / "sets").is_dir(),
            "replies": (path / REPLIES).is_dir(),
            "packets": (path / PACKETS).is_dir(),
            "report": any(report.glob("report.*")),
        }
        return [name for name, exists in there.items() if exists]

    @property
    def alarms(self) -> str:
        """Alarms of the run in a few words, or a dash if there are none."""
        if self.damage is not None:
            return "damaged"
        if self.record is not None:
            return ", ".join(event.replace("_", " ") for event in self.record.events if event != "complete") or "-"
        return "drops" if self.manifest is not None and self.manifest.loss_warnings else "-"

    def document(self) -> dict[str, object]:
        """Return the run as a JSON document."""
        return {
            "run": self.name,
            "status": self.status,
            "started": self.started,
            "finished": None if self.manifest is None else self.manifest.finished,
            "targets": None if self.manifest is None else self.manifest.targets,
            "directory": str(self.run.path) if self.run.path.is_dir() else None,
            "report": str(self.home.report(self.run_id)) if "report" in self.kept else None,
            "kept": self.kept,
            "damage": self.damage,
            "record": None if self.record is None else msgspec.to_builtins(self.record),
        }


def history(path: Path) -> list[PastRun]:
    """Return all runs in or below `path`, oldest first. Raises UsageError if there is none or no such directory."""
    if not path.is_dir():
        raise UsageError(
            f"{path}: {'not a directory' if path.exists() else 'no such directory'}: give one with runs in it"
        )
    if (path / MANIFEST_FILE).is_file():
        check_kind(read_bytes(path / MANIFEST_FILE), path, CENSUS)
        found = {path}
    else:
        found = set()
        for folder, files in folders_below(path):
            if MANIFEST_FILE in files and kind_of(folder) == CENSUS:
                found.add(folder)
            elif RECORD_FILE in files and folder.parent.name == REPORTS:
                found.add(folder.parents[1] / folder.name)
    if not found:
        closed: list[OSError] = []
        for _ in os.walk(path, onerror=closed.append):
            pass
        if closed:  # a directory could not be read
            raise UsageError(f"{closed[0].filename}: cannot look for runs here: {closed[0].strerror}")
        raise UsageError(f"{path}: no run here or below")
    homes = {run.parent: Home(run.parent) for run in found}
    noted = {(home.path, record.run_id): record for home in homes.values() for record in home.records(lambda _: None)}
    past_runs = [_past_run(homes[run.parent], run.name, noted.get((run.parent, run.name))) for run in found]
    return sorted(past_runs, key=lambda past: (past.started, past.name))


def _past_run(home: Home, run_id: str, record: Record | None) -> PastRun:
    run = home.run(run_id)
    if not run.path.is_dir():
        return PastRun(home, run_id, None, record)
    try:
        return PastRun(home, run_id, run.read_manifest(), record)
    except LivenessError as error:
        return PastRun(home, run_id, None, record, str(error))


def find_run(word: str, path: Path) -> PastRun:
    """Return the run that a word names: its directory, its run id or ``name/run id`` below `path`, or ``latest``.

    An unambiguous beginning of a run id or name is enough. Raises UsageError if it names no run or several.
    """
    if word != LATEST and (Path(word) / MANIFEST_FILE).is_file():
        return history(Path(word))[0]
    runs = history(path)
    if word == LATEST:
        return runs[-1]
    matching = [past for past in runs if word in (past.run_id, past.name)] or _beginning_with(word, runs)
    if len(matching) == 1:
        return matching[0]
    if matching:
        names = ", ".join(past.name for past in matching[:4])
        raise UsageError(f"{word!r} names {len(matching)} runs below {path}: {names}: give more of it")
    raise UsageError(f"{word!r}: no such run below {path}: liveness census list {path} shows all")


def _beginning_with(word: str, runs: Sequence[PastRun]) -> list[PastRun]:
    return [past for past in runs if word and (past.run_id.startswith(word) or past.name.startswith(word))]
