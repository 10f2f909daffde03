"""The delay queue: replies wait in slots, in a wheel of lists by the millisecond in which they are due."""

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel
from liveness.lab.model.responder.state import FREE, NO_SLOT, TICK, TICK_SHIFT, WAITING, WHEEL, Model


@kernel
def take_slot(free: NDArray[np.int32], numbers: NDArray[np.int64]) -> int:
    """Return a free slot, or NO_SLOT."""
    if numbers[FREE] == 0:
        return NO_SLOT
    numbers[FREE] -= 1
    return int64(free[numbers[FREE]])


@kernel
def give_back(free: NDArray[np.int32], numbers: NDArray[np.int64], slot: int) -> None:
    """Free a slot."""
    free[numbers[FREE]] = slot
    numbers[FREE] += 1


@kernel
def schedule(
    heads: NDArray[np.int32],
    tails: NDArray[np.int32],
    links: NDArray[np.int32],
    numbers: NDArray[np.int64],
    slot: int,
    now_ns: int,
    due_ns: int,
) -> None:
    """Have the reply in a slot wait until `due_ns`; what is due already goes next, behind what waits since before."""
    tick = due_ns >> TICK_SHIFT
    if numbers[WAITING] == 0:
        numbers[TICK] = now_ns >> TICK_SHIFT
    tick = min(max(tick, numbers[TICK]), numbers[TICK] + WHEEL - 1)
    place = tick & (WHEEL - 1)
    links[slot] = NO_SLOT
    if heads[place] == NO_SLOT:
        heads[place] = slot
    else:
        links[tails[place]] = slot
    tails[place] = slot
    numbers[WAITING] += 1


@kernel
def next_due(heads: NDArray[np.int32], links: NDArray[np.int32], numbers: NDArray[np.int64], now_ns: int) -> int:
    """Take the oldest reply that is due out of the queue and return its slot, or NO_SLOT; its content stays."""
    now = now_ns >> TICK_SHIFT
    while numbers[WAITING] > 0 and numbers[TICK] <= now:
        place = numbers[TICK] & (WHEEL - 1)
        slot = int64(heads[place])
        if slot != NO_SLOT:
            heads[place] = links[slot]
            numbers[WAITING] -= 1
            return slot
        numbers[TICK] += 1
    return NO_SLOT


def forget(model: Model) -> None:
    """Drop everything that waits."""
    for place in np.flatnonzero(model.heads != NO_SLOT).tolist():
        slot = int(model.heads[place])
        while slot != NO_SLOT:
            give_back(model.free, model.numbers, slot)
            slot = int(model.links[slot])
        model.heads[place] = NO_SLOT
    model.numbers[WAITING] = 0
