"""The end of a cancelled job whose scan was killed: what it has is written by a scan that is stopped at once."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from obstore.store import MemoryStore

from liveness.errors import LivenessError
from liveness.fleet import runner as module
from liveness.fleet.job import Kind
from liveness.fleet.runner import Runner, StopError
from liveness.fleet.store import Store
from liveness.fleet.workplace import Workplace
from tests.fleet.test_surveys import work


def runner_of(folder: Path, monkeypatch: pytest.MonkeyPatch, kind: Kind) -> Runner:
    """Return the runner of a job that a killed scan has left, and that no other scan can conclude."""
    planned = work(folder)
    plan = planned.plan("r1", 0.0)
    job = planned.job(plan, plan.jobs[0], planned.fleet.vantages[0], b"")
    job = msgspec.structs.replace(job, kind=kind)
    monkeypatch.setattr(Runner, "_running", lambda _: (1, 1))
    monkeypatch.setattr(Runner, "_child", lambda *_: (1, "no space left"))
    return Runner(job, Workplace.of(job), Store(MemoryStore(), "memory"))


def test_a_survey_without_its_planes_is_not_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    liaison: Any = None
    made = runner_of(tmp_path, monkeypatch, "survey")
    with pytest.raises(
        LivenessError, match=r"is not stored, because its planes could not be written.* ended with 1: no space"
    ):
        made._conclude(liaison)
    made.signalled.set()
    with pytest.raises(StopError):
        made._conclude(liaison)


def test_a_census_without_its_sets_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    monkeypatch.setattr(module, "note", notes.append)
    liaison: Any = None
    runner_of(tmp_path, monkeypatch, "census")._conclude(liaison)
    (line,) = notes
    assert line.startswith("the run is stored without its sets")
