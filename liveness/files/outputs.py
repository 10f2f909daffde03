"""Output files that a user names: whether they can be written, and links, which root follows for trusted users only."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from liveness.errors import LivenessError, UsageError
from liveness.files.atomic import replaced
from liveness.files.resolving import MOST_LINKS, ForeignLinkError, open_folder, trusted_owners

PROC: Final = "/proc"


def destination(path: Path) -> Path:
    """Return where a path leads whose last component may be a link; the file need not exist.

    Raises OSError; ForeignLinkError where root would follow a link that another user has made.
    """
    for _ in range(MOST_LINKS):
        folder = open_folder(path.parent)
        try:
            status = os.stat(path.name or ".", dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISLNK(status.st_mode) or _is_magic(status):
                return path
            if os.geteuid() == 0 and status.st_uid not in trusted_owners():
                raise ForeignLinkError(path.name, status.st_uid)
            path = path.parent / os.readlink(path.name, dir_fd=folder)
        except FileNotFoundError:
            return path
        finally:
            os.close(folder)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))


def open_destination(path: Path, flags: int, mode: int) -> int:
    """Open a file to write in place, as os.open does, where `destination` says that it is."""
    place = destination(path)
    folder = open_folder(place.parent)
    try:
        try:
            return os.open(place.name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=folder)
        except OSError as error:
            if error.errno != errno.ELOOP or not _is_magic(os.stat(place.name, dir_fd=folder, follow_symlinks=False)):
                raise
            return os.open(place.name, flags | os.O_CLOEXEC, mode, dir_fd=folder)
    finally:
        os.close(folder)


@contextmanager
def open_output(path: Path) -> Iterator[BinaryIO]:
    """Open an output to write: a file is replaced whole, by rename; a device or a pipe is written as it is.

    What is open already, such as /dev/stdout, has no name that could be replaced: it is appended to, if it is a file.

    Raises LivenessError that names the file when the disk refuses; a file is then as it was.
    """
    try:
        file = destination(path)  # a link is followed, not replaced
        opened = _is_open(file)
        special = opened or (file.exists() and not file.is_file())
    except OSError as problem:
        raise LivenessError(f"{path}: cannot write: {problem.strerror}") from problem
    if not special:
        with replaced(file) as out:
            yield out
        return
    try:
        with os.fdopen(open_destination(file, os.O_WRONLY | (os.O_APPEND if opened else 0), 0o666), "wb") as out:
            yield out
    except BrokenPipeError:
        raise
    except OSError as problem:
        raise LivenessError(f"{path}: cannot write: {problem.strerror}") from problem


def write_output(path: Path, content: bytes) -> None:
    """Write an output whole: see `open_output`."""
    with open_output(path) as out:
        out.write(content)


def check_output(path: Path, what: str) -> None:
    """Refuse a file that cannot be written. UsageError names it, `what` it would hold, and what is in the way."""
    place = f"{path}: cannot write {what} here"
    parent = path.parent
    if path.is_dir():
        raise UsageError(f"{place}: it is a directory")
    if not parent.is_dir():
        reason = f"{parent} is no directory" if parent.exists() else f"there is no directory {parent}"
        raise UsageError(f"{place}: {reason}")
    if (path.exists() and not path.is_file()) or _leads_to_open(path):
        return  # a device or a pipe is written as it is, and so is what is open
    if not os.access(parent, os.W_OK | os.X_OK):
        raise UsageError(f"{place}: no permission to write in {parent}")


def _leads_to_open(path: Path) -> bool:
    """Return whether a path leads to what is open already; False where it leads nowhere: writing says why."""
    try:
        return _is_open(destination(path))
    except OSError:
        return False


def _is_open(place: Path) -> bool:
    """Return whether the end of a path is a link of /proc to what is open already."""
    return os.path.lexists(place) and _is_magic(place.lstat())


def _is_magic(status: os.stat_result) -> bool:
    """Return whether this is a link of /proc, such as /proc/self/fd/1, whose text is no path."""
    return stat.S_ISLNK(status.st_mode) and status.st_dev == Path(PROC).stat().st_dev
