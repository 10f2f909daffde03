"""Compaction: whatever is compacted when, and wherever it is killed, the content of a run stays the same."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from liveness.errors import LivenessError
from liveness.files.directory import Directory
from liveness.runs import compaction
from liveness.runs.compaction import FAN, Compaction, compact_all, compaction_due, remove_replaced
from liveness.runs.rundir import RunDirectory
from liveness.runs.segment import Tally, total, write_segment
from liveness.scan.recovery import compacting as compacting_module
from liveness.scan.recovery.compacting import Compacting
from liveness.system.child import run_in_child
from liveness.system.privileges import drop_privileges
from tests.runs.test_segment import KEYS, TALLY

Content = tuple[Tally, dict[str, set[int]]]


def content(directory: RunDirectory) -> Content:
    """Return all that a run's segments hold together."""
    segments = directory.segments()
    sets: dict[str, set[int]] = {}
    for segment in segments:
        for key in segment.keys:
            sets.setdefault(str(key), set()).update(segment.part(key))
    return total(segments), sets


def write(directory: RunDirectory, receiver: int, number: int) -> None:
    """Write a segment that no other is equal to."""
    members = BitMap([number, 1000 + receiver, 70_000 * (number + 1)])
    write_segment(directory.segment_path(receiver, number), TALLY, [(KEYS[number % len(KEYS)], members)])


def copies(compacted: Compaction) -> dict[Path, bytes]:
    return {segment.path: segment.path.read_bytes() for segment in compacted.segments}


def test_one_segment_takes_the_place_of_many_at_once_or_not_at_all(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path, "run", "1")
    for number in range(FAN):
        assert compaction_due(directory) is None
        write(directory, 0, number)
    before = content(directory)
    due = compaction_due(directory)
    assert due
    kept = copies(due)
    due.run()
    assert [segment.path for segment in directory.segments()] == [due.path]
    assert content(directory) == before
    for path, body in kept.items():  # killed before it could remove them
        path.write_bytes(body)
    assert content(directory) == before
    remove_replaced(directory)
    assert content(directory) == before
    assert list(due.path.parent.iterdir()) == [due.path]


@given(
    st.lists(st.tuples(st.integers(0, 1), st.sampled_from(["write", "compact", "killed", "session", "all"]))),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_content_stays_the_same(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, str]]) -> None:
    """With a fan of two, so that levels come soon; numbers go on as receivers and sessions have them."""
    directory = RunDirectory.create(tmp_path_factory.mktemp("run"), "run", "1")
    (directory.path / "segments").mkdir(exist_ok=True)
    following = [0, 0]
    half_done = False
    fan, compaction.FAN = compaction.FAN, 2  # type: ignore[misc]
    try:
        for receiver, step in steps:
            if step == "write":
                write(directory, receiver, following[receiver])
                following[receiver] += 1
                continue
            before = content(directory)
            if step == "session":
                remove_replaced(directory)
                following = [directory.next_segment()] * 2
            elif step == "all":
                compact_all(directory)
                following = [directory.next_segment()] * 2
            elif not half_done and (due := compaction_due(directory)):  # else it waits for the next session
                kept = copies(due)
                due.run()
                if step == "killed":
                    for path, body in list(kept.items())[receiver:]:
                        path.write_bytes(body)
                    half_done = True
            if step in ("session", "all"):
                half_done = False
            assert content(directory) == before
    finally:
        compaction.FAN = fan  # type: ignore[misc]


def compact(directory: RunDirectory) -> None:
    """Have compacted what is due, as a session does, and wait for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compacting_module, "GRACE_S", 100.0)  # a busy disk may take its time
        compacting = Compacting(directory)
        compacting.start()
        compacting.look()
        compacting.look()
        compacting.finish()


def test_a_day_leaves_few_segments(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path, "run", "1")
    for number in range(FAN * FAN + 3):
        write(directory, 0, number)
        if number % FAN in (FAN - 1, 1):
            compact(directory)
    assert sorted(directory.segment_names()) == [(0, 0, FAN * FAN + i) for i in range(3)] + [(0, 2, FAN * FAN - 1)]


def test_a_confined_process_compacts(tmp_path: Path) -> None:
    """As it is in a scan: without privileges, so that Landlock and seccomp hold it."""
    directory = RunDirectory.create(tmp_path, "run", "1")
    for number in range(FAN):
        write(directory, 0, number)
    before = content(directory)

    def session() -> None:
        drop_privileges(None)
        compact(directory)

    run_in_child(session)
    assert sorted(directory.segment_names()) == [(0, 1, FAN - 1)]
    assert content(directory) == before


def test_a_damaged_segment_ends_compaction_and_nothing_else(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path, "run", "1")
    for number in range(FAN):
        write(directory, 0, number)
    directory.segment_path(0, 3).write_bytes(b"half")
    before = sorted(directory.segment_names())
    compact(directory)
    assert sorted(directory.segment_names()) == before
    with pytest.raises(LivenessError, match="000003"):
        directory.segments()


def test_a_disk_that_refuses_is_reported_and_ends_compaction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = RunDirectory.create(tmp_path, "run", "1")
    for number in range(FAN):
        write(directory, 0, number)
    due = compaction_due(directory)
    assert due
    kept = copies(due)
    before = content(directory)

    def refuse(_: Directory, name: object) -> None:  # noqa: ARG001 - as it is called
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patched:
        patched.setattr(Directory, "remove", refuse)
        with pytest.raises(LivenessError, match=r"0-000000\.segment: cannot remove this segment: Read-only"):
            due.run()
        compact(directory)
    assert sorted(path.name for path in kept) == sorted(path.name for path in kept if path.exists())
    assert content(directory) == before


def test_a_run_that_ends_behind_a_killed_compaction_counts_nothing_twice(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path, "run", "1")
    for number in range(FAN):
        write(directory, 0, number)
    due = compaction_due(directory)
    assert due
    kept = copies(due)
    due.run()
    write(directory, 0, FAN)
    before = content(directory)
    for path, body in kept.items():
        path.write_bytes(body)
    compact_all(directory)
    assert content(directory) == before
    assert len(directory.segment_names()) == 1
