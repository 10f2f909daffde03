"""One call of a recurring census: what it begins, goes on with, gives up, reports and tells, whatever went before."""

import errno
import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from liveness.census.hit_rate_drop import hit_rates
from liveness.census.home import Home
from liveness.errors import LivenessError, RefusedError, UsageError
from liveness.replies import Kind
from liveness.scan.interruption import Interruption
from liveness.system.child import run_in_child
from tests.analysis import brute_force
from tests.census.recurring import TOWN, FakeScanner, Weekly
from tests.cli.support import NOBODY
from tests.populations import Reply


def test_a_run_is_reported_and_compared_with_the_one_before(tmp_path: Path) -> None:
    weekly = Weekly(tmp_path)
    first = weekly.taken()
    scanner = weekly.scanner()
    scanner.replies = [reply for reply in scanner.replies if reply.source % 3]
    second = weekly.taken(scanner)
    report = weekly.home.report(second.run_id)
    document = msgspec.json.decode((report / "report.json").read_bytes())
    alive = brute_force.run_document(TOWN)["coverage"]["addresses"]["all"]
    now = document["runs"][1]["coverage"]["addresses"]["all"]
    assert (first.alive, first.born, first.died) == (alive, None, None)
    assert (second.alive, second.born, second.died) == (now, 0, alive - now)
    assert second.compared_with == first.run_id
    assert document["changes"][0]["from"] == f"weekly/{first.run_id}"
    assert f"Changes from weekly/{first.run_id}" in (report / "report.txt").read_text()
    assert "\x1b" not in (report / "report.txt").read_text()
    assert second.summary == (
        f"census weekly/{second.run_id}: complete, 4,096 targets in 28 s, {now:,} alive"
        f" (+0 -{alive - now:,} since {first.run_id}), no losses"
    )
    assert [record.number for record in weekly.records()] == [1, 2]
    assert all(record.notified for record in weekly.records())
    assert second.hit_rates == {
        probe: round(rate.share, 6) for probe, rate in hit_rates(weekly.home.run(second.run_id).read_manifest()).items()
    }


def test_a_run_that_was_interrupted_continues_with_the_next_call(tmp_path: Path) -> None:
    weekly = Weekly(tmp_path)
    scanner = weekly.scanner()
    scanner.interrupted = Interruption("interrupted by SIGTERM", signal.SIGTERM)
    cut = weekly.taken(scanner)
    assert (cut.state, cut.status, cut.exit_code, cut.events) == ("begun", "partial", 143, ["failure"])
    assert cut.summary.endswith("; the next call resumes it")
    assert [message.events for message in weekly.messages] == [["failure"]]
    scanner.interrupted = Interruption()
    done = weekly.taken(scanner)
    assert scanner.calls == [f"begin {cut.run_id}", f"go on {cut.run_id}"]
    assert (done.run_id, done.state, done.exit_code, done.events) == (cut.run_id, "reported", 0, ["complete"])
    weekly.taken(scanner)
    assert scanner.calls[-1] != f"go on {cut.run_id}"
    assert len(weekly.records()) == 2


def test_stopped_by_a_limit_it_ends_with_5(tmp_path: Path) -> None:
    scanner = Weekly(tmp_path).scanner()
    scanner.interrupted = Interruption("limits.max_runtime of 1h reached")
    assert Weekly(tmp_path).taken(scanner).exit_code == 5


def test_only_what_is_unfinished(tmp_path: Path) -> None:
    weekly = Weekly(tmp_path)
    assert weekly.take(unfinished=True) is None
    scanner = weekly.scanner()
    scanner.interrupted = Interruption("interrupted by SIGINT", signal.SIGINT)
    cut = weekly.taken(scanner)
    done = weekly.take(unfinished=True)
    assert done is not None
    assert (done.run_id, done.state) == (cut.run_id, "reported")
    assert weekly.take(unfinished=True) is None


def test_fresh_gives_up_what_was_cut_off(tmp_path: Path) -> None:
    weekly = Weekly(tmp_path)
    scanner = weekly.scanner()
    scanner.interrupted = Interruption("interrupted by SIGINT", signal.SIGINT)
    cut = weekly.taken(scanner)
    fresh = weekly.take(fresh=True)
    assert fresh is not None
    assert [(record.run_id, record.state) for record in weekly.records()] == [
        (cut.run_id, "given-up"),
        (fresh.run_id, "reported"),
    ]
    assert weekly.home.run(cut.run_id).path.is_dir()


