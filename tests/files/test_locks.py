"""Locks: what one process works on, another is refused, everywhere with the same exit code and the holder's name."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from liveness.census.home import Home
from liveness.config import blocklists
from liveness.config.requests import Entry, Reason
from liveness.errors import RefusedError
from liveness.files import locks
from liveness.files.directory import Directory
from liveness.runs.rundir import RunDirectory
from liveness.system.child import fork


def lock_run(place: Path) -> int:
    return RunDirectory(place).lock()


def lock_census(place: Path) -> int:
    return Home(place).lock()


def edit_blocklist(place: Path) -> int:
    """Edit a list while this process itself holds its folder."""
    holder = os.open(place, os.O_RDONLY)
    locks.hold(holder)
    try:
        blocklists.add(place / "block.txt", [Entry("", 0, "10.0.0.0/8", 0, 1, "")], Reason.of("who", "why"))
    finally:
        os.close(holder)
    return os.open(place, os.O_RDONLY)


@pytest.mark.parametrize(
    ("take", "work"),
    [
        (lock_run, "a scan is at work on this run"),
        (lock_census, "this census is running already"),
        (edit_blocklist, "another process edits lists in this folder"),
    ],
)
def test_a_lock_that_is_held_is_refused(
    take: Callable[[Path], int], work: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocklists, "LOCK_WAIT_S", 0.0)
    with pytest.raises(RefusedError) as error:
        os.close(take(tmp_path) + 0 * take(tmp_path))
    assert error.value.exit_code == 4
    assert str(error.value).startswith(str(tmp_path))
    assert work in str(error.value)
    assert take is edit_blocklist or f"(process {os.getpid()})" in str(error.value)


def test_a_file_without_a_holder_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("123456789012\n")  # longer than the id that replaces it
    with Directory.open(tmp_path) as directory:
        descriptor = locks.take(directory, "lock", tmp_path, "at work", "wait")
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"
        with pytest.raises(RefusedError, match=rf"at work \(process {os.getpid()}\): wait"):
            locks.take(directory, "lock", tmp_path, "at work", "wait")
        os.close(descriptor)
        os.close(locks.take(directory, "lock", tmp_path, "at work", "wait"))


def test_a_wait_ends_when_the_lock_is_free(tmp_path: Path) -> None:
    """A child that holds the lock gives it back by ending, a while after it was refused."""
    folder = os.open(tmp_path, os.O_RDONLY)
    other = os.open(tmp_path, os.O_RDONLY)
    ready, writer = os.pipe()
    child = fork()
    if child == 0:
        locks.hold(os.open(tmp_path, os.O_RDONLY))
        os.write(writer, b"x")
        time.sleep(0.5)
        os._exit(0)
    os.read(ready, 1)
    with pytest.raises(locks.HeldError):
        locks.hold(folder)
    locks.hold(folder, 30.0)
    with pytest.raises(locks.HeldError):
        locks.hold(other)
    os.waitpid(child, 0)
    for descriptor in (folder, other, ready, writer):
        os.close(descriptor)
