"""The answer of an address to a probe at a time, and how much longer the reply takes."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64
from liveness.lab.model.change import layout as t
from liveness.lab.model.change.hosts import NO_BEHAVIOUR, behaviour_of, host_in_pool, is_below, is_up, uniform, word_of
from liveness.lab.model.change.networks import FIREWALLED, NOBODY, UP, host_address, network_state
from liveness.lab.model.population.answer import (
    AT_ANSWERS,
    AT_KINDS,
    AT_TIME,
    CODE_SHIFT,
    ERROR,
    FROM_ROUTER,
    KIND_MIX,
    KIND_WORDS,
    PROBES,
    PROFILES,
    SILENT,
    TYPE_SHIFT,
    answer_of,
    fixed_row,
    gap_row,
    host_row,
    kind_of,
)

PROHIBITED: Final = ERROR | 3 << TYPE_SHIFT | 13 << CODE_SHIFT | FROM_ROUTER
"""The error of a firewall: communication administratively prohibited (RFC 1812 5.2.7.1)."""
_WIDTH: Final = len(PROBES)
_LATE: Final = 0xA24BAED4963EE407
_WAKING: Final = 0x94D049BB133111E9


@kernel
def _row_at(tables: NDArray[np.uint64], at: int, address: int, now_ns: int) -> int:
    """Return the row of the host described at an address, at a time; 0 for silence."""
    kind = kind_of(tables, address >> 8)
    if kind < 0:
        return 0
    row = fixed_row(tables, address, kind)  # gateways and tarpits are always on
    if row >= 0:
        return row
    site = int64(tables[int64(tables[AT_KINDS]) + kind * KIND_WORDS + KIND_MIX])
    words = behaviour_of(tables, at, address >> 8, site)
    if words == NO_BEHAVIOUR:
        return host_row(tables, address >> 8, kind, address & 255)
    if int64(tables[words + t.KIND]) == t.POOL:
        return host_row(tables, address >> 8, kind, host_in_pool(tables, words, address, now_ns))
    row = host_row(tables, address >> 8, kind, address & 255)
    if 0 < row <= int64(tables[PROFILES]) and not is_up(tables, at, words, address, now_ns):
        return gap_row(tables, kind)
    return row


@kernel
def answer_at(tables: NDArray[np.uint64], address: int, probe: int, now_ns: int) -> int:
    """Return the answer of an address (host order) to a probe at the model's time, packed as by `answer_of`."""
    at = int64(tables[AT_TIME])
    if at == 0:
        return answer_of(tables, address, probe)
    address = int64(address)
    state = network_state(tables, at, address, now_ns)
    if state not in (UP, FIREWALLED):
        return SILENT
    host = host_address(tables, at, address, now_ns)
    if host == NOBODY:
        return SILENT
    if state == FIREWALLED:
        return PROHIBITED if kind_of(tables, host >> 8) >= 0 else SILENT
    row = _row_at(tables, at, host, now_ns)
    return int64(tables[int64(tables[AT_ANSWERS]) + row * _WIDTH + probe]) if row > 0 else SILENT


@kernel
def answers_at(
    tables: NDArray[np.uint64],
    addresses: NDArray[np.uint32],
    probe: int,
    times_ns: NDArray[np.int64],
    out: NDArray[np.int64],
) -> None:
    """Write the answer of each address at each time."""
    for index in range(len(addresses)):
        out[index] = answer_at(tables, int64(addresses[index]), probe, int64(times_ns[index]))


@kernel
def late_by_ns(tables: NDArray[np.uint64], address: int, now_ns: int) -> int:
    """Return how much longer the reply of an address takes to a probe at this time, in the model's time."""
    at = int64(tables[AT_TIME])
    if at == 0 or int64(tables[at + t.LATE_UP_TO]) == 0:
        return 0
    if not is_below(word_of(tables, _LATE, address, 0), int64(tables[at + t.LATE_HOSTS])):
        return 0
    word = word_of(tables, _LATE, address, now_ns)
    if not is_below(word, int64(tables[at + t.LATE_REPLIES])):
        return 0
    part = float(int64(uint64(word) & uint64(0xFFFFFFFF))) / float(1 << 32)
    return int64(part * part * part * float(int64(tables[at + t.LATE_UP_TO])))


@kernel
def wakes_in_ns(tables: NDArray[np.uint64], address: int, idle_ns: int) -> int:
    """Return how long a host takes to wake up that was not probed for `idle_ns`, in the model's time."""
    at = int64(tables[AT_TIME])
    if at == 0 or idle_ns <= int64(tables[at + t.WAKING_IDLE]):
        return 0
    if not is_below(word_of(tables, _WAKING, address, 0), int64(tables[at + t.WAKING_HOSTS])):
        return 0
    return uniform(word_of(tables, _WAKING, address, 1), int64(tables[at + t.WAKING_UP_TO]) + 1)
