"""The shards of a survey: runs that probed a part of its /24s each, and whether they belong together."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from liveness.config.model import MAX_SHARDS
from liveness.errors import LivenessError, UsageError
from liveness.planes.manifest import NAME, SurveyManifest, SurveyShard
from liveness.planes.rundir import SurveyRun
from liveness.runs.shard_set import check_alike, check_whole, in_order, label_of
from liveness.runs.shards import field_of

COMPARED: Final = ("name", "seed", "probes", "survey.interval", "survey.duration", "survey.tolerance")
"""Fields of a config in which shards of one survey cannot differ."""


@dataclass(frozen=True, slots=True)
class SurveyPart:
    """The run of one shard."""

    run: SurveyRun
    shard: SurveyShard

    @classmethod
    def open(cls, path: Path) -> "SurveyPart":
        """Open the run of a shard. UsageError for a whole survey, and for a run that was killed or goes on."""
        run = SurveyRun.open(path)
        if run.manifest.shard is None or run.manifest.shard.of == 1:
            raise UsageError(f"{path}: a whole survey, no shard of one: there is nothing to merge")
        if run.manifest.status == "running":
            raise UsageError(f"{path}: it runs, or was killed: `liveness survey run --resume` continues it")
        if run.manifest.shard.of > MAX_SHARDS:
            raise LivenessError(f"{path / NAME}: a damaged manifest: $.shard.of: {run.manifest.shard.of}")
        if not 0 <= run.manifest.shard.index < run.manifest.shard.of:
            raise LivenessError(f"{path / NAME}: a damaged manifest: $.shard.index: {run.manifest.shard.index}")
        return cls(run, run.manifest.shard)

    @property
    def manifest(self) -> SurveyManifest:
        """Manifest of the run."""
        return self.run.manifest

    @property
    def path(self) -> Path:
        """Directory of the run."""
        return self.run.path

    @property
    def index(self) -> int:
        """Number of the shard."""
        return self.shard.index

    @property
    def vantage(self) -> str:
        """Name of the vantage point, empty without one."""
        return "" if self.manifest.vantage is None else self.manifest.vantage.name

    @property
    def label(self) -> str:
        """The shard in messages."""
        return label_of(self.index, self.vantage)

    @property
    def status(self) -> str:
        """Status of the run."""
        return self.manifest.status

    @property
    def why_incomplete(self) -> str:
        """Why the run is not complete."""
        return self.manifest.reason or self.manifest.status


def open_parts(paths: Sequence[Path], *, partial: bool = False) -> list[SurveyPart]:
    """Open the runs of the shards of one survey, in the order of the shards.

    UsageError names the runs and the difference if they are not shards of one survey, if two of them are the same
    shard or have a /24 in common, or, without `partial`, if a shard is missing or did not complete.
    """
    parts = [SurveyPart.open(path) for path in paths]
    for part in parts[1:]:
        _check_alike(parts[0], part)
    parts = in_order(parts)
    if not partial:
        check_whole(parts, parts[0].shard.of, "survey")
    return parts


def _check_alike(one: SurveyPart, other: SurveyPart) -> None:
    mine, theirs = one.manifest, other.manifest
    check_alike(
        one,
        other,
        "survey",
        (
            *((name, field_of(mine.config, name), field_of(theirs.config, name)) for name in COMPARED),
            ("shards", one.shard.of, other.shard.of),
            ("schema", mine.schema, theirs.schema),
            ("interval_s", mine.interval_s, theirs.interval_s),
            ("planned_rounds", mine.planned_rounds, theirs.planned_rounds),
            ("survey.start", mine.survey.start, theirs.survey.start),
            ("start_ns", mine.start_ns, theirs.start_ns),
            ("control_port", mine.control_port, theirs.control_port),
            ("blocks_sha256", one.shard.blocks_sha256, other.shard.blocks_sha256),
            ("targets_sha256", one.shard.targets_sha256, other.shard.targets_sha256),
            ("probes", list(mine.probes), list(theirs.probes)),
        ),
    )