@pytest.mark.parametrize("lost", ["key", "targets.txt"])
def test_what_cannot_go_on_is_given_up_and_the_next_begins(tmp_path: Path, lost: str) -> None:
    weekly = Weekly(tmp_path)
    scanner = weekly.scanner()
    scanner.interrupted = Interruption("interrupted by SIGINT", signal.SIGINT)
    cut = weekly.taken(scanner)
    (weekly.home.run(cut.run_id).path / lost).unlink()
    scanner.interrupted = Interruption()
    following = weekly.taken(scanner)
    assert following.run_id != cut.run_id
    given_up = weekly.records()[0]
    assert (given_up.run_id, given_up.state) == (cut.run_id, "given-up")
    assert lost in (given_up.reason or "")
    assert len(weekly.warnings) == 1
    assert lost in weekly.warnings[0]


def test_a_run_that_cannot_begin_leaves_nothing(tmp_path: Path) -> None:
    weekly = Weekly(tmp_path)
    scanner = weekly.scanner()
    scanner.failing = UsageError("blocklist.txt:3: what is this?")
    with pytest.raises(UsageError, match=r"blocklist\.txt:3"):
        weekly.take(scanner)
    assert weekly.records() == []
    assert [(message.events, message.exit_code) for message in weekly.messages] == [(["failure"], 2)]
    assert sorted(path.name for path in weekly.home.path.iterdir()) == ["census.lock", "reports"]


def test_a_bug_is_notified_before_the_traceback(tmp_path: Path) -> None:
    weekly = Weekly(tmp_path)
    scanner = weekly.scanner()

    def fault(_: Path) -> None:
        raise KeyError("what")

    scanner.midway = fault
    with pytest.raises(KeyError):
        weekly.take(scanner)
    assert [message.summary for message in weekly.messages] == ["census weekly: failed: KeyError: 'what'"]
    assert weekly.taken().state == "reported"


def test_a_resume_may_fail_temporarily(tmp_path: Path) -> None:
    """No network today: the run stays as it is, and goes on tomorrow."""
    weekly = Weekly(tmp_path)
    scanner = weekly.scanner()
    scanner.interrupted = Interruption("interrupted by SIGINT", signal.SIGINT)
    cut = weekly.taken(scanner)
    scanner.failing = LivenessError("scan0: no such interface")
    with pytest.raises(LivenessError, match="no such interface"):
        weekly.take(scanner)
    assert weekly.taken().run_id == cut.run_id


def killed(step: Callable[[], object]) -> None:
    """Run a step in a process that kills itself in its midst."""
    process = multiprocessing.get_context("fork").Process(target=step)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL


