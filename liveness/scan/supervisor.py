"""The supervisor: starts receivers and senders, watches them, and stops them."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Final

from liveness.config.units import MIN_RATE_PPS
from liveness.errors import LivenessError
from liveness.net.ring import RxRing, TxRing
from liveness.probes.kit import Kit
from liveness.scan.checkpointing import Checkpointing
from liveness.scan.compacting import Compacting
from liveness.scan.ledger import Ledger
from liveness.scan.optouts import OptOutWatch
from liveness.scan.plan import Plan
from liveness.scan.process import Child
from liveness.scan.progress import Progress, observe
from liveness.scan.receiver import Receiver
from liveness.scan.sender import Sender
from liveness.scan.shared import Shared
from liveness.scan.tuner import Tuner
from liveness.store.checkpoint import Checkpoint, Totals
from liveness.store.optouts import OptOuts
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
    read_lists: bool = False
    """Whether someone has asked, by SIGHUP, to read the blocklists now."""

    def by(self, reason: str) -> None:
        """Note a reason; the first one stays."""
        self.reason = self.reason or reason


@dataclass(slots=True)
class Outcome:
    """How a session ended: shared counters, what it counted, why it ended early. What was received lies in segments."""

    shared: Shared
    totals: Totals
    interruption: Interruption
    opt_outs: OptOuts
    started_ns: int
    finished_ns: int


@contextmanager
def signals_noted(interruption: Interruption, discard: Callable[[], None]) -> Iterator[None]:
    """Note SIGINT, SIGTERM and SIGHUP instead of dying from them; what was ignored (nohup) stays so.

    Before the scan has begun they end this process, exit code 128 + the signal's number, after a call of `discard`. At
    once: an exception would be lost where LLVM calls back from compiling a kernel, and Numba be left in a muddle.

    SIGHUP ends a scan where its terminal has gone. Otherwise someone has sent it, and it means what it means to a
    daemon: read the lists anew.
    """
    terminal = _has_terminal()

    def note(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP and not (terminal and not _has_terminal()):
            interruption.read_lists = True
            return
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


def _has_terminal() -> bool:
    """Return whether this process has a controlling terminal."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


@contextmanager
def rate_signals(ledger: Ledger, ceiling_pps: float) -> Iterator[None]:
    """Let SIGUSR1 raise the rate by 5 % and SIGUSR2 lower it, as ZMap's users know it; a search is asked to.

    A fixed rate stays below a ceiling, packets a second of each probe: what the config's limits allow.
    """

    def change(number: int, _frame: FrameType | None) -> None:
        if ledger.tuner is not None:
            ledger.tuner.ask(faster=number == signal.SIGUSR1)
            return
        factor = 1 + RATE_STEP if number == signal.SIGUSR1 else 1 - RATE_STEP
        wanted = min(ceiling_pps, float(ledger.shared.rate_pps[0]) * factor)
        ledger.change_rate(max(float(MIN_RATE_PPS), wanted))

    before = {number: signal.signal(number, change) for number in (signal.SIGUSR1, signal.SIGUSR2)}
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
    first: Checkpoint
    """Where this session begins."""
    on_progress: Callable[[Progress], None]
    interruption: Interruption
    on_notice: Callable[[str], None]
    """Told in one line of what somebody ought to know at once."""

    def run(self) -> Outcome:
        """Scan to the end, or to an interruption; what was received is in segments in both cases."""
        shared = Shared(self.plan)
        opt_outs = OptOutWatch(self.plan, self.directory.path, shared.withdrawn, self.on_notice)
        shared.counts_told |= opt_outs.resumed
        shared.begin_at(self.first, sum(block.targets for block in self.plan.blocks[: self.first.block]))
        started_ns = time.time_ns()
        earlier = self.first.totals.rate_search
        tuner = Tuner(self.plan, shared, self.interface, earlier) if self.plan.config.rate.auto else None
        ledger = Ledger(self.interface, shared, tuner=tuner)
        checkpointing = Checkpointing(self.plan, self.directory, self.first, shared, ledger.started_s)
        compacting = Compacting(self.directory)
        with rate_signals(ledger, self.plan.ceiling_pps):
            receivers = self._start_receivers(shared)
            while not shared.ready.all() and not any(receiver.ended() for receiver in receivers):
                time.sleep(0.001)
            senders = self._start_senders(shared)
            self._watch(receivers, senders, ledger, checkpointing, compacting, opt_outs)
            self._stop_senders(shared, senders)
            shared.finish[0] = 1
            for receiver in receivers:
                while not receiver.ended():
                    time.sleep(WATCH_EVERY_S / 10)
                problem = receiver.problem() or receiver.result()
                if problem is not None:
                    self.interruption.by(problem)
        compacting.finish()
        self.on_progress(observe(self.plan, shared, ledger.elapsed_s, ledger.nic_drops, sending=False))
        ledger.look(last=True)
        totals = ledger.totals()
        checkpointing.write(totals)
        return Outcome(shared, totals, self.interruption, opt_outs.record, started_ns, time.time_ns())

    def _start_receivers(self, shared: Shared) -> list[Child[str | None]]:
        cores = self.plan.core_shares.receivers
        number = self.directory.next_segment()
        receivers = [
            Child(
                f"receiver {index}",
                Receiver(self.plan, self.kit, ring, shared, self.directory, index, number, confined=True).run,
                cores[index],
            )
            for index, ring in enumerate(self.rx_rings)
        ]
        for ring in self.rx_rings:
            ring.close()
        return receivers

    def _start_senders(self, shared: Shared) -> list[Child[None]]:
        cores = self.plan.core_shares.senders
        senders = [
            Child(
                f"sender {index}",
                Sender(self.plan, self.kit, ring, shared, index, self.first.positions[index]).run,
                cores[index],
            )
            for index, ring in enumerate(self.tx_rings)
        ]
        for ring in self.tx_rings:
            ring.close()
        return senders

    def _watch(
        self,
        receivers: Sequence[Child[str | None]],
        senders: Sequence[Child[None]],
        ledger: Ledger,
        checkpointing: Checkpointing,
        compacting: Compacting,
        opt_outs: OptOutWatch,
    ) -> None:
        """Wait for the senders to finish; return early for a signal, a limit, or a process that failed."""
        limit_s = self.plan.config.max_runtime_s
        while self.interruption.reason is None:
            self.on_progress(observe(self.plan, ledger.shared, ledger.elapsed_s, ledger.nic_drops, sending=True))
            ledger.look()
            self._look_at_lists(opt_outs)
            if checkpointing.due(ledger.elapsed_s):
                checkpointing.write(ledger.totals())
                compacting.look()
            if ledger.tuner is not None:
                ledger.tuner.observe()
            if any(receiver.ended() for receiver in receivers):
                return
            ended = [sender for sender in senders if sender.ended()]
            for sender in ended:
                problem = sender.problem()
                if problem is not None:
                    self.interruption.by(problem)
            if len(ended) == len(senders):
                return
            if limit_s is not None and ledger.elapsed_s > limit_s:
                self.interruption.by(f"limits.max_runtime of {self.plan.config.limits.max_runtime} reached")
            time.sleep(WATCH_EVERY_S)

    def _look_at_lists(self, opt_outs: OptOutWatch) -> None:
        """Withdraw what blocklists have come to block; a scan that cannot any more ends."""
        try:
            if self.interruption.read_lists:
                self.interruption.read_lists = False
                opt_outs.look_again()
            opt_outs.look()
        except LivenessError as error:
            self.interruption.by(str(error))

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
