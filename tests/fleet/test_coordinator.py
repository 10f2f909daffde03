"""The coordinator over placements that are made up: versions, clocks, answers that do not come, runners that die."""

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import pytest
from obstore.store import MemoryStore

from liveness.config.load import load_config
from liveness.errors import LivenessError
from liveness.files.directory import Directory
from liveness.fleet import marks
from liveness.fleet.coordinator import LATEST_S, MOST_TRIES, Coordinator
from liveness.fleet.job import Job, Outcome
from liveness.fleet.lease import Lease, newest_lease
from liveness.fleet.placement import Facts
from liveness.fleet.plans import find_or_make_plan
from liveness.fleet.store import Store
from liveness.fleet.vantages import VantagePoint, load_fleet
from liveness.fleet.work import Work
from liveness.fleet.workplace import Workplace
from liveness.version import __version__
from tests.census.support import ROOT
from tests.fleet.support import Place, cleaned, wait_for
from tests.fleet.test_vantages import work_of

HERE = Facts(__version__, "3.12.0", 0.3, 0.0)


@dataclass
class MadeUp:
    """A placement whose workers answer as a test says, and whose jobs end as it says."""

    answers: dict[str, list[Facts | LivenessError | None]]
    outcomes: list[Outcome] = field(default_factory=list)
    placed: list[Job] = field(default_factory=list)
    at_work: list[str] = field(default_factory=list)

    def workers(self) -> dict[str, str]:
        return {name: name for name in self.answers}

    def facts(self, worker: str) -> Facts | None:
        answers = self.answers[worker]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, LivenessError):
            raise answer
        return answer

    def submit(self, job: Job, vantage: VantagePoint) -> None:
        assert job.vantage == vantage.name
        self.placed.append(job)
        self.at_work.append(job.job)

    def submitted(self) -> list[str]:
        return list(self.at_work)

    def ended(self) -> Iterator[Outcome]:
        for job in list(self.at_work):
            self.at_work.remove(job)
            made = Outcome(job=job, vantage=job.partition("/")[0], state="complete")
            yield self.outcomes.pop(0) if self.outcomes else made

    def forget(self, job: str) -> None:
        if job in self.at_work:
            self.at_work.remove(job)

    def is_gone(self) -> bool:
        return False

    embedded = True

    def stop(self) -> list[str]:
        return []


def coordinate(
    folder: Path,
    placement: MadeUp,
    store: Store | None = None,
    **changes: Any,  # noqa: ANN401 - fields
) -> tuple[Coordinator, list[str]]:
    """Take a census with a placement; return the coordinator, and its warnings."""
    warnings: list[str] = []
    coordinated = coordinator_of(folder, placement, store, warnings.append, **changes)
    coordinated.run()
    return coordinated, warnings


def coordinator_of(
    folder: Path,
    placement: MadeUp,
    store: Store | None = None,
    warn: Callable[[str], None] = lambda _: None,
    **changes: Any,  # noqa: ANN401 - fields
) -> Coordinator:
    """Return the coordinator of a census over a placement, which has done nothing yet."""
    work = work_of(folder, {"max_pps_per_24": None, **changes})
    made: Any = placement
    seconds = count()
    return Coordinator(
        work,
        store or Store(MemoryStore(), "memory"),
        made,
        work.plan("r1", 0.0),
        b"",
        note=lambda _: None,
        warn=warn,
        pause=lambda _: None,
        clock=lambda: float(next(seconds)),
    )


def test_a_vantage_point_of_another_version_is_refused(tmp_path: Path) -> None:
    other = Facts("0.0.1", "3.12.0", 0.0, 0.0)
    placement = MadeUp({"ams1": [HERE], "fra1": [other]})
    done, warnings = coordinate(tmp_path, placement)
    assert [job.job for job in placement.placed] == ["ams1/0-of-1"]
    refused = done.outcomes["fra1/0-of-1"]
    assert (refused.state, refused.exit_code) == ("refused", 4)
    assert refused.message == f"fra1: liveness 0.0.1 there, {__version__} here: install the same version"
    assert warnings == []


