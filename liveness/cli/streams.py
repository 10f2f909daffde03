"""Standard streams: what is written for people never raises, and output that is refused ends in one line."""

import errno
import io
import os
import select
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TextIO

import click

from liveness import log
from liveness.cli.plain import stream_coding

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import ReadableBuffer

OUTPUT: Final = 1
ERRORS: Final = 2


class OutputError(Exception):
    """Standard output refused what was written; nothing more is written to it.

    No OSError: click and rich take a closed pipe for a reason to leave with exit code 1.
    """

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code

    @property
    def is_gone(self) -> bool:
        """Whether the reader of our output has left, as head(1) does: no error, and nothing to say."""
        return self.code == errno.EPIPE

    def __str__(self) -> str:
        reason = "it is closed" if self.code == errno.EBADF else os.strerror(self.code)
        return f"standard output: {reason}"


class _Stream(io.RawIOBase):
    """One of the standard descriptors; after the first failure everything written to it vanishes."""

    def __init__(self, descriptor: int, failed: "Callable[[int], None]") -> None:
        super().__init__()
        self._descriptor = descriptor
        self._failed = failed
        self._mute = False

    def writable(self) -> bool:
        """Return that it can be written."""
        return True

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        return os.isatty(self._descriptor)

    def write(self, data: "ReadableBuffer") -> int:
        """Write some of the data, and return how many bytes."""
        size = memoryview(data).nbytes
        while not self._mute:
            try:
                return os.write(self._descriptor, data)
            except BlockingIOError:
                select.select([], [self._descriptor], [])
            except OSError as error:
                self._mute = True
                self._failed(error.errno or errno.EIO)
        return size


def take_streams() -> None:
    """Put streams in place of standard output and error that fail as this module says; call it once, at the start.

    Descriptors that are closed are opened first, so that no file of ours gets their numbers.
    """
    for descriptor in (0, OUTPUT, ERRORS):
        try:
            os.fstat(descriptor)
        except OSError:
            # a closed output must be noticed: one that cannot be written; errors for nobody may vanish
            os.open(os.devnull, os.O_WRONLY if descriptor == ERRORS else os.O_RDONLY)
    sys.stdout = _text(sys.stdout, OUTPUT, _refuse)
    sys.stderr = _text(sys.stderr, ERRORS, lambda _: None)


def _refuse(code: int) -> None:
    raise OutputError(code)


def _text(before: TextIO | None, descriptor: int, failed: "Callable[[int], None]") -> TextIO:
    """Return a text stream like the one before, None where Python found the descriptor closed."""
    stream = _Stream(descriptor, failed)
    encoding, errors = ("utf-8", None) if before is None else (before.encoding, before.errors)
    encoding, errors = stream_coding(encoding, errors or "backslashreplace")
    return io.TextIOWrapper(
        io.BufferedWriter(stream),
        encoding=encoding,
        errors=errors,
        line_buffering=descriptor == ERRORS or stream.isatty(),
    )


def print_result(text: str) -> None:
    """Print the line that names what a command has made. What is done stays done where nobody takes the line.

    Standard error gets it then, and the exit code stays that of the work.
    """
    try:
        click.echo(text)
    except OutputError as error:
        with suppress(OutputError):
            log.notice(f"{error}: {text}")
