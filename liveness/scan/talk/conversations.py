"""Conversations: kernels that decide, event by event, what the talker sends."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import kernel
from liveness.scan.talk.actions import ASK, RESET_IT, act
from liveness.scan.talk.memory import (
    FINISHED,
    HEARD,
    KEY,
    LAST_RESET,
    OPEN,
    OTHER_RESET,
    OVER,
    STARTED,
    STATE,
    WRITTEN,
    Conversations,
    place_of,
    take_place,
)
from liveness.scan.talk.shared import (
    ACKNOWLEDGED,
    ARRIVED,
    ENDED,
    HELD_BACK,
    LATE,
    NO_ROOM,
    OPENED,
    REFUSED,
    REFUSED_GONE,
    RESET,
    RESETS,
    SHUT,
    SPOKE,
    TALKS,
    UNSURE,
    WITHDRAWN,
)
from liveness.space.lookup import is_within

RESET_AGAIN_NS: Final = 200_000_000
"""Time after which a connection that goes on is reset again."""


@kernel
def _reset(held: Conversations, actions: NDArray[np.int64], at: int, event: NDArray[np.int64], key: int) -> int:
    """Reset a connection with the number that the peer acknowledged last."""
    held.counts[RESETS] += 1
    return act(actions, at, RESET_IT, key, event[4], event[6], 0)


@kernel
def _reset_seldom(
    held: Conversations, actions: NDArray[np.int64], at: int, event: NDArray[np.int64], key: int, now_ns: int
) -> int:
    """Reset a connection that is not talked on, unless it was reset just now: a peer may send without end.

    The service is remembered, if there is room, and not talked to any more.
    """
    place = place_of(held, event[1], event[2])
    entries = held.table[place]
    way = -1
    for other in range(len(entries)):
        entry = entries[other]
        if entry[KEY] >> 8 == key >> 8:
            way = other
            break
        if (entry[KEY] == 0 or entry[STATE] == OVER) and (way < 0 or entry[STARTED] < entries[way, STARTED]):
            way = other
    if way < 0:
        return _reset(held, actions, at, event, key)
    entry = entries[way]
    if entry[KEY] >> 8 != key >> 8:
        take_place(held, place, way, event, key, now_ns, OVER)
    column = LAST_RESET if entry[KEY] == key else OTHER_RESET
    if now_ns - entry[column] < RESET_AGAIN_NS and entry[column] != 0:
        held.counts[HELD_BACK] += 1
        return at
    entry[column] = now_ns
    return _reset(held, actions, at, event, key)


@kernel
def _begin(
    held: Conversations,
    actions: NDArray[np.int64],
    at: int,
    event: NDArray[np.int64],
    key: int,
    now_ns: int,
    horizon_ns: int,
    late_before_ns: int,
    new: bool,
    gone: bool,
) -> int:
    """Answer a SYN-ACK: begin to talk, or reset the connection if this service was or may have been talked to."""
    place = place_of(held, event[1], event[2])
    entries = held.table[place]
    free = -1
    for way in range(len(entries)):
        entry = entries[way]
        if entry[KEY] >> 8 == key >> 8:  # the same target and probe, whatever the attempt
            if entry[KEY] == key and entry[STATE] != OVER:
                return at  # the peer repeats its SYN-ACK: the request is repeated when it is due
            return _reset_seldom(held, actions, at, event, key, now_ns)
        if (entry[KEY] == 0 or entry[STATE] == OVER) and (free < 0 or entry[STARTED] < entries[free, STARTED]):
            free = way
    # A repeat of the probe may have been answered although the original was, too, and its talk is forgotten.
    unsure = key & 0xFF > 0 and held.forgotten[place] > now_ns - horizon_ns
    full = held.pointers[WRITTEN] - held.pointers[FINISHED] >= len(held.log)
    if gone or unsure or not new:
        held.counts[REFUSED] += 1
        if gone:
            held.counts[WITHDRAWN] += 1
            held.counts[REFUSED_GONE] += 1
        elif unsure:
            held.counts[UNSURE] += 1
        return _reset_seldom(held, actions, at, event, key, now_ns)
    if free < 0 or full:
        held.counts[REFUSED] += 1
        held.counts[NO_ROOM] += 1
        return _reset(held, actions, at, event, key)
    take_place(held, place, free, event, key, now_ns, OPEN)
    logged = held.log[held.pointers[WRITTEN] % len(held.log)]
    logged[0], logged[1], logged[2], logged[4] = place, free, now_ns, key
    held.pointers[WRITTEN] += 1
    held.counts[TALKS] += 1
    held.counts[LATE] += event[ARRIVED] < late_before_ns
    return act(actions, at, ASK, key, event[4], 0, event[5])


@kernel
def _go_on(
    held: Conversations, actions: NDArray[np.int64], at: int, event: NDArray[np.int64], key: int, now_ns: int
) -> int:
    """React to a later segment: any data or FIN ends the talk."""
    entries = held.table[place_of(held, event[1], event[2])]
    for way in range(len(entries)):
        entry = entries[way]
        if entry[KEY] != key:
            continue
        if event[0] == RESET:
            entry[STATE] = OVER
            return at
        if event[0] == ACKNOWLEDGED and entry[STATE] != OVER:
            entry[STATE] = HEARD
            return at
        if entry[STATE] == OVER and now_ns - entry[LAST_RESET] < RESET_AGAIN_NS:
            held.counts[HELD_BACK] += 1
            return at
        entry[STATE] = OVER
        entry[LAST_RESET] = now_ns
        return _reset(held, actions, at, event, key)
    return at if event[0] == RESET else _reset_seldom(held, actions, at, event, key, now_ns)


@kernel
def take_events(
    held: Conversations,
    events: NDArray[np.int64],
    begin: int,
    end: int,
    now_ns: int,
    horizon_ns: int,
    late_before_ns: int,
    new: bool,
    withdrawn_first: NDArray[np.uint32],
    withdrawn_last: NDArray[np.uint32],
    actions: NDArray[np.int64],
    at: int,
) -> tuple[int, int]:
    """React to the events `begin` to `end` of a ring; return the number of events taken, and of actions so far.

    `at` actions are there already; it ends early when `actions` is full. `new` is whether new talks may begin, the
    `withdrawn` intervals are targets that are not talked to any more. A service is remembered for `horizon_ns`, the
    longest time between an original and its last repeat. Requests to SYN-ACKs that arrived before `late_before_ns`, by
    the clock of captures, count as late.
    """
    taken = begin
    while taken < end and at < len(actions):
        event = events[taken % len(events)]
        taken += 1
        key = event[1] << 16 | event[2] << 8 | event[3] | 1 << 48
        kind = event[0]
        if kind == SHUT:
            at = _reset_seldom(held, actions, at, event, key, now_ns)
        elif kind == OPENED:
            gone = len(withdrawn_first) > 0 and is_within(event[1], withdrawn_first, withdrawn_last)
            at = _begin(held, actions, at, event, key, now_ns, horizon_ns, late_before_ns, new, gone)
        elif kind in (ACKNOWLEDGED, SPOKE, ENDED, RESET):
            at = _go_on(held, actions, at, event, key, now_ns)
    return taken - begin, at
