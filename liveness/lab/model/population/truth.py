"""The sets that a census without loss finds in a population, for exactly the addresses that it probes."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from liveness.errors import UsageError
from liveness.ipsets.roaring import as_array, drop_repeats
from liveness.lab.model.origin.view import View
from liveness.lab.model.population.answer import CONTROL_TCP, FROM_ROUTER, IN_WORDS, PROBES, routers_of
from liveness.lab.model.population.load import Population
from liveness.lab.model.population.sample import rows_in
from liveness.lab.model.population.words import error_of, kinds_of
from liveness.lab.twins.registry import TWINS
from liveness.replies import Kind, ReplyKey, Role, SetKey, roles_of

PART: Final = 1 << 24
"""Addresses whose rows are looked up in one step: 100 MB of memory."""


def number_of(probe: str) -> int:
    """Return the number of a probe, that of the control for any other TCP port. UsageError for an unknown probe."""
    if probe in PROBES:
        return PROBES.index(probe)
    if probe.startswith("tcp/"):
        return CONTROL_TCP
    udp = ", ".join(twin.name for twin in TWINS)
    raise UsageError(f"probes: {probe!r}: no population answers to it: expected icmp, tcp/PORT or one of {udp}")


def truth(
    population: Population,
    addresses: NDArray[np.uint32],
    probes: Sequence[str] = IN_WORDS,
    view: View | None = None,
) -> dict[SetKey, BitMap]:
    """Return every non-empty set of a census of `addresses` without loss, keyed as in a run's manifest.

    `addresses` are host order and ascending; `probes` are names as in a config, the control as ``tcp/control``. `view`
    is the place from which the census is taken; without it nothing is hidden.
    """
    sets: dict[SetKey, BitMap] = {}
    if view is not None:
        for probe in probes:
            seen = addresses[~view.hidden(population.tables, addresses, number_of(probe))]
            sets |= truth(population, seen, [probe])
        return sets
    numbers = [(probe, number_of(probe)) for probe in probes]
    for row, members, routers in members_by_row(population, addresses):
        answers = population.rows.rows[row].answers
        for probe, number in numbers:
            answer = answers[number]
            sources = routers if answer & FROM_ROUTER else members
            direct = BitMap() if answer & FROM_ROUTER else members
            by_role = {Role.SOURCE: sources, Role.TARGET: members, Role.DIRECT: direct}
            for kind in kinds_of(number, answer):
                reply = ReplyKey(probe, kind, *(error_of(answer) if kind is Kind.ERROR else (None, None)))
                for role in roles_of(kind):
                    if by_role[role]:
                        sets.setdefault(SetKey(reply, role), BitMap()).update(by_role[role])
    return sets


def members_by_row(population: Population, addresses: NDArray[np.uint32]) -> Iterator[tuple[int, BitMap, BitMap]]:
    """Yield each row that any of the ascending `addresses` has, with the addresses that have it and their routers.

    Routers are given for rows with answers from routers, for others they are empty. A row may be yielded several times.
    """
    with_routers = [any(answer & FROM_ROUTER for answer in row.answers) for row in population.rows.rows]
    for start in range(0, len(addresses), PART):
        part = np.ascontiguousarray(addresses[start : start + PART], np.uint32)
        rows = rows_in(population, part)
        used = np.flatnonzero(rows)
        part, rows = part[used], rows[used]
        order = np.argsort(rows, kind="stable")  # a radix sort: 16 bits
        edges = np.flatnonzero(np.diff(rows[order], prepend=0, append=0))
        for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            row = int(rows[order[low]])
            members = part[order[low:high]]
            yield (
                row,
                BitMap(as_array(members)),
                BitMap(as_array(_routers(population, members)) if with_routers[row] else ()),
            )


def _routers(population: Population, addresses: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return the routers of ascending addresses, without repetitions."""
    bases = drop_repeats(addresses >> np.uint32(8)) << np.uint32(8)
    routers_of(population.tables, bases, out := np.empty(len(bases), np.uint32))
    return out