@pytest.mark.parametrize(
    ("offset_ms", "ahead_ms", "verdict"),
    [
        (0.3, 0.0, "fine"),
        (None, 0.0, "fine"),
        (-80.0, 0.0, "warned"),
        (None, 80.0, "warned"),
        (1_500.0, 0.0, "refused"),
        (None, -1_500.0, "refused"),
        (0.1, 9_000.0, "fine"),
    ],
)
def test_clocks_are_judged_as_chrony_knows_them_else_as_the_network_shows(
    tmp_path: Path, offset_ms: float | None, ahead_ms: float, verdict: str
) -> None:
    placement = MadeUp({"ams1": [HERE], "fra1": [Facts(__version__, "3.12.0", offset_ms, ahead_ms)]})
    done, warnings = coordinate(tmp_path, placement)
    outcome = done.outcomes["fra1/0-of-1"]
    assert outcome.state == ("refused" if verdict == "refused" else "complete")
    if verdict == "refused":
        assert "1,000 ms are the most" in outcome.message
    assert [line.startswith("fra1: its clock is ") for line in warnings] == [True] * (verdict == "warned")


def test_a_split_census_takes_clocks_that_replicas_may_not_have(tmp_path: Path) -> None:
    placement = MadeUp({"ams1": [HERE], "fra1": [Facts(__version__, "3.12.0", 1_500.0, 0.0)]})
    done, warnings = coordinate(tmp_path, placement, mode="split", **{"vantages.1.offset": None})
    assert {outcome.state for outcome in done.outcomes.values()} == {"complete"}
    assert len(warnings) == 1


def test_a_worker_that_does_not_answer_is_asked_again_and_one_without_liveness_is_refused(tmp_path: Path) -> None:
    broken = LivenessError("cannot run liveness there: ModuleNotFoundError")
    placement = MadeUp({"ams1": [None, None, HERE], "fra1": [broken]})
    done, _ = coordinate(tmp_path, placement)
    assert done.outcomes["ams1/0-of-1"].state == "complete"
    assert done.outcomes["fra1/0-of-1"].state == "refused"
    assert "ModuleNotFoundError" in done.outcomes["fra1/0-of-1"].message


def test_a_job_whose_runner_dies_is_placed_again_but_not_for_ever(tmp_path: Path) -> None:
    def died(job: str) -> Outcome:
        return Outcome(
            job=job, vantage=job.partition("/")[0], state="stopped", exit_code=1, message="the runner was killed"
        )

    placement = MadeUp({"ams1": [HERE]}, [died("ams1/0-of-1")] * 2)
    done, _ = coordinate(tmp_path, placement, **{"vantages.1": None})
    assert (done.outcomes["ams1/0-of-1"].state, len(placement.placed)) == ("complete", 3)
    placement = MadeUp({"ams1": [HERE]}, [died("ams1/0-of-1")] * 99)
    done, _ = coordinate(tmp_path, placement, **{"vantages.1": None})
    assert (done.outcomes["ams1/0-of-1"].state, len(placement.placed)) == ("stopped", MOST_TRIES + 1)


SPLIT: dict[str, Any] = {"mode": "split", "vantages.1.offset": None}


def ending(vantage: str, state: Any, message: str = "") -> Outcome:  # noqa: ANN401 - a state
    """Return an outcome of the first job."""
    return Outcome(job="ams1/0-of-2", vantage=vantage, state=state, exit_code=130, message=message)


def placed_of(placement: MadeUp) -> list[str]:
    """Return where the first job was placed."""
    return [job.vantage for job in placement.placed if job.job == "ams1/0-of-2"]


