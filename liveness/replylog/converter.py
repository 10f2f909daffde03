"""The converter: a process of its own and of low priority that turns spools into Parquet while a scan goes on."""

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Final

from liveness.errors import LivenessError
from liveness.replylog.parquet import convert_spool
from liveness.system import seccomp
from liveness.system.child import die_with_parent, fork

LOWEST_PRIORITY: Final = 19
SEPARATOR: Final = b"\0"


class Converter:
    """Takes the names of spools that are closed. What it does not come to stays a spool, and is no loss."""

    def __init__(self) -> None:
        reader, self._writer = os.pipe()
        parent = os.getpid()
        self._pid = fork()
        if self._pid == 0:
            try:
                die_with_parent(parent)
                _serve(reader)
            finally:
                os._exit(0)
        os.close(reader)
        os.set_blocking(self._writer, False)

    def convert(self, path: Path) -> None:
        """Have a spool converted when its turn comes. Never waits: one that cannot be queued is left."""
        with suppress(OSError):  # the queue is full, or the converter dead
            os.write(self._writer, os.fsencode(path) + SEPARATOR)

    def close(self) -> None:
        """Wait until everything queued is done, or the converter dead."""
        os.close(self._writer)
        with suppress(ChildProcessError):
            os.waitpid(self._pid, 0)


def _serve(reader: int) -> None:
    """In the converter: take spools until nobody can queue any more."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # a terminal's go to all; it ends when the receiver does
    os.dup2(reader, 0)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # a ring held open here would outlive its receiver
    os.nice(LOWEST_PRIORITY)
    with suppress(OSError):  # the receiver may be bound to a core, which is its own
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
    with suppress(OSError):  # a kernel without it; DuckDB opens more files than are known here
        seccomp.confine(reading=True)
    waiting = b""
    while data := os.read(0, 1 << 16):
        *paths, waiting = (waiting + data).split(SEPARATOR)
        for path in paths:
            with suppress(LivenessError):  # told by whoever tries again when the run has ended
                convert_spool(Path(os.fsdecode(path)))
