"""What an open port does after the handshake: a function of the population's seed, the address and the port."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.kernel import int64, kernel, uint64
from liveness.lab.model.change.hosts import is_below, word_of
from liveness.lab.model.population.answer import AT_SERVICES, PROBES, first_above, row_of
from liveness.lab.model.services import layout as v
from liveness.lab.services.behaviours import PROBES as TALKED
from liveness.lab.services.behaviours import Behaviour

_FIRST: Final = PROBES.index(TALKED[0])
_PORTS: Final = len(TALKED)
_BEHAVIOURS: Final = len(Behaviour)
_SPEAKS: Final = int(Behaviour.SPEAKS)
_SERVICE: Final = 0x4A7C15F39CC0605D
_MIDDLEBOX: Final = 0x6C8E9CF570932BD5


@kernel
def place_of(probe: int) -> int:
    """Return the place of a probe number among the ports that are talked to; -1 for any other."""
    place = probe - _FIRST
    return place if 0 <= place < _PORTS else -1


@kernel
def behaviour_of(tables: NDArray[np.uint64], address: int, probe: int) -> int:
    """Return what the open port of probe number `probe` does at an address (host order): a Behaviour."""
    at, place = int64(tables[AT_SERVICES]), place_of(probe)
    if at == 0 or place < 0:
        return _SPEAKS
    boxes = at + int64(tables[at + v.AT_BOXES])
    for index in range(int64(tables[at + v.BOXES])):
        words = boxes + v.BOX_WORDS * index
        # A middlebox decides for all ports of its prefix. The number keeps the draws of several lines independent.
        if is_below(word_of(tables, _MIDDLEBOX, address >> int64(tables[words]), index), int64(tables[words + 1])):
            return int64(tables[words + 2])
    row = row_of(tables, address)
    of_class = int64(tables[at + int64(tables[at + v.AT_CLASSES]) + row])
    shares = at + int64(tables[at + v.AT_SHARES]) + (of_class * _PORTS + place) * _BEHAVIOURS
    draw = int64(uint64(word_of(tables, _SERVICE, address, place)) >> uint64(32))
    return first_above(tables, shares, _BEHAVIOURS, 1, draw)


@kernel
def behaviours_of(
    tables: NDArray[np.uint64], addresses: NDArray[np.uint32], probe: int, out: NDArray[np.uint8]
) -> None:
    """Write what the open port of a probe does at each address."""
    for index in range(len(addresses)):
        out[index] = behaviour_of(tables, int64(addresses[index]), probe)
