"""Handling of Ctrl-C outside a scan: exit code 130 without traceback, within a second, whatever library is running."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from threading import Thread
from types import FrameType
from typing import Final, NoReturn, Protocol

from liveness import log
from liveness.cli.streams import ERRORS
from liveness.errors import StoppedEarlyError
from liveness.system.exit_codes import exit_code_of

EXIT_CODE: Final = exit_code_of(signal.SIGINT)
GRACE_S: Final = 1.0
"""Longest time in seconds that a command takes to clean up."""
VIEW_REMOVED: Final = b"\r\x1b[K\x1b[?25h"
"""To the beginning of the line, erase it, and show the cursor, which live views hide."""


class Interrupts:
    """The state of Ctrl-C, kept here because libraries convert or suppress the exception that it raises."""

    def __init__(self) -> None:
        self.requested = False
        self._raised = False

    def install(self) -> None:
        """Handle SIGINT, unless it is ignored (nohup)."""
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            return
        signal.signal(signal.SIGINT, self._note)
        before = sys.unraisablehook

        def unraisable(found: "sys.UnraisableHookArgs") -> None:
            if not self.requested:
                before(found)

        sys.unraisablehook = unraisable

    def _note(self, _number: int, _frame: FrameType | None) -> NoReturn:
        if self._raised:
            _leave_at_once()
        self.requested = self._raised = True
        raise KeyboardInterrupt

    @contextmanager
    def ending_soon(self, stop: Callable[[], None] = lambda: None) -> Iterator[None]:
        """End the process within GRACE_S of a SIGINT, even if a call into a library does not return in that time.

        `stop` is called first, in another thread, to make that library return. Only for commands that neither fork nor
        enter a namespace, since it starts a thread.
        """
        if signal.getsignal(signal.SIGINT) != self._note:
            yield
            return
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        Thread(target=self._end, args=(reader, stop), name="interrupts", daemon=True).start()
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            os.close(writer)

    def ending_queries_soon(self) -> AbstractContextManager[None]:
        """End the process soon after a SIGINT, as `ending_soon` does; queries of DuckDB that run are stopped first."""

        def stop() -> None:
            from liveness.sql.connection import stop_queries

            stop_queries()

        return self.ending_soon(stop)

    def _end(self, reader: int, stop: Callable[[], None]) -> None:
        """Wait for the signal's number, which the handler in C writes even while no Python code runs.

        Runs in the thread.
        """
        while data := os.read(reader, 1):
            if data[0] == signal.SIGINT:
                self.requested = True
                with suppress(Exception):
                    stop()
                time.sleep(GRACE_S)
                _leave_at_once()
        os.close(reader)


def _leave_at_once() -> NoReturn:
    """End the process, with no view on the terminal, which has its cursor: nothing else cleans up any more."""
    if os.isatty(ERRORS):
        with suppress(OSError):
            os.write(ERRORS, VIEW_REMOVED)
    os._exit(EXIT_CODE)


interrupts: Final = Interrupts()


def leave_early(line: str, signal_number: int | None) -> NoReturn:
    """Say why work that keeps partial results ended early, and end with the exit code of that."""
    if signal_number is None:
        raise StoppedEarlyError(line)
    log.notice(line)
    raise SystemExit(exit_code_of(signal_number))


class Stoppable(Protocol):
    """Work that ends by itself soon after `stopping` is set."""

    stopping: bool


def stop_on_signals(work: Stoppable) -> None:
    """Stop work on SIGINT and SIGTERM, so that what it has is kept."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        work.stopping = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
