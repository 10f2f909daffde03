"""The order of a census: it draws every target once, block by block, with a separate permutation of each block."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import compiled_for
from liveness.order.block import Block
from liveness.order.due import Due
from liveness.order.lanes import Lane, marks_for, plan_lanes, spacing_margin_s, widened
from liveness.order.order import Position, Share
from liveness.order.permutation import prime_above
from liveness.order.ticks import (
    ACTIVE,
    COST,
    DUE,
    FINISHED,
    LANE,
    TICK,
    Ticks,
    before_first_tick,
    draw_due,
    probed_by,
    skip_ticks,
    take_lags,
    widen_spacing,
)
from liveness.space.intervals import Intervals, union

MARK_EVERY: Final = 1_000_000
"""Targets between two entries of the lag record (Bano et al. 2018, section 3)."""
RAISED_MOST: Final = 2
"""Factor above the planned rate up to which the spacing follows the rate, which a signal may raise."""


@dataclass(frozen=True)
class OncePerBlock:
    """The order of a census. Rates are packets per second of one probe, all senders of a machine together."""

    parts: Sequence[Block]
    probes: int
    attempts: int
    queue: int
    """Number of targets between a probe and its repeat."""
    spacing_s: float
    """Least time between two probes to one address."""
    rate_pps: float
    """The planned rate, or the upper limit if the rate is searched for."""
    searched: bool = False
    """Whether the rate is searched for. If so, the spacing in targets starts low and grows with the rate."""

    mark_every: int = MARK_EVERY
    """Targets between two entries of the lag record, counted over all senders."""

    @cached_property
    def lanes(self) -> int:
        """Number of lanes: probes times attempts."""
        return self.probes * self.attempts

    def walk(
        self, part: int, share: Share, rate_pps: float, marks: NDArray[np.int64], start: Position | None = None
    ) -> "BlockWalk":
        """Return a walk through a block, before its first tick: see `Order.walk`."""
        spacing = self.spacing(rate_pps, share)
        lags = [lane.lag for lane in self._lanes(part, share, spacing)]
        if start is not None and start.lags:
            lags = start.lags
            spacing = lags[1 % self.lanes]  # of a single probe, the distance of its repeats
        wider = max(0, self.spacing(RAISED_MOST * self.rate_pps, share) - spacing)
        last = Lane(self.probes - 1, self.attempts - 1, 0)
        reach = max(lags) + widened(last, wider, self.probes)
        walk = self._walk(part, share, lags, marks, reach, spacing)
        if start is not None and start.lags:
            take_lags(walk.ticks, start.lags, start.begins or start.lags)
        return walk

    def again(self, place: Position, share: Share) -> "BlockWalk":
        """Return a walk through a block at the lags of `place`.

        Its marks are discarded: the lag record describes only what was sent for the first time.
        """
        unrecorded = np.zeros((self.lanes, self.marks(place.block, share)), np.int64)
        spacing = place.lags[1 % self.lanes]
        walk = self._walk(place.block, share, place.lags, unrecorded, max(place.lags), spacing)
        take_lags(walk.ticks, place.lags, place.begins)
        walk.fixed = True
        return walk

    def _lanes(self, part: int, share: Share, spacing: int) -> tuple[Lane, ...]:
        queue = -(-self.queue // share.senders)
        return plan_lanes(self.probes, self.attempts, queue, spacing, self.most_targets(part, share))

    def _walk(
        self, part: int, share: Share, lags: Sequence[int], marks: NDArray[np.int64], reach: int, spacing: int
    ) -> "BlockWalk":
        block = self.parts[part]
        lanes = tuple(Lane(place % self.probes, place // self.probes, lag) for place, lag in enumerate(lags))
        shard = block.permutation.shard(share.index, share.of, block.quota)
        ticks = before_first_tick(shard, lanes, marks, self._mark_every(share))
        return BlockWalk(self, part, share, ticks, reach, spacing)

    def spacing(self, rate_pps: float, share: Share) -> int:
        """Return the spacing of probes to one address at a rate, in targets of one sender.

        Unless the rate is searched for, it is at least the spacing of the planned rate. A signal may raise a configured
        rate without bound, but the spacing grows only up to RAISED_MOST times the planned rate; above that, the spacing
        limits the rate.
        """
        if not self.searched:
            rate_pps = min(max(rate_pps, self.rate_pps), RAISED_MOST * self.rate_pps)
        return self.spacing_at(rate_pps, share)

    def spacing_at(self, rate_pps: float, share: Share) -> int:
        """Return the spacing of probes to one address at exactly this rate, in targets of one sender.

        It lasts the configured spacing plus its margin while a walk draws `rate_pps` targets per second, which it does
        until repeats begin. While originals and repeats overlap, a walk draws rate / attempts targets per second, and
        the same number of targets lasts longer.
        """
        return math.ceil((self.spacing_s + spacing_margin_s(self.spacing_s)) * rate_pps / share.senders)

    @property
    def longest_lag(self) -> float:
        """Number of targets that wait for their last probe at the planned rate, over all senders."""
        spacing = self.probes * (self.spacing_s + spacing_margin_s(self.spacing_s)) * self.rate_pps
        return (self.attempts - 1) * self.queue + self.attempts * spacing

    def most_targets(self, part: int, share: Share) -> int:
        """Return the largest number of targets of a block that one sender can have."""
        block = self.parts[part]
        # Some of the p - 1 group elements are no targets. A sender's share of the elements may contain none of these.
        skipped = prime_above(block.listed.count) - 1 - block.listed.count
        return min(block.quota, -(-(block.quota + skipped) // share.of))

    def _mark_every(self, share: Share) -> int:
        return -(-self.mark_every // share.of)

    def marks(self, part: int, share: Share) -> int:
        """Return the number of marks that a lane of one sender can pass in a block."""
        return marks_for(self.most_targets(part, share), self._mark_every(share))

    def first_indices(self, count: int) -> NDArray[np.uint32]:
        """Return the first targets of the first block, at most `count`."""
        block = self.parts[0]
        shard = block.permutation.shard(block.machine, block.machines, block.quota)
        skipped = prime_above(block.listed.count) - 1 - block.listed.count
        return replace(shard, elements=min(shard.elements, count + skipped)).indices()[:count]

    def probed_in(self, addresses: Intervals) -> Intervals:
        """Return the part of `addresses` that is probed: all targets among them, or those of the sample or shard."""
        return union(block.within(addresses) for block in self.parts)

    def count_in(self, addresses: Intervals) -> int:
        """Return how many of `addresses` are probed, without a list of them in memory."""
        return sum(block.count_within(addresses) for block in self.parts)


class BlockWalk:
    """One sender's walk through one block.

    It keeps a copy of the state as Python integers, which are faster to read than the elements of a numpy array.
    """

    def __init__(self, order: OncePerBlock, part: int, share: Share, ticks: Ticks, reach: int, spacing: int) -> None:
        self.ticks = ticks
        self.lanes = self.units = order.lanes
        self.reach = reach
        self.fixed = False
        """Whether the lags are fixed, because the walk repeats an earlier one."""
        self._order = order
        self._part = part
        self._share = share
        self._spacing = spacing
        self._state: list[int] = ticks.state.tolist()
        self._due: Due | None = None
        self._draw = draw_due

    @property
    def tick(self) -> int:
        """Number of the current tick."""
        return max(0, self._state[TICK])

    @property
    def end(self) -> int:
        """A tick after which the walk has no probe, however far its lags are widened until then."""
        return self.reach + self._order.most_targets(self._part, self._share)

    @property
    def finished(self) -> bool:
        """Whether all lanes have probed every target."""
        return bool(self._state[FINISHED])

    @property
    def spacing(self) -> int:
        """Number of ticks between two probes to one target."""
        return self._spacing if self.lanes > 1 else 0

    @property
    def due(self) -> int:
        """Virtual time at which the next lane is due. The probes of a tick are spread evenly over the tick."""
        state = self._state
        due = state[DUE]
        if state[ACTIVE] > 0:
            due += state[COST] * self.lanes * state[LANE] // state[ACTIVE]
        return due

    @property
    def done(self) -> int:
        """Tick before which the probes of all lanes have been returned."""
        state = self._state
        return state[TICK] + (state[LANE] == state[ACTIVE])

    def due_before(self, tick: int) -> int:
        """Return a virtual time by which no probe of `tick` or later is due, but most earlier ones are.

        The length of ticks may change, so each tick between the current one and `tick` counts with the least length.
        """
        state = self._state
        if tick <= state[TICK]:
            return self.due - 1
        return state[DUE] + (state[COST] + tick - state[TICK] - 1) * self.lanes - 1

    def draw(self, due: Due, frames: int, until: int, now_ns: int) -> int:
        """Put at most `frames` probes that are due by `until` into `due`, and return their number: see `Walk.draw`."""
        if due is not self._due:
            self._due = due
            self._draw = compiled_for(draw_due, self.ticks, due, 0, 0, 0)
        drawn = self._draw(self.ticks, due, frames, until, now_ns)
        self._state = self.ticks.state.tolist()
        return drawn

    def skip(self, due: Due, tick: int) -> bool:
        """Advance towards a tick and put only the drawn targets into `due`: see `Walk.skip`."""
        there = skip_ticks(self.ticks, due, tick)
        self._state = self.ticks.state.tolist()
        return bool(there)

    def take_rate(self, rate_pps: float) -> bool:
        """Widen the spacing as a higher rate requires; return False if the current tick has to end first.

        At a lower rate the spacing in ticks stays: `probe_spacing` is a least time, and the same ticks now last longer.
        """
        spacing = self._order.spacing(rate_pps, self._share)
        if self.fixed or spacing <= self._spacing:
            return True
        if not widen_spacing(self.ticks, spacing - self._spacing):
            return False
        self._spacing = spacing
        self._state = self.ticks.state.tolist()
        return True

    def position(self) -> Position:
        """Return the position of the walk: its block, its tick and the lags of its lanes."""
        lags, begins = self.ticks.lane_lags.tolist(), self.ticks.lane_begins.tolist()
        return Position(block=self._part, tick=self.tick, lags=lags, begins=begins)

    def probed(self) -> NDArray[np.int64]:
        """Return the number of targets that each lane has probed before the current tick, (probes, attempts)."""
        lanes = [probed_by(self.ticks, lane) for lane in range(self.lanes)]
        return np.array(lanes, np.int64).reshape(self._order.attempts, self._order.probes).T
