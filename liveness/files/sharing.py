"""Directories that a group may read: group and set-group-ID bit, so that all that is made in them later has it too."""

import os
import stat
from contextlib import suppress
from typing import Final

from liveness.files.descriptors import MOST_LEVELS, names_in
from liveness.files.directory import Directory

FOLDER_MODE: Final = 0o2750
FILE_MODE: Final = 0o640
SHARED_UMASK: Final = 0o027
KEPT: Final = frozenset({"key", "lock", "census.lock"})
"""Files that stay their owner's own: the key would let anybody forge replies."""
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def share(directory: Directory, group: int, *, inside: bool = True) -> None:
    """Let a group read a directory and, with `inside`, all in it that has the same owner.

    Links, devices and files with further names stay as they are. Raises OSError, such as for a group that this process
    is no member of.
    """
    descriptor = os.open(".", _FOLDER, dir_fd=directory.fileno())  # O_PATH does not suffice to change a mode
    try:
        _share(descriptor, group, os.fstat(descriptor).st_uid, inside=inside, level=0)
    finally:
        os.close(descriptor)


def _share(folder: int, group: int, owner: int, *, inside: bool, level: int) -> None:
    _change(folder, group, FOLDER_MODE)
    for name in names_in(folder) if inside and level < MOST_LEVELS else ():
        with suppress(FileNotFoundError):
            _share_entry(folder, name, group, owner, level)


def _share_entry(folder: int, name: str, group: int, owner: int, level: int) -> None:
    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    is_folder = stat.S_ISDIR(status.st_mode)
    if status.st_uid != owner or name in KEPT or not (is_folder or stat.S_ISREG(status.st_mode)):
        return
    entry = os.open(name, _FOLDER if is_folder else _FILE, dir_fd=folder)
    try:
        found = os.fstat(entry)
        if found.st_uid != owner:
            return
        if is_folder:
            _share(entry, group, owner, inside=True, level=level + 1)
        elif stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
            _change(entry, group, FILE_MODE)
    finally:
        os.close(entry)


def _change(descriptor: int, group: int, mode: int) -> None:
    """Set group and mode if they differ: a process that has left the group would clear the set-group-ID bit."""
    status = os.fstat(descriptor)
    if status.st_gid != group:
        os.fchown(descriptor, -1, group)
    if stat.S_IMODE(status.st_mode) != mode:
        os.fchmod(descriptor, mode)
