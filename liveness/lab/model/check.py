"""Comparison of a run with the model Internet that it scanned: recall and precision of each set, and packets lost."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from liveness.config.load import resolve_targets
from liveness.config.model import Config
from liveness.config.recorded import recorded_config
from liveness.errors import UsageError
from liveness.ipsets.roaring import chunks
from liveness.lab.hosts.check import probes_of
from liveness.lab.model.origin.view import View
from liveness.lab.model.population.answer import PROBES
from liveness.lab.model.population.load import Population
from liveness.lab.model.population.truth import number_of, truth
from liveness.lab.model.responder.record import SUMMARY, Summary, has_record, read_passed, read_summary, view_in
from liveness.lab.model.services.truth import Delivered, with_delivered_talks, with_talks
from liveness.lab.services.behaviours import talked_probes
from liveness.lab.source import RECORD_FOLDER
from liveness.order.permutation import Permutation, Shard
from liveness.replies import Kind, SetKey
from liveness.runs.manifest import Manifest
from liveness.runs.rundir import MANIFEST_FILE, RunDirectory
from liveness.space.targets import Targets

CHUNK: Final = 1 << 22
"""Addresses whose truth is computed in one step."""

Sets = dict[SetKey, BitMap]


@dataclass(frozen=True, slots=True)
class Judged:
    """Comparison of one set of a run with the truth.

    `lost` counts members for which the model delivered no reply; `unexplained` are members that the run misses although
    the model delivered a reply; `extra` are addresses in the set that are not members.
    """

    key: SetKey
    expected: int
    found: int
    lost: int
    unexplained: BitMap
    extra: BitMap
    changed: int = 0
    """Found although they are no members, since the packets that show more were lost: services that seemed mute."""

    @property
    def right(self) -> int:
        """The number of members that were found."""
        return self.found - len(self.extra) - self.changed

    @property
    def recall(self) -> float | None:
        """The share of the members that was found; None without members."""
        return self.right / self.expected if self.expected else None

    @property
    def precision(self) -> float | None:
        """The share of the found addresses that are members; None if none was found."""
        return self.right / self.found if self.found else None

    @property
    def recall_of_passed(self) -> float | None:
        """Recall over the members for which the model delivered a reply."""
        passed = self.expected - self.lost + self.changed
        return 1 - len(self.unexplained) / passed if passed else None

    @property
    def perfect(self) -> bool:
        """Whether the run found every delivered member and nothing else."""
        return not self.unexplained and not self.extra


@dataclass(frozen=True, slots=True)
class ModelComparison:
    """Comparison of a run with the truth of its model: all sets, worst first; `summary` is None without a record."""

    run: str
    targets: int
    judged: list[Judged]
    summary: Summary | None

    @property
    def members(self) -> int:
        """The number of members of all true sets."""
        return sum(judged.expected for judged in self.judged)

    @property
    def imperfect(self) -> list[Judged]:
        """The sets whose difference from the truth is not explained by losses in the model."""
        return [judged for judged in self.judged if not judged.perfect]

    @property
    def problems(self) -> list[str]:
        """Problems that the model recorded, a line each: packets it was too slow for, and malformed packets."""
        if self.summary is None:
            return []
        lines = [f"{count:,} malformed packets: {label}" for label, count in self.summary.malformed.items()]
        if self.summary.overrun:
            lines.append(f"the model was too slow for {self.summary.overrun:,} packets: scan at a lower rate")
        return lines

    @property
    def equal(self) -> bool:
        """Whether the run found exactly the delivered members, and all its packets were well formed."""
        return not self.imperfect and not self.problems


def check_model_run(path: Path, population: Population) -> ModelComparison:
    """Compare a finished run with a population, for exactly the addresses it scanned.

    If the run directory holds the record of a model lab, losses are counted separately. UsageError for a run whose
    truth
    cannot be determined.
    """
    run = RunDirectory.open(path)
    manifest = run.read_manifest()
    config, targets = _scanned(path, manifest)
    probes = probes_of(config)
    summary = read_summary(path) if has_record(path) else None
    view = view_of(population, config, manifest, summary, f"{path / MANIFEST_FILE}")
    talked = [probe for probe in talked_probes(config.applications) if probe in config.probes]
    expected = with_talks(population, truth_of(population, config, targets, probes, view), talked)
    found = {entry.key: run.read_set(entry) for entry in manifest.sets}
    passed = expected
    if summary is not None:
        passed = delivered_sets(population, expected, read_passed(path), probes, talked)
    return compare(manifest, expected, found, passed, summary, talked)


def view_of(
    population: Population, config: Config, manifest: Manifest, summary: Summary | None, origin: str
) -> View | None:
    """Return from which place of a population a run was sent; None if all places see the same.

    The record of the lab knows it; without one the config's `vantage` has to be the name of a place (UsageError).
    """
    section = population.model.vantages
    if summary is not None or section is None:
        return None if summary is None else view_in(population, summary)
    if manifest.merged_from:
        raise UsageError(f"{origin}: united from several places, which do not see the same: compare the run of each")
    return View(section.number(config.vantage, population.name), 0)


def compare(
    manifest: Manifest,
    expected: Sets,
    found: Sets,
    passed: Sets,
    summary: Summary | None,
    talked: Collection[str] = (),
) -> ModelComparison:
    """Compare every set that either side has. `passed` are the sets of the replies that the model delivered.

    On the ports of the `talked` probes losses change what is found, and not only how much: a service whose reply is
    lost is mute. There the run must have found exactly what the model delivered.
    """
    nothing = BitMap()
    judged = []
    due = {key for key in passed if key.reply.probe in talked}  # by losses alone, perhaps: mute services
    for key in expected.keys() | found.keys() | due:
        want, have = expected.get(key, nothing), found.get(key, nothing)
        delivered = passed.get(key, nothing)
        through = want & delivered
        lost = len(want) - len(through)
        if key.reply.probe in talked and key.reply.kind is not Kind.ERROR:
            changed = len(have & delivered) - len(have & through)
            judged.append(Judged(key, len(want), len(have), lost, delivered - have, have - delivered, changed))
        else:
            judged.append(Judged(key, len(want), len(have), lost, through - have, have - want))
    judged.sort(key=_badness)
    return ModelComparison(manifest.run, manifest.targets, judged, summary)


def _badness(judged: Judged) -> tuple[int, int, str]:
    """Return the sort key of a set, the worst first: by unexplained differences, then by losses."""
    wrong = len(judged.unexplained) + len(judged.extra)
    return (-wrong, -judged.lost, judged.key.file)


def _scanned(path: Path, manifest: Manifest) -> tuple[Config, Targets]:
    origin = f"{path / MANIFEST_FILE}"
    if manifest.status != "complete":
        raise UsageError(f"{origin}: $.status: {manifest.status!r}: only a complete run can be compared")
    config = recorded_config(manifest.config, path / MANIFEST_FILE, manifest.version)
    targets = resolve_targets(config, lab=False, origin=origin)
    planned = planned_targets(config, targets)
    if manifest.targets != planned:
        raise UsageError(
            f"{origin}: $.targets: {manifest.targets:,}: its config names {planned:,} targets: a run of lists that"
            " changed since cannot be compared"
        )
    return config, targets


def planned_targets(config: Config, targets: Targets) -> int:
    """Return how many targets a census with this config probes; that of a shard its part of them."""
    if config.shard.of > 1:
        return sum(len(part) for part in scanned_addresses(config, targets))
    return int(config.quotas(targets).sum())


def scanned_addresses(config: Config, targets: Targets) -> Iterator[NDArray[np.uint32]]:
    """Yield the addresses that a census with this config probes, in parts: of each block its share of max_targets.

    Those of a shard are its part of them.

    Each part is in ascending order.
    """
    quotas = config.quotas(targets).tolist()
    for block, quota in zip(targets.blocks(config.block_prefix), quotas, strict=True):
        count = block.intervals.count
        if quota < count or config.shard.of > 1:
            whole = Permutation.of_block(count, config.seed, block.name)
            indices = np.sort(_own_indices(whole, config.shard.index, config.shard.of, quota))
            for at in range(0, len(indices), CHUNK):
                yield block.intervals.address_at(indices[at : at + CHUNK])
            continue
        for at in range(0, count, CHUNK):
            yield block.intervals.address_at(np.arange(at, min(at + CHUNK, count)))


def _own_indices(whole: Permutation, index: int, of: int, quota: int) -> NDArray[np.uint32]:
    """Return the indices of the targets of a shard, among the first `quota` targets of a block.

    They are cut out of the whole order, every `of`-th element of it: how the scanner finds them is what is judged.
    """
    elements, step = whole.elements_holding(quota), of * max(1, CHUNK // of)
    found = [np.zeros(0, np.uint32)]
    for at in range(0, elements, step):
        start = whole.start * pow(whole.generator, at, whole.prime) % whole.prime
        walk = Shard(whole.prime - 1, whole.prime, whole.generator, start, min(step, elements - at))
        own = walk.indices()[index::of]
        found.append(own[own < whole.count])  # the others are no targets, but have their turns
    return np.concatenate(found)


def truth_of(
    population: Population, config: Config, targets: Targets, probes: list[str], view: View | None = None
) -> Sets:
    """Return the sets of a perfect census of a population with this config and these probes, from one place."""
    return _truth_of(population, scanned_addresses(config, targets), probes, view)


def _truth_of(
    population: Population, addresses: Iterator[NDArray[np.uint32]], probes: list[str], view: View | None = None
) -> Sets:
    """Return the sets of a perfect census of addresses, given in parts, with the named probes."""
    sets: Sets = {}
    for part in addresses:
        for key, members in truth(population, part, probes, view).items():
            sets.setdefault(key, BitMap()).update(members)
    return sets


def delivered_sets(
    population: Population, expected: Sets, delivered: Delivered, probes: Sequence[str], talked: Collection[str]
) -> Sets:
    """Return the sets of a census that receives exactly what was `delivered`, and talks on the ports of some probes.

    `expected` are its sets without loss.
    """
    passed = dict(delivered)
    for (probe, kind), members in delivered.items():
        # A reset after a SYN-ACK ends a talk. To a scanner that does not talk it is a reset like any other.
        if kind is Kind.CLOSED and probe not in talked:
            passed[probe, Kind.RST] = passed.get((probe, Kind.RST), BitMap()) | members
    return with_delivered_talks(_let_through(population, passed, probes), expected, delivered, talked)


def _let_through(population: Population, passed: Delivered, probes: Sequence[str]) -> Sets:
    """Return the sets of a census that receives exactly these replies, given as the targets they are about.

    TCP ports that a population does not distinguish share the record of the control probe.
    """
    sets: Sets = {}
    for probe in probes:
        for kind in Kind:
            members = passed.get((PROBES[number_of(probe)], kind), BitMap())
            for key, among in _truth_of(population, chunks(members), [probe]).items():
                if key.reply.kind is kind:
                    sets[key] = among
    return sets


def no_record(path: Path) -> str:
    """Return the message about a run without the record of its lab."""
    return f"{path / RECORD_FOLDER / SUMMARY}: no record of the model: what it lost counts as missing"
