"""The end of a session: what is written if the survey never started, or if the clock was set back."""

import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import msgspec
import numpy as np
import pytest

from liveness.planes.manifest import SurveyManifest
from liveness.runs.rundir import RunDirectory
from liveness.scan.interruption import Interruption, StoppedMerge
from liveness.survey import session
from liveness.survey.conclusion import Record, conclude, running
from liveness.survey.supervisor import SurveySupervisor
from tests.survey.virtual import START_NS_2020, VirtualSurvey, survey_config, virtual_survey

if TYPE_CHECKING:
    from liveness.scan.progress import Progress
    from liveness.scan.session import Opened

INTERVAL_NS = 660_000_000_000


def opened(path: Path, start_ns: int = START_NS_2020) -> VirtualSurvey:
    virtual = virtual_survey(path, survey_config(), ("10.1.0.0",), lambda *_: ())
    virtual.survey = virtual.survey.starting(start_ns)
    virtual.open()
    return virtual


def concluded(virtual: VirtualSurvey, monkeypatch: pytest.MonkeyPatch, reason: str | None) -> SurveyManifest:
    """Conclude a session of a survey whose packets and messages nobody counted."""
    monkeypatch.setattr(session, "_describe_replies", lambda _: None)
    observers = session.Observers(lambda *_: None, lambda _: None, lambda _: None)
    interruption = Interruption()
    if reason is not None:
        interruption.by(reason)
    record, directory = Record("run", None), RunDirectory(virtual.path)
    ended = session._Session(virtual.survey, virtual.plan, directory, virtual.live, record, observers, interruption)
    supervisor = SimpleNamespace(survey=virtual.survey, warnings=list)
    return session._conclude(ended, cast("SurveySupervisor", supervisor), virtual.recorder)


@pytest.mark.parametrize("reason", ["interrupted by SIGINT", None])
def test_a_survey_that_ends_before_its_first_slot_has_one_empty_round_of_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str | None
) -> None:
    manifest = concluded(opened(tmp_path, 0), monkeypatch, reason)
    assert (manifest.status, manifest.rounds) == ("partial", 1)
    assert abs(manifest.start_ns - time.time_ns()) < 60_000_000_000
    counts = manifest.probes["icmp"]
    assert (counts.sent, counts.not_sent) == (0, 256)


def test_a_clock_that_is_set_back_behind_the_stored_rounds_loses_none(tmp_path: Path) -> None:
    virtual = opened(tmp_path)
    for number in range(3):
        virtual.live.of_round(number)[:, 0] = 0xFF
        virtual.recorder.store(number)
    now_ns = START_NS_2020 + INTERVAL_NS // 2
    manifest = conclude(virtual.survey, virtual.recorder, Record("run", None), complete=False, now_ns=now_ns)
    assert manifest.rounds == 3
    assert manifest.probes["icmp"].sent == 3 * 256
    bits = np.fromfile(tmp_path / "matrix/icmp.sent.bits", np.uint8)
    assert bits.tolist() == [0b111] * 256


def test_a_second_signal_while_planes_are_written_ends_with_its_code_and_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise StoppedMerge(signal.SIGTERM)

    virtual = opened(tmp_path)
    virtual.stored.close()
    supervisor = SimpleNamespace(run=lambda: None)
    monkeypatch.setattr(session, "SurveySupervisor", lambda *_: supervisor)
    monkeypatch.setattr(session, "_conclude", stopped)
    monkeypatch.setattr(session, "warn_of_ephemeral_ports", lambda *_: None)
    notices: list[str] = []
    observers = session.Observers(lambda *_: None, lambda _: None, notices.append)
    directory, record = RunDirectory(tmp_path), Record("run", None)
    running = session._Session(virtual.survey, virtual.plan, directory, virtual.live, record, observers, Interruption())
    with pytest.raises(SystemExit) as caught:
        session._run(running, cast("Opened", None))
    assert caught.value.code == 128 + signal.SIGTERM
    assert len(notices) == 1
    assert notices[0].startswith("stopped while the planes were written: what was received is kept; `liveness survey")


def test_a_second_signal_while_the_last_messages_wait_spoils_no_complete_survey(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    virtual = opened(tmp_path)
    virtual.stored.close()
    record, directory = Record("run", None), RunDirectory(tmp_path)
    manifest = msgspec.structs.replace(running(virtual.survey, record), status="complete")
    rounds_at_close: list[bool] = []

    def close() -> None:
        rounds_at_close.append((tmp_path / "rounds").exists())
        raise StoppedMerge(signal.SIGINT)

    notifications = SimpleNamespace(send=lambda _: None, close=close)
    monkeypatch.setattr(session, "Notifications", SimpleNamespace(of=lambda *_: notifications))
    monkeypatch.setattr(session, "SurveySupervisor", lambda *_: SimpleNamespace(run=lambda: None))
    monkeypatch.setattr(session, "_conclude", lambda *_: manifest)
    monkeypatch.setattr(session, "warn_of_ephemeral_ports", lambda *_: None)
    notices: list[str] = []
    observers = session.Observers(lambda *_: None, lambda _: None, notices.append)
    begun = session._Session(virtual.survey, virtual.plan, directory, virtual.live, record, observers, Interruption())
    finished = session._run(begun, cast("Opened", None))
    assert (finished.manifest.status, rounds_at_close) == ("complete", [False]), "all is done before the wait"
    assert notices == ["stopped while the last notifications were sent: they are given up"]


@pytest.mark.parametrize(("begun", "left"), [(None, 9.0), (0.0, 9.0), (4.5, 4.5), (20.0, 0.0)])
def test_what_is_planned_is_what_was_sent_and_what_the_clock_leaves(
    tmp_path: Path, begun: float | None, left: float
) -> None:
    """A session that resumes in the middle of a survey has only the rest to send."""
    start_ns = 0 if begun is None else time.time_ns() - int(begun * INTERVAL_NS)
    virtual = opened(tmp_path, start_ns)
    virtual.shared.sent[0][0, 0] = 100
    seen: list[Progress] = []
    supervisor = SimpleNamespace(
        survey=virtual.survey,
        plan=virtual.plan,
        shared=virtual.shared,
        elapsed_s=1.0,
        recorder=virtual.recorder,
        judged=None,
        _listeners=SimpleNamespace(progress=seen.append),
    )
    SurveySupervisor._report(cast("SurveySupervisor", supervisor), None, sending=True)
    (progress,) = seen
    assert abs(progress.planned - 100 - left * 256) <= 4
    assert progress.blocks_drained == int(9 - left)
