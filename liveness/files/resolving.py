"""Names resolved to descriptors of directories: below a directory without links, elsewhere without foreign links.

Below a directory the kernel resolves a name in one step (openat2(2), RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS); kernels
before 5.6, and containers that forbid the call, get the same a component at a time.
"""

import ctypes
import errno
import os
import stat
import struct
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePath, PurePosixPath
from typing import Final

_libc = ctypes.CDLL(None, use_errno=True)

FOLDER: Final = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_OPENAT2: Final = 437
_BENEATH_WITHOUT_LINKS: Final = 0x08 | 0x04
MOST_LINKS: Final = 40
"""In one path, as the kernel has it."""


class LinkError(OSError):
    """A name leads through a symbolic link where none is followed."""

    def __init__(self, name: str) -> None:
        super().__init__(errno.ELOOP, f"{name} is a symbolic link, which is not followed here: put the original there")


class OutsideError(OSError):
    """A name leads out of its directory."""

    def __init__(self, name: str) -> None:
        super().__init__(errno.EXDEV, f"{name!r} leads out of this directory")


class ForeignLinkError(OSError):
    """Root meets a symbolic link that another user has made."""

    def __init__(self, link: str, owner: int) -> None:
        super().__init__(
            errno.ELOOP, f"{link} is a symbolic link of user {owner}, which root does not follow: name what it leads to"
        )


def components(name: str | PurePath) -> tuple[str, ...]:
    """Return the components of a name below a directory. OutsideError for an absolute one, or one with ``..``."""
    parts = PurePosixPath(name).parts
    if PurePosixPath(name).is_absolute() or ".." in parts or any("\0" in part for part in parts):
        raise OutsideError(str(name))
    return parts


def open_below(directory: int, parts: Sequence[str]) -> int:
    """Return a descriptor (O_PATH) of a directory below another one. OSError where there is none; LinkError."""
    if _HAS_OPENAT2 and parts:
        try:
            return _openat2(directory, "/".join(parts))
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise LinkError("/".join(parts)) from None
            raise
    return _step_by_step(directory, parts)


def _step_by_step(directory: int, parts: Sequence[str]) -> int:
    here = os.open(".", FOLDER, dir_fd=directory)
    for part in parts:
        try:
            following = _open_component(here, part)
        finally:
            os.close(here)
        if following is None:
            raise LinkError("/".join(parts))
        here = following
    return here


def _open_component(directory: int, name: str) -> int | None:
    """Return a descriptor of one directory in another; None where the name is a link."""
    found = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    mode = os.fstat(found).st_mode
    if stat.S_ISDIR(mode):
        return found
    os.close(found)
    if stat.S_ISLNK(mode):
        return None
    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), name)


def open_folder(path: Path) -> int:
    """Return a descriptor (O_PATH) of a directory. As root, links are followed only if root or sudo's caller made them.

    Other users cannot lead root elsewhere. Raises OSError; ForeignLinkError names the link.
    """
    if os.geteuid() != 0:
        return os.open(path, FOLDER)
    here = os.open("/" if path.is_absolute() else ".", FOLDER)
    left = deque(path.parts)
    links = 0
    while left:
        part = left.popleft()
        try:
            following = os.open(part, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
        except BaseException:
            os.close(here)
            raise
        status = os.fstat(following)
        if not stat.S_ISLNK(status.st_mode):
            os.close(here)
            here = following
            continue
        target = os.readlink("", dir_fd=following)
        os.close(following)
        links += 1
        if status.st_uid not in trusted_owners() or links > MOST_LINKS:
            os.close(here)
            if links > MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
            raise ForeignLinkError(part, status.st_uid)
        left.extendleft(reversed(Path(target).parts))
    if not stat.S_ISDIR(os.fstat(here).st_mode):
        os.close(here)
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    return here


def trusted_owners() -> set[int]:
    """Return the users whose links this process follows: its own, root, and the caller of sudo."""
    owners = {0, os.geteuid()}
    with suppress(KeyError, ValueError):
        owners.add(int(os.environ["SUDO_UID"]))
    return owners


def _openat2(directory: int, name: str) -> int:
    how = struct.pack("QQQ", FOLDER, 0, _BENEATH_WITHOUT_LINKS)
    while True:
        found: int = _libc.syscall(
            ctypes.c_long(_OPENAT2),
            ctypes.c_int(directory),
            ctypes.c_char_p(os.fsencode(name)),
            ctypes.c_char_p(how),
            ctypes.c_size_t(len(how)),
        )
        if found >= 0:
            return found
        number = ctypes.get_errno()
        if number not in (errno.EAGAIN, errno.EINTR):
            raise OSError(number, os.strerror(number), name)


def _has_openat2() -> bool:
    try:
        here = os.open("/", FOLDER)
    except OSError:
        return False
    try:
        os.close(_openat2(here, "."))
    except OSError:
        return False
    finally:
        os.close(here)
    return True


_HAS_OPENAT2: Final = _has_openat2()
