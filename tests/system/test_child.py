"""Forked children: what they inherit."""

import fcntl
import os

import pytest

from liveness.system.child import close_all_but, run_in_child


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
