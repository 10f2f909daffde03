"""The end of a cancelled job whose scan was killed: what it has is written by a scan that is stopped at once."""

import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from liveness.errors import LivenessError
from liveness.fleet import scans as module
from liveness.fleet.job import Kind
from liveness.fleet.scans import Scans, StopError
from liveness.fleet.workplace import Workplace
from tests.fleet.test_surveys import work


def scans_of(folder: Path, monkeypatch: pytest.MonkeyPatch, kind: Kind) -> Scans:
    """Return the scans of a job that a killed scan has left, and that no other scan can conclude."""
    planned = work(folder)
    plan = planned.plan("r1", 0.0)
    job = planned.job(plan, plan.jobs[0], planned.fleet.vantages[0], b"")
    job = msgspec.structs.replace(job, kind=kind)
    monkeypatch.setattr(Scans, "_running", lambda _: (1, 1))
    monkeypatch.setattr(Scans, "_child", lambda *_: (1, "no space left"))
    return Scans(job, Workplace.of(job), threading.Event())


def test_a_survey_without_its_planes_is_not_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    liaison: Any = None
    made = scans_of(tmp_path, monkeypatch, "survey")
    with pytest.raises(
        LivenessError, match=r"is not stored, because its planes could not be written.* ended with 1: no space"
    ):
        made.conclude(liaison)
    made.signalled.set()
    with pytest.raises(StopError):
        made.conclude(liaison)


def test_a_census_without_its_sets_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    monkeypatch.setattr(module, "note", notes.append)
    liaison: Any = None
    scans_of(tmp_path, monkeypatch, "census").conclude(liaison)
    (line,) = notes
    assert line.startswith("the run is stored without its sets")
