"""The bits of an address's state: their meaning, and the sets that they come from.

Every number of the analysis is a count of addresses by such bits: the kinds of replies that they sent to each probe,
the categories of errors that they sent to each family's probes, and whether any error was about a probe to themselves.
"""

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.analysis.counting.categories import category
from liveness.analysis.counting.run import family_of
from liveness.replies import Kind, Role
from liveness.runs.manifest import Manifest
from liveness.runs.set_entry import SetEntry

Bit = tuple[str, str]
"""A probe and a kind of reply, or a family and a category of errors; or `PRIMARY`."""

PRIMARY: Final = ("error", "primary")
"""The address sent an error about a service probe to itself."""

PLANE_BITS: Final = 8
WORD_BITS: Final = 64


def bits_of(entry: SetEntry) -> list[Bit]:
    """Return the bits of a set's members; none if no number of the analysis depends on the set."""
    family = family_of(entry.probe)
    if entry.role == Role.SOURCE:
        categories = [(family, category(*entry.error))] if family is not None and entry.error is not None else []
        return [(entry.probe, entry.kind), *categories]
    is_primary = entry.role == Role.DIRECT and entry.kind == Kind.ERROR.label and family is not None
    return [PRIMARY] if is_primary else []


class Layout:
    """The place of each bit in the states of a run, which have as many bits as its sets need."""

    def __init__(self, manifest: Manifest) -> None:
        found = dict.fromkeys(bit for entry in manifest.sets for bit in bits_of(entry))
        self.places: dict[Bit, int] = {bit: place for place, bit in enumerate(found)}

    @property
    def planes(self) -> int:
        """The number of byte planes that the bits fill, at least one."""
        return max(1, -(-len(self.places) // PLANE_BITS))

    @property
    def words(self) -> int:
        """The number of 64-bit words of a state."""
        return -(-self.planes * PLANE_BITS // WORD_BITS)

    def plane_masks(self, entry: SetEntry, planes: int) -> NDArray[np.uint8]:
        """Return the bits of a set's members, by byte plane."""
        masks = np.zeros(planes, np.uint8)
        for bit in bits_of(entry):
            plane, place = divmod(self.places[bit], PLANE_BITS)
            masks[plane] |= 1 << place
        return masks

    def word_mask(self, bits: Iterable[Bit], words: int) -> NDArray[np.uint64]:
        """Return the mask of states with any of these bits; bits that no set has are in no state."""
        mask = np.zeros(words, np.uint64)
        for bit in bits:
            if bit in self.places:
                word, place = divmod(self.places[bit], WORD_BITS)
                mask[word] |= np.uint64(1 << place)
        return mask
