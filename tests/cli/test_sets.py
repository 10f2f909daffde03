"""`liveness sets` as people and shells use it, judged by Python's sets."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pyroaring import BitMap

from liveness.cli import main
from liveness.ipsets.formats.table import FORMATS
from liveness.system.child import run_in_child
from tests.cli.support import Run, assert_one_line
from tests.ipsets.silk_files import silk_file
from tests.ipsets.support import read, written

A = {1, 2, 3, 4, 5}
B = {4, 5, 6, 7}
C = {1, 5, 7, 300}

WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


@pytest.fixture(scope="module", autouse=True)
def _kernels() -> None:
    """Load the kernels once, for all children that run commands."""
    for style in FORMATS:
        read(written(BitMap([1, 9]), style), style)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with three sets in three formats, and a run's folder."""
    (tmp_path / "run" / "sets").mkdir(parents=True)
    (tmp_path / "run" / "sets" / "a.roaring").write_bytes(BitMap(A).serialize())
    (tmp_path / "a.roaring").write_bytes(BitMap(A).serialize())
    (tmp_path / "b.csv").write_text("saddr,ttl\n" + "".join(f"0.0.0.{member},64\n" for member in B))
    (tmp_path / "c.set").write_bytes(silk_file([(member, member) for member in C], 4, ">", block=50))
    return tmp_path


def sets(folder: Path, *arguments: str, stdin: str = "") -> Run:
    """Run the command in a forked child, where all modules are loaded already, with files as its streams."""
    streams = [folder.parent / f"{folder.name}.{name}" for name in ("in", "out", "err")]
    streams[0].write_text(stdin)

    def inside() -> int:
        os.chdir(folder)
        for number, (path, flags) in enumerate(zip(streams, (os.O_RDONLY, WRITE, WRITE), strict=True)):
            os.dup2(os.open(path, flags), number)
        sys.stdin, sys.stdout, sys.stderr = (
            os.fdopen(number, mode, closefd=False) for number, mode in enumerate(("r", "w", "w"))
        )
        sys.argv = ["liveness", "sets", *arguments]
        try:
            main.run()
        except SystemExit as end:
            sys.stdout.flush()
            sys.stderr.flush()
            return end.code if isinstance(end.code, int) else 0
        return 0

    code = run_in_child(inside)
    return Run(code, streams[1].read_text(), streams[2].read_text())


def members(run: Run) -> set[int]:
    """Return the members that a run wrote with ``--to addresses``."""
    assert run.code == 0, run
    quads = [list(map(int, line.split("."))) for line in run.out.splitlines()]
    return {a << 24 | b << 16 | c << 8 | d for a, b, c, d in quads}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["cat", "c.set"], C),
        (["cat", "c.set", "a.roaring"], A | C),
        (["union", "a.roaring", "b.csv", "c.set"], A | B | C),
        (["intersect", "a.roaring", "b.csv", "c.set"], A & B & C),
        (["difference", "a.roaring", "b.csv", "c.set"], A - B - C),
        (["symdiff", "a.roaring", "b.csv", "c.set"], A ^ B ^ C),
        (["eval", "(a.roaring | b.csv) - c.set"], (A | B) - C),
        (["eval", "run/sets/a.roaring & 0.0.0.2/31"], {2, 3}),
        (["eval", "(-) | a.roaring"], A | {9, 10}),
        (["convert", "-", "-"], {9, 10}),
        (["sample", "-n", "9", "--seed", "1", "a.roaring"], A),
        (["union", "a.roaring"], A),
    ],
)
def test_algebra(folder: Path, arguments: list[str], expected: set[int]) -> None:
    run = sets(folder, *arguments, "--to", "addresses", stdin="0.0.0.9\n0.0.0.10\n")
    assert members(run) == expected
    assert run.err == ""


def test_standard_output_has_prefixes_by_default(folder: Path) -> None:
    assert sets(folder, "cat", "a.roaring").out == "0.0.0.1\n0.0.0.2/31\n0.0.0.4/31\n"
    assert sets(folder, "cat", "--to", "ranges", "a.roaring").out == "0.0.0.1-0.0.0.5\n"
    assert sets(folder, "convert", "c.set", "-").out == "0.0.0.1\n0.0.0.5\n0.0.0.7\n0.0.1.44\n"


@pytest.mark.parametrize("suffix", [".roaring", ".txt", ".csv", ".jsonl", ".set", ".ipset", ".nft"])
def test_every_format_by_suffix_and_through_a_pipe(folder: Path, suffix: str) -> None:
    assert sets(folder, "union", "a.roaring", "c.set", "-o", f"x{suffix}") == Run(0, "", "")
    assert members(sets(folder, "cat", "--to", "addresses", f"x{suffix}")) == A | C
    (folder / f"x{suffix}").rename(folder / "unnamed")
    piped = subprocess.run(
        [sys.executable, "-m", "liveness", "sets", "count", "-"],
        input=(folder / "unnamed").read_bytes(),
        capture_output=True,
        check=True,
    )
    assert piped.stdout == b"%d\n" % len(A | C)


