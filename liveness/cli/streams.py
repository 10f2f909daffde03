"""Standard streams: writing to standard error never raises; an error on standard output is reported in one line."""

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
    """Error of standard output, after which nothing more is written to it.

    It is not an OSError, because click and rich exit with code 1 for a closed pipe.
    """

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code

    @property
    def is_gone(self) -> bool:
        """Whether the reader of a pipe has closed it, as head(1) does, which is no error and needs no message."""
        return self.code == errno.EPIPE

    def __str__(self) -> str:
        reason = "it is closed" if self.code == errno.EBADF else os.strerror(self.code)
        return f"standard output: {reason}"


class _Stream(io.RawIOBase):
    """One of the standard descriptors; after the first error everything written to it is discarded."""

    def __init__(self, descriptor: int, failed: "Callable[[int], None]") -> None:
        super().__init__()
        self._descriptor = descriptor
        self._failed = failed
        self._mute = False

    def writable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        return os.isatty(self._descriptor)

    def write(self, data: "ReadableBuffer") -> int:
        """Write a part of the data, and return the number of bytes."""
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
    """Replace standard output and error by streams with this module's error handling; call it once, at the start.

    Closed descriptors are opened first, so that no other file gets their numbers.
    """
    for descriptor in (0, OUTPUT, ERRORS):
        try:
            os.fstat(descriptor)
        except OSError:
            # A closed stdout is opened read-only, so that writing to it fails; a closed stderr may discard messages.
            os.open(os.devnull, os.O_WRONLY if descriptor == ERRORS else os.O_RDONLY)
    sys.stdout = _text(sys.stdout, OUTPUT, _refuse)
    sys.stderr = _text(sys.stderr, ERRORS, lambda _: None)


def _refuse(code: int) -> None:
    raise OutputError(code)


def _text(before: TextIO | None, descriptor: int, failed: "Callable[[int], None]") -> TextIO:
    """Return a text stream like `before`, which is None if Python found the descriptor closed."""
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
    """Print the line that names the result of a command. An unwritable standard output does not undo the work.

    The line then goes to standard error, and the exit code is that of the work.
    """
    try:
        click.echo(text)
    except OutputError as error:
        with suppress(OutputError):
            log.notice(f"{error}: {text}")
