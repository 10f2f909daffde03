"""What censuses and surveys found in the local network: addresses in use, services, sources of our own probes."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from liveness.errors import UsageError
from liveness.ipsets.roaring import from_numpy, to_numpy
from liveness.planes.rundir import SurveyRun
from liveness.probes.registry import is_probe, probe_named
from liveness.replies import CONTROL, Kind
from liveness.runs.kinds import SURVEY, kind_of
from liveness.runs.rundir import RunDirectory
from liveness.space.addresses import shown
from liveness.space.intervals import Intervals

AT_ONCE: Final = 4096
"""Blocks of a survey that are read together."""
_ANSWERS: Final = (Kind.SYN_ACK, Kind.ANSWER)


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """The local network as censuses and surveys found it."""

    alive: NDArray[np.uint32] = field(default_factory=lambda: np.empty(0, np.uint32))
    """Local addresses that replied: they are in use, whether they sent anything to other networks or not."""
    services: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    """Local endpoints that answered, as `services.service_key` numbers them."""
    sources: tuple[str, ...] = ()
    """Addresses from which was probed."""


def measured(runs: Sequence[str], local: Intervals) -> Measured:
    """Return what runs found in the local network. UsageError or LivenessError for what is no run."""
    alive, services, sources = BitMap(), set[int](), set[str]()
    for name in runs:
        path = Path(name)
        replied, answered, ours = _of_survey(path) if kind_of(path) == SURVEY else _of_census(path)
        sources.update(ours)
        for addresses in replied:
            alive |= _inside(addresses, local)
        for probe, addresses in answered:
            endpoint = probe_named(probe) if probe != CONTROL and is_probe(probe) else None
            if endpoint is not None and endpoint.port:  # ICMP has no services
                low = endpoint.port << 8 | endpoint.protocol
                services.update(int(address) << 24 | low for address in _inside(addresses, local))
    return Measured(to_numpy(alive), np.array(sorted(services), np.uint64), tuple(sorted(sources)))


Found = tuple[Iterable[BitMap], Iterable[tuple[str, BitMap]], Sequence[str]]
"""Addresses that replied; those with an open port, by probe; the sources of the probes."""


def _of_census(path: Path) -> Found:
    run = RunDirectory.open(path)
    manifest = run.read_manifest()
    sets = [(entry.key, run.read_set(entry)) for entry in manifest.sets if entry.role == "source"]
    if not sets:
        raise UsageError(f"{shown(str(path))}: nothing replied in this census: leave it out of censuses")
    answered = [(key.reply.probe, members) for key, members in sets if key.reply.kind in _ANSWERS]
    return [members for _, members in sets], answered, manifest.source_addresses


def _of_survey(path: Path) -> Found:
    run = SurveyRun.open(path)
    answered = list(_ever(run))
    scanner = run.manifest.scanner
    return [members for _, members in answered], answered, [] if scanner is None else scanner.source_addresses


def _ever(run: SurveyRun) -> Iterator[tuple[str, BitMap]]:
    """Yield, for each probe of a survey, the addresses with a positive reply in any round."""
    addresses = run.blocks.addresses
    with run.matrix() as matrix:
        for probe in run.manifest.probes:
            matrix.open_probe(probe)
            found = BitMap()
            for first in range(0, len(run.blocks), AT_ONCE):
                count = min(AT_ONCE, len(run.blocks) - first)
                ever = matrix.planes(probe, first, count).positive.any(axis=1)
                found |= from_numpy(addresses[256 * first : 256 * (first + count)][ever])
            yield probe, found


def _inside(addresses: BitMap, local: Intervals) -> BitMap:
    """Return which of the addresses are local."""
    found = to_numpy(addresses)
    return from_numpy(found[local.contains(found)])
