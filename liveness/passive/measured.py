"""What censuses and surveys found in the local network: addresses in use, services, sources of our own probes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from liveness.errors import LivenessError, UsageError, one_line
from liveness.ipsets.roaring import from_numpy, to_numpy
from liveness.planes.rundir import SurveyRun
from liveness.probes.registry import is_probe, probe_named
from liveness.replies import CONTROL, Kind, Role
from liveness.runs.kinds import MANIFEST_FILE, SURVEY, kind_of
from liveness.runs.rundir import RunDirectory
from liveness.space.addresses import parse_address, shown
from liveness.space.intervals import Intervals

AT_ONCE: Final = 4096
"""Blocks of a survey that are read together."""


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
    inside = BitMap()
    for first, last in zip(local.first.tolist(), local.last.tolist(), strict=True):
        inside.add_range(first, last + 1)
    alive, services, sources = BitMap(), set[int](), set[str]()
    for name in runs:
        path = Path(name)
        found, ours = _of_survey(path) if kind_of(path) == SURVEY else _of_census(path)
        sources.update(ours)
        for probe, addresses in found:
            here = addresses & inside
            alive |= here
            endpoint = probe_named(probe) if probe != CONTROL and is_probe(probe) else None
            if endpoint is not None and endpoint.port:  # ICMP has no services
                low = endpoint.port << 8 | endpoint.protocol
                services.update(address << 24 | low for address in here)
    return Measured(to_numpy(alive), np.array(sorted(services), np.uint64), tuple(sorted(sources)))


Found = tuple[Iterator[tuple[str, BitMap]], Sequence[str]]
"""Addresses that replied, one set after another, with the probe whose port is open there, "" for other replies; and the
sources of the probes."""


def _of_census(path: Path) -> Found:
    run = RunDirectory.open(path)
    manifest = run.read_manifest()
    entries = [entry for entry in manifest.sets if entry.key.role is Role.SOURCE]
    if not entries:
        raise UsageError(f"{shown(str(path))}: nothing replied in this census: leave it out of censuses")
    found = (
        (entry.probe if entry.key.reply.kind in (Kind.SYN_ACK, Kind.ANSWER) else "", run.read_set(entry))
        for entry in entries
    )
    return found, manifest.source_addresses


def _of_survey(path: Path) -> Found:
    run = SurveyRun.open(path)
    scanner = run.manifest.scanner
    sources = [] if scanner is None else scanner.source_addresses
    for at, text in enumerate(sources):
        try:
            parse_address(text)
        except ValueError:
            place = f"{path / MANIFEST_FILE}: $.scanner.source_addresses[{at}]"
            raise LivenessError(one_line(f"{place}: {shown(text)}: expected an IPv4 address")) from None
    return _ever(run), sources


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
