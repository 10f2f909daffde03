"""What is removed and what never: against brute force, and on disk."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveness.census.retention import Held, beyond, expendable, poor_runs
from liveness.config.model import Keep
from liveness.errors import LivenessError
from liveness.files.directory import Directory
from tests.census.recurring import Weekly

runs = st.lists(st.tuples(st.booleans(), st.booleans()), max_size=9)


@given(runs, st.integers(1, 4))
def test_the_newest_stay_and_a_good_one_always(states: list[tuple[bool, bool]], keep: int) -> None:
    """`states` are (complete, sound); judged by the promises, and by there being no more that could go."""
    held = [Held(str(number), complete) for number, (complete, _) in enumerate(states)]
    good = {str(number) for number, (complete, sound) in enumerate(states) if complete and sound}
    asked: list[str] = []

    def is_good(run_id: str) -> bool:
        asked.append(run_id)
        return run_id in good

    gone = expendable(held, keep, is_good)
    left = [run for run in held if run.run_id not in gone]
    complete_left = [run.run_id for run in left if run.complete]
    newest = [run.run_id for run in held if run.complete][-keep:]
    assert set(newest) <= set(complete_left)
    assert not good or good & set(complete_left), "the only good one is gone"
    assert len(complete_left) <= keep + 1
    if len(complete_left) > keep:
        spared = complete_left[0] if len(newest) == keep else None
        assert spared is None or (spared in good and not good & set(newest))
    if newest:
        after = [run.run_id for run in held].index(newest[0])
        assert {run.run_id for run in held[after:]} <= {run.run_id for run in left}
    if sum(run.complete for run in held) > keep:
        assert {run.run_id for run in left if not run.complete} == {
            run.run_id for run in held[held.index(Held(newest[0], complete=True)) :] if not run.complete
        }
    else:
        assert gone == []
        assert asked == []


def test_runs_and_replies_are_kept_as_configured(tmp_path: Path) -> None:
    weekly = Weekly(tmp_path, Keep(runs=3, replies=1))
    scanner = weekly.scanner()
    scanner.logs = True
    taken = [weekly.taken(scanner).run_id for _ in range(5)]
    lying = [run_id for run_id in taken if weekly.home.run(run_id).path.exists()]
    assert lying == taken[2:]
    assert [record.state for record in weekly.records()] == ["removed"] * 2 + ["reported"] * 3
    assert [run_id for run_id in lying if (weekly.home.run(run_id).path / "replies").exists()] == taken[4:]
    assert [run_id for run_id in lying if (weekly.home.run(run_id).path / "pcap").exists()] == taken[4:]
    assert all((weekly.home.report(run_id) / "report.txt").is_file() for run_id in taken), "reports stay"
    log = weekly.home.run(taken[3]).read_manifest().log
    assert (log.complete, log.files) == (False, [])
    assert log.problems[0].startswith("removed by keep.replies of the census at 2")
    assert weekly.home.run(taken[4]).read_manifest().log.complete
    assert weekly.warnings == []


def test_a_run_scanned_by_hand_is_not_touched(tmp_path: Path) -> None:
    weekly = Weekly(tmp_path, Keep(runs=1, replies=0))
    by_hand = weekly.scanner()
    by_hand.logs = True
    by_hand.begin("by-hand")
    for _ in range(3):
        weekly.taken()
    assert (weekly.home.run("by-hand").path / "replies").is_dir()


def test_the_only_good_run_stays(tmp_path: Path) -> None:
    weekly = Weekly(tmp_path, Keep(runs=2, replies=0))
    good, bad = weekly.taken(), weekly.taken()
    for victim in (weekly.home.run(bad.run_id).path / "sets").iterdir():
        victim.write_bytes(b"")
    scanner = weekly.scanner()
    damaged: list[Path] = []

    def damage_all(run_id: str) -> None:
        """Break the disk between analysis and retention."""
        for victim in (weekly.home.run(run_id).path / "sets").iterdir():
            victim.write_bytes(b"")
            damaged.append(victim)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("liveness.census.cycle.write_report", lambda _home, run_id, _results: damage_all(run_id))
        weekly.taken(scanner)
    assert damaged
    assert weekly.home.run(good.run_id).path.is_dir()
    assert weekly.taken().state == "reported"
    assert not weekly.home.run(good.run_id).path.is_dir(), "there is a newer good one now"


def test_a_run_that_is_locked_stays(tmp_path: Path) -> None:
    weekly = Weekly(tmp_path, Keep(runs=1, replies=0))
    first = weekly.taken()
    lock = weekly.home.run(first.run_id).lock()
    weekly.taken()
    assert weekly.home.run(first.run_id).path.is_dir()
    assert len(weekly.warnings) == 1
    assert "a scan is at work on this run" in weekly.warnings[0]
    with pytest.raises(LivenessError):
        weekly.home.run(first.run_id).lock()
    os.close(lock)
    weekly.taken()
    assert not weekly.home.run(first.run_id).path.is_dir()


def test_a_removal_that_was_cut_off_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weekly = Weekly(tmp_path, Keep(runs=1, replies=0))
    first = weekly.taken()
    remove = Directory.remove_tree

    def broken(directory: Directory, name: str) -> None:
        if name == first.run_id:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        remove(directory, name)

    with monkeypatch.context() as patch:
        patch.setattr(Directory, "remove_tree", broken)
        weekly.taken()
    assert weekly.records()[0].state == "removing"
    assert "Input/output error" in weekly.warnings[0]
    (weekly.home.run(first.run_id).path / "manifest.json").unlink()
    weekly.taken()
    assert weekly.records()[0].state == "removed"
    assert not weekly.home.run(first.run_id).path.exists()


def test_a_run_behind_a_symbolic_link_stays(tmp_path: Path) -> None:
    weekly = Weekly(tmp_path, Keep(runs=1, replies=0))
    first = weekly.taken()
    elsewhere = tmp_path / "elsewhere"
    weekly.home.run(first.run_id).path.rename(elsewhere)
    weekly.home.run(first.run_id).path.symlink_to(elsewhere)
    weekly.taken()
    assert (elsewhere / "manifest.json").is_file()
    assert len(weekly.warnings) == 1


def test_a_blind_run_displaces_none_that_found_something(tmp_path: Path) -> None:
    weekly = Weekly(tmp_path, Keep(runs=1, replies=1))
    scanner = weekly.scanner()
    scanner.logs = True
    seeing = weekly.taken(scanner).run_id
    scanner.replies = []
    blind = [weekly.taken(scanner).run_id for _ in range(3)]
    lying = [record.run_id for record in weekly.records() if weekly.home.run(record.run_id).path.exists()]
    assert lying == [seeing, blind[-1]]
    assert (weekly.home.run(seeing).path / "replies").exists()
    again = weekly.taken()
    assert (again.born, again.died, again.compared_with) == (0, 0, seeing)
    assert not weekly.home.run(seeing).path.exists()


def test_next_to_nothing_is_no_good_run() -> None:
    usual = {"a": 0.30, "b": 0.28, "c": 0.31}
    assert poor_runs({**usual, "d": 0.02, "e": 0.0, "f": 0.05}) == {"d", "e"}
    assert poor_runs({"a": 0.0}) == {"a"}
    assert poor_runs({}) == set()


@given(st.lists(st.booleans(), max_size=8), st.integers(0, 4))
def test_logs_of_the_newest_that_found_something_stay(found: list[bool], keep: int) -> None:
    runs = [str(number) for number in range(len(found))]
    poor = {run for run, good in zip(runs, found, strict=True) if not good}
    gone = beyond(runs, poor, keep)
    good = [run for run in runs if run not in poor]
    assert gone == runs[: len(gone)], "the oldest go"
    left = [run for run in runs if run not in gone]
    assert [run for run in left if run in good] == (good[-keep:] if keep else [])
