"""The campaign over files: mutants of each kind, read in children with bounds of memory and time, and the findings.

A batch of mutants is read in one child, which a watchdog follows through shared memory: a child that a signal ends, or
that native code keeps for too long, is a finding of the mutant it was at, and another child continues behind it.
"""

import json
import mmap
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from liveness.compiling.folder import find_caches
from liveness.system.child import die_with_parent, fork, run_in_child
from tests.fuzzing.bounded import bounded
from tests.fuzzing.kinds.kind import FileKind
from tests.fuzzing.odd_files import OddFile
from tests.fuzzing.outside import Descriptors, Guard, changed_outside
from tests.fuzzing.place import Surroundings, lay_out, lay_out_victim
from tests.fuzzing.quick import Pools, settle
from tests.fuzzing.verdict import TooSlowError, is_read, verdict
from tests.fuzzing.warm_duckdb import keep_open

MORE_MEMORY: Final = 1 << 30
"""Of address space, beyond what a child has when it begins."""
MOST_S: Final = 10
STUCK_S: Final = MOST_S + 5
"""Of processor time: native code does not see the timer that ends a reader in Python."""
BLOCKED_S: Final = 300
"""Without processor time: a reader waits for something that never comes."""
LOOK_EVERY: Final = 64
"""Mutants between two looks whether anything outside changed."""
THREADS_EVERY: Final = 50
"""One mutant in so many is read with the threads that the reader starts."""
LEFT: Final = "the child of the campaign left with exit code"
WARM: Final = 12
BATCH: Final = 10_000
SLOWEST_NS, NUMBER, DONE, MEMORY_KB, TOOK_NS, CPU_NS = range(6)
SHARED: Final = 6
_TICKS_A_SECOND: Final = os.sysconf("SC_CLK_TCK")


@dataclass
class Campaign:
    """The outcome of the mutants of one kind."""

    kind: str
    mutants: int = 0
    took_s: float = 0.0
    cpu_s: float = 0.0
    """Of processor time; the machine may be busy with other things."""
    slowest_s: float = 0.0
    """Of processor time, for one mutant."""
    memory_mb: int = 0
    """The largest resident memory of a child."""
    findings: Counter[str] = field(default_factory=Counter)
    kept: dict[str, bytes] = field(default_factory=dict)
    """A mutant for each finding."""
    is_broken: bool = False
    """Whether the campaign itself failed, so that more mutants would tell nothing."""
    numbers: dict[str, int] = field(default_factory=dict)
    """The number of that mutant: it is made again from seed and number."""

    def add(self, problem: str, number: int, content: bytes) -> None:
        """Add a finding."""
        self.findings[problem] += 1
        self.kept.setdefault(problem, content)
        self.numbers.setdefault(problem, number)


def campaign(kind: FileKind, mutants: int, seed: int, budget_s: float, folder: Path, first: int = 0) -> Campaign:
    """Read mutants `first` to `first + mutants` of a kind, or as many as fit into a time, in children of this process.

    `folder` is where their files lie.
    """
    seeds = run_in_child(lambda: list(kind.seeds(emptied(folder / "seeds"))))
    outcome = Campaign(kind.name)
    number, end = first, first + mutants
    while number < end and outcome.took_s < budget_s and not outcome.is_broken:
        numbers = (number, min(end, number + BATCH))
        number = _batch(kind, seeds, seed, numbers, budget_s - outcome.took_s, folder, outcome)
    outcome.mutants = number - first
    return outcome


