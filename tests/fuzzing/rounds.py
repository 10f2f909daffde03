"""Rounds of campaigns: kinds take turns, the one with the fewest mutants first, and a file remembers how far each came.

Mutants count from the last change of their reader: the code that runs while real files are read, without its comments
and docstrings. A reader that has changed begins again, with mutants that it has not seen.
"""

import ast
import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from types import FrameType
from typing import Any, Final

import msgspec

from liveness.system.child import run_in_child
from tests.fuzzing.file_campaign import Campaign, campaign, emptied
from tests.fuzzing.kinds.kind import ROOT, FileKind, coin_shows
from tests.fuzzing.place import lay_out
from tests.fuzzing.verdict import verdict

TURN_S: Final = 60.0
TURN_MUTANTS: Final = 20_000
SEEDS_READ: Final = 12
PACKAGE: Final = str(ROOT / "liveness")


class Progress(msgspec.Struct):
    """How far the campaign of a kind has come."""

    reader: str = ""
    """Digest of the reader's code."""
    mutants: int = 0
    """Since the reader last changed."""
    next_number: int = 0
    """Of the first mutant that was not read."""
    took_s: float = 0.0
    slowest_s: float = 0.0
    memory_mb: int = 0
    findings: dict[str, int] = {}
    """The number of a mutant for each."""


class State(msgspec.Struct):
    """What the file holds."""

    seed: int
    kinds: dict[str, Progress] = {}


def rounds(
    kinds: dict[str, FileKind],
    mutants: int,
    state: State,
    path: Path,
    folder: Path,
    seconds: float,
    report: Callable[[Campaign, int], object],
) -> None:
    """Read mutants until each kind has had so many, or for so long; the state is written after each turn."""
    ends = time.monotonic() + seconds
    compared: set[str] = set()
    for name in kinds:
        state.kinds.setdefault(name, Progress())
    while time.monotonic() < ends:
        left = [name for name in kinds if name not in compared or state.kinds[name].mutants < mutants]
        if not left:
            return
        name = min(left, key=lambda name: state.kinds[name].mutants)
        progress = state.kinds[name]
        if name not in compared:
            compared.add(name)
            digest = reader_of(kinds[name], folder / "code")
            if digest != progress.reader:
                state.kinds[name] = progress = Progress(reader=digest, next_number=progress.next_number)
        first = progress.next_number
        size, budget_s = min(mutants - progress.mutants, TURN_MUTANTS), min(TURN_S, ends - time.monotonic())
        if size > 0:
            place = emptied(folder / "turn")  # another kind has other surroundings
            outcome = campaign(kinds[name], size, state.seed, budget_s, place, first)
            add(progress, outcome)
            report(outcome, first)
        save(state, path)


def add(progress: Progress, outcome: Campaign) -> None:
    """Add the outcome of a turn."""
    progress.mutants += outcome.mutants
    progress.next_number += outcome.mutants
    progress.took_s = round(progress.took_s + outcome.took_s, 1)
    progress.slowest_s = max(progress.slowest_s, round(outcome.slowest_s, 3))
    progress.memory_mb = max(progress.memory_mb, outcome.memory_mb)
    progress.findings = {**outcome.numbers, **progress.findings}


def load(path: Path, seed: int) -> State:
    """Return the state in a file, or that of a campaign that begins."""
    return msgspec.json.decode(path.read_bytes(), type=State) if path.exists() else State(seed)


def save(state: State, path: Path) -> None:
    """Write the state at once or not at all."""
    temporary = path.with_name(f"{path.name}.new")
    temporary.write_bytes(msgspec.json.format(msgspec.json.encode(state), indent=1))
    temporary.replace(path)


def reader_of(kind: FileKind, folder: Path) -> str:
    """Return a digest of the code that reads the real files of a kind."""
    return run_in_child(lambda: _digest(_files_run(kind, emptied(folder))))


def _files_run(kind: FileKind, folder: Path) -> set[str]:
    """Return the files of the package whose functions run while real files are read."""
    template, place = emptied(folder / "template"), folder / "place"
    seeds = kind.seeds(emptied(folder / "seeds"))[:SEEDS_READ]
    kind.surroundings(template)
    path = place / "work" / kind.file
    lay_out(place, template, path)
    os.chdir(place / "work")
    with _functions_run() as found:
        for content, one in product(seeds, (False, True)):
            lay_out(place, template, path)
            path.write_bytes(content)
            with coin_shows(one=one):
                verdict(kind, path)
    modules = {module.__file__: vars(module) for module in [*sys.modules.values()] if getattr(module, "__file__", None)}
    left = [modules[file] for file in found if file in modules]
    while left:  # compiled code does not show which functions it runs: each kernel counts that such a file can call
        for kernel in [value for value in left.pop().values() if hasattr(value, "py_func")]:
            file = kernel.py_func.__code__.co_filename
            if file.startswith(PACKAGE) and file not in found:
                found.add(file)
                left.append(kernel.py_func.__globals__)
    return found


@contextmanager
def _functions_run() -> Iterator[set[str]]:
    """Collect the files of the package whose functions run."""
    found: set[str] = set()

    def see(frame: FrameType, event: str, _argument: Any) -> None:  # noqa: ANN401 - as sys.setprofile has it
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            found.add(frame.f_code.co_filename)

    sys.setprofile(see)
    try:
        yield found
    finally:
        sys.setprofile(None)


def _digest(files: set[str]) -> str:
    found = hashlib.sha256()
    for file in sorted(files):
        tree = ast.parse(Path(file).read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):  # a docstring
                node.value = ast.Constant(None)
        found.update(ast.dump(tree).encode())
    return found.hexdigest()[:16]
