"""File to which a command writes its state, a line at a time."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from liveness.errors import UsageError
from liveness.files.outputs import open_destination


@dataclass(slots=True)
class LineFile:
    """File of lines, truncated when it is opened. When it can no longer be written, this is reported once."""

    path: Path
    warn: Callable[[str], None]
    _descriptor: int | None = None

    def open(self) -> None:
        """Open the file. Raises UsageError that names it, also for a pipe without a reader."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK
        try:
            self._descriptor = open_destination(self.path, flags, 0o644)
        except OSError as problem:
            raise UsageError(f"{self.path}: cannot write the status here: {problem.strerror}") from problem

    def write(self, line: bytes) -> None:
        """Write a line, in one call, so that readers see whole lines. A pipe whose reader is slow misses it."""
        if self._descriptor is None:
            return
        try:
            written = os.write(self._descriptor, line)
        except BlockingIOError:
            return
        except OSError as problem:
            self.warn(f"{self.path}: no more status: {problem.strerror}")
            self.close()
            return
        if written < len(line):
            self.warn(f"{self.path}: no more status: no space left")
            self.close()

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
