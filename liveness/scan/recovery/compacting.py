"""Compacting: while a run goes on, a child of low priority makes one segment of many."""

import os
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from liveness.errors import LivenessError
from liveness.runs.compaction import compaction_due, remove_replaced
from liveness.runs.rundir import RunDirectory
from liveness.scan.process import Child
from liveness.system.privileges import confine_to

NICENESS: Final = 19
GRACE_S: Final = 10.0
"""A compaction that is under way when the scan ends may take so long; then it is killed, which loses nothing."""


@dataclass(slots=True)
class Compacting:
    """The compactions of one session, one at a time. If one fails they end: the segments are all there still.

    They run in one process, forked while the supervisor has no threads yet and asked through a pipe.
    """

    directory: RunDirectory
    _child: Child[None] | None = field(default=None, init=False)
    _requests: int = field(default=-1, init=False)
    """The descriptor that requests are written to; -1 if there is none."""

    def start(self) -> None:
        """Finish what a killed session has left half done, and start the process; without one nothing is compacted."""
        with suppress(LivenessError, OSError):
            remove_replaced(self.directory)
            reader, self._requests = os.pipe()
            try:
                self._child = Child("compaction", partial(_serve, self.directory, reader), keep=(reader,))
            finally:
                os.close(reader)
            os.set_blocking(self._requests, False)

    def look(self) -> None:
        """Have compacted what is due. Never waits."""
        if self._child is not None:
            with suppress(OSError):  # it has ended, or has many requests before this one
                os.write(self._requests, b".")

    def finish(self) -> None:
        """Wait a bounded time until nothing is being compacted, and end the process."""
        if self._requests >= 0:
            os.close(self._requests)
            self._requests = -1
        if self._child is not None:
            self._child.end_within(GRACE_S)
            self._child = None


def _serve(directory: RunDirectory, requests: int) -> None:
    """In the child: compact what is due with each request, until nobody can ask any more."""
    os.nice(NICENESS)
    confine_to(directory.path, reading=True)
    while os.read(requests, 1 << 12):
        while (due := compaction_due(directory)) is not None:
            due.run()
