"""A session of a survey, from a config or a run to resume to the planes by address and the manifest."""

import os
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import msgspec

from liveness import log
from liveness.clock import utc
from liveness.errors import LivenessError, StoppedEarlyError, explain
from liveness.optouts.stage import STAGE, finish_redaction
from liveness.planes.live import BOOT, ROUNDS_FOLDER, START_NS, LivePlanes
from liveness.planes.manifest import SurveyManifest, write_manifest
from liveness.planes.stored import StoredRounds
from liveness.runs.announce import announce
from liveness.runs.manifest import Vantage
from liveness.runs.rundir import RunDirectory
from liveness.scan.drawing import draw_control_port, draw_key
from liveness.scan.interruption import Interruption, StoppedMerge, signals_noted
from liveness.scan.path.neighbourhood import meet_neighbours
from liveness.scan.plan import Plan
from liveness.scan.privilege_drop import decide
from liveness.scan.progress import Progress
from liveness.scan.receive.sink import Received, concluded
from liveness.scan.record import Identity, vantage_record
from liveness.scan.session import (
    Opened,
    drop_rights,
    find_way,
    on_the_way,
    open_session,
    warn_of_ephemeral_ports,
    with_clock,
)
from liveness.survey.conclusion import Record, conclude, running, scanner_of
from liveness.survey.config import SurveyNotify
from liveness.survey.message import SurveyMessage
from liveness.survey.notifications import Notifications
from liveness.survey.plane_sink import PlaneSinks
from liveness.survey.recorded import recorded, resumable, write_blocks
from liveness.survey.recorder import RoundRecorder, boot_hash
from liveness.survey.schedule import Survey, check_start_time
from liveness.survey.supervisor import SurveySupervisor


@dataclass(frozen=True, slots=True)
class Observers:
    """The functions that a session calls."""

    on_start: Callable[[Plan, Identity], None]
    """Called when everything is open and no packet has left."""
    on_progress: Callable[[Progress], None]
    """Called several times a second."""
    on_notice: Callable[[str], None] = log.notice
    """Called with each line that needs attention at once."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A session that has ended: the run directory, its manifest, and why it ended early, if it did."""

    path: Path
    manifest: SurveyManifest
    interruption: Interruption


@dataclass(slots=True)
class _Session:
    """Everything of a session that is decided before its sockets are open."""

    survey: Survey
    plan: Plan
    directory: RunDirectory
    live: LivePlanes
    record: Record
    observers: Observers
    interruption: Interruption


def run_survey(survey: Survey, observers: Observers, run_id: str | None = None) -> Finished:
    """Run a new survey, and return when it has ended. Raises LivenessError or a subclass if it cannot begin.

    Nothing is left on disk then.
    """
    config = survey.census
    check_start_time(survey)
    privilege_drop = decide(config, Path(config.output) / config.name / "run")
    directory = RunDirectory.create(Path(config.output), config.name, run_id)
    interruption = Interruption()
    with signals_noted(interruption, directory.discard), ExitStack() as cleanup:
        cleanup.callback(directory.discard)
        (directory.path / "sets").rmdir()  # a survey has planes in place of sets
        live = LivePlanes.create(directory.path, len(survey.blocks), len(survey.probes), survey.depth)
        cleanup.callback(live.close)
        control_port, key = draw_control_port(survey.config.as_shard()), draw_key(config)
        plan = survey.plan(control_port, key, (PlaneSinks(survey.order, live),))
        path = find_way(plan)
        for line in (*path.left_out, *path.notes):
            observers.on_notice(str(line))
        directory.write_targets(plan.intervals.entries())
        plan = on_the_way(plan, path)
        path = meet_neighbours(plan, path, observers.on_notice)
        opened = open_session(plan, path, directory, cleanup)
        directory.lock()
        directory.write_key(key)
        write_blocks(directory, survey)
        live.header[BOOT] = boot_hash()
        record = Record(directory.path.name, control_port, scanner_of(opened.identity))
        write_manifest(running(survey.starting(survey.config.start_ns or time.time_ns()), record), directory.path)
        opened = with_clock(drop_rights(opened, privilege_drop), plan, observers.on_notice)
        record.vantage = _vantage(plan, opened)
        observers.on_start(plan, opened.identity)
        interruption.begun = True
        cleanup.pop_all()
        return _run(_Session(survey, plan, directory, live, record, observers, interruption), opened)


