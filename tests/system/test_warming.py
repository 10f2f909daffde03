"""Kernels that child processes compile ahead, several at once, and how far they are."""

import io
import os
import subprocess
import sys
import termios
from contextlib import suppress
from pathlib import Path

import pytest

from liveness.cli import compiling, replay
from liveness.cli.messages import people
from liveness.compiling import display
from liveness.kernel import COMPILED
from liveness.log import NOTICE
from liveness.system import warming

ROOT = Path(__file__).parents[2]
KERNELS = """
from liveness.kernel import kernel

@kernel
def half(number):
    return number // 2

@kernel
def quarter(number):
    return half(half(number))

@kernel
def third(number):
    return number // 3

def load_quarter():
    assert quarter(8) == 2

def load_third():
    assert third(9) == 3

def fail():
    load_third()
    raise RuntimeError("no such step")
"""
LOAD = """
import many_kernels as many
from liveness.kernel import needs_compiling
from liveness.compiling import display as compile_display
from liveness.system.warming import Step, load_kernels

shown = []
compile_display.show_on(shown.append)
steps = [Step("quarters", many.load_quarter), Step("thirds", many.load_third)]
load_kernels(steps)
print(shown[-2:])
for kernel in (many.quarter, many.half, many.third):
    print(sum(kernel.stats.cache_hits.values()), sum(kernel.stats.cache_misses.values()))
shown.clear()
load_kernels(steps)
print(shown)
"""
FAIL = """
import many_kernels as many
from liveness.kernel import needs_compiling
from liveness.system.warming import Step, compile_kernels

for _ in range(2):
    try:
        compile_kernels([Step("failing", many.fail)])
    except RuntimeError as error:
        print(error, needs_compiling("failing", many.fail))
"""


def run_code(folder: Path, code: str, stderr: int | None = None, **environment: str) -> list[str]:
    """Run code that uses KERNELS in a process of its own, and return the lines that it prints."""
    (folder / "many_kernels.py").write_text(KERNELS)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={
            **os.environ,
            "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}",
            "NUMBA_CACHE_DIR": str(folder / "cache"),
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
def test_children_compile_what_this_process_then_loads(tmp_path: Path) -> None:
    """The first time the count ends with all three; `half` is a part, which this process does not even load."""
    first, again = run_code(tmp_path, LOAD), run_code(tmp_path, LOAD)
    assert first == ["['compiling kernels, once: 3 of 3', '']", "1 0", "0 0", "1 0", "[]"]
    assert again == ["[]", "1 0", "0 0", "1 0", "[]"]


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
def test_a_changed_source_is_compiled_ahead_again(tmp_path: Path) -> None:
    ask = LOAD.replace("load_kernels(steps)\nprint", "print(needs_compiling(*steps[0]))\nprint", 1)
    assert run_code(tmp_path, ask)[0] == "True"
    assert run_code(tmp_path, ask)[0] == "False"
    (tmp_path / "changed").mkdir()
    (tmp_path / "changed" / "many_kernels.py").write_text(f"{KERNELS}\n# a change\n")
    assert run_code(tmp_path, ask, PYTHONPATH=str(tmp_path / "changed"))[0] == "True"


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
def test_a_step_that_fails_is_reported_and_tried_again(tmp_path: Path) -> None:
    assert run_code(tmp_path, FAIL) == ["no such step True"] * 2


FULL = """
import many_kernels as many
from liveness.kernel import kept_in, needs_compiling
from liveness.system.warming import Step, load_kernels

(kept_in / "many_kernels").write_text("no directory")
load_kernels([Step("thirds", many.load_third)])
print(sum(many.third.stats.cache_misses.values()), needs_compiling("thirds", many.load_third))
"""


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
def test_what_cannot_be_kept_is_compiled_here_and_again(tmp_path: Path) -> None:
    """As on a disk that is full: nothing can be made in the place of these kernels."""
    assert run_code(tmp_path, FULL) == ["1 True"]


def test_without_compiling_or_a_cache_each_step_is_done_here(tmp_path: Path) -> None:
    code = LOAD.split("print(shown[-2:])", maxsplit=1)[0] + "print(shown)"
    assert run_code(tmp_path, code, NUMBA_DISABLE_JIT="1") == ["[]"]


LAZY = """
import many_kernels as many
from liveness.compiling import display

shown = []
display.show_on(shown.append)
assert many.quarter(8) == 2
print(shown)
del shown[:]
with display.shown_on(lambda text: shown.append(f"view: {text}")):
    assert many.third(9) == 3
print(shown)
assert many.third(9.0) == 3
print(len(shown))
"""


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
def test_kernels_compiled_at_their_first_call_are_counted_too(tmp_path: Path) -> None:
    """Without steps, in the process that calls them; what a view shows on the terminal is the view's."""
    counts = [f"compiling kernels, once: {number}" for number in ("0 of 2", "1 of 2", "2 of 3", "3 of 3")]
    first, in_view, _ = run_code(tmp_path, LAZY)
    assert first == str([counts[0], counts[0], counts[1], ""])
    assert in_view == str([f"view: {counts[2]}", "view: "])
    assert run_code(tmp_path, LAZY) == ["[]", "[]", "0"]


def test_without_displays_a_view_gets_nothing() -> None:
    shown: list[str] = []
    before = list(display._displays)
    try:
        display.show_nowhere()
        with display.shown_on(shown.append):
            display.show(1, 2)
        display.show_on(shown.append)
        display.show(1, 2, once=False)
    finally:
        display._displays[:] = before
    assert shown == ["compiling kernels: 1 of 2"]


def test_a_replay_shows_it_in_its_own_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two lines of progress would write over each other."""
    monkeypatch.setattr(display, "_displays", [pytest.fail])
    with replay._status(quiet=True) as none:
        assert none is None
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    with replay._status(quiet=False) as status:
        assert status is not None
        display.show(1, 3)
        assert str(status.status) == "compiling kernels, once: 1 of 3"
        display.clear()
        assert str(status.status) == "reading"


@pytest.mark.parametrize(
    ("free", "processors", "workers"), [(None, 4, 4), (1 << 40, 4, 4), (1 << 40, 2, 2), (900 << 20, 4, 2), (0, 4, 1)]
)
def test_no_more_compile_at_once_than_there_is_memory_for(
    free: int | None, processors: int, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warming, "free_bytes", lambda: free)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(processors)))
    assert warming._workers(7) == workers
    assert warming._workers(1) == 1


COMMAND = """
import sys
from types import SimpleNamespace

import click
import many_kernels as many
from liveness.cli import main

@click.command("little")
def little():
    click.echo(many.quarter(8))

sys.modules["liveness.cli.little"] = SimpleNamespace(command=little)
main.COMMANDS["little"] = "Compile little."
sys.argv[1:] = ["little"]
main.run()
"""


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
@pytest.mark.parametrize("on_terminal", [True, False])
def test_a_command_that_compiles_says_so_on_a_terminal_alone(on_terminal: bool, tmp_path: Path) -> None:
    ours, theirs = os.openpty() if on_terminal else os.pipe()
    assert run_code(tmp_path, COMMAND, stderr=theirs) == ["2"]
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # a terminal that nobody holds any more
        while part := os.read(ours, 1 << 16):
            shown += part
    os.close(ours)
    lines = [f"liveness: compiling kernels, once: {done} of 2" for done in (0, 0, 1)]
    assert shown.decode() == ("".join(f"\r\x1b[K{line}" for line in (*lines, "")) if on_terminal else "")


class Terminal(io.StringIO):
    """Standard error on a terminal."""

    def isatty(self) -> bool:
        return True


def test_only_a_terminal_shows_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, pipe = Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        monkeypatch.setattr(sys, "stderr", stream)
        compiling.show("compiling kernels, once: 1 of 2")
        compiling.show("")
    assert terminal.getvalue() == "\r\x1b[Kliveness: compiling kernels, once: 1 of 2\r\x1b[K"
    assert pipe.getvalue() == ""


def test_a_narrow_terminal_shows_the_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that wraps would be erased in part only."""
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, 20))
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        compiling.show("compiling kernels, once: 1 of 2")
        assert os.read(ours, 1000) == b"\r\x1b[Kliveness: compiling"[: 4 + 19]
    os.close(ours)


