"""The sender process: it walks its share of an order, fills frames in its ring and keeps to the rate."""

import time
from typing import Final

import numpy as np

from liveness.errors import LivenessError
from liveness.kernel import fence
from liveness.net.ring import TxRing
from liveness.net.xdp_memory import hand_over_nothing
from liveness.order.due import empty_due
from liveness.order.order import Position, Share, Walk
from liveness.order.ticks import MAX_TICKS, UNKNOWN
from liveness.probes.run_constants import RunConstants
from liveness.scan.agreed_start import agreed_ns
from liveness.scan.losses.repairs import Stretch
from liveness.scan.plan import Plan
from liveness.scan.send.pacing import LOOK_EVERY_S, Batch, Pacer, SpacingGuard
from liveness.scan.send.queue import TargetQueue, queue_of, take_drawn, withdraw
from liveness.scan.send.transmitter import POLL_S, Transmitter, warm_up_fill
from liveness.scan.shared import ENDED, Shared
from liveness.space.intervals import ADDRESS_SPACE, Intervals

NS_PER_S: Final = 1_000_000_000
SKIPPED_AT_ONCE: Final = 1 << 16
"""Number of targets that are drawn at once while a walk is skipped to its position."""


class Sender:
    """Sender `index` of a run; `run` does all its work. In a resumed run it begins at the position `start`."""

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
        self.shared = shared
        self.index = index
        self.start = start
        self.share = plan.share(index)
        self.transmitter = Transmitter(plan, constants, ring, shared, index)
        self.batch = Batch(-(-len(ring.frames) // 2))  # while one half of the ring is sent, the other is filled
        self._beginning: int | None = None
        """The part of which no frame has left yet."""
        self._first_tick = 0
        """Of the walk that is sent, in this session."""
        self.withdrawn = Intervals.empty()
        """Targets that must not be probed any more."""
        self.generation = 0
        """Generation of the supervisor's withdrawn list that `withdrawn` was read from."""
        self._due = empty_due(self.batch.most + 2 * MAX_TICKS, self.batch.most + len(plan.probes) * plan.attempts)

    def run(self) -> None:
        """Send all parts of the order; return after the cooldown of the last one, or soon after the stop flag is set.

        Raises LivenessError if the interface fails; frames that never left are then counted as errors, not as sent.
        """
        parts = len(self.plan.order.parts)
        try:
            first = int(self.shared.drained[self.index])
            for part in range(first, parts):
                self._await_start(part)
                self._send(*self._begin(part))
                self.transmitter.drain()
                if not self._finish_part(part):
                    return
            if first >= parts and self._repair(parts - 1):  # an earlier session has sent all parts; losses may remain
                self._finish_part(parts - 1)
        except LivenessError:
            self.transmitter.take_back_unsent()
            raise
        finally:
            self.shared.held[self.index] = ENDED
            self.transmitter.ring.close()

    def _await_start(self, part: int) -> None:
        """Wait until the agreed start of a part, if it has one, unless the sender has to stop.

        The part has begun with its first frame: a sender that is held then, or has to stop, has not begun it.
        """
        start_ns = agreed_ns(self.plan, part)
        while start_ns is not None and not self.shared.stopping() and (left_ns := start_ns - time.time_ns()) > 0:
            self._wait()
            time.sleep(min(POLL_S, left_ns / 1e9))
        self._beginning = part

    def _finish_part(self, part: int) -> bool:
        """Repair known losses and wait for replies, until no loss is left to repair; return False if stopped."""
        again = True
        self._repair(part)
        while again:
            if self.shared.stopping():
                return False
            self.shared.drained[self.index] = part + 1
            if not self._wait_for_others(part + 1) or not self._cool_down():
                return False
            again = self._repair(part)
        return not self.shared.stopping()

    def _repair(self, part: int) -> bool:
        """Send again each stretch of parts up to `part` that the supervisor names; return whether there was one."""
        desk, repaired = self.shared.repairs, False
        while desk.open[0] and not self.shared.stopping():
            desk.request(self.index, part)
            while not desk.is_answered(self.index):
                if self.shared.stopping():
                    return repaired
                self._wait()
                time.sleep(POLL_S)
            stretch = desk.answered_stretch(self.index)
            if stretch is None:
                break
            repaired = True
            self._send_again(stretch)
            self.transmitter.drain()
        return repaired

    def _send_again(self, stretch: Stretch) -> None:
        """Walk a stretch of the order again as before: the same targets in the same lanes."""
        place = Position(block=stretch.block, tick=stretch.first, lags=stretch.lags, begins=stretch.begins)
        walk = self.plan.order.again(place, self.share)
        queue = self._queue(walk, stretch.block, self._spared(stretch))
        _skip(walk, queue, stretch.first)
        self._send(walk, queue, stretch)

    def _begin(self, part: int) -> tuple[Walk, TargetQueue]:
        """Return the walk through a part, from where an earlier session of this run left it, and its target queue."""
        start = self.start
        here = start if start is not None and start.block == part else None
        marks = self.shared.marks[part][self.index]
        walk = self.plan.order.walk(part, self.share, float(self.shared.rate_pps[0]), marks, here)
        queue = self._queue(walk, part, self.withdrawn)
        if start is not None and start.block >= part:
            # This sender had reached the tick in an earlier session, or had even sent the whole part, while other
            # senders had not: skip what it has sent.
            tick = start.tick if here is not None else UNKNOWN
            if tick:  # the first tick begins when it is sent: its time is in the lag record
                _skip(walk, queue, tick)
            if not self.shared.publishes_counts:
                self.shared.sent_before[self.index] += walk.probed()
        return walk, queue

    def _spared(self, stretch: Stretch | None) -> Intervals:
        """Return the targets that nothing is sent to: withdrawn ones, and those that a repair does not concern."""
        if stretch is None or (stretch.lowest, stretch.highest) == (0, ADDRESS_SPACE - 1):
            return self.withdrawn
        concerned = Intervals.from_bounds([stretch.lowest], [stretch.highest])
        return self.withdrawn.union(concerned.complement())

    def _queue(self, walk: Walk, part: int, spared: Intervals) -> TargetQueue:
        places = walk.reach + max(len(self._due.drawn), MAX_TICKS)
        return queue_of(self.plan.order.parts[part].listed, places, spared)

    def _report_position(self, walk: Walk, stretch: Stretch | None = None) -> None:
        """Publish the position of the walk; a repair is no position for a later session to resume from."""
        position = walk.position()
        if stretch is None:
            self.shared.publish_position(self.index, position)
            self.shared.activities.begin(self.index, position, self._first_tick, walk.end)
        else:
            self.shared.activities.begin(self.index, position, stretch.first, stretch.last, stretch.number)

    def _send(self, walk: Walk, queue: TargetQueue, stretch: Stretch | None = None) -> None:
        """Send a walk to its end, or to the end of a stretch that is sent again."""
        shared, transmitter, again = self.shared, self.transmitter, stretch is not None
        last, pace = (UNKNOWN, 1.0) if stretch is None else (stretch.last, stretch.pace)
        transmitter.load(queue, self._due, shared.repaired[self.index] if again else shared.sent[self.index])
        rate_pps = shared.pace_pps() * pace
        units = walk.units / self.plan.senders  # virtual time that passes per packet of one probe, over all senders
        lead_s = transmitter.pace(rate_pps)  # before the clock starts, because it may take a moment
        pacer = Pacer(rate_pps * units, give_up_s=self.plan.catch_up_s, lead_s=lead_s)
        given_up_s = float(shared.given_up_s[self.index])
        guard = SpacingGuard(self.plan.config.probe_spacing_s, walk.tick, clock=lambda: pacer.leaves_s(walk.due))
        if stretch is None:
            self._first_tick = walk.tick  # earlier ticks were sent in another session
        self._report_position(walk, stretch)
        while not shared.stopping() and not walk.finished and walk.done < last:
            if transmitter.stalled or shared.hold.item():
                transmitter.pause()
                transmitter.stalled = False
                pacer.change(rate_pps * units, walk.due)
                continue
            if shared.withdrawn.generation != self.generation:
                self.generation, self.withdrawn = shared.withdrawn.read()
                transmitter.load(withdraw(transmitter.queue, self._spared(stretch)), self._due, transmitter.counts)
            wanted = shared.pace_pps() * pace
            if wanted != rate_pps and self._take_rate(walk, wanted, again=again):
                rate_pps = wanted
                pacer.change(rate_pps * units, walk.due, transmitter.pace(rate_pps))
            transmitter.redirect()
            first, free = transmitter.reserve(self.batch.frames)
            if free == 0:
                continue
            spacing = walk.spacing
            until = pacer.until(walk.due)
            if again:
                until = min(until, walk.due_before(last))  # nothing beyond the stretch
            spaced = walk.due_before(guard.limit(spacing)) if spacing else UNKNOWN
            if pacer.given_up_s:
                shared.given_up_s[self.index] = given_up_s + pacer.given_up_s
            drawn = self._fill_and_send(walk, pacer, first, free, min(until, spaced), again=again)
            guard.passed(walk.done)
            transmitter.record()
            if drawn < free and not walk.finished:
                sleep_s = pacer.wait_s(walk.due)
                time.sleep(sleep_s if until <= spaced else max(sleep_s, LOOK_EVERY_S))

    def _take_rate(self, walk: Walk, rate_pps: float, *, again: bool) -> bool:
        """Adapt the spacing of a walk to another rate; return False if the caller has to try again later."""
        before = walk.spacing
        taken = walk.take_rate(rate_pps)
        if walk.spacing != before and not again:
            self._report_position(walk)
        return taken

    def _fill_and_send(self, walk: Walk, pacer: Pacer, first: int, free: int, until: int, *, again: bool) -> int:
        """Send the probes due by `until`, up to `free` frames from the slot `first` on; return the number due.

        The frames share one send time, so nothing else is done until the kernel has taken all of them. With `again`,
        the walk is a repair, and its tick is no position for a later session to resume from.
        """
        began_s = time.monotonic()
        first_s = pacer.leaves_s(walk.due)
        drawn = walk.draw(self._due, free, until, int(first_s * NS_PER_S))
        ahead_ns = int((first_s - began_s) * NS_PER_S)
        if pacer.lead_s:
            self.transmitter.spread(first_s, pacer.leaves_s(walk.due))
        filled = self.transmitter.fill(first, ahead_ns)
        if filled:
            if not again:
                self.shared.positions.publish_tick(self.index, walk.tick)
            self.shared.activities.tick(self.index, walk.tick)
            began_ns = 0 if self._beginning is None else time.time_ns() + ahead_ns
            self.transmitter.send_off()
            if not self.transmitter.stalled:
                self.batch.took(filled, time.monotonic() - began_s)
                if self._beginning is not None:
                    self.shared.began_ns[self.index, self._beginning] = began_ns
                    self._beginning = None
        else:
            self.transmitter.kick_waiting()
        return drawn

    def _wait_for_others(self, parts: int) -> bool:
        """Wait until every sender has drained `parts` parts; return False if senders have to stop."""
        while self.shared.blocks_drained() < parts:
            if self.shared.stopping():
                return False
            self._wait()
            time.sleep(POLL_S)
        return True

    def _wait(self) -> float:
        """Pause while senders are held; return for how long, in seconds.

        New next hops are taken over although nothing is sent: what a change of the path lost is reported, and can be
        repaired, once every sender has taken them.
        """
        paused_s = self.transmitter.pause()
        self.transmitter.redirect()
        return paused_s

    def _cool_down(self) -> bool:
        """Wait for late replies during the cooldown, pauses not counted; return False if senders have to stop."""
        until = time.monotonic() + self.plan.cooldown_s
        while time.monotonic() < until:
            if self.shared.stopping():
                return False
            until += self._wait()
            time.sleep(min(POLL_S, max(0.0, until - time.monotonic())))
        return True


def _skip(walk: Walk, queue: TargetQueue, tick: int) -> None:
    """Advance a walk to a tick, and put the targets that it draws on the way into the queue."""
    due = empty_due(min(SKIPPED_AT_ONCE, len(queue.addresses)), 0)
    there = False
    while not there:
        there = walk.skip(due, tick)
        take_drawn(queue, due)


def warm_up(plan: Plan, constants: RunConstants) -> None:
    """Compile the kernels of sending, or load them from their cache, by filling one batch that is never sent."""
    share, order = Share(), plan.order
    lanes = len(plan.probes) * plan.attempts
    walk = order.walk(0, share, plan.rate_pps, np.zeros((lanes, order.marks(0, share)), np.int64))
    due = empty_due(2 * MAX_TICKS, lanes)
    queue = queue_of(order.parts[0].listed, len(due.drawn), Intervals.empty())
    _skip(walk, queue, 0)
    walk.draw(due, 1, 0, 0)
    walk.probed()
    warm_up_fill(due, queue, constants, plan.attempts)
    fence()
    hand_over_nothing()
