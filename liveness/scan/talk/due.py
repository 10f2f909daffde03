"""What is due in conversations: kernels that repeat requests, and end talks that are over or whose targets left."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.applications.timing import REPEAT_S
from liveness.kernel import kernel
from liveness.scan.talk.actions import ASK_AGAIN, RESET_HEARD, RESET_UNHEARD, act
from liveness.scan.talk.memory import (
    FINISHED,
    HEARD,
    KEY,
    LAST_RESET,
    NEXT,
    OPEN,
    OURS,
    OVER,
    REPEATED,
    STARTED,
    STATE,
    SWEPT,
    WRITTEN,
    Conversations,
)
from liveness.scan.talk.shared import REPEATS, RESETS, VERDICT_WIDTH, WITHDRAWN
from liveness.space.lookup import is_within

REPEAT_NS: Final = int(REPEAT_S * 1e9)
"""Time after which a request that was not acknowledged is sent again."""


@kernel
def _is_over(table: NDArray[np.int64], logged: NDArray[np.int64]) -> bool:
    """Return whether a logged conversation has ended: its connection was reset, or another one has its place."""
    entry = table[logged[0], logged[1]]
    return bool(entry[KEY] != logged[4] or entry[STARTED] != logged[2] or entry[STATE] == OVER)


@kernel
def _end(held: Conversations, actions: NDArray[np.int64], at: int, entry: NDArray[np.int64], now_ns: int) -> int:
    """End a talk by a reset with the number that the peer should expect next."""
    held.counts[RESETS] += 1
    action = RESET_HEARD if entry[STATE] == HEARD else RESET_UNHEARD
    entry[STATE] = OVER
    entry[LAST_RESET] = now_ns
    return act(actions, at, action, entry[KEY], entry[OURS], 0, 0)


@kernel
def take_withdrawn(
    held: Conversations,
    now_ns: int,
    withdrawn_first: NDArray[np.uint32],
    withdrawn_last: NDArray[np.uint32],
    actions: NDArray[np.int64],
    at: int,
) -> int:
    """End the talks with the `withdrawn` targets; return the number of actions so far.

    It looks at the talks from pointers[SWEPT] on, and returns early when `actions` is full.
    """
    table, log, pointers = held.table, held.log, held.pointers
    pointers[SWEPT] = max(pointers[SWEPT], pointers[FINISHED])
    if len(withdrawn_first) == 0:
        pointers[SWEPT] = pointers[WRITTEN]
    while pointers[SWEPT] < pointers[WRITTEN] and at < len(actions):
        logged = log[pointers[SWEPT] % len(log)]
        pointers[SWEPT] += 1
        entry = table[logged[0], logged[1]]
        target = (entry[KEY] >> 16) & 0xFFFFFFFF
        if not _is_over(table, logged) and is_within(target, withdrawn_first, withdrawn_last):
            held.counts[WITHDRAWN] += 1
            at = _end(held, actions, at, entry, now_ns)
    return at


@kernel
def take_time(
    held: Conversations,
    now_ns: int,
    wait_ns: int,
    all_over: bool,
    actions: NDArray[np.int64],
    at: int,
    verdicts: NDArray[np.int64],
) -> tuple[int, int]:
    """Repeat and end what is due; return the number of actions so far, and of verdicts: targets that stayed mute.

    A talk ends `wait_ns` after its SYN-ACK, and never less than that less REPEAT_NS after its repeat; or at once and
    without a verdict if `all_over`. Talks that are over leave the log as soon as all before them have. This function
    returns early when `actions` or `verdicts` is full.
    """
    table, log, pointers = held.table, held.log, held.pointers
    while pointers[REPEATED] < pointers[WRITTEN] and at < len(actions) and not all_over:
        logged = log[pointers[REPEATED] % len(log)]
        if now_ns - logged[2] < REPEAT_NS and not _is_over(table, logged):
            break
        pointers[REPEATED] += 1
        logged[3] = now_ns
        entry = table[logged[0], logged[1]]
        if not _is_over(table, logged) and entry[STATE] == OPEN:
            held.counts[REPEATS] += 1
            at = act(actions, at, ASK_AGAIN, entry[KEY], entry[OURS], 0, entry[NEXT])
    mute = 0
    last = pointers[WRITTEN] if all_over else pointers[REPEATED]
    while pointers[FINISHED] < last and at < len(actions) and mute < len(verdicts):
        logged = log[pointers[FINISHED] % len(log)]
        over = _is_over(table, logged)
        # A repeat that left late gets its time for an answer, too.
        if not (all_over or over) and now_ns - logged[3] < wait_ns - REPEAT_NS:
            break
        pointers[FINISHED] += 1
        if over:
            continue
        entry = table[logged[0], logged[1]]
        if entry[STATE] != HEARD and not all_over:
            key, verdict = entry[KEY], verdicts[mute]
            verdict[0], verdict[1], verdict[2] = (key >> 16) & 0xFFFFFFFF, (key >> 8) & 0xFF, key & 0xFF
            mute += 1
        at = _end(held, actions, at, entry, now_ns)
    return at, mute


def empty_verdicts(count: int) -> NDArray[np.int64]:
    """Return room for verdicts."""
    return np.zeros((count, VERDICT_WIDTH), np.int64)
