"""The stage of a removal of opted-out data: nothing of it is left when the removal fails before it is decided."""

import errno
from pathlib import Path

import pytest

from liveness.errors import LivenessError
from liveness.optouts.stage import STAGE, Stage
from liveness.runs.rundir import RunDirectory


def staged(folder: Path) -> Stage:
    """Return a stage with a file on it."""
    stage = Stage(RunDirectory(folder))
    stage.make(("sets",))
    (stage.path / "sets" / "icmp.roaring").write_bytes(b"new")
    return stage


def test_a_full_disk_is_reported_in_one_line_and_leaves_no_stage(tmp_path: Path) -> None:
    stage = staged(tmp_path)
    with (
        pytest.raises(LivenessError, match=f"{tmp_path}: cannot remove opted-out data: No space left on device"),
        stage.discarded_on_error(),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert not (tmp_path / STAGE).exists()


def test_an_interruption_passes_and_leaves_no_stage(tmp_path: Path) -> None:
    stage = staged(tmp_path)
    with pytest.raises(KeyboardInterrupt), stage.discarded_on_error():
        raise KeyboardInterrupt
    assert not (tmp_path / STAGE).exists()


def test_a_stage_without_an_error_stays_until_it_is_finished(tmp_path: Path) -> None:
    stage = staged(tmp_path)
    with stage.discarded_on_error():
        stage.decide()
    assert (tmp_path / STAGE / "sets" / "icmp.roaring").read_bytes() == b"new"
