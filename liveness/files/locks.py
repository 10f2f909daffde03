"""Locks: one process at a time works on a run, a census, or the lists of a folder.

The kernel keeps a lock (flock) for the process that took it and for the children that it forks, and gives it back when
the last of them has ended, however it ended: a lock file that lies around is no lock. A lock that another process holds
is always a RefusedError (exit code 4).
"""

import errno
import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from liveness.errors import LivenessError, RefusedError

if TYPE_CHECKING:
    from liveness.files.directory import Directory

POLL_S: Final = 0.05
_PID_BYTES: Final = 20


class HeldError(BlockingIOError):
    """Another process holds a lock; `holder` is the process id that it wrote into the file, or empty."""

    def __init__(self, holder: str = "") -> None:
        super().__init__(errno.EAGAIN, "another process holds this lock")
        self.holder = holder


def hold(descriptor: int, wait_s: float = 0.0) -> None:
    """Lock an open file or directory, in at most `wait_s`. Raises HeldError while another process holds the lock."""
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise HeldError(_holder(descriptor)) from None
            time.sleep(POLL_S)
        else:
            return


def take(directory: "Directory", name: str, place: Path, work: str, remedy: str) -> int:
    """Lock a file of a directory, which is made if it is missing, and write this process's id into it.

    Returns the lock's descriptor. Raises RefusedError, ``<place>: <work> (process 123): <remedy>``, if another process
    holds the lock, and LivenessError if the file cannot be locked.
    """
    try:
        descriptor = directory.lock(name)
    except HeldError as problem:
        raise held(place, work, remedy, problem) from problem
    except OSError as problem:
        raise LivenessError(f"{place / name}: cannot take this lock: {problem.strerror}") from problem
    with suppress(OSError):  # on a full disk nobody learns who holds the lock, but it is held
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
    return descriptor


def held(place: Path, work: str, remedy: str, problem: HeldError) -> RefusedError:
    """Return the error for a lock that another process holds: what that process does, its id, and what to do."""
    by = f" (process {problem.holder})" if problem.holder else ""
    return RefusedError(f"{place}: {work}{by}: {remedy}")


def _holder(descriptor: int) -> str:
    """Return the process id that a lock file holds, or nothing: a directory has none."""
    try:
        text = os.pread(descriptor, _PID_BYTES, 0).decode("ascii", "replace").strip()
    except OSError:
        return ""
    return text if text.isdecimal() else ""
