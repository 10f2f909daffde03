"""Opt-outs applied to many runs: the lists of a command, or each run's own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from liveness.config.load import list_files, read_entries
from liveness.config.recorded import recorded_blocklists
from liveness.errors import LivenessError, UsageError, count_of
from liveness.optouts.redaction import redact_run
from liveness.planes.live import ROUNDS_FOLDER
from liveness.planes.manifest import load_manifest
from liveness.runs.finding import find_runs
from liveness.runs.kinds import CENSUS, SURVEY, kind_of
from liveness.runs.optout_record import Application
from liveness.runs.rundir import MANIFEST_FILE, RunDirectory
from liveness.space.prefixes import Skipped


@dataclass(frozen=True, slots=True)
class Applied:
    """What was removed from a run; or the problem because of which the run is as it was."""

    run: Path
    application: Application | None
    problem: LivenessError | None = None
    ended: bool = False
    """Whether it is a survey that could be resumed before, and no longer can."""

    @property
    def changed(self) -> bool:
        """Whether anything was removed."""
        done = self.application
        return done is not None and bool(done.sets or done.segments or done.logs or done.targets)

    def document(self) -> dict[str, object]:
        """Return the result for the JSON document."""
        if self.application is None:
            return {"run": str(self.run), "problem": str(self.problem)}
        return {"run": str(self.run), **msgspec.to_builtins(self.application)}

    def lines(self) -> Iterator[str]:
        """Yield a line for each file that has changed."""
        done = self.application
        if done is None:
            return
        for change in (*done.sets, *done.segments, *done.logs):
            yield f"{self.run}: {change.file}: {change.before:,} -> {change.after:,}"
        if done.targets:
            yield f"{self.run}: {count_of(done.targets, 'target')} left out of every number"
        if self.ended:
            yield f"{self.run}: this survey cannot be resumed any more: its live planes had opted-out data in them"
        if not self.changed:
            yield f"{self.run}: nothing of {done.blocked:,} blocked addresses is in it"


def apply_lists(runs: Sequence[Path], lists: Sequence[Path] | None) -> Iterator[Applied]:
    """Remove what lists block from censuses and surveys in or below directories, and yield the result of each run.

    With None each run's own lists count. Raises UsageError for a list that cannot be read, since that affects every
    run, and the error of a run that is the only one.
    """
    given = None if lists is None else [str(path) for path in lists]
    if given is not None:
        read_entries(given, Skipped())
    found = [directory for path in runs for directory in find_runs(path, (CENSUS, SURVEY))]
    for directory in found:
        rounds = directory.path / ROUNDS_FOLDER
        was_resumable = rounds.is_dir()
        try:
            entries = _lists_of(directory) if given is None else given
            application = _redacted(directory, entries)
        except LivenessError as problem:
            if len(found) == 1:
                raise
            yield Applied(directory.path, None, problem)
        else:
            yield Applied(directory.path, application, ended=was_resumable and not rounds.is_dir())


def _redacted(directory: RunDirectory, entries: Sequence[str]) -> Application:
    """Remove what lists block from a run. LivenessError if it cannot be read or written."""
    try:
        return redact_run(directory, read_entries(entries, Skipped()), list_files(entries))
    except OSError as problem:
        reason = problem.strerror or problem
        raise LivenessError(f"{directory.path}: opted-out data cannot be removed: {reason}") from problem


def _lists_of(directory: RunDirectory) -> Sequence[str]:
    """Return the blocklists that a run's config names. UsageError if there are none."""
    path = directory.path
    manifest = load_manifest(path) if kind_of(path) == SURVEY else directory.read_manifest()
    recorded = recorded_blocklists(manifest.config, path / MANIFEST_FILE)
    entries = [entry for entry in recorded if entry != "-"]
    if not entries:
        raise UsageError(f"{path}: its config names no blocklist: give -b FILE")
    return entries