def test_a_file_may_be_its_own_result(folder: Path) -> None:
    assert sets(folder, "difference", "a.roaring", "b.csv", "-o", "a.roaring").code == 0
    assert members(sets(folder, "cat", "--to", "addresses", "a.roaring")) == A - B


def test_info(folder: Path) -> None:
    (folder / "none.txt").write_text("# nobody\n")
    run = sets(folder, "info", "--json", "a.roaring", "c.set", "none.txt")
    assert run.code == 0
    assert json.loads(run.out) == [
        {
            "file": name,
            "format": form,
            "bytes": (folder / name).stat().st_size,
            "addresses": size,
            "prefixes24": prefixes,
            "min": low,
            "max": high,
        }
        for name, form, size, prefixes, low, high in [
            ("a.roaring", "roaring", 5, 1, "0.0.0.1", "0.0.0.5"),
            ("c.set", "silk", 4, 2, "0.0.0.1", "0.0.1.44"),
            ("none.txt", "text", 0, 0, None, None),
        ]
    ]
    lines = sets(folder, "info", "a.roaring", "none.txt").out.splitlines()
    assert lines[0].split() == ["file", "format", "bytes", "addresses", "prefixes24", "min", "max"]
    assert lines[1].split()[3:] == ["5", "1", "0.0.0.1", "0.0.0.5"]
    assert lines[2].split()[3:] == ["0", "0", "-", "-"]


def test_contains_answers_by_its_exit_code(folder: Path) -> None:
    assert sets(folder, "contains", "a.roaring", "0.0.0.1", "0.0.0.2/31") == Run(
        0, "0.0.0.1\tyes\n0.0.0.2/31\tyes\n", ""
    )
    assert sets(folder, "contains", "a.roaring", "0.0.0.1", "0.0.0.9") == Run(1, "0.0.0.1\tyes\n0.0.0.9\tno\n", "")
    assert sets(folder, "contains", "-q", "a.roaring", "0.0.0.0/31") == Run(1, "", "")
    assert sets(folder, "contains", "-q", "a.roaring", "0.0.0.1-0.0.0.5") == Run(0, "", "")
    run = sets(folder, "contains", "--json", "-", "0.0.0.1", "0.0.0.9", stdin="0.0.0.9")
    assert (run.code, json.loads(run.out)) == (1, {"0.0.0.1": False, "0.0.0.9": True})
    assert_one_line(sets(folder, "contains", "none", "0.0.0.1"), 2, "none", "No such file")
    assert_one_line(sets(folder, "contains", "a.roaring", "0.0.0"), 2, "0.0.0")


def test_count(folder: Path) -> None:
    assert sets(folder, "count", "c.set").out == "4\n"
    assert sets(folder, "count", "a.roaring", "c.set").out == "5\ta.roaring\n4\tc.set\n"
    run = sets(folder, "count", "--json", "a.roaring", "c.set")
    assert json.loads(run.out) == [{"file": "a.roaring", "addresses": 5}, {"file": "c.set", "addresses": 4}]
    assert sets(folder, "count", "--by", "/24", "c.set").out == "0.0.0.0/24\t3\n0.0.1.0/24\t1\n"
    assert sets(folder, "count", "--by", "30", "c.set").out == "0.0.0.0/30\t1\n0.0.0.4/30\t2\n0.0.1.44/30\t1\n"
    assert json.loads(sets(folder, "count", "--by", "/24", "--json", "c.set").out) == {"0.0.0.0/24": 3, "0.0.1.0/24": 1}
    assert json.loads(sets(folder, "count", "--by", "/8", "--json", "-").out) == {}
    assert_one_line(sets(folder, "count", "--by", "/33", "c.set"), 2, "--by /33", "/0 to /32")
    assert_one_line(sets(folder, "count", "--by", "/8", "c.set", "a.roaring"), 2, "--by", "unite")


def test_a_sample_shows_its_seed(folder: Path) -> None:
    run = sets(folder, "sample", "-n", "2", "--to", "addresses", "a.roaring")
    option, seed = run.err.split()
    assert option == "--seed"
    assert len(members(run)) == 2
    assert members(run) < A
    assert sets(folder, "sample", "-n", "2", "--to", "addresses", "--seed", seed, "a.roaring") == Run(0, run.out, "")


