"""The order of a census: every target once, block by block, each block in a permutation of its own."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import compiled_for
from liveness.order.due import Due
from liveness.order.lanes import Lane, marks_for, plan_lanes, widened
from liveness.order.order import Position, Share
from liveness.order.permutation import Permutation, prime_above
from liveness.order.sampled import count_first
from liveness.order.spacing import spacing_margin_s
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
from liveness.space.intervals import Intervals

MARK_EVERY: Final = 1_000_000
"""Targets between two entries of the lag record (Bano et al. 2018, section 3)."""
RAISED_MOST: Final = 2
"""How far above the planned rate the order has room for: a signal may raise it."""


@dataclass(frozen=True, slots=True)
class Block:
    """One block: its intervals, and how many of its targets, first in its permutation, are probed."""

    name: str
    listed: Intervals
    targets: int
    seed: int

    @property
    def permutation(self) -> Permutation:
        """The walk over the block's indices; computed each time, since thousands of blocks may be planned."""
        return Permutation.of_block(self.listed.count, self.seed, self.name)


@dataclass(frozen=True)
class OncePerBlock:
    """The order of a census. Rates are packets a second of one probe, all senders of a machine together."""

    parts: Sequence[Block]
    probes: int
    attempts: int
    queue: int
    """Targets between a probe and its repeat."""
    spacing_s: float
    """Time between two probes to one address, at least."""
    rate_pps: float
    """The planned rate, or the limit of the search for one."""
    searched: bool = False
    """Whether the rate is searched for: then the spacing follows it from below."""

    mark_every: int = MARK_EVERY
    """Targets between two entries of the lag record, of all senders together."""

    @cached_property
    def lanes(self) -> int:
        """How many lanes there are: each attempt of each probe."""
        return self.probes * self.attempts

    def walk(
        self, part: int, share: Share, rate_pps: float, marks: NDArray[np.int64], start: Position | None = None
    ) -> "BlockWalk":
        """Return a walk through a block, before its first tick: see `Order`."""
        spacing = self.spacing(rate_pps, share)
        lags = [lane.lag for lane in self._lanes(part, share, spacing)]
        if start is not None and start.lags:
            lags = start.lags
            spacing = lags[1] if self.probes > 1 else 0
        wider = max(0, self.spacing(RAISED_MOST * self.rate_pps, share) - spacing)
        last = Lane(self.probes - 1, self.attempts - 1, 0)
        reach = max(lags) + widened(last, wider, self.probes)
        walk = self._walk(part, share, lags, marks, reach, spacing)
        if start is not None and start.lags:
            take_lags(walk.ticks, start.lags, start.begins or start.lags)
        return walk

    def again(self, place: Position, share: Share) -> "BlockWalk":
        """Return a walk through a block at the lags of `place`; the lag record is of what was sent first."""
        unrecorded = np.zeros((self.lanes, self.marks(place.block, share)), np.int64)
        spacing = place.lags[1 % self.probes]
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
        shard = block.permutation.shard(share.index, share.of, block.targets)
        ticks = before_first_tick(shard, lanes, marks, self._mark_every(share))
        return BlockWalk(self, part, share, ticks, reach, spacing)

    def spacing(self, rate_pps: float, share: Share) -> int:
        """Return the targets of one sender between two probes to one address, at a rate.

        It is that of the planned rate at least, unless the rate is searched for. A signal may raise a given rate
        without bound, the spacing by RAISED_MOST: beyond, the spacing holds the rate.
        """
        if not self.searched:
            rate_pps = min(max(rate_pps, self.rate_pps), RAISED_MOST * self.rate_pps)
        return self.spacing_at(rate_pps, share)

    def spacing_at(self, rate_pps: float, share: Share) -> int:
        """Return the targets of one sender between two probes to one address, exactly at a rate.

        That is the spacing and its margin where a walk draws `rate` targets a second, as it does until repeats begin.
        Where originals and repeats overlap it draws rate / attempts, and the spacing is that much longer.
        """
        return math.ceil((self.spacing_s + spacing_margin_s(self.spacing_s)) * rate_pps / share.senders)

    @property
    def longest_lag(self) -> float:
        """How many targets wait for their last probe at the planned rate, of all senders together."""
        spacing = self.probes * (self.spacing_s + spacing_margin_s(self.spacing_s)) * self.rate_pps
        return (self.attempts - 1) * self.queue + self.attempts * spacing

    def most_targets(self, part: int, share: Share) -> int:
        """Return how many targets of a block one sender has at most."""
        block = self.parts[part]
        # group elements that are no target: a sender may happen to have none of them
        skipped = prime_above(block.listed.count) - 1 - block.listed.count
        return min(block.targets, -(-(block.targets + skipped) // share.of))

    def _mark_every(self, share: Share) -> int:
        return -(-self.mark_every // share.of)

    def marks(self, part: int, share: Share) -> int:
        """Return how many marks a lane of one sender can pass in a block."""
        return marks_for(self.most_targets(part, share), self._mark_every(share))

    def first_indices(self, count: int) -> NDArray[np.uint32]:
        """Return the first targets of the first block, at most `count`."""
        block = self.parts[0]
        return block.permutation.shard(0, 1, min(count, block.targets)).indices()

    def probed_in(self, addresses: Intervals) -> Intervals:
        """Return which of some addresses are probed: all that are targets, or a sample of them by their order."""
        chosen = Intervals.empty()
        for block in self.parts:
            inside = block.listed.intersection(addresses)
            if len(inside) and block.targets < block.listed.count:
                sample = block.listed.address_at(block.permutation.shard(0, 1, block.targets).indices())
                here = sample[inside.contains(sample)]
                inside = Intervals.from_bounds(here, here)
            chosen = chosen.union(inside)
        return chosen

    def count_in(self, addresses: Intervals) -> int:
        """Return how many of some addresses are probed, without a list of them."""
        return sum(count_first(block.permutation, block.targets, block.listed, addresses) for block in self.parts)


class BlockWalk:
    """One sender's walk through one block. It keeps a copy of the state as plain numbers, which are faster to read."""

    def __init__(self, order: OncePerBlock, part: int, share: Share, ticks: Ticks, reach: int, spacing: int) -> None:
        self.ticks = ticks
        self.lanes = self.units = order.lanes
        self.reach = reach
        self.fixed = False
        """Whether its lags stay: it repeats what was once walked."""
        self._order = order
        self._part = part
        self._share = share
        self._spacing = spacing
        self._state: list[int] = ticks.state.tolist()
        self._due: Due | None = None
        self._draw = draw_due

    @property
    def tick(self) -> int:
        """The current tick."""
        return max(0, self._state[TICK])

    @property
    def end(self) -> int:
        """A tick that no probe comes after."""
        return int(self.ticks.lane_lags.max()) + self._order.most_targets(self._part, self._share)

    @property
    def finished(self) -> bool:
        """Whether all lanes have probed every target."""
        return bool(self._state[FINISHED])

    @property
    def spacing(self) -> int:
        """Ticks between two probes to one target."""
        return self._spacing if self.lanes > 1 else 0

    @property
    def due(self) -> int:
        """Virtual time at which the next lane is due: the probes of a tick are spread evenly over it."""
        state = self._state
        due = state[DUE]
        if state[ACTIVE] > 0:
            due += state[COST] * self.lanes * state[LANE] // state[ACTIVE]
        return due

    @property
    def done(self) -> int:
        """The tick before which all lanes have had their turn."""
        state = self._state
        return state[TICK] + (state[LANE] == state[ACTIVE])

    def due_before(self, tick: int) -> int:
        """Return a virtual time by which no lane of `tick`, or of a later one, is due, and most of those before are.

        How long ticks last may change: each to come is taken to last as short as any does.
        """
        state = self._state
        if tick <= state[TICK]:
            return self.due - 1
        return state[DUE] + (state[COST] + tick - state[TICK] - 1) * self.lanes - 1

    def draw(self, due: Due, frames: int, until: int, now_ns: int) -> int:
        """Hand out what is due by `until`, at most `frames` probes: see `Walk`."""
        if due is not self._due:
            self._due = due
            self._draw = compiled_for(draw_due, self.ticks, due, 0, 0, 0)
        drawn = self._draw(self.ticks, due, frames, until, now_ns)
        self._state = self.ticks.state.tolist()
        return drawn

    def skip(self, due: Due, tick: int) -> bool:
        """Go on towards a tick, handing out drawn targets alone: see `Walk`."""
        there = skip_ticks(self.ticks, due, tick)
        self._state = self.ticks.state.tolist()
        return bool(there)

    def take_rate(self, rate_pps: float) -> bool:
        """Widen the spacing to what a higher rate needs; False if that has to wait for the tick's end.

        At a lower rate it stays: it is time between two probes that is promised, and it has become longer.
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
        """Return where the walk stands."""
        lags, begins = self.ticks.lane_lags.tolist(), self.ticks.lane_begins.tolist()
        return Position(block=self._part, tick=self.tick, lags=lags, begins=begins)

    def probed(self) -> NDArray[np.int64]:
        """Return how many targets each lane has probed before the current tick, (probes, attempts)."""
        lanes = [probed_by(self.ticks, lane) for lane in range(self.lanes)]
        return np.array(lanes, np.int64).reshape(self._order.attempts, self._order.probes).T
