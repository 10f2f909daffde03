"""Forked children: what they inherit."""

import fcntl
import gc
import os
import signal
from functools import partial

import duckdb
import pytest

from liveness.errors import LivenessError
from liveness.scan.process import Child
from liveness.system.child import close_all_but, run_in_child, run_in_children


@pytest.mark.parametrize("kept", [(), (0,), (0, 1, 2), (0, 2, 5), (7, 3)], ids=str)
def test_only_what_is_kept_stays_open(kept: tuple[int, ...]) -> None:
    def inside() -> None:
        null = os.open(os.devnull, os.O_RDONLY)
        for number in range(9):
            os.dup2(null, number)
        writer = os.dup(answer)
        close_all_but((*kept, writer))
        found = []
        for number in range(64):
            try:
                os.fstat(number)
            except OSError:
                continue
            found.append(number)
        os.write(writer, repr(sorted(set(found) - {writer})).encode())
        os._exit(0)

    reader, low = os.pipe()
    answer = fcntl.fcntl(low, fcntl.F_DUPFD, 200)  # above whatever the tests before left open
    pid = os.fork()
    if pid == 0:
        inside()
    os.close(answer)
    os.close(low)
    assert os.read(reader, 1 << 12).decode() == repr(sorted(kept))
    os.waitpid(pid, 0)
    os.close(reader)
    assert run_in_child(lambda: 7) == 7


def test_a_child_does_not_destroy_what_it_inherits() -> None:
    """The destructor of a connection joins DuckDB's threads, which a child does not have: it crashes there."""

    class Holder:
        def __init__(self) -> None:
            self.connection = duckdb.connect(":memory:")
            self.connection.execute("SELECT sum(i) FROM range(1_000_000) numbers(i)").fetchall()  # starts its threads
            self.cycle = self  # only a garbage collection finds it

    def collect() -> tuple[int, int]:
        found = gc.collect()
        return found, duckdb.connect(":memory:").execute("SELECT 42").fetchall()[0][0]

    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        Holder()
        assert run_in_child(collect) == (0, 42)
        child = Child("collector", collect)
        child.end_within(60)
        assert (child.result(), child.problem()) == ((0, 42), None)
        assert gc.collect() > 0
    finally:
        if enabled:
            gc.enable()


def test_children_run_at_once_and_answer_in_order() -> None:
    """The first can only answer after the last: each waits for the next one. The answers do not fit into a pipe."""
    pipes = [os.pipe() for _ in range(3)]

    def wait_for_the_next(number: int) -> bytes:
        if number < 2:
            assert os.read(pipes[number + 1][0], 1) == b"x"
        os.write(pipes[number][1], b"x")
        return bytes([number]) * 1_000_000

    answers = run_in_children([partial(wait_for_the_next, number) for number in range(3)])
    assert answers == [bytes([number]) * 1_000_000 for number in range(3)]
    for descriptor in (end for pipe in pipes for end in pipe):
        os.close(descriptor)
    assert run_in_children([]) == []


def test_the_first_failure_of_several_children_is_raised() -> None:
    def pass_by() -> int:
        return 1

    def leave() -> int:
        os._exit(7)

    def fail() -> int:
        raise ValueError("wrong")

    with pytest.raises(LivenessError, match="left with exit code 7 before it answered"):
        run_in_children([pass_by, leave, fail])
    with pytest.raises(ValueError, match="wrong"):
        run_in_children([pass_by, fail, leave])


def test_an_answer_counts_although_the_kernel_forgets_children() -> None:
    """SIGCHLD that is ignored is inherited from the program that starts this one: no child is left to wait for."""

    def leave() -> int:
        os._exit(7)

    def ignoring() -> tuple[int, str]:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        try:
            run_in_child(leave)
        except LivenessError as error:
            return run_in_child(lambda: 7), str(error)
        return 0, ""

    assert run_in_child(ignoring) == (7, "a child process ended before it answered")
