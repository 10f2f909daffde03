"""Services: local endpoints (address, port, protocol) that succeed with several remotes, or that are listed."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.flows.record import PROTOCOL_ICMP
from liveness.kernel import int64, kernel, uint64
from liveness.passive.records import REFUSED, TWO_WAY, Row, Rows
from liveness.passive.tables import is_in, mixed, set_of, slot_of
from liveness.space.addresses import format_address, parse_address

FIRST_DYNAMIC_PORT: Final = 49_152
PROTOCOL_NAMES: Final = {6: "tcp", 17: "udp", 33: "dccp", 132: "sctp", 136: "udplite"}
PROTOCOL_NUMBERS: Final = {name: number for number, name in PROTOCOL_NAMES.items()}
_LARGEST_PROTOCOL: Final = 255
_LARGEST_PORT: Final = 65_535
_NEVER: Final = -(1 << 62)
_AT_ONCE: Final = 1 << 14


def parse_service(text: str) -> int:
    """Return the endpoint that ``ADDRESS/PROTOCOL/PORT`` names. ValueError says what was expected."""
    parts = text.split("/")
    expected = "expected ADDRESS/PROTOCOL/PORT, such as 198.51.100.25/tcp/25"
    if len(parts) != 3:  # noqa: PLR2004 - the three of the form
        raise ValueError(expected)
    try:
        address = parse_address(parts[0])
        protocol = PROTOCOL_NUMBERS[parts[1]] if parts[1] in PROTOCOL_NUMBERS else int(parts[1])
        port = int(parts[2])
    except ValueError as error:
        raise ValueError(expected) from error
    if not (0 <= protocol <= _LARGEST_PROTOCOL and 0 <= port <= _LARGEST_PORT) or protocol == PROTOCOL_ICMP:
        raise ValueError(expected)
    return address << 24 | port << 8 | protocol


def service_name(key: int) -> str:
    """Return an endpoint as ``ADDRESS/PROTOCOL/PORT``."""
    protocol = key & 255
    name = PROTOCOL_NAMES.get(protocol, str(protocol))
    return f"{format_address(key >> 24)}/{name}/{key >> 8 & 0xFFFF}"


@kernel
def service_key(row: Row) -> int:
    """Return the endpoint of a row as one number: address, port, protocol."""
    return int64(row["local"]) << 24 | int64(row["lport"]) << 8 | int64(row["protocol"])


@kernel
def can_be_service(row: Row, listed: NDArray[np.uint64]) -> bool:
    """Return whether a row's endpoint may be a service: on a port that is not dynamic, or listed; ICMP is none."""
    if int64(row["protocol"]) == PROTOCOL_ICMP:
        return False
    return int64(row["lport"]) < FIRST_DYNAMIC_PORT or is_in(listed, service_key(row))


ONCE_DTYPE: Final = np.dtype([("key", np.uint64), ("remote", np.uint32), ("last", np.uint32)])
"""An endpoint that has succeeded with one remote only, and in which interval it did last. Most are ports of local
clients, and stay so: they take a third of the room of others."""


@kernel
def _once_slot(once: NDArray[np.void], key: int) -> int:
    """Return the place of an endpoint with one remote, or the free one where it belongs."""
    mask = uint64(len(once) - 1)
    slot = mixed(uint64(key), uint64(5)) & mask
    while once[slot]["key"] != uint64(0) and once[slot]["key"] != uint64(key):
        slot = (slot + uint64(1)) & mask
    return int64(slot)


@kernel
def _note(slot: int, remote: int, interval: int, remotes: NDArray[np.uint32], last: NDArray[np.int64]) -> None:
    """Note that an endpoint succeeded with a remote in an interval, in place of the remote that did so longest ago."""
    least = 0
    for place in range(remotes.shape[1]):
        if last[slot, place] != _NEVER and int64(remotes[slot, place]) == remote:
            least = place
            break
        if last[slot, place] < last[slot, least]:
            least = place
    remotes[slot, least] = remote
    last[slot, least] = interval


@kernel
def learn(
    rows: Rows,
    interval: int,
    oldest: int,
    listed: NDArray[np.uint64],
    once: NDArray[np.void],
    keys: NDArray[np.uint64],
    remotes: NDArray[np.uint32],
    last: NDArray[np.int64],
    ever: NDArray[np.bool_],
    used: NDArray[np.int64],
) -> None:
    """Note the remotes with which endpoints succeed in an interval; `used` counts endpoints in both tables.

    An endpoint keeps as many remotes as make it known, those that succeeded last, with the interval of each.
    """
    clients = remotes.shape[1]
    for at in range(len(rows)):
        row = rows[at]
        if int64(row["state"]) & (TWO_WAY | REFUSED) != TWO_WAY or not can_be_service(row, listed):
            continue
        key, remote = service_key(row), int64(row["remote"])
        slot = slot_of(keys, key)
        if keys[slot] == uint64(0):
            single = once[_once_slot(once, key)]
            if clients > 1 and single["key"] == uint64(0):
                single["key"], single["remote"], single["last"] = uint64(key), remote, interval
                used[0] += 1
                continue
            if clients > 1 and int64(single["remote"]) == remote:
                single["last"] = interval
                continue
            keys[slot] = uint64(key)
            ever[slot] = False
            for place in range(clients):
                last[slot, place] = _NEVER
            used[1] += 1
            if clients > 1:
                _note(slot, int64(single["remote"]), int64(single["last"]), remotes, last)
        _note(slot, remote, interval, remotes, last)
        if not ever[slot]:
            recent = True
            for place in range(clients):
                recent = recent and last[slot, place] >= oldest
            ever[slot] = recent