def kill_self(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("moment", ["report.compare", "cycle.write_report", "cycle.retain", "report.encode"])
def test_killed_after_the_scan_the_next_call_does_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    weekly = Weekly(tmp_path)
    before = weekly.taken()
    with monkeypatch.context() as patch:
        module, name = moment.split(".")
        for place in ("liveness.census.cycle", "liveness.census.report"):
            if place.endswith(module):
                patch.setattr(f"{place}.{name}", kill_self)
        killed(weekly.take)
    sent_before = len(weekly.messages)
    cut = weekly.records()[-1]
    scanner = weekly.scanner()
    if cut.state == "begun":
        done = weekly.taken(scanner)
        assert scanner.calls == [], "nothing is scanned again"
        assert (done.run_id, done.state, done.compared_with) == (cut.run_id, "reported", before.run_id)
        assert len(weekly.messages) == sent_before + 1
    else:
        weekly.taken(scanner)
        runs = [message.run for message in weekly.messages[sent_before:]]
        assert runs[0] == cut.run_id, "told late, but told"
        assert len(runs) == 2
    assert (weekly.home.report(cut.run_id) / "report.json").is_file()
    assert weekly.records()[-1].notified


def test_killed_before_the_first_packet_nothing_is_left(tmp_path: Path) -> None:
    weekly = Weekly(tmp_path)
    scanner = weekly.scanner()
    record = weekly.taken(scanner)
    half = weekly.home.run("half")
    (half.path / "sets").mkdir(parents=True)
    weekly.home.write(msgspec.structs.replace(record, number=2, run_id="half", state="begun"))
    weekly.taken(scanner)
    assert not half.path.exists()
    assert [record.state for record in weekly.records()] == ["reported", "reported"]


@pytest.mark.parametrize("content", [b"", b'{"number": 1', b"\xff"])
def test_a_damaged_record_is_named_and_rebuilt(tmp_path: Path, content: bytes) -> None:
    weekly = Weekly(tmp_path)
    first, second = weekly.taken(), weekly.taken()
    damaged = weekly.home.report(second.run_id) / "census.json"
    damaged.write_bytes(content)
    third = weekly.taken()
    assert any(str(damaged) in warning for warning in weekly.warnings)
    assert third.run_id not in (first.run_id, second.run_id)
    assert third.compared_with in (first.run_id, second.run_id)


def test_a_damaged_earlier_run_is_skipped(tmp_path: Path) -> None:
    weekly = Weekly(tmp_path)
    first = weekly.taken()
    victim = next((weekly.home.run(first.run_id).path / "sets").iterdir())
    victim.write_bytes(victim.read_bytes()[:-1])
    second = weekly.taken()
    assert second.born is None
    assert len(weekly.warnings) == 1
    assert victim.name in weekly.warnings[0]


def test_a_damaged_run_is_reported_once_and_given_up(tmp_path: Path) -> None:
    weekly = Weekly(tmp_path)
    scanner = weekly.scanner()
    scanner.midway = lambda path: next((path / "sets").iterdir()).unlink()
    with pytest.raises(LivenessError, match="cannot read this set"):
        weekly.take(scanner)
    assert weekly.records()[0].state == "given-up"
    assert weekly.taken().state == "reported"


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOMEM, errno.ESTALE, errno.EACCES])
def test_a_run_that_cannot_be_read_now_is_reported_by_the_next_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    weekly = Weekly(tmp_path)
    with monkeypatch.context() as patched:

        def unreadable(path: Path, _: object) -> None:
            problem = OSError(number, os.strerror(number))
            raise LivenessError(f"{path}: cannot read this set: {problem.strerror}") from problem

        patched.setattr("liveness.analysis.counting.opened.open_verified", unreadable)
        with pytest.raises(LivenessError, match="cannot read this set"):
            weekly.take()
    assert [record.state for record in weekly.records()] == ["begun"]
    assert weekly.messages[-1].events == ["failure"]
    scanner = weekly.scanner()
    assert weekly.taken(scanner).state == "reported"
    assert scanner.calls == []
    assert [record.state for record in weekly.records()] == ["reported"]


@pytest.mark.parametrize("name", ["manifest.json", "key", "targets.txt"])
def test_a_run_that_cannot_be_read_now_continues_with_the_next_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    weekly = Weekly(tmp_path)
    scanner = weekly.scanner()
    scanner.interrupted = Interruption("interrupted by SIGINT", signal.SIGINT)
    cut = weekly.taken(scanner)
    scanner.interrupted = Interruption()
    whole = os.open
    with monkeypatch.context() as patched:

        def failing(path: Any, flags: int, *arguments: Any, **named: Any) -> int:  # noqa: ANN401 - those of os.open
            if Path(os.fsdecode(path)).name == name and not flags & os.O_CREAT:
                raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
            return whole(path, flags, *arguments, **named)

        patched.setattr(os, "open", failing)
        with pytest.raises(LivenessError, match="the next call tries again; --fresh gives this run up"):
            weekly.take(scanner)
    assert [record.state for record in weekly.records()] == ["begun"]
    assert weekly.taken(scanner).run_id == cut.run_id
    assert [record.state for record in weekly.records()] == ["reported"]


