"""The ticks of a walk through a block: one shared order of targets, and lanes that follow it at their own lags.

Each tick draws one target. A lane is a probe and an attempt; at tick t it probes the target that was drawn `lag` ticks
ago. Attempt a of probe k has lag a x queue + k x spacing: a repeat comes a queue's length after its original,
interleaved with new probes, and no state is kept for any probe (Bano et al. 2018, section 3).
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64, unowned
from liveness.order.due import ATTEMPT, DRAWN, FROM, POSITION, PROBE, STRIPS, TICKS, WIDTH, Due
from liveness.order.lanes import Lane, widened
from liveness.order.permutation import Shard, next_element

# Places in the state of a walk through a block.
TICK: Final = 0  # the current tick
LANE: Final = 1  # how many of the tick's lanes are done
ACTIVE: Final = 2  # how many lanes the tick has
COST: Final = 3  # how long the tick lasts, in probes of the busiest probe
DUE: Final = 4  # virtual time at which the tick begins, in units of 1 / (rate x lanes)
ELEMENTS_LEFT: Final = 5  # group elements not drawn yet
TARGETS: Final = 6  # targets of this walk; UNKNOWN until the last one is drawn
CHANGE_AT: Final = 7  # next tick at which lanes begin or end
MARK_AT: Final = 8  # next tick at which a lane passes a mark
FINISHED: Final = 9
STATE_LENGTH: Final = 10

UNKNOWN: Final = 2**62
MAX_TICKS: Final = 64
"""Ticks that `run_ticks` takes at once."""


class Ticks(NamedTuple):
    """The walk of one sender through one block, as kernels take it: constants, and arrays that it changes."""

    lane_probes: NDArray[np.int64]
    lane_attempts: NDArray[np.int64]
    lane_lags: NDArray[np.int64]  # changes, with the spacing of probes
    lane_begins: NDArray[np.int64]  # changes: the tick at which a lane begins, or resumes after a pause
    total: int  # targets of the whole block: elements above it are skipped
    prime: int
    step: int
    mark_every: int  # targets between two marks of the lag record
    element: NDArray[np.uint64]  # changes: (1,) the next group element
    state: NDArray[np.int64]  # changes: STATE_LENGTH
    active: NDArray[np.int64]  # changes: the lanes of the current tick, in order
    marks: NDArray[np.int64]  # changes: (lanes, marks) ns of a steady clock at which a lane passed each mark, 0 not yet


def before_first_tick(shard: Shard, lanes: tuple[Lane, ...], marks: NDArray[np.int64], mark_every: int) -> Ticks:
    """Return a walk that has not begun; `marks` is the record to fill, (lanes, `marks_for(...)`)."""
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
    """Draw the next target; return False when there is none left."""
    state = ticks.state
    element = ticks.element[0]
    while state[ELEMENTS_LEFT] > 0:
        state[ELEMENTS_LEFT] -= 1
        drawn = element
        element = next_element(element, ticks.step, ticks.prime)
        if drawn <= uint64(ticks.total):
            count = due.counts[DRAWN]
            if count == 0:
                due.counts[FROM] = state[TICK]
            due.drawn[count] = drawn - uint64(1)
            due.counts[DRAWN] = count + 1
            ticks.element[0] = element
            return True
    ticks.element[0] = element
    return False


@kernel
def _choose_lanes(ticks: Ticks, now_ns: int) -> None:
    """Find the lanes of this tick, what the tick costs, and when that changes next."""
    state = ticks.state
    tick, targets = state[TICK], state[TARGETS]
    active, change = 0, UNKNOWN
    cost = 1
    busiest = np.zeros(len(ticks.lane_lags), np.int64)
    for lane in range(len(ticks.lane_lags)):
        lag, begin = ticks.lane_lags[lane], ticks.lane_begins[lane]
        if tick < begin:
            change = min(change, begin)
        elif tick < lag + targets:
            ticks.active[active] = lane
            active += 1
            busiest[ticks.lane_probes[lane]] += 1
            if targets < UNKNOWN:
                change = min(change, lag + targets)
        elif targets > 0:
            end = (targets + ticks.mark_every - 1) // ticks.mark_every
            if ticks.marks[lane, end] == 0:
                ticks.marks[lane, end] = now_ns
    for probe in range(len(busiest)):
        cost = max(cost, busiest[probe])
    state[ACTIVE] = active
    state[COST] = cost
    state[CHANGE_AT] = change
    state[FINISHED] = 1 if active == 0 and change == UNKNOWN else 0


@kernel
def _pass_marks(ticks: Ticks, now_ns: int) -> None:
    """Record the lanes that pass a mark in this tick, and find the next tick that has one."""
    tick = ticks.state[TICK]
    next_at = UNKNOWN
    for lane in range(len(ticks.lane_lags)):
        position = tick - ticks.lane_lags[lane]
        if tick < ticks.lane_begins[lane]:
            next_at = min(next_at, ticks.lane_begins[lane])
            continue
        if position % ticks.mark_every == 0 and position < ticks.state[TARGETS]:
            ticks.marks[lane, position // ticks.mark_every] = now_ns
        next_at = min(next_at, tick + ticks.mark_every - position % ticks.mark_every)
    ticks.state[MARK_AT] = next_at


@kernel
def begin_tick(ticks: Ticks, due: Due, now_ns: int) -> None:
    """End the current tick and begin the next: draw its target, choose its lanes, pass its marks."""
    state = ticks.state
    state[DUE] += state[COST] * len(ticks.lane_lags)
    state[TICK] += 1
    state[LANE] = 0
    changed = state[TICK] >= state[CHANGE_AT]
    if state[TARGETS] == UNKNOWN and not _draw(ticks, due):
        state[TARGETS] = state[TICK]
        changed = True
    if changed:
        _choose_lanes(ticks, now_ns)
    if state[TICK] >= state[MARK_AT]:
        _pass_marks(ticks, now_ns)


def take_lags(ticks: Ticks, lags: Sequence[int], begins: Sequence[int]) -> None:
    """Give a walk that has not begun the lags of one that ended early, and the ticks at which its lanes begin."""
    ticks.lane_lags[:] = lags
    ticks.lane_begins[:] = begins


def widen_spacing(ticks: Ticks, more: int) -> bool:
    """Let probes to one target lie `more` ticks further apart from the next tick on; False if this one is half done.

    A lane that has begun pauses until its lag has grown: no target is left out, none is probed twice. One that has
    ended stays so. Repeats move with the originals before them. A tick that has begun, but has sent nothing, is the
    next one: a sender at a low rate always stands there, waiting for its first lane to be due.
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
    if following == state[TICK]:  # its lanes were chosen by the old lags
        _choose_lanes(ticks, 0)
    return True


