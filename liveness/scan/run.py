"""A run of a scan, from a config and its targets to a finished run directory."""

import shlex
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path as FilePath

from liveness import log
from liveness.config.model import Config
from liveness.errors import LivenessError, StoppedEarlyError, explain
from liveness.runs.announce import announce
from liveness.runs.checkpoint import Checkpoint
from liveness.runs.compaction import compact_all
from liveness.runs.manifest import Manifest
from liveness.runs.rundir import RunDirectory
from liveness.runs.segment import Tally
from liveness.scan.agreed_start import await_start
from liveness.scan.interruption import Interruption, StoppedMerge, signals_noted
from liveness.scan.path.neighbourhood import meet_neighbours
from liveness.scan.plan import Plan
from liveness.scan.privilege_drop import decide
from liveness.scan.progress import Progress
from liveness.scan.receive.sink import Conclusion, Received, concluded
from liveness.scan.record import Identity, final_manifest, running_manifest
from liveness.scan.recovery.resume import beginning, going_on, resume
from liveness.scan.session import (
    Opened,
    counted_from_here,
    drop_rights,
    find_way,
    on_the_way,
    open_session,
    plan_run,
    warn_of_ephemeral_ports,
    with_clock,
)
from liveness.scan.supervisor import Outcome, Supervisor
from liveness.space.targets import Targets


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that has ended: its directory, its manifest, and why it ended early, if it did."""

    directory: RunDirectory
    manifest: Manifest
    interruption: Interruption


def kept_in(path: FilePath) -> str:
    """Return the end of a message about a run that ended early: where its data is, and how to resume it."""
    return f"what was received is kept in {path}; `liveness scan --resume {shlex.quote(str(path))}` continues it"


def _conclude(plan: Plan, directory: RunDirectory, interruption: Interruption) -> tuple[Tally, Conclusion]:
    """Return the counts of receivers and the results of their sinks; any failure makes the run partial."""
    received = Received()
    try:
        received = Received.of(directory)
    except LivenessError as error:
        interruption.by(str(error))
    return received.tally, concluded(plan, directory, received, lambda error: interruption.by(str(error)))


def run_scan(
    config: Config,
    targets: Targets,
    *,
    run_id: str | None = None,
    on_start: Callable[[Plan, Identity], None],
    on_progress: Callable[[Progress], None],
    on_notice: Callable[[str], None] = log.notice,
) -> Finished:
    """Scan, and return the finished run.

    `on_start` is called when everything is open and no packet has left, `on_progress` several times a second, and
    `on_notice` with each line that needs attention at once. Raises LivenessError or a subclass if the run cannot begin;
    nothing is left on disk then.
    """
    plan = plan_run(config, targets)
    privilege_drop = decide(config, FilePath(config.output) / config.name / "run")
    directory = RunDirectory.create(FilePath(config.output), config.name, run_id)
    interruption = Interruption()
    with signals_noted(interruption, directory.discard), ExitStack() as cleanup:
        cleanup.callback(directory.discard)
        path = find_way(plan)
        plan = on_the_way(plan, path)
        for line in (*path.left_out, *path.notes):
            on_notice(str(line))
        path = meet_neighbours(plan, path, on_notice)
        opened = open_session(plan, path, directory, cleanup)
        directory.lock()
        directory.write_key(plan.key)
        directory.write_targets(plan.intervals.entries())
        first = beginning(plan, running_manifest(plan, opened.identity))
        directory.write_manifest(first.manifest)
        opened = with_clock(drop_rights(opened, privilege_drop), plan, on_notice)
        on_start(plan, opened.identity)
        if await_start(plan, on_notice):
            opened = counted_from_here(opened)
            first = beginning(plan, running_manifest(plan, opened.identity))
            directory.write_manifest(first.manifest)
        interruption.begun = True
        cleanup.pop_all()
        return _scan(plan, opened, first, (), on_progress, on_notice, interruption)


def resume_scan(
    path: FilePath,
    *,
    on_start: Callable[[Plan, Identity], None],
    on_progress: Callable[[Progress], None],
    on_notice: Callable[[str], None] = log.notice,
) -> Finished:
    """Resume the run at `path`, which ended early, and return the finished run: see `run_scan`.

    If the session cannot begin, the run stays as it was. Raises the errors of `resume`.
    """
    resumption = resume(path)
    plan, directory = resumption.plan, resumption.directory
    privilege_drop = decide(plan.config, directory.path)
    interruption = Interruption()
    with signals_noted(interruption, lambda: None), ExitStack() as cleanup:
        opened = open_session(plan, meet_neighbours(plan, find_way(plan), on_notice), directory, cleanup)
        opened = with_clock(opened, plan, on_notice)
        first = going_on(resumption, opened.identity)
        opened = drop_rights(opened, privilege_drop)
        on_start(plan, opened.identity)
        interruption.begun = True
        directory.write_manifest(first.manifest)  # not before: the old one names the sets of the run, and it names none
        cleanup.pop_all()
        return _scan(plan, opened, first, resumption.damage, on_progress, on_notice, interruption)


def _scan(
    plan: Plan,
    opened: Opened,
    first: Checkpoint,
    damage: Sequence[str],
    on_progress: Callable[[Progress], None],
    on_notice: Callable[[str], None],
    interruption: Interruption,
) -> Finished:
    """Run a session from the checkpoint `first` on, and write the manifest."""
    identity = opened.identity
    directory = identity.directory
    announce(directory.path)
    try:
        warn_of_ephemeral_ports(plan, on_notice)
        outcome = _supervise(plan, opened, first, on_progress, on_notice, interruption)
        tally, kept = _conclude(plan, directory, interruption)
        manifest = final_manifest(plan, identity, outcome, tally, kept, first, damage)
        directory.write_manifest(manifest)
    except StoppedMerge as stopped:
        on_notice(f"stopped while the sets were written: {kept_in(directory.path)}")
        raise SystemExit(stopped.exit_code) from None
    except Exception as error:
        raise StoppedEarlyError(f"{explain(error)}: {kept_in(directory.path)}") from error
    interruption.finishing = False
    if manifest.status == "complete":
        directory.remove_traces()
    else:
        with suppress(LivenessError):  # if it fails, the run just keeps many small segments
            compact_all(directory)
    return Finished(directory, manifest, interruption)


def _supervise(
    plan: Plan,
    opened: Opened,
    first: Checkpoint,
    on_progress: Callable[[Progress], None],
    on_notice: Callable[[str], None],
    interruption: Interruption,
) -> Outcome:
    return Supervisor(
        plan,
        opened.constants,
        opened.transport.rings,
        opened.rx_rings,
        opened.identity.directory,
        opened.identity.path.interface,
        first,
        on_progress,
        interruption,
        on_notice,
        opened.watch,
        opened.talk,
    ).run()
