"""Files that are replaced whole: a reader sees the old content or the new, never half of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from liveness.errors import LivenessError
from liveness.files.directory import Directory


def write_atomically(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write `content` to `path`: see `replaced`."""
    with replaced(path, mode) as file:
        file.write(content)


@contextmanager
def replaced(path: Path, mode: int = 0o666) -> Iterator[BinaryIO]:
    """Open a temporary file in the folder of `path` to write, which then takes its place by fsync and rename.

    `mode` are the permissions of the new file before the umask takes its share (0o600 for a secret). Raises
    LivenessError that names the file when the disk refuses; the file at `path` is then as it was.
    """
    try:
        with Directory.open(path.parent) as folder, folder.replaced(path.name, mode) as file:
            yield file
    except OSError as problem:
        raise LivenessError(f"{path}: cannot write: {problem.strerror}") from problem


def sync_folder(path: Path) -> None:
    """Make a rename survive a power failure: the folder's own entry must reach the disk too."""
    with Directory.open(path) as folder:
        folder.sync()
