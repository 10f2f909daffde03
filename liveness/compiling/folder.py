"""The directory where a user's compiled kernels are kept: one that nobody else can change."""

import os
import pwd
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

WORLD_WRITABLE: Final = 0o002
STICKY: Final = 0o1000
_OVERFLOW_UID: Final = 65534


def find_caches() -> Path | None:
    """Return a directory of this user's own for compiled kernels, made if need be; None if there can be none.

    What lies there is code that this process will run. A directory that another user could change is passed over, and
    none is made in such a place: root with somebody else's HOME takes its own home, a user without any home compiles at
    each start. Where there is no other, one is returned that cannot be written, as in an image that is read-only: what
    lies there is found.
    """
    read_only: Path | None = None
    for base in _candidates():
        directory = base / "liveness-kernels"
        with suppress(OSError, RuntimeError):
            existing = next(path for path in (directory, *directory.parents) if path.exists())
            if not _is_out_of_reach(existing.resolve()):
                continue
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if _is_ours_alone(directory.resolve()):
                if os.access(directory, os.W_OK):
                    return directory.resolve()
                read_only = read_only or directory.resolve()
    return read_only


def _candidates() -> Iterator[Path]:
    for variable, below in (("NUMBA_CACHE_DIR", ""), ("XDG_CACHE_HOME", ""), ("HOME", ".cache")):
        value = os.environ.get(variable)
        if value and Path(value).is_absolute():
            yield Path(value) / below
    with suppress(KeyError):
        yield Path(pwd.getpwuid(os.geteuid()).pw_dir) / ".cache"


def _is_ours_alone(directory: Path) -> bool:
    """Return whether only this user and root can put anything into a directory, or exchange a folder above it."""
    state = directory.stat()
    return state.st_uid == os.geteuid() and not state.st_mode & WORLD_WRITABLE and _is_out_of_reach(directory)


def _is_out_of_reach(directory: Path) -> bool:
    """Return whether only this user and root can exchange a folder in a directory, or one above it."""
    trusted = {0, os.geteuid()} | ({_OVERFLOW_UID} if _in_user_namespace() else set())
    for folder in (directory, *directory.parents):
        state = folder.stat()
        if state.st_uid not in trusted or (state.st_mode & WORLD_WRITABLE and not state.st_mode & STICKY):
            return False
    return True


def _in_user_namespace() -> bool:
    """Return whether other users' files show the overflow uid here, root's among them."""
    with suppress(OSError):
        return Path("/proc/self/uid_map").read_text(encoding="ascii").split() != ["0", "0", str(2**32 - 1)]
    return False