def resume_survey(path: Path, observers: Observers, notify: SurveyNotify | None = None) -> Finished:
    """Continue the survey at `path`, which ended early: slots that have passed since then count as not sent.

    Without `notify` there are no notifications: a run directory does not keep it, because a webhook's address may be a
    secret.

    Raises UsageError for a run that is complete or that no session can continue, RefusedError for one that another
    process works on.
    """
    with _locked(path) as (directory, manifest):
        return _go_on(directory, manifest, observers, SurveyNotify() if notify is None else notify)


def check_resumable(path: Path) -> None:
    """Raise a LivenessError if the files of a survey that ended early do not let a session continue it.

    RefusedError if another process works on it.
    """
    with _locked(path) as (directory, manifest):
        survey = recorded(directory, manifest)
        directory.read_key()
        LivePlanes.open(path, len(survey.blocks), len(survey.probes), survey.depth).close()


@contextmanager
def _locked(path: Path) -> Iterator[tuple[RunDirectory, SurveyManifest]]:
    """Lock a survey that a session can continue, and give its directory and manifest.

    A removal of opted-out data that was cut short is finished first; the survey may have no rounds to resume then.
    """
    directory = RunDirectory(path)
    if not (path / STAGE).is_dir():  # otherwise the removal may have removed the rounds already
        resumable(path)
    lock = directory.lock()
    try:
        finish_redaction(directory)
        yield resumable(path)
    finally:
        os.close(lock)


def _go_on(directory: RunDirectory, manifest: SurveyManifest, observers: Observers, notify: SurveyNotify) -> Finished:
    """Run another session of a survey that is locked."""
    path = directory.path
    survey = recorded(directory, manifest)
    survey = replace(survey, config=msgspec.structs.replace(survey.config, notify=notify))
    if not notify.watched_of(survey.blocks.numbers).any():
        observers.on_notice(
            f"notify.prefixes: {list(notify.prefixes)}: no /24 of {path} lies in them: no outage is notified"
        )
    privilege_drop = decide(survey.census, path)
    interruption = Interruption()
    with signals_noted(interruption, lambda: None), ExitStack() as cleanup:
        live = LivePlanes.open(path, len(survey.blocks), len(survey.probes), survey.depth)
        cleanup.callback(live.close)
        start_ns = int(live.header[START_NS])
        if start_ns:
            survey = survey.starting(start_ns)
        record = Record(
            directory.path.name,
            manifest.control_port,
            resumed=[*manifest.resumed, utc(time.time_ns())],
            warnings=list(manifest.loss_warnings),
            late_ms=None if manifest.shard is None else manifest.shard.late_ms,
        )
        plan = survey.plan(manifest.control_port, directory.read_key(), (PlaneSinks(survey.order, live),))
        way = find_way(plan)
        plan = on_the_way(plan, way)
        opened = open_session(plan, meet_neighbours(plan, way, observers.on_notice), directory, cleanup)
        record.scanner = scanner_of(opened.identity)
        # planes by address that an earlier session left are still those that the manifest describes
        write_manifest(msgspec.structs.replace(manifest, status="running", resumed=record.resumed), path)
        opened = with_clock(drop_rights(opened, privilege_drop), plan, observers.on_notice)
        record.vantage = _vantage(plan, opened)
        observers.on_start(plan, opened.identity)
        interruption.begun = True
        cleanup.pop_all()
        return _run(_Session(survey, plan, directory, live, record, observers, interruption), opened)


def _run(session: _Session, opened: Opened) -> Finished:
    """Run a session whose sockets are open, and conclude it; its last messages have time only when all is on disk."""
    notifications = Notifications.of(session.survey.config.notify, session.observers.on_notice)
    try:
        return _concluded(session, opened, notifications)
    finally:
        _send_last(session, notifications)


