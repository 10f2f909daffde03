"""The sender process: walks its share of every block, fills frames in its ring and keeps to the rate."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

import numpy as np

from liveness.errors import InterfaceDownError, LivenessError
from liveness.kernel import compiled_for, fence
from liveness.net.ring import TxRing
from liveness.net.xdp_memory import hand_over_nothing
from liveness.order.schedule import (
    FINISHED,
    TICK,
    UNKNOWN,
    Lane,
    Walk,
    begin_walk,
    done_before,
    due_before,
    next_due,
    plan_lanes,
    probed,
    skip_to,
    take_lags,
    widen_spacing,
    widened,
    withdraw,
)
from liveness.probes.hops import redirect
from liveness.probes.run_constants import RunConstants, with_hops
from liveness.runs.checkpoint import Position
from liveness.scan.losses.repairs import Stretch
from liveness.scan.plan import BlockPlan, Plan
from liveness.scan.send.engine import fill_batch
from liveness.scan.send.pacing import LOOK_EVERY_S, Batch, Pacer, SpacingGuard
from liveness.scan.send.slots import slots_of
from liveness.scan.shared import ENDED, HOLD_PATH, Shared
from liveness.space.intervals import Intervals

R = TypeVar("R")

FLUSH_TIMEOUT_S: Final = 10.0
FLUSH_STEP_S: Final = 0.1
"""How long a sender that empties its ring takes at most to notice that it shall pause."""
POLL_S: Final = 0.02
RAISED_MOST: Final = 2
"""How far above the planned rate the schedule has room for: a signal may raise it."""
DROPS_EVERY_S: Final = 0.1


class Sender:
    """Sender `index` of a run; `run` is its whole life. One that goes on in a run begins at the position `start`."""

    def __init__(
        self,
        plan: Plan,
        constants: RunConstants,
        ring: TxRing,
        shared: Shared,
        index: int,
        start: Position | None = None,
    ) -> None:
        self.plan = plan
        self.constants = constants
        self.ring = ring
        self.shared = shared
        self.index = index
        self.start = start
        self.slots = slots_of(ring.frames)
        self.batch = Batch(-(-len(ring.frames) // 2))  # while one half of the ring leaves, the other is filled
        self.spacing = 0
        """Targets between two probes to one address, as the lanes of the current block have it."""
        self.withdrawn = Intervals.empty()
        """Targets that nothing is sent to any more, and which of the supervisor's lists that is."""
        self.generation = 0
        self.hop_generation = 0
        self._drops_at_s = 0.0
        self._fill: Callable[..., int] = fill_batch
        self._counts = shared.sent[index]
        """Where the frames in the ring are counted, (probes, attempts)."""
        self.stalled = False
        """Whether the interface was down since the last frame was filled."""

    def run(self) -> None:
        """Send every block; return when the last one's cooldown is over, or soon after the stop flag is set.

        LivenessError if the interface fails; frames that never left are then counted as errors and not as sent.
        """
        try:
            first = int(self.shared.drained[self.index])
            for number, block in enumerate(self.plan.blocks[first:], first):
                self._send(self._begin(number, block), number)
                self._drain()
                if not self._finish_block(number):
                    return
            last = len(self.plan.blocks) - 1
            if first > last and self._repair(last):  # an earlier session has sent all blocks
                self._finish_block(last)
        except LivenessError:
            self._take_back_unsent()
            raise
        finally:
            self.shared.held[self.index] = ENDED
            self.ring.close()

    def _finish_block(self, number: int) -> bool:
        """Send again what is known to be lost, and await replies; once more if that went wrong. False if stopped."""
        again = True
        self._repair(number)
        while again:
            if self.shared.stopping():
                return False
            self.shared.drained[self.index] = number + 1
            if not self._wait_for_others(number + 1) or not self._cool_down():
                return False
            again = self._repair(number)
        return not self.shared.stopping()

    def _repair(self, number: int) -> bool:
        """Send every stretch of blocks up to `number` again that the supervisor names; return whether there was one."""
        desk, repaired = self.shared.repairs, False
        while desk.open[0] and not self.shared.stopping():
            desk.ask(self.index, number)
            while not desk.answered(self.index):
                if self.shared.stopping():
                    return repaired
                self._pause()
                time.sleep(POLL_S)
            stretch = desk.given(self.index)
            if stretch is None:
                break
            repaired = True
            self._send_again(stretch)
            self._drain()
        return repaired

    def _send_again(self, stretch: Stretch) -> None:
        """Walk a stretch of the order again, as it was walked: the same targets by the same lanes."""
        plan, block = self.plan, self.plan.blocks[stretch.block]
        lanes = tuple(
            Lane(place % len(plan.probes), place // len(plan.probes), lag) for place, lag in enumerate(stretch.lags)
        )
        walk = begin_walk(
            block.permutation.shard(self.index, plan.senders, block.targets),
            lanes,
            block.intervals.first,
            block.intervals.cumulative,
            np.zeros((len(lanes), plan.marks(block)), np.int64),  # the lag record is of what was sent first
            plan.mark_every_of_sender,
            time.monotonic_ns(),
            max(stretch.lags),
            self.withdrawn,
        )
        take_lags(walk, stretch.lags, stretch.begins)
        skip_to(walk, stretch.first)
        self._send(walk, stretch.block, stretch)

    def _begin(self, number: int, block: BlockPlan) -> Walk:
        plan = self.plan
        shard = block.permutation.shard(self.index, plan.senders, block.targets)
        self.spacing = self._spacing(float(self.shared.rate_pps[0]))
        lanes = plan_lanes(
            len(plan.probes),
            plan.attempts,
            plan.queue_of_sender,
            self.spacing,
            plan.targets_of_sender(block),
        )
        start = self.start if self.start is not None and self.start.block == number else None
        lags = [lane.lag for lane in lanes]
        if start is not None and start.lags:
            lags = start.lags
            self.spacing = lags[1] if len(plan.probes) > 1 else 0
        wider = widened(lanes[-1], max(0, self._spacing(RAISED_MOST * plan.rate_pps) - self.spacing), len(plan.probes))
        walk = begin_walk(
            shard,
            lanes,
            block.intervals.first,
            block.intervals.cumulative,
            self.shared.marks[number][self.index],
            plan.mark_every_of_sender,
            time.monotonic_ns(),
            max(lags) + wider,
            self.withdrawn,
        )
        start = self.start
        if start is not None and start.block == number:
            self._go_on(walk, start)
        elif start is not None and start.block > number:  # the others were not so far
            self._go_on(walk, Position(block=number, tick=UNKNOWN))
        return walk

    def _go_on(self, walk: Walk, start: Position) -> None:
        """Bring a walk to where an earlier session of this run left it, and count what that has sent of this block."""
        if start.lags:
            take_lags(walk, start.lags, start.begins or start.lags)
        skip_to(walk, start.tick)
        if self.shared.counts_told:
            return
        for lane in range(len(walk.lane_lags)):
            place = self.index, walk.lane_probes[lane], walk.lane_attempts[lane]
            self.shared.sent_before[place] += probed(walk, lane)

    def _tell_position(self, walk: Walk, number: int, stretch: Stretch | None = None) -> None:
        """Say where the walk stands; that of a repair is none to go on from later."""
        lags, begins = walk.lane_lags.tolist(), walk.lane_begins.tolist()
        position = Position(block=number, tick=int(walk.state[TICK]), lags=lags, begins=begins)
        if stretch is None:
            self.shared.tell_position(self.index, position)
            ends = max(lags) + self.plan.targets_of_sender(self.plan.blocks[number])
            self.shared.activities.begin(self.index, position, 0, ends)
        else:
            self.shared.activities.begin(self.index, position, stretch.first, stretch.last)

    def _spacing(self, rate_pps: float) -> int:
        """Return the spacing for a rate: no less than the planned one, unless the rate is found on the way.

        A signal may raise a given rate without bound, the spacing by RAISED_MOST: beyond, the spacing holds the rate.
        """
        planned = self.plan.rate_pps
        if not self.plan.config.rate.auto:
            rate_pps = min(max(rate_pps, planned), RAISED_MOST * planned)
        return self.plan.spacing_of_sender(rate_pps)

    def _spaced_for(self, walk: Walk, number: int, rate_pps: float) -> bool:
        """Widen the spacing to what a higher rate needs; False if that has to wait for the tick's end.

        At a lower rate it stays: it is time between two probes that is promised, and it has become longer.
        """
        spacing = self._spacing(rate_pps)
        if spacing > self.spacing:
            if not widen_spacing(walk, spacing - self.spacing):
                return False
            self.spacing = spacing
            self._tell_position(walk, number)
        return True

    def _send(self, walk: Walk, number: int, stretch: Stretch | None = None) -> None:
        """Send a walk to its end, or to that of a stretch which is sent again."""
        shared = self.shared
        last = UNKNOWN if stretch is None else stretch.last
        pace = 1.0 if stretch is None else stretch.pace
        self._counts = shared.sent[self.index] if stretch is None else shared.repaired[self.index]
        rate_pps = shared.pace_pps() * pace
        units = len(walk.lane_lags) / self.plan.senders  # of virtual time, a packet at the rate of one probe
        pacer = Pacer(rate_pps * units, give_up_s=self.plan.catch_up_s)
        given_up_s = float(self.shared.given_up_s[self.index])
        guard = SpacingGuard(self.plan.config.probe_spacing_s, int(walk.state[TICK]))
        self._tell_position(walk, number, stretch)
        self._fill = self._kernel_for(walk)
        lanes = len(walk.lane_lags)
        state = walk.state.tolist()  # a copy, made whenever the walk has moved: see `next_due`
        while not shared.stopping() and not state[FINISHED] and state[TICK] < last:
            if self.stalled or shared.hold.item():
                self._pause()
                self.stalled = False
                pacer.change(rate_pps * units, next_due(state, lanes))
                continue
            if shared.withdrawn.generation != self.generation:
                self.generation, self.withdrawn = shared.withdrawn.read()
                walk = withdraw(walk, self.withdrawn)
                self._fill = self._kernel_for(walk)
            wanted = shared.pace_pps() * pace
            if wanted != rate_pps and (stretch is not None or self._spaced_for(walk, number, wanted)):
                rate_pps, state = wanted, walk.state.tolist()
                pacer.change(rate_pps * units, next_due(state, lanes))
            if self._redirect():
                self._fill = self._kernel_for(walk)
            first, free = self.ring.reserve(min(self.batch.frames, (last - state[TICK]) * lanes))
            if free == 0:
                self._attempt(self.ring.kick)
                self._attempt(lambda: self.ring.wait(POLL_S))
                continue
            spacing = self.spacing if stretch is None else int(walk.lane_lags[1 % len(self.plan.probes)])
            until, spaced = pacer.until(next_due(state, lanes)), UNKNOWN
            if spacing and lanes > 1:  # no probe comes too soon after the one before to the same target
                spaced = due_before(state, lanes, guard.limit(spacing))
            if pacer.given_up_s:
                shared.given_up_s[self.index] = given_up_s + pacer.given_up_s
            filled = self._fill_and_send(walk, first, free, min(until, spaced), again=stretch is not None)
            state = walk.state.tolist()
            guard.passed(done_before(state))
            self._count()
            if filled < free and not state[FINISHED]:
                sleep_s = pacer.wait_s(next_due(state, lanes))
                time.sleep(sleep_s if until <= spaced else max(sleep_s, LOOK_EVERY_S))

    def _kernel_for(self, walk: Walk) -> Callable[..., int]:
        """Return `fill_batch` as it is compiled for a walk, and for the rest of what this sender calls it with."""
        return compiled_for(
            fill_batch, walk, self.constants, self.slots, 0, 0, 0, 0, 0, self.shared.answered, self._counts
        )

    def _fill_and_send(self, walk: Walk, first: int, free: int, until: int, *, again: bool) -> int:
        """Fill and send up to `free` frames from the slot `first` on, but none due after `until`; return how many.

        They share one send time: nothing else is done before the kernel has taken them all. Where a stretch is sent
        `again` that is no place to go on from later.
        """
        began_s = time.monotonic()
        filled = self._fill(
            walk,
            self.constants,
            self.slots,
            first,
            free,
            until,
            time.time_ns(),
            time.monotonic_ns(),
            self.shared.answered,
            self._counts,
        )
        self.ring.commit(filled, self.slots.lengths)
        if filled:
            tick = int(walk.state[TICK])
            if not again:
                self.shared.positions.tell_tick(self.index, tick)
            self.shared.activities.tick(self.index, tick)
            self._attempt(self._send_off)
            if not self.stalled:
                self.batch.took(filled, time.monotonic() - began_s)
        elif self.ring.waiting:
            self._attempt(self.ring.kick)  # so that a ring that is stuck is noticed
        return int(filled)

    def _send_off(self) -> None:
        """Kick until the kernel has taken everything; not while senders are held, or shall stop."""
        while not self.ring.kick() and not self.shared.hold[0] and not self.shared.stopping():
            self.shared.completed[self.index] = self.ring.completed
            self.ring.wait(POLL_S)

    def _redirect(self) -> bool:
        """Send by the newest table of next hops if it has changed, what waits in the ring included.

        Return whether it has changed.
        """
        if self.shared.hops.generation == self.hop_generation:
            return False
        self.hop_generation, hops = self.shared.hops.read()
        self.constants = with_hops(self.constants, hops)
        redirect(self.ring.frames, hops)
        self.shared.hops.taken[self.index] = self.hop_generation
        return True

    def _count(self) -> None:
        """Tell what has left, and now and then what was dropped on the way: asking for that is a system call."""
        self.shared.completed[self.index] = self.ring.completed
        now_s = time.monotonic()
        if now_s >= self._drops_at_s:
            self._drops_at_s = now_s + DROPS_EVERY_S
            self.shared.dropped[self.index] = self.ring.errors

    def _pause(self) -> float:
        """Send nothing while senders are held, and return how long that was, in seconds; at once when told to stop."""
        began_s = time.monotonic()
        while (hold := int(self.shared.hold[0])) and not self.shared.stopping():
            self.shared.held[self.index] = hold
            time.sleep(POLL_S)
        self.shared.held[self.index] = 0
        return time.monotonic() - began_s

    def _drain(self) -> None:
        """Wait until the ring is empty, so that what was counted as sent has left."""
        self._pause()
        if self._cut_off():
            self._take_back_unsent()
            return
        self._redirect()
        deadline = time.monotonic() + FLUSH_TIMEOUT_S
        while (left := self._flush()) and time.monotonic() < deadline and not self._cut_off():
            deadline += self._pause()
            self._redirect()
        self.shared.completed[self.index] = self.ring.completed
        self.shared.dropped[self.index] = self.ring.errors
        if left and self._cut_off():
            self._take_back_unsent()
        elif left:
            raise LivenessError(f"{left} frames did not leave within {FLUSH_TIMEOUT_S:.0f} s: the interface is stuck")

    def _flush(self) -> int:
        """Kick and wait a moment for the ring to become empty; return how many frames are still in it."""
        left = self._attempt(lambda: self.ring.flush(FLUSH_STEP_S))
        return len(self.ring.unsent()) if left is None else left

    def _attempt(self, act: Callable[[], R]) -> R | None:
        """Do something with the ring; wait where the interface is down. None if told to stop meanwhile.

        What was committed keeps its slot in the ring, and leaves when the interface is up again. InterfaceDownError if
        that takes too long, InterfaceGoneError if the interface was removed.
        """
        while True:
            try:
                return act()
            except InterfaceDownError:
                self.stalled = True
                self.shared.downs[self.index] += 1
                if not self._await_interface():
                    return None

    def _await_interface(self) -> bool:
        """Wait until the interface is up; False if told to stop meanwhile."""
        deadline = time.monotonic() + self.plan.config.limits.max_pause.seconds
        while not self.shared.stopping():
            time.sleep(POLL_S)
            deadline += self._pause()
            try:
                self.ring.kick()
            except InterfaceDownError:
                if time.monotonic() > deadline:
                    raise
            else:
                return True
        return False

    def _cut_off(self) -> bool:
        """Return whether this sender shall stop while the way is broken: what is in its ring can only be lost."""
        return self.shared.stopping() and (self.stalled or bool(self.shared.hold[0] & HOLD_PATH))

    def _take_back_unsent(self) -> None:
        """Correct the counters for frames that were handed over and never left."""
        self.shared.completed[self.index] = self.ring.completed
        for slot in self.ring.unsent():
            probe = self.slots.held[slot]
            self._counts[probe, self.slots.attempts[slot]] -= 1
            self.shared.send_errors[self.index, probe] += 1

    def _wait_for_others(self, blocks: int) -> bool:
        """Wait until every sender has drained so many blocks; return False when told to stop."""
        while self.shared.blocks_drained() < blocks:
            if self.shared.stopping():
                return False
            self._pause()
            time.sleep(POLL_S)
        return True

    def _cool_down(self) -> bool:
        """Wait for late replies, a pause not counted; return False when told to stop."""
        until = time.monotonic() + self.plan.cooldown_s
        while time.monotonic() < until:
            if self.shared.stopping():
                return False
            until += self._pause()
            time.sleep(min(POLL_S, max(0.0, until - time.monotonic())))
        return True


def warm_up(plan: Plan, constants: RunConstants) -> None:
    """Compile the kernels of sending, or load them from their cache, by filling one batch that goes nowhere."""
    block = plan.blocks[0]
    shard = block.permutation.shard(0, 1, 1)
    lanes = plan_lanes(len(plan.probes), plan.attempts, 0, 0, 1)
    marks = np.zeros((len(lanes), plan.marks(block)), np.int64)
    walk = begin_walk(shard, lanes, block.intervals.first, block.intervals.cumulative, marks, 1, 0)
    fill_batch(
        walk,
        constants,
        slots_of(np.zeros((len(lanes), 2 * constants.templates.shape[1]), np.uint8)),
        0,
        len(lanes),
        2**62,
        0,
        0,
        np.zeros(0, np.uint32),
        np.zeros((len(plan.probes), plan.attempts), np.int64),
    )
    fence()
    hand_over_nothing()
    skip_to(walk, 0)
    probed(walk, 0)
