"""History of remotes: the random walks, scans of many hosts, and pairs with TCP and UDP.

The walk of a remote takes a step for the first contact with each local address within the history (Jung 2004: success
times theta1/theta0, failure times (1 - theta1)/(1 - theta0), first crossing decides). As long as nothing is older than
the history a step is added for each new pair; when an interval leaves the history, walks are made again from the logs
of those that stay.
"""

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liveness.flows.record import PROTOCOL_TCP, PROTOCOL_UDP
from liveness.kernel import int64, kernel, uint64
from liveness.passive.below import appending, opened, reading
from liveness.passive.locals import Locals, local_slot
from liveness.passive.pair_table import PairTable, find_pair, put_pair, state_at
from liveness.passive.pairing import pair_key
from liveness.passive.records import CONTACT, INBOUND, KIND_PORTS, OUTBOUND, TURNED_AWAY, TWO_WAY, Rows
from liveness.passive.tables import mixed

LOG_DTYPE: Final = np.dtype([("start_ns", np.int64), ("pair", np.uint64), ("bits", np.uint8)])
"""What the history keeps of a row: its contact, and whether the pair used TCP or UDP between high ports."""

MET: Final = 1
FAILED: Final = 2
HIGH_TCP: Final = 4
HIGH_UDP: Final = 8
HIGH_PORT: Final = 1024

MOST_TIES: Final = 64
_PLACE_BITS: Final = 15
_MOST_PLACES: Final = 1 << _PLACE_BITS

UNDECIDED, SCANNER, BENIGN = range(3)

REMOTE_DTYPE: Final = np.dtype(
    [
        ("ratio", np.float64),
        ("remote", np.uint32),
        ("id", np.uint32),  # counts from 0 in its part
        ("successes", np.int32),
        ("failures", np.int32),
        ("verdict", np.uint8),
        ("used", np.uint8),
    ]
)


@dataclass(frozen=True, slots=True)
class Walk:
    """Constants of the random walk."""

    success: float
    failure: float
    scanner_above: float
    benign_below: float

    @classmethod
    def of(cls, theta0: float, theta1: float, alpha: float, beta: float) -> "Walk":
        """Return the constants for the four of sequential hypothesis testing."""
        return cls(theta1 / theta0, (1 - theta1) / (1 - theta0), beta / alpha, (1 - beta) / (1 - alpha))


@kernel
def log_of(rows: Rows, log: NDArray[np.void]) -> int:
    """Write what the history needs of an interval's rows; return how many entries."""
    count = 0
    for at in range(len(rows)):
        row = rows[at]
        bits = 0
        state = int64(row["state"])
        if state & CONTACT:
            bits = MET if state & (TWO_WAY | TURNED_AWAY) == TWO_WAY else MET | FAILED
        if (
            int64(row["kind"]) == KIND_PORTS
            and int64(row["lport"]) >= HIGH_PORT
            and int64(row["rport"]) >= HIGH_PORT
            and int64(row["marks"]) & (INBOUND | OUTBOUND)
        ):
            if int64(row["protocol"]) == PROTOCOL_TCP:
                bits |= HIGH_TCP
            elif int64(row["protocol"]) == PROTOCOL_UDP:
                bits |= HIGH_UDP
        if bits:
            entry = log[count]
            entry["start_ns"] = row["in_start"]
            entry["pair"] = uint64(pair_key(row))
            entry["bits"] = bits
            count += 1
    return count


@kernel
def _after(log: NDArray[np.void], first: int, other: int) -> bool:
    """Return whether an entry comes after another one that starts at the same time: by pair, successes first."""
    if log[first]["pair"] != log[other]["pair"]:
        return int64(log[first]["pair"]) > int64(log[other]["pair"])
    return int64(log[first]["bits"]) & FAILED > int64(log[other]["bits"]) & FAILED


@kernel
def settle_ties(log: NDArray[np.void], order: NDArray[np.int64]) -> bool:
    """Sort runs of entries that start at once within an order by start; return False where a run is too long for it."""
    first = 0
    for at in range(1, len(order)):
        here = order[at]
        if log[here]["start_ns"] != log[order[at - 1]]["start_ns"]:
            first = at
            continue
        if at - first > MOST_TIES:
            return False
        place = at
        while place > first and _after(log, order[place - 1], here):
            order[place] = order[place - 1]
            place -= 1
        order[place] = here
    return True


def in_order(log: NDArray[np.void]) -> NDArray[np.void]:
    """Return a log by start time; what starts at once by pair, successes first."""
    if len(log) == 0:
        return log
    starts = log["start_ns"] - log["start_ns"].min()
    if len(log) <= _MOST_PLACES and int(starts.max()) < 1 << (63 - _PLACE_BITS):
        # numbers sort several times faster than places by them: the place rides in the low bits
        keys = starts << _PLACE_BITS | np.arange(len(log))
        keys.sort()
        order = keys & (_MOST_PLACES - 1)
    else:
        order = np.argsort(starts, kind="stable")
    if not settle_ties(log, order):
        order = np.lexsort((log["bits"] & FAILED, log["pair"], starts))
    ordered: NDArray[np.void] = log[order]
    return ordered


@kernel
def remote_slot(remotes: NDArray[np.void], remote: int) -> int:
    """Return the place of a remote, or the free one where it belongs."""
    mask = uint64(len(remotes) - 1)
    slot = mixed(uint64(remote), uint64(2)) & mask
    while remotes[slot]["used"] and int64(remotes[slot]["remote"]) != remote:
        slot = (slot + uint64(1)) & mask
    return int64(slot)


