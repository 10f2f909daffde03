"""Slots of a survey's round: the permutations that give each address its time within a round.

A round has as many slots as probes: 256 addresses x blocks x probes, evenly spaced. Within a /24 a keyed permutation
gives each last octet a place, so that the /24 gets a probe every interval / 256 / probes; another permutation shifts
the /24s against each other.
"""

import hashlib
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import kernel
from liveness.mixing import mix64_all
from liveness.order.due import ATTEMPT, DRAWN, FROM, POSITION, PROBE, STRIPS, TICKS, WIDTH, Due

OCTETS: Final = 256
BLOCKS_AT_ONCE: Final = 1 << 10
"""Number of blocks whose addresses are computed at once, which bounds the memory needed to a few megabytes."""
_SHIFT_DOMAIN: Final = 1 << 40
"""Separates the hash that shifts a /24 from the hashes that order its octets."""


class SlotTables(NamedTuple):
    """The permutations of a schedule, in the form that kernels take."""

    octets: NDArray[np.uint8]  # (blocks, 256) the last octet at each place
    places: NDArray[np.uint8]  # (blocks, 256) the place of each last octet
    blocks: NDArray[np.int64]  # (blocks,) the block at each shift
    shifts: NDArray[np.int64]  # (blocks,) the shift of each block
    probes: int


def _keyed(words: NDArray[np.uint64], key0: int, key1: int) -> NDArray[np.uint64]:
    """Return a keyed hash of 64-bit words: each key is added by XOR, and the sum is mixed."""
    for key in (key0, key1):
        words = mix64_all(words ^ np.uint64(key))
    return words


def slot_tables(numbers: NDArray[np.uint32], probes: int, seed: int) -> SlotTables:
    """Return the permutations for /24s (address >> 8, ascending): the same for the same seed and list anywhere."""
    digest = hashlib.sha256(f"survey|{seed}".encode()).digest()
    key0, key1 = (int.from_bytes(digest[at : at + 8], "little") for at in (0, 8))
    words = numbers.astype(np.uint64)
    octets = np.empty((len(numbers), OCTETS), np.uint8)
    places = np.empty_like(octets)
    for first in range(0, len(numbers), BLOCKS_AT_ONCE):
        some = slice(first, first + BLOCKS_AT_ONCE)
        every = words[some, None] << np.uint64(8) | np.arange(OCTETS, dtype=np.uint64)[None, :]
        octets[some] = np.argsort(_keyed(every, key0, key1), axis=1, kind="stable")
        np.put_along_axis(places[some], octets[some], np.arange(OCTETS, dtype=np.uint8)[None, :], axis=1)
    blocks = np.argsort(_keyed(words | np.uint64(_SHIFT_DOMAIN), key0, key1), kind="stable").astype(np.int64)
    shifts = np.empty_like(blocks)
    shifts[blocks] = np.arange(len(blocks))
    return SlotTables(octets, places, blocks, shifts, probes)


@kernel
def slot_of(tables: SlotTables, block: int, octet: int, probe: int) -> int:
    """Return the slot within a round at which an address gets a probe."""
    place = int(tables.places[block, octet]) * tables.probes + probe
    slot: int = place * len(tables.blocks) + tables.shifts[block]
    return slot


@kernel
def draw_slots(tables: SlotTables, slot: int, count: int, position: int, attempt: int, due: Due) -> None:
    """Put the probes of `count` slots of one round, from `slot` on, into `due`, which has room for them.

    `position` is the number of slots of the survey before the first of them. Probes of one kind that follow each other
    are one strip.
    """
    blocks = len(tables.blocks)
    due.counts[FROM] = position
    due.counts[DRAWN] = count
    row = -1
    last = -1
    for i in range(count):
        place = (slot + i) // blocks
        block, probe = tables.blocks[(slot + i) % blocks], place % tables.probes
        due.drawn[i] = block * OCTETS + int(tables.octets[block, place // tables.probes])
        if probe != last:
            row, last = row + 1, probe
            due.strips[row, POSITION] = position + i
            due.strips[row, TICKS] = 0
            due.strips[row, WIDTH] = 1
            due.strips[row, PROBE] = probe
            due.strips[row, ATTEMPT] = attempt
        due.strips[row, TICKS] += 1
    due.counts[STRIPS] = row + 1
