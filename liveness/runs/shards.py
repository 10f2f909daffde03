"""The shards of a census: runs that probed a part of its targets each, and whether they belong together."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from liveness.config.model import MAX_SHARDS
from liveness.errors import UsageError
from liveness.runs.manifest import Manifest, Vantage, start_of
from liveness.runs.rundir import RunDirectory

SHOWN: Final = 10
"""Missing shards that a message names at most."""
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
    def path(self) -> Path:
        """Directory of the run."""
        return self.directory.path

    @property
    def label(self) -> str:
        """The shard in messages: its vantage point if the run has one, else its number."""
        vantage = self.manifest.vantage
        return vantage.name if isinstance(vantage, Vantage) else f"shard {self.index}"

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
    runs.sort(key=lambda run: run.index)
    for one, other in pairwise(runs):
        if one.index == other.index:
            raise UsageError(f"{one.path} and {other.path}: both are shard {one.index}: give each shard once")
    if not partial:
        _check_whole(runs)
    start_s = [start_of(run.manifest, run.path).timestamp() for run in runs]
    return [
        ShardRun(run.directory, run.manifest, round(begun - min(start_s), 3))
        for run, begun in zip(runs, start_s, strict=True)
    ]


def _check_alike(one: ShardRun, other: ShardRun) -> None:
    both = f"{one.path} and {other.path}"
    for name in COMPARED:
        mine, theirs = (field_of(run.manifest.config, name) for run in (one, other))
        if mine != theirs:
            raise UsageError(f"{both}: no shards of one census: {name} is {mine!r} and {theirs!r}")
    for name, mine, theirs in (
        ("shards", shard_of(one.manifest.config)[1], shard_of(other.manifest.config)[1]),
        ("schema", one.manifest.schema, other.manifest.schema),
        ("control_port", one.manifest.control_port, other.manifest.control_port),
        ("targets_sha256", one.manifest.targets_sha256, other.manifest.targets_sha256),
    ):
        if mine != theirs:
            raise UsageError(f"{both}: no shards of one census: {name} is {mine!r} and {theirs!r}")


def _check_whole(runs: Sequence[ShardRun]) -> None:
    remedy = "or give --partial to unite the rest"
    shards = shard_of(runs[0].manifest.config)[1]
    missing = sorted(set(range(shards)) - {run.index for run in runs})
    if shards == 1:
        raise UsageError(f"{runs[0].path}: a whole census, no shard of one: there is nothing to merge")
    if missing:
        names = ", ".join(map(str, missing[:SHOWN])) + (" …" if len(missing) > SHOWN else "")
        raise UsageError(
            f"{runs[0].path.parent}: of {shards} shards these are missing: {names}: name their runs, {remedy}"
        )
    for run in runs:
        if run.manifest.status != "complete":
            raise UsageError(f"{run.path}: {run.label} did not complete ({run.why_incomplete}): resume it, {remedy}")