def test_a_network_that_fades_is_an_alarm(tmp_path: Path) -> None:
    weekly = Weekly(tmp_path)
    events = []
    for week in range(5):
        scanner = weekly.scanner()
        alive = range(10 << 24, (10 << 24) + round(4000 * 0.83**week))
        scanner.replies = [Reply("icmp", Kind.ECHO_REPLY, address, address) for address in alive]
        events.append("hit_rate" in weekly.taken(scanner).events)
    assert events == [False, False, False, True, True]
    assert all("the median of the last" in alarm for alarm in weekly.records()[-1].alarms)


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    weekly = Weekly(tmp_path)
    scanner = weekly.scanner()
    refusals: list[str] = []

    def meanwhile(_: Path) -> None:
        def second() -> str:
            with pytest.raises(RefusedError) as caught:
                weekly.take()
            assert caught.value.exit_code == 4
            return str(caught.value)

        refusals.append(run_in_child(second))

    scanner.midway = meanwhile
    assert weekly.taken(scanner).state == "reported"
    expected = f"{weekly.home.path}: this census is running already (process {os.getpid()}): wait for its end"
    assert refusals == [expected]


def test_the_lock_of_a_dead_process_is_none(tmp_path: Path) -> None:
    weekly = Weekly(tmp_path)
    scanner = weekly.scanner()
    scanner.midway = kill_self
    killed(lambda: weekly.take(scanner))
    assert (weekly.home.path / "census.lock").read_text().strip().isdecimal()
    cut = weekly.records()[0]
    assert weekly.taken().run_id == cut.run_id


def test_a_clock_that_jumps_back_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weekly = Weekly(tmp_path)
    times = iter(["2026-03-01T030000Z", "2026-03-01T020000Z", "2026-03-01T040000Z"])
    monkeypatch.setattr("liveness.census.home.new_run_id", lambda: next(times))
    runs = [weekly.taken().run_id for _ in range(3)]
    assert [record.run_id for record in weekly.records()] == runs
    assert [record.compared_with for record in weekly.records()] == [None, runs[0], runs[1]]


def test_runs_of_the_same_second_have_names_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weekly = Weekly(tmp_path)
    monkeypatch.setattr("liveness.census.home.new_run_id", lambda: "now")
    assert [weekly.taken().run_id for _ in range(3)] == ["now", "now-2", "now-3"]


def as_nobody(step: Callable[[], str]) -> str:
    def inside() -> str:
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        return step()

    return run_in_child(inside)


def test_a_directory_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    for folder in (tmp_path, *list(tmp_path.parents)[:2]):
        folder.chmod(0o755)
    weekly = Weekly(tmp_path)

    def refused() -> str:
        with pytest.raises(LivenessError) as caught:
            weekly.take()
        return str(caught.value)

    assert as_nobody(refused) == f"{weekly.home.path}: cannot lock this census: Permission denied"


def test_a_report_that_does_not_fit_is_written_with_the_next_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weekly = Weekly(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("liveness.census.report.tables_text", lambda _: (_ for _ in ()).throw(LivenessError("full")))
        with pytest.raises(LivenessError, match="full"):
            weekly.take()
    cut = weekly.records()[0]
    assert cut.state == "begun"
    scanner = weekly.scanner()
    assert weekly.taken(scanner).run_id == cut.run_id
    assert scanner.calls == []


def test_losses_and_drops_are_alarms(tmp_path: Path) -> None:
    weekly = Weekly(tmp_path)
    first = weekly.taken()
    scanner = weekly.scanner()
    scanner.losses = ["the kernel dropped 5 packets"]
    scanner.replies = [reply for reply in scanner.replies if reply.probe != "icmp"]
    second = weekly.taken(scanner)
    assert second.events == ["complete", "drops", "hit_rate"]
    assert second.alarms[0] == "losses: the kernel dropped 5 packets"
    assert second.alarms[1].startswith("hit rate of icmp fell from ")
    assert second.alarms[1].endswith(f"since {first.run_id}")
    assert len(second.alarms) == 2
    assert "1 warning of losses" in second.summary
    assert weekly.messages[-1].events == second.events
    assert second.exit_code == 0


def test_a_home_that_is_gone_is_made_again(tmp_path: Path) -> None:
    weekly = Weekly(tmp_path)
    weekly.taken()
    shutil.rmtree(weekly.home.path)
    assert weekly.taken().number == 1
    assert isinstance(weekly.home, Home)
    assert isinstance(weekly.scanner(), FakeScanner)
