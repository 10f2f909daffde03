"""The converter: a process of low priority that turns spools into Parquet while a scan runs."""

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
    """Converts closed spools, by name. What it has not converted at the end stays a spool, and nothing is lost."""

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
        """Queue a spool for conversion. It never waits: a spool that cannot be queued stays a spool."""
        with suppress(OSError):  # the queue is full, or the converter dead
            os.write(self._writer, os.fsencode(path) + SEPARATOR)

    def close(self) -> None:
        """Wait until the queue is empty or the converter has died."""
        os.close(self._writer)
        with suppress(ChildProcessError):
            os.waitpid(self._pid, 0)


def _serve(reader: int) -> None:
    """Convert spools until the queue is closed; this runs in the converter."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(
            number, signal.SIG_IGN
        )  # a terminal's signals reach all processes; this one ends with its receiver
    os.dup2(reader, 0)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # a ring that is open here would outlive its receiver
    os.nice(LOWEST_PRIORITY)
    with suppress(OSError):  # the receiver may be bound to a core of its own
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
    with suppress(OSError):  # a kernel without it; DuckDB opens files of its own choice
        seccomp.confine(reading=True)
    waiting = b""
    while data := os.read(0, 1 << 16):
        *paths, waiting = (waiting + data).split(SEPARATOR)
        for path in paths:
            with suppress(LivenessError):  # reported by the next attempt, at the end of the run
                convert_spool(Path(os.fsdecode(path)))
