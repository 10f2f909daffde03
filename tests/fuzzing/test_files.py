"""Mutants of every file that is read: an error is one line, within memory and time, and nothing else is touched.

`scripts/fuzz files` reads as many more as one likes.
"""

import ctypes
import os
import signal
import subprocess
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from liveness.errors import LivenessError
from tests.fuzzing import file_campaign
from tests.fuzzing.bounded import Ended
from tests.fuzzing.file_campaign import THREADS_EVERY, campaign, sample
from tests.fuzzing.kinds import all_kinds
from tests.fuzzing.kinds.kind import FileKind, fixed, flipped
from tests.fuzzing.odd_files import OddKind
from tests.fuzzing.place import lay_out
from tests.fuzzing.verdict import is_read, verdict

KINDS = all_kinds()
MUTANTS = 2000
BUDGET_S = 1.0
"""Of reading, a kind: what is reached in that time depends on the machine. The first mutant is read in any case."""


@pytest.mark.parametrize("name", KINDS)
def test_real_files_are_read(tmp_path: Path, name: str) -> None:
    kind = KINDS[name]
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    files = kind.seeds(seeds)
    assert files
    assert all(files), "a file without a byte has few mutants"
    template, path = tmp_path / "template", tmp_path / "place" / "work" / kind.file
    template.mkdir()
    kind.surroundings(template)
    read = 0
    for content in files[:4]:
        lay_out(tmp_path / "place", template, path)
        path.write_bytes(content)
        assert verdict(kind, path) is None
        lay_out(tmp_path / "place", template, path)
        path.write_bytes(content)
        read += is_read(kind, path)
    assert read, "every real file is refused"


@pytest.mark.parametrize("name", KINDS)
def test_mutants_are_read_or_end_in_one_line(tmp_path: Path, name: str) -> None:
    outcome = campaign(KINDS[name], MUTANTS, 1, BUDGET_S, tmp_path)
    assert outcome.mutants
    assert dict(outcome.findings) == {}


@pytest.mark.parametrize("name", KINDS)
def test_what_is_no_file_ends_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(file_campaign, "BLOCKED_S", 20)
    kind = OddKind.of(KINDS[name])
    outcome = campaign(kind, len(kind.names), 1, 600, tmp_path)
    assert {what: outcome.kept[what] for what in outcome.findings} == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["config", "manifest", "record", "spool", "blocklist", "set silk", "set any"])
def test_mutants_from_the_command_line(tmp_path: Path, name: str) -> None:
    done = sample(KINDS[name], 2, 1, tmp_path)
    assert done.mutants == 2
    assert dict(done.findings) == {}


def kind_of(read: Callable[[Path], object]) -> FileKind:
    """Return a kind of which only mutants are read: the real file, which comes first without bounds, is not."""
    return FileKind("made", "a", fixed(b"abc"), flipped, lambda path: path.read_bytes() == b"abc" or read(path))


def findings(tmp_path: Path, read: Callable[[Path], object], mutants: int = 1) -> list[str]:
    return list(campaign(kind_of(read), mutants, 1, 60, tmp_path).findings)


def raises(_path: Path) -> None:
    raise ValueError("odd")


def writes_outside(path: Path) -> None:
    with suppress(OSError):
        (path.parents[2] / "elsewhere").write_bytes(b"")


def climbs(path: Path) -> None:
    with suppress(OSError):
        (path.parent / ".." / "victim" / "precious").unlink()


def removes_natively(path: Path) -> None:
    ctypes.CDLL(None).unlink(bytes(path.parents[1] / "victim" / "precious"))


def starts_a_program(_path: Path) -> None:
    subprocess.run(["true"], check=False)


def takes_memory(_path: Path) -> None:
    bytearray(3 << 30)


def dies(_path: Path) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def leaves_open(path: Path) -> None:
    os.open(path, os.O_RDONLY)


@pytest.mark.parametrize(
    ("read", "words"),
    [
        (raises, "ValueError: odd (test_files.py:"),
        (writes_outside, "opened to write: "),
        (climbs, "os.remove: "),
        (removes_natively, "something was made or removed outside"),
        (starts_a_program, "subprocess.Popen"),
        (takes_memory, "more memory"),
        (dies, "killed by SIGSEGV"),
        (leaves_open, "descriptors left open"),
    ],
)
def test_what_a_reader_does_wrong_is_found(tmp_path: Path, read: Callable[[Path], object], words: str) -> None:
    found = findings(tmp_path, read)
    assert len(found) == 1, found
    assert words in found[0]


