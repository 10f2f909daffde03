"""Log files follow each other by hour and size; whatever fails ends the log with whole entries, and never raises."""

import os
import resource
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveness.runs import logstream
from liveness.runs.logstream import LogStream, name_of, reserve_of
from liveness.system.child import run_in_child

HOUR = 495_000
ENTRY = np.frombuffer(b"0123456789", np.uint8)


def stream(folder: Path, max_bytes: int = 1000, closed: list[Path] | None = None) -> LogStream:
    endings = [] if closed is None else closed
    return LogStream(folder / "log", ".x", 3, b"head", max_bytes, endings.append)


def test_names_say_hour_receiver_and_number() -> None:
    assert name_of(HOUR, 3, 12, ".x") == "2026-06-21T00Z.3.000012.x"
    assert name_of(0, 0, 1, ".pcap") == "1970-01-01T00Z.0.000001.pcap"
    names = [name_of(hour, 0, number, "") for number, hour in enumerate(range(HOUR, HOUR + 50))]
    assert sorted(names) == names


def test_files_follow_each_other_by_hour_and_by_size(tmp_path: Path) -> None:
    closed: list[Path] = []
    log = stream(tmp_path, max_bytes=24, closed=closed)
    assert not (tmp_path / "log").exists()
    for hour in (HOUR, HOUR, HOUR, HOUR + 1, HOUR):
        log.append(ENTRY, 1, hour)
    log.close()
    names = [name_of(hour, 3, number, ".x") for number, hour in enumerate([HOUR, HOUR, HOUR + 1, HOUR], 1)]
    assert log.entries == dict(zip(names, [2, 1, 1, 1], strict=True))
    assert log.problem is None
    assert closed == [tmp_path / "log" / name for name in names]
    contents = [(tmp_path / "log" / name).read_bytes() for name in names]
    assert contents == [b"head" + bytes(ENTRY) * count for count in (2, 1, 1, 1)]


@pytest.mark.parametrize("suffix", [".x", ".parquet"])
def test_a_file_that_is_there_already_is_left_alone(tmp_path: Path, suffix: str) -> None:
    """A run that goes on after a crash finds those of its first part, and what they were turned into."""
    (tmp_path / "log").mkdir()
    other = tmp_path / "log" / name_of(HOUR, 3, 1, suffix)
    other.write_text("kept")
    log = stream(tmp_path)
    log.append(ENTRY, 1, HOUR)
    log.close()
    assert other.read_text() == "kept"
    assert log.entries == {name_of(HOUR, 3, 2, ".x"): 1}


def test_a_full_disk_ends_the_log_with_a_whole_entry(tmp_path: Path) -> None:
    """A limit on the size of files stands in for the disk: the write that passes it is cut, the next one fails."""

    def inside() -> tuple[dict[str, int], str | None]:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4 + 25, 4 + 25))
        log = stream(tmp_path)
        for _ in range(5):
            log.append(ENTRY, 1, HOUR)
        log.close()
        return log.entries, log.problem

    entries, problem = run_in_child(inside)
    (name,) = entries
    assert entries[name] == 2
    assert problem == "log: File too large"
    assert (tmp_path / "log" / name).read_bytes() == b"head" + bytes(ENTRY) * 2


def test_it_ends_before_the_disk_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = os.statvfs(tmp_path)
    size = disk.f_blocks * disk.f_frsize
    free = iter([reserve_of(size), reserve_of(size), reserve_of(size) - disk.f_frsize])

    def shrinking(_: int) -> object:
        return os.statvfs_result((*disk[:4], next(free) // disk.f_frsize, *disk[5:]))

    monkeypatch.setattr(os, "fstatvfs", shrinking)
    monkeypatch.setattr(logstream, "LOOK_EVERY_S", 0.0)
    log = stream(tmp_path)
    for _ in range(9):
        log.append(ENTRY, 1, HOUR)
    assert list(log.entries.values()) == [3]
    assert log.problem == "log: the disk is full, but for what is kept free for the sets"


@given(st.integers(0, 1 << 60))
def test_what_is_kept_free(total: int) -> None:
    assert reserve_of(total) == min(max(total // 50, 4 << 20), 4 << 30)


@pytest.mark.parametrize("then", ["next file", "same file", "close"])
def test_a_folder_that_vanishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: str) -> None:
    log = stream(tmp_path, max_bytes=24)
    monkeypatch.setattr(logstream, "LOOK_EVERY_S", 0.0 if then == "same file" else 1e9)
    log.append(ENTRY, 1, HOUR)
    shutil.rmtree(tmp_path / "log")
    if then == "next file":
        log.append(ENTRY, 1, HOUR + 1)
    elif then == "same file":
        log.append(ENTRY, 1, HOUR)
    log.close()
    assert log.problem == "log: removed while it was written"
    log.append(ENTRY, 1, HOUR)
    log.close()
    assert not (tmp_path / "log").exists()


def test_a_folder_that_was_moved_away(tmp_path: Path) -> None:
    log = stream(tmp_path, max_bytes=24)
    log.append(ENTRY, 1, HOUR)
    (tmp_path / "log").rename(tmp_path / "elsewhere")
    log.append(ENTRY, 1, HOUR + 1)
    assert log.problem == "log: No such file or directory"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a file")
    log = stream(tmp_path)
    log.append(ENTRY, 1, HOUR)
    log.close()
    assert (log.problem, log.entries) == ("log: File exists", {})
