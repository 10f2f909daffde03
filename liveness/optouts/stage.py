"""The stage of a redaction: new files are made below it, then put in place by rename, all of them or none.

A redaction is decided when the list of its moves is on the stage. A crash after that leaves a stage with a list, and
the next process that opens the run finishes it; a crash before leaves a stage without one, which is removed.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec
from msgspec import Struct

from liveness.errors import LivenessError
from liveness.files.atomic import write_atomically
from liveness.files.directory import Directory
from liveness.files.documents import decoded
from liveness.files.reading import read_below
from liveness.planes.live import ROUNDS_FOLDER
from liveness.runs.optout_record import OPT_OUTS_FILE
from liveness.runs.rundir import CHECKPOINT_FILE, KEY_FILE, LOCK_FILE, MANIFEST_FILE, RunDirectory
from liveness.space.addresses import shown

STAGE: Final = ".opt-outs"
_MOVES: Final = "moves.json"
_FILES: Final = (MANIFEST_FILE, OPT_OUTS_FILE)
"""What a redaction changes besides sets, segments and logs, which lie in folders."""
_NEVER: Final = (STAGE, KEY_FILE, LOCK_FILE, CHECKPOINT_FILE)


class _Moves(Struct, frozen=True):
    """What is left to do once a redaction is decided: files to put in place of others, and files to remove.

    Of a survey the folder of its live planes may be among those to remove.
    """

    replace: list[str]
    remove: list[str]


@dataclass(slots=True)
class Stage:
    """The stage of one redaction of a run that the caller has locked."""

    directory: RunDirectory
    replace: list[str] = field(default_factory=list)
    """Files of the run, by name below it, in place of which the file of the same name on the stage is put."""
    remove: list[str] = field(default_factory=list)

    @property
    def path(self) -> Path:
        """The folder of the stage."""
        return self.directory.path / STAGE

    def make(self, folders: Collection[str]) -> None:
        """Make the stage and folders on it. Raises OSError."""
        with self.directory.files() as files, files.make_directory(STAGE, exist_ok=False) as stage:
            for folder in folders:
                stage.make_directory(folder).close()

    def place(self, name: str) -> Path:
        """Return where the new content of a file is written; the folders that it lies in are made."""
        with self.directory.files() as files:
            folder = PurePosixPath(STAGE)
            for part in PurePosixPath(name).parts[:-1]:
                folder /= part
                files.make_directory(str(folder)).close()
        return self.path / name

    def discard(self) -> None:
        """Remove the stage; the run is as it was. Raises OSError."""
        with self.directory.files() as files:
            files.remove_tree(STAGE)

    @contextmanager
    def discarded_on_error(self) -> Iterator[None]:
        """Remove the stage if the body raises; an OSError becomes a LivenessError that names the run."""
        try:
            yield
        except BaseException as problem:
            with suppress(OSError):
                self.discard()
            if isinstance(problem, OSError):
                why = f"{self.directory.path}: cannot remove opted-out data: {problem.strerror}"
                raise LivenessError(why) from problem
            raise

    def decide(self) -> None:
        """Write the list of moves: from now on the redaction is finished, by this process or by another."""
        write_atomically(self.path / _MOVES, msgspec.json.encode(_Moves(self.replace, self.remove)))


def finish_redaction(directory: RunDirectory) -> None:
    """Finish a redaction that was decided, or remove the stage of one that was not; the caller has locked the run.

    Raises LivenessError when the disk refuses.
    """
    stage = directory.path / STAGE
    try:
        with directory.files() as files:
            if files.status(STAGE) is None:
                return
            _finish(files, stage, _sets_of(directory))
            files.remove_tree(STAGE)
    except OSError as problem:
        raise LivenessError(f"{stage}: cannot finish removing opted-out data: {problem.strerror}") from problem


def _sets_of(directory: RunDirectory) -> set[str]:
    """Return the files of the sets that a run has, or had before opt-outs were applied to it."""
    try:
        manifest = directory.read_manifest()
    except LivenessError:
        return set()
    emptied = {change.file for application in manifest.opt_outs.applied for change in application.sets}
    return {entry.file for entry in manifest.sets} | emptied


def _finish(files: Directory, stage: Path, sets: Collection[str]) -> None:
    """Make the moves of a decided redaction.

    The owner of the run may have written the list, and root may read it: every name in it must be one that a redaction
    writes, or nothing is touched.
    """
    try:
        content = read_below(files, f"{STAGE}/{_MOVES}")
    except FileNotFoundError:
        return
    moves = decoded(content, _Moves, stage / _MOVES, "damaged")
    for name in (*moves.replace, *(name for name in moves.remove if name != ROUNDS_FOLDER)):
        if not _is_redacted(name, sets):
            raise LivenessError(
                f"{stage / _MOVES}: {shown(name)}: no file that a removal of opted-out data changes: nothing was"
                f" touched; remove {stage} and run it again"
            )
    for name in moves.replace:
        if files.is_file(f"{STAGE}/{name}"):  # otherwise it was put in place before a crash
            files.move(f"{STAGE}/{name}", name)
    for name in moves.remove:
        if name == ROUNDS_FOLDER:
            files.remove_tree(name)
        else:
            files.remove(name)
    for folder in {str(PurePosixPath(name).parent) for name in (*moves.replace, *moves.remove)}:
        files.sync(folder)


def _is_redacted(name: str, sets: Collection[str]) -> bool:
    """Return whether a redaction may replace or remove the file of this name."""
    path = PurePosixPath(name)
    if not path.parts or str(path) != name or path.is_absolute() or ".." in path.parts or not name.isprintable():
        return False
    if len(path.parts) == 1:
        return name in _FILES or (name in sets and name not in _NEVER)
    return path.parts[0] not in _NEVER
