"""The campaign over files: mutants of each kind, read in a child with bounds of memory and time, and what was found."""

import random
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from liveness.system.child import run_in_child
from tests.fuzzing.bounded import bounded
from tests.fuzzing.files import FileKind, kinds, prepare, verdict

MORE_MEMORY: Final = 1 << 30
"""Of address space, beyond what a child has when it begins."""
MOST_S: Final = 10
LOOK_EVERY: Final = 64
"""Mutants between two looks whether anything outside changed."""
WARM: Final = 3


@dataclass
class Campaign:
    """What came of the mutants of one kind."""

    kind: str
    mutants: int = 0
    took_s: float = 0.0
    findings: Counter[str] = field(default_factory=Counter)
    kept: dict[str, bytes] = field(default_factory=dict)
    """A mutant for each finding."""


class TooSlowError(BaseException):
    """A reader took more time than there is; no reader catches it as an error of its own."""


def campaign(name: str, mutants: int, seed: int, budget_s: float, folder: Path) -> Campaign:
    """Read so many mutants of a kind, or as many as fit into a time, in a child of this process.

    `folder` is where they lie; the kind is made there anew.
    """
    return run_in_child(lambda: _campaign(name, mutants, seed, budget_s, folder))


def _campaign(name: str, mutants: int, seed: int, budget_s: float, folder: Path) -> Campaign:
    kind = next(kind for kind in kinds(folder / "seeds") if kind.name == name)
    place = folder / "place"
    kind = prepare(kind, place)
    path = place / "work" / kind.file
    done = Campaign(name)
    chance = random.Random(f"{seed} {name}")
    sys.stdin = open("/dev/null", encoding="utf-8")  # noqa: PTH123, SIM115 - a list named - is standard input
    for content in kind.seeds[:WARM]:  # what is loaded and compiled once counts for nobody
        path.write_bytes(content)
        verdict(kind, path)
    kind = prepare(kind, place)
    tempfile.tempdir = str(place / "work")
    _limit_memory()
    began = time.monotonic()
    while done.mutants < mutants and time.monotonic() - began < budget_s:
        content = _mutant(kind, chance)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            kind = prepare(kind, place)
        path.write_bytes(content)
        with _time_limit():
            problem = _timed(kind, path)
        done.mutants += 1
        if done.mutants % LOOK_EVERY == 0 or done.mutants == mutants:
            problem = problem or _outside(place)
            kind = prepare(kind, place)
        if problem is not None:
            done.findings[problem] += 1
            done.kept.setdefault(problem, content)
            kind = prepare(kind, place)
    done.took_s = time.monotonic() - began
    return done


def _mutant(kind: FileKind, chance: random.Random) -> bytes:
    while True:
        try:
            return kind.mutate(chance, kind.seeds)
        except RecursionError:  # nested more deeply than what writes documents can
            continue


def _timed(kind: FileKind, path: Path) -> str | None:
    try:
        return verdict(kind, path)
    except TooSlowError:
        return f"more than {MOST_S} s"


def _outside(place: Path) -> str | None:
    """Return what changed outside the folder of the file, None for nothing."""
    found = {str(path.relative_to(place)) for path in place.rglob("*") if not path.is_relative_to(place / "work")}
    if found != {"work", "victim", "victim/precious"} - {"work"}:
        return f"something was made or removed outside: {sorted(found)}"
    return None if (place / "victim" / "precious").read_bytes() == b"precious" else "a file outside was written"


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + MORE_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@contextmanager
def _time_limit() -> Iterator[None]:
    def give_up(_number: int, _frame: FrameType | None) -> NoReturn:
        raise TooSlowError

    before = signal.signal(signal.SIGPROF, give_up)  # of processor time: the machine may be busy with others
    signal.setitimer(signal.ITIMER_PROF, MOST_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def sample(kind: FileKind, mutants: int, seed: int, folder: Path) -> Campaign:
    """Read a few mutants of a kind by its command, each in a process of its own."""
    done = Campaign(f"{kind.name} by command")
    chance = random.Random(f"{seed} {kind.name} command")
    began = time.monotonic()
    for _ in range(mutants):
        made = prepare(kind, folder / "place")
        path = folder / "place" / "work" / made.file
        content = _mutant(made, chance)
        path.write_bytes(content)
        words = [word.format(path, folder=path.parent) for word in made.command]
        problem = bounded(words, folder / "place" / "work").problem() or _outside(folder / "place")
        done.mutants += 1
        if problem is not None:
            done.findings[problem] += 1
            done.kept.setdefault(problem, content)
    done.took_s = time.monotonic() - began
    return done