def test_a_job_that_stopped_because_its_vantage_point_is_lost_is_moved(tmp_path: Path) -> None:
    store = Store(MemoryStore(), "memory")

    class Draining(MadeUp):
        """Jobs of a vantage point that is marked as lost once they are at work."""

        def submit(self, job: Job, vantage: VantagePoint) -> None:
            super().submit(job, vantage)
            marks.drain(store, "wide", "ams1", now=False, lost=True)

    placement = Draining({"ams1": [HERE], "fra1": [HERE]}, [ending("ams1", "stopped", "ams1 was drained")])
    done, warnings = coordinate(tmp_path, placement, store, **SPLIT)
    assert placed_of(placement) == ["ams1", "fra1"]
    assert {outcome.state for outcome in done.outcomes.values()} == {"complete"}
    assert len(warnings) == 1
    assert "moved to fra1" in warnings[0]


def test_a_moved_job_that_is_refused_is_placed_again(tmp_path: Path) -> None:
    """The lease of the lost vantage point holds a little longer by the clock of the other one."""
    store = Store(MemoryStore(), "memory")
    marks.move(store, "wide/r1/ams1/0-of-2", "ams1", "fra1", "gone")
    placement = MadeUp({"fra1": [HERE]}, [ending("fra1", "refused", "ams1 is at work on it")])
    done, _ = coordinate(tmp_path, placement, store, **SPLIT)
    assert placed_of(placement) == ["fra1", "fra1"]
    assert {outcome.state for outcome in done.outcomes.values()} == {"complete"}


def test_a_run_with_a_damaged_shard_ends_and_the_problem_is_told(tmp_path: Path) -> None:
    store = Store(MemoryStore(), "memory")
    placement = MadeUp({"ams1": [HERE], "fra1": [HERE]})

    def damaging(job: Job, vantage: VantagePoint) -> None:
        MadeUp.submit(placement, job, vantage)
        if vantage.name == "ams1":
            store.put("wide/r1/ams1/0-of-2/result.json", b"{")

    placement.submit = damaging  # type: ignore[method-assign]
    with pytest.raises(LivenessError, match=r"ams1/0-of-2/result\.json.*`liveness fleet blocklist` tries again"):
        coordinate(tmp_path, placement, store, **SPLIT)
    assert marks.is_ended(store, "wide", "r1")


def test_a_lease_counts_as_expired_when_it_is_by_every_clock(tmp_path: Path) -> None:
    store = Store(MemoryStore(), "memory")
    done, _ = coordinate(tmp_path, MadeUp({"ams1": [HERE], "fra1": [HERE]}), store, **SPLIT)
    marks.drain(store, "wide", "ams1", now=False, lost=True)
    lease = Lease(vantage="ams1", machine="m", instance="i", host="h", pid=1, taken_s=0.0, expires_s=time.time() - 1)
    vantage = done.work.fleet.vantage("ams1")
    assert done._why_lost(vantage, lease) is None
    expired = msgspec.structs.replace(lease, expires_s=time.time() - LATEST_S)
    assert "marked as lost" in (done._why_lost(vantage, expired) or "")


def test_a_cluster_within_this_process_listens_on_loopback_only(tmp_path: Path) -> None:
    (tmp_path / "v.yaml").write_text("config: c\nmode: split\nstore: {url: s}\nvantages: [{name: a}, {name: b}]\n")
    code = f"""
import psutil
from itertools import count
from pathlib import Path
from liveness.fleet.lease import Lease, newest_lease
from liveness.fleet.placement import connected
from liveness.fleet.vantages import load_fleet

if __name__ == "__main__":
    with connected(load_fleet(Path({str(tmp_path / "v.yaml")!r}))) as placement:
        print(sorted(placement.workers()))
        print([at.laddr.ip for at in psutil.Process().net_connections("inet") if at.status == "LISTEN"])
"""
    script = tmp_path / "script.py"
    script.write_text(code)
    words = [sys.executable, str(script)]
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0, done.stderr
    workers, listening = done.stdout.splitlines()
    assert workers == "['a', 'b']"
    assert set(eval(listening)) <= {"127.0.0.1", "::1"}  # noqa: S307 - our own output


