"""The delay queue: replies wait in slots, which a timing wheel lists by the millisecond in which they are due."""

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel
from liveness.lab.model.responder.state import FREE, NO_SLOT, SLOWEST_TICKS, TICK, TICK_SHIFT, WAITING, Model


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
    """Enqueue the reply in a slot for `due_ns`; one that is due already goes to the current tick, last in its list."""
    tick = due_ns >> TICK_SHIFT
    # An empty queue has no past: its wheel restarts at the present. Later ticks are limited to one turn of the wheel.
    if numbers[WAITING] == 0:
        numbers[TICK] = now_ns >> TICK_SHIFT
    tick = min(max(tick, numbers[TICK]), numbers[TICK] + len(heads) - 1)
    place = tick & (len(heads) - 1)  # the wheel has a power of two places
    links[slot] = NO_SLOT
    if heads[place] == NO_SLOT:
        heads[place] = slot
    else:
        links[tails[place]] = slot
    tails[place] = slot
    numbers[WAITING] += 1


@kernel
def next_due(heads: NDArray[np.int32], links: NDArray[np.int32], numbers: NDArray[np.int64], now_ns: int) -> int:
    """Remove the oldest due reply from the queue and return its slot, or NO_SLOT; the slot keeps its content."""
    now = now_ns >> TICK_SHIFT
    while numbers[WAITING] > 0 and numbers[TICK] <= now:
        place = numbers[TICK] & (len(heads) - 1)
        slot = int64(heads[place])
        if slot != NO_SLOT:
            heads[place] = links[slot]
            numbers[WAITING] -= 1
            numbers[SLOWEST_TICKS] = max(numbers[SLOWEST_TICKS], now - numbers[TICK])
            return slot
        numbers[TICK] += 1
    return NO_SLOT


def forget(model: Model) -> None:
    """Drop all waiting replies."""
    for place in np.flatnonzero(model.heads != NO_SLOT).tolist():
        slot = int(model.heads[place])
        while slot != NO_SLOT:
            give_back(model.free, model.numbers, slot)
            slot = int(model.links[slot])
        model.heads[place] = NO_SLOT
    model.numbers[WAITING] = 0
