"""The kernel of sending: it fills the frames of due probes in the slots of the ring."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import kernel, unowned
from liveness.order.due import ATTEMPT, POSITION, PROBE, STRIPS, TICKS, WIDTH, Due
from liveness.order.ticks import MAX_TICKS
from liveness.probes.fill import fill_frames, flat_words, hash_targets, put_template
from liveness.probes.hops import put_hops
from liveness.probes.run_constants import RunConstants
from liveness.scan.send.answered import has_answered
from liveness.scan.send.queue import NO_TARGET, TargetQueue, has_gaps, take_drawn


class Slots(NamedTuple):
    """The slots of a ring, and what each was last filled with."""

    words: NDArray[np.uint16]  # all frames as one flat array, as `flat_words` returns them
    step: int  # words from one frame to the next
    held: NDArray[np.int64]  # (slots,) the probe whose template a slot contains, -1 if none
    attempts: NDArray[np.int64]  # (slots,) the attempt for which the slot was filled
    lengths: NDArray[np.uint16]  # (slots,) length of the frame in bytes


def slots_of(frames: NDArray[np.uint8]) -> Slots:
    """Return the slots of a ring's frames, (slots, frame bytes), with no slot filled."""
    words, step = flat_words(frames)
    count = len(frames)
    return Slots(words, step, np.full(count, -1, np.int64), np.zeros(count, np.int64), np.zeros(count, np.uint16))


@kernel
def fill_due(
    due: Due,
    queue: TargetQueue,
    constants: RunConstants,
    slots: Slots,
    first_slot: int,
    now_ns: int,
    answered: NDArray[np.uint32],
    sent: NDArray[np.int64],
) -> int:
    """Fill the frames of all due probes, from slot `first_slot` on; return the number of frames filled.

    `now_ns` is the time since the epoch, which echo probes carry. `answered` is the table of answered probes, empty if
    repeats are sent in any case. `sent` counts the frames filled, (probes, attempts).

    The strips of a group are filled one after the other, so that the constants of each probe are loaded once. If some
    frames may have to be left out (withdrawn targets, answered probes), the group is filled tick by tick, and a frame
    that is left out takes no slot.
    """
    # Without reference counts, which would cost more than the work on a frame. The caller keeps the arrays alive.
    due, queue, constants, slots = unowned(due), unowned(queue), unowned(constants), unowned(slots)
    answered, sent = unowned(answered), unowned(sent)
    take_drawn(queue, due)
    targets, hashes = np.empty(MAX_TICKS, np.uint32), np.empty(MAX_TICKS, np.uint64)
    rows, row, filled = due.counts[STRIPS], 0, 0
    while row < rows:
        ticks, width = due.strips[row, TICKS], due.strips[row, WIDTH]
        at_once = min(ticks, MAX_TICKS)
        if ticks > 1:
            if len(answered) > 0:  # any repeat may have to be left out
                at_once = 1
            elif len(queue.withdrawn_first) > 0:
                for strip in range(row, row + width):
                    if has_gaps(queue, due.strips[strip, POSITION], ticks):
                        at_once = 1
        for tick in range(0, ticks, at_once):
            filled += _fill_group(
                due.strips[row : row + width],
                tick,
                min(at_once, ticks - tick),
                queue,
                constants,
                slots,
                first_slot + filled,
                now_ns,
                answered,
                sent,
                targets,
                hashes,
            )
        row += width
    return filled


@kernel
def _fill_group(
    strips: NDArray[np.int64],
    tick: int,
    ticks: int,
    queue: TargetQueue,
    constants: RunConstants,
    slots: Slots,
    first_slot: int,
    now_ns: int,
    answered: NDArray[np.uint32],
    sent: NDArray[np.int64],
    targets: NDArray[np.uint32],
    hashes: NDArray[np.uint64],
) -> int:
    """Fill the frames of `ticks` ticks of a group, from its tick `tick` on; return the number of frames filled.

    If `ticks` is 1, the frames of a withdrawn target and unneeded repeats are left out. `targets` and `hashes` are
    scratch space of MAX_TICKS elements.
    """
    mask, width = len(queue.addresses) - 1, len(strips)
    used = 0
    for strip in range(width):
        position = strips[strip, POSITION] + tick
        probe, attempt = strips[strip, PROBE], strips[strip, ATTEMPT]
        for i in range(ticks):
            targets[i] = queue.addresses[(position + i) & mask]
        if ticks == 1:
            if len(queue.withdrawn_first) > 0 and targets[0] == NO_TARGET:
                continue
            if attempt > 0 and len(answered) > 0 and has_answered(answered, int(targets[0]), probe):
                continue
        # The strips of a group are interleaved: each tick has one frame of every strip, so a strip fills every
        # `width`-th slot. (If a frame is left out there is only one tick, and `width` is not used to find a slot.)
        slot = first_slot + used
        used += 1
        slots.attempts[slot : slot + ticks * width : width] = attempt
        for at in range(slot, slot + ticks * width, width):
            if slots.held[at] != probe:  # most slots get the same probe each time: the template is there already
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
        if len(constants.hop_first) > 0:  # several next hops: each target has its own MAC address
            words, step = slots.words, slots.step
            put_hops(words, slot * step, width * step, constants.hop_first, constants.hop_macs, targets[:ticks])
        sent[probe, attempt] += ticks
    return used * ticks