def emptied(folder: Path) -> Path:
    """Return a folder that is there and empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _batch(
    kind: FileKind,
    seeds: list[bytes],
    seed: int,
    numbers: tuple[int, int],
    budget_s: float,
    folder: Path,
    outcome: Campaign,
) -> int:
    """Read a batch of mutants in a child; return the number of the first that was not read."""
    shared = np.frombuffer(mmap.mmap(-1, SHARED * 8), np.int64)
    shared[NUMBER] = shared[DONE] = numbers[0]
    report = folder / "findings"
    report.write_bytes(b"")
    parent = os.getpid()
    pid = fork()
    if pid == 0:
        code = 1
        try:
            die_with_parent(parent)
            _Batch(kind, seeds, seed, numbers, budget_s, folder, shared).run()
            code = 0
        except BaseException:  # noqa: BLE001 - shown, and reported by the exit code
            import traceback  # noqa: PLC0415

            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    problem = _follow(pid, shared)
    for line in report.read_text("utf-8").splitlines():
        found, number = json.loads(line)
        outcome.add(found, number, kind.mutant(seed, number, seeds))
    outcome.slowest_s = max(outcome.slowest_s, int(shared[SLOWEST_NS]) / 1e9)
    outcome.took_s += int(shared[TOOK_NS]) / 1e9
    outcome.cpu_s += int(shared[CPU_NS]) / 1e9
    outcome.memory_mb = max(outcome.memory_mb, int(shared[MEMORY_KB]) >> 10)
    if problem is None:
        return int(shared[DONE])
    number = int(shared[NUMBER])
    outcome.add(problem, number, kind.mutant(seed, number, seeds))
    outcome.is_broken = problem.startswith(LEFT)
    return number if outcome.is_broken else number + 1


def _follow(pid: int, shared: NDArray[np.int64]) -> str | None:
    """Wait for a child; return how it failed, None if it came to its end."""
    at, cpu_s, since = -1, 0.0, time.monotonic()
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            if code >= 0:
                return None if code == 0 else f"{LEFT} {code}"
            return f"killed by {signal.Signals(-code).name}"
        used_s = _cpu_s(pid)
        if shared[NUMBER] != at:
            at, cpu_s, since = int(shared[NUMBER]), used_s, time.monotonic()
        stuck = used_s - cpu_s > STUCK_S
        blocked = time.monotonic() - since > BLOCKED_S and used_s - cpu_s < 1
        if shared[NUMBER] == at and (stuck or blocked):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return f"more than {MOST_S} s in native code" if stuck else "blocked: it waits for something"
        time.sleep(0.05)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND


class _Batch:
    """A batch of mutants, in its child."""

    def __init__(
        self,
        kind: FileKind,
        seeds: list[bytes],
        seed: int,
        numbers: tuple[int, int],
        budget_s: float,
        folder: Path,
        shared: NDArray[np.int64],
    ) -> None:
        self._kind, self._seeds, self._seed, self._numbers = kind, seeds, seed, numbers
        self._budget_s, self._shared = budget_s, shared
        self._place, self._report = folder / "place", folder / "findings"
        self._path = self._place / "work" / kind.file
        self._template = folder / "template"

    def run(self) -> None:
        """Read the mutants one after another, and write findings down as they come."""
        if not self._template.exists():
            self._template.mkdir()
            self._kind.surroundings(self._template)
        sys.stdin = open("/dev/null", encoding="utf-8")  # noqa: PTH123, SIM115 - a list named - is standard input
        self._lay_out()
        os.chdir(self._place / "work")
        tempfile.tempdir = str(self._place / "work")
        signal.signal(signal.SIGPROF, _give_up)
        read = 0
        for content in self._seeds[:WARM]:  # loading and compiling happens once, and counts for no mutant
            self._lay_out()
            self._path.write_bytes(content)
            read += is_read(self._kind, self._path)
        if not read:
            raise RuntimeError(f"{self._kind.name}: no real file is read, so that mutants would be refused for nothing")
        keep_open()
        self._lay_out()
        self._surroundings = Surroundings(self._place / "work", self._path)
        self._guard = Guard(self._place / "work", *kernel_caches())
        pools = Pools()
        settle()
        self._descriptors = Descriptors()
        _limit_memory()
        first, end = self._numbers
        began, cpu_before_s = time.monotonic(), sum(os.times()[:2])
        for number in range(first, end):
            took_s = time.monotonic() - began
            self._shared[TOOK_NS] = took_s * 1e9
            self._shared[CPU_NS] = (sum(os.times()[:2]) - cpu_before_s) * 1e9
            if number > first and took_s > self._budget_s:
                break
            self._shared[NUMBER] = number
            pools.threads = number % THREADS_EVERY == 0
            content = self._kind.mutant(self._seed, number, self._seeds)
            problem = self._read(content)
            self._shared[DONE] = number + 1
            if (number + 1) % LOOK_EVERY == 0 or number + 1 == end or problem is not None:
                problem = problem or changed_outside(self._place) or self._descriptors.left()
                self._guard.has_written = True
            if problem is not None:
                with self._report.open("a", encoding="utf-8") as report:
                    report.write(json.dumps([problem, number]) + "\n")
        self._shared[TOOK_NS] = (time.monotonic() - began) * 1e9
        self._shared[MEMORY_KB] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def _read(self, content: bytes) -> str | None:
        if self._guard.has_written:
            lay_out_victim(self._place)
            self._surroundings.restore()
            self._guard.has_written = False
        if isinstance(content, OddFile):
            self._path.unlink()
            content.make(self._path)
            self._guard.has_written = True
        else:
            self._path.write_bytes(content)
        began = time.process_time_ns()
        signal.setitimer(signal.ITIMER_PROF, MOST_S)  # of processor time: others may be at work on the machine
        try:
            with self._guard.watching():
                problem = verdict(self._kind, self._path)
        except TooSlowError:
            problem = f"more than {MOST_S} s"
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        took_ns = time.process_time_ns() - began
        self._shared[SLOWEST_NS] = max(self._shared[SLOWEST_NS], took_ns)
        attempt = self._guard.take()
        return problem or attempt

    def _lay_out(self) -> None:
        lay_out(self._place, self._template, self._path)


def kernel_caches() -> list[Path]:
    """Return where compiled kernels are kept: a reader may be the first to need one."""
    directory = find_caches()
    return [] if directory is None else [directory]


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + MORE_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _give_up(_number: int, _frame: FrameType | None) -> NoReturn:
    raise TooSlowError


def sample(kind: FileKind, mutants: int, seed: int, folder: Path) -> Campaign:
    """Read a few mutants of a kind by its command, each in a process of its own."""
    seeds = run_in_child(lambda: list(kind.seeds(emptied(folder / "seeds"))))
    template, place = folder / "template", folder / "place"
    if not template.exists():
        template.mkdir(parents=True)
        run_in_child(lambda: kind.surroundings(template))
    outcome = Campaign(f"{kind.name} by command")
    began = time.monotonic()
    path = place / "work" / kind.file
    for number in range(mutants):
        lay_out(place, template, path)
        content = kind.mutant(seed, number, seeds)
        path.write_bytes(content)
        words = [word.format(path, folder=path.parent) for word in kind.command]
        problem = bounded(words, place / "work").problem() or changed_outside(place)
        outcome.mutants += 1
        if problem is not None:
            outcome.add(problem, number, content)
    outcome.took_s = time.monotonic() - began
    return outcome


def smallest(content: bytes, fails: Callable[[bytes], bool], tries: int = 400) -> bytes:
    """Return a smaller input that still fails: pieces are removed, large ones first."""
    size = max(1, len(content) // 2)
    chance = random.Random(1)
    while size and tries > 0:
        for at in sorted(range(0, len(content), size), key=lambda _: chance.random()):
            shorter = content[:at] + content[at + size :]
            tries -= 1
            if fails(shorter):
                content = shorter
                break
        else:
            size //= 2
    return content
