"""The privilege drop: which user a process runs as once its sockets are open, and what it gives up.

capabilities(7), prctl(2), user_namespaces(7).
"""

import ctypes
import os
import pwd
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from liveness.errors import UnsupportedError, UsageError
from liveness.system import landlock, seccomp
from liveness.system.child import libc, run_in_child

AUTO: Final = "auto"
NOBODY: Final = "nobody"
NOBODY_ID: Final = 65534
CONFINEMENTS: Final = ("landlock", "seccomp")
"""What `confine_to` tries, in this order."""

_PR_CAPBSET_READ, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 23, 24, 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_CAPABILITY_VERSION_3: Final = 0x20080522
_MOST_CAPABILITIES: Final = 64


@dataclass(frozen=True, slots=True)
class User:
    """The user that a privilege drop changes to: ids, and a name for messages."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Dropped:
    """The outcome of a privilege drop: the user of this process now, and what could not be given up, a line each."""

    user: str
    uid: int
    notes: tuple[str, ...]


def user_to_become(wanted: str, path: Path) -> tuple[User | None, tuple[str, ...]]:
    """Return the user that a process which works below the directory `path` changes to; None to keep its own, and why.

    `wanted` is a user's name or number, or auto: the caller of sudo, else ``nobody``, and the same user if this process
    is not root. UsageError for a user that does not exist; UnsupportedError if this process cannot change to a named
    user, or that user cannot work in the directory.
    """
    if wanted == AUTO:
        if os.geteuid() != 0:
            return None, ()
        user = _caller()
    else:
        user = _named(wanted)
        if user.uid == os.geteuid():
            return None, ()
    problem = _problem(user, path)
    if problem is None:
        return user, ()
    if wanted == AUTO:
        return None, (f"the user stays root: {problem}",)
    raise UnsupportedError(f"user: {wanted!r}: {problem}")


def drop_privileges(user: User | None) -> Dropped:
    """Change to a user, without any capability or a way to gain one, irrevocably; None keeps the user.

    What the kernel does not allow is noted and is no error, but UnsupportedError is raised if it refuses the user.
    Existing threads keep their privileges unless the user changes: call this before any is started.
    """
    notes: list[str] = []
    for capability in range(_MOST_CAPABILITIES):
        if libc.prctl(_PR_CAPBSET_READ, capability, 0, 0, 0) == 1:
            libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    if user is not None:
        try:
            os.setgroups([user.gid])
            os.setresgid(user.gid, user.gid, user.gid)
            os.setresuid(user.uid, user.uid, user.uid)
        except OSError as error:
            raise UnsupportedError(f"user: cannot become {user.name} ({user.uid}): {error.strerror}") from error
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    if libc.capset(header, bytes(24)) != 0:
        notes.append(f"capabilities stay: {os.strerror(ctypes.get_errno())}")
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        notes.append(f"no_new_privs: {os.strerror(ctypes.get_errno())}")
    left = capable_threads()
    if left:
        notes.append(f"{left} threads that were there before keep their capabilities")
    return Dropped(_name_of(os.geteuid()), os.geteuid(), tuple(notes))


def confine_to(directory: Path, receiving: Sequence[int] = (), *, reading: bool = False) -> tuple[bool, bool]:
    """Give up all files except for writing below a directory, and new sockets and programs, irrevocably.

    Nothing can be sent through the sockets `receiving` (descriptors) afterwards. With `reading` files below the
    directory can be read.

    It holds for this thread and those that it starts; drop privileges before. Returns for each of CONFINEMENTS whether
    it is in force: older kernels lack some.
    """
    held = []
    for confine in (
        partial(landlock.restrict, directory, reading=reading),
        partial(seccomp.confine, receiving, reading=reading),
    ):
        try:
            confine()
        except OSError:
            held.append(False)
        else:
            held.append(True)
    return held[0], held[1]


def capable_threads() -> int:
    """Return how many threads of this process have a capability in effect."""
    count = 0
    for status in Path("/proc/self/task").glob("*/status"):
        with suppress(OSError):  # it ended meanwhile
            lines = dict(line.partition(":\t")[::2] for line in status.read_text().splitlines())
            count += int(lines["CapEff"], 16) != 0
    return count


def _caller() -> User:
    """Return the user who called sudo, else ``nobody``."""
    with suppress(KeyError, ValueError):
        uid = int(os.environ["SUDO_UID"])
        if uid != 0:
            return User(_name_of(uid), uid, int(os.environ["SUDO_GID"]))
    try:
        return _named(NOBODY)
    except UsageError:
        return User(NOBODY, NOBODY_ID, NOBODY_ID)


def _named(name: str) -> User:
    try:
        entry = pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except (KeyError, OverflowError):
        raise UsageError(f"user: {name!r}: no such user: name one that exists, or 'auto'") from None
    return User(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _problem(user: User, path: Path) -> str | None:
    """Return why this process cannot change to a user who works below a directory, None if it can."""
    if os.geteuid() != 0:
        return "only root may change to another user"
    if not _is_mapped(user.uid, Path("/proc/self/uid_map")) or not _is_mapped(user.gid, Path("/proc/self/gid_map")):
        return f"this user namespace has no user {user.name} ({user.uid})"

    def out_of_reach() -> str | None:
        os.setgroups([user.gid])
        os.setresgid(user.gid, user.gid, user.gid)
        os.setresuid(user.uid, user.uid, user.uid)
        if not os.access(path, os.X_OK):
            return f"{path}: name a 'user' who can, or an 'output' that all can reach"
        for file in (os.__file__, __file__, ctypes.__file__):  # modules that are imported later must be readable
            if not os.access(file, os.R_OK):
                return f"{file}, a part of this program: install it where all can read it"
        return None

    try:
        problem = run_in_child(out_of_reach)
    except OSError as error:
        return f"cannot become {user.name}: {error.strerror}"
    return None if problem is None else f"{user.name} cannot reach {problem}"


def _is_mapped(number: int, table: Path) -> bool:
    try:
        rows = [[int(word) for word in line.split()] for line in table.read_text().splitlines()]
    except OSError:
        return True  # a kernel without user namespaces
    return any(first <= number < first + count for first, _, count in rows)
