"""The sender of a survey: it sends each probe in its slot, by the time of day, and sets the bit of those that left.

A slot that has passed by more than the tolerance is not sent, whatever the reason: a stall, a pause, a step of the
clock. Nothing is made up for, so no later slot moves.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from liveness.errors import LivenessError
from liveness.kernel import kernel
from liveness.net.ring import TxRing
from liveness.order.due import FROM, POSITION, PROBE, STRIPS, TICKS, Due, empty_due
from liveness.order.order import Share
from liveness.planes.live import SENT, LivePlanes
from liveness.probes.run_constants import RunConstants
from liveness.scan.plan import Plan
from liveness.scan.send.queue import NO_TARGET, queue_of, withdraw
from liveness.scan.send.transmitter import Transmitter
from liveness.scan.shared import ENDED, Shared

if TYPE_CHECKING:
    from liveness.order.rounds import Rounds, RoundsWalk

LOOK_EVERY_NS: Final = 3_000_000
"""Time between two looks at the clock: what has become due meanwhile is sent together."""
LOOKS_IN_TOLERANCE: Final = 4
LONGEST_SLEEP_NS: Final = 50_000_000
BATCH_FRAMES: Final = 256
"""Largest number of frames that are filled at once, because they share one send time."""


@kernel
def mark_sent(due: Due, addresses: NDArray[np.uint32], bits: NDArray[np.uint8], first: int, frames: int) -> None:
    """Set the bits of the first `frames` probes of a batch that were filled, without those before position `first`.

    `bits` is (probes, planes, bytes) of the batch's round, `addresses` the circular buffer of drawn targets.
    """
    mask, begin, left = len(addresses) - 1, due.counts[FROM], frames
    for row in range(due.counts[STRIPS]):
        probe = due.strips[row, PROBE]
        for position in range(due.strips[row, POSITION], due.strips[row, POSITION] + due.strips[row, TICKS]):
            if addresses[position & mask] == NO_TARGET:
                continue  # withdrawn: no frame was filled
            left -= 1
            if left >= 0 and position >= first:
                index = int(due.drawn[position - begin])
                bits[probe, SENT, index >> 3] |= np.uint8(1 << (index & 7))


@dataclass(frozen=True, slots=True)
class Clock:
    """The time of day in ns since 1970, and a pause in seconds: those of this machine, or of a simulation."""

    now_ns: Callable[[], int] = time.time_ns
    sleep: Callable[[float], None] = time.sleep


class RoundSender:
    """The only sender of a survey; `run` does all its work."""

    def __init__(
        self,
        plan: Plan,
        order: "Rounds",
        constants: RunConstants,
        ring: TxRing,
        shared: Shared,
        live: LivePlanes,
        tolerance_ns: int,
        clock: "Clock | None" = None,
    ) -> None:
        self.transmitter = Transmitter(plan, constants, ring, shared, 0)
        self._order = order
        self._shared = shared
        self._live = live
        self._tolerance_ns = tolerance_ns
        self._clock = Clock() if clock is None else clock
        self._look_every_ns = min(LOOK_EVERY_NS, tolerance_ns // LOOKS_IN_TOLERANCE)
        self._batch = min(BATCH_FRAMES, -(-len(ring.frames) // 2))
        self._due = empty_due(self._batch, self._batch)
        self._left_out = order.parts[0].listed.difference(plan.intervals)
        """Addresses of the blocks that are never probed."""
        self._generation = 0

    def run(self) -> None:
        """Send until the last slot has passed, or until soon after the stop flag is set.

        Raises LivenessError if the interface fails.
        """
        try:
            walk = self.begin()
            while not walk.finished and not self._shared.stopping():
                self.step(walk)
            self.transmitter.drain()
        except LivenessError:
            self.transmitter.take_back_unsent()
            raise
        finally:
            self._shared.held[0] = ENDED
            self.transmitter.ring.close()

    def begin(self) -> "RoundsWalk":
        """Return the walk through the survey, from the first slot that is not over."""
        queue = queue_of(self._order.parts[0].listed, self._batch, self._left_out)
        self.transmitter.load(queue, self._due, self._shared.sent[0])
        walk = self._order.walk(0, Share(), 0.0, np.zeros((0, 0), np.int64))
        walk.skip_to(self._order.due_by(self._clock.now_ns() - self._tolerance_ns))
        return walk

    def step(self, walk: "RoundsWalk") -> None:
        """Send what is due now, or sleep until the next slot."""
        transmitter, shared, order = self.transmitter, self._shared, self._order
        if transmitter.stalled or shared.hold.item():
            transmitter.pause()
            transmitter.stalled = False
        if shared.withdrawn.generation != self._generation:
            self._generation, withdrawn = shared.withdrawn.read()
            transmitter.load(
                withdraw(transmitter.queue, withdrawn.union(self._left_out)), self._due, transmitter.counts
            )
        transmitter.redirect()
        now_ns = self._clock.now_ns()
        walk.skip_to(order.due_by(now_ns - self._tolerance_ns))  # what is later than that is not sent any more
        due = order.due_by(now_ns)
        if due <= walk.tick or not self._recorded(walk.tick):
            transmitter.record()
            transmitter.kick_waiting()
            wait_ns = order.due_ns(walk.tick) - now_ns if due <= walk.tick else self._look_every_ns
            self._clock.sleep(min(max(wait_ns, self._look_every_ns), LONGEST_SLEEP_NS) / 1e9)
            return
        first, free = transmitter.reserve(min(self._batch, due - walk.tick))
        if free and walk.draw(self._due, free, due - 1, 0):
            self._send(first)

    def _recorded(self, position: int) -> bool:
        """Return whether the live planes have room for the round of a slot; a probe without a record is not sent."""
        number = position // self._order.slots
        return bool(self._live.tags[number % self._live.depth] == number)

    def _send(self, first_slot: int) -> None:
        """Fill and send the batch that was drawn, and record what has left in time."""
        transmitter, order = self.transmitter, self._order
        number = int(self._due.counts[FROM]) // order.slots
        filled = transmitter.fill(first_slot)
        if not filled:
            return
        dropped_before = transmitter.ring.errors
        transmitter.send_off()
        transmitter.record()
        left = filled
        if transmitter.ring.errors > dropped_before:
            left = 0  # which of them were lost is not known
        elif transmitter.stalled or self._shared.hold.item() or self._shared.stopping():
            left = max(0, filled - len(transmitter.ring.unsent()))  # frames leave in order
        in_time = order.due_by(self._clock.now_ns() - self._tolerance_ns)
        mark_sent(self._due, transmitter.queue.addresses, self._live.of_round(number), in_time, left)


def warm_up() -> None:
    """Compile the kernel that sets bits, or load it from its cache, so that the first slots are not missed."""
    mark_sent(empty_due(1, 1), np.zeros(2, np.uint32), np.zeros((1, 1, 1), np.uint8), 0, 0)
