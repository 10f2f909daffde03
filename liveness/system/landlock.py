"""Landlock: restricts this process to writing below one directory and to reading no file.

Documentation/userspace-api/landlock.rst of the kernel; landlock(7).
"""

import ctypes
import os
import struct
from pathlib import Path
from typing import Final

from liveness.system.child import libc

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG: Final = 1
_PATH_BENEATH: Final = 1

_WRITE_FILE, _READ_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG, _TRUNCATE = (1 << bit for bit in (1, 3, 5, 7, 8, 14))
_READ_FILE: Final = 1 << 2
_WRITING: Final = _WRITE_FILE | _READ_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _TRUNCATE
"""READ_DIR lists a directory, and opens it for fsync(2); it reads no file."""

_FIRST_RIGHTS: Final = 13
_RIGHTS: Final = {2: 14, 3: 15, 4: 15, 5: 16}
"""Rights to files that each version knows of, the first ones of their list."""
_NET_SINCE: Final = 4
_SCOPES_SINCE: Final = 6
_BOTH: Final = 0b11
"""Binding and connecting TCP sockets; abstract UNIX sockets and signals outside."""


def version() -> int:
    """Return the version of Landlock that this kernel has enabled, 0 for none."""
    return max(0, int(libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(_VERSION_FLAG))))


def restrict(writable: Path, *, reading: bool = False) -> int:
    """Let this thread, and those it makes, write below one directory and do nothing else to files; return the version.

    With `reading` the files below it can be read.

    `no_new_privs` must be set. OSError where the kernel refuses; nothing is restricted then.
    """
    known = version()
    if known == 0:
        raise OSError(95, os.strerror(95))
    rights = (1 << _RIGHTS.get(known, _FIRST_RIGHTS if known < min(_RIGHTS) else max(_RIGHTS.values()))) - 1
    attributes = struct.pack("Q", rights)
    if known >= _NET_SINCE:
        attributes += struct.pack("Q", _BOTH)
    if known >= _SCOPES_SINCE:
        attributes += struct.pack("Q", _BOTH)
    ruleset = _call(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint(0))
    try:
        folder = os.open(writable, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            allowed = _WRITING | _READ_FILE if reading else _WRITING
            rule = struct.pack("=Qi", allowed & rights, folder)
            _call(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), rule, ctypes.c_uint(0))
        finally:
            os.close(folder)
        _call(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint(0))
    finally:
        os.close(ruleset)
    return known


def _call(number: int, *arguments: object) -> int:
    result = int(libc.syscall(number, *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