def test_choices_within_a_format(folder: Path) -> None:
    assert sets(folder, "cat", "--column", "ttl", "b.csv").code == 2
    (folder / "x.csv").write_text("saddr,daddr\n0.0.0.1,0.0.0.2\n")
    assert sets(folder, "cat", "--column", "daddr", "x.csv").out == "0.0.0.2\n"
    (folder / "x.ipset").write_text("create p hash:ip\nadd p 0.0.0.3\ncreate q hash:ip\nadd q 0.0.0.4\n")
    assert sets(folder, "cat", "--set", "q", "x.ipset").out == "0.0.0.4\n"
    assert "set mine {" in sets(folder, "cat", "--set", "q", "--name", "mine", "--to", "nft", "x.ipset").out
    assert sets(folder, "cat", "--from", "text", "x.csv").code == 2


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["union", "-", "-"], ["standard input", "once"]),
        (["union", "a.roaring", "-o", "x.dat"], ["x.dat", "--to FORMAT"]),
        (["convert", "a.roaring", "x.dat"], ["x.dat", "--to FORMAT"]),
        (["eval", "a.roaring | x.dat"], ["x.dat", "No such file"]),
        (["eval", "a.roaring |"], ["expression"]),
        (["cat", "run"], ["run: a directory", "run/sets/a.roaring"]),
        (["cat", "--from", "silk", "a.roaring"], ["a.roaring: not a SiLK file"]),
        (["convert", "a.roaring", "no/x.txt"], ["no/x.txt", "there is no directory no"]),
    ],
)
def test_mistakes_are_reported_in_one_line(folder: Path, arguments: list[str], parts: list[str]) -> None:
    before = sorted(folder.rglob("*"))
    assert_one_line(sets(folder, *arguments), 2, *parts)
    assert sorted(folder.rglob("*")) == before


def test_no_binary_on_a_terminal(folder: Path) -> None:
    terminal, inside = os.openpty()
    run = subprocess.run(
        [sys.executable, "-m", "liveness", "sets", "cat", "--to", "silk", "a.roaring"],
        cwd=folder,
        stdout=inside,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(inside)
    os.close(terminal)
    assert run.returncode == 2
    assert "standard output is a terminal" in run.stderr
    assert "-o FILE" in run.stderr


@pytest.mark.parametrize("style", ["text", "roaring", "csv"])
def test_a_reader_that_goes_away_is_no_error(style: str) -> None:
    """As head(1) does after its lines, with far more to come than a pipe holds."""
    process = subprocess.Popen(
        [sys.executable, "-m", "liveness", "sets", "cat", "--to", style, "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(BitMap(range(0, 3_000_000, 3)).serialize())
    process.stdin.close()
    assert process.stdout.read(10)
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 0
    process.stderr.close()


def test_an_interrupt_leaves_nothing(folder: Path) -> None:
    os.mkfifo(folder / "slow.txt")
    process = subprocess.Popen(
        [sys.executable, "-m", "liveness", "sets", "union", "a.roaring", "slow.txt", "-o", "x.set"],
        cwd=folder,
        stderr=subprocess.PIPE,
    )
    with (folder / "slow.txt").open("w") as feed:  # opens when the command does
        feed.write("0.0.0.1\n")
        feed.flush()
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
    assert process.stderr is not None
    assert process.stderr.read() == b"\n"  # so that the prompt does not stand behind ^C
    process.stderr.close()
    assert sorted(entry.name for entry in folder.iterdir()) == ["a.roaring", "b.csv", "c.set", "run", "slow.txt"]


def test_an_expression_may_begin_with_standard_input(folder: Path) -> None:
    assert sets(folder, "eval", "- & a.roaring", stdin="0.0.0.4\n0.0.0.9\n").out == "0.0.0.4\n"
    assert sets(folder, "eval", "- - a.roaring", "--to", "ranges", stdin="0.0.0.4\n0.0.0.9\n").out == "0.0.0.9\n"


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("info", "a.roaring", "--column", "x"), ("--column: a.roaring is roaring: only csv and jsonl",)),
        (("cat", "a.roaring", "--set", "x"), ("--set: a.roaring is roaring: only ipset and nft",)),
        (("cat", "a.roaring", "--name", "x"), ("--name: text is written",)),
        (("info", "b.csv", "--from", "roaring"), ("b.csv: not a roaring set", "--from roaring says that it is one")),
        (("info", "b.csv", "--from", "silk"), ("b.csv: not a SiLK file", "--from silk says that it is one")),
    ],
)
def test_options_that_change_nothing_are_refused(
    folder: Path, arguments: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    assert_one_line(sets(folder, *arguments), 2, *parts)


def test_lines_of_ipv6_are_counted(folder: Path) -> None:
    found = sets(folder, "union", "-", "a.roaring", "--skip-ipv6", "--to", "ranges", stdin="::1\n0.0.0.6\n")
    assert (found.code, found.out, found.err) == (0, "0.0.0.1-0.0.0.6\n", "1 line of IPv6 skipped\n")
