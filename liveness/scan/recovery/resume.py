"""Resuming a run that ended early: its plan, key and positions are read from its directory alone."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from liveness.clock import utc
from liveness.config.recorded import recorded_config
from liveness.errors import LivenessError, UsageError
from liveness.optouts.stage import finish_redaction
from liveness.order.order import Position
from liveness.runs.checkpoint import Checkpoint, load_checkpoint
from liveness.runs.manifest import BlockStatus, Manifest
from liveness.runs.rundir import MANIFEST_FILE, RunDirectory
from liveness.scan.plan import Plan, check_control_port
from liveness.scan.record import Identity, running_manifest
from liveness.scan.recovery.checkpoint_check import misfits
from liveness.space.intervals import Intervals
from liveness.space.targets import Targets


@dataclass(frozen=True, slots=True)
class Resumption:
    """A run to resume: its directory, plan and checkpoint, and one line for each part of it that is damaged."""

    directory: RunDirectory
    plan: Plan
    checkpoint: Checkpoint
    damage: Sequence[str]


def resume(path: Path) -> Resumption:
    """Return what is needed to resume the run at `path`, and lock the run.

    Raises UsageError for a run that is complete, that has no records to resume from, or that another scan has locked;
    LivenessError if its key or its targets are missing. A damaged checkpoint is reported in `damage`: the run then
    begins with its first target again and keeps its segments. A damaged segment is reported, too, and set aside.
    """
    directory = RunDirectory(path)
    if not path.is_dir():
        raise UsageError(f"{path}: no such run directory")
    manifest, checkpoint, damage = _records(directory)
    if manifest.status == "complete":
        raise UsageError(f"{path}: this run is complete: there is nothing to resume")
    lock = directory.lock()
    try:
        return _resumption(directory, manifest, checkpoint, damage)
    except BaseException:
        os.close(lock)
        raise


def _resumption(
    directory: RunDirectory, manifest: Manifest, checkpoint: Checkpoint | None, damage: list[str]
) -> Resumption:
    """Return what is needed to resume a run that is locked already."""
    finish_redaction(directory)
    if checkpoint is None:
        checkpoint = Checkpoint(manifest=manifest, positions=[], sent=[], rate_pps=0)
    plan = _plan(directory, checkpoint.manifest)
    for misfit in misfits(plan, checkpoint):
        damage.append(f"{directory.checkpoint_path}: {misfit}: the run begins with its first target again")
        checkpoint = Checkpoint(manifest=checkpoint.manifest, positions=[], sent=[], rate_pps=0)
        break

    def set_aside(error: LivenessError, segment: Path) -> None:
        damage.append(str(error))
        try:
            directory.set_aside(segment)
        except OSError as problem:
            raise LivenessError(f"{segment}: damaged, and cannot be set aside: {problem.strerror}") from problem

    directory.segments(set_aside)
    return Resumption(directory, plan, checkpoint, damage)


def check_resumable(path: Path) -> None:
    """Raise the error of `resume` if a run cannot be resumed, without changing anything."""
    directory = RunDirectory(path)
    manifest, checkpoint, _ = _records(directory)
    if manifest.status == "complete":
        raise UsageError(f"{path}: this run is complete: there is nothing to resume")
    _plan(directory, manifest if checkpoint is None else checkpoint.manifest)


def _records(directory: RunDirectory) -> tuple[Manifest, Checkpoint | None, list[str]]:
    """Return manifest, checkpoint and damage; if either file is damaged, the other one replaces it."""
    damage: list[str] = []
    manifest: Manifest | None = None
    checkpoint: Checkpoint | None = None
    try:
        manifest = directory.read_manifest()
    except UsageError:  # not the run of a census
        raise
    except LivenessError as error:
        damage.append(str(error))
    if manifest is not None and manifest.status == "complete":
        return manifest, None, damage
    try:
        checkpoint = load_checkpoint(directory.checkpoint_path)
    except LivenessError as error:
        damage.append(str(error))
    if checkpoint is not None:
        # Only the manifest records a session that ended before its first checkpoint: take the one with more sessions.
        known = checkpoint.manifest if manifest is None else max(checkpoint.manifest, manifest, key=_sessions)
        return known, msgspec.structs.replace(checkpoint, manifest=known), damage
    if manifest is None:
        raise UsageError(f"{directory.path}: neither manifest nor checkpoint can be read: {damage[0]}")
    if not (directory.path / "segments").is_dir():
        raise UsageError(f"{directory.path}: a run of an older version, which cannot be resumed")
    return manifest, None, damage


def _sessions(manifest: Manifest) -> int:
    return len(manifest.resumed)


def _plan(directory: RunDirectory, manifest: Manifest) -> Plan:
    """Return the plan of the run from its recorded config and targets; changes of the original files have no effect."""
    config = recorded_config(manifest.config, directory.path / MANIFEST_FILE, manifest.version)
    check_control_port(config, manifest.control_port, directory.path / MANIFEST_FILE)
    directory.check_targets(manifest.targets_sha256)
    config = msgspec.structs.replace(config, senders=manifest.senders)
    targets = Targets.build(directory.read_targets(), Intervals.empty(), lab=True)
    return Plan(config, targets, manifest.control_port, directory.read_key())


def going_on(resumption: Resumption, identity: Identity) -> Checkpoint:
    """Return the checkpoint at which the new session begins; its manifest records the time.

    If the old checkpoint was damaged, that is the beginning of the run.
    """
    plan, checkpoint = resumption.plan, resumption.checkpoint
    running = running_manifest(plan, identity)
    manifest = msgspec.structs.replace(
        running,
        started=checkpoint.manifest.started,
        resumed=[*checkpoint.manifest.resumed, utc(identity.started_ns)],
        shard=checkpoint.manifest.shard,
        blocks=_with_starts(running.blocks, checkpoint.manifest),
    )
    if not checkpoint.positions:
        return beginning(plan, manifest)
    return msgspec.structs.replace(checkpoint, manifest=manifest)


def _with_starts(blocks: list[BlockStatus], earlier: Manifest) -> list[BlockStatus]:
    """Return the records of blocks with the agreed starts of earlier sessions."""
    starts = {block.block: block.start for block in earlier.blocks}
    return [msgspec.structs.replace(block, start=starts.get(block.block, msgspec.UNSET)) for block in blocks]


def beginning(plan: Plan, manifest: Manifest) -> Checkpoint:
    """Return the checkpoint of a run that has sent nothing."""
    return Checkpoint(
        manifest=manifest,
        positions=[Position(block=0, tick=0)] * plan.senders,
        sent=[[0] * plan.attempts for _ in plan.probes],
        rate_pps=plan.load.start_pps,
    )
