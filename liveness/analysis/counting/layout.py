"""The bits of an address's state: what each of them says, and which sets put it there.

Every number of the analysis is a count of addresses by such bits: what they sent to each probe, which categories of
errors they sent to each family's probes, and whether any error was about a probe to themselves.
"""

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.analysis.counting.categories import category
from liveness.analysis.counting.run import family_of
from liveness.replies import Kind, Role
from liveness.runs.manifest import Manifest, SetEntry

Bit = tuple[str, str]
"""A probe and a kind of reply, or a family and a category of errors; or `PRIMARY`."""

PRIMARY: Final = ("error", "primary")
"""Sent an error about a probe to itself, of a service."""

PLANE_BITS: Final = 8
WORD_BITS: Final = 64


def bits_of(entry: SetEntry) -> list[Bit]:
    """Return what a set says of its members; nothing where no number of the analysis rests on it."""
    family = family_of(entry.probe)
    if entry.role == Role.SOURCE:
        categories = [(family, category(*entry.error))] if family is not None and entry.error is not None else []
        return [(entry.probe, entry.kind), *categories]
    is_primary = entry.role == Role.DIRECT and entry.kind == Kind.ERROR.label and family is not None
    return [PRIMARY] if is_primary else []


class Layout:
    """Where each bit of a run's states is: as many as its sets need, in byte planes while they are laid out."""

    def __init__(self, manifest: Manifest) -> None:
        found = dict.fromkeys(bit for entry in manifest.sets for bit in bits_of(entry))
        self.places: dict[Bit, int] = {bit: place for place, bit in enumerate(found)}

    @property
    def planes(self) -> int:
        """How many byte planes the bits fill, one at least."""
        return max(1, -(-len(self.places) // PLANE_BITS))

    @property
    def words(self) -> int:
        """How many 64-bit words a state has."""
        return -(-self.planes * PLANE_BITS // WORD_BITS)

    def plane_masks(self, entry: SetEntry, planes: int) -> NDArray[np.uint8]:
        """Return the bits that a set's members have, by byte plane."""
        masks = np.zeros(planes, np.uint8)
        for bit in bits_of(entry):
            plane, place = divmod(self.places[bit], PLANE_BITS)
            masks[plane] |= 1 << place
        return masks

    def word_mask(self, bits: Iterable[Bit], words: int) -> NDArray[np.uint64]:
        """Return the mask of a state that has any of these bits; those that no set has are in no state."""
        mask = np.zeros(words, np.uint64)
        for bit in bits:
            if bit in self.places:
                word, place = divmod(self.places[bit], WORD_BITS)
                mask[word] |= np.uint64(1 << place)
        return mask
