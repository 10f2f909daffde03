"""Links in the folder of a run lead nowhere: what they point at is neither removed, nor cut, nor written."""

import json
from pathlib import Path

import pytest

from liveness.errors import LivenessError
from liveness.passive.config import load_config
from liveness.passive.kept_flows import find_flows
from liveness.passive.run import PassiveRun
from tests.fuzzing.kinds.passive import unfinished
from tests.passive.drawn import draw, write_config
from tests.passive.judge import write_csv


def outside(tmp_path: Path) -> Path:
    """Return a folder beside the run, with one file."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "kept").write_text("as it was")
    return folder


def check_untouched(folder: Path) -> None:
    assert [file.name for file in folder.iterdir()] == ["kept"]
    assert (folder / "kept").read_text() == "as it was"


@pytest.mark.parametrize("name", ["work", "work/logs"])
def test_a_folder_that_is_a_link_is_not_resumed(tmp_path: Path, name: str) -> None:
    unfinished(tmp_path)
    place = tmp_path / "run" / name
    place.rename(tmp_path / "moved")
    place.symlink_to(tmp_path / "moved")
    (tmp_path / "moved" / "kept").touch()
    with pytest.raises(LivenessError, match="cannot be resumed"):
        PassiveRun.resume(tmp_path / "run", forced=True, note=print).go([], follow=False)
    assert (tmp_path / "moved" / "kept").exists()


def test_a_link_among_the_records_is_not_cut(tmp_path: Path) -> None:
    unfinished(tmp_path)
    folder, work = outside(tmp_path), tmp_path / "run/work"
    journal = json.loads((work / "journal.json").read_text())
    journal["lengths"]["5"] = 1
    (work / "journal.json").write_text(json.dumps(journal))
    (work / "5.observations").symlink_to(folder / "kept")
    with pytest.raises(LivenessError, match=r"5\.observations: cannot be resumed"):
        PassiveRun.resume(tmp_path / "run", forced=True, note=print)
    check_untouched(folder)


def test_links_are_not_written_through(tmp_path: Path) -> None:
    write_csv(tmp_path / "flows.csv", draw(5, hours=0.5))
    config = load_config(write_config(tmp_path / "c.yaml", tmp_path / "out", inputs=["flows.csv"], keep_flows=True))
    run = PassiveRun.create(config, "run", forced=True, note=print)
    folder = outside(tmp_path)
    for name in ("flows.parquet", "work/flows.kept", "work/0.events", "work/logs/1.log"):
        (run.path / name).symlink_to(folder / "kept")
    (run.path / "work/spill").symlink_to(folder)
    run.go([], follow=False)
    check_untouched(folder)
    assert not (run.path / "flows.parquet").is_symlink()
    assert find_flows(run.path, {}, 1)
