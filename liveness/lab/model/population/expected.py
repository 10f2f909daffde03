"""The result that a census of the whole public address space has on average, computed exactly from the model."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel
from liveness.lab.model.population.answer import AT_SLASH8, AT_SPECIAL, PARTLY_SPECIAL, SPECIALS, active24s, is_active
from liveness.lab.model.population.load import Population
from liveness.lab.model.population.tables import SiteKind

SUBSETS: Final = 8
"""Sets of families as bits: 1 ICMP, 2 TCP, 4 UDP."""


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """The number of addresses of a part of a population by row, and of its /24s by the families that find them."""

    rows: NDArray[np.float64]
    """Addresses by row."""
    prefixes24: NDArray[np.float64]
    """/24s by the set of families that find any of their addresses, as bits: 1 ICMP, 2 TCP, 4 UDP."""


@kernel
def count_active(tables: NDArray[np.uint64]) -> int:
    """Return how many /24s of the whole address space are in use."""
    count = 0
    for slash16 in range(1 << 16):
        if _holds_special(tables, slash16):
            for slash24 in range(slash16 << 8, (slash16 + 1) << 8):
                count += 1 if is_active(tables, slash24) else 0
        else:
            count += active24s(tables, slash16)
    return count


@kernel
def _holds_special(tables: NDArray[np.uint64], slash16: int) -> bool:
    """Return whether a part of a /16 is special-purpose, so that fewer /24s are in use than its class has."""
    if not int64(tables[int64(tables[AT_SLASH8]) + (slash16 >> 8)]) & PARTLY_SPECIAL:
        return False
    at = int64(tables[AT_SPECIAL])
    for index in range(int64(tables[SPECIALS])):
        if int64(tables[at + 2 * index]) >> 8 <= slash16 <= int64(tables[at + 2 * index + 1]) >> 8:
            return True
    return False


def expected_counts(population: Population) -> Counts:
    """Return the expected counts of the whole address space, given the number of its /24s in use."""
    active = count_active(population.tables)
    rows, prefixes = np.zeros(len(population.rows.rows)), np.zeros(SUBSETS)
    for kind in population.kinds:
        number = active * kind.share
        rows += number * _rows_in(population, kind)
        prefixes += number * _patterns_in(population, kind)
    return Counts(rows, prefixes)


def _rows_in(population: Population, kind: SiteKind) -> NDArray[np.float64]:
    """Return the expected number of addresses of each row in one /24 of a kind."""
    rows, model = population.rows, population.model
    counts = np.zeros(len(rows.rows))
    hosts = 256.0
    if kind.gap >= 0:
        counts[_gateways(population, kind)] = _shares([router.weight for router in model.gateways.routers])
        hosts -= 1
    if kind.tarpits:
        tarpits = hosts * model.tarpits.share
        counts[rows.at_tarpits : rows.at_gaps] = tarpits * _shares([answer.weight for answer in model.tarpits.answers])
        hosts -= tarpits
    counts[1 : rows.at_tarpits] = hosts * kind.used * population.mixes[kind.site]
    counts[rows.at_gaps + kind.gap if kind.gap >= 0 else 0] += hosts * (1 - kind.used)
    return counts


def _patterns_in(population: Population, kind: SiteKind) -> NDArray[np.float64]:
    """Return the probability, for each set of families, that exactly these families find a /24 of a kind."""
    none = [_all_silent(population, kind, families) for families in range(SUBSETS)]
    patterns = np.zeros(SUBSETS)
    for found in range(SUBSETS):
        # Inclusion and exclusion: of the /24s that all families outside `found` miss, subtract those that a family
        # in `found` misses as well.
        missed = SUBSETS - 1 - found
        patterns[found] = sum(
            (-1) ** part.bit_count() * none[missed | part] for part in range(SUBSETS) if part & missed == 0
        )
    return patterns


def _all_silent(population: Population, kind: SiteKind, families: int) -> float:
    """Return the probability that no address of a /24 answers to any family of a set."""
    rows, model = population.rows, population.model
    reached = _reached(population, families)
    quiet = 1 - kind.used * float(population.mixes[kind.site] @ reached[1 : rows.at_tarpits])
    hosts = 256 if kind.gap < 0 else 255
    if kind.tarpits:
        size = 1 << (32 - model.tarpits.prefix)
        silent = float(
            _shares([answer.weight for answer in model.tarpits.answers]) @ ~reached[rows.at_tarpits : rows.at_gaps]
        )
        prefix = model.tarpits.share * silent**size + (1 - model.tarpits.share) * quiet**size
        silent = float(prefix ** (hosts / size))
    else:
        silent = float(quiet**hosts)
    if kind.gap >= 0:
        routers = _shares([router.weight for router in model.gateways.routers])
        silent *= float(routers @ ~reached[_gateways(population, kind)])
    return silent


def _reached(population: Population, families: int) -> NDArray[np.bool_]:
    """Return for each row whether any family of a set finds an address with this row."""
    return np.array(
        [
            any(row.answers_family(family) for family in range(3) if families >> family & 1)
            for row in population.rows.rows
        ]
    )


def _gateways(population: Population, kind: SiteKind) -> slice:
    """Return the rows of gateways that send the same errors as those of this kind."""
    start = population.rows.at_gateways + kind.gap * population.rows.routers
    return slice(start, start + population.rows.routers)


def _shares(weights: list[float]) -> NDArray[np.float64]:
    return np.array(weights) / sum(weights)