@kernel
def walk_on(
    log: NDArray[np.void],
    low: NDArray[np.uint32],
    high: NDArray[Any],
    local_bits: int,
    remotes: NDArray[np.void],
    locals_: NDArray[np.void],
    used: NDArray[np.int64],
    success: float,
    failure: float,
    scanner_above: float,
    benign_below: float,
) -> None:
    """Take the steps of a log in order; `used` counts pairs and remotes in the tables, which have room.

    `low`, `high` and `local_bits` are those of a PairTable, `locals_` is the table of local addresses.
    """
    for at in range(len(log)):
        entry = log[at]
        pair, new = uint64(entry["pair"]), int64(entry["bits"])
        remote = int64(pair & uint64(0xFFFFFFFF))
        entry_of = remotes[remote_slot(remotes, remote)]
        if not entry_of["used"]:
            entry_of["used"] = 1
            entry_of["remote"] = remote
            entry_of["id"] = used[1]
            entry_of["ratio"] = 1.0
            used[1] += 1
        local = locals_[local_slot(locals_, int64(pair >> uint64(32)))]
        key = int64(entry_of["id"]) << local_bits | int64(local["id"])
        place = find_pair(low, high, key)
        old = state_at(high, place)
        if old == 0:
            used[0] += 1
        put_pair(low, high, place, key, old | (new & (MET | HIGH_TCP | HIGH_UDP)))
        if old & MET or not new & MET:
            continue
        if new & FAILED:
            entry_of["failures"] += 1
            entry_of["ratio"] *= failure
        else:
            entry_of["successes"] += 1
            entry_of["ratio"] *= success
        if entry_of["verdict"] == UNDECIDED:
            if entry_of["ratio"] > scanner_above:
                entry_of["verdict"] = SCANNER
            elif entry_of["ratio"] < benign_below:
                entry_of["verdict"] = BENIGN
        # a walk that is decided goes no further: its ratio would leave the range of floats
        if entry_of["verdict"] != UNDECIDED:
            entry_of["ratio"] = 1.0


@kernel
def _move_remotes(old: NDArray[np.void], new: NDArray[np.void]) -> None:
    for at in range(len(old)):
        if old[at]["used"]:
            new[remote_slot(new, int64(old[at]["remote"]))] = old[at]


@dataclass(slots=True, eq=False)
class PartHistory:
    """What is known of the remotes of one part."""

    walk: Walk
    pairs: PairTable = field(default_factory=PairTable)
    remotes: NDArray[np.void] = field(default_factory=lambda: np.zeros(64, REMOTE_DTYPE))
    used: NDArray[np.int64] = field(default_factory=lambda: np.zeros(2, np.int64))

    def add(self, log: NDArray[np.void], locals_: Locals) -> None:
        """Take the steps of a log that is in order; its local addresses are in `locals_`."""
        for chunk in range(0, len(log), 1 << 16):
            steps = log[chunk : chunk + (1 << 16)]
            self._make_room(len(steps), locals_.count)
            walk_on(
                steps, self.pairs.low, self.pairs.high, self.pairs.local_bits, self.remotes, locals_.table, self.used,
                self.walk.success, self.walk.failure, self.walk.scanner_above, self.walk.benign_below,
            )  # fmt: skip

    def forget(self) -> None:
        """Forget everything."""
        self.pairs.clear()
        self.remotes[:] = np.zeros(1, REMOTE_DTYPE)
        self.used[:] = 0

    def _make_room(self, count: int, locals_: int) -> None:
        """Make the tables long enough for `count` more entries, whose local addresses are among `locals_`."""
        self.pairs.make_room(int(self.used[0]) + count, int(self.used[1]) + count, locals_)
        size = len(self.remotes)
        while 4 * (int(self.used[1]) + count) > 3 * size:
            size *= 2
        if size != len(self.remotes):
            remotes = np.zeros(size, REMOTE_DTYPE)
            _move_remotes(self.remotes, remotes)
            self.remotes = remotes


class History:
    """The history of all parts. Logs are kept on disk where anything may leave the history."""

    def __init__(self, parts: int, walk: Walk, intervals: int, folder: Path | None) -> None:
        """Begin with nothing; `folder` takes logs, None if the run is shorter than the history."""
        self.walk = walk
        self.parts = [PartHistory(walk) for _ in range(parts)]
        self._intervals = intervals
        self._folder = folder
        self._logged: list[int] = []

    def keep(self, interval: int, logs: list[NDArray[np.void]]) -> None:
        """Keep the newest interval's logs, to make walks again from them."""
        if self._folder is None:
            return
        bounds = np.array([0, *itertools.accumulate(map(len, logs))], np.int64)
        with opened(self._folder) as folder, appending(folder, f"{interval}.log") as file:  # there is none of this name
            file.write(bounds.tobytes())
            for log in logs:
                file.write(log.tobytes())
        self._logged.append(interval)

    def begin(self, interval: int, locals_: Locals) -> None:
        """Forget what is older than the history at the end of an interval."""
        if self._folder is None:
            return
        old = [number for number in self._logged if number <= interval - self._intervals]
        if not old:
            return
        self._logged = self._logged[len(old) :]
        with opened(self._folder) as folder:
            for number in old:
                folder.remove(f"{number}.log")
        for part in self.parts:
            part.forget()
        for number in self._logged:
            with opened(self._folder) as folder, reading(folder, f"{number}.log") as file:
                content = np.fromfile(file, np.uint8)
            heads = 8 * (len(self.parts) + 1)
            bounds = content[:heads].view(np.int64)
            log = content[heads:].view(LOG_DTYPE)
            for at, part in enumerate(self.parts):
                part.add(log[bounds[at] : bounds[at + 1]], locals_)