@kernel
def skip_ticks(ticks: Ticks, due: Due, tick: int) -> bool:
    """Go on to a tick, handing out nothing but targets; return False if `due` is full of them before that.

    For a walk that ended early before that tick. The marks passed on the way are not set.
    """
    due.counts[DRAWN] = 0
    due.counts[STRIPS] = 0
    while ticks.state[TICK] < tick and ticks.state[FINISHED] == 0:
        if due.counts[DRAWN] == len(due.drawn):
            return False
        begin_tick(ticks, due, 0)
    ticks.state[DUE] = 0
    return True


@kernel
def probed_by(ticks: Ticks, lane: int) -> int:
    """Return how many targets a lane has probed before the current tick."""
    state = ticks.state
    done: int = min(max(state[TICK], ticks.lane_begins[lane]) - ticks.lane_lags[lane], state[TARGETS])
    return done


@kernel
def lane_due(state: NDArray[np.int64], lanes: int) -> int:
    """Return the virtual time at which the tick's next lane is due: its probes are spread evenly over it."""
    due: int = state[DUE]
    if state[ACTIVE] > 0:
        due += state[COST] * lanes * state[LANE] // state[ACTIVE]
    return due


@kernel
def _run_ticks(ticks: Ticks, due: Due, frames: int, until: int) -> int:
    """Take up to MAX_TICKS whole ticks at once, whose lanes are all those of the current one; return how many.

    Only ticks that need `frames` frames or fewer in all, that are due by `until` to their last lane, and before which
    no lane begins, ends or passes a mark. Afterwards the last of them is the current tick, and all its lanes are done;
    the first was TICK before the call. 0 if there is none, or if the current tick has begun.
    """
    state = ticks.state
    if state[LANE] > 0 or state[ACTIVE] == 0:
        return 0
    span = state[COST] * len(ticks.lane_lags)
    wanted = min(MAX_TICKS, frames // state[ACTIVE], (until - state[DUE]) // span)
    wanted = min(wanted, state[CHANGE_AT] - state[TICK], state[MARK_AT] - state[TICK])
    if wanted <= 0:
        return 0
    taken = 1
    while taken < wanted:
        state[TICK] += 1
        if state[TARGETS] == UNKNOWN and not _draw(ticks, due):
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
    """Hand out what is due by the virtual time `until`, at most `frames` probes; return how many.

    Whole ticks are taken many at once, the rest lane by lane.
    """
    ticks, due = unowned(ticks), unowned(due)
    state, counts, strips = ticks.state, due.counts, due.strips
    lanes = len(ticks.lane_lags)
    counts[DRAWN] = 0
    handed_out, rows = 0, 0
    while handed_out < frames and state[FINISHED] == 0:
        if counts[DRAWN] + MAX_TICKS > len(due.drawn) or rows + lanes > len(strips):
            break
        if state[LANE] == state[ACTIVE]:
            if state[ACTIVE] == 0 and state[DUE] > until:
                break
            begin_tick(ticks, due, now_ns)
            continue
        tick, lane_first, lane_end = state[TICK], state[LANE], state[ACTIVE]
        taken = _run_ticks(ticks, due, frames - handed_out, until)
        if taken == 0:  # one lane of the current tick
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
