"""Interruption: why a scan ends early, and what signals do to it in each of its phases."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Final

from liveness.config.units import MIN_RATE_PPS
from liveness.scan.totals import SessionTotals

RATE_STEP: Final = 0.05
ENDING_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ONE_REQUEST_S: Final = 1.0
"""Signals closer together than this are one request: a terminal, timeout(1) and service managers send several."""


class StoppedMerge(KeyboardInterrupt):
    """A second request to stop, while a scan that has sent everything writes its sets: the run can be resumed."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


@dataclass(slots=True)
class Interruption:
    """Why a scan ended early: a signal, a limit, or something that failed. `reason` is None as long as it did not."""

    reason: str | None = None
    signal_number: int | None = None
    begun: bool = False
    """Whether a packet may have left: from then on a signal ends the scan with what it has, not at once."""
    read_lists: bool = False
    """Whether a SIGHUP has asked to read the blocklists now."""
    finishing: bool = False
    """Whether nothing is sent any more: only writing is left, which a second request stops."""
    complete: bool = False
    """Whether everything was sent and every reply awaited before anything interrupted the scan."""
    on_finishing: Callable[[str], None] = field(default=lambda _: None, repr=False)
    """Receives the line that says what a first request does while only writing is left. Must not raise."""
    _last_s: float | None = field(default=None, repr=False)
    """When the last signal came; None before the first."""

    def by(self, reason: str) -> None:
        """Note a reason; the first one stays."""
        self.reason = self.reason or reason

    def finish(self, *, complete: bool) -> None:
        """Begin the last phase: nothing is sent any more.

        A signal or a limit that came only after everything was sent and awaited (`complete`) interrupted nothing.
        """
        if complete:
            self.reason = self.signal_number = None
        self.complete = complete
        self.finishing = True

    def ask(self, number: int) -> None:
        """Note a signal that asks this scan to end. Raises StoppedMerge for a second request in the last phase."""
        now_s = time.monotonic()
        first = self._last_s is None
        again = self._last_s is not None and now_s - self._last_s >= ONE_REQUEST_S
        self._last_s = now_s
        name = signal.Signals(number).name
        if not self.finishing:
            self.signal_number = self.signal_number or number
            self.by(f"interrupted by {name}")
        elif again:
            raise StoppedMerge(number)
        elif first:
            self.on_finishing(f"{name}: everything was sent; the sets are being written: once more stops that")


@contextmanager
def signals_noted(interruption: Interruption, discard: Callable[[], None]) -> Iterator[None]:
    """Note SIGINT, SIGTERM and SIGHUP instead of dying from them; what was ignored (nohup) stays so.

    Before the scan has begun they end this process, exit code 128 + the signal's number, after a call of `discard`. At
    once: an exception would be lost where LLVM calls back from compiling a kernel, and Numba be left in a muddle.

    SIGHUP ends a scan whose terminal has gone. Otherwise it means what it means to a daemon: read the lists again.
    """
    terminal = _has_terminal()

    def note(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP and not (terminal and not _has_terminal()):
            interruption.read_lists = True
            return
        if not interruption.begun:
            discard()
            os._exit(128 + number)
        interruption.ask(number)

    heeded = [number for number in ENDING_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _has_terminal() -> bool:
    """Return whether this process has a controlling terminal."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


@contextmanager
def rate_signals(session: SessionTotals, ceiling_pps: float) -> Iterator[None]:
    """Let SIGUSR1 raise the rate by 5 % and SIGUSR2 lower it, as ZMap does; a search for the rate is asked to.

    A fixed rate stays below a ceiling, packets a second of each probe: what the config's limits allow.
    """

    def change(number: int, _frame: FrameType | None) -> None:
        if session.tuner is not None:
            session.tuner.ask(faster=number == signal.SIGUSR1)
            return
        factor = 1 + RATE_STEP if number == signal.SIGUSR1 else 1 - RATE_STEP
        wanted = min(ceiling_pps, float(session.shared.rate_pps[0]) * factor)
        session.change_rate(max(float(MIN_RATE_PPS), wanted))

    before = {number: signal.signal(number, change) for number in (signal.SIGUSR1, signal.SIGUSR2)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
