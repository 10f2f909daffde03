"""Child processes of a scan: forked, deaf to the terminal's signals, gone with the supervisor, errors brought back."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Generic, TypeVar

from liveness.errors import LivenessError
from liveness.net.child import die_with_parent

R = TypeVar("R")

_FORK = multiprocessing.get_context("fork")  # rings and shared memory are opened before, and inherited


def _child_main(function: Callable[[], R], answer: Connection, parent: int, core: int | None) -> None:
    die_with_parent(parent)
    if core is not None:
        with suppress(OSError):  # taken offline meanwhile: the scheduler knows another
            os.sched_setaffinity(0, {core})
    # Ctrl-C reaches the whole process group: only the supervisor may act on it, or sets would be lost half-way.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    try:
        answer.send((function(), None))
    except LivenessError as error:
        answer.send((None, str(error)))


class Child(Generic[R]):
    """A forked child that runs one function, on one core where that is given, and returns its result."""

    def __init__(self, name: str, function: Callable[[], R], core: int | None = None) -> None:
        self.name = name
        self._answer, writer = _FORK.Pipe(duplex=False)
        arguments = (function, writer, os.getpid(), core)
        self._process = _FORK.Process(target=_child_main, args=arguments, name=name, daemon=True)
        self._process.start()
        writer.close()
        self._result: R | None = None
        self._problem: str | None = None
        self._answered = False

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid or 0

    def ended(self) -> bool:
        """Return whether the child has ended; its answer is read as soon as it is there."""
        if not self._answered and self._answer.poll():
            try:
                self._result, self._problem = self._answer.recv()
                self._answered = True
            except EOFError:  # it died without an answer
                pass
        return self._answered or not self._process.is_alive()

    def problem(self) -> str | None:
        """Return what went wrong in a child that has ended, or None."""
        self._process.join()
        if self._answered:
            return self._problem
        code = self._process.exitcode or 0
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return f"{self.name} process {how}"

    def result(self) -> R | None:
        """Return the result of a child that has ended, None if it failed."""
        self._process.join()
        return self._result

    def kill(self) -> None:
        """End the child at once."""
        self._process.kill()
        self._process.join()