@kernel
def _move_once(old: NDArray[np.void], new: NDArray[np.void], keys: NDArray[np.uint64], oldest: int) -> int:
    """Move endpoints with one remote to a longer table, without old ones and those that have more by now."""
    count = 0
    for at in range(len(old)):
        key = int64(old[at]["key"])
        if key != 0 and int64(old[at]["last"]) >= oldest and not is_in(keys, key):
            new[_once_slot(new, key)] = old[at]
            count += 1
    return count


@kernel
def is_known(
    key: int, oldest: int, listed: NDArray[np.uint64], keys: NDArray[np.uint64], last: NDArray[np.int64]
) -> bool:
    """Return whether an endpoint is a known service: listed, or with enough remotes from interval `oldest` on."""
    if is_in(listed, key):
        return True
    slot = slot_of(keys, key)
    if keys[slot] == uint64(0):
        return False
    for place in range(last.shape[1]):  # noqa: SIM110 - Numba compiles no generators
        if last[slot, place] < oldest:
            return False
    return True


@kernel
def _move(
    keys: NDArray[np.uint64], remotes: NDArray[np.uint32], last: NDArray[np.int64], ever: NDArray[np.bool_],
    new_keys: NDArray[np.uint64], new_remotes: NDArray[np.uint32], new_last: NDArray[np.int64],
    new_ever: NDArray[np.bool_], oldest: int,
) -> int:  # fmt: skip
    """Move endpoints to a longer table, without those that are neither recent nor were ever known; return how many."""
    count = 0
    for at in range(len(keys)):
        if keys[at] == uint64(0):
            continue
        recent = ever[at]
        for place in range(last.shape[1]):
            recent = recent or last[at, place] >= oldest
        if not recent:
            continue
        slot = slot_of(new_keys, int64(keys[at]))
        new_keys[slot] = keys[at]
        new_ever[slot] = ever[at]
        for place in range(last.shape[1]):
            new_remotes[slot, place] = remotes[at, place]
            new_last[slot, place] = last[at, place]
        count += 1
    return count


@dataclass(slots=True, eq=False)
class Services:
    """The endpoints that may be services, and those that are known."""

    clients: int
    """Remotes that make an endpoint known."""
    keep: int
    """Intervals within which they count."""
    listed: NDArray[np.uint64]
    keys: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(1 << 10, np.uint64))
    remotes: NDArray[np.uint32] = field(init=False)
    last: NDArray[np.int64] = field(init=False)
    ever: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(1 << 10, np.bool_))
    once: NDArray[np.void] = field(default_factory=lambda: np.zeros(1 << 10, ONCE_DTYPE))
    used: NDArray[np.int64] = field(default_factory=lambda: np.zeros(2, np.int64))
    """Endpoints with one remote, and with more."""
    unnamed: frozenset[int] = frozenset()
    """Listed ones that a census found and that the config does not name: a report shows those with clients."""

    def __post_init__(self) -> None:
        """Make the table."""
        self.remotes = np.zeros((len(self.keys), self.clients), np.uint32)
        self.last = np.full((len(self.keys), self.clients), _NEVER, np.int64)

    @classmethod
    def of(cls, clients: int, keep: int, known: tuple[str, ...], measured: NDArray[np.uint64]) -> "Services":
        """Return the services before any flow: those that a config lists, and those that censuses found."""
        listed = np.array([parse_service(name) for name in known], np.uint64)
        found = cls(clients, keep, set_of(np.union1d(listed, measured)))
        found.unnamed = frozenset(np.setdiff1d(measured, listed).tolist())
        return found

    def learn(self, rows: Rows, interval: int) -> None:
        """Learn from an interval's rows, a part at a time."""
        oldest = interval - self.keep + 1
        for first in range(0, len(rows), _AT_ONCE):
            some = rows[first : first + _AT_ONCE]
            self._make_room(len(some), oldest)
            learn(
                some, interval, oldest, self.listed, self.once, self.keys, self.remotes, self.last, self.ever, self.used
            )

    def known(self) -> NDArray[np.uint64]:
        """Return the endpoints that were known at any time, and the listed ones, in ascending order."""
        found = np.concatenate((self.keys[(self.keys != 0) & self.ever], self.listed[self.listed != 0]))
        return np.unique(found)

    def _make_room(self, count: int, oldest: int) -> None:
        """Make both tables long enough for `count` more endpoints: three quarters full at most."""
        size = len(self.once)
        while 4 * (int(self.used[0]) + count) > 3 * size:
            size *= 2
        if size != len(self.once):
            once = np.zeros(size, ONCE_DTYPE)
            self.used[0] = _move_once(self.once, once, self.keys, oldest)
            self.once = once
        size = len(self.keys)
        while 4 * (int(self.used[1]) + count) > 3 * size:
            size *= 2
        if size == len(self.keys):
            return
        keys, ever = np.zeros(size, np.uint64), np.zeros(size, np.bool_)
        remotes, last = np.zeros((size, self.clients), np.uint32), np.full((size, self.clients), _NEVER, np.int64)
        self.used[1] = _move(self.keys, self.remotes, self.last, self.ever, keys, remotes, last, ever, oldest)
        self.keys, self.remotes, self.last, self.ever = keys, remotes, last, ever
