"""Activity by address and probe, summed over /24s: the basis of intervals for a sample."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from liveness.analysis.counting.opened import OpenRun
from liveness.analysis.counting.probed import Probed
from liveness.analysis.counting.run import ACTIVITY, probes_of
from liveness.analysis.counting.scope import Within
from liveness.analysis.sampling import Clusters
from liveness.ipsets.portable_index import ARRAY, BITMAP, PortableSet
from liveness.replies import Role

KEY_BITS: Final = 16
OCTETS: Final = 256


def activity_by_cluster(run: OpenRun, probed: Probed, within: Within | None) -> Clusters:
    """Return the activity of a run by /24, by replies without errors; addresses that do not count are left out.

    One /8 is held in memory at a time. Raises LivenessError that names a set that can no longer be read.
    """
    kinds = {kind.label for kind in ACTIVITY}
    probes = probes_of(run.manifest)
    sets: dict[str, list[PortableSet]] = {probe: [] for probe in probes}
    for entry, found in zip(run.entries, run.sets, strict=True):
        if entry.probe in sets and entry.kind in kinds and entry.role == Role.SOURCE:
            sets[entry.probe].append(found)
    clusters = Clusters.empty(probes)
    for octet in range(OCTETS):
        active = [
            _counted(np.unique(_joined([addresses_of(found, octet) for found in members])), probed, within)
            for members in sets.values()
        ]
        if any(map(len, active)):
            clusters.add(active)
    return clusters


def addresses_of(found: PortableSet, octet: int) -> NDArray[np.uint32]:
    """Return the members of a set in one /8, ascending, uint32. Raises LivenessError that names an unreadable file."""
    index = found.index
    first, stop = index.span(octet)
    if first == stop:
        return np.zeros(0, np.uint32)
    start = int(index.offsets[first])
    octets = np.zeros(int(index.offsets[stop]) - start, np.uint8)
    found.read_into(octets.data, first, stop)
    parts = []
    for place in range(first, stop):
        content = octets[int(index.offsets[place]) - start : int(index.offsets[place + 1]) - start]
        low = _low_bits(content, int(index.forms[place]), int(index.sizes[place]))
        parts.append(low.astype(np.uint32) | np.uint32(int(index.keys[place]) << KEY_BITS))
    return np.concatenate(parts)


def _low_bits(content: NDArray[np.uint8], form: int, size: int) -> NDArray[np.int64]:
    """Return the lower 16 bits of the members of one container (roaring format specification)."""
    if form == BITMAP:
        return np.flatnonzero(np.unpackbits(content, bitorder="little"))
    numbers = np.frombuffer(content.tobytes(), "<u2").astype(np.int64)
    if form == ARRAY:
        return numbers[:size]
    firsts, lengths = numbers[1::2], numbers[2::2] + 1  # after the number of runs
    offsets = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return np.repeat(firsts, lengths) + offsets


def _joined(parts: list[NDArray[np.uint32]]) -> NDArray[np.uint32]:
    return np.concatenate([np.zeros(0, np.uint32), *parts])


def _counted(addresses: NDArray[np.uint32], probed: Probed, within: Within | None) -> NDArray[np.uint32]:
    """Return the addresses that count: not opted out, and within the scope."""
    if len(probed.opted_out):
        addresses = addresses[~probed.opted_out.contains(addresses)]
    return addresses if within is None else addresses[within.intervals.contains(addresses)]
