"""Functions run in forked children, whose result or exception comes back to the parent."""

import ctypes
import gc
import os
import pickle
import select
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar, cast

from liveness.errors import LivenessError

R = TypeVar("R")

PR_SET_PDEATHSIG = 1
PR_GET_PDEATHSIG = 2
WAIT_S = 0.2
"""Between two calls of a function while children are waited for."""

libc = ctypes.CDLL(None, use_errno=True)


class KilledError(LivenessError):
    """A child was ended by SIGKILL, which the kernel sends when there is no more memory."""


def fork() -> int:
    """Fork without the warning of Python 3.12 about existing threads: those here are idle workers of numpy."""
    sys.stdout.flush()  # or text the parent has not written yet is written twice
    sys.stderr.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        leave_inherited_objects()
    return pid


def leave_inherited_objects() -> None:
    """Exclude what a forked child has inherited from its garbage collections.

    Destructors of the parent's objects must not run here: those of a DuckDB connection, for example, join threads that
    exist in the parent only, and crash.
    """
    gc.freeze()


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when its parent, process id `parent`, is gone."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the request
        os._exit(1)


@contextmanager
def still_dying_with_parent() -> Iterator[None]:
    """Keep the request of `die_with_parent`, if there is one, while the body changes the user: the kernel drops it."""
    signal_number, parent = ctypes.c_int(0), os.getppid()
    libc.prctl(PR_GET_PDEATHSIG, ctypes.byref(signal_number), 0, 0, 0)
    yield
    if signal_number.value == signal.SIGKILL:
        die_with_parent(parent)


def close_all_but(keep: Iterable[int]) -> None:
    """Close every descriptor of this process but those to keep."""
    kept = sorted(set(keep))
    highest = max((int(name) for name in os.listdir("/proc/self/fd")), default=0)  # noqa: PTH208 - names
    for low, high in zip([-1, *kept], [*kept, highest + 1], strict=True):
        if low + 1 < high:  # an empty range at 0 would be close_range(0, UINT_MAX): everything
            os.closerange(low + 1, high)


def run_in_child(function: Callable[[], R]) -> R:
    """Run `function` in a forked child and return its result, which must be picklable; an exception is raised here.

    The child leaves with os._exit: nothing registered in the parent (exit handlers, test runners) runs twice. It dies
    with its parent. A child that ends without an answer is a LivenessError naming its signal or exit code.
    """
    return run_in_children([function])[0]


def run_in_children(
    functions: Iterable[Callable[[], R]], while_waiting: Callable[[], None] | None = None, *, kill: bool = False
) -> list[R]:
    """Run each function in a forked child of its own, all at once, and return their results in the same order.

    See `run_in_child`. If several fail, the exception of the first one is raised, when all have ended. Until then
    `while_waiting` is called several times a second.

    If the wait ends by an exception, such as that of a signal, children go on until this process ends. With `kill` they
    are killed and gone before the exception leaves this function: for those that may be cut short at any point.
    """
    started: list[tuple[int, int]] = []
    answers: list[tuple[bool, object]] = []
    try:
        for function in functions:
            started.append(_start(function))  # noqa: PERF401 - those started are known, whichever fails
        if while_waiting is not None:
            for _, reader in started:
                while not select.select([reader], [], [], WAIT_S)[0]:
                    while_waiting()
        for pid, reader in started:
            answers.append(_receive(pid, reader))
    except BaseException:
        if kill:
            _kill(started[len(answers) :])
        raise
    for failed, value in answers:
        if failed:
            raise cast("BaseException", value)
    return [cast("R", value) for _, value in answers]


def _start(function: Callable[[], object]) -> tuple[int, int]:
    """Start a child that calls the function; return its process id, and the descriptor on which it answers."""
    reader, writer = os.pipe()
    parent = os.getpid()
    pid = fork()
    if pid == 0:
        try:
            die_with_parent(parent)
            os.close(reader)
            _answer(writer, function)
        finally:
            os._exit(1)
    os.close(writer)
    return pid, reader


def _kill(children: Iterable[tuple[int, int]]) -> None:
    """Kill children, given as `_start` returns them, and wait until they are gone."""
    for pid, reader in children:
        with suppress(ChildProcessError):  # it has ended, and been waited for
            if os.waitpid(pid, os.WNOHANG)[0] == 0:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        with suppress(OSError):
            os.close(reader)


def _receive(pid: int, reader: int) -> tuple[bool, object]:
    """Wait for a child's answer and its end; return whether it failed, and its result or exception."""
    with os.fdopen(reader, "rb") as stream:
        answer = stream.read()
    status = None
    with suppress(ChildProcessError):  # SIGCHLD is ignored, as the parent set it: the kernel keeps no status
        _, status = os.waitpid(pid, 0)
    if answer:
        return cast("tuple[bool, object]", pickle.loads(answer))  # noqa: S301 - from our own child, over our own pipe
    if status is None:
        return True, LivenessError("a child process ended before it answered")
    code = os.waitstatus_to_exitcode(status)
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"left with exit code {code}"
    kind = KilledError if code == -signal.SIGKILL else LivenessError
    return True, kind(f"a child process {how} before it answered")


def _answer(writer: int, function: Callable[[], object]) -> None:
    """Call the function in the child, write (failed, value) as one pickle, and exit."""
    try:
        answer = pickle.dumps((False, function()))
    except BaseException as error:  # noqa: BLE001 - the parent raises it again, whatever it is
        error.add_note("in a child process:\n" + traceback.format_exc())
        try:
            answer = pickle.dumps((True, error))
            pickle.loads(answer)  # noqa: S301 - exceptions with required arguments dump well and fail to load
        except Exception:  # noqa: BLE001 - anything may go wrong in a foreign class's pickling
            answer = pickle.dumps((True, LivenessError(f"{type(error).__name__} in a child process: {error}")))
    with os.fdopen(writer, "wb") as stream:
        stream.write(answer)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
