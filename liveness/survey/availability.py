"""Availability of /24s from several censuses: rough, and enough to spread a selection over it.

Censuses, in the order of time, are taken as the rounds of a survey: A of an address is the share of them in which it
answered positively, N_U the number of its runs of them, U = A / N_U (Heidemann et al. 2008 call A from censuses rough).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from liveness.ipsets.roaring import to_numpy

SLASH8 = 1 << 24


@dataclass(frozen=True, slots=True)
class BlockAvailability:
    """Mean A and U of the ever-responsive addresses of /24s, whose numbers ascend."""

    numbers: NDArray[np.uint32]
    a: NDArray[np.float64]
    u: NDArray[np.float64]


def from_censuses(positives: Sequence[BitMap]) -> BlockAvailability:
    """Return A and U of every /24 with a positive address in any census. Memory: one /8 at a time."""
    numbers, a_parts, u_parts = [], [], []
    for octet in range(256):
        low, high = octet * SLASH8, (octet + 1) * SLASH8
        if not any(census.range_cardinality(low, high) for census in positives):
            continue
        all_addresses = BitMap(range(low, high))
        ones, periods = np.zeros(SLASH8, np.uint16), np.zeros(SLASH8, np.uint16)
        before = np.zeros(0, np.uint32)
        for census in positives:
            inside = to_numpy(census & all_addresses) - np.uint32(low)
            ones[inside] += 1
            periods[np.setdiff1d(inside, before, assume_unique=True)] += 1
            before = inside
        ever = np.flatnonzero(ones)
        a = ones[ever] / len(positives)
        blocks = ever >> 8
        counts = np.bincount(blocks, minlength=SLASH8 >> 8)
        found = np.flatnonzero(counts)
        numbers.append((found + (octet << 16)).astype(np.uint32))
        a_parts.append(np.bincount(blocks, a, SLASH8 >> 8)[found] / counts[found])
        u_parts.append(np.bincount(blocks, a / periods[ever], SLASH8 >> 8)[found] / counts[found])
    if not numbers:
        return BlockAvailability(np.zeros(0, np.uint32), np.zeros(0), np.zeros(0))
    return BlockAvailability(np.concatenate(numbers), np.concatenate(a_parts), np.concatenate(u_parts))
