"""The schedule: one shared order of targets, and lanes that read it at their own lag, the delayed-retransmit queue.

Each tick draws one target into a ring, the queue. A lane is a probe and an attempt; at tick t it probes the target that
was drawn `lag` ticks ago. Attempt a of probe k has lag a x queue + k x spacing: a repeat comes a queue's length after
its original, interleaved with new probes, and no state is kept for any probe (Bano et al. 2018, section 3).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64
from liveness.order.permutation import Shard, next_element
from liveness.space.intervals import Intervals

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
NOBODY: Final = 0
"""Stands in the queue in place of a target that was withdrawn: 0.0.0.0 is nobody's address (RFC 1122, 3.2.1.3)."""
MAX_TICKS: Final = 64
"""Ticks that `run_ticks` takes at once: so many targets are drawn ahead of the lane that lags most."""
SWEPT: Final = 1 << 18
"""Places of the queue that are looked through at once: a few megabytes."""


@dataclass(frozen=True, slots=True)
class Lane:
    """One probe's one attempt: it probes the target drawn `lag` ticks ago."""

    probe: int
    attempt: int
    lag: int


def plan_lanes(probes: int, attempts: int, queue: int, spacing: int, targets: int) -> tuple[Lane, ...]:
    """Return the lanes in the order of a tick: all probes' first attempts, then their second ones.

    `queue` and `spacing` are lags in targets. A queue longer than the block needs is cut to where the last original has
    left: repeats then follow at once, rather than after a pause in which nothing is sent. But the first repeat follows
    the last original to the same target by the spacing at least, however short the queue or the block.
    """
    repeat_lag = max(min(queue, targets + (probes - 1) * spacing), probes * spacing)
    return tuple(
        Lane(probe, attempt, attempt * repeat_lag + probe * spacing)
        for attempt in range(attempts)
        for probe in range(probes)
    )


class Walk(NamedTuple):
    """A walk of one sender through one block, as kernels take it: constants, and arrays that it changes."""

    lane_probes: NDArray[np.int64]
    lane_attempts: NDArray[np.int64]
    lane_lags: NDArray[np.int64]  # changes, with the spacing of probes
    lane_begins: NDArray[np.int64]  # changes: the tick at which a lane begins, or goes on after a pause
    total: int  # targets of the whole block: elements above it are skipped
    prime: int
    step: int
    first: NDArray[np.uint32]  # the block's intervals: their first addresses
    before: NDArray[np.uint64]  # and how many addresses lie before each
    mark_every: int  # targets between two marks of the lag record
    queue: NDArray[np.uint32]  # changes: the last drawn targets; its length is a power of two above lag + MAX_TICKS
    element: NDArray[np.uint64]  # changes: (1,) the next group element
    state: NDArray[np.int64]  # changes: STATE_LENGTH
    active: NDArray[np.int64]  # changes: the lanes of the current tick, in order
    marks: NDArray[np.int64]  # changes: (lanes, marks) ns of a steady clock at which a lane passed each mark, 0 not yet
    withdrawn_first: NDArray[np.uint32]  # addresses that are sent nothing any more, as sorted, disjoint intervals
    withdrawn_last: NDArray[np.uint32]


