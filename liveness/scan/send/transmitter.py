"""The transmitter of a sender: its ring, and its handling of delays, such as pauses and an interface that is down."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from liveness.errors import InterfaceDownError, LivenessError
from liveness.kernel import compiled_for
from liveness.net.ring import TxRing, pace, spread
from liveness.order.due import Due, empty_due
from liveness.probes.hops import redirect
from liveness.probes.run_constants import RunConstants, with_hops
from liveness.scan.plan import Plan
from liveness.scan.send.fill import fill_due, slots_of
from liveness.scan.send.queue import TargetQueue, queue_of
from liveness.scan.shared import HOLD_PATH, Shared
from liveness.space.intervals import Intervals

R = TypeVar("R")

FLUSH_TIMEOUT_S: Final = 10.0
FLUSH_STEP_S: Final = 0.1
"""Longest time until a sender that drains its ring notices that it has to pause."""
POLL_S: Final = 0.02
DROPS_EVERY_S: Final = 0.1


class Transmitter:
    """The path of the frames of sender `index` of a run. Frames put into the ring are counted in `counts`.

    `counts` has the shape (probes, attempts).
    """

    def __init__(self, plan: Plan, constants: RunConstants, ring: TxRing, shared: Shared, index: int) -> None:
        self.ring = ring
        self.slots = slots_of(ring.frames)
        self.counts = shared.sent[index]
        self.queue = queue_of(Intervals.empty(), 0, Intervals.empty())
        """Addresses of the targets that the current walk has drawn."""
        self.stalled = False
        """Whether the interface has been down since the sender last resumed its schedule."""
        self._constants = constants
        self._shared = shared
        self._index = index
        self._share = len(plan.probes) / plan.senders
        self._longest_pause_s = plan.config.limits.max_pause.seconds
        self._hop_generation = 0
        self._drops_at_s = 0.0
        self._due = empty_due(0, 0)
        self._fill: Callable[..., int] = fill_due

    def reserve(self, frames: int) -> tuple[int, int]:
        """Return the first free slot and the number of free slots, at most `frames`; wait up to POLL_S if it is 0."""
        first, free = self.ring.reserve(frames)
        if free == 0:
            self._attempt(self.ring.kick)
            self._attempt(lambda: self.ring.wait(POLL_S))
        return first, free

    def pace(self, rate_pps: float) -> float:
        """Set the rate of one probe, over all senders, at which frames leave from now on; return the ring's lead in s.

        Most frames are as long as those of most probes.
        """
        usual_bytes = int(np.bincount(self._constants.lengths).argmax())
        return pace(self.ring, rate_pps * self._share, usual_bytes)

    def spread(self, first_s: float, end_s: float) -> None:
        """Set when the frames that are filled next leave: see `liveness.net.ring.spread`."""
        spread(self.ring, first_s, end_s)

    def load(self, queue: TargetQueue, due: Due, counts: NDArray[np.int64]) -> None:
        """Set the queue and the batch from which `fill` fills frames, and the counts, (probes, attempts)."""
        self.queue, self.counts = queue, counts
        self._due = due
        self._fill = compiled_for(
            fill_due, due, queue, self._constants, self.slots, 0, 0, self._shared.answered, counts
        )

    def fill(self, first_slot: int, ahead_ns: int = 0) -> int:
        """Fill the frames of all due probes and commit them to the ring; return the number of frames filled.

        The first of them leaves `ahead_ns` from now.
        """
        filled = self._fill(
            self._due,
            self.queue,
            self._constants,
            self.slots,
            first_slot,
            time.time_ns() + ahead_ns,
            self._shared.answered,
            self.counts,
        )
        self.ring.commit(filled, self.slots.lengths)
        return filled

    def send_off(self) -> None:
        """Kick the ring until the kernel has taken all frames, or until senders are held or have to stop."""
        self._attempt(self._send_off)

    def _send_off(self) -> None:
        while not self.ring.kick() and not self._shared.hold[0] and not self._shared.stopping():
            self._shared.completed[self._index] = self.ring.completed
            self.ring.wait(POLL_S)

    def kick_waiting(self) -> None:
        """Kick the ring if frames wait in it, so that a ring that is stuck is noticed."""
        if self.ring.waiting:
            self._attempt(self.ring.kick)

    def redirect(self) -> None:
        """Use the newest table of next hops if it has changed, also for frames that wait in the ring."""
        hops = self._shared.hops
        if hops.generation == self._hop_generation:
            return
        self._hop_generation, table = hops.read()
        self._constants = with_hops(self._constants, table)
        redirect(self.ring.frames, table)
        self.load(self.queue, self._due, self.counts)
        activity = self._shared.activities.now(self._index)
        hops.taken_tick[self._index] = 0 if activity is None else activity.tick
        hops.taken_handed[self._index] = self._shared.handed(self._index)
        hops.taken_ns[self._index] = time.monotonic_ns()
        hops.taken[self._index] = self._hop_generation

    def record(self) -> None:
        """Record how many frames have left, and at most every DROPS_EVERY_S how many were dropped (a system call)."""
        self._shared.completed[self._index] = self.ring.completed
        now_s = time.monotonic()
        if now_s >= self._drops_at_s:
            self._drops_at_s = now_s + DROPS_EVERY_S
            self._shared.dropped[self._index] = self.ring.errors

    def pause(self) -> float:
        """Wait while senders are held, unless they have to stop; return the time waited in seconds."""
        began_s = time.monotonic()
        if self._shared.hold[0]:
            self._drops_at_s = 0.0
            self.record()  # so that earlier drops are known before the pause ends
        while (hold := int(self._shared.hold[0])) and not self._shared.stopping():
            self._shared.held[self._index] = hold
            time.sleep(POLL_S)
        self._shared.held[self._index] = 0
        return time.monotonic() - began_s

    def drain(self) -> None:
        """Wait until the ring is empty, so that all frames counted as sent have left.

        Frames that cannot leave because the scan stops while the path is broken are counted as errors instead. Raises
        LivenessError if frames are left after FLUSH_TIMEOUT_S.
        """
        self.pause()
        if self._ends_early():
            self.take_back_unsent()
            return
        self.redirect()
        deadline = time.monotonic() + FLUSH_TIMEOUT_S
        while (left := self._flush()) and time.monotonic() < deadline and not self._ends_early():
            deadline += self.pause()
            self.redirect()
        self._shared.completed[self._index] = self.ring.completed
        self._shared.dropped[self._index] = self.ring.errors
        if left and self._ends_early():
            self.take_back_unsent()
        elif left:
            raise LivenessError(f"{left} frames did not leave within {FLUSH_TIMEOUT_S:.0f} s: the interface is stuck")

    def _flush(self) -> int:
        """Kick the ring and wait up to FLUSH_STEP_S for it to become empty; return the number of frames left in it."""
        left = self._attempt(lambda: self.ring.flush(FLUSH_STEP_S))
        return len(self.ring.unsent()) if left is None else left

    def _attempt(self, act: Callable[[], R]) -> R | None:
        """Return the result of `act` on the ring; while the interface is down, wait and try again.

        Returns None if senders have to stop meanwhile. Committed frames keep their slots in the ring and leave when the
        interface is up again. Raises InterfaceDownError if the interface is down for longer than `limits.max_pause`,
        and InterfaceGoneError if it was removed.
        """
        while True:
            try:
                return act()
            except InterfaceDownError:
                self.stalled = True
                self._shared.downs[self._index] += 1
                if not self._await_interface():
                    return None

    def _await_interface(self) -> bool:
        """Wait until the interface is up; return False if senders have to stop meanwhile."""
        deadline = time.monotonic() + self._longest_pause_s
        while not self._shared.stopping():
            time.sleep(POLL_S)
            deadline += self.pause()
            try:
                self.ring.kick()
            except InterfaceDownError:
                if time.monotonic() > deadline:
                    raise
            else:
                return True
        return False

    def _ends_early(self) -> bool:
        """Return whether this sender has to stop while the path is broken, so that frames in its ring cannot leave."""
        return self._shared.stopping() and (self.stalled or bool(self._shared.hold[0] & HOLD_PATH))

    def take_back_unsent(self) -> None:
        """Count frames that were committed to the ring but never left as errors, and no longer as sent."""
        self._shared.completed[self._index] = self.ring.completed
        for slot in self.ring.unsent():
            probe = self.slots.held[slot]
            self.counts[probe, self.slots.attempts[slot]] -= 1
            self._shared.send_errors[self._index, probe] += 1


def warm_up_fill(due: Due, queue: TargetQueue, constants: RunConstants, attempts: int) -> None:
    """Compile the kernel that fills frames, or load it from its cache, by filling frames that are never sent."""
    slots = slots_of(np.zeros((max(1, len(due.strips)), 2 * constants.templates.shape[1]), np.uint8))
    counts = np.zeros((len(constants.lengths), attempts), np.int64)
    fill_due(due, queue, constants, slots, 0, 0, np.zeros(0, np.uint32), counts)
