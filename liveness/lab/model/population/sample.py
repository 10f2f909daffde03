"""A sample of an address space by whole /24s, evenly spread, and the result of a census of it.

Everything in the model happens inside a /24, including routers that answer for others, so that a sample of whole /24s
has the shares of the whole. Single addresses drawn at random have not: they would include almost every gateway that
sends errors, but only few hosts.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64
from liveness.lab.model.population.answer import kind_of, row_in, rows_of
from liveness.lab.model.population.expected import Counts
from liveness.lab.model.population.load import Population
from liveness.mixing import GOLDEN_GAMMA, mix64
from liveness.space.intervals import Intervals
from liveness.space.special import special_purpose

DEFAULT_PREFIXES: Final = 1 << 16
"""2**24 addresses, about one /24 of each /16."""


def public_space() -> Intervals:
    """Return every address that is not special-purpose."""
    return special_purpose().complement()


def prefixes24_of(space: Intervals) -> Intervals:
    """Return the numbers (address >> 8) of the /24s that hold an address of `space`."""
    shift = np.uint32(8)
    return Intervals.from_bounds(space.first >> shift, space.last >> shift)


def sample24(space: Intervals, number: int, seed: int) -> NDArray[np.uint32]:
    """Return the numbers of `number` /24s of `space`, ascending: a random one from each of `number` equal stretches.

    Returns all /24s if there are no more than `number`.
    """
    prefixes = prefixes24_of(space)
    if number >= prefixes.count:
        return prefixes.address_at(np.arange(prefixes.count))
    return prefixes.address_at(places_of(prefixes.count, number, seed))


def places_of(count: int, number: int, seed: int) -> NDArray[np.uint64]:
    """Return `number` of the indices below `count`, ascending: a random one from each of `number` equal stretches."""
    edges = np.arange(number + 1, dtype=np.uint64) * np.uint64(count) // np.uint64(number)
    places = np.empty(number, np.uint64)
    _draw(seed, edges, places)
    return places


@kernel
def _draw(seed: int, edges: NDArray[np.uint64], places: NDArray[np.uint64]) -> None:
    """Draw one index from each stretch between two edges."""
    for index in range(len(places)):
        low, width = int64(edges[index]), int64(edges[index + 1]) - int64(edges[index])
        draw = int64(mix64(uint64(seed) + uint64(GOLDEN_GAMMA) * uint64(index + 1)) >> uint64(32))
        places[index] = low + ((draw * width) >> 32)


def rows_in(population: Population, addresses: NDArray[np.uint32]) -> NDArray[np.uint16]:
    """Return the row of each address; ascending addresses are fastest."""
    out = np.empty(len(addresses), np.uint16)
    rows_of(population.tables, addresses, out)
    return out


def used24(population: Population, prefixes: NDArray[np.uint32]) -> int:
    """Return how many of these /24s (address >> 8) are in use in the model."""
    return int(_count_used(population.tables, prefixes))


@kernel
def _count_used(tables: NDArray[np.uint64], prefixes: NDArray[np.uint32]) -> int:
    used = 0
    for index in range(len(prefixes)):
        if kind_of(tables, int64(prefixes[index])) >= 0:
            used += 1
    return used


def counted(population: Population, prefixes: NDArray[np.uint32]) -> Counts:
    """Count the addresses of whole /24s (address >> 8) by row, and the /24s by the families that find them."""
    rows = population.rows.rows
    reach = np.array([sum(1 << family for family in range(3) if row.answers_family(family)) for row in rows], np.int64)
    counts, patterns = np.zeros(len(rows), np.int64), np.zeros(8, np.int64)
    _count(population.tables, prefixes, reach, counts, patterns)
    return Counts(counts.astype(np.float64), patterns.astype(np.float64))


@kernel
def _count(
    tables: NDArray[np.uint64],
    prefixes: NDArray[np.uint32],
    reach: NDArray[np.int64],
    counts: NDArray[np.int64],
    patterns: NDArray[np.int64],
) -> None:
    for index in range(len(prefixes)):
        slash24 = int64(prefixes[index])
        kind = kind_of(tables, slash24)
        if kind < 0:
            counts[0] += 256
            patterns[0] += 1
            continue
        found = 0
        for last in range(256):
            row = row_in(tables, slash24 << 8 | last, kind)
            counts[row] += 1
            found |= reach[row]
        patterns[found] += 1
