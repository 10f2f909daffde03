"""The shards of a census: runs that probed a part of its targets each, and whether they belong together."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from liveness.config.model import MAX_SHARDS
from liveness.config.units import TargetLimit
from liveness.order.sampled import DEFAULT_PREFIX
from liveness.runs.manifest import Manifest, Shard, Vantage, start_of
from liveness.runs.rundir import RunDirectory
from liveness.runs.shard_set import check_alike, check_whole, in_order, label_of
from liveness.space.intervals import Intervals
from liveness.space.targets import LONGEST_BLOCK_PREFIX

COMPARED: Final = ("name", "seed", "probes", "control", "block_prefix", "retransmit", "limits.max_targets")
"""Fields of a config in which shards of one census cannot differ."""


def shard_of(config: dict[str, Any]) -> tuple[int, int]:
    """Return (index, number of shards) of a recorded config; (0, 1) for a whole census, and for what no run records."""
    shard = config.get("shard")
    index, of = (shard.get("index"), shard.get("of")) if isinstance(shard, dict) else (0, 1)
    if type(index) is int and type(of) is int and 0 <= index < of <= MAX_SHARDS:  # True is an int, too
        return index, of
    return 0, 1


def field_of(config: dict[str, Any], name: str) -> object:
    """Return the value of a recorded config by its dotted name; None if there is none."""
    value: Any = config
    for step in name.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def block_prefix_of(manifest: Manifest) -> int:
    """Return the length of the prefixes of a run's blocks; the default for what no run records."""
    prefix = manifest.config.get("block_prefix")
    return prefix if isinstance(prefix, int) and 1 <= prefix <= LONGEST_BLOCK_PREFIX else DEFAULT_PREFIX


def planned_by_all_shards(manifest: Manifest, listed: Intervals) -> int:
    """Return how many of the listed addresses all shards of a census were to probe."""
    limit: Any = field_of(manifest.config, "limits.max_targets")
    try:
        return listed.count if limit is None else TargetLimit(limit).of(listed.count)
    except ValueError:
        return listed.count


@dataclass(frozen=True, slots=True)
class ShardRun:
    """The run of one shard: its directory, its manifest, and the seconds by which it began after the earliest shard."""

    directory: RunDirectory
    manifest: Manifest
    after_s: float = 0.0

    @property
    def index(self) -> int:
        """Number of the shard."""
        return shard_of(self.manifest.config)[0]

    @property
    def start_at(self) -> str | None:
        """The time at which all shards were to begin; None if there was none."""
        shard = self.manifest.shard
        return shard.start_at if isinstance(shard, Shard) else None

    @property
    def path(self) -> Path:
        """Directory of the run."""
        return self.directory.path

    @property
    def label(self) -> str:
        """The shard in messages."""
        vantage = self.manifest.vantage
        return label_of(self.index, vantage.name if isinstance(vantage, Vantage) else None)

    @property
    def status(self) -> str:
        """Status of the run."""
        return self.manifest.status

    @property
    def why_incomplete(self) -> str:
        """Why the run is not complete."""
        if self.manifest.status == "running":
            return "killed, with its replies not in sets yet"
        return self.manifest.reason or self.manifest.status


def open_shards(paths: Sequence[Path], *, partial: bool = False) -> list[ShardRun]:
    """Open the runs of the shards of one census, in the order of the shards.

    Raises UsageError that names the runs and the difference if they are not shards of one census, if two of them are
    the same shard, or, without `partial`, if a shard is missing or did not complete.
    """
    runs = []
    for path in paths:
        directory = RunDirectory.open(path)
        runs.append(ShardRun(directory, directory.read_manifest()))
    for run in runs[1:]:
        _check_alike(runs[0], run)
    agreed = [run for run in runs if run.start_at is not None]
    for run in agreed[1:]:
        check_alike(agreed[0], run, "census", [("start_at", agreed[0].start_at, run.start_at)])
    runs = in_order(runs)
    if not partial:
        check_whole(runs, shard_of(runs[0].manifest.config)[1], "census")
    start_s = [start_of(run.manifest, run.path).timestamp() for run in runs]
    return [
        ShardRun(run.directory, run.manifest, round(begun - min(start_s), 3))
        for run, begun in zip(runs, start_s, strict=True)
    ]


def _check_alike(one: ShardRun, other: ShardRun) -> None:
    mine, theirs = one.manifest, other.manifest
    fields = [(name, field_of(mine.config, name), field_of(theirs.config, name)) for name in COMPARED]
    check_alike(
        one,
        other,
        "census",
        (
            *fields,
            *_talks_of(mine.config, theirs.config),
            ("shards", shard_of(mine.config)[1], shard_of(theirs.config)[1]),
            ("slot", field_of(mine.config, "slot"), field_of(theirs.config, "slot")),
            ("schema", mine.schema, theirs.schema),
            ("control_port", mine.control_port, theirs.control_port),
            ("targets_sha256", mine.targets_sha256, theirs.targets_sha256),
        ),
    )


def _talks_of(mine: dict[str, Any], theirs: dict[str, Any]) -> list[tuple[str, object, object]]:
    """Return the fields of talks to compare; older runs record none, and without applications `talk` has no effect."""
    chosen = field_of(mine, "applications") or [], field_of(theirs, "applications") or []
    waits = field_of(mine, "talk.wait"), field_of(theirs, "talk.wait")
    return [("applications", *chosen), *([("talk.wait", *waits)] if chosen[0] else [])]
