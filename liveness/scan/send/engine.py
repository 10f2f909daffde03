"""The sending loop's kernel: it walks the schedule and fills the next frames in their slots, as many as time allows."""

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import kernel, unowned
from liveness.order.schedule import (
    ACTIVE,
    DUE,
    FINISHED,
    LANE,
    MAX_TICKS,
    NOBODY,
    TICK,
    Walk,
    begin_tick,
    has_gaps,
    lane_due,
    run_ticks,
)
from liveness.probes.fill import fill_frames, hash_targets, put_template
from liveness.probes.hops import put_hops
from liveness.probes.run_constants import RunConstants
from liveness.scan.send.answered import has_answered
from liveness.scan.send.slots import Slots


@kernel
def fill_batch(
    walk: Walk,
    constants: RunConstants,
    slots: Slots,
    first_slot: int,
    count: int,
    until: int,
    now_ns: int,
    mark_ns: int,
    answered: NDArray[np.uint32],
    sent: NDArray[np.int64],
) -> int:
    """Fill up to `count` frames from `first_slot` on, but none that is due after `until`; return how many were filled.

    `until` is virtual time as in the schedule, `now_ns` the time since the epoch, which echo probes carry; `mark_ns` is
    that of the monotonic clock, which the lag record has. `answered` is the table of answered probes, empty
    if repeats are sent regardless. `sent` counts the frames filled, (probes, attempts).

    Whole ticks are filled many at once, a lane after the other, so that everything about a probe is fetched once; the
    rest lane by lane. Ticks with a target that was withdrawn are filled one at a time, without a frame for it.
    """
    walk, constants, slots = unowned(walk), unowned(constants), unowned(slots)
    answered, sent = unowned(answered), unowned(sent)
    state = walk.state
    targets, hashes = np.empty(MAX_TICKS, np.uint32), np.empty(MAX_TICKS, np.uint64)
    filled = 0
    while filled < count and state[FINISHED] == 0:
        if state[LANE] == state[ACTIVE]:
            if state[ACTIVE] == 0 and state[DUE] > until:
                break
            begin_tick(walk, mark_ns)
            continue
        tick, lane_first, lanes = state[TICK], state[LANE], state[ACTIVE]
        ticks = run_ticks(walk, count - filled, until) if len(answered) == 0 else 0
        if ticks == 0:  # one lane of the current tick
            if lane_due(state, len(walk.lane_lags)) > until:
                break
            ticks, lanes = 1, lane_first + 1
            state[LANE] += 1
        gaps = len(walk.withdrawn_first) > 0
        at_once = 1 if gaps and ticks > 1 and has_gaps(walk, tick, ticks) else ticks
        for begin in range(tick, tick + ticks, at_once):
            filled += _fill_lanes(
                walk,
                constants,
                slots,
                first_slot + filled,
                begin,
                at_once,
                lane_first,
                lanes,
                now_ns,
                answered,
                sent,
                targets,
                hashes,
            )
    return filled


@kernel
def _fill_lanes(
    walk: Walk,
    constants: RunConstants,
    slots: Slots,
    first_slot: int,
    tick: int,
    ticks: int,
    lane_first: int,
    lanes: int,
    now_ns: int,
    answered: NDArray[np.uint32],
    sent: NDArray[np.int64],
    targets: NDArray[np.uint32],
    hashes: NDArray[np.uint64],
) -> int:
    """Fill the frames of `ticks` ticks from `tick` on, of the lanes from `lane_first` to `lanes`; return how many.

    Of a single tick those are left out that were withdrawn, or need no repeat. `targets` and `hashes` are scratch space
    of MAX_TICKS.
    """
    queue, mask, width = walk.queue, len(walk.queue) - 1, lanes - lane_first
    used = 0
    for place in range(lane_first, lanes):
        lane = walk.active[place]
        probe, attempt = walk.lane_probes[lane], walk.lane_attempts[lane]
        for i in range(ticks):
            targets[i] = queue[(tick + i - walk.lane_lags[lane]) & mask]
        if ticks == 1:
            if len(walk.withdrawn_first) > 0 and targets[0] == NOBODY:
                continue  # no slot is used
            if attempt > 0 and len(answered) > 0 and has_answered(answered, int(targets[0]), probe):
                continue
        slot = first_slot + used
        used += 1
        slots.attempts[slot : slot + ticks * width : width] = attempt
        for at in range(slot, slot + ticks * width, width):
            if slots.held[at] != probe:
                put_template(slots.words, at * slots.step, constants.templates, probe)
                slots.held[at] = probe
                slots.lengths[at] = constants.lengths[probe]
        numbers = constants.numbers[probe]
        hash_targets(targets[:ticks], numbers, hashes)
        fill_frames(
            slots.words,
            slot * slots.step,
            width * slots.step,
            numbers,
            constants.sources,
            attempt,
            targets[:ticks],
            hashes,
            now_ns,
        )
        if len(constants.hop_first) > 0:
            words, step = slots.words, slots.step
            put_hops(words, slot * step, width * step, constants.hop_first, constants.hop_macs, targets[:ticks])
        sent[probe, attempt] += ticks
    return used * ticks
