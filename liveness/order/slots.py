"""Slots of a survey's round: the permutations that give each address its time within a round.

A round has as many slots as probes: 256 addresses x blocks x probes, evenly spaced. Within a /24 a keyed permutation
gives each last octet a place, so that the /24 gets a probe every interval / 256 / probes; another permutation shifts
the /24s against each other. Shard K of N has every N-th /24 of that second permutation, with the slots that these
have in the whole survey: so each machine sends evenly, and a /24 gets all its probes from one machine.
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
    blocks: NDArray[np.int64]  # (blocks,) the blocks in the order of their shifts
    shifts: NDArray[np.int64]  # (blocks,) the shift of each block among all of the survey
    probes: int
    listed: int
    """Number of /24s of the whole survey: more than `blocks` has in a shard."""


def _keyed(words: NDArray[np.uint64], key0: int, key1: int) -> NDArray[np.uint64]:
    """Return a keyed hash of 64-bit words: each key is added by XOR, and the sum is mixed."""
    for key in (key0, key1):
        words = mix64_all(words ^ np.uint64(key))
    return words


def _keys(seed: int) -> tuple[int, int]:
    digest = hashlib.sha256(f"survey|{seed}".encode()).digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little")


def shifted_blocks(numbers: NDArray[np.uint32], seed: int) -> NDArray[np.int64]:
    """Return the indices of /24s (address >> 8, ascending) in the order in which a survey probes them."""
    words = numbers.astype(np.uint64) | np.uint64(_SHIFT_DOMAIN)
    return np.argsort(_keyed(words, *_keys(seed)), kind="stable").astype(np.int64)


def blocks_of_shard(numbers: NDArray[np.uint32], seed: int, index: int, of: int) -> NDArray[np.int64]:
    """Return the indices of the /24s that shard `index` of `of` probes, ascending."""
    return np.sort(shifted_blocks(numbers, seed)[index::of])


def slot_tables(numbers: NDArray[np.uint32], probes: int, seed: int, index: int = 0, of: int = 1) -> SlotTables:
    """Return the permutations for /24s (address >> 8, ascending): the same for the same seed and list anywhere.

    For a shard, `numbers` are the /24s of the whole survey, and the tables have those that `blocks_of_shard` returns.
    """
    order = shifted_blocks(numbers, seed)
    own = blocks_of_shard(numbers, seed, index, of)
    words = numbers[own].astype(np.uint64)
    octets = np.empty((len(own), OCTETS), np.uint8)
    places = np.empty_like(octets)
    for first in range(0, len(own), BLOCKS_AT_ONCE):
        some = slice(first, first + BLOCKS_AT_ONCE)
        every = words[some, None] << np.uint64(8) | np.arange(OCTETS, dtype=np.uint64)[None, :]
        octets[some] = np.argsort(_keyed(every, *_keys(seed)), axis=1, kind="stable")
        np.put_along_axis(places[some], octets[some], np.arange(OCTETS, dtype=np.uint8)[None, :], axis=1)
    shifts = np.empty_like(order)
    shifts[order] = np.arange(len(order))
    shifts = shifts[own]
    return SlotTables(octets, places, np.argsort(shifts).astype(np.int64), shifts, probes, len(numbers))


@kernel
def slot_of(tables: SlotTables, block: int, octet: int, probe: int) -> int:
    """Return the slot within a round of the whole survey at which an address gets a probe."""
    place = int(tables.places[block, octet]) * tables.probes + probe
    slot: int = place * tables.listed + tables.shifts[block]
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
