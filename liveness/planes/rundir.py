"""The run directory of a survey: manifest, blocks and matrix, opened and checked against each other."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from liveness.errors import LivenessError, UsageError
from liveness.files.directory import Directory
from liveness.planes.blocks import Blocks, encode_blocks, read_blocks
from liveness.planes.manifest import SurveyManifest, load_manifest
from liveness.planes.matrix import FOLDER, PHASES, Matrix
from liveness.runs.kinds import SURVEY, check_directory

BLOCKS_FILE: Final = "blocks.csv"
LISTED_FILE: Final = "all-blocks.csv"
"""The /24s of the whole survey, which a shard keeps in order to be resumed; BLOCKS_FILE has its own."""


@dataclass(frozen=True, slots=True)
class SurveyRun:
    """A survey on disk that can be analysed."""

    path: Path
    manifest: SurveyManifest
    blocks: Blocks

    @classmethod
    def open(cls, path: Path) -> "SurveyRun":
        """Open the run directory of a survey. LivenessError or UsageError if it is none, or damaged."""
        check_directory(path, SURVEY)
        manifest = load_manifest(path)
        blocks = read_blocks(path / BLOCKS_FILE)
        if len(blocks) != manifest.blocks:
            raise LivenessError(f"{path / BLOCKS_FILE}: {len(blocks):,} blocks, the manifest has {manifest.blocks:,}")
        if manifest.status == "running" and not (path / PHASES).is_file():
            raise LivenessError(
                f"{path}: no planes by address yet: it runs, or was killed: `liveness survey run --resume` continues it"
            )
        return cls(path, manifest, blocks)

    def matrix(self) -> Matrix:
        """Return the planes of the run, to be opened as a context."""
        return Matrix(self.path, self.manifest.blocks, self.manifest.rounds)


def create_run(path: Path, blocks: Blocks) -> None:
    """Make the run directory of a survey with its blocks. LivenessError if something is there already.

    If the disk refuses, nothing is left.
    """
    if not path.name or ".." in path.parts:
        raise UsageError(f"{path}: name a directory that is to be made")
    try:
        with Directory.make(path.parent) as above, above.make_directory(path.name, exist_ok=False) as directory:
            try:
                directory.make_directory(FOLDER).close()
                with directory.replaced(BLOCKS_FILE) as file:
                    file.write(encode_blocks(blocks))
            except BaseException:
                above.remove_tree(path.name)
                raise
    except FileExistsError as problem:
        raise LivenessError(f"{path}: is there already: give another directory") from problem
    except OSError as problem:
        raise LivenessError(f"{path}: cannot make it: {problem.strerror}") from problem


@contextmanager
def new_run(path: Path, blocks: Blocks) -> Iterator[None]:
    """Make the run directory of a survey as `create_run` does; it is removed again if the caller's block fails."""
    create_run(path, blocks)
    try:
        yield
    except BaseException:
        with suppress(OSError), Directory.open(path.parent) as above:
            above.remove_tree(path.name)
        raise
