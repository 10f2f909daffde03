"""Mutants of every file that is read: an error is one line, within memory and time, and nothing else is touched.

`scripts/fuzz files` reads as many more as one likes.
"""

from pathlib import Path

import pytest

from tests.fuzzing.bounded import Ended
from tests.fuzzing.file_campaign import campaign, sample
from tests.fuzzing.files import FileKind, kinds, prepare, verdict

NAMES = (
    "config",
    "manifest",
    "unfinished manifest",
    "checkpoint",
    "opt-outs",
    "targets",
    "moves",
    "record",
    "segment",
    "spool",
    "capture",
    "capture of ours",
    "pcapng",
    "gzipped capture",
    "pfx2as",
    "gzipped pfx2as",
    "blocklist",
    "target list",
    "set silk",
    "set gzip",
    "set bzip2",
    "set xz",
    "set any",
    "set roaring",
    "set text",
    "set ranges",
    "set csv",
    "set jsonl",
    "set ipset",
    "set nft",
)
MUTANTS = 2000
BUDGET_S = 2.0
"""A kind takes no longer than this and goes no further than it comes: the machine may be slow."""


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FileKind]:
    return {kind.name: kind for kind in kinds(tmp_path_factory.mktemp("seeds"))}


def test_every_kind_is_tried(every: dict[str, FileKind]) -> None:
    assert tuple(every) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_real_ones_are_read(tmp_path: Path, every: dict[str, FileKind], name: str) -> None:
    kind = prepare(every[name], tmp_path / "place")
    path = tmp_path / "place" / "work" / kind.file
    assert kind.seeds
    for seed in kind.seeds:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(seed)
        kind.read(path)


@pytest.mark.parametrize("name", NAMES)
def test_mutants_end_in_one_line_or_are_read(tmp_path: Path, name: str) -> None:
    done = campaign(name, MUTANTS, 1, BUDGET_S, tmp_path)
    assert done.mutants
    assert dict(done.findings) == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["config", "manifest", "record", "spool", "blocklist", "set silk", "set any"])
def test_mutants_from_the_command_line(tmp_path: Path, every: dict[str, FileKind], name: str) -> None:
    done = sample(every[name], 2, 1, tmp_path)
    assert done.mutants == 2
    assert dict(done.findings) == {}


def test_what_a_reader_does_wrong_is_found(tmp_path: Path) -> None:
    def broken(path: Path) -> None:
        raise ValueError(path.name)

    kind = FileKind("broken", "a", [b"a"], lambda _chance, seeds: seeds[0], broken)
    assert "ValueError: a" in (verdict(kind, tmp_path / "a") or "")
    for code, err, words in (
        (1, "Traceback (most recent call last):\n", "a traceback"),
        (-11, "", "exit code -11"),
        (2, "liveness: error: one\nliveness: error: two\n", "2 lines"),
        (2, "liveness: error: \x1b[2J\n", "control characters"),
    ):
        assert words in (Ended(code, "", err, 10, 0.1).problem() or "")
    assert "2000 MB" in (Ended(0, "", "", 2000, 0.1).problem() or "")
