"""Leases of a block: up periods whose lengths are multiples of one time, as in a network of dynamic addresses.

Providers renew addresses after fixed times, mostly multiples of a day (Padmanabhan et al. 2016). An address of such a
pool is up for one lease or several in a row, depending on whether its next holder is there.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

HOUR_S: Final = 3600.0
LEASES_H: Final = (2, 3, 4, 6, 8, 12, 24, 36, 48, 72, 96, 120, 144, 168)
"""Lengths that are tried. The longest that fits counts: periods of 24 hours are multiples of 12 too."""
DAY_H: Final = 24
FEWEST_PERIODS: Final = 10
LEAST_SHARE: Final = 0.75
"""Share of the up periods that are a multiple, to within one round."""
MOST_CHANCE: Final = 0.5
CHANCE_BELOW: Final = 1e-6
"""Probability that periods of any lengths fit as well, at most."""
PERIODS_AN_ADDRESS: Final = 3
"""Periods of an address from which one length alone is a lease: two events of the whole block make one period each."""


def lease_of(ended: NDArray[np.int64], interval_s: float, addresses: int, *, daily: bool) -> float | None:
    """Return the length of the leases of a block in seconds, None if it has none.

    `ended` counts up periods by their length in rounds, those whose beginning and end were seen. `addresses` is the
    number of ever-responsive addresses. In a block with a daily cycle (`daily`) hours of presence look like leases
    below a day, which are left out.
    """
    lengths = np.flatnonzero(ended)
    counts = ended[lengths]
    total = int(counts.sum())
    if total < FEWEST_PERIODS:
        return None
    for hours in reversed(LEASES_H):
        lease = hours * HOUR_S / interval_s
        chance = 3 / lease  # of a length that is not a multiple: within one round of one, on either side
        if chance > MOST_CHANCE or (daily and hours < DAY_H):
            continue
        multiples = np.rint(lengths / lease)
        fits = (multiples >= 1) & (np.abs(lengths - multiples * lease) <= 1)
        share = int(counts[fits].sum()) / total
        if share < LEAST_SHARE or _log_chance(share, chance, total) > math.log(CHANCE_BELOW):
            continue
        if len(np.unique(multiples[fits])) > 1 or total >= PERIODS_AN_ADDRESS * addresses:
            return hours * HOUR_S
    return None


def _log_chance(share: float, chance: float, total: int) -> float:
    """Return a bound of the logarithm of the probability of so large a share of `total` by chance (Chernoff)."""
    apart = share * math.log(share / chance)
    if share < 1:
        apart += (1 - share) * math.log((1 - share) / (1 - chance))
    return -total * apart