def marks_for(targets: int, mark_every: int) -> int:
    """Return how many marks a lane can pass: one at every `mark_every` targets, and one at its end."""
    return -(-targets // mark_every) + 1


def begin_walk(
    shard: Shard,
    lanes: tuple[Lane, ...],
    first: NDArray[np.uint32],
    before: NDArray[np.uint64],
    marks: NDArray[np.int64],
    mark_every: int,
    now_ns: int,
    longest: int = 0,
    withdrawn: Intervals | None = None,
) -> Walk:
    """Return a walk at its first tick, at time `now_ns`.

    `first` and `before` describe the block's intervals; `marks` is the record to fill, (lanes, `marks_for(...)`).
    `longest` is the longest lag that `widen_spacing` will ever make of those of `lanes`. `withdrawn` are addresses to
    send nothing to, although they have their places in the order.
    """
    longest = max(longest, *(lane.lag for lane in lanes))
    state = np.zeros(STATE_LENGTH, np.int64)
    state[ELEMENTS_LEFT] = shard.elements
    state[TARGETS] = UNKNOWN
    none = Intervals.empty() if withdrawn is None else withdrawn
    walk = Walk(
        lane_probes=np.array([lane.probe for lane in lanes], np.int64),
        lane_attempts=np.array([lane.attempt for lane in lanes], np.int64),
        lane_lags=np.array([lane.lag for lane in lanes], np.int64),
        lane_begins=np.array([lane.lag for lane in lanes], np.int64),
        total=int64(shard.count),
        prime=uint64(shard.prime),
        step=uint64(shard.step),
        first=first,
        before=before,
        mark_every=int64(mark_every),
        queue=np.zeros(1 << (longest + MAX_TICKS).bit_length(), np.uint32),
        element=np.array([shard.start], np.uint64),
        state=state,
        active=np.zeros(len(lanes), np.int64),
        marks=marks,
        withdrawn_first=none.first,
        withdrawn_last=none.last,
    )
    state[TICK] = -1
    begin_tick(walk, now_ns)
    state[DUE] = 0
    return walk


@kernel
def address_of(index: int, first: NDArray[np.uint32], before: NDArray[np.uint64]) -> int:
    """Return the address of a target index: the interval that holds it by binary search, then the distance into it."""
    low, high = 0, len(before)
    while high - low > 1:
        middle = (low + high) >> 1
        if before[middle] <= index:
            low = middle
        else:
            high = middle
    address: int = uint64(first[low]) + (index - before[low])
    return address


@kernel
def is_within(address: int, first: NDArray[np.uint32], last: NDArray[np.uint32]) -> bool:
    """Return whether sorted, disjoint intervals hold an address."""
    low, high = 0, len(first)
    while low < high:
        middle = (low + high) >> 1
        if int64(last[middle]) < address:
            low = middle + 1
        else:
            high = middle
    return low < len(first) and int64(first[low]) <= address


@kernel
def _draw(walk: Walk) -> bool:
    """Draw the next target into the queue; return False when there is none left."""
    state = walk.state
    element = walk.element[0]
    while state[ELEMENTS_LEFT] > 0:
        state[ELEMENTS_LEFT] -= 1
        drawn = element
        element = next_element(element, walk.step, walk.prime)
        if drawn <= uint64(walk.total):
            address = address_of(drawn - uint64(1), walk.first, walk.before)
            if len(walk.withdrawn_first) > 0 and is_within(int64(address), walk.withdrawn_first, walk.withdrawn_last):
                address = uint64(NOBODY)
            walk.queue[state[TICK] & (len(walk.queue) - 1)] = address
            walk.element[0] = element
            return True
    walk.element[0] = element
    return False


@kernel
def _choose_lanes(walk: Walk, now_ns: int) -> None:
    """Find the lanes of this tick, what the tick costs, and when that changes next."""
    state = walk.state
    tick, targets = state[TICK], state[TARGETS]
    active, change = 0, UNKNOWN
    cost = 1
    busiest = np.zeros(len(walk.lane_lags), np.int64)
    for lane in range(len(walk.lane_lags)):
        lag, begin = walk.lane_lags[lane], walk.lane_begins[lane]
        if tick < begin:
            change = min(change, begin)
        elif tick < lag + targets:
            walk.active[active] = lane
            active += 1
            busiest[walk.lane_probes[lane]] += 1
            if targets < UNKNOWN:
                change = min(change, lag + targets)
        elif targets > 0:
            end = (targets + walk.mark_every - 1) // walk.mark_every
            if walk.marks[lane, end] == 0:
                walk.marks[lane, end] = now_ns
    for probe in range(len(busiest)):
        cost = max(cost, busiest[probe])
    state[ACTIVE] = active
    state[COST] = cost
    state[CHANGE_AT] = change
    state[FINISHED] = 1 if active == 0 and change == UNKNOWN else 0


@kernel
def _pass_marks(walk: Walk, now_ns: int) -> None:
    """Record the lanes that pass a mark in this tick, and find the next tick that has one."""
    tick = walk.state[TICK]
    next_at = UNKNOWN
    for lane in range(len(walk.lane_lags)):
        position = tick - walk.lane_lags[lane]
        if tick < walk.lane_begins[lane]:
            next_at = min(next_at, walk.lane_begins[lane])
            continue
        if position % walk.mark_every == 0 and position < walk.state[TARGETS]:
            walk.marks[lane, position // walk.mark_every] = now_ns
        next_at = min(next_at, tick + walk.mark_every - position % walk.mark_every)
    walk.state[MARK_AT] = next_at


@kernel
def begin_tick(walk: Walk, now_ns: int) -> None:
    """End the current tick and begin the next: draw its target, choose its lanes, pass its marks."""
    state = walk.state
    state[DUE] += state[COST] * len(walk.lane_lags)
    state[TICK] += 1
    state[LANE] = 0
    changed = state[TICK] >= state[CHANGE_AT]
    if state[TARGETS] == UNKNOWN and not _draw(walk):
        state[TARGETS] = state[TICK]
        changed = True
    if changed:
        _choose_lanes(walk, now_ns)
    if state[TICK] >= state[MARK_AT]:
        _pass_marks(walk, now_ns)


def take_lags(walk: Walk, lags: Sequence[int], begins: Sequence[int]) -> None:
    """Give a walk at its first tick the lags of one that was cut off, and the ticks at which its lanes begin."""
    walk.lane_lags[:] = lags
    walk.lane_begins[:] = begins
    _choose_lanes(walk, 0)
    walk.state[MARK_AT] = 0


def withdraw(walk: Walk, withdrawn: Intervals) -> Walk:
    """Return the walk as it goes on sending nothing to `withdrawn`, repeats of what was sent before included.

    Those addresses keep their places in the order, so that nobody else is probed at another time than otherwise.
    """
    for part in np.array_split(walk.queue, -(-len(walk.queue) // SWEPT)):
        part[withdrawn.contains(part)] = NOBODY
    return walk._replace(withdrawn_first=withdrawn.first, withdrawn_last=withdrawn.last)


def widened(lane: Lane, ticks: int, probes: int) -> int:
    """Return by how much a lane's lag grows where the spacing grows by `ticks`."""
    return (lane.attempt * probes + lane.probe) * ticks


def widen_spacing(walk: Walk, ticks: int) -> bool:
    """Let probes to one target lie `ticks` further apart from the next tick on; False if this one is half done.

    A lane that has begun pauses until its lag has grown: no target is left out, none is probed twice. One that has
    ended stays so. Repeats move with the originals before them. A tick that has begun, but has sent nothing, is the
    next one: a sender at a low rate always stands there, waiting for its first lane to be due.
    """
    state = walk.state
    if 0 < state[LANE] < state[ACTIVE]:
        return False
    following = state[TICK] + (state[LANE] == state[ACTIVE])
    probes = int(walk.lane_probes.max()) + 1
    for lane, (probe, attempt) in enumerate(zip(walk.lane_probes.tolist(), walk.lane_attempts.tolist(), strict=True)):
        if following < walk.lane_lags[lane] + state[TARGETS]:
            longer = widened(Lane(probe, attempt, 0), ticks, probes)
            walk.lane_lags[lane] += longer
            walk.lane_begins[lane] = max(walk.lane_begins[lane], following) + longer
    state[CHANGE_AT] = following
    state[MARK_AT] = following
    if following == state[TICK]:  # its lanes were chosen by the old lags
        _choose_lanes(walk, 0)
    return True


@kernel
def skip_to(walk: Walk, tick: int) -> None:
    """Go on to a tick, sending nothing: that of a walk which was cut off. The marks passed on the way are not set."""
    while walk.state[TICK] < tick and walk.state[FINISHED] == 0:
        begin_tick(walk, 0)
    walk.state[DUE] = 0


@kernel
def probed(walk: Walk, lane: int) -> int:
    """Return how many targets a lane has probed before the current tick."""
    state = walk.state
    done: int = min(max(state[TICK], walk.lane_begins[lane]) - walk.lane_lags[lane], state[TARGETS])
    return done


@kernel
def has_gaps(walk: Walk, tick: int, ticks: int) -> bool:
    """Return whether a target was withdrawn of those that the current lanes have in `ticks` ticks from `tick` on."""
    mask = len(walk.queue) - 1
    for place in range(walk.state[ACTIVE]):
        lag = walk.lane_lags[walk.active[place]]
        for i in range(ticks):
            if walk.queue[(tick + i - lag) & mask] == NOBODY:
                return True
    return False


def next_due(state: Sequence[int] | NDArray[np.int64], lanes: int) -> int:
    """Return the virtual time at which the tick's next lane is due: its probes are spread evenly over it."""
    due: int = state[DUE]
    if state[ACTIVE] > 0:
        due += state[COST] * lanes * state[LANE] // state[ACTIVE]
    return due


lane_due: Final = kernel(next_due)
"""`next_due` for kernels. The sending loop needs it several times a batch: it copies the state into a list once and
calls the plain function, which takes less time than a call of a kernel."""


def due_before(state: Sequence[int], lanes: int, tick: int) -> int:
    """Return a virtual time by which no lane of `tick`, or of a later one, is due, and most of those before are.

    How long ticks last may change: each to come is taken to last as short as any does.
    """
    if tick <= state[TICK]:
        return next_due(state, lanes) - 1
    return state[DUE] + (state[COST] + tick - state[TICK] - 1) * lanes - 1


def done_before(state: Sequence[int]) -> int:
    """Return the tick before which all lanes have had their turn."""
    return state[TICK] + (state[LANE] == state[ACTIVE])


@kernel
def run_ticks(walk: Walk, frames: int, until: int) -> int:
    """Run up to MAX_TICKS whole ticks at once, whose lanes are all those of the current one; return how many.

    Only ticks that need `frames` frames or fewer in all, that are due by `until` to their last lane, and before which
    no lane begins, ends or passes a mark. Afterwards the last of them is the current tick, and all its lanes are done;
    the first was TICK before the call. 0 if there is none, or if the current tick has begun.
    """
    state = walk.state
    if state[LANE] > 0 or state[ACTIVE] == 0:
        return 0
    span = state[COST] * len(walk.lane_lags)
    wanted = min(MAX_TICKS, frames // state[ACTIVE], (until - state[DUE]) // span)
    wanted = min(wanted, state[CHANGE_AT] - state[TICK], state[MARK_AT] - state[TICK])
    if wanted <= 0:
        return 0
    ticks = 1
    while ticks < wanted:
        state[TICK] += 1
        if state[TARGETS] == UNKNOWN and not _draw(walk):
            state[TARGETS] = state[TICK]
            state[CHANGE_AT] = state[TICK]
            state[TICK] -= 1
            break
        ticks += 1
    state[DUE] += (ticks - 1) * span
    state[LANE] = state[ACTIVE]
    return ticks
