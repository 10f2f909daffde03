"""The numbers of a `vantages` section for the kernels: a part of the population's tables, as uint64."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.lab.model.change.layout import NOTHING, fixed
from liveness.lab.model.origin.section import Place, VantageSection, bounds_of
from liveness.lab.model.population.answer import PROBES

# The header of this part. Offsets are relative to its start; shares are in units of 2**-32.
PLACES: Final = 0
EXCLUSIVE: Final = 1
UNRELIABLE: Final = 2
MISSED: Final = 3
MISSED_PROBES: Final = 4  # a bit for each probe number
AT_PLACES: Final = 5  # for each place, where its words begin
HEADER: Final = 6

# The words of a place: the number of drawn kinds of networks, that of named ones, then the pairs of both.
DRAWN: Final = 0
NAMED: Final = 1
PLACE_HEADER: Final = 2


def vantage_part(section: VantageSection | None) -> NDArray[np.uint64]:
    """Return the part of the tables for a checked section."""
    if section is None:
        return NOTHING
    head = np.zeros(HEADER, np.uint64)
    numbers = {PLACES: len(section.places), EXCLUSIVE: fixed(section.exclusive), AT_PLACES: HEADER}
    if section.unreliable is not None:
        numbers |= {UNRELIABLE: fixed(section.unreliable.hosts), MISSED: fixed(section.unreliable.missed)}
        numbers |= {MISSED_PROBES: sum(1 << PROBES.index(probe) for probe in set(section.unreliable.probes))}
    for place, number in numbers.items():
        head[place] = number
    words = [np.array(_words(place), np.uint64) for place in section.places]
    lengths = np.array([len(part) for part in words])
    starts = HEADER + len(words) + np.cumsum(lengths) - lengths
    return np.concatenate([head, starts.astype(np.uint64), *words])


def _words(place: Place) -> list[int]:
    drawn = [word for one in place.blocked for word in (32 - one.prefix, fixed(one.share))]
    named = [word for prefix in place.networks for word in bounds_of(prefix, "")]
    return [len(place.blocked), len(place.networks), *drawn, *named]
