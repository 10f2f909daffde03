"""What happens to networks, as functions of seed, address and time: outages, births, deaths, firewalls, moves."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel
from liveness.lab.model.change import layout as t
from liveness.lab.model.change.hosts import is_below, uniform, word_of

UP, OUT, UNBORN, DEAD, FIREWALLED = range(5)
"""States of a network: answers as usual; an outage; not born yet; died; every packet meets a firewall."""
NOBODY: Final = -1

_FATE: Final = 0x9FB21C651E98DF25
_WHEN: Final = 0xD6E8FEB86659FD93
_MOVE: Final = 0xCA5A826395121157
_OUTAGE: Final = 0x7FEB352D2F6A1B4D


@kernel
def _listed_state(tables: NDArray[np.uint64], at: int, address: int, now_ns: int) -> int:
    state = UP
    words = at + int64(tables[at + t.AT_EVENTS])
    for _ in range(int64(tables[at + t.EVENTS])):
        if int64(tables[words + t.FIRST]) <= address <= int64(tables[words + t.LAST]):
            kind, begin_ns, end_ns = int64(tables[words + t.EVENT_KIND]), tables[words + t.BEGIN], tables[words + t.END]
            began, ended = now_ns >= int64(begin_ns), now_ns >= int64(end_ns)
            if kind == t.OUTAGE_EVENT and began and not ended:
                return OUT
            if kind == t.BORN_EVENT and not began:
                return UNBORN
            if kind == t.DIES_EVENT and began:
                return DEAD
            if kind == t.FIREWALL_EVENT and began and not ended:
                state = FIREWALLED
        words += t.EVENT_WORDS
    return state


@kernel
def _fate(tables: NDArray[np.uint64], at: int, slash24: int, now_ns: int) -> int:
    """Return the state of a /24 by what was drawn for it: it is born, dies or gets a firewall at a drawn time."""
    if int64(tables[at + t.FIREWALLED]) == 0:
        return UP
    draw = word_of(tables, _FATE, slash24, 0)
    if not is_below(draw, int64(tables[at + t.FIREWALLED])):
        return UP
    since_ns = uniform(word_of(tables, _WHEN, slash24, 0), int64(tables[at + t.WITHIN]))
    happened = now_ns >= int64(tables[at + t.STARTS]) + since_ns
    if is_below(draw, int64(tables[at + t.BORN])):
        return UP if happened else UNBORN
    if not happened:
        return UP
    return DEAD if is_below(draw, int64(tables[at + t.DIES])) else FIREWALLED


@kernel
def _is_out(tables: NDArray[np.uint64], at: int, address: int, now_ns: int) -> bool:
    """Return whether the prefix of an address has a drawn outage now: one in each period, at a drawn time in it."""
    period_ns = int64(tables[at + t.OUTAGE_PERIOD])
    if period_ns == 0:
        return False
    prefix = address >> int64(tables[at + t.OUTAGE_SHIFT])
    since_ns = now_ns + uniform(word_of(tables, _OUTAGE, prefix, 0), period_ns)
    period = since_ns // period_ns
    since_ns -= period * period_ns
    spread_ns = int64(tables[at + t.OUTAGE_SPREAD])
    length_ns = int64(tables[at + t.OUTAGE_SHORTEST]) + uniform(word_of(tables, _OUTAGE, prefix, period + 1), spread_ns)
    begin_ns = uniform(word_of(tables, _WHEN, prefix, period + 1), period_ns - length_ns + 1)
    return begin_ns <= since_ns < begin_ns + length_ns


@kernel
def network_state(tables: NDArray[np.uint64], at: int, address: int, now_ns: int) -> int:
    """Return the state of the network of an address now. Silence goes before a firewall."""
    listed = _listed_state(tables, at, address, now_ns)
    if listed not in (UP, FIREWALLED):
        return listed
    drawn = _fate(tables, at, address >> 8, now_ns)
    if drawn not in (UP, FIREWALLED):
        return drawn
    if _is_out(tables, at, address, now_ns):
        return OUT
    return max(listed, drawn)


@kernel
def host_address(tables: NDArray[np.uint64], at: int, address: int, now_ns: int) -> int:
    """Return the address at which the hosts of `address` are described: another one after a move, NOBODY for none."""
    words = at + int64(tables[at + t.AT_EVENTS])
    for _ in range(int64(tables[at + t.EVENTS])):
        if int64(tables[words + t.EVENT_KIND]) == t.RENUMBERED_EVENT:
            first, last = int64(tables[words + t.FIRST]), int64(tables[words + t.LAST])
            to, moved = int64(tables[words + t.MOVED_TO]), now_ns >= int64(tables[words + t.BEGIN])
            if first <= address <= last:
                return NOBODY if moved else address
            if to <= address <= to + last - first:
                return first + address - to if moved else NOBODY
        words += t.EVENT_WORDS
    share = int64(tables[at + t.RENUMBERED])
    pair = address >> 9
    if share and is_below(word_of(tables, _MOVE, pair, 0), share):
        since_ns = uniform(word_of(tables, _MOVE, pair, 1), int64(tables[at + t.WITHIN]))
        moved = now_ns >= int64(tables[at + t.STARTS]) + since_ns
        upper = address >> 8 & 1 == 1
        return address & ~0x100 if moved == upper else NOBODY
    return address
