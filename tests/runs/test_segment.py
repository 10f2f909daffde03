"""Segments: what is written reads back, and damage anywhere is told."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from liveness.errors import LivenessError
from liveness.replies import Kind, ReplyKey, Role
from liveness.runs.rundir import RunDirectory
from liveness.runs.segment import PartKey, SegmentFile, Tally, write_segment

KEYS = [
    PartKey(ReplyKey("icmp", Kind.ECHO_REPLY), Role.DIRECT, 0),
    PartKey(ReplyKey("icmp", Kind.ECHO_REPLY), Role.DIRECT, 1),
    PartKey(ReplyKey("tcp/80", Kind.ERROR, 3, 13), Role.SOURCE, 0),
    PartKey(ReplyKey("tcp/80", Kind.ERROR, 3, 13), Role.TARGET, 0),
    PartKey(ReplyKey("tcp/80", Kind.ERROR, 11, 0), Role.TARGET, 0),
]
TALLY = Tally(
    messages={"icmp": {"echo-reply": 5}, "tcp/80": {"error-3-13": 2}},
    weak={"tcp/80": {"error-3-13": 1}},
    by_attempt={"icmp": {"echo-reply": [3, 2]}},
    top_sources={7: 300},
    rejected={"bad-cookie": 3},
    packets=10,
    kernel_packets=12,
    kernel_drops=2,
)
PARTS = {KEYS[0]: BitMap([1, 2, 2**32 - 1]), KEYS[2]: BitMap(range(100_000)), KEYS[4]: BitMap()}


@given(st.dictionaries(st.sampled_from(KEYS), st.sets(st.integers(0, 2**32 - 1), max_size=20)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_reads_back(tmp_path: Path, parts: dict[PartKey, set[int]]) -> None:
    path = tmp_path / "a.segment"
    write_segment(path, TALLY, [(key, BitMap(addresses)) for key, addresses in parts.items()])
    segment = SegmentFile(path)
    assert segment.tally == TALLY
    assert {key: set(segment.part(key)) for key in segment.keys} == parts
    assert not segment.part(PartKey(ReplyKey("dns", Kind.ANSWER), Role.DIRECT, 0))


def read_all(path: Path) -> dict[PartKey, BitMap]:
    segment = SegmentFile(path)
    return {key: segment.part(key) for key in segment.keys}


def test_a_segment_cut_anywhere_is_reported_as_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.segment"
    write_segment(path, TALLY, [(KEYS[0], BitMap([1, 2, 3]))])
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(LivenessError, match=r"a\.segment: a damaged segment"):
            read_all(path)


def test_a_byte_altered_anywhere_is_reported_as_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.segment"
    write_segment(path, TALLY, [(KEYS[0], BitMap([1, 2, 3]))])
    content = path.read_bytes()
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(LivenessError, match=r"a\.segment: a damaged segment"):
            read_all(path)


def test_counts_add_up() -> None:
    total = Tally()
    total.add(TALLY)
    more = {"icmp": {"echo-reply": 1, "error-3-1": 4}, "dns": {"answer": 7}}
    split = {"icmp": {"echo-reply": [0, 1]}, "dns": {"answer": [4, 3]}}
    total.add(Tally(messages=more, by_attempt=split, top_sources={7: 1, 8: 256}, packets=12))
    assert total == Tally(
        messages={"icmp": {"echo-reply": 6, "error-3-1": 4}, "tcp/80": {"error-3-13": 2}, "dns": {"answer": 7}},
        weak={"tcp/80": {"error-3-13": 1}},
        by_attempt={"icmp": {"echo-reply": [3, 3]}, "dns": {"answer": [4, 3]}},
        top_sources={7: 301, 8: 256},
        rejected={"bad-cookie": 3},
        packets=22,
        kernel_packets=12,
        kernel_drops=2,
    )
    assert TALLY.messages["icmp"] == {"echo-reply": 5}, "the other stays as it was"
    assert TALLY.by_attempt["icmp"] == {"echo-reply": [3, 2]}


def test_a_run_directory_opens_its_segments_and_removes_them(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path, "run", "1")
    assert directory.segments() == []
    for receiver, number in ((1, 0), (0, 1), (0, 0)):
        write_segment(directory.segment_path(receiver, number), TALLY, PARTS.items())
    directory.segment_path(0, 2).with_suffix(".tmp").write_bytes(b"half")
    segments = directory.segments()
    assert [segment.path.name for segment in segments] == [
        "0-000000.segment",
        "0-000001.segment",
        "1-000000.segment",
    ]
    assert segments[0].part(KEYS[2]) == PARTS[KEYS[2]]
    directory.remove_traces()
    assert sorted(path.name for path in directory.path.iterdir()) == ["sets"]


def test_a_damaged_segment_is_handed_over_and_the_others_count(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path, "run", "1")
    for number in range(2):
        write_segment(directory.segment_path(0, number), TALLY, PARTS.items())
    directory.segment_path(0, 0).write_bytes(b"half")
    damage: list[Path] = []
    segments = directory.segments(lambda _, path: damage.append(path))
    assert [segment.path.name for segment in segments] == ["0-000001.segment"]
    assert damage == [directory.segment_path(0, 0)]
    with pytest.raises(LivenessError, match=r"0-000000\.segment: a damaged segment"):
        directory.segments()


def test_a_segment_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(LivenessError, match=r"gone\.segment: cannot read this segment: No such file"):
        SegmentFile(tmp_path / "gone.segment")
