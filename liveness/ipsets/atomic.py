"""Files that are replaced whole: a reader sees the old content or the new, never half of it."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from liveness.errors import LivenessError


def write_atomically(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write `content` to `path`: see `replaced`."""
    with replaced(path, mode) as file:
        file.write(content)


@contextmanager
def replaced(path: Path, mode: int = 0o666) -> Iterator[BinaryIO]:
    """Give a file to write what shall stand at `path`: a temporary one in the same folder, then fsync and rename.

    `mode` are the permissions of the new file before the umask takes its share (0o600 for a secret). Raises
    LivenessError that names the file when the disk refuses; what stood at `path` before then still stands.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:  # an interrupt must not leave the temporary file behind either
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as problem:
        raise LivenessError(f"{path}: cannot write: {problem.strerror}") from problem


def sync_folder(folder: Path) -> None:
    """Make a rename survive a power failure: the folder's own entry must reach the disk too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
