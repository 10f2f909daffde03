"""Table of pairs of a local and a remote address, in few bytes: the history holds tens of millions of them.

A pair is stored as two numbers that are counted from 0 (ids) in place of its addresses: 20 bits for the remote of a
part and 24 for the local address, which together with four bits of state make an entry of 6 bytes. If there are more
remotes or local addresses, entries take 8 bytes. The table grows in small steps, so that it is well filled.
"""

import mmap
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64
from liveness.passive.tables import mixed

STATE_BITS: Final = 4
NARROW_LOCAL_BITS: Final = 24
NARROW_REMOTE_BITS: Final = 20
"""An entry of 6 bytes holds 32 + 16 bits."""
WIDE_LOCAL_BITS: Final = 32
"""An entry of 8 bytes leaves 28 bits for the remote: more than fit into memory."""
SMALLEST: Final = 64


@kernel
def find_pair(low: NDArray[np.uint32], high: NDArray[Any], key: int) -> int:
    """Return the place of a pair, or the free one where it belongs: there `high` is 0.

    `low` has the lower 32 bits of each key, `high` the rest above the pair's state, which is never 0.
    """
    size = uint64(len(low))
    # The upper half of the hash as a fraction of the size: it need not be a power of two.
    place = ((mixed(uint64(key), uint64(0)) >> uint64(32)) * size) >> uint64(32)
    lower, upper = key & 0xFFFFFFFF, key >> 32
    while True:
        entry = int64(high[place])
        if entry == 0 or (entry >> STATE_BITS == upper and int64(low[place]) == lower):
            return int64(place)
        place += uint64(1)
        if place == size:
            place = uint64(0)


@kernel
def state_at(high: NDArray[Any], place: int) -> int:
    """Return the state of the pair at a place, 0 if the place is free."""
    return int64(high[place]) & ((1 << STATE_BITS) - 1)


@kernel
def put_pair(low: NDArray[np.uint32], high: NDArray[Any], place: int, key: int, state: int) -> None:
    """Store a pair and its state, not 0, at the place that `find_pair` returned."""
    low[place] = key & 0xFFFFFFFF
    high[place] = (key >> 32) << STATE_BITS | state


@kernel
def _move(
    low: NDArray[np.uint32],
    high: NDArray[Any],
    new_low: NDArray[np.uint32],
    new_high: NDArray[Any],
    local_bits: int,
    new_local_bits: int,
) -> None:
    for at in range(len(low)):
        state = state_at(high, at)
        if state:
            key = (int64(high[at]) >> STATE_BITS) << 32 | int64(low[at])
            moved = (key >> local_bits) << new_local_bits | key & ((1 << local_bits) - 1)
            put_pair(new_low, new_high, find_pair(new_low, new_high, moved), moved, state)


def _zeros(count: int, dtype: type[np.unsignedinteger[Any]]) -> NDArray[Any]:
    """Return zeros in a mapping of their own: its memory is free at once when a larger table replaces it."""
    memory = mmap.mmap(-1, count * np.dtype(dtype).itemsize, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return np.frombuffer(memory, dtype)


@dataclass(slots=True, eq=False)
class PairTable:
    """Pairs and their states. Keys are `remote id << local_bits | local id`."""

    low: NDArray[np.uint32] = field(default_factory=lambda: _zeros(SMALLEST, np.uint32))
    high: NDArray[Any] = field(default_factory=lambda: _zeros(SMALLEST, np.uint16))
    local_bits: int = NARROW_LOCAL_BITS

    def make_room(self, pairs: int, remotes: int, locals_: int) -> None:
        """Make room for so many pairs, seven eighths full at most, whose ids are below `remotes` and `locals_`."""
        size, dtype, bits = len(self.low), self.high.dtype.type, self.local_bits
        while 8 * pairs > 7 * size:
            size += size // 8
        if bits == NARROW_LOCAL_BITS and (remotes > 1 << NARROW_REMOTE_BITS or locals_ > 1 << NARROW_LOCAL_BITS):
            dtype, bits = np.uint32, WIDE_LOCAL_BITS
        if (size, bits) != (len(self.low), self.local_bits):
            low, high = _zeros(size, np.uint32), _zeros(size, dtype)
            _move(self.low, self.high, low, high, self.local_bits, bits)
            self.low, self.high, self.local_bits = low, high, bits

    def clear(self) -> None:
        """Remove all pairs."""
        self.high[:] = 0
