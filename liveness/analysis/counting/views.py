"""Views: the bits of a state that slices, maps (first byte) and comparisons of runs (further bytes) use."""

from collections.abc import Iterable
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.analysis.counting.layout import Bit, Layout
from liveness.analysis.counting.run import FAMILIES, REPLIES, family_of, family_probes, probes_of
from liveness.replies import CONTROL, Kind
from liveness.runs.manifest import Manifest

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


ComparedBit = tuple[tuple[str, ...], str]
"""Probes that count, and a condition: ``all``, a family, or that the port of a single TCP probe is alive."""


def compared_bits(probe_lists: Iterable[tuple[str, ...]]) -> tuple[ComparedBit, ...]:
    """Return all bits for comparisons of runs on these lists of probes, in their order after the first byte."""
    bits: dict[ComparedBit, None] = {}
    for probes in probe_lists:
        bits.update(dict.fromkeys((probes, name) for name in ("all", *FAMILIES)))
        bits.update(dict.fromkeys(port_bit(probe) for probe in family_probes(probes, "tcp")))
    return tuple(bits)


def port_bit(probe: str) -> ComparedBit:
    """Return the bit of a TCP probe: alive on its port."""
    return (probe,), probe


def view_masks(manifest: Manifest, layout: Layout, words: int, compared: tuple[ComparedBit, ...]) -> NDArray[np.uint64]:
    """Return for each bit of a view the mask of states that have it: (bits, words); `compared` may be empty."""
    probes = probes_of(manifest)

    def sent(family: str, *kinds: Kind, by: tuple[str, ...] = probes) -> list[Bit]:
        return [(probe, kind.label) for probe in by if family_of(probe) == family for kind in kinds]

    alive = {family: sent(family, *REPLIES, Kind.ERROR) for family in FAMILIES}
    any_reply = [(probe, kind.label) for probe in (*probes, CONTROL) for kind in Kind]
    bits = [
        *alive.values(),
        any_reply,
        sent("tcp", Kind.SYN_ACK, Kind.RST),
        sent("tcp", Kind.SYN_ACK),
        sent("udp", Kind.ANSWER, Kind.PAYLOAD),
        sent("udp", Kind.ANSWER),
    ]
    for by, name in compared:
        if name in ("all", *FAMILIES):
            families = FAMILIES if name == "all" else (name,)
            bits.append([bit for family in families for bit in sent(family, *REPLIES, Kind.ERROR, by=by)])
        else:
            bits.append([(name, Kind.SYN_ACK.label)])
    masks = np.zeros((-(-len(bits) // OCTET_BITS) * OCTET_BITS, words), np.uint64)
    for place, wanted in enumerate(bits):
        masks[place] = layout.word_mask(wanted, words)
    return masks
