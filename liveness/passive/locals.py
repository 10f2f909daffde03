"""Local addresses of a run: when each sent last, and what was seen of it."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64
from liveness.passive.records import INBOUND, OUTBOUND, TWO_WAY, Rows
from liveness.passive.tables import mixed

LOCAL_DTYPE: Final = np.dtype(
    [("sent", np.int64), ("local", np.uint32), ("id", np.uint32), ("seen", np.uint8), ("used", np.uint8)]
)
NEVER_SENT: Final = -(1 << 62)
IN_USE: Final = 1 << 62
"""The interval of an address that a census found: later than any."""

SEEN_TWO_WAY: Final = 1
SEEN_ONE_WAY_IN: Final = 2
SEEN_SENDING: Final = 4
SEEN_MEASURED: Final = 8
"""A census or a survey got replies from it."""


@kernel
def local_slot(locals_: NDArray[np.void], local: int) -> int:
    """Return the place of a local address, or the free one where it belongs."""
    mask = uint64(len(locals_) - 1)
    slot = mixed(uint64(local), uint64(3)) & mask
    while locals_[slot]["used"] and int64(locals_[slot]["local"]) != local:
        slot = (slot + uint64(1)) & mask
    return int64(slot)


@kernel
def note_locals(rows: Rows, locals_: NDArray[np.void], interval: int, count: int) -> int:
    """Note which local addresses sent, and what was seen of each; return how many there are, `count` before."""
    for at in range(len(rows)):
        row = rows[at]
        marks = int64(row["marks"])
        if not marks & (INBOUND | OUTBOUND):
            continue
        entry = locals_[local_slot(locals_, int64(row["local"]))]
        if not entry["used"]:
            entry["used"] = 1
            entry["local"] = row["local"]
            entry["id"] = count
            entry["sent"] = NEVER_SENT
            count += 1
        if marks & OUTBOUND:
            entry["sent"] = max(int64(entry["sent"]), interval)
            entry["seen"] |= SEEN_SENDING
        if int64(row["state"]) & TWO_WAY:
            entry["seen"] |= SEEN_TWO_WAY
        elif marks & INBOUND:
            entry["seen"] |= SEEN_ONE_WAY_IN
    return count


@kernel
def _note_measured(addresses: NDArray[np.uint32], locals_: NDArray[np.void], count: int) -> int:
    """Note addresses as in use; return how many addresses there are, `count` before."""
    for at in range(len(addresses)):
        entry = locals_[local_slot(locals_, int64(addresses[at]))]
        if not entry["used"]:
            entry["used"] = 1
            entry["local"] = addresses[at]
            entry["id"] = count
            count += 1
        entry["sent"] = IN_USE
        entry["seen"] |= SEEN_MEASURED
    return count


@kernel
def _move_locals(old: NDArray[np.void], new: NDArray[np.void]) -> None:
    for at in range(len(old)):
        if old[at]["used"]:
            new[local_slot(new, int64(old[at]["local"]))] = old[at]


@dataclass(slots=True, eq=False)
class Locals:
    """What is known of local addresses."""

    table: NDArray[np.void] = field(default_factory=lambda: np.zeros(1 << 10, LOCAL_DTYPE))
    count: int = 0

    def note(self, rows: Rows, interval: int) -> None:
        """Note an interval's rows, a part at a time."""
        self._make_room(len(rows))
        self.count = note_locals(rows, self.table, interval, self.count)

    def note_measured(self, addresses: NDArray[np.uint32]) -> None:
        """Note addresses that a census or a survey found: they are in use, whatever they send."""
        self._make_room(len(addresses))
        self.count = _note_measured(addresses, self.table, self.count)

    def _make_room(self, count: int) -> None:
        """Make the table long enough for `count` more addresses: three quarters full at most."""
        size = len(self.table)
        while 4 * (self.count + count) > 3 * size:
            size *= 2
        if size != len(self.table):
            table = np.zeros(size, LOCAL_DTYPE)
            _move_locals(self.table, table)
            self.table = table

    def addresses(self, seen: int, unseen: int = 0) -> NDArray[np.uint32]:
        """Return the addresses of which all of `seen` was seen and nothing of `unseen`."""
        bits = self.table["seen"]
        wanted = (self.table["used"] == 1) & (bits & seen == seen) & (bits & unseen == 0)
        chosen: NDArray[np.uint32] = self.table["local"][wanted]
        return chosen
