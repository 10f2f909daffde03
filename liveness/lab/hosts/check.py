"""Comparison of a run with a lab's ground truth: missing and extra addresses of every set."""

from dataclasses import dataclass
from pathlib import Path

from pyroaring import BitMap

from liveness.config.load import resolve_targets
from liveness.config.model import Config
from liveness.config.recorded import recorded_config
from liveness.errors import UsageError
from liveness.lab.hosts.document import Internet
from liveness.lab.hosts.truth import expected_sets
from liveness.replies import CONTROL, SetKey
from liveness.runs.manifest import Manifest
from liveness.runs.rundir import MANIFEST_FILE, RunDirectory


@dataclass(frozen=True, slots=True)
class Difference:
    """One set of a run that differs from the ground truth."""

    key: SetKey
    expected: int
    found: int
    missing: BitMap
    extra: BitMap


@dataclass(frozen=True, slots=True)
class Comparison:
    """Comparison of a run with the ground truth: number of sets compared, and those that differ, the worst first."""

    run: str
    targets: int
    sets: int
    members: int
    differences: list[Difference]

    @property
    def equal(self) -> bool:
        """Whether the run found exactly the sets of the ground truth."""
        return not self.differences


def check_run(path: Path, internet: Internet) -> Comparison:
    """Compare a finished run with the lab `internet` as it was built (Tools.fit), for exactly the addresses it scanned.

    Raises UsageError for a run whose ground truth cannot be determined: one that is unfinished, limited to some
    targets, or whose targets cannot be read any more.
    """
    run = RunDirectory.open(path)
    manifest = run.read_manifest()
    origin = f"{path / MANIFEST_FILE}"
    if manifest.status != "complete":
        raise UsageError(f"{origin}: $.status: {manifest.status!r}: only a complete run can be compared")
    config = recorded_config(manifest.config, path / MANIFEST_FILE, manifest.version)
    check_whole(config, origin)
    targets = resolve_targets(config, lab=True, origin=origin)
    if manifest.targets != targets.count:
        raise UsageError(
            f"{origin}: $.targets: {manifest.targets:,}: its config names {targets.count:,} targets: a run of some of"
            " them (limits.max_targets), or of lists that changed since, cannot be compared"
        )
    internet = as_seen(internet, config.vantage, origin)
    expected = expected_sets(
        internet,
        targets.intervals,
        probes_of(config),
        manifest.control_port,
        config.network.ttl,
        config.applications,
    )
    return compare(manifest, expected, {entry.key: run.read_set(entry) for entry in manifest.sets})


def as_seen(internet: Internet, vantage: str, origin: str) -> Internet:
    """Return the lab as the vantage point of a run sees it. UsageError for a run of none of them."""
    if not any(one.blocked for one in internet.vantages):
        return internet
    names = [one.name for one in internet.vantages]
    if vantage not in names:
        raise UsageError(f"{origin}: $.config.vantage: {vantage!r}: expected a place of the lab: {', '.join(names)}")
    return internet.seen_from(vantage)


def check_whole(config: Config, origin: str) -> None:
    """Raise UsageError for the run of a shard: only the merged run has all targets."""
    shard = config.shard
    if shard.of > 1:
        raise UsageError(f"{origin}: shard {shard.index} of {shard.of}: unite the shards with `liveness merge` first")


def probes_of(config: Config) -> list[str]:
    """Return the probes of a config, including the control probe if it is sent."""
    return [*config.probes, CONTROL] if config.control else list(config.probes)


def compare(manifest: Manifest, expected: dict[SetKey, BitMap], found: dict[SetKey, BitMap]) -> Comparison:
    """Compare sets key by key; a key that only one side has counts as an empty set on the other."""
    differences = []
    for key in expected.keys() | found.keys():
        want, have = expected.get(key, BitMap()), found.get(key, BitMap())
        if want != have:
            differences.append(Difference(key, len(want), len(have), want - have, have - want))
    differences.sort(key=lambda difference: (-len(difference.missing) - len(difference.extra), difference.key.file))
    members = sum(len(members) for members in expected.values())
    return Comparison(manifest.run, manifest.targets, len(expected.keys() | found.keys()), members, differences)
