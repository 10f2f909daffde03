"""Run of a fleet on disk, of a census or a survey: which one it is, and its shards united."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from liveness.planes.manifest import load_manifest
from liveness.runs.kinds import CENSUS, SURVEY, check_directory, kind_of
from liveness.runs.manifest import Vantage
from liveness.runs.rundir import RunDirectory
from liveness.runs.shard_union import unite
from liveness.runs.shards import open_shards, shard_of
from liveness.survey.shard_union import unite_surveys
from liveness.survey.shards import open_parts


@dataclass(frozen=True, slots=True)
class Identity:
    """Which run a directory has: its names, its vantage point (empty without one), its shard, and how it ended."""

    name: str
    run_id: str
    vantage: str
    shard: int
    shards: int
    status: str

    @property
    def label(self) -> str:
        """The run in messages."""
        place = self.vantage or "no vantage point"
        return f"{self.name}/{self.run_id} of {place}, shard {self.shard} of {self.shards}"


def identity_of(path: Path) -> Identity:
    """Return which run a directory has. LivenessError or UsageError if it has none, or a damaged one."""
    if kind_of(path) == SURVEY:
        survey = load_manifest(path)
        shard = (0, 1) if survey.shard is None else (survey.shard.index, survey.shard.of)
        vantage = "" if survey.vantage is None else survey.vantage.name
        return Identity(survey.name, survey.run_id, vantage, *shard, survey.status)
    check_directory(path, CENSUS)
    census = RunDirectory(path).read_manifest()
    vantage = census.vantage.name if isinstance(census.vantage, Vantage) else ""
    return Identity(census.name, census.run_id, vantage, *shard_of(census.config), census.status)


def unite_runs(paths: Sequence[Path], output: Path, *, partial: bool) -> RunDirectory:
    """Write the united run of shards to a new directory. The errors are those of `liveness merge`."""
    if kind_of(paths[0]) == SURVEY:
        unite_surveys(open_parts(paths, partial=partial), output)
        return RunDirectory(output)
    return unite(open_shards(paths, partial=partial), output)
