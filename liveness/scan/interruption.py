"""Interruption: why a scan ends early, and the effect of signals in each phase of a scan."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Final

from liveness.compiling import display as compile_display
from liveness.config.units import MIN_RATE_PPS
from liveness.errors import explain
from liveness.scan.totals import SessionTotals
from liveness.system.exit_codes import exit_code_of

RATE_STEP: Final = 0.05
ENDING_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
RATE_SIGNALS: Final = (signal.SIGUSR1, signal.SIGUSR2)
ONE_REQUEST_S: Final = 1.0
"""Signals within this time count as one request: terminals, timeout(1) and service managers send several."""


class StoppedMerge(KeyboardInterrupt):
    """A second request to stop, while a scan that has sent everything writes its sets. The run can be resumed."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = exit_code_of(number)


@dataclass(slots=True)
class Interruption:
    """Why a scan ended early: a signal, a limit, or a failure. `reason` is None as long as it did not."""

    reason: str | None = None
    signal_number: int | None = None
    begun: bool = False
    """Whether a packet may have left. From then on a signal ends the scan in order, with partial results."""
    read_lists: bool = False
    """Whether a SIGHUP has requested to read the blocklists now."""
    finishing: bool = False
    """Whether only writing is left and nothing is sent any more. A second request stops the writing."""
    complete: bool = False
    """Whether everything was sent and every reply awaited before anything interrupted the scan."""
    on_finishing: Callable[[str], None] = field(default=lambda _: None, repr=False)
    """Called with one line after a first request while only writing is left. Must not raise."""
    _last_s: float | None = field(default=None, repr=False)
    """Time of the last signal; None before the first."""

    def by(self, reason: str) -> None:
        """Note a reason; the first reason is kept."""
        self.reason = self.reason or reason

    @contextmanager
    def by_errors(self) -> Iterator[None]:
        """Make any exception in the body a reason to end early."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - no error may leave children behind or lose received data
            self.by(explain(error))

    def finish(self, *, complete: bool) -> None:
        """Begin the last phase, in which nothing is sent any more.

        With `complete`, everything was sent and awaited, so that an earlier signal or limit interrupted nothing and is
        discarded.
        """
        if complete:
            self.reason = self.signal_number = None
        self.complete = complete
        self.finishing = True

    def request(self, number: int) -> None:
        """Note a signal that requests the end of the scan. Raises StoppedMerge for a second one in the last phase."""
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
    """Handle SIGINT, SIGTERM and SIGHUP; signals that were ignored before (nohup) stay ignored.

    Before the scan has begun, a signal ends this process at once with the exit code 128 + its number, after a call of
    `discard`. It does not raise an exception, because that would be lost in a callback of LLVM while a kernel is
    compiled, and leave Numba in an inconsistent state.

    Signals that change the rate are ignored until `rate_signals` takes them over.

    SIGHUP ends a scan whose terminal is gone. Otherwise it has its usual meaning for a daemon: read the lists again.
    """
    terminal = _has_terminal()

    def note(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP and not (terminal and not _has_terminal()):
            interruption.read_lists = True
            return
        if not interruption.begun:
            discard()
            with suppress(RuntimeError):  # the signal came while the same stream was being written
                compile_display.clear()
            os._exit(exit_code_of(number))
        interruption.request(number)

    handled = [number for number in ENDING_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in handled}
    before |= {number: signal.signal(number, signal.SIG_IGN) for number in RATE_SIGNALS}
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
    """Let SIGUSR1 raise the rate by 5 % and SIGUSR2 lower it, as in ZMap. Under `rate: auto` the search does so.

    A fixed rate is raised at most to `ceiling_pps`, packets per second of each probe, which the limits of the config
    give.
    """

    def change(number: int, _frame: FrameType | None) -> None:
        if session.tuner is not None:
            session.tuner.request(faster=number == signal.SIGUSR1)
            return
        factor = 1 + RATE_STEP if number == signal.SIGUSR1 else 1 - RATE_STEP
        wanted = min(ceiling_pps, float(session.shared.rate_pps[0]) * factor)
        session.change_rate(max(float(MIN_RATE_PPS), wanted))

    before = {number: signal.signal(number, change) for number in RATE_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
