"""Which address does not answer which place: a function of the population's seed, the place, the address and the run.

Nothing else decides. A place is a number; the run of a place is its number, too, counted from 0.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64
from liveness.lab.model.change.hosts import is_below, uniform, word_of
from liveness.lab.model.origin import layout as v
from liveness.lab.model.population.answer import AT_VANTAGES, WIDE

EVERYWHERE: Final = -1
"""Stands for the place of a scanner from which nothing is hidden."""
MOST_RUNS: Final = 1 << 20

_EXCLUSIVE: Final = 0x589965CC75374CC3
_BLOCKED: Final = 0x1D8E4E27C47D124F
_UNRELIABLE: Final = 0xEB44ACCAB455D165
_MISSED: Final = 0x9C6E6877736C46E3


@kernel
def is_blocked(tables: NDArray[np.uint64], at: int, place: int, address: int) -> bool:
    """Return whether a network drops the probes that a place sends to an address."""
    words = at + int64(tables[at + int64(tables[at + v.AT_PLACES]) + place])
    pairs = words + v.PLACE_HEADER
    drawn = int64(tables[words + v.DRAWN])
    for index in range(drawn):
        shift, share = int64(tables[pairs + 2 * index]), int64(tables[pairs + 2 * index + 1])
        # Each place and each length of prefixes draws for itself: the number keeps the draws independent.
        if is_below(word_of(tables, _BLOCKED, address >> shift, (place << 6) | shift), share):
            return True
    pairs += 2 * drawn
    for index in range(int64(tables[words + v.NAMED])):
        if int64(tables[pairs + 2 * index]) <= address <= int64(tables[pairs + 2 * index + 1]):
            return True
    return False


@kernel
def is_hidden(tables: NDArray[np.uint64], place: int, run: int, address: int, probe: int) -> bool:
    """Return whether an address (host order) does not answer probe number `probe` of a place in one of its runs."""
    at = int64(tables[AT_VANTAGES])
    if place < 0 or at == 0:
        return False
    word = word_of(tables, _EXCLUSIVE, address, 0)
    # The upper half of the word decides whether one place alone sees the address, the lower half which one.
    seen_by = uniform(int64(uint64(word) & uint64(WIDE)), int64(tables[at + v.PLACES]))
    if seen_by != place and is_below(word, int64(tables[at + v.EXCLUSIVE])):
        return True
    if is_blocked(tables, at, place, address):
        return True
    if int64(tables[at + v.MISSED_PROBES]) >> probe & 1 == 0:
        return False
    unreliable = is_below(word_of(tables, _UNRELIABLE, address, 0), int64(tables[at + v.UNRELIABLE]))
    return unreliable and is_below(
        word_of(tables, _MISSED, address, place * MOST_RUNS + run), int64(tables[at + v.MISSED])
    )


@kernel
def hidden_of(
    tables: NDArray[np.uint64], place: int, run: int, addresses: NDArray[np.uint32], probe: int, out: NDArray[np.bool_]
) -> None:
    """Write for each address whether it does not answer a probe of a place in one of its runs."""
    for index in range(len(addresses)):
        out[index] = is_hidden(tables, place, run, int64(addresses[index]), probe)
