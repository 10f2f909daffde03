"""Owns how crowded it gets for one network: the most packets a second that any /24 of the targets is to expect."""

import math
from typing import Final

import numpy as np

from liveness.config.model import Config
from liveness.space.intervals import Intervals
from liveness.space.targets import Blocks, Targets

NETWORK_PREFIX: Final = 24
NETWORK_ADDRESSES: Final = 256
COUNTED_NETWORKS: Final = 1 << 20
"""Of more than these it is taken that one has all its addresses among the targets."""
WINDOW_S: Final = 1.0


def expected_peak_pps(config: Config, targets: Targets, rate_pps: float) -> float:
    """Return the most packets in any second to any /24 that is to be expected once in a whole run.

    All probes and repeats count. Targets come in random order, so those of one /24 that are visited in a second are
    Poisson-distributed with mean rate x (its targets / the block's); a visit is all probes of one attempt that fall
    into the second, `probe_spacing` apart. The peak is the number of visits that fewer than one second of one /24
    exceeds, over all /24s and seconds of the run. `rate_pps` is that of one probe, originals and repeats together.
    """
    probes = len(config.probes) + config.control
    spacing_s = config.probe_spacing_s
    together = probes if spacing_s == 0 else min(probes, math.floor(WINDOW_S / spacing_s) + 1)
    quotas = config.quotas(targets)
    peak = 0.0
    for block, quota in zip(targets.blocks(config.block_prefix), quotas.tolist(), strict=True):
        if not quota:
            continue
        networks, most = _networks(block.intervals)
        visits_pps = rate_pps * most / block.intervals.count
        seconds = max(1.0, quota * config.retransmit.attempts / rate_pps)
        visits = min(poisson_peak(visits_pps, networks * seconds), most * config.retransmit.attempts)
        peak = max(peak, min(visits * together, rate_pps * probes))
    return peak


def poisson_peak(mean: float, trials: float) -> int:
    """Return the least count that fewer than one of so many Poisson variables is to be expected to exceed."""

    def exceeded(count: int) -> float:
        """Return a bound, close from above, on how many variables exceed a count at or above the mean."""
        log = (count + 1) * math.log(mean) - mean - math.lgamma(count + 2)
        return trials * math.exp(log) / (1 - mean / (count + 2))

    low, high = math.ceil(mean), math.ceil(mean) + 1
    while exceeded(high) >= 1:
        low, high = high, 2 * high
    while low < high:
        middle = (low + high) // 2
        if exceeded(middle) < 1:
            high = middle
        else:
            low = middle + 1
    return low


def _networks(intervals: Intervals) -> tuple[int, int]:
    """Return how many /24s a block touches, and how many targets the fullest of them has."""
    networks = Blocks(intervals, NETWORK_PREFIX)
    if len(networks) > COUNTED_NETWORKS:
        return len(networks), NETWORK_ADDRESSES
    return len(networks), int(np.max(networks.counts))
