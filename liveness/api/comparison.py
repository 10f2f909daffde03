"""What censuses, surveys and passive runs saw of the same addresses, by method: ICMP, TCP, UDP, passive observation."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from pyroaring import BitMap

from liveness.analysis.overlap import PASSIVE, Overlap, overlap_of
from liveness.api.passive import Passive, open_passive
from liveness.errors import UsageError, one_line
from liveness.ipsets.files import Reader
from liveness.ipsets.roaring import from_numpy
from liveness.ipsets.runs import from_runs
from liveness.planes.blocks import BLOCK_ADDRESSES
from liveness.planes.rundir import SurveyRun
from liveness.replies import CONTROL, POSITIVE, Kind, Role
from liveness.runs.rundir import RunDirectory
from liveness.space.intervals import Intervals

TWO_WAY: Final = "two-way"
COMPLETE: Final = "complete"
BLOCKS_AT_ONCE: Final = 256


@dataclass
class Observation:
    """What the runs of one kind saw: addresses by method, within the scope that they observed."""

    kind: str
    runs: dict[str, str] = field(default_factory=dict)
    """Paths of runs, each with its status."""
    scope: BitMap = field(default_factory=BitMap)
    found: dict[str, BitMap] = field(default_factory=dict)

    def add(self, run: str, status: str, scope: BitMap, found: Iterable[tuple[str, BitMap]]) -> None:
        """Add what one run saw."""
        self.runs[run] = status
        self.scope |= scope
        for method, addresses in found:
            self.found[method] = self.found.get(method, BitMap()) | addresses


@dataclass(frozen=True, slots=True)
class Comparison:
    """Runs, and the overlaps of their methods."""

    observations: list[Observation]
    overlap: Overlap

    @property
    def unfinished(self) -> list[tuple[str, str]]:
        """Runs that are not complete, with their status."""
        runs = [entry for one in self.observations for entry in one.runs.items()]
        return [(path, status) for path, status in runs if status != COMPLETE]

    def document(self) -> dict[str, Any]:
        """Return the comparison as a document for other tools."""
        runs = [{"kind": one.kind, "run": run} for one in self.observations for run in one.runs]
        return {"schema": 1, "kind": "comparison", "runs": runs, **self.overlap.document()}


def compare_methods(
    censuses: Sequence[Path], surveys: Sequence[Path], passive: Sequence[Path], within: Intervals | None = None
) -> Comparison:
    """Compare what runs saw of the addresses that all kinds of them observed, optionally only `within` some.

    Positive replies of an address itself count: of a census to any of its attempts, of a survey in any round. Passive
    observation sees a local address that has two-way traffic, or the members of a set file, which needs `within`.
    UsageError if nothing was observed by all.
    """
    observations = [
        one for one in (_of_censuses(censuses), _of_surveys(surveys), _of_passive(passive, within)) if one.runs
    ]
    if not observations:
        raise UsageError("compare: give runs by --census, --survey and --passive")
    scope = BitMap.intersection(*(one.scope for one in observations))
    if within is not None:
        scope &= _bitmap(within)
    if not scope:
        names = " and ".join(f"{one.kind} {', '.join(one.runs)}" for one in observations)
        limit = "" if within is None else " within --within"
        raise UsageError(one_line(f"compare: no address{limit} was observed by all of {names}"))
    found: dict[str, BitMap] = {}
    for one in observations:
        for method, addresses in one.found.items():
            found[method] = found.get(method, BitMap()) | addresses
    return Comparison(observations, overlap_of(found, scope))


def method_of(probe: str) -> str:
    """Return the method of a probe: icmp, tcp or udp."""
    if probe.startswith("tcp/"):
        return "tcp"
    return "icmp" if probe == "icmp" else "udp"


def _of_censuses(paths: Sequence[Path]) -> Observation:
    observation = Observation("census")
    for path in paths:
        run = RunDirectory.open(path)
        observation.add(str(path), run.read_manifest().status, _bitmap(run.read_targets()), _positives(run))
    return observation


def _positives(run: RunDirectory) -> Iterator[tuple[str, BitMap]]:
    """Yield positive addresses by method. An echo reply from another address says nothing about the target."""
    manifest = run.read_manifest()
    for probe in manifest.probes:
        if probe != CONTROL:
            yield method_of(probe), BitMap()
    for entry in manifest.sets:
        kind = entry.key.reply.kind
        role = Role.DIRECT if kind is Kind.ECHO_REPLY else Role.SOURCE
        if kind in POSITIVE and entry.key.role is role and entry.probe != CONTROL:
            yield method_of(entry.probe), run.read_set(entry)


def _of_surveys(paths: Sequence[Path]) -> Observation:
    observation = Observation("survey")
    for path in paths:
        run = SurveyRun.open(path)
        addresses = run.blocks.addresses
        for probe in run.manifest.probes:
            if probe == CONTROL:
                continue
            sent, positive = _ever(run, probe)
            seen = [(method_of(probe), from_numpy(addresses[positive]))]
            observation.add(str(path), run.manifest.status, from_numpy(addresses[sent]), seen)
    return observation


def _ever(run: SurveyRun, probe: str) -> tuple["np.ndarray[Any, np.dtype[np.bool_]]", ...]:
    """Return which addresses were ever sent a probe, and which ever replied positively."""
    sent, positive = np.zeros((2, len(run.blocks) * BLOCK_ADDRESSES), np.bool_)
    with run.matrix() as matrix:
        for first in range(0, len(run.blocks), BLOCKS_AT_ONCE):
            planes = matrix.planes(probe, first, min(BLOCKS_AT_ONCE, len(run.blocks) - first))
            rows = slice(first * BLOCK_ADDRESSES, first * BLOCK_ADDRESSES + len(planes.sent))
            sent[rows], positive[rows] = planes.sent.any(axis=1), planes.positive.any(axis=1)
    return sent, positive


def _of_passive(paths: Sequence[Path], within: Intervals | None) -> Observation:
    observation = Observation("passive")
    for path in paths:
        if path.is_file():
            if within is None:
                raise UsageError(
                    one_line(f"{path}: a set does not say which addresses were observed: give them by --within")
                )
            addresses = Reader().read(str(path)).addresses
            observation.add(str(path), COMPLETE, _bitmap(within), [(PASSIVE, addresses)])
            continue
        run = open_passive(path)
        observation.add(str(path), run.status, _bitmap(run.local), [(PASSIVE, _two_way(run))])
    return observation


def _two_way(run: Passive) -> BitMap:
    return run.set(TWO_WAY) if TWO_WAY in run.keys else BitMap()


def _bitmap(intervals: Intervals) -> BitMap:
    return from_runs(intervals.first, intervals.last)
