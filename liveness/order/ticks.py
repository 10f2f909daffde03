"""The ticks of a walk through a block: one order of targets, and lanes that follow it, each at its own lag.

Each tick draws one target. A lane is one attempt of one probe; at tick t it probes the target that was drawn `lag`
ticks ago. Attempt a of probe k has lag a x queue + k x spacing: a repeat follows its original after the length of the
queue, interleaved with new probes, and no state is kept for single probes (Bano et al. 2018, section 3).
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64, unowned
from liveness.order.due import ATTEMPT, DRAWN, FROM, POSITION, PROBE, STRIPS, TICKS, WIDTH, Due
from liveness.order.lanes import Lane, widened
from liveness.order.permutation import Shard, next_element

# Indices in the state of a walk through a block.
TICK: Final = 0  # the current tick
LANE: Final = 1  # number of the tick's lanes that are done
ACTIVE: Final = 2  # number of lanes in the tick
COST: Final = 3  # duration of the tick: the largest number of packets that any one probe sends in it, at least 1
DUE: Final = 4  # virtual time at which the tick begins, in units of 1 / (rate x lanes)
ELEMENTS_LEFT: Final = 5  # group elements not drawn yet
TARGETS: Final = 6  # number of targets of this walk; UNKNOWN until the last one is drawn
CHANGE_AT: Final = 7  # next tick at which lanes begin or end
MARK_AT: Final = 8  # next tick at which a lane passes a mark
FINISHED: Final = 9  # 1 once no lane is active and none will begin
STATE_LENGTH: Final = 10

UNKNOWN: Final = 2**62
MAX_TICKS: Final = 64
"""Largest number of ticks that `_run_ticks` takes at once."""


class Ticks(NamedTuple):
    """State of one sender's walk through one block, in the form that kernels take: constants and mutable arrays."""

    lane_probes: NDArray[np.int64]
    lane_attempts: NDArray[np.int64]
    lane_lags: NDArray[np.int64]  # changes, with the spacing of probes
    lane_begins: NDArray[np.int64]  # changes: the tick at which a lane begins, or resumes after a pause
    total: int  # number of targets of the whole block: larger group elements are skipped
    prime: int
    step: int
    mark_every: int  # targets between two marks of the lag record
    element: NDArray[np.uint64]  # changes: (1,) the next group element
    state: NDArray[np.int64]  # changes: (STATE_LENGTH,)
    active: NDArray[np.int64]  # changes: the lanes of the current tick, in order
    marks: NDArray[np.int64]  # changes: (lanes, marks) ns of a monotonic clock when a lane passed a mark, 0 if not yet


def before_first_tick(shard: Shard, lanes: tuple[Lane, ...], marks: NDArray[np.int64], mark_every: int) -> Ticks:
    """Return a walk before its first tick; it writes the times of marks to `marks`, (lanes, `marks_for(...)`)."""
    state = np.zeros(STATE_LENGTH, np.int64)
    state[TICK] = -1
    state[ELEMENTS_LEFT] = shard.elements
    state[TARGETS] = UNKNOWN
    return Ticks(
        lane_probes=np.array([lane.probe for lane in lanes], np.int64),
        lane_attempts=np.array([lane.attempt for lane in lanes], np.int64),
        lane_lags=np.array([lane.lag for lane in lanes], np.int64),
        lane_begins=np.array([lane.lag for lane in lanes], np.int64),
        total=int64(shard.count),
        prime=uint64(shard.prime),
        step=uint64(shard.step),
        mark_every=int64(mark_every),
        element=np.array([shard.start], np.uint64),
        state=state,
        active=np.zeros(len(lanes), np.int64),
        marks=marks,
    )


@kernel
def _draw(ticks: Ticks, due: Due) -> bool:
    """Draw the next target into `due`; return False if none is left."""
    state = ticks.state
    element = ticks.element[0]
    while state[ELEMENTS_LEFT] > 0:
        state[ELEMENTS_LEFT] -= 1
        drawn = element
        element = next_element(element, ticks.step, ticks.prime)
        if drawn <= uint64(ticks.total):  # larger elements of the group are no targets
            count = due.counts[DRAWN]
            if count == 0:  # each tick draws one target, so the tick number is the target's position
                due.counts[FROM] = state[TICK]
            due.drawn[count] = drawn - uint64(1)
            due.counts[DRAWN] = count + 1
            ticks.element[0] = element
            return True
    ticks.element[0] = element
    return False


