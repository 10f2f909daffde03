"""The sending loop's kernel: it walks the schedule and fills the next frames in their slots, as many as time allows."""

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import kernel, unowned
from liveness.probes.fill import fill_frames, hash_targets, put_template
from liveness.probes.kit import Kit
from liveness.scan.answered import has_answered
from liveness.space.schedule import (
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


@kernel
def fill_batch(  # noqa: C901, PLR0912 - the innermost loop of all, in one piece
    walk: Walk,
    kit: Kit,
    words: NDArray[np.uint16],
    step: int,
    held: NDArray[np.int64],
    attempts: NDArray[np.int64],
    lengths: NDArray[np.uint16],
    first_slot: int,
    count: int,
    until: int,
    now_ns: int,
    answered: NDArray[np.uint32],
    sent: NDArray[np.int64],
) -> int:
    """Fill up to `count` frames from `first_slot` on, but none that is due after `until`; return how many were filled.

    `words` and `step` are the ring's frames as `flat_words` gives them. For each slot `held` is the probe whose
    template it holds (-1 none), `attempts` the attempt it was last filled for, `lengths` its frame's length in bytes.
    `until` is virtual time as in the schedule. `answered` is the table of answered probes, empty if repeats are sent
    regardless. `sent` counts the frames filled, (probes, attempts).

    Whole ticks are filled many at once, a lane after the other, so that everything about a probe is fetched once; the
    rest lane by lane. Ticks with a target that was withdrawn are filled one at a time, without a frame for it.
    """
    walk, kit, words, held = unowned(walk), unowned(kit), unowned(words), unowned(held)
    attempts, lengths, answered, sent = unowned(attempts), unowned(lengths), unowned(answered), unowned(sent)
    constants, templates, template_lengths, sources = kit.constants, kit.templates, kit.lengths, kit.sources
    state, queue, active, lags = walk.state, walk.queue, walk.active, walk.lane_lags
    targets, hashes = np.empty(MAX_TICKS, np.uint32), np.empty(MAX_TICKS, np.uint64)
    mask = len(queue) - 1
    filled = 0
    while filled < count and state[FINISHED] == 0:
        if state[LANE] == state[ACTIVE]:
            if state[ACTIVE] == 0 and state[DUE] > until:
                break
            begin_tick(walk, now_ns)
            continue
        tick, lane_first, lanes = state[TICK], state[LANE], state[ACTIVE]
        ticks = run_ticks(walk, count - filled, until) if len(answered) == 0 else 0
        if ticks == 0:  # one lane of the current tick
            if lane_due(state, len(lags)) > until:
                break
            ticks, lanes = 1, lane_first + 1
            state[LANE] += 1
        gaps = len(walk.withdrawn_first) > 0
        at_once = 1 if gaps and ticks > 1 and has_gaps(walk, tick, ticks) else ticks
        for begin in range(tick, tick + ticks, at_once):
            width = lanes - lane_first
            used = 0
            for place in range(lane_first, lanes):
                lane = active[place]
                probe, attempt = walk.lane_probes[lane], walk.lane_attempts[lane]
                for i in range(at_once):
                    targets[i] = queue[(begin + i - lags[lane]) & mask]
                if at_once == 1:
                    if gaps and targets[0] == NOBODY:
                        continue  # no slot is used
                    if attempt > 0 and len(answered) > 0 and has_answered(answered, int(targets[0]), probe):
                        continue
                slot = first_slot + filled + used
                used += 1
                attempts[slot : slot + at_once * width : width] = attempt
                for at in range(slot, slot + at_once * width, width):
                    if held[at] != probe:
                        put_template(words, at * step, templates, probe)
                        held[at] = probe
                        lengths[at] = template_lengths[probe]
                hash_targets(targets[:at_once], constants[probe], hashes)
                fill_frames(
                    words,
                    slot * step,
                    width * step,
                    constants[probe],
                    sources,
                    attempt,
                    targets[:at_once],
                    hashes,
                    now_ns,
                )
                sent[probe, attempt] += at_once
            filled += at_once * used
    return filled
