"""Runs of several vantage points in memory: sets of addresses by probe and kind, as manifests and open runs."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from pyroaring import BitMap

from liveness.analysis.counting.opened import OpenRun
from liveness.analysis.counting.probed import Probed
from liveness.analysis.counting.scope import WHOLE, Scope
from liveness.analysis.origins.results import OriginResults, compare_origins
from liveness.ipsets.portable_index import PortableSet
from liveness.ipsets.roaring import SetDigest
from liveness.replies import Kind, ReplyKey, Role, SetKey
from liveness.runs.course import Lag, Timeline
from liveness.runs.manifest import Manifest, ProbeCounts, Vantage
from liveness.runs.set_entry import SetEntry
from liveness.space.addresses import format_address
from liveness.space.intervals import Intervals

Seen = Mapping[tuple[str, Kind], Iterable[int]]
"""The addresses that replied to a probe with a kind of reply."""


@dataclass(frozen=True)
class Scan:
    """A run of one vantage point."""

    vantage: str
    seen: Seen
    day: int = 1
    second: int = 0
    """The start, and the end an hour later."""
    targets: Sequence[tuple[int, int]] = ((0, (1 << 32) - 1),)
    opted_out: Sequence[int] = ()
    left_out: Sequence[int] = ()
    probes: Sequence[str] = ("icmp", "tcp/80")
    changes: Mapping[str, Any] = field(default_factory=dict)

    def sets(self) -> dict[SetKey, BitMap]:
        return {
            SetKey(ReplyKey(probe, kind, *((3, 1) if kind is Kind.ERROR else (None, None))), role): BitMap(members)
            for (probe, kind), addresses in self.seen.items()
            if (members := sorted(addresses))
            for role in (Role.SOURCE, Role.TARGET)
        }

    def listed(self) -> Intervals:
        return Intervals.from_bounds(*zip(*self.targets, strict=True))

    def manifest(self) -> Manifest:
        entries = []
        for key, members in self.sets().items():
            content = members.serialize()
            entries.append(SetEntry.of(key, SetDigest(len(members), hashlib.sha256(content).hexdigest())))
        allow = [f"{format_address(first)}-{format_address(last)}" for first, last in self.targets]
        fields: dict[str, Any] = {
            "name": "weekly",
            "run_id": f"{self.vantage or 'unnamed'}-{self.day}",
            "status": "complete",
            "seed": 73,
            "config": {"name": "weekly", "targets": {"allow": allow, "block": []}},
            "started": f"2026-11-{self.day:02}T00:00:{self.second:02}Z",
            "finished": f"2026-11-{self.day:02}T01:00:00Z",
            "targets": self.listed().count,
            "probes": {probe: ProbeCounts(sent=[self.listed().count]) for probe in self.probes},
            "sets": entries,
            "vantage": Vantage(name=self.vantage),
            "timeline": Timeline(),
            "lag": Lag(),
        }
        return Manifest(**(fields | dict(self.changes)))

    def open_set(self, entry: SetEntry) -> PortableSet:
        members = self.sets()[entry.key]
        if len(entry.file) % 2:
            members.run_optimize()
        return PortableSet.of_bytes(members.serialize())

    def probed(self) -> Probed:
        gone, left_out = (Intervals.from_bounds(list(of), list(of)) for of in (self.opted_out, self.left_out))
        return Probed(self.manifest(), self.listed(), gone, left_out)


def compared(scans: Sequence[Scan], scope: Scope = WHOLE) -> OriginResults:
    """Compare runs, in the order of their starts."""
    ordered = sorted(scans, key=lambda scan: (scan.day, scan.second))
    with ThreadPoolExecutor(1) as pool:
        opened = [OpenRun(scan.manifest(), scan.open_set, pool) for scan in ordered]
        return compare_origins(opened, [scan.probed() for scan in ordered], scope)
