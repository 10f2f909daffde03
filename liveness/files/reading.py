"""Files read whole, within bounds: a regular file, not larger than what it may be."""

import errno
import io
import os
from pathlib import Path
from typing import Final

from liveness.files import descriptors
from liveness.files.directory import Directory, Name

MIB: Final = 1 << 20
SPARE_BYTES: Final = MIB
"""How much a file may grow while it is read."""
DOCUMENT_BYTES: Final = 64 * MIB
"""A document of ours is far smaller: the manifest of a run of weeks with every block in it has some MiB."""
_READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class TooLargeError(OSError):
    """A file is larger than anything of its kind."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(errno.EFBIG, f"{size:,} bytes, where {limit:,} are the most that is read: not such a file")


def open_regular(path: Path) -> io.BufferedReader:
    """Open a regular file to read: a pipe in its place would never end, or never begin. Raises OSError."""
    return os.fdopen(open_descriptor(path), "rb")


def open_descriptor(path: Path) -> int:
    """Return a descriptor of a regular file to read. Raises OSError."""
    return descriptors.regular(os.open(path, _READ), path)


def read_bytes(path: Path, limit: int = DOCUMENT_BYTES) -> bytes:
    """Return the content of a regular file. Raises OSError; TooLargeError before anything of it is read."""
    return _content(os.open(path, _READ), limit, path)


def read_named(path: Path, limit: int) -> bytes:
    """Return the content of a file that a user names, which may be a pipe. Raises OSError; TooLargeError."""
    with path.open("rb", buffering=0) as file:
        content = _rest(file, limit)
    if len(content) > limit:
        raise TooLargeError(len(content), limit)
    return content


def read_below(directory: Directory, name: Name, limit: int = DOCUMENT_BYTES) -> bytes:
    """Return the content of a regular file below a directory, reached without links. Raises as `read_bytes`."""
    return _content(directory.open_file(name), limit, name)


def _content(descriptor: int, limit: int, name: Name) -> bytes:
    # checked before it is a file of Python's, which refuses a directory and leaves its descriptor open
    with os.fdopen(descriptors.regular(descriptor, name), "rb", buffering=0) as file:
        status = os.fstat(descriptor)
        if status.st_size > limit:
            raise TooLargeError(status.st_size, limit)
        content = _rest(file, min(status.st_size + SPARE_BYTES, limit))  # /proc says 0 and has more
    if len(content) > limit:
        raise TooLargeError(len(content), limit)
    return content


def _rest(file: io.FileIO, limit: int) -> bytes:
    """Read on to the end, or a little past `limit`."""
    parts = []
    left = limit + 1
    while left > 0 and (part := file.read(min(left, MIB))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
