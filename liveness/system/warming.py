"""Owns loading the kernels of a command before it needs them: what no cache has yet, child processes compile at once.

The compiler's memory is freed when a child ends, so that the processes of a long scan stay small, and a machine with
several processors compiles several parts of a command at the same time.
"""

import ctypes
import mmap
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liveness import log
from liveness.compiling import display
from liveness.compiling.cache import why_not_kept
from liveness.compiling.compiler import CompiledKernels
from liveness.errors import LivenessError
from liveness.kernel import kept_in, mark_compiled, needs_compiling
from liveness.system import child
from liveness.system.free_memory import free_bytes

PROCESS_NAME: Final = b"compiling"
"""The name of processes that compile, for people and for programs that count the others."""
ENDING_SIGNALS: Final = (signal.SIGTERM, signal.SIGHUP)
COMPILER_BYTES: Final = 400 << 20
"""Memory of a process that compiles: at most some 400 MiB, of which it shares a part with its parent."""
PR_SET_NAME: Final = 15
PR_GET_NAME: Final = 16
_MOST_STEPS: Final = 255
"""The number of a step is a byte in the pipe of those to do."""


class Step(NamedTuple):
    """A part of a command whose kernels are loaded together."""

    name: str
    """What it loads: the same name always stands for the same kernels, compiled for the same types."""
    load: Callable[[], Any]
    """Calls the kernels with arguments that change nothing."""


def load_kernels(steps: Sequence[Step]) -> None:
    """Load the kernels of all steps, after child processes have compiled those that are not in the cache yet.

    How far they are is shown on a terminal. The largest steps should come first. Raises what a step raises.
    """
    compile_kernels(steps)
    for step in steps:
        step.load()


def compile_kernels(steps: Iterable[Step]) -> bool:
    """Compile what no cache has yet of the kernels of some steps, which this process does not load.

    Return whether there was anything to compile. What cannot be kept is reported, and compiled again later.
    """
    missing = [step for step in steps if needs_compiling(step.name, step.load)]
    if not missing:
        return False
    if len(missing) > _MOST_STEPS:
        raise ValueError(f"{len(missing)} steps at once, at most {_MOST_STEPS}")
    memory = mmap.mmap(-1, 16 * len(missing))  # shared with the children
    counts = np.frombuffer(memory, np.int64).reshape(-1, 2)
    try:
        with _named(PROCESS_NAME):
            answers = _compile(missing, counts)
        _show(counts)
    finally:
        display.clear()
    errors = [error for error in answers if error is not None]
    if errors:
        log.warning(f"compiled kernels cannot be kept in {kept_in}: {errors[0].strerror}")
        return True
    for step in missing:
        mark_compiled(step.name, step.load)
    return True


def _compile(steps: Sequence[Step], counts: NDArray[np.int64]) -> list[OSError | None]:
    """Compile steps in child processes, and return what `_work` returns in each; raise LivenessError if one is killed.

    First as many compile at once as there are processors, and memory for. If the kernel kills one because there is too
    little memory, they do so one by one.
    """
    show = partial(_show, counts)
    try:
        with _queue(bytes(range(len(steps)))) as waiting:
            works = [partial(_work, steps, waiting, counts)] * _workers(len(steps))
            return child.run_in_children(works, show, kill=True)
    except child.KilledError:
        pass
    answers = []
    for number, step in enumerate(steps):
        try:
            with _queue(bytes([number])) as waiting:
                answers += child.run_in_children([partial(_work, steps, waiting, counts)], show, kill=True)
        except child.KilledError as error:
            raise LivenessError(f"compiling kernels ({step.name}): {error}: is there too little memory?") from error
    return answers


def _workers(steps: int) -> int:
    """Return how many processes compile at once."""
    free = free_bytes()
    by_memory = steps if free is None else free // COMPILER_BYTES
    return max(1, min(steps, len(os.sched_getaffinity(0)), by_memory))


@contextmanager
def _queue(numbers: bytes) -> Iterator[int]:
    """Return the end of a pipe from which child processes read the numbers of the steps to do."""
    waiting, to_do = os.pipe()
    try:
        os.write(to_do, numbers)
        os.close(to_do)
        yield waiting
    finally:
        os.close(waiting)


@contextmanager
def _named(name: bytes) -> Iterator[None]:
    """Give this process a name, as ps and top show it, which its children inherit; restore the old one at the end."""
    before = ctypes.create_string_buffer(16)
    child.libc.prctl(PR_GET_NAME, before, 0, 0, 0)
    child.libc.prctl(PR_SET_NAME, name, 0, 0, 0)
    try:
        yield
    finally:
        child.libc.prctl(PR_SET_NAME, before, 0, 0, 0)


def _work(steps: Sequence[Step], waiting: int, counts: NDArray[np.int64]) -> OSError | None:
    """Compile one step after the other, until none is waiting. Runs in a child process.

    Return the error because of which something is not kept, if there is one.
    """
    display.show_nowhere()  # the parent shows the counts of all children
    for ending in ENDING_SIGNALS:  # the parent cleans up: an exception in the midst of a compilation could be lost
        if callable(signal.getsignal(ending)):
            signal.signal(ending, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the parent too, which ends its children
    while number := os.read(waiting, 1):
        with CompiledKernels(counts[number[0]]):
            steps[number[0]].load()
    return why_not_kept()


def _show(counts: NDArray[np.int64]) -> None:
    done, known = counts.sum(axis=0)
    display.show(int(done), int(known))