def _send_last(session: _Session, notifications: Notifications) -> None:
    """Wait until the messages are sent; a second request to stop gives them up."""
    interruption = session.interruption
    try:
        interruption.finishing = True
        notifications.close()
    except StoppedMerge:
        session.observers.on_notice("stopped while the last notifications were sent: they are given up")
    finally:
        interruption.finishing = False


def _concluded(session: _Session, opened: Opened, notifications: Notifications) -> Finished:
    """Run and conclude a session; what it has to say is given to `notifications`."""
    directory, survey = session.directory, session.survey
    announce(directory.path)
    place = str(directory.path.absolute())
    kept = f"what was received is kept; `liveness survey run --resume {shlex.quote(str(directory.path))}` continues it"
    try:
        warn_of_ephemeral_ports(session.plan, session.observers.on_notice)
        with (
            closing(session.live),
            StoredRounds(directory.path, survey.probes, len(survey.blocks), session.live.stored) as stored,
        ):
            recorder = RoundRecorder(
                directory.path, survey.order, survey.probes, session.live, stored, session.observers.on_notice
            )
            recorder.open(time.time_ns())
            supervisor = SurveySupervisor(
                survey,
                session.plan,
                opened,
                directory,
                session.live,
                recorder,
                partial(_begun, session),
                session.observers.on_progress,
                session.observers.on_notice,
                lambda found: notifications.send(
                    SurveyMessage.of_round(survey.config.name, directory.path.name, place, found)
                ),
                session.interruption,
            )
            supervisor.run()
            manifest = _conclude(session, supervisor, recorder)
            notifications.send(SurveyMessage.of_end(place, manifest, session.interruption.signal_number))
    except StoppedMerge as stopped:
        session.observers.on_notice(f"stopped while the planes were written: {kept}")
        raise SystemExit(stopped.exit_code) from None
    except Exception as error:
        raise StoppedEarlyError(f"{directory.path}: {explain(error)}: {kept}") from error
    session.interruption.finishing = False
    if manifest.status == "complete":
        with suppress(OSError), directory.files() as files:
            files.remove_tree(ROUNDS_FOLDER)
        directory.remove_traces()
    return Finished(directory.path, manifest, session.interruption)


def _begun(session: _Session, started: Survey) -> None:
    """Record the start of a new survey, before its first packet."""
    agreed_ns = started.config.start_ns
    if agreed_ns is not None:
        session.record.late_ms = max(0.0, (time.time_ns() - agreed_ns) / 1e6)
    write_manifest(running(started, session.record), session.directory.path)


def _conclude(session: _Session, supervisor: SurveySupervisor, recorder: RoundRecorder) -> SurveyManifest:
    """Write planes by address and manifest."""
    interruption, survey = session.interruption, supervisor.survey
    if not survey.order.start_ns:  # it ended before its first slot
        survey = survey.starting(survey.config.start_ns or time.time_ns())
    complete = interruption.reason is None and time.time_ns() >= survey.order.end_ns
    session.record.reason = interruption.reason
    session.record.warnings += supervisor.warnings()
    _describe_replies(session)
    manifest = conclude(survey, recorder, session.record, complete=complete, now_ns=time.time_ns())
    write_manifest(manifest, session.directory.path)
    return manifest


def _describe_replies(session: _Session) -> None:
    """Put counts of packets and the log into the record. A failure is a warning: the planes do not depend on them."""
    record = session.record
    try:
        received = Received.of(session.directory)
        kept = concluded(session.plan, session.directory, received, lambda error: record.warnings.append(str(error)))
    except LivenessError as error:
        record.warnings.append(str(error))
        return
    record.messages, record.rejected = received.tally.messages, received.tally.rejected
    record.log = kept.fields.get("log")
    record.warnings += kept.problems


def _vantage(plan: Plan, opened: Opened) -> Vantage | None:
    vantage = vantage_record(plan, opened.identity)
    return vantage if isinstance(vantage, Vantage) else None
