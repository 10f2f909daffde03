"""The sending loop's kernel: it walks the schedule and fills the next frames in their slots, as many as time allows."""

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import kernel
from liveness.probes.fill import fill_frame, put_template
from liveness.probes.kit import Kit
from liveness.scan.answered import has_answered
from liveness.space.schedule import ACTIVE, DUE, FINISHED, LANE, TICK, Walk, begin_tick, lane_due


@kernel
def fill_batch(
    walk: Walk,
    kit: Kit,
    frames: NDArray[np.uint16],
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

    `frames` is (slots, words), `held` the probe whose template each slot holds (-1 none), `attempts` the attempt it was
    last filled for, `lengths` its frame's length in bytes. `until` is virtual time as in the schedule. `answered` is
    the table of answered probes, empty if repeats are sent regardless. `sent` counts the frames filled, (probes,
    attempts).
    """
    constants, templates, template_lengths, sources = kit.constants, kit.templates, kit.lengths, kit.sources
    state, queue, active, lags = walk.state, walk.queue, walk.active, walk.lane_lags
    lane_probes, lane_attempts = walk.lane_probes, walk.lane_attempts
    filled = 0
    while filled < count and state[FINISHED] == 0:
        if state[LANE] == state[ACTIVE]:
            if state[ACTIVE] == 0 and state[DUE] > until:
                break
            begin_tick(walk, now_ns)
            continue
        if lane_due(state, len(lags)) > until:
            break
        lane = active[state[LANE]]
        state[LANE] += 1
        probe = lane_probes[lane]
        attempt = lane_attempts[lane]
        target = int(queue[(state[TICK] - lags[lane]) & (len(queue) - 1)])
        if attempt > 0 and len(answered) > 0 and has_answered(answered, target, probe):
            continue
        slot = first_slot + filled
        if held[slot] != probe:
            put_template(frames[slot], templates, probe)
            held[slot] = probe
            lengths[slot] = template_lengths[probe]
        attempts[slot] = attempt
        fill_frame(frames[slot], constants[probe], sources, attempt, target, now_ns)
        sent[probe, attempt] += 1
        filled += 1
    return filled
