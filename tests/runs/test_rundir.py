"""The run directory: made once, found again, verified on reading."""

import os
import re
import stat
from pathlib import Path

import pytest
from pyroaring import BitMap

from liveness.errors import LivenessError, UsageError
from liveness.replies import Kind, ReplyKey, Role, SetKey
from liveness.runs.finding import find_runs
from liveness.runs.rundir import RunDirectory
from tests.runs.test_manifest import full_manifest

KEY = SetKey(ReplyKey("tcp/443", Kind.ERROR, 3, 13), Role.SOURCE)


def make_run(output: Path, name: str = "census", run_id: str | None = None) -> RunDirectory:
    run = RunDirectory.create(output, name, run_id)
    run.write_manifest(full_manifest())
    return run


def test_default_run_id_is_the_utc_start(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "deep" / "er", "census")
    assert run.path.parent == tmp_path / "deep" / "er" / "census"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d{6}Z", run.path.name)


def test_existing_run_is_refused(tmp_path: Path) -> None:
    make_run(tmp_path, run_id="one")
    with pytest.raises(UsageError, match=r"census/one: this run exists already"):
        RunDirectory.create(tmp_path, "census", "one")


def test_unwritable_output_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"file/census/one: cannot make this run directory: Not a directory"):
        RunDirectory.create(tmp_path / "file", "census", "one")
    with pytest.raises(UsageError, match=r"cannot make a run directory here: a file is in the way"):
        RunDirectory.create(tmp_path, "file", "one")


@pytest.mark.parametrize("word", ["", ".", "..", "a/b", "a\0b"])
def test_names_that_would_leave_the_output_are_refused(tmp_path: Path, word: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a directory"):
        RunDirectory.create(tmp_path, "census", word)
    with pytest.raises(UsageError, match="cannot be the name of a directory"):
        RunDirectory.create(tmp_path, word, "one")
    assert not list(tmp_path.iterdir())


def test_set_and_back(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    entry = run.write_set(KEY, BitMap([5, 6]))
    assert entry.file == "sets/tcp-443.error-3-13.source.roaring"
    assert (entry.cardinality, entry.key) == (2, KEY)
    assert run.read_set(entry) == BitMap([5, 6])


def test_empty_set_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    with pytest.raises(ValueError, match="no member"):
        run.write_set(KEY, BitMap())
    assert not list((run.path / "sets").iterdir())


def test_damaged_or_missing_set_is_named(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    entry = run.write_set(KEY, BitMap([5, 6]))
    (run.path / entry.file).write_bytes(BitMap([5, 7]).serialize())
    with pytest.raises(LivenessError, match=r"tcp-443\.error-3-13\.source\.roaring: damaged"):
        run.read_set(entry)
    (run.path / entry.file).unlink()
    with pytest.raises(LivenessError, match=r"tcp-443\.error-3-13\.source\.roaring: cannot read this set"):
        run.read_set(entry)


def test_key_is_secret_and_verified(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    missing = r"key: cannot read the key of this run: No such file or directory: copy it from where the scan ran"
    with pytest.raises(LivenessError, match=missing):
        run.read_key()
    key = bytes(range(16))
    run.write_key(key)
    assert run.read_key() == key
    assert stat.S_IMODE((run.path / "key").stat().st_mode) == 0o600
    with pytest.raises(ValueError, match="16 bytes, not 3"):
        run.write_key(b"abc")
    (run.path / "key").write_bytes(b"abc")
    with pytest.raises(LivenessError, match=r"key: damaged: a key has 16 bytes, this file 3"):
        run.read_key()


def test_manifest_and_back(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    assert RunDirectory.open(run.path).read_manifest() == full_manifest()


def test_open_wants_a_manifest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"not a run directory: it has no manifest\.json"):
        RunDirectory.open(tmp_path)


def test_find_runs_at_any_depth(tmp_path: Path) -> None:
    first, second, third = (
        make_run(tmp_path, "b", "1"),
        make_run(tmp_path, "a", "2"),
        make_run(tmp_path / "x" / "y", "c", "3"),
    )
    RunDirectory.create(tmp_path, "a", "unfinished")
    (first.path / "sets" / "manifest.json").write_text("no run: it lies inside one")
    assert find_runs(tmp_path) == [second, first, third]
    assert find_runs(first.path) == [first]
    assert find_runs(tmp_path / "x") == [third]


def test_no_run_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=rf"{tmp_path}: no run here or below"):
        find_runs(tmp_path)
    with pytest.raises(UsageError, match=r"absent: no such directory"):
        find_runs(tmp_path / "absent")
    with pytest.raises(UsageError, match=r"file: not a directory"):
        find_runs(tmp_path / "file")


def test_unreadable_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    scandir = os.scandir

    def scandir_but_closed(path: str) -> object:  # root, who may run this test, reads folders of any mode
        if Path(path) == closed:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", scandir_but_closed)
    with pytest.raises(UsageError, match=r"closed: cannot look for runs here: Permission denied"):
        find_runs(tmp_path)
