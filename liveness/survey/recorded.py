"""What a run directory records of a survey: its blocks, config and targets, written once and read to resume it."""

from dataclasses import replace
from pathlib import Path

from liveness.errors import LivenessError, UsageError
from liveness.files.directory import Directory
from liveness.planes.blocks import encode_blocks, read_blocks
from liveness.planes.live import ROUNDS_FOLDER
from liveness.planes.manifest import NAME, SurveyManifest, load_manifest
from liveness.planes.rundir import BLOCKS_FILE, LISTED_FILE
from liveness.runs.rundir import RunDirectory
from liveness.scan.plan import check_control_port
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets
from liveness.survey.config_files import recorded_survey_config
from liveness.survey.schedule import Survey, survey_of


def write_blocks(directory: RunDirectory, survey: Survey) -> None:
    """Write the /24s of a survey, and of a shard those of all shards too."""
    files_of = {BLOCKS_FILE: survey.blocks} | ({LISTED_FILE: survey.listed} if survey.order.shards > 1 else {})
    for name, blocks in files_of.items():
        try:
            with directory.files() as files, files.replaced(name) as file:
                file.write(encode_blocks(blocks))
        except OSError as problem:
            raise LivenessError(f"{directory.path / name}: cannot write: {problem.strerror}") from problem


def resumable(path: Path) -> tuple[RunDirectory, SurveyManifest]:
    """Return the directory and manifest of a survey that a session can continue."""
    if not (path / NAME).is_file():
        raise UsageError(f"{path}: no run of a survey: it has no {NAME}")
    manifest = load_manifest(path)
    if manifest.status == "complete":
        raise UsageError(f"{path}: this survey is complete: there is nothing to resume")
    with Directory.open(path) as directory:
        if manifest.origin is not None or not directory.is_directory(ROUNDS_FOLDER):
            raise UsageError(
                f"{path}: no rounds to resume from: this survey was imported, or concluded elsewhere, or opted-out data"
                " was removed from it"
            )
    return RunDirectory(path), manifest


def recorded(directory: RunDirectory, manifest: SurveyManifest) -> Survey:
    """Return the survey of a run from its recorded config, blocks and targets."""
    path = directory.path
    config = recorded_survey_config(manifest.config, path / NAME)
    check_control_port(config.as_census(), manifest.control_port, path / NAME)
    targets = Targets.build(directory.read_targets(), Intervals.empty(), lab=True)
    listed = path / (LISTED_FILE if config.shard.of > 1 else BLOCKS_FILE)
    survey = survey_of(config, read_blocks(listed), targets, path / NAME)
    if manifest.shard is None:
        return survey
    if survey.blocks_sha256 != manifest.shard.blocks_sha256:
        raise LivenessError(f"{listed}: not the /24s with which this survey began: restore it from a copy")
    return replace(survey, targets_sha256=manifest.shard.targets_sha256)
