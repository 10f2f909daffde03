"""Small files that would take much: memory stays below a gigabyte, and one line says what is wrong."""

import gzip
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from liveness.replylog.runlog import RunLog
from tests.fuzzing.bounded import MOST_MEMORY_MB, Ended, bounded
from tests.packets.captures import interface, packet_block, section
from tests.populations import town
from tests.replylog.replies import PROBES, replies

CONFIG = "name: a\ntargets: {allow: [10.0.0.0/24]}\n"


def refused(ended: Ended, code: int, *words: str) -> None:
    assert ended.problem() is None
    assert ended.code == code, ended
    assert len(ended.err.splitlines()) == 1, ended.err
    for word in words:
        assert word in ended.err


def silk(blocks: int, announced: int | None = None, size: int = 36 * 1820) -> bytes:
    """Return an IPset of version 2 with zlib blocks, each of zeros; `announced` is what each says that it holds."""
    head = struct.pack(">4sBBBBIHH", b"\xde\xad\xbe\xef", 0, 0x1D, 16, 1, 0, 1, 2) + struct.pack(">II", 0, 8)
    content = zlib.compress(bytes(size), 9)
    return head + (struct.pack(">II", len(content), announced or size) + content) * blocks


@pytest.mark.parametrize("announced", [None, 1 << 30, 100])
def test_a_silk_file_of_blocks_that_grow(tmp_path: Path, announced: int | None) -> None:
    (tmp_path / "a.set").write_bytes(silk(3, announced, size=1 << 30 if announced else 36 << 16))
    refused(bounded(["sets", "info", "a.set"], tmp_path), 2, "a.set", "damaged")


def test_a_silk_file_of_full_prefixes(tmp_path: Path) -> None:
    """A hundred thousand /24s in some kilobytes are a set like any other."""
    records = b"".join(struct.pack("<I", base << 8) + b"\xff" * 32 for base in range(1 << 17))
    head = struct.pack(">4sBBBBIHH", b"\xde\xad\xbe\xef", 0, 0x1D, 16, 1, 0, 1, 2) + struct.pack(">II", 0, 8)
    parts = [records[at : at + 36 * 1820] for at in range(0, len(records), 36 * 1820)]
    blocks = [(zlib.compress(part, 9), len(part)) for part in parts]
    content = b"".join(struct.pack(">II", len(block), size) + block for block, size in blocks)
    (tmp_path / "a.set").write_bytes(head + content)
    bounded(["sets", "info", "--json", "a.set"], tmp_path)  # whatever has to be compiled takes memory of its own
    ended = bounded(["sets", "info", "--json", "a.set"], tmp_path)
    assert ended.problem() is None
    assert str(1 << 25) in ended.out.replace(",", "")
    assert ended.memory_mb < MOST_MEMORY_MB // 2


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return town().write(tmp_path_factory.mktemp("run")).path


@pytest.mark.parametrize(
    "line", [b"1.2.3.0\t24\t7\n", b"1.2.3.0\t24\t7 ", b"\n"], ids=["prefixes", "one line", "blank lines"]
)
def test_data_on_prefixes_that_grow(tmp_path: Path, run: Path, line: bytes) -> None:
    with gzip.open(tmp_path / "pfx2as.gz", "wb", 6) as file:
        for _ in range(300):
            file.write(line * ((1 << 20) // len(line)))
    ended = bounded(["analyze", run, "--by", "asn", "--prefix-data", "pfx2as.gz"], tmp_path)
    refused(ended, 2, "pfx2as.gz")


def test_a_capture_of_many_interfaces(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are read, each once, and the packet after them too; their table grows by doubling."""
    from tests.packets.captures import read  # noqa: PLC0415 - compiles kernels

    grown, concatenate = [], np.concatenate

    def counted(parts: tuple[NDArray[np.int64], ...]) -> NDArray[np.int64]:
        grown.append(sum(map(len, parts)))
        return concatenate(parts)

    monkeypatch.setattr(np, "concatenate", counted)
    content = section() + interface(link=99) * 30_000 + interface() + packet_block(bytes(60), 1, number=30_000)
    _, capture = read(content)
    assert capture.packets == 1
    assert len(capture.unread) < 20
    assert "more interfaces are not read" in capture.unread[-1]
    assert 0 < sum(grown) < 5 * 30_000, "rows that were copied"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: &a [*a]\n", "an alias within what it stands for"),
        ("a: &a {b: *a}\n", "an alias within what it stands for"),
        (
            "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
            + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)),
            "more values than any such document has",
        ),
        ("a: " + "[" * 200 + "]" * 200 + "\n", "nested too deeply"),
        ("a: " + "[" * 100_000, "nested too deeply"),
        ("seed: " + "9" * 10_000 + "\n", "wrong YAML"),
        ("# " + "x" * (60 << 20) + "\n", "bytes"),
        ("".join(f"- 10.0.{n >> 8}.{n & 255}\n" for n in range(1 << 16)) * 6, "characters"),
    ],
    ids=["loop", "loop of a mapping", "laughs", "deep", "deeper", "digits", "60 MB", "6 MB"],
)
def test_a_config_that_is_more_than_it_looks(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    refused(bounded(["config", "check", "c.yaml"], tmp_path), 2, "c.yaml", words)


def test_an_alias_that_is_none_of_that_is_read(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("name: a\ntargets: {allow: &a [10.0.0.0/24], block: *a}\n")
    ended = bounded(["config", "show", "--json", "c.yaml"], tmp_path)
    assert json.loads(ended.out)["targets"]["block"] == ["10.0.0.0/24"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda tree: {**tree, "config": [[]] * 6_000_000}, "$.config"),
        (lambda tree: {**tree, "reason": "x" * (70 << 20)}, "bytes"),
    ],
)
def test_a_manifest_of_brackets(
    tmp_path: Path, run: Path, change: Callable[[dict[str, object]], object], words: str
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    tree = json.loads((run / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(change(tree), separators=(",", ":")))
    refused(bounded(["analyze", "run"], tmp_path), 1, "manifest.json", words)


@pytest.mark.parametrize("option", ["--json", "--csv"])
def test_rows_of_a_log_are_printed_as_they_come(tmp_path: Path, option: str) -> None:
    made = RunLog(tmp_path, "parquet", PROBES)
    made.replies(replies(10))
    made.close()
    made.wait()
    query = "SELECT n::VARCHAR AS a, n::VARCHAR AS b, n::VARCHAR AS c FROM replies, range(100000) AS numbers(n)"
    ended = bounded(["replies", tmp_path, "--sql", query, option], tmp_path)
    assert (ended.code, ended.err) == (0, "")
    assert ended.memory_mb < 300