def test_what_an_earlier_command_has_begun_is_stopped_before_it_is_placed_again(tmp_path: Path) -> None:
    """Ctrl-C in the first moments of a command that continues a run: scans are at work, and it has placed nothing."""
    with cleaned(Place(tmp_path, vantages=1)) as place:
        place.hold()
        first = place.begin("--run-id", "r1")
        place.wait_held(1)
        first.process.kill()
        first.ended()
        fleet = load_fleet(place.file)
        work = Work.of_census(fleet, load_config(fleet.config), lab=False)
        store = Store.open(fleet.store)
        plan, new = find_or_make_plan(work, store, "r1")
        assert not new
        placement: Any = MadeUp({})
        made = Coordinator(work, store, placement, plan, b"", lambda _: None, lambda _: None)
        assert place.lines("end") == []
        assert made.stop() == []
        assert len(place.lines("end")) == 1
        lease = newest_lease(store, "wide/r1/v0/0-of-1")
        assert lease is not None
        assert lease[1].state == "stopped"
        assert made.stop() == [], "nothing is at work any more"


STUBBORN = """
import signal, sys, time
from pathlib import Path
from liveness.fleet.workplace import Workplace

path = Path(sys.argv[1])
signal.signal(signal.SIGTERM, lambda *_: (path / "asked").touch())
lock = Workplace(None, path).lock()
(path / "at-work").touch()
time.sleep(600)
"""


def test_runners_of_an_earlier_command_are_stopped_all_at_once_also_where_they_were_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C before the moves are read: the first job was moved to the place of the second."""
    monkeypatch.setattr("liveness.fleet.coordinator.STOP_S", 1.0)
    places: dict[str, Any] = {f"vantages.{at}.directory": str(tmp_path / f"v{at}") for at in (0, 1)}

    class Waiting(MadeUp):
        """A placement that waits for its own jobs."""

        def stop(self) -> list[str]:
            wait_for(lambda: all((folder / "asked").exists() for folder in folders), "the others, asked before")
            return []

    made = coordinator_of(tmp_path, Waiting({}), **SPLIT, **places)
    folders = [tmp_path / "v1/wide/r1" / job.job.replace("/", ".") for job in made.plan.jobs]
    runners = []
    try:
        for folder in folders:
            folder.mkdir(parents=True)
            words = [sys.executable, "-c", STUBBORN, str(folder)]
            runners.append(subprocess.Popen(words, env={"PYTHONPATH": str(ROOT)}))
        wait_for(lambda: all((folder / "at-work").exists() for folder in folders), "runners at work")
        assert made.stop() == [job.job for job in made.plan.jobs]
    finally:
        for runner in runners:
            runner.kill()
            runner.wait()
    assert made.stop() == []


def test_own_scans_are_stopped_also_where_the_directory_of_another_job_cannot_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one that another user made: its runner may go on, which the command says."""

    class Noted(MadeUp):
        stopped = False

        def stop(self) -> list[str]:
            self.stopped = True
            return []

    def no_entry(*_: object) -> NoReturn:
        raise PermissionError(errno.EACCES, "Permission denied")

    placement = Noted({})
    places: dict[str, Any] = {f"vantages.{at}.directory": str(tmp_path / f"v{at}") for at in (0, 1)}
    made = coordinator_of(tmp_path, placement, **SPLIT, **places)
    closed = made.plan.jobs[0].job
    folder = tmp_path / "v0/wide/r1" / closed.replace("/", ".")
    folder.mkdir(parents=True)
    with monkeypatch.context() as patched:
        patched.setattr(Directory, "open", no_entry)
        assert made.stop() == [closed]
    assert placement.stopped
    placement.stopped = False
    with monkeypatch.context() as patched:
        patched.setattr("liveness.fleet.coordinator.stop_others", no_entry)
        with pytest.raises(PermissionError):
            made.stop()
    assert placement.stopped
    monkeypatch.setattr("liveness.fleet.coordinator.STOP_S", 0.0)
    lock = Workplace(made.work.job(made.plan, made.plan.jobs[0], made.work.fleet.vantages[0], b""), folder).lock()
    try:
        with monkeypatch.context() as patched:
            patched.setattr(os, "kill", no_entry)
            assert made.stop() == [closed]
    finally:
        os.close(lock)
