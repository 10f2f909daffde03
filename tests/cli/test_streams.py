"""Standard output and error that are full, closed or read no more; Ctrl-C at any time; a directory that is gone."""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from liveness.errors import LivenessError
from tests.cli.support import liveness
from tests.cli.test_help import ALL
from tests.populations import town

COMMAND = f"{shlex.quote(sys.executable)} -m liveness"
ROOT = Path(__file__).parents[2]
WAIT_S = 60.0


def shell(script: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=WAIT_S,
    )


FULL = "liveness: error: standard output: No space left on device\n"
CLOSED = "liveness: error: standard output: it is closed\n"


def assert_refused(command: str, cwd: Path) -> None:
    """Check what a command says and how it ends whose output is full, or closed."""
    done = shell(f"{command} >/dev/full; echo $? >&2; {command} >&-; echo $? >&2", cwd)
    lines = [line for line in done.stderr.splitlines(keepends=True) if "warning" not in line]
    assert "".join(lines) == f"{FULL}1\n{CLOSED}1\n"


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_help_of_every_command_into_nothing(path: tuple[str, ...]) -> None:
    assert_refused(f"{COMMAND} {' '.join(path)} --help", ROOT)


def test_a_reader_that_has_left_is_no_error(lists: Path) -> None:
    for words in ("--help", "probes", "sets cat a.txt", "analyze run-of-ours"):
        done = shell(f"{COMMAND} {words} 2>/dev/null | :; exit ${{PIPESTATUS[0]}}", lists)
        assert done.returncode == 0, words


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lists")
    (folder / "a.txt").write_text("192.0.2.0/24\n198.51.100.7\n")
    (folder / "b.txt").write_text("192.0.2.128/25\n")
    (folder / "census.yaml").write_text(
        "name: streams\ntargets: {allow: [192.88.98.0/24], block: [a.txt]}\ncontact: https://example.org/scan\n"
    )
    replies_of(folder)
    town().write(folder / "sets").path.rename(folder / "run-of-ours")
    return folder


PRINTING = (
    "probes",
    "probes --json",
    "sets cat a.txt",
    "sets info a.txt",
    "sets info --json a.txt",
    "sets union a.txt b.txt",
    "sets union --to csv a.txt b.txt",
    "sets intersect a.txt b.txt",
    "sets difference a.txt b.txt",
    "sets symdiff a.txt b.txt",
    "sets eval 'a.txt & b.txt'",
    "sets contains a.txt 192.0.2.1",
    "sets contains --json a.txt 192.0.2.1",
    "sets sample a.txt -n 3 --seed 1",
    "sets count a.txt",
    "sets count --by 24 a.txt",
    "sets convert a.txt - --to roaring",
    "config init",
    "config check census.yaml",
    "config show census.yaml",
    "blocklist list -b a.txt",
    "blocklist check -b a.txt 192.0.2.1",
    "census list .",
    "census show run-of-ours",
    "analyze run-of-ours",
    "analyze --json run-of-ours",
    "replies --json run",
    "replies --sql 'SELECT 1' run",
    "replies --csv --sql 'SELECT 1' run",
    "identity -C census.yaml -S 192.88.99.1 --mail scan@example.org -o identity",
    "lab describe",
    "doctor",
    "scan --dryrun -C census.yaml",
    "--version",
)


@pytest.mark.parametrize("words", PRINTING)
def test_every_command_that_prints_ends_in_one_line(lists: Path, words: str) -> None:
    """Each is first seen to print, or it would say nothing about a full disk."""
    command = f"{COMMAND} {words}"
    assert shell(f"{command} | wc -c", lists).stdout.strip() != "0"
    assert_refused(command, lists)


def test_standard_error_that_is_full_or_closed_changes_nothing(lists: Path) -> None:
    for where in ("2>/dev/full", "2>&-"):
        done = shell(f"{COMMAND} sets cat a.txt {where}; {COMMAND} sets cat none.txt {where}; echo $?", lists)
        assert done.stdout == "192.0.2.0/24\n198.51.100.7\n2\n"


def test_no_file_of_ours_becomes_standard_error(lists: Path, tmp_path: Path) -> None:
    """What is opened first gets the lowest number that is free: a set must not have messages in it."""
    out = tmp_path / "union.txt"
    assert shell(f"{COMMAND} sets union a.txt b.txt -o {out} <&- >&- 2>&-; exit $?", lists).returncode == 0
    assert out.read_text() == "192.0.2.0/24\n198.51.100.7\n"


