"""An open directory, and operations below it: by descriptor, without following any link.

A user who can write in such a directory cannot lead root, which works there, outside: the kernel resolves names from
the open directory on, links are refused, and owners are changed by descriptor.
"""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import BinaryIO, Final, Self

from liveness.files import descriptors, locks
from liveness.files.resolving import OutsideError, components, open_below, open_folder

_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

Name = str | PurePath


class Directory:
    """An open directory. A context manager; methods raise OSError whose text names what is wrong below it."""

    __slots__ = ("_descriptor", "path")

    def __init__(self, descriptor: int, path: Path) -> None:
        """Take a descriptor of a directory (O_PATH is enough), which is closed with this; `path` is for messages."""
        self._descriptor = descriptor
        self.path = path

    @classmethod
    def open(cls, path: Path, below: Name = "") -> "Directory":
        """Open a directory, or one below it that no link leads to. See `open_folder` for links within `path`."""
        parts = components(below)
        descriptor = open_folder(path)
        if not parts:
            return Directory(descriptor, path)
        try:
            return Directory(open_below(descriptor, parts), path / below)
        finally:
            os.close(descriptor)

    @classmethod
    def make(cls, path: Path) -> "Directory":
        """Open a directory, which is made with those above it where they are missing."""
        missing: list[str] = []
        above = path
        while True:
            try:
                found = cls.open(above)
                break
            except FileNotFoundError:
                if above == above.parent:
                    raise
                missing.append(above.name)
                above = above.parent
        if not missing:
            return found
        with found:
            return found.make_directory("/".join(reversed(missing)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the descriptor."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def enter(self) -> None:
        """Make this the working directory of the process: the directories above may be out of reach afterwards."""
        os.fchdir(self._descriptor)

    def directory(self, name: Name) -> "Directory":
        """Open a directory below."""
        return Directory(open_below(self._descriptor, components(name)), self.path / name)

    def make_directory(self, name: Name, *, exist_ok: bool = True) -> "Directory":
        """Make a directory below, with those above it, and open it; it may exist already if `exist_ok`."""
        here = Directory(os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._descriptor), self.path)
        parts = components(name)
        for at, part in enumerate(parts):
            with here:
                last = at == len(parts) - 1
                try:
                    os.mkdir(part, dir_fd=here._descriptor)
                except FileExistsError:
                    if last and not exist_ok:
                        raise
                here = here.directory(part)
        return here

    def status(self, name: Name) -> os.stat_result | None:
        """Return the status of a file, of a link itself and not of its destination; None if there is none."""
        try:
            with self._parent(name) as (folder, last):
                return os.stat(last, dir_fd=folder, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def is_directory(self, name: Name) -> bool:
        """Return whether a directory of that name exists."""
        status = self.status(name)
        return status is not None and stat.S_ISDIR(status.st_mode)

    def is_file(self, name: Name) -> bool:
        """Return whether a regular file of that name exists."""
        status = self.status(name)
        return status is not None and stat.S_ISREG(status.st_mode)

    def names(self, folder: Name = "") -> list[str]:
        """Return the names in a folder below, sorted."""
        found = open_below(self._descriptor, components(folder))
        try:
            return descriptors.names_in(found)
        finally:
            os.close(found)

    def open_file(self, name: Name) -> int:
        """Open a regular file to read."""
        with self._parent(name) as (folder, last):
            return descriptors.regular(descriptors.open_without_links(last, _READ, folder), name)

    def append_to(self, name: Name, mode: int = 0o666) -> int:
        """Open a regular file to append to, which is made if it is missing; return its descriptor."""
        return self._open_to_write(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, mode)

    def open_to_map(self, name: Name, mode: int = 0o600, *, make: bool = False) -> int:
        """Open a regular file to read and write in place, such as one to be mapped; with `make` it need not exist."""
        return self._open_to_write(name, os.O_RDWR | (os.O_CREAT if make else 0), mode)

    def _open_to_write(self, name: Name, access: int, mode: int) -> int:
        """Open a regular file that has no other name, without following a link; return its descriptor."""
        flags = access | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        with self._parent(name) as (folder, last):
            descriptor = descriptors.regular(descriptors.open_without_links(last, flags, folder, mode), name)
        try:
            descriptors.refuse_other_names(descriptor, name)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def lock(self, name: Name, mode: int = 0o600) -> int:
        """Lock a file, which is made if it is missing; return its descriptor. HeldError if another process holds it."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        with self._parent(name) as (folder, last):
            descriptor = descriptors.regular(descriptors.open_without_links(last, flags, folder, mode), name)
        try:
            descriptors.refuse_other_names(descriptor, name)
            locks.hold(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    @contextmanager
    def replaced(self, name: Name, mode: int = 0o666, *, mapped: bool = False) -> Iterator[BinaryIO]:
        """Open a temporary file to write, which then takes the place of a name by fsync and rename.

        With `mapped` it can be mapped into memory, for which it must be readable: a confined process may not read.
        """
        with self._parent(name) as (folder, last):
            temporary = f".{last}.{secrets.token_hex(4)}.tmp"
            access = os.O_RDWR if mapped else os.O_WRONLY
            flags = access | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(temporary, flags, mode, dir_fd=folder)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                os.rename(temporary, last, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:  # an interrupt must not leave the temporary file behind either
                with suppress(FileNotFoundError):
                    os.unlink(temporary, dir_fd=folder)
                raise
            descriptors.sync(folder)

    def write(self, name: Name, content: bytes, mode: int = 0o666) -> None:
        """Replace a file whole: see `replaced`."""
        with self.replaced(name, mode) as file:
            file.write(content)

    def create(self, name: Name, content: bytes, mode: int = 0o666) -> None:
        """Write a new file, which appears whole; of several writers all but one get FileExistsError."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with self._parent(name) as (folder, last):
            temporary = f".{last}.{secrets.token_hex(4)}.tmp"
            descriptor = os.open(temporary, flags, mode, dir_fd=folder)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                os.link(temporary, last, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(temporary, dir_fd=folder)
            descriptors.sync(folder)

    def move(self, old: Name, new: Name) -> None:
        """Rename a file below this directory, in place of any file of the new name."""
        with self._parent(old) as (source, last), self._parent(new) as (target, there):
            os.rename(last, there, src_dir_fd=source, dst_dir_fd=target)

    def remove(self, name: Name) -> None:
        """Remove a file or a link, if it exists."""
        with suppress(FileNotFoundError), self._parent(name) as (folder, last):
            os.unlink(last, dir_fd=folder)

    def remove_tree(self, name: Name) -> None:
        """Remove a folder and all in it, or a link in its place, if it exists."""
        with suppress(FileNotFoundError), self._parent(name) as (folder, last):
            descriptors.remove(folder, last, 0)

    def sync(self, folder: Name = "") -> None:
        """Make renames in a folder below survive a power failure."""
        found = open_below(self._descriptor, components(folder))
        try:
            descriptors.sync(found)
        finally:
            os.close(found)

    def give_to(self, uid: int, gid: int, *, files: bool = True) -> None:
        """Make a user the owner of this directory, of the folders below it and, with `files`, of the files.

        Only files of this process's user and of the directory's owner change, each by descriptor; links, devices and
        files with further names keep their owner.
        """
        owners = {os.geteuid(), os.fstat(self._descriptor).st_uid if files else os.geteuid()}
        descriptors.give(self._descriptor, owners, uid, gid, files=files, level=0)

    def chown_only_this(self, uid: int, gid: int) -> None:
        """Make a user the owner of this directory, if it is this process's own, and of nothing in it."""
        if os.fstat(self._descriptor).st_uid == os.geteuid():
            descriptors.chown(self._descriptor, uid, gid)

    def give_file(self, name: Name, uid: int, gid: int) -> None:
        """Make a user the owner of one file, if it is this process's own."""
        with self._parent(name) as (folder, last):
            descriptors.give_entry(folder, last, {os.geteuid()}, uid, gid, files=True, level=0)

    def fileno(self) -> int:
        """Return the descriptor, which stays this object's."""
        return self._descriptor

    def owner(self) -> tuple[int, int]:
        """Return the user and the group that own this directory."""
        status = os.fstat(self._descriptor)
        return status.st_uid, status.st_gid

    @contextmanager
    def _parent(self, name: Name) -> Iterator[tuple[int, str]]:
        """Open the folder of a name; yield its descriptor and the name's last component."""
        parts = components(name)
        if not parts:
            raise OutsideError(str(name))
        folder = open_below(self._descriptor, parts[:-1])
        try:
            yield folder, parts[-1]
        finally:
            os.close(folder)
