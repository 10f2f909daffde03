"""The worker processes of a scan: its receivers and senders, started in order, and ended in any case."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from liveness.net.inheritance import given, withhold
from liveness.net.ring import RxRing, TxRing, descriptors_of
from liveness.probes.run_constants import RunConstants
from liveness.runs.rundir import RunDirectory
from liveness.scan.interruption import Interruption
from liveness.scan.plan import Plan
from liveness.scan.process import Child
from liveness.scan.receive.receiver import Receiver
from liveness.scan.shared import Shared
from liveness.scan.talk.path import TalkPath
from liveness.scan.talk.talker import Talker

POLL_S: Final = 0.01
READY_WITHIN_S: Final = 60.0
"""Time for a receiver to load its kernels and open its log; one that takes longer is assumed to hang."""
SENDER_GRACE_S: Final = 15.0
"""Time for a sender to empty its ring after the stop flag is set; then it is killed."""
TALKER_GRACE_S: Final = 15.0
"""Time for the talker to send the last resets after the longest talk and its backlog; then it is killed."""
BACKLOG_MARGIN: Final = 2
"""Of the time that the talker needs for what it has to send: peers send SYN-ACKs again meanwhile."""
RECEIVER_GRACE_S: Final = 300.0
"""Time for a receiver to write its last segment and its log after the finish flag is set; then it is killed."""


@dataclass(slots=True)
class WorkerGroup:
    """The processes of one session over rings that are open. The caller must call `end` in any case."""

    plan: Plan
    constants: RunConstants
    tx_rings: Sequence[TxRing]
    rx_rings: Sequence[RxRing]
    directory: RunDirectory
    shared: Shared
    sender_of: Callable[[int, TxRing], Callable[[], None]]
    """Returns what the sender of an index does, given its ring."""
    talk: TalkPath | None = None
    """What the talker needs of the kernel; None if nobody is talked to."""
    receivers: list[Child[str | None]] = field(default_factory=list, init=False)
    senders: list[Child[None]] = field(default_factory=list, init=False)
    talker: Child[None] | None = field(default=None, init=False)
    _stop_sent: bool = field(default=False, init=False)
    _talk_over: bool = field(default=False, init=False)

    def start(self, interruption: Interruption) -> None:
        """Start the receivers, and the senders once all receivers listen.

        No probe is sent if a receiver ends or hangs, or if the scan is interrupted before that.
        """
        self._start_receivers()
        deadline = time.monotonic() + READY_WITHIN_S
        while not self.shared.ready.all() and not self.receiver_ended() and interruption.reason is None:
            if time.monotonic() > deadline:
                interruption.by(f"a receiver was not ready within {READY_WITHIN_S:.0f} s")
            time.sleep(POLL_S / 10)
        if self.shared.ready.all() and not self.receiver_ended() and interruption.reason is None:
            self._start_talker()
            self._start_senders()

    def receiver_ended(self) -> bool:
        """Return whether any receiver has ended; none may end before the finish flag is set."""
        return any(receiver.ended() for receiver in self.receivers)

    def sending(self, interruption: Interruption) -> bool:
        """Return whether any sender still runs; note the problems of senders that have ended."""
        ended = [sender for sender in self.senders if sender.ended()]
        for sender in ended:
            problem = sender.problem()
            if problem is not None:
                interruption.by(problem)
        if self.talker is not None and self.talker.ended() and not self._talk_over:
            interruption.by(self.talker.problem() or "the talker process ended early")
        return len(ended) < len(self.senders)

    def all_sent(self) -> bool:
        """Return whether every sender has ended by itself, after its last cooldown."""
        return (
            bool(self.senders)
            and not self._stop_sent
            and all(sender.ended() and sender.problem() is None for sender in self.senders)
        )

    def stop_senders(self, interruption: Interruption) -> None:
        """Stop the senders and wait until they have ended; kill those that do not end in SENDER_GRACE_S."""
        self._stop_sent = True
        self.shared.stop[0] = 1
        _await(lambda: not self.sending(interruption), SENDER_GRACE_S)
        for sender in self.senders:
            if not sender.ended():
                sender.kill()
                interruption.by(sender.problem() or f"{sender.name} process did not stop")

    def finish_talker(self, interruption: Interruption) -> None:
        """Let the talks under way come to their end, or end them at once if the scan was interrupted."""
        talk = self.shared.talk
        if self.talker is None or talk is None:
            return
        self._talk_over = True
        talk.finish()
        if interruption.reason is not None:
            talk.abort()
        config = self.plan.config.talk
        backlog_s = BACKLOG_MARGIN * talk.backlog / (config.rate.pps or 1.0)
        _await(self.talker.ended, config.wait.seconds + TALKER_GRACE_S + backlog_s)
        if not self.talker.ended():
            self.talker.kill()
            interruption.by(f"{self.talker.name} process did not end")
        elif (problem := self.talker.problem()) is not None:
            interruption.by(problem)

    def finish_receivers(self, interruption: Interruption) -> None:
        """Signal the receivers that no more replies are awaited, and wait until all their data is on disk."""
        self.shared.finish[0] = 1
        _await(lambda: all(receiver.ended() for receiver in self.receivers), RECEIVER_GRACE_S)
        for receiver in self.receivers:
            if not receiver.ended():
                receiver.kill()
            problem = receiver.problem() or receiver.result()
            if problem is not None:
                interruption.by(problem)

    def end(self) -> None:
        """Kill all processes that still run, and close the rings that no process has taken."""
        self.shared.stop[0] = self.shared.finish[0] = 1
        for sender in self.senders:
            sender.kill()
        for receiver in self.receivers:
            receiver.kill()
        if self.talker is not None:
            self.talker.kill()
        if self.talk is not None:
            self.talk.close()
        for tx_ring in self.tx_rings:
            tx_ring.close()
        for rx_ring in self.rx_rings:
            rx_ring.close()

    def _start_receivers(self) -> None:
        cores = self.plan.core_shares.receivers
        number = self.directory.next_segment()
        for other in (*self.rx_rings, *self.tx_rings, *(() if self.talk is None else (self.talk.ring,))):
            withhold(other)
        for index, ring in enumerate(self.rx_rings):
            life = Receiver(self.plan, self.constants, ring, self.shared, self.directory, index, number, confined=True)
            with given(ring):
                self.receivers.append(Child(f"receiver {index}", life.run, cores[index], descriptors_of(ring)))
        for ring in self.rx_rings:
            ring.close()

    def _start_talker(self) -> None:
        if self.talk is None:
            return
        ring = self.talk.ring
        with given(ring):
            life = Talker(self.plan, self.constants, ring, self.shared)
            self.talker = Child("talker", life.run, None, descriptors_of(ring))
        ring.close()

    def _start_senders(self) -> None:
        cores = self.plan.core_shares.senders
        for index, ring in enumerate(self.tx_rings):
            with given(ring):
                life = self.sender_of(index, ring)
                self.senders.append(Child(f"sender {index}", life, cores[index], descriptors_of(ring)))
        for ring in self.tx_rings:
            ring.close()


def _await(condition: Callable[[], bool], timeout_s: float) -> None:
    """Wait until a condition holds, at most `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(POLL_S)
