"""A census directory that somebody else can write: whatever lies there, nothing outside of it is touched."""

import os
from pathlib import Path

import msgspec
import pytest

from liveness.census.home import LOCK_FILE, RECORD_FILE, REPORTS
from liveness.census.ownership import CensusOwner
from liveness.errors import LivenessError
from liveness.system.privileges import User
from tests.census.recurring import Weekly
from tests.cli.support import liveness

NOBODY = User("nobody", 65534, 65534)


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """Return a folder that is nobody's business, with a file in it."""
    folder = tmp_path / "victim"
    (folder / "sets").mkdir(parents=True)
    (folder / "precious").write_text("precious\n")
    return folder


def intact(victim: Path) -> bool:
    kept = {str(path.relative_to(victim)) for path in victim.rglob("*")} == {"sets", "precious"}
    owned = {path.stat().st_uid for path in (victim, *victim.rglob("*"))} == {os.geteuid()}
    return kept and owned and (victim / "precious").read_text() == "precious\n"


@pytest.mark.parametrize("state", ["begun", "removing", "reported", "given-up"])
@pytest.mark.parametrize("where", ["absolute", "above", "twice"])
def test_a_record_names_its_own_run_alone(tmp_path: Path, victim: Path, state: str, where: str) -> None:
    weekly = Weekly(tmp_path)
    first = weekly.taken()
    recorded = {
        "absolute": str(victim),
        "above": f"../../{victim.relative_to(tmp_path)}",
        "twice": f"../{weekly.home.name}/{first.run_id}",
    }[where]
    path = weekly.home.report(first.run_id) / RECORD_FILE
    record = msgspec.json.decode(path.read_bytes())
    path.write_bytes(msgspec.json.encode({**record, "run_id": recorded, "state": state}))
    weekly.taken()
    assert "$.run_id" in weekly.warnings[0]
    assert intact(victim)
    assert weekly.home.run(first.run_id).path.is_dir()


def test_reports_behind_a_link_are_not_handed_over(tmp_path: Path, victim: Path) -> None:
    weekly = Weekly(tmp_path)
    weekly.home.path.mkdir(parents=True)
    (weekly.home.path / LOCK_FILE).touch()
    (weekly.home.path / REPORTS).symlink_to(victim)
    with pytest.raises(LivenessError, match="symbolic link"):
        CensusOwner(NOBODY, ()).give(weekly.home)
    with pytest.raises(LivenessError, match="symbolic link"):
        weekly.taken()
    assert intact(victim)


def test_a_lock_behind_a_link_is_not_written(tmp_path: Path, victim: Path) -> None:
    weekly = Weekly(tmp_path)
    weekly.home.path.mkdir(parents=True)
    (weekly.home.path / LOCK_FILE).symlink_to(victim / "precious")
    with pytest.raises(LivenessError, match=f"{LOCK_FILE} is a symbolic link"):
        weekly.taken()
    assert intact(victim)


def test_a_report_behind_a_link_is_not_written(tmp_path: Path, victim: Path) -> None:
    weekly = Weekly(tmp_path)
    first = weekly.taken()
    report = weekly.home.report(first.run_id)
    report.rename(tmp_path / "moved")
    report.symlink_to(victim)
    weekly.taken()
    assert intact(victim)


def test_a_report_that_was_changed_moves_no_cursor(tmp_path: Path) -> None:
    weekly = Weekly(tmp_path)
    taken = weekly.taken()
    tables = weekly.home.report(taken.run_id) / "report.txt"
    tables.write_text("one\x1b[2J\n\ntwo é │\n")
    shown = liveness("census", "show", taken.run_id, "--directory", tmp_path)
    assert shown.code == 0, shown
    assert shown.out.endswith("one\\x1b[2J\n\ntwo é │\n")
    tables.unlink()
    os.mkfifo(tables)
    failed = liveness("census", "show", taken.run_id, "--directory", tmp_path)
    assert (failed.code, failed.err.count("\n")) == (2, 1)
    assert failed.err.endswith("report.txt: cannot read this report: not a regular file\n")
