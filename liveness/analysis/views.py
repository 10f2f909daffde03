"""What of a state shows outside the table of states: eight bits for slices and maps, and more to compare runs by."""

from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.analysis.layout import Bit, Layout
from liveness.analysis.run import FAMILIES, REPLIES, family_of, probes_of
from liveness.store.manifest import Manifest
from liveness.types import CONTROL, Kind

OCTET_BITS: Final = 8


class Shown(IntEnum):
    """The bits of a view's first byte: coverage by family, and the layers of the taxonomy."""

    ICMP = 0
    TCP = 1
    UDP = 2
    NETWORK_ALIVE = 3
    TRANSPORT_ACTIVE = 4
    TRANSPORT_ALIVE = 5
    APPLICATION_ACTIVE = 6
    APPLICATION_ALIVE = 7


def compared_bits(ports: tuple[int, ...]) -> tuple[str, ...]:
    """Return the names of all bits by which runs are compared, in their order behind the first byte."""
    return ("all", *FAMILIES, *(f"tcp/{port}" for port in ports))


def view_masks(manifest: Manifest, layout: Layout, words: int, compared: tuple[str, ...]) -> NDArray[np.uint64]:
    """Return by bit of a view the mask of the states that have it, shape (bits, words); `compared` may be empty."""
    probes = probes_of(manifest)

    def sent(family: str, *kinds: Kind) -> list[Bit]:
        return [(probe, kind.label) for probe in probes if family_of(probe) == family for kind in kinds]

    alive = {family: sent(family, *REPLIES, Kind.ERROR) for family in FAMILIES}
    anything = [(probe, kind.label) for probe in (*probes, CONTROL) for kind in Kind]
    bits = [
        *alive.values(),
        anything,
        sent("tcp", Kind.SYN_ACK, Kind.RST),
        sent("tcp", Kind.SYN_ACK),
        sent("udp", Kind.ANSWER, Kind.PAYLOAD),
        sent("udp", Kind.ANSWER),
    ]
    meaning = {"all": [bit for family in FAMILIES for bit in alive[family]], **alive}
    bits += [meaning.get(name, [(name, Kind.SYN_ACK.label)]) for name in compared]
    masks = np.zeros((-(-len(bits) // OCTET_BITS) * OCTET_BITS, words), np.uint64)
    for place, wanted in enumerate(bits):
        masks[place] = layout.word_mask(wanted, words)
    return masks