def test_a_quiet_command_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(people, "level", NOTICE)
    compiling.show("compiling kernels, once: 1 of 2")
    assert terminal.getvalue() == ""


WAS_KILLED = "a child process was killed by SIGKILL before it answered"
KILLED = """
import os
import signal
import sys
from pathlib import Path

import many_kernels as many
from liveness.errors import LivenessError
from liveness.kernel import needs_compiling
from liveness.system import child, warming
from liveness.system.warming import Step, compile_kernels

warming.free_bytes = lambda: None
started, start = [], child._start
child._start = lambda function: started.append(1) or start(function)
allowed = int(sys.argv[1])
deaths = Path("deaths")
deaths.touch()

def load():
    many.load_third()
    if len(deaths.read_text()) < allowed:
        deaths.write_text(deaths.read_text() + ".")
        os.kill(os.getpid(), signal.SIGKILL)

def load_quarter():
    many.load_quarter()

for function in (load, load_quarter):
    function.__code__ = function.__code__.replace(co_filename=many.__file__)
os.sched_getaffinity = lambda _: {0, 1, 2}
steps = [Step("thirds", load), Step("quarters", load_quarter)]
try:
    print(compile_kernels(steps), end=" ")
except LivenessError as error:
    print(error, end=" ")
print([needs_compiling(*step) for step in steps], len(started))
"""


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
@pytest.mark.parametrize(
    ("deaths", "expected"),
    [
        (1, "True [False, False] 4"),
        (9, f"compiling kernels (thirds): {WAS_KILLED}: is there too little memory? [True, True] 3"),
    ],
)
def test_a_child_killed_for_want_of_memory_leaves_its_work_to_one_at_a_time(
    deaths: int, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many compile at once as there are processors: the kernel kills one of them if memory ends."""
    monkeypatch.chdir(tmp_path)
    code = f"import sys; sys.argv[1:] = ['{deaths}']\n{KILLED}"
    assert run_code(tmp_path, code) == [expected]


NAMED = """
import many_kernels as many
from pathlib import Path
from liveness.system.warming import Step, compile_kernels

def name():
    return Path("/proc/self/comm").read_text().strip()

def load():
    many.load_third()
    Path("named").write_text(name())

before = name()
load.__code__ = load.__code__.replace(co_filename=many.__file__)
compile_kernels([Step("named", load)])
print(Path("named").read_text(), name() == before)
"""


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
def test_processes_that_compile_are_named_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_code(tmp_path, NAMED) == ["compiling True"]


INTERRUPTED = """
import os
import signal
import many_kernels as many
from pathlib import Path
from liveness.system.warming import Step, compile_kernels

def load():
    os.kill(os.getpid(), signal.SIGINT)
    many.load_third()

load.__code__ = load.__code__.replace(co_filename=many.__file__)
signal.signal(signal.SIGINT, lambda *_: Path("cleaned").write_text("by a child"))
print(compile_kernels([Step("interrupted", load)]), Path("cleaned").exists())
"""


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
def test_ctrl_c_is_left_to_the_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal sends it to children too: what the command cleans up then is cleaned up once."""
    monkeypatch.chdir(tmp_path)
    assert run_code(tmp_path, INTERRUPTED) == ["True False"]