def test_a_current_directory_that_was_removed_is_one_line(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    for words in (
        "scan -C census.yaml --dryrun",
        "analyze sets",
        "census list",
        "sets cat a.txt",
        "config check x.yaml",
        "lab exec true",
    ):
        done = shell(f"mkdir -p {gone}; cd {gone}; rmdir {gone}; {COMMAND} {words}")
        assert "Traceback" not in done.stderr, done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
        assert done.stderr.endswith("the current directory was removed: change to one that exists\n")
        assert done.returncode in (1, 2)


def interrupted(words: list[str], after_s: float, stdout: int = subprocess.DEVNULL) -> tuple[int, str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "liveness", *words],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    time.sleep(after_s)
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=WAIT_S)
    return process.returncode, complaints


@pytest.mark.parametrize("after_s", [0, 0.03, 0.06, 0.1, 0.2, 0.4])
def test_ctrl_c_during_imports_is_no_traceback(lists: Path, after_s: float) -> None:
    """From our first import on, of which Python's own report of imports tells; a command that was quicker is done."""
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "liveness", "scan", "--dryrun", "-C", str(lists / "census.yaml")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stderr is not None
    assert any("click" in line for line in iter(process.stderr.readline, ""))
    time.sleep(after_s)
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=WAIT_S)
    said = [line for line in complaints.split("\n") if line.strip() and not line.startswith("import time:")]
    assert (process.returncode, said) in [(130, []), (0, [])]


@pytest.mark.parametrize("stuck", ["twice", "in a call"])
def test_ctrl_c_leaves_the_terminal_its_cursor(stuck: str) -> None:
    """A live view hides it; a command that ends at once, or does not return from a call, removes no view."""
    code = f"""
import os, signal, time
from liveness.cli.interrupts import interrupts
interrupts.install()
with interrupts.ending_soon():
    os.write(2, b"\\x1b[?25l a view")
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep({WAIT_S})
    except KeyboardInterrupt:
        if {stuck == "twice"}:
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep({WAIT_S})
"""
    ours, theirs = os.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, stderr=theirs, check=False)
    os.close(theirs)
    seen = b""
    with contextlib.suppress(OSError):  # a terminal that nobody holds any more
        while part := os.read(ours, 1 << 10):
            seen += part
    os.close(ours)
    assert (done.returncode, seen) == (130, b"\x1b[?25l a view\r\x1b[K\x1b[?25h")


def test_ctrl_c_in_code_that_a_library_makes_has_the_same_exit_code(tmp_path: Path) -> None:
    """CPython ends a module by SIGINT if an `exec` of text was interrupted, whoever handled the exception."""
    (tmp_path / "interrupted.py").write_text("""
import os, signal
from liveness.cli import main
main._run = lambda: exec("os.kill(os.getpid(), signal.SIGINT)")
main.run()
""")
    done = subprocess.run(
        [sys.executable, "-m", "interrupted"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}"},
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_ctrl_c_in_a_long_query_ends_it_at_once(lists: Path) -> None:
    """DuckDB hears of a signal when a task ends, and then says RuntimeError: the query would take hours."""
    for query in (
        "SELECT count(*) FROM range(100000000000) a WHERE sqrt(a.range) = 0.5",
        "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range + b.range = -1",
        "SELECT sum(list_sum(range(30000000))) FROM range(1000)",
    ):
        began = time.monotonic()
        code, complaints = interrupted(["replies", str(replies_of(lists)), "--sql", query], 2.0)
        assert (code, complaints.strip()) == (130, "")
        assert time.monotonic() - began < WAIT_S / 2


def replies_of(folder: Path) -> Path:
    """Return a log without a reply, which is enough to ask DuckDB for long work."""
    path = folder / "run" / "replies"
    path.mkdir(parents=True, exist_ok=True)
    return path.parent


def test_an_error_of_the_system_is_one_line(tmp_path: Path) -> None:
    from liveness.cli import main  # noqa: PLC0415 - the functions that word errors

    assert main._line(LivenessError("text")) == "text"
    assert main._line(PermissionError(13, "Permission denied", str(tmp_path))) == f"{tmp_path}: Permission denied"
    assert "BrokenPipe" in main._line(BrokenPipeError(32, "Broken pipe"))
    assert liveness("probes").code == 0
