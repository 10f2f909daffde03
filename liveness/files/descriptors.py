"""Operations on open files and directories, and on names in an open directory: never through links."""

import ctypes
import errno
import os
import stat
from contextlib import suppress
from pathlib import PurePath
from typing import Final

from liveness.files.resolving import LinkError

_libc = ctypes.CDLL(None, use_errno=True)

MOST_LEVELS: Final = 32
"""Of folders within each other; a run has three."""
_AT_EMPTY_PATH: Final = 0x1000
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def names_in(folder: int) -> list[str]:
    """Return the names in an open directory, sorted."""
    descriptor = os.open(".", _FOLDER, dir_fd=folder)
    try:
        return sorted(os.listdir(descriptor))  # noqa: PTH208 - a descriptor, which no Path lists
    finally:
        os.close(descriptor)


def open_without_links(name: str, flags: int, folder: int, mode: int = 0o600) -> int:
    """Open a name in a directory; LinkError for a link."""
    try:
        return os.open(name, flags, mode, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise LinkError(name) from None
        raise


def regular(descriptor: int, name: str | PurePath) -> int:
    """Return the descriptor of a regular file; anything else is closed and refused."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(name))
    return descriptor


def refuse_other_names(descriptor: int, name: str | PurePath) -> None:
    """Refuse a file with further names, as root: another name may be where only root can write."""
    if os.geteuid() == 0 and os.fstat(descriptor).st_nlink > 1:
        raise OSError(errno.EMLINK, "it has another name elsewhere (a hard link): remove it", str(name))


def sync(folder: int) -> None:
    """Write a folder's entries to the disk."""
    descriptor = os.open(".", _FOLDER, dir_fd=folder)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(folder: int, name: str, level: int) -> None:
    """Remove a file, a link, or a folder with all in it."""
    if level > MOST_LEVELS:
        raise OSError(errno.ELOOP, "folders within each other, more than any run has", name)
    try:
        inner = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP):
            raise
        os.unlink(name, dir_fd=folder)
        return
    try:
        for entry in names_in(inner):
            remove(inner, entry, level + 1)
    finally:
        os.close(inner)
    os.rmdir(name, dir_fd=folder)


def give(folder: int, owners: set[int], uid: int, gid: int, *, files: bool, level: int) -> None:
    """Change the owner of a directory by descriptor, after its content."""
    if level > MOST_LEVELS:
        raise OSError(errno.ELOOP, "folders within each other, more than any run has")
    inner = os.open(".", _FOLDER, dir_fd=folder)
    try:
        for name in names_in(inner):
            with suppress(FileNotFoundError):
                give_entry(inner, name, owners, uid, gid, files=files, level=level + 1)
        if os.fstat(inner).st_uid in owners:
            os.fchown(inner, uid, gid)
    finally:
        os.close(inner)


def give_entry(folder: int, name: str, owners: set[int], uid: int, gid: int, *, files: bool, level: int) -> None:
    """Change the owner of a file in a directory, or of a folder with all in it."""
    entry = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        status = os.fstat(entry)
        if stat.S_ISDIR(status.st_mode):
            give(entry, owners, uid, gid, files=files, level=level)
        elif files and stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and status.st_uid in owners:
            chown(entry, uid, gid)
    finally:
        os.close(entry)


def chown(descriptor: int, uid: int, gid: int) -> None:
    """Change the owner of an open file, O_PATH or not: fchownat(2) with AT_EMPTY_PATH."""
    if _libc.fchownat(descriptor, b"", uid, gid, _AT_EMPTY_PATH) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
