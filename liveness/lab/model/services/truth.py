"""The sets of a census that talks to services: what its talks come to, without loss and as far as packets arrived."""

from collections.abc import Iterable, Mapping

import numpy as np
from pyroaring import BitMap

from liveness.ipsets.roaring import as_array, chunks
from liveness.lab.model.population.answer import PROBES
from liveness.lab.model.population.load import Population
from liveness.lab.model.services.drawn import behaviours_of
from liveness.lab.services.behaviours import Behaviour
from liveness.lab.services.scripts import outcome
from liveness.replies import TALK, Kind, ReplyKey, Role, SetKey, roles_of

Sets = dict[SetKey, BitMap]
Delivered = Mapping[tuple[str, Kind], BitMap]
"""The targets of which the model let a reply through, by probe and kind."""


def outcomes(population: Population, members: BitMap, probe: str) -> dict[Kind, BitMap]:
    """Return what talks with these addresses come to, of which none has reset its connection before."""
    number, port = PROBES.index(probe), int(probe.partition("/")[2])
    found: dict[Kind, BitMap] = {}
    for part in chunks(members):
        does = np.empty(len(part), np.uint8)
        behaviours_of(population.tables, part, number, does)
        for behaviour in np.unique(does).tolist():
            chosen = BitMap(as_array(part[does == behaviour]))
            found.setdefault(outcome(Behaviour(behaviour), port), BitMap()).update(chosen)
    return found


def with_talks(population: Population, sets: Sets, probes: Iterable[str]) -> Sets:
    """Return the sets of a perfect census, and with them what its talks with the open ports of `probes` come to.

    A host that resets the connection after its SYN-ACK is `closed` to a census that talks, and no `rst`.
    """
    changed = dict(sets)
    for probe in probes:
        opened, reset = (_targets(sets, probe, kind) for kind in (Kind.SYN_ACK, Kind.RST))
        both = opened & reset
        talks = outcomes(population, opened - both, probe)
        talks[Kind.CLOSED] = talks.get(Kind.CLOSED, BitMap()) | both
        _put(changed, probe, {**talks, Kind.RST: reset - both})
    return changed


def with_delivered_talks(sets: Sets, expected: Sets, delivered: Delivered, probes: Iterable[str]) -> Sets:
    """Return the sets of a census that receives exactly what was `delivered`, and with them what its talks come to.

    `expected` are the sets without loss. A service of which nothing but the SYN-ACK was delivered is mute.
    """
    changed = dict(sets)
    for probe in probes:
        opened = delivered.get((probe, Kind.SYN_ACK), BitMap())
        talks = {Kind.ZERO_WINDOW: opened & _targets(expected, probe, Kind.ZERO_WINDOW)}
        rest = opened - talks[Kind.ZERO_WINDOW]
        for kind in TALK:
            talks[kind] = rest & (rest if kind is Kind.MUTE else delivered.get((probe, kind), BitMap()))
            rest -= talks[kind]
        _put(changed, probe, {**talks, Kind.RST: delivered.get((probe, Kind.RST), BitMap())})
    return changed


def _targets(sets: Sets, probe: str, kind: Kind) -> BitMap:
    return sets.get(SetKey(ReplyKey(probe, kind), Role.TARGET), BitMap())


def _put(sets: Sets, probe: str, members: Mapping[Kind, BitMap]) -> None:
    """Put sets of targets, which answer for themselves, in place of those of the same kinds."""
    for kind, targets in members.items():
        for role in roles_of(kind):
            key = SetKey(ReplyKey(probe, kind), role)
            if targets:
                sets[key] = targets
            else:
                sets.pop(key, None)
