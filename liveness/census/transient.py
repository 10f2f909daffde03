"""Errors that may be temporary: files that cannot be read now, as opposed to missing or damaged files."""

import errno
from pathlib import Path
from typing import Final

from liveness.errors import LivenessError
from liveness.files.reading import open_regular
from liveness.runs.rundir import CHECKPOINT_FILE, KEY_FILE, MANIFEST_FILE, TARGETS_FILE

FOR_GOOD: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL})
"""Errors that a second attempt does not fix, unlike errors of the disk, of memory or of permissions."""


def may_pass(error: BaseException) -> bool:
    """Return whether an error was caused by a temporary failure to read or write, and not by the content read."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno is not None:
            return seen.errno not in FOR_GOOD
        seen = seen.__cause__ or seen.__context__
    return False


def check_readable(run: Path) -> None:
    """Raise LivenessError that names the first file needed to resume a run that temporarily cannot be read."""
    for name in (MANIFEST_FILE, CHECKPOINT_FILE, KEY_FILE, TARGETS_FILE):
        path = run / name
        try:
            with open_regular(path) as file:
                file.read(1)
        except OSError as problem:
            if problem.errno not in FOR_GOOD:
                raise LivenessError(f"{path}: cannot be read: {problem.strerror}") from problem