@kernel
def _choose_lanes(ticks: Ticks, now_ns: int) -> None:
    """Find the lanes of the current tick, its duration, and the next tick at which these change."""
    state = ticks.state
    tick, targets = state[TICK], state[TARGETS]
    active, change = 0, UNKNOWN
    cost = 1
    most_due = np.zeros(len(ticks.lane_lags), np.int64)
    for lane in range(len(ticks.lane_lags)):
        lag, begin = ticks.lane_lags[lane], ticks.lane_begins[lane]
        if tick < begin:  # the lane has not begun, or pauses since the spacing was widened
            change = min(change, begin)
        elif tick < lag + targets:  # the lane still has targets; while their number is unknown this always holds
            ticks.active[active] = lane
            active += 1
            most_due[ticks.lane_probes[lane]] += 1
            if targets < UNKNOWN:
                change = min(change, lag + targets)
        elif targets > 0:  # the lane has ended: record when, once
            end = (targets + ticks.mark_every - 1) // ticks.mark_every
            if ticks.marks[lane, end] == 0:
                ticks.marks[lane, end] = now_ns
    # The rate is that of one probe. A tick with two attempts of the same probe therefore lasts twice as long.
    for probe in range(len(most_due)):
        cost = max(cost, most_due[probe])
    state[ACTIVE] = active
    state[COST] = cost
    state[CHANGE_AT] = change
    state[FINISHED] = 1 if active == 0 and change == UNKNOWN else 0


