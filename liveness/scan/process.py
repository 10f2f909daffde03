"""Child processes of a scan: forked, immune to the terminal's signals, and ended if the supervisor ends.

The result or the error of a child is sent back to the supervisor.
"""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, Generic, TypeVar

from liveness.errors import explain
from liveness.system.child import close_all_but, die_with_parent, leave_inherited_objects

R = TypeVar("R")

EXIT_WITHIN_S: Final = 10.0
"""Time for a child to exit after it has sent its result; then it is killed."""
POLL_S: Final = 0.01
NAME_FILE: Final = Path("/proc/self/comm")
LONGEST_NAME: Final = 15
"""Characters of a process' name that the kernel keeps."""

_FORK = multiprocessing.get_context("fork")  # children inherit rings and shared memory, which are opened before


def _child_main(
    name: str, function: Callable[[], R], answer: Connection, parent: int, core: int | None, keep: Sequence[int] | None
) -> None:
    leave_inherited_objects()
    die_with_parent(parent)
    with suppress(OSError):  # /proc is not mounted: the child keeps the name of its parent
        NAME_FILE.write_text(name[:LONGEST_NAME])
    if keep is not None:
        close_all_but((0, 1, 2, answer.fileno(), *keep))
    if core is not None:
        with suppress(OSError):  # the core was taken offline meanwhile: the scheduler chooses another one
            os.sched_setaffinity(0, {core})
    # Ctrl-C reaches the whole process group, but only the supervisor may act on it. A receiver that it ended would lose
    # replies.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    try:
        result: tuple[R | None, str | None] = (function(), None)
    except Exception as error:  # noqa: BLE001 - the supervisor reports any error of a child, in one line
        result = (None, explain(error))
    with suppress(OSError):  # the supervisor is gone, so this child is about to end, too
        answer.send(result)


class Child(Generic[R]):
    """A forked child that runs one function, on the given core if any, and returns its result.

    With `keep`, it closes all descriptors except these and the standard ones.
    """

    def __init__(
        self, name: str, function: Callable[[], R], core: int | None = None, keep: Sequence[int] | None = None
    ) -> None:
        self.name = name
        self._answer, writer = _FORK.Pipe(duplex=False)
        arguments = (name, function, writer, os.getpid(), core, keep)
        self._process = _FORK.Process(target=_child_main, args=arguments, name=name, daemon=True)
        try:
            self._process.start()
        finally:
            writer.close()
        self._result: R | None = None
        self._problem: str | None = None
        self._answered = False

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._process.pid or 0

    def ended(self) -> bool:
        """Return whether the child has ended or sent its answer; the answer is read as soon as it has arrived."""
        if not self._answered and self._answer.poll():
            try:
                self._result, self._problem = self._answer.recv()
                self._answered = True
            except (EOFError, OSError):  # it ended without an answer
                pass
        return self._answered or not self._process.is_alive()

    def problem(self) -> str | None:
        """Return the error of a child that has ended, in one line, or None."""
        self._leave()
        if self._answered:
            return self._problem
        code = self._process.exitcode or 0
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return f"{self.name} process {how}"

    def result(self) -> R | None:
        """Return the result of a child that has ended, or None if it failed."""
        self._leave()
        return self._result

    def end_within(self, timeout_s: float) -> None:
        """Wait up to `timeout_s` for the child to end by itself, and then kill it."""
        deadline = time.monotonic() + timeout_s
        while not self.ended() and time.monotonic() < deadline:
            time.sleep(POLL_S)
        self.kill()

    def kill(self) -> None:
        """Kill the child if it has not ended."""
        self._process.kill()
        self._process.join(EXIT_WITHIN_S)  # a child in an uninterruptible system call ends only after that

    def _leave(self) -> None:
        """Wait for a process that has nothing left to do, and kill it if it does not exit."""
        self._process.join(EXIT_WITHIN_S)
        if self._process.is_alive():
            self.kill()
