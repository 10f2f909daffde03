"""The supervisor: starts receivers and senders, watches them, and stops them."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Final

from liveness.errors import LivenessError
from liveness.net.links import interface_counters
from liveness.net.ring import RxRing, TxRing
from liveness.probes.kit import Kit
from liveness.scan.plan import Plan
from liveness.scan.process import Child
from liveness.scan.progress import Progress, observe
from liveness.scan.receiver import Receiver
from liveness.scan.sender import Sender
from liveness.scan.shared import Shared
from liveness.scan.timeline import TimelineRecord
from liveness.scan.tuner import Tuner
from liveness.store.manifest import RateSearch, Timeline
from liveness.store.rundir import RunDirectory

WATCH_EVERY_S: Final = 0.1
RATE_STEP: Final = 0.05
ENDING_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SENDER_GRACE_S: Final = 15.0
"""A sender that was told to stop empties its ring first; after this long it is killed."""


@dataclass(slots=True)
class Interruption:
    """Why a scan ended early: a signal, a limit, or something that failed. `reason` is None as long as it did not."""

    reason: str | None = None
    signal_number: int | None = None
    begun: bool = False
    """Whether a packet may have left: from then on a signal ends the scan with what it has, not at once."""

    def by(self, reason: str) -> None:
        """Note a reason; the first one stays."""
        self.reason = self.reason or reason


@dataclass(slots=True)
class Outcome:
    """How a scan ended: shared counters, its timeline, rates, why it ended early. What was received lies in segments.

    `rate_changes` are pairs of seconds since the start and the new rate, packets a second of each probe; under
    `rate: auto` `rate_search` tells how the rate was found.
    """

    shared: Shared
    timeline: Timeline
    rate_search: RateSearch | None
    interruption: Interruption
    rate_changes: list[tuple[float, float]]
    started_ns: int
    finished_ns: int


@contextmanager
def signals_noted(interruption: Interruption, discard: Callable[[], None]) -> Iterator[None]:
    """Note SIGINT, SIGTERM and SIGHUP instead of dying from them; what was ignored (nohup) stays so.

    Before the scan has begun they end this process, exit code 128 + the signal's number, after a call of `discard`. At
    once: an exception would be lost where LLVM calls back from compiling a kernel, and Numba be left in a muddle.
    """

    def note(number: int, _frame: FrameType | None) -> None:
        if not interruption.begun:
            discard()
            os._exit(128 + number)
        interruption.signal_number = interruption.signal_number or number
        interruption.by(f"interrupted by {signal.Signals(number).name}")

    heeded = [number for number in ENDING_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass(slots=True)
class Supervisor:
    """One scan: processes over rings that are open already. Signals reach it through `interruption`."""

    plan: Plan
    kit: Kit
    tx_rings: Sequence[TxRing]
    rx_rings: Sequence[RxRing]
    directory: RunDirectory
    interface: str
    on_progress: Callable[[Progress], None]
    interruption: Interruption
    rate_changes: list[tuple[float, float]] = field(default_factory=list)
    tuner: Tuner | None = field(default=None, init=False)

    def run(self) -> Outcome:
        """Scan to the end, or to an interruption; what was received is written in both cases."""
        shared = Shared(self.plan)
        if self.plan.config.rate.auto:
            self.tuner = Tuner(self.plan, shared, self.interface)
        cores = self.plan.core_shares
        timeline = TimelineRecord(interface_counters(self.interface))
        started_ns = time.time_ns()
        with self._rate_signals(shared, started_ns):
            receivers = [
                Child(
                    f"receiver {index}",
                    Receiver(self.plan, self.kit, ring, shared, self.directory, index).run,
                    cores.receivers[index],
                )
                for index, ring in enumerate(self.rx_rings)
            ]
            for rx_ring in self.rx_rings:
                rx_ring.close()
            while not shared.ready.all() and not any(receiver.ended() for receiver in receivers):
                time.sleep(0.001)
            senders = [
                Child(f"sender {index}", Sender(self.plan, self.kit, ring, shared, index).run, cores.senders[index])
                for index, ring in enumerate(self.tx_rings)
            ]
            for tx_ring in self.tx_rings:
                tx_ring.close()
            self._watch(shared, receivers, senders, timeline, started_ns)
            self._stop_senders(shared, senders)
            shared.finish[0] = 1
            for receiver in receivers:
                while not receiver.ended():
                    time.sleep(WATCH_EVERY_S / 10)
                problem = receiver.problem() or receiver.result()
                if problem is not None:
                    self.interruption.by(problem)
        self.on_progress(observe(self.plan, shared, started_ns, sending=False))
        finished_ns = time.time_ns()
        self._look(shared, timeline, (finished_ns - started_ns) / 1e9)
        search = None if self.tuner is None else self.tuner.record()
        return Outcome(shared, timeline.record(), search, self.interruption, self.rate_changes, started_ns, finished_ns)

    @contextmanager
    def _rate_signals(self, shared: Shared, started_ns: int) -> Iterator[None]:
        """Let SIGUSR1 raise the rate by 5 % and SIGUSR2 lower it, as ZMap's users know it; a search is asked to."""

        def change(number: int, _frame: FrameType | None) -> None:
            if self.tuner is not None:
                self.tuner.ask(faster=number == signal.SIGUSR1)
                return
            factor = 1 + RATE_STEP if number == signal.SIGUSR1 else 1 - RATE_STEP
            shared.rate_pps[0] = max(1.0, shared.rate_pps[0] * factor)
            self.rate_changes.append(((time.time_ns() - started_ns) / 1e9, float(shared.rate_pps[0])))

        before = {number: signal.signal(number, change) for number in (signal.SIGUSR1, signal.SIGUSR2)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _watch(
        self,
        shared: Shared,
        receivers: Sequence[Child[str | None]],
        senders: Sequence[Child[None]],
        timeline: TimelineRecord,
        started_ns: int,
    ) -> None:
        """Wait for the senders to finish; return early for a signal, a limit, or a process that failed."""
        limit_s = self.plan.config.max_runtime_s
        while self.interruption.reason is None:
            self.on_progress(observe(self.plan, shared, started_ns, sending=True))
            elapsed_s = (time.time_ns() - started_ns) / 1e9
            if timeline.due(elapsed_s):
                self._look(shared, timeline, elapsed_s)
            if self.tuner is not None:
                self.tuner.observe()
            if any(receiver.ended() for receiver in receivers):
                return
            ended = [sender for sender in senders if sender.ended()]
            for sender in ended:
                problem = sender.problem()
                if problem is not None:
                    self.interruption.by(problem)
            if len(ended) == len(senders):
                return
            if limit_s is not None and elapsed_s > limit_s:
                self.interruption.by(f"limits.max_runtime of {self.plan.config.limits.max_runtime} reached")
            time.sleep(WATCH_EVERY_S)

    def _look(self, shared: Shared, timeline: TimelineRecord, elapsed_s: float) -> None:
        """Keep the counters of now; those of an interface that is gone are gone too."""
        with suppress(LivenessError):
            timeline.observe(elapsed_s, shared, interface_counters(self.interface))

    def _stop_senders(self, shared: Shared, senders: Sequence[Child[None]]) -> None:
        shared.stop[0] = 1
        deadline = time.monotonic() + SENDER_GRACE_S
        for sender in senders:
            while not sender.ended() and time.monotonic() < deadline:
                time.sleep(WATCH_EVERY_S / 10)
            if not sender.ended():
                sender.kill()
            problem = sender.problem()
            if problem is not None:
                self.interruption.by(problem)
