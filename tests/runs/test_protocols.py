"""Targets by the protocol that they speak: counted from the parts of segments, and summed over shards."""

import zlib
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from msgspec import UNSET
from pyroaring import BitMap

from liveness.applications.fingerprints.table import NAMES
from liveness.replies import Kind, ReplyKey, Role
from liveness.runs import segment
from liveness.runs.compaction import compact_all
from liveness.runs.merge import merge
from liveness.runs.rundir import RunDirectory
from liveness.runs.segment import PartKey, SegmentFile, Tally, write_segment
from liveness.runs.shard_union import unite
from liveness.runs.shards import open_shards
from tests.runs.test_shards_that_talk import HTTP, shards

ANSWER: Final = ReplyKey("tcp/443", Kind.ANSWER)
PAYLOAD: Final = ReplyKey("tcp/443", Kind.PAYLOAD)


def of(name: str) -> PartKey:
    return PartKey(PAYLOAD, Role.TARGET, 0, NAMES.index(name))


FIRST: Final = {
    PartKey(ANSWER, Role.DIRECT, 0): {1, 2, 3},
    PartKey(PAYLOAD, Role.DIRECT, 0): {3, 4, 5, 6},  # 3 said something else first
    of("ssh"): {3, 4},
    of("http"): {5},
    of("tls"): {1, 2, 3},
}
SECOND: Final = {
    PartKey(PAYLOAD, Role.DIRECT, 1): {5, 7, 8},
    of("ssh"): {5, 7},  # 5 spoke two: the first in the table counts
    PartKey(PAYLOAD, Role.TARGET, 0, 255): {8},  # a protocol that only a later version knows
}


@pytest.mark.parametrize("compacted", [False, True])
def test_each_target_counts_once(tmp_path: Path, compacted: bool) -> None:
    directory = RunDirectory.create(tmp_path, "run", "run")
    for number, parts in enumerate((FIRST, SECOND)):
        write_segment(
            directory.segment_path(0, number), Tally(), ((key, BitMap(members)) for key, members in parts.items())
        )
    if compacted:
        compact_all(directory)
    gathered = merge(directory, directory.segments(), ["tcp/80", "tcp/443"], 2)
    assert gathered.protocols == {"tcp/443": {"tls": 3, "ssh": 2, "unknown": 2, "http": 1}}
    assert list(gathered.protocols["tcp/443"]) == ["tls", "ssh", "unknown", "http"]
    sets = {(entry.key.reply.kind, entry.role): set(directory.read_set(entry)) for entry in gathered.sets}
    assert sets == {
        **{(Kind.ANSWER, role): {1, 2, 3} for role in (Role.SOURCE, Role.TARGET)},
        **{(Kind.PAYLOAD, role): {4, 5, 6, 7, 8} for role in (Role.SOURCE, Role.TARGET)},
    }


def test_a_segment_of_a_version_without_protocols_is_read(tmp_path: Path) -> None:
    path = tmp_path / "0-000001.segment"
    write_segment(path, Tally(), [(PartKey(PAYLOAD, Role.DIRECT, 1), BitMap([7]))])
    content, tail = path.read_bytes(), segment._TAIL
    length, _, magic = tail.unpack(content[-tail.size :])
    index = msgspec.msgpack.decode(content[-tail.size - length : -tail.size])
    index["parts"] = [part[:-1] for part in index["parts"]]
    older = msgspec.msgpack.encode(index)
    path.write_bytes(content[: -tail.size - length] + older + tail.pack(len(older), zlib.crc32(older), magic))
    assert {key: set(SegmentFile(path).part(key)) for key in SegmentFile(path).keys} == {
        PartKey(PAYLOAD, Role.DIRECT, 1): {7}
    }


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [
        (
            ({"tcp/80": {"http": 2, "ssh": 1}}, {"tcp/80": {"ssh": 3}, "tcp/443": {"tls": 1}}),
            {"tcp/80": {"ssh": 4, "http": 2}, "tcp/443": {"tls": 1}},
        ),
        (({"tcp/80": {"http": 2}}, UNSET), UNSET),
    ],
)
def test_shards_add_up_if_all_know_their_protocols(tmp_path: Path, recorded: tuple[Any, Any], expected: object) -> None:
    paths = shards(tmp_path, HTTP, HTTP)
    for path, protocols in zip(paths, recorded, strict=True):
        directory = RunDirectory.open(path)
        directory.write_targets([])
        manifest = msgspec.structs.replace(directory.read_manifest(), protocols=protocols, targets=0)
        probes = {"tcp/80": {"sent": [0]}, "tcp/443": {"sent": [0]}}
        document = msgspec.to_builtins(manifest) | {"probes": probes, "targets_sha256": directory.targets_digest()}
        directory.write_manifest(msgspec.convert(document, type(manifest)))
    united = unite(open_shards(paths), tmp_path / "united")
    assert united.read_manifest().protocols == expected


def test_a_port_on_which_nobody_speaks_has_no_protocols(tmp_path: Path) -> None:
    """Not even an empty entry: a replay, which knows nothing of mute services, has the same counts."""
    directory = RunDirectory.create(tmp_path, "run", "run")
    mute = PartKey(ReplyKey("tcp/443", Kind.MUTE), Role.DIRECT, 0)
    write_segment(directory.segment_path(0, 0), Tally(), [(mute, BitMap([1]))])
    assert merge(directory, directory.segments(), ["tcp/443"], 2).protocols == {}
