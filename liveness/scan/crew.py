"""The crew of a scan: its receivers and senders, started in order, and ended whatever has happened."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from liveness.net.ring import RxRing, TxRing, descriptors_of, given, withhold
from liveness.probes.run_constants import RunConstants
from liveness.runs.checkpoint import Checkpoint
from liveness.runs.rundir import RunDirectory
from liveness.scan.interruption import Interruption
from liveness.scan.plan import Plan
from liveness.scan.process import Child
from liveness.scan.receive.receiver import Receiver
from liveness.scan.send.sender import Sender
from liveness.scan.shared import Shared

POLL_S: Final = 0.01
READY_WITHIN_S: Final = 60.0
"""A receiver loads its kernels and opens its log; one that takes longer hangs."""
SENDER_GRACE_S: Final = 15.0
"""A sender that was told to stop empties its ring first; after this long it is killed."""
RECEIVER_GRACE_S: Final = 300.0
"""A receiver that was told to end writes its last segment and waits for its log; after this long it is killed."""


@dataclass(slots=True)
class Crew:
    """The processes of one session over rings that are open; `end` is to be called whatever happens."""

    plan: Plan
    constants: RunConstants
    tx_rings: Sequence[TxRing]
    rx_rings: Sequence[RxRing]
    directory: RunDirectory
    first: Checkpoint
    """Where this session begins."""
    shared: Shared
    receivers: list[Child[str | None]] = field(default_factory=list, init=False)
    senders: list[Child[None]] = field(default_factory=list, init=False)
    _told_to_stop: bool = field(default=False, init=False)

    def start(self, interruption: Interruption) -> None:
        """Start the receivers, and the senders once all receivers listen.

        No probe leaves where a receiver has ended or hangs, or where something interrupts the scan before.
        """
        self._start_receivers()
        deadline = time.monotonic() + READY_WITHIN_S
        while not self.shared.ready.all() and not self.receiver_ended() and interruption.reason is None:
            if time.monotonic() > deadline:
                interruption.by(f"a receiver was not ready within {READY_WITHIN_S:.0f} s")
            time.sleep(POLL_S / 10)
        if self.shared.ready.all() and not self.receiver_ended() and interruption.reason is None:
            self._start_senders()

    def receiver_ended(self) -> bool:
        """Return whether any receiver has ended: none may before it was told to."""
        return any(receiver.ended() for receiver in self.receivers)

    def sending(self, interruption: Interruption) -> bool:
        """Return whether any sender still runs; note what went wrong in those that have ended."""
        ended = [sender for sender in self.senders if sender.ended()]
        for sender in ended:
            problem = sender.problem()
            if problem is not None:
                interruption.by(problem)
        return len(ended) < len(self.senders)

    def all_sent(self) -> bool:
        """Return whether every sender came to its end by itself, its last cooldown included."""
        return (
            bool(self.senders)
            and not self._told_to_stop
            and all(sender.ended() and sender.problem() is None for sender in self.senders)
        )

    def stop_senders(self, interruption: Interruption) -> None:
        """Tell the senders to stop and wait until they have; kill those that do not."""
        self._told_to_stop = True
        self.shared.stop[0] = 1
        _await(lambda: not self.sending(interruption), SENDER_GRACE_S)
        for sender in self.senders:
            if not sender.ended():
                sender.kill()
                interruption.by(sender.problem() or f"{sender.name} process did not stop")

    def finish_receivers(self, interruption: Interruption) -> None:
        """Tell the receivers that no more replies are awaited, and wait until what they have is on disk."""
        self.shared.finish[0] = 1
        _await(lambda: all(receiver.ended() for receiver in self.receivers), RECEIVER_GRACE_S)
        for receiver in self.receivers:
            if not receiver.ended():
                receiver.kill()
            problem = receiver.problem() or receiver.result()
            if problem is not None:
                interruption.by(problem)

    def end(self) -> None:
        """Kill whatever still runs, and give back the rings that no process has taken."""
        self.shared.stop[0] = self.shared.finish[0] = 1
        for sender in self.senders:
            sender.kill()
        for receiver in self.receivers:
            receiver.kill()
        for tx_ring in self.tx_rings:
            tx_ring.close()
        for rx_ring in self.rx_rings:
            rx_ring.close()

    def _start_receivers(self) -> None:
        cores = self.plan.core_shares.receivers
        number = self.directory.next_segment()
        for other in (*self.rx_rings, *self.tx_rings):
            withhold(other)
        for index, ring in enumerate(self.rx_rings):
            life = Receiver(self.plan, self.constants, ring, self.shared, self.directory, index, number, confined=True)
            with given(ring):
                self.receivers.append(Child(f"receiver {index}", life.run, cores[index], descriptors_of(ring)))
        for ring in self.rx_rings:
            ring.close()

    def _start_senders(self) -> None:
        cores = self.plan.core_shares.senders
        for index, ring in enumerate(self.tx_rings):
            life = Sender(self.plan, self.constants, ring, self.shared, index, self.first.positions[index])
            with given(ring):
                self.senders.append(Child(f"sender {index}", life.run, cores[index], descriptors_of(ring)))
        for ring in self.tx_rings:
            ring.close()


def _await(condition: Callable[[], bool], timeout_s: float) -> None:
    """Wait until a condition holds, at most so long."""
    deadline = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(POLL_S)
