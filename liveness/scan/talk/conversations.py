"""Conversations: kernels that decide, event by event and as time passes, what the talker sends.

A table of recent conversations prevents a second talk with a service. A log of those that were begun, in order of time,
finds what is due: all talks have the same delays. Both have a fixed size. If either is full, a SYN-ACK is refused: its
connection is reset, and the service is not talked to.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liveness.applications.timing import REPEAT_S
from liveness.kernel import int64, kernel, uint64
from liveness.packets.siphash import siphash24
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
    REPEATS,
    RESET,
    RESETS,
    SHUT,
    SPOKE,
    TALKS,
    UNSURE,
    VERDICT_WIDTH,
    WITHDRAWN,
)
from liveness.space.lookup import is_within

PLACES: Final = 1 << 17
"""Places of the table, a power of two."""
WAYS: Final = 8
LOGGED: Final = 1 << 18
"""Conversations under way, at most: 5 seconds of 50,000 SYN-ACKs a second."""
REPEAT_NS: Final = int(REPEAT_S * 1e9)
"""Time after which a request that was not acknowledged is sent again."""
NEVER: Final = -(1 << 62)
"""A time before all others. The clock may begin with the host, so that 0 was just now."""
RESET_AGAIN_NS: Final = 200_000_000
"""Time after which a connection that goes on is reset again."""

KEY, STARTED, STATE, OURS, NEXT, LAST_RESET, OTHER_RESET, FIELDS = range(8)
"""Columns of a conversation. KEY is 0 where there is none; NEXT is what we acknowledge. LAST_RESET is when its
connection was reset, OTHER_RESET when one of another attempt was."""
OPEN, HEARD, OVER = range(3)
"""States: our request may be lost, it was acknowledged, or the connection was reset."""

ACTION, TARGET, PROBE, ATTEMPT, FROM, SEQUENCE, ACKNOWLEDGMENT, ACTION_WIDTH = range(8)
"""Columns of an action. SEQUENCE counts from the cookie plus 1 in requests, and is absolute in resets."""
ASK, ASK_AGAIN, RESET_IT, RESET_UNHEARD, RESET_HEARD = range(5)
"""Actions: the request, its repeat, and a reset: with the number acknowledged, or at the end of a talk."""

WRITTEN, REPEATED, FINISHED, SWEPT, POINTERS = range(5)
"""Numbers of conversations that were written to the log, looked at for a repeat, for their end, and for an opt-out."""
_DOMAIN: Final = 0xFFFD0000
"""With the probe's place added, takes the place of the probe code in the hash input, which no probe has."""


class Conversations(NamedTuple):
    """The memory of the talker. Times are ns of the monotonic clock."""

    table: NDArray[np.int64]  # (places, WAYS, FIELDS)
    forgotten: NDArray[np.int64]  # (places,) when the newest conversation was begun that a place has replaced
    log: NDArray[np.int64]  # (LOGGED, 5) place, way, start, repeat and KEY of conversations under way, a ring
    pointers: NDArray[np.int64]  # (POINTERS,)
    counts: NDArray[np.int64]  # COUNTS
    key: NDArray[np.uint64]  # (2,)


def conversations(key: bytes, counts: NDArray[np.int64], places: int = PLACES, logged: int = LOGGED) -> Conversations:
    """Return the memory of a talker that has not talked yet."""
    return Conversations(
        np.zeros((places, WAYS, FIELDS), np.int64),
        np.full(places, NEVER, np.int64),
        np.zeros((logged, 5), np.int64),
        np.zeros(POINTERS, np.int64),
        counts,
        np.frombuffer(key, "<u8"),
    )


@kernel
def _place_of(held: Conversations, target: int, probe: int) -> int:
    hashed = siphash24(uint64(target) | (uint64(_DOMAIN + probe) << uint64(32)), held.key[0], held.key[1])
    return int64(hashed & uint64(len(held.table) - 1))


@kernel
def _act(
    actions: NDArray[np.int64], at: int, action: int, key: int, ours: int, sequence: int, acknowledgment: int
) -> int:
    """Write an action of the conversation `key`; return the number of actions."""
    actions[at, ACTION] = action
    actions[at, TARGET] = (key >> 16) & 0xFFFFFFFF
    actions[at, PROBE] = (key >> 8) & 0xFF
    actions[at, ATTEMPT] = key & 0xFF
    actions[at, FROM] = ours
    actions[at, SEQUENCE] = sequence
    actions[at, ACKNOWLEDGMENT] = acknowledgment
    return at + 1


@kernel
def _reset(held: Conversations, actions: NDArray[np.int64], at: int, event: NDArray[np.int64], key: int) -> int:
    """Reset a connection with the number that the peer acknowledged last."""
    held.counts[RESETS] += 1
    return _act(actions, at, RESET_IT, key, event[4], event[6], 0)


@kernel
def _take_place(
    held: Conversations, place: int, way: int, event: NDArray[np.int64], key: int, now_ns: int, state: int
) -> None:
    """Write a new conversation to the table, in place of an old one."""
    entry = held.table[place, way]
    if entry[KEY] != 0:
        held.forgotten[place] = max(held.forgotten[place], entry[STARTED])
    entry[KEY], entry[STARTED], entry[STATE] = key, now_ns, state
    entry[OURS], entry[NEXT], entry[LAST_RESET], entry[OTHER_RESET] = event[4], event[5], 0, 0


@kernel
def _reset_seldom(
    held: Conversations, actions: NDArray[np.int64], at: int, event: NDArray[np.int64], key: int, now_ns: int
) -> int:
    """Reset a connection that is not talked on, unless it was reset just now: a peer may send without end.

    The service is remembered, if there is room, and not talked to any more.
    """
    place = _place_of(held, event[1], event[2])
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
        _take_place(held, place, way, event, key, now_ns, OVER)
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
    place = _place_of(held, event[1], event[2])
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
    _take_place(held, place, free, event, key, now_ns, OPEN)
    logged = held.log[held.pointers[WRITTEN] % len(held.log)]
    logged[0], logged[1], logged[2], logged[4] = place, free, now_ns, key
    held.pointers[WRITTEN] += 1
    held.counts[TALKS] += 1
    held.counts[LATE] += event[ARRIVED] < late_before_ns
    return _act(actions, at, ASK, key, event[4], 0, event[5])


@kernel
def _go_on(
    held: Conversations, actions: NDArray[np.int64], at: int, event: NDArray[np.int64], key: int, now_ns: int
) -> int:
    """React to a later segment: any data or FIN ends the talk."""
    entries = held.table[_place_of(held, event[1], event[2])]
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
    return _act(actions, at, action, entry[KEY], entry[OURS], 0, 0)


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
            at = _act(actions, at, ASK_AGAIN, entry[KEY], entry[OURS], 0, entry[NEXT])
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