@kernel
def _pass_marks(ticks: Ticks, now_ns: int) -> None:
    """Record the time for each lane that passes a mark in this tick, and find the next tick with a mark."""
    tick = ticks.state[TICK]
    next_at = UNKNOWN
    for lane in range(len(ticks.lane_lags)):
        position = tick - ticks.lane_lags[lane]  # of the target that the lane probes in this tick
        if tick < ticks.lane_begins[lane]:
            next_at = min(next_at, ticks.lane_begins[lane])
            continue
        if position % ticks.mark_every == 0 and position < ticks.state[TARGETS]:
            ticks.marks[lane, position // ticks.mark_every] = now_ns
        next_at = min(next_at, tick + ticks.mark_every - position % ticks.mark_every)
    ticks.state[MARK_AT] = next_at


@kernel
def begin_tick(ticks: Ticks, due: Due, now_ns: int) -> None:
    """End the current tick and begin the next one: draw its target, choose its lanes, record its marks."""
    state = ticks.state
    state[DUE] += state[COST] * len(ticks.lane_lags)  # one packet of one probe takes as many units as there are lanes
    state[TICK] += 1
    state[LANE] = 0
    changed = state[TICK] >= state[CHANGE_AT]
    if state[TARGETS] == UNKNOWN and not _draw(ticks, due):
        # Every earlier tick has drawn one target, so their number is known now, and with it when each lane ends.
        state[TARGETS] = state[TICK]
        changed = True
    if changed:
        _choose_lanes(ticks, now_ns)
    if state[TICK] >= state[MARK_AT]:
        _pass_marks(ticks, now_ns)


def take_lags(ticks: Ticks, lags: Sequence[int], begins: Sequence[int]) -> None:
    """Set the lags of a walk that has not begun, and the ticks at which its lanes begin, to those of an earlier one."""
    ticks.lane_lags[:] = lags
    ticks.lane_begins[:] = begins


def widen_spacing(ticks: Ticks, more: int) -> bool:
    """Widen the spacing of probes to one target by `more` ticks; return False if the current tick is half done.

    The change takes effect at the next tick, or at the current tick if none of its probes was sent yet: a sender at a
    low rate is always in such a tick, and waits for its first lane to be due. A lane that has begun pauses until its
    lag has grown, so that no target is left out or probed twice. A lane that has ended stays ended. Repeats are delayed
    as much as the originals before them.
    """
    state = ticks.state
    if 0 < state[LANE] < state[ACTIVE]:
        return False
    following = state[TICK] + (state[LANE] == state[ACTIVE])
    probes = int(ticks.lane_probes.max()) + 1
    for lane, (probe, attempt) in enumerate(zip(ticks.lane_probes.tolist(), ticks.lane_attempts.tolist(), strict=True)):
        if following < ticks.lane_lags[lane] + state[TARGETS]:
            longer = widened(Lane(probe, attempt, 0), more, probes)
            ticks.lane_lags[lane] += longer
            ticks.lane_begins[lane] = max(ticks.lane_begins[lane], following) + longer
    state[CHANGE_AT] = following
    state[MARK_AT] = following
    if following == state[TICK]:  # the lanes of this tick were chosen with the old lags
        _choose_lanes(ticks, 0)
    return True


@kernel
def skip_ticks(ticks: Ticks, due: Due, tick: int) -> bool:
    """Advance to a tick and put only drawn targets into `due`; return False if `due` is full before that tick.

    It brings the walk of a resumed run or of a repair to its position. Marks passed on the way get no time.
    """
    due.counts[DRAWN] = 0
    due.counts[STRIPS] = 0
    while ticks.state[TICK] < tick and ticks.state[FINISHED] == 0:
        if due.counts[DRAWN] == len(due.drawn):
            return False
        begin_tick(ticks, due, 0)
    ticks.state[DUE] = 0  # the skipped ticks took no time: the pacing of the walk begins here
    return True


@kernel
def probed_by(ticks: Ticks, lane: int) -> int:
    """Return the number of targets that a lane has probed before the current tick."""
    state = ticks.state
    # Before a lane begins, or while it pauses, its count is what it had reached at that point; 0 before its first.
    done: int = min(max(state[TICK], ticks.lane_begins[lane]) - ticks.lane_lags[lane], state[TARGETS])
    return done


@kernel
def lane_due(state: NDArray[np.int64], lanes: int) -> int:
    """Return the virtual time at which the tick's next lane is due. Its probes are spread evenly over the tick."""
    due: int = state[DUE]
    if state[ACTIVE] > 0:
        due += state[COST] * lanes * state[LANE] // state[ACTIVE]
    return due


@kernel
def _run_ticks(ticks: Ticks, due: Due, frames: int, until: int) -> int:
    """Take up to MAX_TICKS whole ticks at once, all with the lanes of the current tick; return their number.

    The ticks need at most `frames` frames together, their last lane is due by `until`, and no lane begins, ends or
    passes a mark before the end of the last of them. The first one is the current tick of the call. Afterwards the last
    one is the current tick, and all its lanes are done. 0 if there is no such tick, or if a lane of the current tick is
    done already.
    """
    state = ticks.state
    if state[LANE] > 0 or state[ACTIVE] == 0:
        return 0
    span = state[COST] * len(ticks.lane_lags)  # duration of a tick in virtual time
    wanted = min(MAX_TICKS, frames // state[ACTIVE], (until - state[DUE]) // span)
    wanted = min(wanted, state[CHANGE_AT] - state[TICK], state[MARK_AT] - state[TICK])
    if wanted <= 0:
        return 0
    taken = 1  # the current tick has drawn its target already
    while taken < wanted:
        state[TICK] += 1
        if state[TARGETS] == UNKNOWN and not _draw(ticks, due):
            # No target is left. Step back, so that the next `begin_tick` enters this tick and chooses its lanes.
            state[TARGETS] = state[TICK]
            state[CHANGE_AT] = state[TICK]
            state[TICK] -= 1
            break
        taken += 1
    state[DUE] += (taken - 1) * span
    state[LANE] = state[ACTIVE]
    return taken


@kernel
def draw_due(ticks: Ticks, due: Due, frames: int, until: int, now_ns: int) -> int:
    """Put at most `frames` probes that are due by the virtual time `until` into `due`; return their number.

    Whole ticks are taken many at once where possible, the rest lane by lane.
    """
    ticks, due = unowned(ticks), unowned(due)  # without reference counts, see `unowned`
    state, counts, strips = ticks.state, due.counts, due.strips
    lanes = len(ticks.lane_lags)
    counts[DRAWN] = 0
    handed_out, rows = 0, 0
    while handed_out < frames and state[FINISHED] == 0:
        if counts[DRAWN] + MAX_TICKS > len(due.drawn) or rows + lanes > len(strips):  # no room for another turn
            break
        if state[LANE] == state[ACTIVE]:
            if state[ACTIVE] == 0 and state[DUE] > until:  # a tick without lanes takes its time, too
                break
            begin_tick(ticks, due, now_ns)
            continue
        tick, lane_first, lane_end = state[TICK], state[LANE], state[ACTIVE]
        taken = _run_ticks(ticks, due, frames - handed_out, until)
        if taken == 0:  # not even one whole tick: take one lane of the current tick
            if lane_due(state, lanes) > until:
                break
            taken, lane_end = 1, lane_first + 1
            state[LANE] += 1
        for place in range(lane_first, lane_end):
            lane = ticks.active[place]
            strips[rows, POSITION] = tick - ticks.lane_lags[lane]
            strips[rows, TICKS] = taken
            strips[rows, WIDTH] = lane_end - lane_first
            strips[rows, PROBE] = ticks.lane_probes[lane]
            strips[rows, ATTEMPT] = ticks.lane_attempts[lane]
            rows += 1
        handed_out += taken * (lane_end - lane_first)
    counts[STRIPS] = rows
    return handed_out