@pytest.mark.parametrize("native", [False, True])
def test_a_reader_that_takes_too_long_is_ended(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    native: bool,
) -> None:
    monkeypatch.setattr(file_campaign, "MOST_S", 1)
    monkeypatch.setattr(file_campaign, "STUCK_S", 2)

    def read(_path: Path) -> None:
        if native:
            signal.setitimer(signal.ITIMER_PROF, 0)  # as if no signal came through
        while True:
            pass

    (found,) = findings(tmp_path, read)
    assert found == ("more than 1 s in native code" if native else "more than 1 s")


def test_a_campaign_continues_behind_a_mutant_that_ends_its_process(tmp_path: Path) -> None:
    def read(path: Path) -> None:
        if zlib.crc32(path.read_bytes()) % 4 == 0:
            dies(path)

    outcome = campaign(kind_of(read), 40, 1, 60, tmp_path)
    assert outcome.mutants == 40
    (what,) = outcome.findings
    assert 3 <= outcome.findings[what] < 25
    assert kind_of(read).mutant(1, outcome.numbers[what], [b"abc"]) == outcome.kept[what]


def test_a_campaign_whose_real_files_are_refused_is_a_fault(tmp_path: Path) -> None:
    def read(_path: Path) -> None:
        raise LivenessError("a: damaged")

    outcome = campaign(FileKind("made", "a", fixed(b"abc"), flipped, read), 5, 1, 60, tmp_path)
    assert outcome.findings == {"the child of the campaign left with exit code 1": 1}
    assert outcome.mutants == 0


def test_no_mutant_is_read_among_what_others_have_left(tmp_path: Path) -> None:
    def lay_out_neighbours(work: Path) -> None:
        (work / "a" / "b").mkdir(parents=True)
        (work / "a" / "b" / "kept").write_bytes(b"kept")

    def read(path: Path) -> None:
        found = sorted(entry.name for entry in path.parent.iterdir())
        if found != ["a", "blocklist.txt", "file"] or (path.parent / "a" / "b" / "kept").read_bytes() != b"kept":
            raise ValueError(f"not as it was laid out: {found}")
        (path.parent / "new").mkdir()
        (path.parent / "a" / "b" / "kept").write_bytes(b"more")
        path.unlink()
        path.mkdir()

    kind = FileKind("made", "file", fixed(b"abc"), flipped, read, surroundings=lay_out_neighbours)
    outcome = campaign(kind, 10, 1, 60, tmp_path)
    assert (dict(outcome.findings), outcome.mutants) == ({}, 10)


def test_some_mutants_are_read_with_threads(tmp_path: Path) -> None:
    main = threading.get_ident()

    def read(_path: Path) -> None:
        with ThreadPoolExecutor(2) as pool:
            idents = [pool.submit(threading.get_ident).result(), *pool.map(lambda _: threading.get_ident(), range(2))]
        raise ValueError("threads" if main not in idents else "none" if set(idents) == {main} else "both")

    kind = kind_of(read)
    outcome = campaign(kind, THREADS_EVERY, 1, 60, tmp_path)
    times = {what.partition(" (")[0]: count for what, count in outcome.findings.items()}
    changed = sum(kind.mutant(1, number, [b"abc"]) != b"abc" for number in range(1, THREADS_EVERY))
    assert times == {"ValueError: threads": 1, "ValueError: none": changed}


def test_what_a_task_raises_comes_with_its_result(tmp_path: Path) -> None:
    def read(_path: Path) -> None:
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(int, "x")
        raise LookupError(type(future.exception()).__name__)

    (found,) = findings(tmp_path, read, 2)
    assert found.startswith("LookupError: ValueError")


def test_a_mutant_is_made_again_from_its_number(tmp_path: Path) -> None:
    kind = KINDS["config"]
    seeds = kind.seeds(tmp_path)
    mutants = [kind.mutant(1, number, seeds) for number in range(50)]
    assert mutants == [kind.mutant(1, number, seeds) for number in range(50)]
    assert len(set(mutants)) > 40
    assert mutants != [kind.mutant(2, number, seeds) for number in range(50)]


def test_commands_that_end_badly_are_found() -> None:
    for code, err, words in (
        (1, "Traceback (most recent call last):\n", "a traceback"),
        (-11, "", "exit code -11"),
        (2, "liveness: error: one\nliveness: error: two\n", "2 lines"),
        (2, "liveness: error: \x1b[2J\n", "control characters"),
    ):
        assert words in (Ended(code, "", err, 10, 0.1).problem() or "")
    assert "2000 MB" in (Ended(0, "", "", 2000, 0.1).problem() or "")
